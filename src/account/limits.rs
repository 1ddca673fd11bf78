//! Limits of an account. `None` means unlimited.

/// What an account may use at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// Client connections.
    pub connections_max: Option<u64>,
    /// Subscriptions over all connections.
    pub subscriptions_max: Option<u64>,
    /// Bytes of one message.
    pub payload_bytes_max: Option<u64>,
    /// Leafnode connections.
    pub leafnodes_max: Option<u64>,
}

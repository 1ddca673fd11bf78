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

/// What an account may store (spec jetstream §5.2). `None` means unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JetStreamLimits {
    /// Bytes of streams in memory.
    pub memory_bytes_max: Option<u64>,
    /// Bytes of streams on disk.
    pub storage_bytes_max: Option<u64>,
    /// Streams.
    pub streams_max: Option<u64>,
    /// Consumers.
    pub consumers_max: Option<u64>,
    /// Messages of a consumer awaiting an ack.
    pub ack_pending_max: Option<u64>,
    /// Bytes of one stream in memory.
    pub memory_stream_bytes_max: Option<u64>,
    /// Bytes of one stream on disk.
    pub storage_stream_bytes_max: Option<u64>,
    /// Streams must say how many bytes they may hold.
    pub bytes_max_required: bool,
    /// Traffic between replicas runs in this account instead of the system account.
    pub traffic_in_account: bool,
}

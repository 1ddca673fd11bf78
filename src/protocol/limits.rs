//! Limits the parser holds operations against.

/// What one operation may be. Written by `client` when a link starts and when a
/// user's limits lower them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of arguments after a verb (`max_control_line`).
    pub control_line_max: usize,
    /// Bytes of headers and payload of one message (`max_payload`).
    pub payload_max: usize,
    /// `HPUB` is understood: both sides have said so.
    pub headers: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            control_line_max: 4096,
            payload_max: 1 << 20,
            headers: true,
        }
    }
}

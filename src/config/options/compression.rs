//! Compression of links between servers.

use std::time::Duration;

/// How a link between servers is compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// The mode.
    pub mode: CompressionMode,
    /// For `s2_auto`: round-trip times above which the next stronger mode is used.
    pub rtt_thresholds: Vec<Duration>,
}

/// Modes of compression; both sides agree on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionMode {
    /// Never spoken about, as with old servers.
    NotSupported,
    /// Off.
    Off,
    /// Off unless the other side asks for it.
    Accept,
    /// By round-trip time.
    S2Auto,
    /// The format of S2 without compression.
    S2Uncompressed,
    /// S2, fast.
    S2Fast,
    /// S2, better.
    S2Better,
    /// S2, best.
    S2Best,
}

/// Thresholds of `s2_auto` when none are configured.
pub const RTT_THRESHOLDS: [Duration; 3] = [
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
];

impl Compression {
    /// That mode, without thresholds.
    pub fn mode(mode: CompressionMode) -> Self {
        Compression {
            mode,
            rtt_thresholds: Vec::new(),
        }
    }

    /// The default of routes.
    pub fn accept() -> Self {
        Compression::mode(CompressionMode::Accept)
    }

    /// The default of leafnodes: by round-trip time.
    pub fn auto() -> Self {
        Compression {
            mode: CompressionMode::S2Auto,
            rtt_thresholds: RTT_THRESHOLDS.to_vec(),
        }
    }
}

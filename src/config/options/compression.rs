//! Compression of links between servers.

use std::time::Duration;

use super::key::{Key, Reload::*, key};
use super::reader::{Item, Reader};
use crate::config::value::Value;

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

/// Names of modes; the first name of a mode is the published one.
const MODES: [(&str, CompressionMode); 13] = [
    ("not supported", CompressionMode::NotSupported),
    ("not_supported", CompressionMode::NotSupported),
    ("off", CompressionMode::Off),
    ("disabled", CompressionMode::Off),
    ("accept", CompressionMode::Accept),
    ("s2_auto", CompressionMode::S2Auto),
    ("auto", CompressionMode::S2Auto),
    ("best", CompressionMode::S2Best),
    ("s2_fast", CompressionMode::S2Fast),
    ("fast", CompressionMode::S2Fast),
    ("s2_better", CompressionMode::S2Better),
    ("better", CompressionMode::S2Better),
    ("s2_best", CompressionMode::S2Best),
];

/// A mode that is not known to the wire.
const UNKNOWN_MODE: &str = "unsupported compression mode \"{}\"";

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Compression>] = &[
    key("mode", "off, accept, s2_auto, s2_fast, s2_better, s2_best or not supported",
        "by block", Yes, "s2_best",
        "How the link is compressed.",
        |c, v, r| r.word(v, &mut c.mode, &MODES, UNKNOWN_MODE)),
    key("rtt_thresholds|thresholds|rtts|rtt", "array of durations", "10ms, 50ms, 100ms", Yes,
        "[\"5ms\", \"20ms\", \"80ms\"]",
        "For `s2_auto`: round-trip times above which the next stronger mode is used.",
        |c, v, r| thresholds(v, r, &mut c.rtt_thresholds)),
];

impl Reader {
    /// `compression` of a link; `on` is the mode that `true` stands for.
    pub fn compression(&mut self, v: Item<'_>, into: &mut Compression, on: CompressionMode) {
        let mut read = Compression::mode(on);
        match &v.node.value {
            Value::Bool(true) => {}
            Value::Bool(false) => read.mode = CompressionMode::Off,
            Value::String(text)
                if ["on", "enabled", "true"]
                    .iter()
                    .any(|on| text.eq_ignore_ascii_case(on)) => {}
            Value::String(_) => self.word(v, &mut read.mode, &MODES, UNKNOWN_MODE),
            Value::Map(map) => self.map(map, &mut read, KEYS),
            _ => return self.expected(v, "true, false, a mode or a map"),
        }
        if read.mode == CompressionMode::S2Auto && read.rtt_thresholds.is_empty() {
            read.rtt_thresholds = RTT_THRESHOLDS.to_vec();
        }
        *into = read;
    }
}

fn thresholds(v: Item<'_>, r: &mut Reader, into: &mut Vec<Duration>) {
    let mut all: Vec<Duration> = Vec::new();
    r.each_element(v, |r, element| {
        let mut rtt = Duration::ZERO;
        r.duration(element, &mut rtt);
        all.push(rtt);
    });
    if all.len() > 4 {
        r.error(
            v,
            "compression mode \"s2_auto\" should have no more than 4 RTT thresholds",
        );
    }
    *into = all;
}

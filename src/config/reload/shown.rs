//! Shown: values of options as nats-server prints them in texts about reloading.
//!
//! Separate because people and tools know those texts: a missing string is empty,
//! a duration is Go's, a list stands in brackets. Nothing secret is shown.

use std::fmt::Debug;
use std::time::Duration;

use crate::config::options::compression::{Compression, CompressionMode};
use crate::config::options::limits::WriteTimeout;
use crate::config::options::secret::Secret;
use crate::config::units::format_duration;

/// A value that can stand in a log line.
pub trait Shown {
    /// The value as nats-server prints it.
    fn shown(&self) -> String;
}

/// A value without a known form; shown as its `Debug`, which tells no secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Debugged<T>(pub T);

/// Names with values; shown as a Go map.
#[derive(Clone, Debug, PartialEq)]
pub struct Names<T>(pub Vec<(String, T)>);

macro_rules! shown_as_displayed {
    ($($type:ty),*) => {
        $(impl Shown for $type {
            fn shown(&self) -> String {
                self.to_string()
            }
        })*
    };
}

shown_as_displayed!(bool, u8, u16, u32, u64, i32, i64, usize, f64, String);

impl<T: Debug> Shown for Debugged<T> {
    fn shown(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl<T: Shown> Shown for Names<T> {
    fn shown(&self) -> String {
        let pair = |(name, value): &(String, T)| format!("{name}:{}", value.shown());
        let mut pairs: Vec<String> = self.0.iter().map(pair).collect();
        pairs.sort();
        format!("map[{}]", pairs.join(" "))
    }
}

impl Shown for Option<String> {
    fn shown(&self) -> String {
        self.clone().unwrap_or_default()
    }
}

impl Shown for Vec<String> {
    fn shown(&self) -> String {
        format!("[{}]", self.join(" "))
    }
}

impl Shown for Secret {
    fn shown(&self) -> String {
        "[REDACTED]".to_owned()
    }
}

impl Shown for Option<Secret> {
    fn shown(&self) -> String {
        self.as_ref().map(Shown::shown).unwrap_or_default()
    }
}

impl Shown for Duration {
    fn shown(&self) -> String {
        format_duration(i64::try_from(self.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl Shown for Option<Duration> {
    fn shown(&self) -> String {
        self.unwrap_or_default().shown()
    }
}

impl Shown for WriteTimeout {
    fn shown(&self) -> String {
        let name = match self {
            WriteTimeout::Default => "",
            WriteTimeout::Close => "close",
            WriteTimeout::Retry => "retry",
        };
        name.to_owned()
    }
}

impl Shown for Compression {
    fn shown(&self) -> String {
        let mode = match self.mode {
            CompressionMode::NotSupported => "not supported",
            CompressionMode::Off => "off",
            CompressionMode::Accept => "accept",
            CompressionMode::S2Auto => "s2_auto",
            CompressionMode::S2Fast => "s2_fast",
            CompressionMode::S2Better => "s2_better",
            CompressionMode::S2Best => "s2_best",
        };
        let thresholds: Vec<String> = self.rtt_thresholds.iter().map(Shown::shown).collect();
        format!("{{{mode} [{}]}}", thresholds.join(" "))
    }
}

/// Seconds as Go prints a float: `2`, `0.5`.
pub fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}

/// Bytes as nats-server prints them for people: `1.50 GB`.
pub fn friendly_bytes(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let exponent = bytes.ilog2() / 10;
    let scaled = bytes as f64 / 1024_f64.powi(exponent.cast_signed());
    let unit = UNITS[exponent as usize - 1];
    format!("{scaled:.2} {unit}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_look_as_nats_server_prints_them() {
        assert_eq!(None::<String>.shown(), "");
        assert_eq!(vec!["a".to_owned(), "b".to_owned()].shown(), "[a b]");
        assert_eq!(
            Names(vec![("b".into(), true), ("a".into(), false)]).shown(),
            "map[a:false b:true]"
        );
        assert_eq!(Duration::from_secs(120).shown(), "2m0s");
        assert_eq!(Compression::auto().shown(), "{s2_auto [10ms 50ms 100ms]}");
        assert_eq!(seconds(Duration::from_millis(500)), "0.5");
        assert_eq!(seconds(Duration::from_secs(2)), "2");
        assert_eq!(Some(Secret::new("x")).shown(), "[REDACTED]");
        assert_eq!(friendly_bytes(1023), "1023 B");
        assert_eq!(friendly_bytes(1024), "1.00 KB");
        assert_eq!(friendly_bytes(3 << 29), "1.50 GB");
        assert_eq!(friendly_bytes(i64::MAX), "8.00 EB");
    }
}

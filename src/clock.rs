//! Time: the one place that reads a clock.
//!
//! Separate because the core takes `now` as an argument: only the shell asks here.
//! `Timestamp` is UTC nanoseconds; `Monotonic` is for distances within this process.
//!
//! Invariant: nothing else in the crate calls `SystemTime::now` or `Instant::now`.
#![allow(clippy::disallowed_methods, reason = "the one reader of time")]

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in UTC time, in nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the Unix epoch.
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        Timestamp(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn unix_nanos(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// RFC 3339 in UTC with as many fractional digits as needed, as Go prints it
    /// (`2026-01-02T03:04:05.123456789Z`, trailing zeros dropped).
    pub fn to_rfc3339(self) -> String {
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or_default();
        stamp.to_string()
    }
}

/// A point in this process's monotonic time, in nanoseconds since it was first asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Monotonic(u64);

impl Monotonic {
    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Monotonic) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time `later` from here.
    pub fn plus(self, later: Duration) -> Monotonic {
        let nanos = u64::try_from(later.as_nanos()).unwrap_or(u64::MAX);
        Monotonic(self.0.saturating_add(nanos))
    }

    /// Nanoseconds since the process first asked; for storing in an atomic.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The inverse of [`Monotonic::nanos`].
    pub const fn from_nanos(nanos: u64) -> Self {
        Monotonic(nanos)
    }
}

/// The current UTC time.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}

/// The current monotonic time; never goes back.
pub fn monotonic() -> Monotonic {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    Monotonic(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_drops_trailing_zeros() {
        let check = |nanos, text: &str| {
            assert_eq!(Timestamp::from_unix_nanos(nanos).to_rfc3339(), text);
        };
        check(0, "1970-01-01T00:00:00Z");
        check(1_500_000_000, "1970-01-01T00:00:01.5Z");
        check(1_000_000_001, "1970-01-01T00:00:01.000000001Z");
    }

    #[test]
    fn monotonic_does_not_go_back() {
        let first = monotonic();
        assert!(monotonic() >= first);
    }
}

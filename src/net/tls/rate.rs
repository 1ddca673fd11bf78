//! How many handshakes a second may begin (`connection_rate_limit`).
//!
//! A window opens with the first handshake after the last one has closed, so a burst over
//! the seam of two windows may be twice the limit, as with the peers. Absent: a clock.

use std::time::Duration;

use crate::clock::Monotonic;

const WINDOW: Duration = Duration::from_secs(1);

/// Counts handshakes in windows of a second.
#[derive(Debug)]
pub struct RateLimit {
    limit: u64,
    /// When the window opened; `None` before the first handshake.
    opened: Option<Monotonic>,
    taken: u64,
}

impl RateLimit {
    /// So many in a second; 0: any number.
    pub const fn new(limit: u64) -> Self {
        RateLimit {
            limit,
            opened: None,
            taken: 0,
        }
    }

    /// One more wants to begin. If not, it is not counted.
    pub fn allow(&mut self, now: Monotonic) -> bool {
        if self.limit == 0 {
            return true;
        }
        if self.opened.is_none_or(|opened| now.since(opened) >= WINDOW) {
            self.opened = Some(now);
            self.taken = 0;
        }
        if self.taken >= self.limit {
            return false;
        }
        self.taken += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(limit: u64, at_ms: &[(u64, bool)]) {
        let mut rate = RateLimit::new(limit);
        for &(ms, expected) in at_ms {
            let now = Monotonic::from_nanos(ms * 1_000_000);
            assert_eq!(rate.allow(now), expected, "at {ms}");
        }
    }

    #[test]
    fn a_window_lasts_a_second_from_its_first_handshake() {
        check(
            2,
            &[
                (100, true),
                (200, true),
                (300, false),
                (1099, false),
                (1100, true),
                (1100, true),
                (1100, false),
                (9000, true),
            ],
        );
    }

    #[test]
    fn no_limit_is_no_limit() {
        check(0, &[(0, true); 50]);
    }
}

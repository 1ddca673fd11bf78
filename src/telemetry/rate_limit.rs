//! Rate limit: a line that repeats is logged once in a while, with a count.
//!
//! Invariants: of any number of calls one per interval is let through; each one that was
//! held back is counted in exactly one that is let through later. Absent: no clock, no
//! timer; what is held back at the end stays untold until the next.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Monotonic;

/// The gate before one log line; may be a `static`.
#[derive(Debug)]
pub struct RateLimit {
    interval: Duration,
    /// Nanoseconds plus one of when the line was last let through; 0 before that.
    last: AtomicU64,
    held_back: AtomicU64,
}

impl RateLimit {
    /// Lets one line through per interval.
    pub const fn new(interval: Duration) -> RateLimit {
        RateLimit {
            interval,
            last: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
        }
    }

    /// `Some(n)`: log now, and say that `n` like it were held back. `None`: do not.
    pub fn admit(&self, now: Monotonic) -> Option<u64> {
        let last = self.last.load(Ordering::Relaxed);
        let is_due = last
            .checked_sub(1)
            .is_none_or(|last| now.since(Monotonic::from_nanos(last)) >= self.interval);
        let next = now.nanos().saturating_add(1);
        let order = Ordering::Relaxed;
        // Of several threads at the same time one wins.
        if is_due && self.last.compare_exchange(last, next, order, order).is_ok() {
            return Some(self.held_back.swap(0, order));
        }
        self.held_back.fetch_add(1, order);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(calls_ms: &[u64], expected: &[Option<u64>]) {
        let limit = RateLimit::new(Duration::from_millis(10));
        let admitted: Vec<_> = calls_ms
            .iter()
            .map(|ms| limit.admit(Monotonic::from_nanos(ms * 1_000_000)))
            .collect();
        assert_eq!(admitted, expected);
    }

    #[test]
    fn one_line_per_interval_tells_of_the_others() {
        check(&[0], &[Some(0)]);
        check(
            &[0, 0, 9, 10, 11, 25, 40],
            &[Some(0), None, None, Some(2), None, Some(1), Some(0)],
        );
    }

    #[test]
    fn of_many_threads_one_is_let_through() {
        let limit = RateLimit::new(Duration::from_secs(1));
        let now = Monotonic::from_nanos(5);
        let admitted = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        admitted.fetch_add(limit.admit(now).is_some().into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 1);
        let later = Monotonic::from_nanos(2_000_000_000);
        assert_eq!(limit.admit(later), Some(399));
    }
}

//! When the regular STATSZ is due, as a function of the time.
//!
//! Separate from the figures: a server that just started speaks often so that others learn
//! of it, later every [`INTERVAL`]; and whoever asks it to speak in between must not make
//! it speak without pause.
//!
//! Invariants: regular figures are never closer than [`SPACING`] (closer only while the
//! ramp after the start is); the ramp doubles and ends at [`INTERVAL`]. Absent: no clock,
//! no timer; callers pass `now` and wait for [`StatszSchedule::deadline`].

use std::time::Duration;

use crate::clock::Monotonic;

/// Between two regular STATSZ.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// From the start to the first STATSZ.
pub const FIRST: Duration = Duration::from_millis(250);
/// STATSZ come no closer than this.
pub const SPACING: Duration = Duration::from_secs(1);

/// The schedule of one server.
#[derive(Clone, Debug)]
pub struct StatszSchedule {
    interval: Duration,
    deadline: Monotonic,
    last: Option<Monotonic>,
}

impl StatszSchedule {
    /// The schedule of a server that starts `now`.
    pub fn new(now: Monotonic) -> Self {
        StatszSchedule {
            interval: FIRST,
            deadline: after(now, FIRST),
            last: None,
        }
    }

    /// When to call [`StatszSchedule::due`] next.
    pub const fn deadline(&self) -> Monotonic {
        self.deadline
    }

    /// Whether figures are to be published now; moves the deadline.
    pub fn due(&mut self, now: Monotonic) -> bool {
        if now < self.deadline {
            return false;
        }
        let spacing = SPACING.min(self.interval);
        self.interval = (self.interval * 2).min(INTERVAL);
        match self.last {
            Some(last) if now.since(last) < spacing => {
                self.deadline = after(last, spacing);
                false
            }
            _ => {
                self.last = Some(now);
                self.deadline = after(now, self.interval);
                true
            }
        }
    }

    /// Somebody asked for figures to be published at once: they are, and the regular ones
    /// wait.
    pub fn published(&mut self, now: Monotonic) {
        self.last = Some(now);
    }
}

fn after(time: Monotonic, distance: Duration) -> Monotonic {
    let nanos = u64::try_from(distance.as_nanos()).unwrap_or(u64::MAX);
    Monotonic::from_nanos(time.nanos().saturating_add(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Monotonic {
        Monotonic::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn the_ramp_doubles_and_ends_at_the_interval() {
        let mut schedule = StatszSchedule::new(at(0));
        let mut due = Vec::new();
        while due.len() < 8 {
            let now = schedule.deadline();
            if schedule.due(now) {
                due.push(now.nanos() / 1_000_000);
            }
        }
        assert_eq!(due, [250, 750, 1750, 3750, 7750, 15_750, 25_750, 35_750]);
    }

    #[test]
    fn regular_figures_wait_for_those_asked_for() {
        let mut schedule = StatszSchedule::new(at(0));
        for _ in 0..6 {
            let now = schedule.deadline();
            assert!(schedule.due(now));
        }
        assert_eq!(schedule.deadline(), at(25_750));
        assert!(!schedule.due(at(25_000)), "before the deadline");
        schedule.published(at(25_500));
        assert!(!schedule.due(at(25_750)), "too close");
        assert_eq!(schedule.deadline(), at(26_500));
        assert!(schedule.due(at(26_500)));
    }
}

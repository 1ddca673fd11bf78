//! Whether the server's disk takes what groups want to store; one for all of them.
//!
//! Separate because three ask for the same: who keeps an eye on the disk writes it, who
//! takes messages reads it, and a log that waits for room adds to it at once.
//!
//! ```text
//!   keeper ── level ──►        ◄── is_closed ── publishers: nothing new at `soft`
//!   any file ─ alarm ─►  Space ◄── is_exhausted ── proposals: nothing while a log waits
//!   a log ── waiting ─►        ──► news ── keeper: looks at once
//! ```
//!
//! Invariants: an alarm holds until the keeper has found room again; acks, deletes and
//! purges are refused only while a log waits. Absent: no look at the disk.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::vfs;
use crate::vfs::space::Level;

/// Whether the disk takes new entries.
#[derive(Debug, Default)]
pub struct Space {
    level: AtomicU8,
    total: AtomicU64,
    available: AtomicU64,
    alarmed: AtomicBool,
    waiting: AtomicUsize,
    news: Notify,
}

const LEVELS: [Level; 4] = [Level::Ok, Level::Warn, Level::Soft, Level::Hard];

impl Space {
    /// How full the disk is, as of the keeper's last look.
    pub fn level(&self) -> Level {
        let level = usize::from(self.level.load(Ordering::Relaxed));
        LEVELS.get(level).copied().unwrap_or_default()
    }

    /// The keeper has looked.
    pub fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// The figures of the keeper's last look, for people.
    pub fn figures(&self) -> vfs::Space {
        vfs::Space {
            total: self.total.load(Ordering::Relaxed),
            available: self.available.load(Ordering::Relaxed),
        }
    }

    /// The keeper has counted.
    pub fn set_figures(&self, figures: vfs::Space) {
        self.total.store(figures.total, Ordering::Relaxed);
        self.available.store(figures.available, Ordering::Relaxed);
    }

    /// Somebody met a full disk: nothing new is stored until the keeper finds room.
    pub fn alarm(&self) {
        self.alarmed.store(true, Ordering::Relaxed);
        self.news.notify_one();
    }

    /// Somebody met a full disk since the last [`Space::calm`].
    pub fn is_alarmed(&self) -> bool {
        self.alarmed.load(Ordering::Relaxed)
    }

    /// The keeper has found room.
    pub fn calm(&self) {
        self.alarmed.store(false, Ordering::Relaxed);
    }

    /// Waits for an alarm.
    pub async fn alarmed(&self) {
        self.news.notified().await;
    }

    /// Nothing that makes a stream grow is taken.
    pub fn is_closed(&self) -> bool {
        self.level() >= Level::Soft || self.is_alarmed() || self.is_exhausted()
    }

    /// A log waits for room: no entry at all is taken.
    pub fn is_exhausted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// A log waits for room until this is dropped.
    pub fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.alarm();
        Waiting(self)
    }
}

/// A log that waits for room.
pub struct Waiting<'a>(&'a Space);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(space: &Space, closed: bool, exhausted: bool) {
        assert_eq!(
            (space.is_closed(), space.is_exhausted()),
            (closed, exhausted)
        );
    }

    #[test]
    fn levels_alarms_and_waiting_logs_close_it() {
        let space = Space::default();
        for (level, closed) in [
            (Level::Ok, false),
            (Level::Warn, false),
            (Level::Soft, true),
            (Level::Hard, true),
            (Level::Ok, false),
        ] {
            space.set_level(level);
            assert_eq!(space.level(), level);
            check(&space, closed, false);
        }
        let waiting = (space.wait(), space.wait());
        check(&space, true, true);
        drop(waiting.0);
        check(&space, true, true);
        drop(waiting.1);
        check(&space, true, false);
        space.calm();
        check(&space, false, false);
    }
}

//! What the match caches of an account do, for monitoring.
//!
//! Every link has a cache of its own, so the figures of an account are a sum over its
//! links. A link writes its [`CacheFigures`] with plain loads and stores, on a cache line
//! of its own: nobody else writes them, and the hot path pays no synchronization. The sum
//! is made when somebody asks.
//!
//! Invariants: lookups and hits never go down, what a link did stays when it has gone;
//! `cached` and the fan-out concern the caches of now, including results that have become
//! stale and will be replaced when they are asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// The figures of one cache: written by its link, read by anybody.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct CacheFigures {
    lookups: AtomicU64,
    hits: AtomicU64,
    cached: AtomicU64,
    fanout_total: AtomicU64,
    fanout_max: AtomicU64,
}

/// A figure with one writer: no read-modify-write is needed.
fn set(cell: &AtomicU64, change: impl FnOnce(u64) -> u64) {
    cell.store(change(cell.load(Ordering::Relaxed)), Ordering::Relaxed);
}

impl CacheFigures {
    /// A lookup the cache answered.
    #[inline]
    pub(super) fn hit(&self) {
        set(&self.lookups, |n| n.wrapping_add(1));
        set(&self.hits, |n| n.wrapping_add(1));
    }

    /// A lookup that walked the sublist.
    pub(super) fn miss(&self) {
        set(&self.lookups, |n| n.wrapping_add(1));
    }

    /// A result with that many receivers is kept.
    pub(super) fn kept(&self, receivers: usize) {
        set(&self.cached, |n| n.wrapping_add(1));
        set(&self.fanout_total, |n| n.wrapping_add(receivers as u64));
        set(&self.fanout_max, |max| max.max(receivers as u64));
    }

    /// A result with that many receivers is not kept any longer.
    pub(super) fn dropped(&self, receivers: usize) {
        set(&self.cached, |n| n.saturating_sub(1));
        set(&self.fanout_total, |n| n.saturating_sub(receivers as u64));
    }

    /// No result is kept any longer.
    pub(super) fn cleared(&self) {
        for cell in [&self.cached, &self.fanout_total, &self.fanout_max] {
            cell.store(0, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Sum {
        Sum {
            lookups: self.lookups.load(Ordering::Relaxed),
            hits: self.hits.load(Ordering::Relaxed),
            cached: self.cached.load(Ordering::Relaxed),
            fanout_total: self.fanout_total.load(Ordering::Relaxed),
            fanout_max: self.fanout_max.load(Ordering::Relaxed),
        }
    }
}

/// The figures of several caches together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Subjects looked up.
    pub lookups: u64,
    /// Those the cache knew.
    pub hits: u64,
    /// Results kept.
    pub cached: u64,
    /// Receivers of all kept results together.
    pub fanout_total: u64,
    /// Receivers of the largest result kept since its cache was emptied last.
    pub fanout_max: u64,
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.lookups += other.lookups;
        self.hits += other.hits;
        self.cached += other.cached;
        self.fanout_total += other.fanout_total;
        self.fanout_max = self.fanout_max.max(other.fanout_max);
    }
}

/// The caches of one account.
#[derive(Debug, Default)]
pub struct Caches(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    next: u64,
    open: HashMap<u64, Arc<CacheFigures>>,
    gone: Sum,
}

impl Caches {
    /// A place for the figures of one more cache.
    pub(super) fn join(&self) -> (u64, Arc<CacheFigures>) {
        let mut known = self.0.lock();
        let key = known.next;
        known.next += 1;
        let figures = Arc::new(CacheFigures::default());
        known.open.insert(key, Arc::clone(&figures));
        (key, figures)
    }

    /// The cache is no more; what it did still counts.
    pub(super) fn leave(&self, key: u64) {
        let mut known = self.0.lock();
        if let Some(figures) = known.open.remove(&key) {
            let Sum { lookups, hits, .. } = figures.read();
            known.gone.lookups += lookups;
            known.gone.hits += hits;
        }
    }

    /// The figures of all.
    pub fn sum(&self) -> Sum {
        let known = self.0.lock();
        let mut sum = known.gone;
        for figures in known.open.values() {
            sum.add(figures.read());
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_add_up_and_what_was_done_stays() {
        let caches = Caches::default();
        let (first, one) = caches.join();
        let (_, two) = caches.join();
        one.miss();
        one.kept(5);
        one.hit();
        two.miss();
        two.kept(2);
        two.kept(1);
        two.dropped(2);
        let sum = Sum {
            lookups: 3,
            hits: 1,
            cached: 2,
            fanout_total: 6,
            fanout_max: 5,
        };
        assert_eq!(caches.sum(), sum);
        caches.leave(first);
        let left = Sum {
            cached: 1,
            fanout_total: 1,
            fanout_max: 2,
            ..sum
        };
        assert_eq!(caches.sum(), left);
        two.cleared();
        let empty = Sum {
            lookups: 3,
            hits: 1,
            ..Sum::default()
        };
        assert_eq!(caches.sum(), empty);
    }
}

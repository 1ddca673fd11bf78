//! Who wants what in one account: the sublist, and the generations that make caches stale.
//!
//! A cached match is good as long as its [`Stamp`] is the one of now. Generations are kept
//! per bucket of the first token, so that one SUB does not empty every cache; a filter
//! that begins with a wildcard concerns all buckets.
//!
//! Invariant: a change bumps its generation before the lock on the sublist is released,
//! and a reader takes the stamp before it walks. So a stale result never has a fresh stamp.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::subscription::Subscription;
use crate::subject::sublist::Sublist;
use crate::subject::tokens;

const BUCKETS: usize = 256;

/// Told of every change, after it has been made, by whoever made it: it must be quick.
pub trait Observer: Send + Sync {
    /// A subscription was added or removed.
    fn changed(&self, subscription: &Subscription);
}

/// The subscriptions of one account.
pub struct Interest {
    sublist: RwLock<Sublist<Arc<Subscription>>>,
    buckets: Box<[AtomicU64]>,
    any: AtomicU64,
    inserts: AtomicU64,
    removes: AtomicU64,
    observer: OnceLock<Arc<dyn Observer>>,
}

/// The state of interest a match result depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    bucket: u64,
    any: u64,
}

/// The part of a stamp that depends on the subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket(u8);

impl Bucket {
    /// The bucket of a subject or of a filter with a literal first token.
    pub fn of(subject: &[u8]) -> Bucket {
        // FNV-1a over the first token: short, and cheap next to a walk.
        let (token, _) = tokens::split_first(subject);
        let hash = token.iter().fold(0x811c_9dc5u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        });
        Bucket((hash ^ (hash >> 8) ^ (hash >> 16)) as u8)
    }
}

impl Default for Interest {
    fn default() -> Self {
        Interest {
            sublist: RwLock::new(Sublist::new()),
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            any: AtomicU64::new(0),
            inserts: AtomicU64::new(0),
            removes: AtomicU64::new(0),
            observer: OnceLock::new(),
        }
    }
}

impl Interest {
    /// The stamp a result for a subject of that bucket has now.
    pub fn stamp(&self, bucket: Bucket) -> Stamp {
        Stamp {
            bucket: self.buckets[usize::from(bucket.0)].load(Ordering::Acquire),
            any: self.any.load(Ordering::Acquire),
        }
    }

    fn bump(&self, filter: &[u8]) {
        let (first, _) = tokens::split_first(filter);
        let cell = if tokens::is_wildcard(first) {
            &self.any
        } else {
            &self.buckets[usize::from(Bucket::of(filter).0)]
        };
        cell.fetch_add(1, Ordering::Release);
    }

    /// Makes every cached result stale: a policy has changed.
    pub fn bump_all(&self) {
        self.any.fetch_add(1, Ordering::Release);
    }

    /// Adds a subscription.
    pub fn insert(&self, subscription: &Arc<Subscription>) {
        let mut sublist = self.sublist.write();
        sublist.insert(
            subscription.filter(),
            subscription.queue(),
            Arc::clone(subscription),
        );
        self.bump(subscription.filter());
        self.inserts.fetch_add(1, Ordering::Relaxed);
        drop(sublist);
        self.tell(subscription);
    }

    /// Tells `observer` of every change from now on; false if somebody is told already.
    pub fn observe(&self, observer: Arc<dyn Observer>) -> bool {
        self.observer.set(observer).is_ok()
    }

    fn tell(&self, subscription: &Subscription) {
        if let Some(observer) = self.observer.get() {
            observer.changed(subscription);
        }
    }

    /// Removes a subscription; false if it was not there.
    pub fn remove(&self, subscription: &Arc<Subscription>) -> bool {
        subscription.close();
        let mut sublist = self.sublist.write();
        let removed = sublist.remove(subscription.filter(), subscription.queue(), subscription);
        if removed {
            self.bump(subscription.filter());
            self.removes.fetch_add(1, Ordering::Relaxed);
            drop(sublist);
            self.tell(subscription);
        }
        removed
    }

    /// Calls `visit` for every subscription that matches; queue members with their queue.
    pub fn walk(&self, subject: &[u8], visit: impl FnMut(Option<&[u8]>, &Arc<Subscription>)) {
        self.sublist.read().walk(subject, visit);
    }

    /// Somebody matches.
    pub fn has_interest(&self, subject: &[u8]) -> bool {
        self.sublist.read().has_interest(subject)
    }

    /// Number of subscriptions.
    pub fn len(&self) -> usize {
        self.sublist.read().len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `(inserts, removes)` since the start.
    pub fn changes(&self) -> (u64, u64) {
        (
            self.inserts.load(Ordering::Relaxed),
            self.removes.load(Ordering::Relaxed),
        )
    }

    /// Every subscription.
    pub fn all(&self) -> Vec<Arc<Subscription>> {
        let sublist = self.sublist.read();
        let mut all = Vec::with_capacity(sublist.len());
        sublist.for_each(|_, _, sub| all.push(Arc::clone(sub)));
        all
    }
}

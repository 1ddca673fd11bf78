//! Resolved receivers by subject, per publishing link.
//!
//! A table with one place per hash: a hit costs a hash and a comparison. It grows while it
//! misses, up to [`SLOTS_MAX`], and remembers a subject only at its second miss, so that a
//! stream of ever new subjects walks the sublist and allocates nothing.
//!
//! Invariants: a result is used only while its stamp is the one of now; the cache pins
//! subscriptions only until [`MatchCache::clear`], which an idle link calls.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::cache_figures::CacheFigures;
use super::interest::{Bucket, Interest, Stamp};
use super::subscription::Subscription;

const SLOTS_MIN: usize = 8;
const SLOTS_MAX: usize = 4096;

/// The receivers of one subject.
#[derive(Debug, Default)]
pub struct Matches {
    /// Each gets a copy.
    pub plain: Vec<Arc<Subscription>>,
    /// One member of each gets it.
    pub groups: Vec<Group>,
}

/// The members of one queue group, over all filters that match.
#[derive(Debug, Default)]
pub struct Group {
    name: Vec<u8>,
    /// The candidates.
    pub members: Vec<Arc<Subscription>>,
}

impl Matches {
    /// Replaces the contents by what matches now.
    pub fn fill(&mut self, interest: &Interest, subject: &[u8]) {
        self.plain.clear();
        self.groups.clear();
        interest.walk(subject, |queue, sub| match queue {
            None => self.plain.push(Arc::clone(sub)),
            Some(name) => match self.groups.iter_mut().find(|group| group.name == name) {
                Some(group) => group.members.push(Arc::clone(sub)),
                None => self.groups.push(Group {
                    name: name.to_vec(),
                    members: vec![Arc::clone(sub)],
                }),
            },
        });
    }

    /// At most this many deliveries.
    pub fn receivers(&self) -> usize {
        self.plain.len() + self.groups.len()
    }
}

#[derive(Debug, Default)]
struct Slot {
    hash: u64,
    subject: Box<[u8]>,
    bucket: Bucket,
    stamp: Stamp,
    filled: bool,
    entry: Entry,
}

/// What is known of one subject.
#[derive(Debug, Default)]
pub struct Entry {
    /// Who receives.
    pub matches: Matches,
    /// The link may publish to it.
    pub allowed: bool,
}

/// The cache of one link.
#[derive(Debug, Default)]
pub struct MatchCache {
    slots: Vec<Slot>,
    hasher: RandomState,
    misses: usize,
    /// For subjects that are not remembered.
    scratch: Entry,
    /// Looked up since the last [`MatchCache::clear_if_idle`].
    used: bool,
    figures: Arc<CacheFigures>,
}

impl MatchCache {
    /// An empty cache that tells `figures` what it does.
    pub fn new(figures: Arc<CacheFigures>) -> Self {
        MatchCache {
            figures,
            ..MatchCache::default()
        }
    }

    /// What is known of `subject` in `interest`; `may_publish` is asked on a miss only.
    pub fn lookup(
        &mut self,
        interest: &Interest,
        subject: &[u8],
        may_publish: impl FnOnce() -> bool,
    ) -> &Entry {
        self.used = true;
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS_MIN, Slot::default);
        }
        let hash = self.hasher.hash_one(subject);
        let index = hash as usize & (self.slots.len() - 1);
        let slot = &self.slots[index];
        if slot.hash == hash
            && slot.filled
            && *slot.subject == *subject
            && interest.stamp(slot.bucket) == slot.stamp
        {
            self.figures.hit();
            return &self.slots[index].entry;
        }
        self.figures.miss();
        self.miss(interest, subject, hash, may_publish)
    }

    #[cold]
    fn miss(
        &mut self,
        interest: &Interest,
        subject: &[u8],
        hash: u64,
        may_publish: impl FnOnce() -> bool,
    ) -> &Entry {
        let bucket = Bucket::of(subject);
        // Before the walk: what changes during it makes the result stale.
        let stamp = interest.stamp(bucket);
        let index = hash as usize & (self.slots.len() - 1);
        let slots = self.slots.len();
        let slot = &mut self.slots[index];
        if slot.hash != hash {
            self.misses += 1;
            if slot.filled && self.misses > slots && slots < SLOTS_MAX {
                self.grow();
                return self.miss(interest, subject, hash, may_publish);
            }
            // Twice in a row at this place before it takes the place.
            slot.hash = hash;
            if std::mem::take(&mut slot.filled) {
                self.figures.dropped(slot.entry.matches.receivers());
            }
            self.scratch.matches.fill(interest, subject);
            self.scratch.allowed = may_publish();
            return &self.scratch;
        }
        if *slot.subject != *subject {
            slot.subject = subject.into();
        }
        slot.bucket = bucket;
        slot.stamp = stamp;
        if std::mem::replace(&mut slot.filled, true) {
            self.figures.dropped(slot.entry.matches.receivers());
        }
        slot.entry.matches.fill(interest, subject);
        self.figures.kept(slot.entry.matches.receivers());
        slot.entry.allowed = may_publish();
        &self.slots[index].entry
    }

    #[cold]
    fn grow(&mut self) {
        let len = self.slots.len() * 4;
        let old = std::mem::take(&mut self.slots);
        self.slots.resize_with(len.min(SLOTS_MAX), Slot::default);
        self.misses = 0;
        let mask = self.slots.len() - 1;
        for slot in old.into_iter().filter(|slot| slot.filled) {
            let index = slot.hash as usize & mask;
            self.slots[index] = slot;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.slots = Vec::new();
        self.scratch = Entry::default();
        self.misses = 0;
        self.figures.cleared();
    }

    /// Forgets everything if nothing was looked up since the last call.
    pub fn clear_if_idle(&mut self) {
        if !std::mem::take(&mut self.used) {
            self.clear();
        }
    }
}

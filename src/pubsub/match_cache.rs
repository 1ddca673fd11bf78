//! Resolved receivers by subject, per publishing link.
//!
//! A table with one place per hash: a hit costs a hash and a comparison. It grows while it
//! misses, up to `SLOTS_MAX`, and remembers a subject only at its second miss, so that a
//! stream of ever new subjects walks the sublist, allocates nothing, and touches the tags
//! only: all slots together are half a megabyte, which others need in the processor's cache.
//!
//! Invariants: a result is used only while its stamp is the one of now; the cache pins
//! subscriptions only until [`MatchCache::clear`], which an idle link calls.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::cache_figures::CacheFigures;
use super::interest::{Bucket, Interest, Stamp};
use super::subscription::Subscription;

const SLOTS_MIN: usize = 8;
const SLOTS_MAX: usize = 4096;
/// Subscriptions one cache holds before it begins anew (a pointer each).
const HELD_MAX: usize = 128 * 1024;
/// More groups than this on one subject are found by an index.
const SEARCHED_GROUPS_MAX: usize = 16;

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
        let mut index = HashMap::with_hasher(RandomState::default());
        interest.walk(subject, |queue, sub| match queue {
            None => self.plain.push(Arc::clone(sub)),
            Some(name) => self.group(name, &mut index).members.push(Arc::clone(sub)),
        });
    }

    /// The group of that name, made if it is new. A few are searched, many are indexed.
    fn group(
        &mut self,
        name: &[u8],
        index: &mut HashMap<Vec<u8>, usize, RandomState>,
    ) -> &mut Group {
        // Members of one filter come one after the other.
        let last = self.groups.len().wrapping_sub(1);
        let found = if self.groups.last().is_some_and(|group| group.name == name) {
            Some(last)
        } else if self.groups.len() < SEARCHED_GROUPS_MAX {
            self.groups.iter().position(|group| group.name == name)
        } else {
            for (at, group) in self.groups.iter().enumerate().skip(index.len()) {
                index.insert(group.name.clone(), at);
            }
            index.get(name).copied()
        };
        let at = found.unwrap_or(self.groups.len());
        if found.is_none() {
            self.groups.push(Group {
                name: name.to_vec(),
                members: Vec::new(),
            });
        }
        &mut self.groups[at]
    }

    /// Subscriptions that are held.
    fn held(&self) -> usize {
        let members = self.groups.iter().map(|group| group.members.len());
        self.plain.len() + members.sum::<usize>()
    }

    /// At most this many deliveries.
    pub fn receivers(&self) -> usize {
        self.plain.len() + self.groups.len()
    }
}

/// What was looked up last at a place.
#[derive(Clone, Copy, Debug, Default)]
struct Tag {
    /// The upper half of its hash.
    hash: u32,
    /// The slot holds it.
    filled: bool,
}

impl Tag {
    fn of(hash: u64, filled: bool) -> Tag {
        let hash = (hash >> 32) as u32;
        Tag { hash, filled }
    }

    /// It may be of the subject with this hash.
    fn is_of(self, hash: u64) -> bool {
        self.hash == Tag::of(hash, false).hash
    }
}

#[derive(Debug, Default)]
struct Slot {
    subject: Box<[u8]>,
    bucket: Bucket,
    stamp: Stamp,
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
    /// As many as slots.
    tags: Vec<Tag>,
    slots: Vec<Slot>,
    hasher: RandomState,
    misses: usize,
    /// Subscriptions in all slots.
    held: usize,
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
            self.tags.resize(SLOTS_MIN, Tag::default());
        }
        let hash = self.hasher.hash_one(subject);
        let index = hash as usize & (self.slots.len() - 1);
        let tag = self.tags[index];
        if tag.filled && tag.is_of(hash) {
            let slot = &self.slots[index];
            if *slot.subject == *subject && interest.stamp(slot.bucket) == slot.stamp {
                self.figures.hit();
                return &self.slots[index].entry;
            }
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
        let tag = self.tags[index];
        if !tag.is_of(hash) {
            self.misses += 1;
            if tag.filled && self.misses > slots && slots < SLOTS_MAX {
                self.grow();
                return self.miss(interest, subject, hash, may_publish);
            }
            // Twice in a row at this place before it takes the place.
            self.tags[index] = Tag::of(hash, false);
            if tag.filled {
                let matches = &self.slots[index].entry.matches;
                self.figures.dropped(matches.receivers());
            }
            self.scratch.matches.fill(interest, subject);
            self.scratch.allowed = may_publish();
            return &self.scratch;
        }
        self.tags[index].filled = true;
        let slot = &mut self.slots[index];
        if *slot.subject != *subject {
            slot.subject = subject.into();
        }
        slot.bucket = bucket;
        slot.stamp = stamp;
        if tag.filled {
            self.figures.dropped(slot.entry.matches.receivers());
        }
        let before = slot.entry.matches.held();
        slot.entry.matches.fill(interest, subject);
        self.figures.kept(slot.entry.matches.receivers());
        slot.entry.allowed = may_publish();
        self.held += slot.entry.matches.held();
        self.held -= before;
        if self.held > HELD_MAX {
            self.keep_only(index);
        }
        &self.slots[index].entry
    }

    /// Many receivers of many subjects are more than one link may hold.
    #[cold]
    fn keep_only(&mut self, index: usize) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if at != index {
                *slot = Slot::default();
                self.tags[at] = Tag::default();
            }
        }
        let matches = &self.slots[index].entry.matches;
        self.held = matches.held();
        self.figures.cleared();
        self.figures.kept(matches.receivers());
    }

    #[cold]
    fn grow(&mut self) {
        let len = (self.slots.len() * 4).min(SLOTS_MAX);
        let slots = std::mem::take(&mut self.slots);
        let tags = std::mem::take(&mut self.tags);
        self.slots.resize_with(len, Slot::default);
        self.tags.resize(len, Tag::default());
        self.misses = 0;
        for (slot, tag) in slots.into_iter().zip(tags).filter(|(_, tag)| tag.filled) {
            let index = self.hasher.hash_one(&*slot.subject) as usize & (len - 1);
            self.slots[index] = slot;
            self.tags[index] = tag;
        }
        self.held = self.slots.iter().map(|s| s.entry.matches.held()).sum();
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.slots = Vec::new();
        self.tags = Vec::new();
        self.scratch = Entry::default();
        self.misses = 0;
        self.held = 0;
        self.figures.cleared();
    }

    /// Forgets everything if nothing was looked up since the last call.
    pub fn clear_if_idle(&mut self) {
        if !std::mem::take(&mut self.used) {
            self.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::accounts::Account;
    use crate::pubsub::internal;

    #[test]
    fn every_lookup_is_right_and_most_subjects_stay_known_while_it_grows() {
        let account = Account::new("A");
        let (_, figures) = account.caches.join();
        let mut cache = MatchCache::new(figures);
        let subjects: Vec<String> = (0..64).map(|number| format!("s.{number}")).collect();
        let mut receivers = [0; 64];
        for round in 0..20 {
            if round % 4 == 0 {
                let at = round * 3;
                let heard = internal::subscribe(&account, &subjects[at], Box::new(|_, _| true));
                heard.expect("a subscription");
                receivers[at] += 1;
            }
            for (subject, expected) in subjects.iter().zip(receivers) {
                // Twice in a row, so that it is worth its place.
                for _ in 0..2 {
                    let entry = cache.lookup(&account.interest, subject.as_bytes(), || true);
                    assert_eq!(entry.matches.receivers(), expected, "{subject}");
                }
                // Heard of once only.
                let once = format!("{subject}.{round}");
                let entry = cache.lookup(&account.interest, once.as_bytes(), || true);
                assert_eq!(entry.matches.receivers(), 0);
            }
            assert_eq!(cache.tags.len(), cache.slots.len());
        }
        assert!(cache.slots.len() > SLOTS_MIN, "{}", cache.slots.len());
        let hits = account.caches.sum().hits;
        assert!(hits > 64 * 10, "{hits} hits of {}", 20 * 64 * 2);
    }
}

//! Ordered timers as data: which key is due when, and which is next.
//!
//! Separate because streams, consumers and schedules all keep many deadlines and must agree
//! between replicas in which order those fall due.
//!
//! Invariants: a key has at most one deadline; of equal deadlines the smaller key comes
//! first; the order depends on what was set, never on when or in which order it was.
//! Absent: no clock, no waiting, no callbacks: the owner asks [`DeadlineQueue::next`] and
//! takes what is due one by one.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;

/// Deadlines by key.
#[derive(Clone, Debug)]
pub struct DeadlineQueue<K> {
    /// Every deadline in the order it falls due.
    due: BTreeSet<(Timestamp, K)>,
    /// The same by key.
    at: BTreeMap<K, Timestamp>,
}

impl<K> Default for DeadlineQueue<K> {
    fn default() -> Self {
        DeadlineQueue {
            due: BTreeSet::new(),
            at: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Clone> DeadlineQueue<K> {
    /// A queue without deadlines.
    pub fn new() -> Self {
        DeadlineQueue::default()
    }

    /// The number of deadlines.
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// There is no deadline.
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// Sets the deadline of `key`; the one it had before, if any, is returned and forgotten.
    pub fn set(&mut self, key: K, at: Timestamp) -> Option<Timestamp> {
        let before = self.at.insert(key.clone(), at);
        if before == Some(at) {
            return before;
        }
        let entry = match before {
            Some(before) => {
                let mut entry = (before, key);
                self.due.remove(&entry);
                entry.0 = at;
                entry
            }
            None => (at, key),
        };
        self.due.insert(entry);
        before
    }

    /// Forgets the deadline of `key` and returns it.
    pub fn cancel(&mut self, key: &K) -> Option<Timestamp> {
        let (key, at) = self.at.remove_entry(key)?;
        self.due.remove(&(at, key));
        Some(at)
    }

    /// The deadline of `key`.
    pub fn get(&self, key: &K) -> Option<Timestamp> {
        self.at.get(key).copied()
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the earliest deadline out if it is at or before `now`.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, K)> {
        if self.next()? > now {
            return None;
        }
        let (at, key) = self.due.pop_first()?;
        self.at.remove(&key);
        Some((at, key))
    }

    /// All deadlines in the order they fall due.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, &K)> {
        self.due.iter().map(|(at, key)| (*at, key))
    }

    /// Forgets all deadlines.
    pub fn clear(&mut self) {
        self.due.clear();
        self.at.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_unix_nanos(nanos)
    }

    #[test]
    fn a_later_deadline_replaces_the_earlier() {
        let mut queue = DeadlineQueue::new();
        assert_eq!(queue.set("a", at(5)), None);
        assert_eq!(queue.set("a", at(9)), Some(at(5)));
        assert_eq!((queue.len(), queue.next()), (1, Some(at(9))));
        assert_eq!(queue.pop_due(at(8)), None);
        assert_eq!(queue.pop_due(at(9)), Some((at(9), "a")));
        assert!(queue.is_empty() && queue.next().is_none());
    }

    #[test]
    fn equal_deadlines_fall_due_by_key() {
        let mut queue = DeadlineQueue::new();
        for key in [3, 1, 2] {
            queue.set(key, at(7));
        }
        let order: Vec<i32> = std::iter::from_fn(|| Some(queue.pop_due(at(7))?.1)).collect();
        assert_eq!(order, [1, 2, 3]);
    }

    #[test]
    fn a_cancelled_deadline_never_falls_due() {
        let mut queue = DeadlineQueue::new();
        queue.set(1, at(1));
        queue.set(2, at(2));
        assert_eq!(queue.cancel(&1), Some(at(1)));
        assert_eq!(queue.cancel(&1), None);
        assert_eq!(queue.pop_due(at(10)), Some((at(2), 2)));
        assert_eq!(queue.pop_due(at(10)), None);
    }

    proptest! {
        #[test]
        fn the_queue_agrees_with_a_plain_map(
            steps in prop::collection::vec((0u8..3, 0u8..8, 0i64..16), 0..100)
        ) {
            let mut queue = DeadlineQueue::new();
            let mut model: BTreeMap<u8, Timestamp> = BTreeMap::new();
            for (what, key, nanos) in steps {
                match what {
                    0 => prop_assert_eq!(queue.set(key, at(nanos)), model.insert(key, at(nanos))),
                    1 => prop_assert_eq!(queue.cancel(&key), model.remove(&key)),
                    _ => {
                        let first = model.iter().map(|(key, at)| (*at, *key)).min();
                        let due = first.filter(|(due, _)| *due <= at(nanos));
                        if let Some((_, key)) = due {
                            model.remove(&key);
                        }
                        prop_assert_eq!(queue.pop_due(at(nanos)), due);
                    }
                }
                prop_assert_eq!(queue.next(), model.values().min().copied());
                prop_assert_eq!(queue.len(), model.len());
            }
        }
    }
}

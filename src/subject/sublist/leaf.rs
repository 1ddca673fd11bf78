//! What is subscribed to one filter: plain items and queue groups.
//!
//! Separate from the tree because it has its own two sizes: nearly every filter has
//! one item, which lives in the node itself, and some have a hundred thousand, where
//! removal must not search. Long lists therefore get an index from key to position.
//!
//! Invariants: no list is empty, an empty leaf is `Leaf::Empty`; a list has an index
//! if it is longer than `INDEX_ABOVE` and none if it is at most half as long.

use std::collections::HashMap;
use std::mem;
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use super::Keyed;

const INDEX_ABOVE: usize = 32;

/// The items of one filter.
#[derive(Debug)]
pub(super) enum Leaf<T> {
    Empty,
    One(T),
    Many(Box<Crowd<T>>),
}

/// More than one item, or at least one queue group.
#[derive(Debug)]
pub(super) struct Crowd<T> {
    plain: Members<T>,
    /// Sorted by name.
    #[expect(
        clippy::vec_box,
        reason = "an insertion moves pointers, however many names one filter has"
    )]
    groups: Vec<Box<Group<T>>>,
}

#[derive(Debug)]
struct Group<T> {
    name: Box<[u8]>,
    members: Members<T>,
}

#[derive(Debug)]
struct Members<T> {
    items: Vec<T>,
    positions: Option<Box<Positions>>,
}

/// Where an item is in its list, by its key.
#[derive(Debug)]
struct Positions(HashMap<u64, u32, RandomState>);

impl<T: Keyed> Leaf<T> {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Leaf::Empty)
    }

    /// Adds an item; one with the same key and queue is replaced and returned.
    pub(super) fn insert(&mut self, queue: Option<&[u8]>, item: T) -> Option<T> {
        match (&mut *self, queue) {
            (Leaf::Empty, None) => {
                *self = Leaf::One(item);
                return None;
            }
            (Leaf::One(one), None) if one.key() == item.key() => {
                return Some(mem::replace(one, item));
            }
            _ => {}
        }
        self.crowd().insert(queue, item)
    }

    /// Takes out the item with this key, if it is here.
    pub(super) fn remove(&mut self, queue: Option<&[u8]>, key: u64) -> Option<T> {
        match self {
            Leaf::Empty => None,
            Leaf::One(one) => {
                if queue.is_some() || one.key() != key {
                    return None;
                }
                match mem::replace(self, Leaf::Empty) {
                    Leaf::One(item) => Some(item),
                    _ => None,
                }
            }
            Leaf::Many(crowd) => {
                let item = crowd.remove(queue, key);
                if crowd.groups.is_empty() && crowd.plain.items.len() <= 1 {
                    *self = match crowd.plain.items.pop() {
                        Some(last) => Leaf::One(last),
                        None => Leaf::Empty,
                    };
                }
                item
            }
        }
    }

    /// Shows every item, with its queue name if it has one, until `visit` breaks.
    pub(super) fn visit<'a, V>(&'a self, visit: &mut V) -> ControlFlow<()>
    where
        V: FnMut(Option<&'a [u8]>, &'a T) -> ControlFlow<()>,
    {
        match self {
            Leaf::Empty => ControlFlow::Continue(()),
            Leaf::One(item) => visit(None, item),
            Leaf::Many(crowd) => {
                crowd
                    .plain
                    .items
                    .iter()
                    .try_for_each(|item| visit(None, item))?;
                crowd.groups.iter().try_for_each(|group| {
                    let name = Some(&*group.name);
                    group
                        .members
                        .items
                        .iter()
                        .try_for_each(|item| visit(name, item))
                })
            }
        }
    }

    fn crowd(&mut self) -> &mut Crowd<T> {
        if !matches!(self, Leaf::Many(_)) {
            let mut crowd = Box::new(Crowd {
                plain: Members::new(),
                groups: Vec::new(),
            });
            if let Leaf::One(item) = mem::replace(self, Leaf::Empty) {
                crowd.plain.insert(item);
            }
            *self = Leaf::Many(crowd);
        }
        match self {
            Leaf::Many(crowd) => crowd,
            _ => unreachable!("made a crowd just above"),
        }
    }
}

impl<T: Keyed> Crowd<T> {
    fn insert(&mut self, queue: Option<&[u8]>, item: T) -> Option<T> {
        let Some(name) = queue else {
            return self.plain.insert(item);
        };
        let at = match self.group(name) {
            Ok(at) => at,
            Err(at) => {
                let group = Box::new(Group {
                    name: name.into(),
                    members: Members::new(),
                });
                if self.groups.is_empty() {
                    self.groups.reserve_exact(1);
                }
                self.groups.insert(at, group);
                at
            }
        };
        self.groups[at].members.insert(item)
    }

    fn remove(&mut self, queue: Option<&[u8]>, key: u64) -> Option<T> {
        let Some(name) = queue else {
            return self.plain.remove(key);
        };
        let at = self.group(name).ok()?;
        let item = self.groups[at].members.remove(key);
        if self.groups[at].members.items.is_empty() {
            self.groups.remove(at);
            shrink(&mut self.groups);
        }
        item
    }

    fn group(&self, name: &[u8]) -> Result<usize, usize> {
        self.groups
            .binary_search_by(|group| (*group.name).cmp(name))
    }
}

impl<T: Keyed> Members<T> {
    fn new() -> Self {
        Members {
            items: Vec::new(),
            positions: None,
        }
    }

    fn insert(&mut self, item: T) -> Option<T> {
        if let Some(at) = self.position(item.key()) {
            return Some(mem::replace(&mut self.items[at], item));
        }
        let at = position_of(self.items.len());
        if let Some(positions) = &mut self.positions {
            positions.0.insert(item.key(), at);
        }
        if self.items.is_empty() {
            self.items.reserve_exact(1);
        }
        self.items.push(item);
        if self.items.len() > INDEX_ABOVE && self.positions.is_none() {
            let keys = self.items.iter().map(Keyed::key);
            self.positions = Some(Box::new(Positions(keys.zip(0..).collect())));
        }
        None
    }

    fn remove(&mut self, key: u64) -> Option<T> {
        let at = self.position(key)?;
        let item = self.items.swap_remove(at);
        if let Some(positions) = &mut self.positions {
            let Positions(positions) = &mut **positions;
            positions.remove(&key);
            if let Some(moved) = self.items.get(at) {
                positions.insert(moved.key(), position_of(at));
            }
            if positions.len() * 4 < positions.capacity() {
                positions.shrink_to(positions.len() * 2);
            }
        }
        if self.items.len() <= INDEX_ABOVE / 2 {
            self.positions = None;
        }
        shrink(&mut self.items);
        Some(item)
    }

    fn position(&self, key: u64) -> Option<usize> {
        match &self.positions {
            Some(positions) => positions.0.get(&key).map(|at| *at as usize),
            None => self.items.iter().position(|item| item.key() == key),
        }
    }
}

fn position_of(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 items on a filter")
}

/// Gives memory back once three quarters of it are unused.
fn shrink<T>(items: &mut Vec<T>) {
    if items.len() * 4 <= items.capacity() {
        items.shrink_to(items.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(leaf: &Leaf<u64>) -> Vec<(Option<Vec<u8>>, u64)> {
        let mut seen = Vec::new();
        let _ = leaf.visit(&mut |queue, item| {
            seen.push((queue.map(<[u8]>::to_vec), *item));
            ControlFlow::Continue(())
        });
        seen.sort();
        seen
    }

    #[test]
    fn long_lists_keep_their_index_true() {
        for queue in [None, Some(&b"workers"[..])] {
            let mut leaf = Leaf::Empty;
            for key in 0..200u64 {
                assert_eq!(leaf.insert(queue, key), None);
                assert_eq!(leaf.insert(queue, key), Some(key), "the same key replaces");
            }
            // 7 and 200 have no common factor: an order unlike that of insertion.
            for n in 0..200u64 {
                let key = n * 7 % 200;
                assert_eq!(leaf.remove(queue, key), Some(key));
                assert_eq!(leaf.remove(queue, key), None);
                assert_eq!(keys(&leaf).len() as u64, 199 - n);
            }
            assert!(leaf.is_empty());
        }
    }

    #[test]
    fn queues_and_plain_items_are_apart() {
        let mut leaf = Leaf::Empty;
        leaf.insert(Some(b"q"), 1u64);
        leaf.insert(None, 1);
        leaf.insert(Some(b"p"), 1);
        let name = |text: &[u8]| Some(text.to_vec());
        assert_eq!(keys(&leaf), [(None, 1), (name(b"p"), 1), (name(b"q"), 1)]);
        assert_eq!(leaf.remove(Some(b"none"), 1), None);
        assert_eq!(leaf.remove(Some(b"p"), 1), Some(1));
        assert_eq!(leaf.remove(Some(b"q"), 1), Some(1));
        assert!(
            matches!(leaf, Leaf::One(1)),
            "a last plain item needs no crowd"
        );
        assert_eq!(leaf.remove(Some(b"q"), 1), None);
        assert_eq!(leaf.remove(None, 1), Some(1));
        assert!(leaf.is_empty());
    }
}

//! The edges of the tree: one flat hash table from (parent, token) to child.
//!
//! One table for the whole tree instead of a map in every node: a node with a single
//! child pays 8 to 21 bytes for it and a node without children nothing.
//!
//! Open addressing with linear probing; a deletion shifts the run back, so there are
//! no tombstones. The table knows hashes and ids only: the caller says whether a
//! candidate is the one it means. Invariants: at most three quarters of the slots are
//! in use, and at least a twelfth once the table is above its smallest size.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

use super::arena::{Id, NONE};

const SLOTS_MIN: usize = 8;
const EMPTY: Slot = Slot { hash: 0, id: NONE };

/// Children by the hash of their parent and token.
#[derive(Debug)]
pub(super) struct Edges {
    /// A power of two of slots, or none at all.
    slots: Vec<Slot>,
    len: usize,
    /// Seeded per table, so that clients cannot choose tokens that collide.
    seed: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    id: Id,
}

impl Edges {
    pub(super) fn new() -> Self {
        Edges {
            slots: Vec::new(),
            len: 0,
            seed: RandomState::default(),
        }
    }

    pub(super) fn hash(&self, parent: Id, token: &[u8]) -> u32 {
        let mut hasher = self.seed.build_hasher();
        hasher.write_u32(parent);
        hasher.write(token);
        (hasher.finish() >> 32) as u32
    }

    /// The entry with this hash that `is_it` accepts.
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(Id) -> bool) -> Option<Id> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            if slot.id == NONE {
                return None;
            }
            if slot.hash == hash && is_it(slot.id) {
                return Some(slot.id);
            }
            at = self.after(at);
        }
    }

    /// Adds an entry that MUST NOT be there yet.
    pub(super) fn insert(&mut self, hash: u32, id: Id) {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.resize((self.slots.len() * 2).max(SLOTS_MIN));
        }
        self.place(Slot { hash, id });
        self.len += 1;
    }

    /// Takes an entry out that MUST be there.
    pub(super) fn remove(&mut self, hash: u32, id: Id) {
        let mut hole = self.home(hash);
        while self.slots[hole].id != id {
            debug_assert_ne!(self.slots[hole].id, NONE, "the entry is in its run");
            hole = self.after(hole);
        }
        let mut at = hole;
        loop {
            at = self.after(at);
            let slot = self.slots[at];
            if slot.id == NONE {
                break;
            }
            // Moves back whatever would not be found any more behind the hole.
            let distance = at.wrapping_sub(self.home(slot.hash)) & (self.slots.len() - 1);
            let gap = at.wrapping_sub(hole) & (self.slots.len() - 1);
            if distance >= gap {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = EMPTY;
        self.len -= 1;
        if self.len == 0 {
            self.slots = Vec::new();
        } else if self.slots.len() > SLOTS_MIN && self.len * 12 < self.slots.len() {
            self.resize(self.slots.len() / 4);
        }
    }

    /// The number of places memory is held for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    fn place(&mut self, slot: Slot) {
        let mut at = self.home(slot.hash);
        while self.slots[at].id != NONE {
            at = self.after(at);
        }
        self.slots[at] = slot;
    }

    fn resize(&mut self, slots_len: usize) {
        let slots_len = slots_len.max(SLOTS_MIN);
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; slots_len]);
        for slot in old.into_iter().filter(|slot| slot.id != NONE) {
            self.place(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few distinct hashes, so that runs are long, wrap around and share homes.
        #[test]
        fn entries_are_found_until_they_are_removed(
            steps in vec((any::<bool>(), 0u32..64, 0u32..12), 0..200)
        ) {
            let mut edges = Edges::new();
            let mut model: HashMap<u32, u32> = HashMap::new();
            for (add, id, hash) in steps {
                if add && !model.contains_key(&id) {
                    edges.insert(hash, id);
                    model.insert(id, hash);
                } else if !add && let Some(hash) = model.remove(&id) {
                    edges.remove(hash, id);
                    prop_assert_eq!(edges.find(hash, |candidate| candidate == id), None);
                }
                for (id, hash) in &model {
                    let found = edges.find(*hash, |candidate| candidate == *id);
                    prop_assert_eq!(found, Some(*id));
                }
            }
            if model.is_empty() {
                prop_assert_eq!(edges.capacity(), 0);
            }
        }
    }
}

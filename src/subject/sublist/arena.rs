//! A slab of tree nodes addressed by 32-bit ids, in chunks of equal size.
//!
//! Separate from the tree because half-width ids instead of pointers are what keeps a
//! million subscriptions small, and because memory is given back here: growth never
//! moves a full chunk, and a chunk without a live node is freed.
//!
//! Invariants: an id stays valid until `remove`; a new node takes a free place in the
//! lowest chunk that has one, so that high chunks run empty.

use std::collections::BTreeSet;
use std::mem;

const CHUNK_BITS: u32 = 10;
const CHUNK_LEN: usize = 1 << CHUNK_BITS;
const LIVE: &str = "ids in the tree name live nodes";

/// The address of a node.
pub(super) type Id = u32;
/// The id of no node.
pub(super) const NONE: Id = Id::MAX;

/// Nodes by id.
#[derive(Debug)]
pub(super) struct Arena<N> {
    chunks: Vec<Chunk<N>>,
    /// Chunks that have room.
    open: BTreeSet<u32>,
}

#[derive(Debug)]
struct Chunk<N> {
    slots: Vec<Slot<N>>,
    /// Head of the list of free slots, an index within the chunk.
    free: u32,
    live: u32,
}

#[derive(Debug)]
enum Slot<N> {
    Used(N),
    Free { next: u32 },
}

impl<N> Arena<N> {
    pub(super) fn new() -> Self {
        Arena {
            chunks: Vec::new(),
            open: BTreeSet::new(),
        }
    }

    pub(super) fn get(&self, id: Id) -> &N {
        match &self.chunks[chunk_of(id)].slots[slot_of(id)] {
            Slot::Used(node) => node,
            Slot::Free { .. } => unreachable!("{LIVE}"),
        }
    }

    pub(super) fn get_mut(&mut self, id: Id) -> &mut N {
        match &mut self.chunks[chunk_of(id)].slots[slot_of(id)] {
            Slot::Used(node) => node,
            Slot::Free { .. } => unreachable!("{LIVE}"),
        }
    }

    pub(super) fn insert(&mut self, node: N) -> Id {
        let chunk_index = match self.open.first() {
            Some(index) => *index,
            None => {
                let index = u32::try_from(self.chunks.len()).expect("fewer than 2^22 chunks");
                self.chunks.push(Chunk::new());
                self.open.insert(index);
                index
            }
        };
        let chunk = &mut self.chunks[chunk_index as usize];
        // A first chunk grows by doubling: most sublists are small. Later ones start whole.
        if chunk.slots.capacity() == 0 && chunk_index > 0 {
            chunk.slots.reserve_exact(CHUNK_LEN);
        }
        let slot_index = chunk.insert(node);
        if chunk.is_full() {
            self.open.remove(&chunk_index);
        }
        (chunk_index << CHUNK_BITS) | slot_index
    }

    pub(super) fn remove(&mut self, id: Id) -> N {
        let chunk_index = chunk_of(id);
        let node = self.chunks[chunk_index].remove(slot_of(id));
        self.open.insert(id >> CHUNK_BITS);
        while self.chunks.last().is_some_and(|chunk| chunk.live == 0) {
            self.chunks.pop();
            self.open.remove(&(self.chunks.len() as u32));
        }
        node
    }

    /// All live nodes in the order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &N)> {
        self.chunks
            .iter()
            .enumerate()
            .flat_map(|(chunk_index, chunk)| {
                let base = (chunk_index << CHUNK_BITS) as u32;
                (base..)
                    .zip(&chunk.slots)
                    .filter_map(|(id, slot)| match slot {
                        Slot::Used(node) => Some((id, node)),
                        Slot::Free { .. } => None,
                    })
            })
    }

    /// The number of places memory is held for.
    pub(super) fn capacity(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.slots.capacity()).sum()
    }
}

impl<N> Chunk<N> {
    fn new() -> Self {
        Chunk {
            slots: Vec::new(),
            free: NONE,
            live: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.live as usize == CHUNK_LEN
    }

    fn insert(&mut self, node: N) -> u32 {
        self.live += 1;
        if self.free == NONE {
            self.slots.push(Slot::Used(node));
            return (self.slots.len() - 1) as u32;
        }
        let index = self.free;
        let slot = mem::replace(&mut self.slots[index as usize], Slot::Used(node));
        self.free = match slot {
            Slot::Free { next } => next,
            Slot::Used(_) => unreachable!("the free list names free slots"),
        };
        index
    }

    fn remove(&mut self, index: usize) -> N {
        let free = Slot::Free { next: self.free };
        let Slot::Used(node) = mem::replace(&mut self.slots[index], free) else {
            unreachable!("{LIVE}")
        };
        self.free = index as u32;
        self.live -= 1;
        if self.live == 0 {
            *self = Chunk::new();
        }
        node
    }
}

fn chunk_of(id: Id) -> usize {
    (id >> CHUNK_BITS) as usize
}

fn slot_of(id: Id) -> usize {
    id as usize & (CHUNK_LEN - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_follows_the_live_nodes() {
        let mut arena = Arena::new();
        let ids: Vec<Id> = (0..5 * CHUNK_LEN).map(|n| arena.insert(n)).collect();
        assert_eq!(arena.capacity(), 5 * CHUNK_LEN);
        for id in &ids[CHUNK_LEN..2 * CHUNK_LEN] {
            arena.remove(*id);
        }
        assert_eq!(arena.capacity(), 4 * CHUNK_LEN);
        assert_eq!(
            arena.insert(7),
            ids[CHUNK_LEN],
            "the lowest hole is taken first"
        );
        for id in &ids[2 * CHUNK_LEN..] {
            assert_eq!(arena.remove(*id), *id as usize);
        }
        assert_eq!(arena.iter().count(), CHUNK_LEN + 1);
        for id in &ids[..=CHUNK_LEN] {
            arena.remove(*id);
        }
        assert_eq!((arena.capacity(), arena.open.len()), (0, 0));
    }
}

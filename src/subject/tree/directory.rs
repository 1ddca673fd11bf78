//! The chunks of a tree in order, found by subject.
//!
//! Separate because finding the chunk is half of every lookup. All keys but the first share
//! a beginning; the eight bytes behind it stand beside each key as a number, so that most
//! of a search compares numbers that lie close together.
//!
//! Invariants: the first key is empty, the others ascend strictly and begin with `shared`;
//! `heads` has one element per chunk.

use std::sync::Arc;

use super::chunk::{self, Chunk};

/// The chunks of a tree.
#[derive(Clone, Debug)]
pub(super) struct Directory<V> {
    shared: Box<[u8]>,
    heads: Vec<u64>,
    chunks: Vec<Keyed<V>>,
}

/// A key, and the chunk with the subjects from there on.
type Keyed<V> = (Box<[u8]>, Arc<Chunk<V>>);

impl<V> Default for Directory<V> {
    fn default() -> Self {
        Directory {
            shared: Box::default(),
            heads: vec![0],
            chunks: vec![(Box::default(), Arc::default())],
        }
    }
}

impl<V> Directory<V> {
    /// The number of chunks; at least one.
    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// The chunks in order.
    pub(super) fn chunks(&self) -> impl Iterator<Item = &Chunk<V>> {
        self.chunks.iter().map(|(_, chunk)| &**chunk)
    }

    /// The chunk at a place.
    pub(super) fn get(&self, at: usize) -> Option<&Chunk<V>> {
        self.chunks.get(at).map(|(_, chunk)| &**chunk)
    }

    /// The key of the chunk at a place.
    #[cfg(test)]
    pub(super) fn key(&self, at: usize) -> &[u8] {
        &self.chunks[at].0
    }

    /// The chunk at a place, to be changed; the place MUST come from [`Directory::find`].
    pub(super) fn chunk_mut(&mut self, at: usize) -> &mut Arc<Chunk<V>> {
        &mut self.chunks[at].1
    }

    /// The place of the chunk in which a subject is if it is anywhere.
    pub(super) fn find(&self, subject: &[u8]) -> usize {
        if self.len() == 1 {
            return 0;
        }
        let Some(rest) = subject.strip_prefix(&*self.shared) else {
            let below = subject < &*self.shared;
            return if below { 0 } else { self.len() - 1 };
        };
        let head = head(rest);
        let below = self.heads[1..].partition_point(|other| *other < head);
        let first = below + 1;
        // Keys with the same head are told apart by the rest of them.
        let same = self.heads[first..].partition_point(|other| *other == head);
        let among = &self.chunks[first..first + same];
        below + among.partition_point(|(key, _)| **key <= *subject)
    }

    /// Puts a chunk in behind the one at `at`, whose subjects are all below `key`.
    pub(super) fn insert(&mut self, at: usize, key: Box<[u8]>, chunk: Chunk<V>) {
        let is_only = self.len() == 1;
        let shared = if is_only {
            key.len()
        } else {
            chunk::shared(&self.shared, &key)
        };
        self.chunks.insert(at + 1, (key, Arc::new(chunk)));
        if is_only || shared < self.shared.len() {
            self.shared = self.chunks[at + 1].0[..shared].into();
            let keys = self.chunks.iter().skip(1);
            self.heads.truncate(1);
            self.heads.extend(keys.map(|(key, _)| head(&key[shared..])));
        } else {
            let head = head(&self.chunks[at + 1].0[shared..]);
            self.heads.insert(at + 1, head);
        }
    }

    /// Takes a chunk out; never the first.
    pub(super) fn remove(&mut self, at: usize) -> Arc<Chunk<V>> {
        self.heads.remove(at);
        self.chunks.remove(at).1
    }
}

/// The first eight bytes as a number that sorts as they do.
fn head(bytes: &[u8]) -> u64 {
    let mut head = [0; 8];
    let len = bytes.len().min(8);
    head[..len].copy_from_slice(&bytes[..len]);
    u64::from_be_bytes(head)
}

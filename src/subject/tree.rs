//! The subject tree: a value per subject, in byte order, walked by filter.
//!
//! Separate from the sublist, which holds filters and is asked with a subject: here the
//! subjects are stored and the filter asks, a million keys are normal, and every byte per
//! key counts.
//!
//! ```text
//!   "" ─► chunk            "kv.k5" ─► chunk             "kv.q" ─► chunk
//!         kv.a  1                     prefix  kv.k5
//!         kv.b  2                     suffixes 0, 01, 07 …  values
//! ```
//! Subjects lie sorted in chunks of up to [`CHUNK_MAX`], each of which holds the beginning
//! that all of them share once. A walk does not visit what cannot match: at every subject
//! the filter tells ([`seek`]) where the next match can be at the earliest, and the walk
//! goes there.
//!
//! Invariants: the key of a chunk is at most its first subject and above all subjects of
//! the chunk before; there is always a chunk with the empty key; none but that is empty.
//! A copy of the tree shares the chunks until one of the two changes, so a copy is cheap
//! and may be read by another thread. Absent: no limit on subjects, no validity checks:
//! any bytes are a subject, but those with empty tokens are matched by no filter.

pub mod seek;

mod chunk;

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use super::filters::Filters;
use chunk::Chunk;
use seek::Seek;

/// The most subjects in a chunk.
pub const CHUNK_MAX: usize = 64;
/// With fewer, a chunk takes the next in if both fit.
const CHUNK_MIN: usize = 16;

/// A value per subject.
#[derive(Clone, Debug)]
pub struct Tree<V> {
    chunks: BTreeMap<Box<[u8]>, Arc<Chunk<V>>>,
    len: usize,
}

impl<V> Default for Tree<V> {
    fn default() -> Self {
        Tree {
            chunks: BTreeMap::from([(Box::default(), Arc::default())]),
            len: 0,
        }
    }
}

impl<V> Tree<V> {
    /// A tree without subjects.
    pub fn new() -> Self {
        Tree::default()
    }

    /// The number of subjects.
    pub fn len(&self) -> usize {
        self.len
    }

    /// There is no subject.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all subjects.
    pub fn clear(&mut self) {
        *self = Tree::default();
    }

    /// The value of a subject.
    pub fn get(&self, subject: &[u8]) -> Option<&V> {
        let (_, chunk) = self.floor(subject);
        let at = chunk.find(subject).ok()?;
        Some(chunk.value(at))
    }

    /// Visits all subjects in byte order, until `each` breaks.
    pub fn iter(&self, mut each: impl FnMut(&[u8], &V) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut subject = Vec::new();
        for chunk in self.chunks.values() {
            for at in 0..chunk.len() {
                chunk.subject(at, &mut subject);
                each(&subject, chunk.value(at))?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Visits the subjects that one filter matches, in byte order, until `each` breaks.
    pub fn walk(
        &self,
        filter: &[u8],
        each: impl FnMut(&[u8], &V) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.walk_by(&|subject| seek::seek(filter, subject), each)
    }

    /// Visits the subjects that any of the filters matches, each once, in byte order, until
    /// `each` breaks.
    pub fn walk_filters(
        &self,
        filters: &Filters,
        mut each: impl FnMut(&[u8], &V) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if filters.is_all() {
            return self.iter(each);
        }
        if filters.patterns().is_empty() {
            for literal in filters.literals() {
                if let Some(value) = self.get(literal) {
                    each(literal, value)?;
                }
            }
            return ControlFlow::Continue(());
        }
        self.walk_by(&|subject| seek::seek_any(filters, subject), each)
    }

    fn walk_by(
        &self,
        seek: &dyn Fn(&[u8]) -> Seek,
        mut each: impl FnMut(&[u8], &V) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut subject = Vec::new();
        let mut chunks = self.chunks.range::<[u8], _>(..);
        let mut chunk = chunks.next().map(|(_, chunk)| chunk);
        let mut at = 0;
        while let Some(here) = chunk {
            if at >= here.len() {
                (chunk, at) = (chunks.next().map(|(_, chunk)| chunk), 0);
                continue;
            }
            here.subject(at, &mut subject);
            match seek(&subject) {
                Seek::Match => {
                    each(&subject, here.value(at))?;
                    at += 1;
                }
                Seek::Next => at += 1,
                Seek::End => break,
                Seek::To(target) => {
                    at = here.find(&target).unwrap_or_else(|at| at);
                    if at >= here.len() {
                        // What is behind this chunk may be many chunks behind.
                        let (key, there) = self.floor(&target);
                        let behind = (Bound::Excluded(key), Bound::Unbounded);
                        chunks = self.chunks.range::<[u8], _>(behind);
                        at = there.find(&target).unwrap_or_else(|at| at);
                        chunk = Some(there);
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The chunk in which a subject is if it is anywhere, and the chunk's key.
    fn floor(&self, subject: &[u8]) -> (&[u8], &Arc<Chunk<V>>) {
        let upto = (Bound::Unbounded, Bound::Included(subject));
        let floor = self.chunks.range::<[u8], _>(upto).next_back();
        let (key, chunk) = floor.expect("there is a chunk with the empty key");
        (key, chunk)
    }
}

impl<V: Clone> Tree<V> {
    /// The value of a subject, to be changed.
    pub fn get_mut(&mut self, subject: &[u8]) -> Option<&mut V> {
        let chunk = self.floor_mut(subject);
        let at = chunk.find(subject).ok()?;
        Some(Arc::make_mut(chunk).value_mut(at))
    }

    /// Sets the value of a subject and returns the one before.
    pub fn insert(&mut self, subject: &[u8], value: V) -> Option<V> {
        let chunk = self.floor_mut(subject);
        match chunk.find(subject) {
            Ok(at) => {
                let before = Arc::make_mut(chunk).value_mut(at);
                Some(std::mem::replace(before, value))
            }
            Err(at) => {
                self.insert_new(subject, at, value);
                None
            }
        }
    }

    /// Changes the value of a subject, or gives it one.
    pub fn upsert(&mut self, subject: &[u8], change: impl FnOnce(&mut V), new: impl FnOnce() -> V) {
        let chunk = self.floor_mut(subject);
        match chunk.find(subject) {
            Ok(at) => change(Arc::make_mut(chunk).value_mut(at)),
            Err(at) => self.insert_new(subject, at, new()),
        }
    }

    /// Takes a subject out and returns its value.
    pub fn remove(&mut self, subject: &[u8]) -> Option<V> {
        let chunk = self.floor_mut(subject);
        let at = chunk.find(subject).ok()?;
        let value = Arc::make_mut(chunk).remove(at);
        let left = chunk.len();
        self.len -= 1;
        if left < CHUNK_MIN {
            self.merge(subject, left);
        }
        Some(value)
    }

    /// Puts a new subject into its chunk, at the place that `find` told.
    fn insert_new(&mut self, subject: &[u8], at: usize, value: V) {
        self.len += 1;
        let chunk = Arc::make_mut(self.floor_mut(subject));
        if chunk.len() < CHUNK_MAX {
            chunk.insert(at, subject, value);
            return;
        }
        // Ascending subjects leave full chunks behind.
        let keep = if at == CHUNK_MAX { at } else { CHUNK_MAX / 2 };
        let mut upper = chunk.split(keep);
        let mut first = Vec::new();
        if at >= keep {
            upper.insert(at - keep, subject, value);
        } else {
            chunk.insert(at, subject, value);
        }
        upper.subject(0, &mut first);
        let mut last = Vec::new();
        chunk.subject(chunk.len() - 1, &mut last);
        // The shortest key that tells the two chunks apart.
        let shared = chunk::shared(&last, &first);
        first.truncate(shared + 1);
        self.chunks.insert(first.into(), Arc::new(upper));
    }

    /// Takes the next chunk into the one of `subject`, which has `left` subjects, if both
    /// fit; an empty chunk goes.
    fn merge(&mut self, subject: &[u8], left: usize) {
        let key: Box<[u8]> = self.floor(subject).0.into();
        if left == 0 && !key.is_empty() {
            self.chunks.remove(&key);
            return;
        }
        let behind = (Bound::Excluded(&*key), Bound::Unbounded);
        let next = self.chunks.range::<[u8], _>(behind).next();
        let Some((next, more)) = next else { return };
        if left + more.len() > CHUNK_MAX / 2 {
            return;
        }
        let (next, more) = (next.clone(), Arc::clone(more));
        self.chunks.remove(&next);
        let chunk = Arc::make_mut(self.floor_mut(subject));
        let mut moved = Vec::new();
        for at in 0..more.len() {
            more.subject(at, &mut moved);
            chunk.insert(chunk.len(), &moved, more.value(at).clone());
        }
    }

    fn floor_mut(&mut self, subject: &[u8]) -> &mut Arc<Chunk<V>> {
        let upto = (Bound::Unbounded, Bound::Included(subject));
        let floor = self.chunks.range_mut::<[u8], _>(upto).next_back();
        floor.expect("there is a chunk with the empty key").1
    }
}

#[cfg(test)]
mod tests;

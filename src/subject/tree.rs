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
mod directory;

use std::ops::ControlFlow;
use std::sync::Arc;

use super::filters::Filters;
use directory::Directory;
use seek::Seek;

/// The most subjects in a chunk.
pub const CHUNK_MAX: usize = 128;
/// With fewer, a chunk takes the next in if both fit.
const CHUNK_MIN: usize = 32;

/// A value per subject.
#[derive(Clone, Debug)]
pub struct Tree<V> {
    chunks: Directory<V>,
    len: usize,
}

impl<V> Default for Tree<V> {
    fn default() -> Self {
        Tree {
            chunks: Directory::default(),
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
        let chunk = self.chunks.get(self.chunks.find(subject))?;
        let at = chunk.find(subject).ok()?;
        Some(chunk.value(at))
    }

    /// Visits all subjects in byte order, until `each` breaks.
    pub fn iter(&self, mut each: impl FnMut(&[u8], &V) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut subject = Vec::new();
        for chunk in self.chunks.chunks() {
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
        let mut chunk = 0;
        let mut at = 0;
        while let Some(here) = self.chunks.get(chunk) {
            if at >= here.len() {
                (chunk, at) = (chunk + 1, 0);
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
                    if at < here.len() {
                        continue;
                    }
                    // What is behind this chunk may be many chunks behind.
                    chunk = self.chunks.find(&target);
                    let there = self.chunks.get(chunk);
                    at = there.map_or(0, |there| there.find(&target).unwrap_or_else(|at| at));
                }
            }
        }
        ControlFlow::Continue(())
    }
}

impl<V: Clone> Tree<V> {
    /// The value of a subject, to be changed.
    pub fn get_mut(&mut self, subject: &[u8]) -> Option<&mut V> {
        let place = self.chunks.find(subject);
        let chunk = self.chunks.chunk_mut(place);
        let at = chunk.find(subject).ok()?;
        Some(Arc::make_mut(chunk).value_mut(at))
    }

    /// Sets the value of a subject and returns the one before.
    pub fn insert(&mut self, subject: &[u8], value: V) -> Option<V> {
        let place = self.chunks.find(subject);
        let chunk = self.chunks.chunk_mut(place);
        match chunk.find(subject) {
            Ok(at) => {
                let before = Arc::make_mut(chunk).value_mut(at);
                Some(std::mem::replace(before, value))
            }
            Err(at) => {
                self.insert_new(subject, place, at, value);
                None
            }
        }
    }

    /// Changes the value of a subject, or gives it one.
    pub fn upsert(&mut self, subject: &[u8], change: impl FnOnce(&mut V), new: impl FnOnce() -> V) {
        let place = self.chunks.find(subject);
        let chunk = self.chunks.chunk_mut(place);
        match chunk.find(subject) {
            Ok(at) => change(Arc::make_mut(chunk).value_mut(at)),
            Err(at) => self.insert_new(subject, place, at, new()),
        }
    }

    /// Takes a subject out and returns its value.
    pub fn remove(&mut self, subject: &[u8]) -> Option<V> {
        let place = self.chunks.find(subject);
        let chunk = self.chunks.chunk_mut(place);
        let at = chunk.find(subject).ok()?;
        let value = Arc::make_mut(chunk).remove(at);
        let left = chunk.len();
        self.len -= 1;
        if left == 0 && place > 0 {
            self.chunks.remove(place);
        } else if left < CHUNK_MIN {
            self.merge(place, left);
        }
        Some(value)
    }

    /// Puts a new subject into its chunk, at the place that `find` told.
    fn insert_new(&mut self, subject: &[u8], place: usize, at: usize, value: V) {
        self.len += 1;
        let chunk = Arc::make_mut(self.chunks.chunk_mut(place));
        if chunk.len() < CHUNK_MAX {
            chunk.insert(at, subject, value);
            return;
        }
        // Ascending subjects leave full chunks behind.
        let keep = if at == CHUNK_MAX { at } else { CHUNK_MAX / 2 };
        let mut upper = chunk.split(keep);
        if at >= keep {
            upper.insert(at - keep, subject, value);
        } else {
            chunk.insert(at, subject, value);
        }
        let (mut first, mut last) = (Vec::new(), Vec::new());
        upper.subject(0, &mut first);
        chunk.subject(chunk.len() - 1, &mut last);
        // The shortest key that tells the two chunks apart.
        let shared = chunk::shared(&last, &first);
        first.truncate(shared + 1);
        self.chunks.insert(place, first.into(), upper);
    }

    /// Takes the next chunk into the one at `place`, which has `left` subjects, if both fit
    /// with room to spare.
    fn merge(&mut self, place: usize, left: usize) {
        let next = self.chunks.get(place + 1);
        if next.is_none_or(|next| left + next.len() > CHUNK_MAX / 2) {
            return;
        }
        let more = self.chunks.remove(place + 1);
        let chunk = Arc::make_mut(self.chunks.chunk_mut(place));
        let mut moved = Vec::new();
        for at in 0..more.len() {
            more.subject(at, &mut moved);
            chunk.insert(chunk.len(), &moved, more.value(at).clone());
        }
    }
}

#[cfg(test)]
mod tests;

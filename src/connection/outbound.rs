//! Bytes waiting to be written on one link, bounded.
//!
//! Small pieces are copied into the last buffer; a large body shared by many receivers is
//! held by reference, and so is, until it has to wait, one that was lent ([`room`]).
//! Buffers come from the thread's pool and go back when written, so an idle link holds
//! none.
//!
//! Invariants: `bytes()` is the sum of what was appended and not yet taken off by
//! [`Queue::advance`]; order is kept; a settled queue has nothing that was lent. Absent:
//! sockets, locks.
//!
//! [`room`]: super::room

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use super::pool::{self, CHUNK_BYTES};

/// A body of at least this size that goes to more than one receiver is shared, not copied.
pub const SHARE_MIN_BYTES: usize = 4096;
/// A buffer of less than four times this is not worth shrinking.
const SHRINK_MIN_BYTES: usize = 1024;
/// A smaller buffer is copied into the last one rather than taken over.
const COPY_MAX_BYTES: usize = 8192;
/// Slices of one vectored write.
const SLICES_MAX: usize = 64;

#[derive(Debug)]
enum Chunk {
    Owned(Vec<u8>),
    Shared(Bytes),
    /// A slice of a room that is waited for.
    Lent(Bytes),
}

impl Chunk {
    fn as_slice(&self) -> &[u8] {
        match self {
            Chunk::Owned(bytes) => bytes,
            Chunk::Shared(bytes) | Chunk::Lent(bytes) => bytes,
        }
    }
}

/// Bytes in order.
#[derive(Debug, Default)]
pub struct Queue {
    /// Older chunks; the first `skip` bytes of the first are written.
    older: VecDeque<Chunk>,
    /// Where small pieces go.
    tail: Vec<u8>,
    /// Written bytes of the first chunk (of `tail` if `older` is empty).
    skip: usize,
    bytes: usize,
}

impl Queue {
    /// Bytes not yet taken off.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends what `write` puts into the buffer it is given; `len` is how much that will
    /// be, so that a buffer does not grow past its size.
    pub fn append(&mut self, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if self.tail.capacity() == 0 {
            self.tail = pool::take();
        } else if self.tail.len() + len > CHUNK_BYTES && !self.tail.is_empty() {
            let mut next = pool::take();
            // As much again is likely, and to grow step by step copies it twice.
            next.reserve(CHUNK_BYTES);
            let full = std::mem::replace(&mut self.tail, next);
            self.older.push_back(Chunk::Owned(full));
        }
        pool::reserve(&mut self.tail, len);
        let before = self.tail.len();
        write(&mut self.tail);
        self.bytes += self.tail.len() - before;
    }

    /// Appends a whole buffer: by taking it over, or by copying if it is small.
    pub fn append_buffer(&mut self, buffer: Vec<u8>) {
        self.bytes += buffer.len();
        if self.tail.is_empty() {
            pool::give(std::mem::replace(&mut self.tail, buffer));
        } else if buffer.len() < COPY_MAX_BYTES && self.tail.len() + buffer.len() <= CHUNK_BYTES {
            pool::reserve(&mut self.tail, buffer.len());
            self.tail.extend_from_slice(&buffer);
            pool::give(buffer);
        } else {
            let full = std::mem::replace(&mut self.tail, buffer);
            self.older.push_back(Chunk::Owned(full));
        }
    }

    /// Appends bytes by reference.
    pub fn append_shared(&mut self, bytes: Bytes) {
        self.push(Chunk::Shared(bytes));
    }

    /// Appends bytes by reference that must not be held for long: see [`Queue::settle`].
    pub fn append_lent(&mut self, bytes: Bytes) {
        self.push(Chunk::Lent(bytes));
    }

    fn push(&mut self, chunk: Chunk) {
        if !self.tail.is_empty() {
            let full = std::mem::take(&mut self.tail);
            self.older.push_back(Chunk::Owned(full));
        }
        self.bytes += chunk.as_slice().len();
        self.older.push_back(chunk);
    }

    /// Copies what was lent, and the small pieces around it, into buffers of its own.
    pub fn settle(&mut self) {
        let is_lent = |chunk: &Chunk| matches!(chunk, Chunk::Lent(_));
        if !self.older.iter().any(is_lent) {
            return;
        }
        let older = std::mem::take(&mut self.older);
        let tail = Chunk::Owned(std::mem::take(&mut self.tail));
        let mut skip = std::mem::take(&mut self.skip);
        self.bytes = 0;
        for chunk in older.into_iter().chain([tail]) {
            match chunk {
                Chunk::Lent(bytes) => self.append_copy(&bytes[skip..]),
                Chunk::Owned(buffer) if buffer.len() - skip < COPY_MAX_BYTES => {
                    self.append_copy(&buffer[skip..]);
                    pool::give(buffer);
                }
                large => {
                    self.push(large);
                    // Only the first chunk has written bytes.
                    self.skip += skip;
                    self.bytes -= skip;
                }
            }
            skip = 0;
        }
    }

    fn append_copy(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.append(bytes.len(), |out| out.extend_from_slice(bytes));
        }
    }

    /// The bytes as slices for one vectored write; `slices` is filled from the front.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let tail = (!self.tail.is_empty()).then_some(self.tail.as_slice());
        let chunks = self.older.iter().map(Chunk::as_slice).chain(tail);
        let mut skip = self.skip;
        let mut count = 0;
        for (slot, chunk) in slices.iter_mut().zip(chunks) {
            *slot = IoSlice::new(&chunk[skip..]);
            skip = 0;
            count += 1;
        }
        count
    }

    /// An array for [`Queue::slices`].
    pub fn no_slices<'a>() -> [IoSlice<'a>; SLICES_MAX] {
        [IoSlice::new(&[]); SLICES_MAX]
    }

    /// The first bytes in one piece.
    pub fn front(&self) -> &[u8] {
        match self.older.front() {
            Some(chunk) => &chunk.as_slice()[self.skip..],
            None => self.tail.get(self.skip..).unwrap_or_default(),
        }
    }

    /// The queue is one piece, as it mostly is: a plain write will do.
    pub fn is_one_piece(&self) -> bool {
        self.older.is_empty()
    }

    /// Takes off bytes that were written.
    pub fn advance(&mut self, mut written: usize) {
        debug_assert!(written <= self.bytes);
        self.bytes -= written;
        while let Some(chunk) = self.older.front() {
            let left = chunk.as_slice().len() - self.skip;
            if written < left {
                self.skip += written;
                return;
            }
            written -= left;
            self.skip = 0;
            if let Some(Chunk::Owned(buffer)) = self.older.pop_front() {
                pool::give(buffer);
            }
        }
        self.skip += written;
        if self.skip == self.tail.len() {
            self.skip = 0;
            pool::give(std::mem::take(&mut self.tail));
            if self.older.capacity() > 2 * SLICES_MAX {
                self.older = VecDeque::new();
            }
        }
    }

    /// Puts `later` behind what is left here. Both keep their order.
    pub fn extend(&mut self, mut later: Queue) {
        if self.is_empty() {
            std::mem::swap(self, &mut later);
        } else if !later.is_empty() {
            debug_assert_eq!(later.skip, 0);
            if !self.tail.is_empty() {
                let tail = std::mem::take(&mut self.tail);
                self.older.push_back(Chunk::Owned(tail));
            }
            self.older.append(&mut later.older);
            self.tail = std::mem::take(&mut later.tail);
            self.bytes += later.bytes;
            later.bytes = 0;
        }
        later.clear();
    }

    /// Lets go of room that the waiting bytes do not need, when they may wait for long.
    pub fn shrink(&mut self) {
        let waiting = self.tail.len() - if self.older.is_empty() { self.skip } else { 0 };
        if self.tail.capacity() < 4 * waiting.max(SHRINK_MIN_BYTES) {
            return;
        }
        let from = self.tail.len() - waiting;
        let mut small = Vec::new();
        pool::reserve(&mut small, waiting);
        small.extend_from_slice(&self.tail[from..]);
        pool::give(std::mem::replace(&mut self.tail, small));
        if self.older.is_empty() {
            self.skip = 0;
        }
    }

    /// Drops everything; buffers go back to the pool.
    pub fn clear(&mut self) {
        for chunk in std::mem::take(&mut self.older) {
            if let Chunk::Owned(buffer) = chunk {
                pool::give(buffer);
            }
        }
        pool::give(std::mem::take(&mut self.tail));
        self.skip = 0;
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Append(usize),
        Buffer(usize),
        Share(usize),
        Lend(usize),
        Write(usize),
        Split,
        Settle,
        Shrink,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0usize..40_000).prop_map(Step::Append),
            (0usize..20_000).prop_map(Step::Buffer),
            (1usize..10_000).prop_map(Step::Share),
            (1usize..40_000).prop_map(Step::Lend),
            (0usize..100_000).prop_map(Step::Write),
            Just(Step::Settle),
            Just(Step::Split),
            Just(Step::Shrink),
        ];
        prop::collection::vec(step, 0..40)
    }

    fn contents(queue: &Queue) -> Vec<u8> {
        let mut copy = Vec::new();
        let tail = std::iter::once(queue.tail.as_slice());
        for (at, chunk) in queue
            .older
            .iter()
            .map(Chunk::as_slice)
            .chain(tail)
            .enumerate()
        {
            let skip = if at == 0 { queue.skip } else { 0 };
            copy.extend_from_slice(&chunk[skip..]);
        }
        copy
    }

    proptest! {
        #[test]
        fn behaves_like_one_long_buffer(steps in steps()) {
            let (mut queue, mut model, mut next) = (Queue::default(), Vec::new(), 0u8);
            for step in steps {
                next = next.wrapping_add(1);
                match step {
                    Step::Append(len) => {
                        queue.append(len, |out| out.resize(out.len() + len, next));
                        model.resize(model.len() + len, next);
                    }
                    Step::Buffer(len) => {
                        queue.append_buffer(vec![next; len]);
                        model.resize(model.len() + len, next);
                    }
                    Step::Share(len) => {
                        queue.append_shared(Bytes::from(vec![next; len]));
                        model.resize(model.len() + len, next);
                    }
                    Step::Write(len) => {
                        let mut slices = Queue::no_slices();
                        let count = queue.slices(&mut slices);
                        let offered: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
                        prop_assert!(model.starts_with(&offered));
                        prop_assert!(model.starts_with(queue.front()));
                        prop_assert!(!offered.is_empty() || model.is_empty());
                        let len = len.min(offered.len());
                        queue.advance(len);
                        model.drain(..len);
                    }
                    Step::Lend(len) => {
                        queue.append_lent(Bytes::from(vec![next; len]));
                        model.resize(model.len() + len, next);
                    }
                    Step::Settle => {
                        queue.settle();
                        prop_assert!(!queue.older.iter().any(|c| matches!(c, Chunk::Lent(_))));
                    }
                    Step::Shrink => queue.shrink(),
                    Step::Split => {
                        let mut taken = std::mem::take(&mut queue);
                        queue.append(3, |out| out.extend_from_slice(b"end"));
                        model.extend_from_slice(b"end");
                        taken.extend(std::mem::take(&mut queue));
                        queue = taken;
                    }
                }
                prop_assert_eq!(queue.bytes(), model.len());
            }
            prop_assert_eq!(contents(&queue), model);
        }
    }
}

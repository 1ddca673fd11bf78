//! Write buffers, lent to links that have something to write.
//!
//! Each thread keeps the buffers it got back, the last one first: the one that is still
//! in the cache. Under load they have grown, at rest links hold none, and a thread that
//! rests gives its own back too ([`rest`]): a kept buffer costs more than its size, since
//! the allocator cannot return the neighbourhood it was cut from. What a thread has no
//! place for is kept for all: a receiver that is behind takes buffers on its publisher's
//! thread and gives them back on its own.
//!
//! Invariants: a buffer handed out is empty; a thread keeps at most `KEPT_BYTES_MAX`, all
//! together `COMMON_BYTES_MAX` besides; what nobody asked for between two rests is freed;
//! the common lock is taken only at a rest, and when the thread's own buffers have run out
//! or over.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// A write buffer is full at this size; more goes into the next. Larger ones would come
/// from regions of 4 MiB in the allocator instead of 512 KiB, and one buffer that is in
/// use holds its whole region.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Capacity a thread keeps.
const KEPT_BYTES_MAX: usize = 4 << 20;
/// Capacity that is kept for all threads.
const COMMON_BYTES_MAX: usize = 8 << 20;
/// A smaller buffer is not worth the common lock.
const COMMON_MIN_BYTES: usize = CHUNK_BYTES / 2;
/// Capacity a fresh buffer begins with.
const FIRST_BYTES: usize = 512;
/// Rests after the last use in which memory is still collected: the allocator takes about
/// a second before it returns what was freed.
const COLLECTIONS: u32 = 5;
/// An allocation that is not served by the allocator's shortest path, which does no
/// housekeeping.
const ASIDE_BYTES: usize = 2048;
/// So many of them and the allocator puts its house in order: it collects what other
/// threads have freed and returns free memory to the system.
const ASIDE_ALLOCATIONS: usize = 10_000;

#[derive(Default)]
struct Pool {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
    /// So many, the oldest, were never asked for since the last rest.
    unused: usize,
    /// Rests left in which memory is collected.
    collections: u32,
}

impl Pool {
    fn pop(&mut self) -> Option<Vec<u8>> {
        let buffer = self.buffers.pop()?;
        self.bytes -= buffer.capacity();
        self.unused = self.unused.min(self.buffers.len());
        Some(buffer)
    }

    /// Keeps `buffer` if there is room for it within `max`.
    fn push(&mut self, buffer: Vec<u8>, max: usize) -> Option<Vec<u8>> {
        let bytes = self.bytes + buffer.capacity();
        if bytes > max {
            return Some(buffer);
        }
        self.bytes = bytes;
        self.buffers.push(buffer);
        None
    }

    /// Frees what was not asked for since the last call; true if there was something.
    fn drop_unused(&mut self) -> bool {
        let some = self.unused > 0;
        for buffer in self.buffers.drain(..self.unused) {
            self.bytes -= buffer.capacity();
        }
        self.unused = self.buffers.len();
        if self.buffers.is_empty() {
            self.buffers = Vec::new();
        }
        some
    }
}

static COMMON: Mutex<Pool> = Mutex::new(Pool {
    buffers: Vec::new(),
    bytes: 0,
    unused: 0,
    collections: 0,
});
/// Whether there may be something in `COMMON`: only a hint.
static HAS_COMMON: AtomicBool = AtomicBool::new(false);

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// An empty buffer.
pub fn take() -> Vec<u8> {
    POOL.with_borrow_mut(Pool::pop)
        .or_else(take_common)
        .unwrap_or_else(|| {
            collect_soon();
            Vec::with_capacity(FIRST_BYTES)
        })
}

fn take_common() -> Option<Vec<u8>> {
    if !HAS_COMMON.load(Ordering::Relaxed) {
        return None;
    }
    let mut common = COMMON.lock();
    let buffer = common.pop();
    HAS_COMMON.store(!common.buffers.is_empty(), Ordering::Relaxed);
    buffer
}

/// Takes a buffer back; frees it if it is too large or the pools are full.
pub fn give(mut buffer: Vec<u8>) {
    let capacity = buffer.capacity();
    if capacity == 0 || capacity > 2 * CHUNK_BYTES {
        return;
    }
    buffer.clear();
    let over = POOL.with_borrow_mut(|pool| pool.push(buffer, KEPT_BYTES_MAX));
    if let Some(over) = over.filter(|_| capacity >= COMMON_MIN_BYTES) {
        let over = COMMON.lock().push(over, COMMON_BYTES_MAX);
        HAS_COMMON.store(true, Ordering::Relaxed);
        drop(over);
    }
}

/// Room for `len` more bytes. Up to a full buffer capacities are powers of two: the
/// allocator keeps apart what differs in size, so every odd size would hold memory of its
/// own.
pub fn reserve(buffer: &mut Vec<u8>, len: usize) {
    let needed = buffer.len() + len;
    if needed > buffer.capacity() {
        let capacity = match needed {
            0..=CHUNK_BYTES => needed.next_power_of_two(),
            _ => needed,
        };
        buffer.reserve_exact(capacity - buffer.len());
    }
}

/// Something of this thread has ended: memory is collected in the next rests.
pub fn collect_soon() {
    POOL.with_borrow_mut(|pool| pool.collections = COLLECTIONS);
}

/// Frees what this thread has not needed since the last call. For each thread that has
/// links, once in a while, also and above all when it has nothing else to do.
pub fn rest() {
    let common = HAS_COMMON.load(Ordering::Relaxed) && COMMON.lock().drop_unused();
    let collect = POOL.with_borrow_mut(|pool| {
        if pool.drop_unused() || common {
            pool.collections = COLLECTIONS;
        }
        let collect = pool.collections > 0;
        pool.collections = pool.collections.saturating_sub(1);
        collect
    });
    if collect {
        collect_memory();
    }
}

/// The allocator does its housekeeping now and then while it is used; on a server at rest
/// nobody uses it, and what a burst has left stays. It has a call for that, but none that
/// is safe.
fn collect_memory() {
    for _ in 0..ASIDE_ALLOCATIONS {
        drop(black_box(Vec::<u8>::with_capacity(ASIDE_BYTES)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_and_grown() {
        let mut buffer = take();
        buffer.extend_from_slice(&[1; 10_000]);
        give(buffer);
        let again = take();
        assert!(again.is_empty() && again.capacity() >= 10_000);
    }

    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "another thread's pool is looked at"
    )]
    fn pools_are_bounded_and_what_is_over_is_everybodys() {
        for _ in 0..1000 {
            give(Vec::with_capacity(CHUNK_BYTES));
        }
        assert_eq!(kept().1, KEPT_BYTES_MAX);
        assert!(COMMON.lock().bytes <= COMMON_BYTES_MAX);
        give(Vec::with_capacity(10 * CHUNK_BYTES));
        assert_eq!(kept().1, KEPT_BYTES_MAX);
        // Other tests take and give, too.
        let found = std::thread::spawn(|| (0..1000).any(|_| take().capacity() >= CHUNK_BYTES));
        assert!(found.join().expect("no fault"));
    }

    fn kept() -> (usize, usize) {
        POOL.with_borrow(|pool| (pool.buffers.len(), pool.bytes))
    }

    #[test]
    fn what_is_not_needed_between_two_rests_is_freed() {
        for _ in 0..5 {
            give(Vec::with_capacity(1024));
        }
        rest();
        assert_eq!(kept(), (5, 5 * 1024), "all were given back just now");
        let two = [take(), take()];
        two.into_iter().for_each(give);
        rest();
        assert_eq!(kept(), (2, 2 * 1024), "two were in use together");
        give(take());
        rest();
        assert_eq!(kept(), (1, 1024));
        rest();
        assert_eq!(kept(), (0, 0));
    }

    #[test]
    fn room_comes_in_powers_of_two() {
        let check = |filled: usize, len, expected| {
            // Not one of the pool's: those have grown already.
            let mut buffer = Vec::with_capacity(FIRST_BYTES);
            buffer.resize(filled, 0);
            reserve(&mut buffer, len);
            assert_eq!(buffer.capacity(), expected, "{filled} and {len}");
        };
        check(0, FIRST_BYTES, FIRST_BYTES);
        check(500, 100, 1024);
        check(100, 5000, 8192);
        check(100, 50_000, CHUNK_BYTES);
        check(0, 5 * CHUNK_BYTES + 1, 5 * CHUNK_BYTES + 1);
    }
}

//! Write buffers, lent to links that have something to write.
//!
//! Each thread keeps the buffers it got back, the last one first: the one that is still
//! in the cache. Under load they have grown, at rest links hold none, and a thread that
//! rests gives its own back too ([`rest`]): a kept buffer costs more than its size, since
//! the allocator cannot return the neighbourhood it was cut from.
//!
//! Invariants: a buffer handed out is empty; a thread keeps at most `KEPT_BYTES_MAX`; what
//! nobody asked for between two rests is freed.

use std::cell::RefCell;
use std::hint::black_box;

/// A write buffer is full at this size; more goes into the next. Larger ones would come
/// from regions of 4 MiB in the allocator instead of 512 KiB, and one buffer that is in
/// use holds its whole region.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Capacity a thread keeps.
const KEPT_BYTES_MAX: usize = 4 << 20;
/// Capacity a fresh buffer begins with.
const FIRST_BYTES: usize = 512;
/// Rests after the last use in which memory is still collected: the allocator takes about
/// a second before it returns what was freed.
const COLLECTIONS: u32 = 5;
/// An allocation that is not served by the allocator's shortest path, which does no
/// housekeeping.
const ASIDE_BYTES: usize = 2048;
/// So many of them and the allocator puts its house in order: it collects what other
/// threads have freed and returns free memory to the system. Takes 0.3 ms.
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

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// An empty buffer.
pub fn take() -> Vec<u8> {
    POOL.with_borrow_mut(|pool| match pool.buffers.pop() {
        Some(buffer) => {
            pool.bytes -= buffer.capacity();
            pool.unused = pool.unused.min(pool.buffers.len());
            buffer
        }
        None => {
            pool.collections = COLLECTIONS;
            Vec::with_capacity(FIRST_BYTES)
        }
    })
}

/// Takes a buffer back; frees it if it is too large or the pool is full.
pub fn give(mut buffer: Vec<u8>) {
    let capacity = buffer.capacity();
    if capacity == 0 || capacity > 2 * CHUNK_BYTES {
        return;
    }
    buffer.clear();
    POOL.with_borrow_mut(|pool| {
        if pool.bytes + capacity <= KEPT_BYTES_MAX {
            pool.bytes += capacity;
            pool.buffers.push(buffer);
        }
    });
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
    let collect = POOL.with_borrow_mut(|pool| {
        for buffer in pool.buffers.drain(..pool.unused) {
            pool.bytes -= buffer.capacity();
            pool.collections = COLLECTIONS;
        }
        pool.unused = pool.buffers.len();
        if pool.buffers.is_empty() {
            pool.buffers = Vec::new();
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
    fn the_pool_is_bounded() {
        for _ in 0..1000 {
            give(Vec::with_capacity(CHUNK_BYTES));
        }
        let kept = POOL.with_borrow(|pool| pool.bytes);
        assert!(kept <= KEPT_BYTES_MAX, "{kept}");
        give(Vec::with_capacity(10 * CHUNK_BYTES));
        assert_eq!(POOL.with_borrow(|pool| pool.bytes), kept);
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
            let mut buffer = take();
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

//! Write buffers, lent to links that have something to write.
//!
//! Each thread keeps the buffers it got back, the last one first: the one that is still
//! in the cache. Under load they have grown, at rest links hold none.
//!
//! Invariants: a buffer handed out is empty; a thread keeps at most `KEPT_BYTES_MAX`.

use std::cell::RefCell;

/// A write buffer is full at this size; more goes into the next.
pub const CHUNK_BYTES: usize = 128 * 1024;
/// Capacity a thread keeps.
const KEPT_BYTES_MAX: usize = 4 << 20;
/// Capacity a fresh buffer begins with.
const FIRST_BYTES: usize = 512;

#[derive(Default)]
struct Pool {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// An empty buffer.
pub fn take() -> Vec<u8> {
    POOL.with_borrow_mut(|pool| match pool.buffers.pop() {
        Some(buffer) => {
            pool.bytes -= buffer.capacity();
            buffer
        }
        None => Vec::with_capacity(FIRST_BYTES),
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
}

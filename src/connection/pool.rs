//! Write buffers, lent to links that have something to write.
//!
//! Each thread keeps the buffers it got back, the last one first: the one that is still
//! in the cache. Under load they have grown, at rest links hold none. What a thread has
//! no place for is kept for all: a receiver that is behind takes buffers on its
//! publisher's thread and gives them back on its own.
//!
//! Invariants: a buffer handed out is empty; a thread keeps at most `KEPT_BYTES_MAX`, all
//! together `COMMON_BYTES_MAX` besides; the common lock is taken only when the thread's
//! own buffers have run out or over.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// A write buffer is full at this size; more goes into the next.
pub const CHUNK_BYTES: usize = 128 * 1024;
/// Capacity a thread keeps.
const KEPT_BYTES_MAX: usize = 4 << 20;
/// Capacity that is kept for all threads.
const COMMON_BYTES_MAX: usize = 8 << 20;
/// A smaller buffer is not worth the common lock.
const COMMON_MIN_BYTES: usize = CHUNK_BYTES / 2;
/// Capacity a fresh buffer begins with.
const FIRST_BYTES: usize = 512;

#[derive(Default)]
struct Pool {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Pool {
    fn pop(&mut self) -> Option<Vec<u8>> {
        let buffer = self.buffers.pop()?;
        self.bytes -= buffer.capacity();
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
}

static COMMON: Mutex<Pool> = Mutex::new(Pool {
    buffers: Vec::new(),
    bytes: 0,
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
        .unwrap_or_else(|| Vec::with_capacity(FIRST_BYTES))
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
        let kept = || POOL.with_borrow(|pool| pool.bytes);
        assert_eq!(kept(), KEPT_BYTES_MAX);
        assert!(COMMON.lock().bytes <= COMMON_BYTES_MAX);
        give(Vec::with_capacity(10 * CHUNK_BYTES));
        assert_eq!(kept(), KEPT_BYTES_MAX);
        // Other tests take and give, too.
        let found = std::thread::spawn(|| (0..1000).any(|_| take().capacity() >= CHUNK_BYTES));
        assert!(found.join().expect("no fault"));
    }
}

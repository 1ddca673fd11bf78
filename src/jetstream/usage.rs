//! What an account uses: counters that everybody adds to.
//!
//! Separate from the limits, which the configuration sets and the machines check.
//!
//! Invariant: bytes are those of the streams' figures, changed by differences, so that they
//! add up to zero when the last stream has gone.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Counters of one account.
#[derive(Debug, Default)]
pub struct Usage {
    memory: AtomicI64,
    storage: AtomicI64,
    /// Requests to the API.
    pub api_total: AtomicU64,
    /// Those that were answered with an error.
    pub api_errors: AtomicU64,
}

impl Usage {
    /// A stream has grown or shrunk by so many bytes.
    pub fn add(&self, in_memory: bool, bytes: i64) {
        let counter = match in_memory {
            true => &self.memory,
            false => &self.storage,
        };
        counter.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes in memory and on disk.
    pub fn bytes(&self) -> (u64, u64) {
        let read = |counter: &AtomicI64| {
            u64::try_from(counter.load(Ordering::Relaxed)).unwrap_or_default()
        };
        (read(&self.memory), read(&self.storage))
    }

    /// Counts a request to the API.
    pub fn note_request(&self, is_error: bool) {
        self.api_total.fetch_add(1, Ordering::Relaxed);
        if is_error {
            self.api_errors.fetch_add(1, Ordering::Relaxed);
        }
    }
}

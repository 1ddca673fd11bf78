//! Bytes waiting on all links together, and the bound over them.
//!
//! Only links whose socket is full are counted: what is written in place never touches
//! this. When the bound is passed, the worst offender is cut first (`registry`).

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The server's total. One per server, shared by its links.
#[derive(Debug)]
pub struct PendingTotal {
    bytes: AtomicUsize,
    bytes_max: usize,
    passed: Notify,
}

impl PendingTotal {
    /// A total that should stay below `bytes_max`.
    pub const fn new(bytes_max: usize) -> Self {
        PendingTotal {
            bytes: AtomicUsize::new(0),
            bytes_max,
            passed: Notify::const_new(),
        }
    }

    /// Bytes that wait for sockets, over all links.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The bound.
    pub const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// More than the bound is waiting: somebody has to go.
    pub fn is_exceeded(&self) -> bool {
        self.bytes() > self.bytes_max
    }

    /// Waits until the bound is passed. For one task: each passing is told once.
    pub async fn passed(&self) {
        self.passed.notified().await;
    }

    /// Replaces what one link has counted in.
    pub(super) fn replace(&self, counted: usize, now: usize) {
        if now > counted {
            let more = now - counted;
            let before = self.bytes.fetch_add(more, Ordering::Relaxed);
            if before <= self.bytes_max && before + more > self.bytes_max {
                self.passed.notify_one();
            }
        } else {
            self.bytes.fetch_sub(counted - now, Ordering::Relaxed);
        }
    }
}

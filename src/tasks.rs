//! The task tree: the one place that spawns.
//!
//! The data plane runs on *shards*: one thread with a single-threaded runtime per core. A
//! link lives on one shard for its whole life, so its state needs no lock of its own and
//! its wake-ups stay on one core; publishers on other shards write to its socket in place.
//! (Measured against the multi-threaded scheduler: `docs/notes/2026-11-21-runtime.md`.) Everything else
//! (listeners, monitoring, signals) runs on the caller's runtime.
//!
//! Invariant: nothing else in the crate spawns a task or starts a thread.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Slow work done at once for one shard.
const SLOW_THREADS_MAX: usize = 2;

/// The threads that links live on. Dropping them ends their tasks.
pub struct Shards {
    handles: Vec<Handle>,
    next: AtomicUsize,
    /// Dropped to stop.
    _stops: Vec<oneshot::Sender<()>>,
}

impl Shards {
    /// Starts `count` shards, at least one.
    ///
    /// # Errors
    /// When the operating system gives no thread or no epoll.
    pub fn start(count: usize) -> io::Result<Shards> {
        let mut handles = Vec::new();
        let mut stops = Vec::new();
        for index in 0..count.max(1) {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(SLOW_THREADS_MAX)
                .build()?;
            handles.push(runtime.handle().clone());
            let (stop, stopped) = oneshot::channel::<()>();
            stops.push(stop);
            thread::Builder::new()
                .name(format!("shard-{index}"))
                .spawn(move || {
                    runtime.block_on(async {
                        let _ = stopped.await;
                    });
                })?;
        }
        Ok(Shards {
            handles,
            next: AtomicUsize::new(0),
            _stops: stops,
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// Runs `future` on the next shard in turn.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len();
        self.handles[index].spawn(future);
    }
}

/// The runtime of everything but links, on the thread that asks.
///
/// # Errors
/// When the operating system gives no epoll.
pub fn control_runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Runs a task on the caller's runtime; it ends with its owner, who keeps the handle.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

/// Runs work of more than half a millisecond on a thread of its own, a few at a time.
pub fn run_slowly(work: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(work);
}

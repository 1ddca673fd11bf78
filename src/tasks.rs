//! The task tree: the one place that spawns.
//!
//! The data plane runs on *shards*: one thread with a single-threaded runtime per core. A
//! link lives on one shard for its whole life, so its state needs no lock of its own and
//! its wake-ups stay on one core; publishers on other shards write to its socket in place.
//! Everything else (listeners, monitoring, signals) runs on the caller's runtime.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads that links live on.
pub struct Shards {
    handles: Vec<Handle>,
    next: AtomicUsize,
    stops: Vec<oneshot::Sender<()>>,
}

impl Shards {
    /// Starts `count` shards.
    ///
    /// # Errors
    /// When the operating system gives no thread or no epoll.
    pub fn start(count: usize) -> io::Result<Shards> {
        let mut shards = Shards {
            handles: Vec::new(),
            next: AtomicUsize::new(0),
            stops: Vec::new(),
        };
        if std::env::var_os("MT").is_some() {
            let runtime = Builder::new_multi_thread()
                .worker_threads(count)
                .enable_all()
                .build()?;
            shards.handles.push(runtime.handle().clone());
            std::mem::forget(runtime);
            return Ok(shards);
        }
        for index in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            shards.handles.push(runtime.handle().clone());
            let (stop, stopped) = oneshot::channel::<()>();
            shards.stops.push(stop);
            thread::Builder::new()
                .name(format!("shard-{index}"))
                .spawn(move || {
                    runtime.block_on(async {
                        let _ = stopped.await;
                    });
                })?;
        }
        Ok(shards)
    }

    /// Runs `future` on the next shard in turn.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len();
        self.handles[index].spawn(future);
    }
}

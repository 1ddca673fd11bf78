//! The task tree: the one place that spawns.
//!
//! The data plane runs on *shards*: one thread with a single-threaded runtime per core. A
//! link lives on one of them at a time, so its state needs no lock of its own and its
//! wake-ups stay on one core; publishers on other shards write to its socket in place.
//! (Measured against the multi-threaded scheduler: `docs/notes/2026-11-21-runtime.md`; who
//! moves: `connection::guest`.) Everything else (listeners, monitoring, signals) runs on the
//! caller's runtime.
//!
//! Invariant: nothing else in the crate spawns a task or starts a thread.
#![allow(clippy::disallowed_methods, reason = "the one that spawns")]

use std::future::{Future, poll_fn};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::thread::{self, ThreadId};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Slow work done at once for one shard.
const SLOW_THREADS_MAX: usize = 2;

/// How long an owner waits for its shards to end: a login under way is waited for.
const END_MAX: Duration = Duration::from_secs(2);

/// The threads that links live on. Dropping them drops their tasks, and with them the
/// sockets, and waits until that has happened.
pub struct Shards {
    handles: Vec<Handle>,
    next: AtomicUsize,
    /// Dropped to stop.
    stops: Vec<oneshot::Sender<()>>,
    /// Disconnected when every thread has ended.
    ended: Mutex<mpsc::Receiver<()>>,
    threads: Vec<ThreadId>,
}

impl Shards {
    /// Starts `count` threads, at least one, whose names begin with `name`, each with a
    /// resident: a task that is there before all others. Whenever one of them has nothing to
    /// do it calls `before_sleep`; a task that this wakes runs at once.
    ///
    /// # Errors
    /// When the operating system gives no thread or no epoll.
    pub fn start<F>(
        name: &str,
        count: usize,
        resident: impl Fn() -> F,
        before_sleep: impl Fn() + Clone + Send + Sync + 'static,
    ) -> io::Result<Shards>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut handles = Vec::new();
        let mut stops = Vec::new();
        let mut threads = Vec::new();
        let (running, ended) = mpsc::channel::<()>();
        for index in 0..count.max(1) {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .thread_name(format!("{name}-{index}-slow"))
                .max_blocking_threads(SLOW_THREADS_MAX)
                .on_thread_park(before_sleep.clone())
                .build()?;
            drop(runtime.spawn(resident()));
            handles.push(runtime.handle().clone());
            let (stop, stopped) = oneshot::channel::<()>();
            stops.push(stop);
            let running = running.clone();
            let thread = thread::Builder::new()
                .name(format!("{name}-{index}"))
                .spawn(move || {
                    runtime.block_on(async {
                        let _ = stopped.await;
                    });
                    drop(runtime);
                    drop(running);
                })?;
            threads.push(thread.thread().id());
        }
        Ok(Shards {
            handles,
            next: AtomicUsize::new(0),
            stops,
            ended: Mutex::new(ended),
            threads,
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

    /// The one of these threads that everything with this key lives on.
    pub fn place(&self, key: u64) -> Place {
        let count = u64::try_from(self.handles.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(key % count).unwrap_or_default();
        Place {
            handle: self.handles[index].clone(),
        }
    }
}

/// One of the threads of [`Shards`], to put tasks on. Holding it does not keep it running.
#[derive(Clone)]
pub struct Place {
    handle: Handle,
}

impl Place {
    /// The thread that this is called on, if it runs tasks.
    pub fn here() -> Option<Place> {
        let handle = Handle::try_current().ok()?;
        Some(Place { handle })
    }

    /// Runs a task there; it ends with its owner, who keeps the handle.
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.handle.spawn(future)
    }

    /// Calls `f` so that the tasks and timers it makes live there.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        let _inside = self.handle.enter();
        f()
    }

    /// The tasks that live there now.
    pub fn tasks(&self) -> usize {
        self.handle.metrics().num_alive_tasks()
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        self.stops.clear();
        // The last owner may be one of their own tasks: it cannot wait for itself.
        if !self.threads.contains(&thread::current().id()) {
            // Nobody sends: this ends with the last thread.
            let _ = self.ended.get_mut().recv_timeout(END_MAX);
        }
    }
}

/// The runtime of everything but links, on the thread that asks.
///
/// # Errors
/// When the operating system gives no epoll.
pub fn control_runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// A thread of its own for something that blocks for as long as it lives; its owner tells
/// it to end and then joins it.
pub struct Thread(thread::JoinHandle<()>);

impl Thread {
    /// Starts one.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
        let builder = thread::Builder::new().name(name.to_owned());
        builder.spawn(work).map(Thread)
    }

    /// Whether the caller runs on it.
    pub fn is_current(&self) -> bool {
        self.0.thread().id() == thread::current().id()
    }

    /// Waits until it has ended. It cannot wait for itself.
    pub fn join(self) {
        if !self.is_current() {
            // A panic was reported when it happened.
            let _ = self.0.join();
        }
    }
}

/// Lets others have the core, if they wait for it.
pub fn give_way() {
    thread::yield_now();
}

/// Lets the tasks of this thread that are ready have their turn, without looking at sockets
/// and timers in between as the runtime's own way does.
pub async fn others_first() {
    let mut had_turn = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut had_turn, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs a task on the caller's runtime; it ends with its owner, who keeps the handle.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

/// Runs work of more than half a millisecond on a thread of its own, a few at a time.
pub fn run_slowly(work: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(work);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct TellsItsEnd(mpsc::Sender<&'static str>);

    impl Drop for TellsItsEnd {
        fn drop(&mut self) {
            let _ = self.0.send("dropped");
        }
    }

    #[test]
    fn tasks_are_gone_when_their_shards_are() {
        let shards = Shards::start("test", 2, || async {}, || ()).expect("threads");
        let (tell, told) = mpsc::channel();
        for _ in 0..4 {
            let task = TellsItsEnd(tell.clone());
            shards.spawn(async move {
                let _task = task;
                std::future::pending::<()>().await;
            });
        }
        drop(shards);
        assert_eq!(told.try_iter().count(), 4);
    }

    #[test]
    fn a_panic_leaves_the_shard_alive() {
        let shards = Shards::start("test", 1, || async {}, || ()).expect("threads");
        let (tell, told) = mpsc::channel();
        shards.spawn(async { panic!("a fault for the test") });
        shards.spawn(async move {
            let _ = tell.send("alive");
        });
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok("alive"));
    }
}

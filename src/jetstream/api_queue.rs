//! Requests to the API that wait to be answered, and what happens when there are too many.
//!
//! Separate because it is the border between the shards, which must not wait, and the
//! tasks that answer. What finds no room is dropped without an answer: its sender runs
//! into its timeout, as it would if it asked nobody. The system account hears of it, but
//! not of every request: how many they were, once in a while.
//!
//! ```text
//!   shard ─► Queue (waiting_max) ─► serve ─► one task each (ANSWERING_MAX)
//!                │ full
//!                └─► Dropped ─► tell, at most once in TELL_PAUSE
//! ```
//!
//! Invariants: no more than `waiting_max` wait and `ANSWERING_MAX` are being answered;
//! every dropped request is told of once. Absent: what is asked and answered.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::subscriptions::{Queue, Request};
use crate::tasks;

/// How many requests are being answered at once.
const ANSWERING_MAX: usize = 1024;
/// How far two reports of dropped requests are apart.
const TELL_PAUSE: Duration = Duration::from_secs(1);

/// Requests that found no room and were not told of yet.
#[derive(Default)]
struct Dropped {
    count: AtomicU64,
    some: Notify,
}

impl Dropped {
    fn note(&self) {
        if self.count.fetch_add(1, Ordering::Relaxed) == 0 {
            self.some.notify_one();
        }
    }

    /// Tells how many have been dropped, whenever some were. Never ends.
    async fn tell(&self, tell: impl Fn(u64)) {
        loop {
            self.some.notified().await;
            tell(self.count.swap(0, Ordering::Relaxed));
            tokio::time::sleep(TELL_PAUSE).await;
        }
    }
}

/// Has requests answered until the last one who could ask has gone. Where requests are to be
/// put, and the task. `tell` hears how many were dropped.
pub fn start<F>(
    waiting_max: usize,
    answer: impl Fn(Request) -> F + Send + 'static,
    tell: impl Fn(u64) + Send + 'static,
) -> (Arc<Queue>, JoinHandle<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, requests) = mpsc::channel::<Request>(waiting_max.max(1));
    let dropped = Arc::new(Dropped::default());
    let noted = Arc::clone(&dropped);
    let queue: Arc<Queue> = Arc::new(move |request| match sender.try_send(request) {
        Ok(()) => true,
        Err(mpsc::error::TrySendError::Full(_)) => {
            noted.note();
            // It was heard: a sender who is told that nobody listens takes it for a server
            // without streams.
            true
        }
        Err(mpsc::error::TrySendError::Closed(_)) => false,
    });
    let task = tasks::spawn(async move {
        tokio::select! {
            () = serve(requests, answer) => {}
            () = dropped.tell(tell) => {}
        }
    });
    (queue, task)
}

async fn serve<F>(mut requests: mpsc::Receiver<Request>, answer: impl Fn(Request) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(ANSWERING_MAX));
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await
        && let Some(request) = requests.recv().await
    {
        // Each on its own: a read of a busy stream must not hold up the others.
        let answered = answer(request);
        tasks::spawn(async move {
            answered.await;
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use tokio::sync::oneshot;

    fn request(number: usize) -> Request {
        Request {
            account: "A".into(),
            subject: number.to_string(),
            reply: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
            client: String::new(),
        }
    }

    #[tokio::test]
    async fn what_finds_no_room_is_dropped_counted_and_told_of() {
        const WAITING: usize = 3;
        let (tell, told) = oneshot::channel();
        let tell = Mutex::new(Some(tell));
        let (go, _) = tokio::sync::watch::channel(false);
        let answered = Arc::new(AtomicU64::new(0));
        let (queue, task) = {
            let (go, answered) = (go.clone(), Arc::clone(&answered));
            start(
                WAITING,
                move |_| {
                    let (mut go, answered) = (go.subscribe(), Arc::clone(&answered));
                    async move {
                        let _ = go.wait_for(|go| *go).await;
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                },
                move |dropped| {
                    let tell = tell.lock().take();
                    let _ = tell.map(|tell| tell.send(dropped));
                },
            )
        };
        // Nothing is taken out while this task does not yield.
        assert!((0..WAITING + 2).all(|number| queue(request(number))));
        assert_eq!(told.await, Ok(2));
        go.send_replace(true);
        drop(queue);
        task.await.unwrap();
        while answered.load(Ordering::Relaxed) < WAITING as u64 {
            tokio::task::yield_now().await;
        }
    }
}

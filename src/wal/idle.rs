//! Batches written by threads that would otherwise sleep.
//!
//! ```text
//!   thread of groups:  write ─► left in the queue ─► nothing else to do ─► batch, sync, `done`
//!                                    └ more writes, a turn of work ─► the log's thread, as ever
//! ```
//! Separate because it is a shortcut that may be taken or not: with one publisher at a time
//! waking the log's thread, and being woken by it, takes about as long as the disk.
//!
//! Invariants: only a thread that has promised to come back before it sleeps
//! ([`Wal::before_sleep`]) leaves anything, one small write at a time, while nobody writes a
//! batch and the disk is quick; what is left is in the queue like everything else, so that
//! whoever writes next takes it along.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::wal::Wal;
use crate::wal::writer::{self, Shared, State};

/// What is larger is for the log's thread: its batch is worth doing something else meanwhile.
const LEFT_BYTES_MAX: usize = 16 << 10;
/// If batches take longer, that is too long for other groups of the thread to wait.
const QUICK: Duration = Duration::from_millis(1);
/// The last batch's share of the mean.
const SHARE: u32 = 16;

thread_local! {
    /// The log that this thread comes back for before it sleeps.
    static PROMISED: Cell<usize> = const { Cell::new(0) };
    /// It has left something.
    static HAS_LEFT: Cell<bool> = const { Cell::new(false) };
}

/// How long batches take: a mean in which the last ones count most.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    mean: Duration,
}

impl Default for Pace {
    /// Slow, until the disk has shown otherwise.
    fn default() -> Self {
        Pace { mean: QUICK * 16 }
    }
}

impl Pace {
    /// Notes how long a batch took.
    pub fn note(&mut self, took: Duration) {
        self.mean = self.mean - self.mean / SHARE + took / SHARE;
    }

    /// Whether the next one is likely to be quick.
    pub fn is_quick(self) -> bool {
        self.mean <= QUICK
    }
}

/// Whether the caller, who has just put the last write in the queue, may leave it there until
/// he has nothing else to do; he comes back for it then.
pub fn leave(shared: &Arc<Shared>, state: &State) -> bool {
    let may = state.urgent == 1
        && state.writing.is_none()
        && state.queue_bytes <= LEFT_BYTES_MAX
        && state.pace.is_quick()
        && PROMISED.get() == id(shared);
    if may {
        HAS_LEFT.set(true);
    }
    may
}

fn id(shared: &Arc<Shared>) -> usize {
    Arc::as_ptr(shared).addr()
}

impl Wal {
    /// To be called by a thread whenever it is about to sleep: writes what it left in the
    /// queue, syncs it and calls its `done` on this thread. Takes as long as the disk.
    pub fn before_sleep(&self) {
        let owner = &self.owner;
        PROMISED.set(id(&owner.shared));
        if !HAS_LEFT.take() {
            return;
        }
        let written = match owner.writer.try_lock() {
            Some(mut writer) => writer.write_left(),
            None => {
                self.wake_for_left();
                Ok(())
            }
        };
        if let Err(err) = written {
            writer::give_up(&owner.shared, &err);
        }
    }

    /// The caller goes on to something else: what he left is for the log's thread.
    pub fn before_work(&self) {
        if HAS_LEFT.take() {
            self.wake_for_left();
        }
    }

    fn wake_for_left(&self) {
        let shared = &self.owner.shared;
        let mut state = shared.state.lock();
        if state.left {
            state.left = false;
            shared.wake(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::mpsc::{self, Receiver};
    use std::thread::{self, ThreadId};

    use bytes::Bytes;

    use super::*;
    use crate::vfs::sim::{Fault, SimVfs};
    use crate::wal::error::Error;
    use crate::wal::{Done, GroupId, Options, Write};

    const DIR: &str = "/wal";

    fn open(vfs: &SimVfs) -> Wal {
        let options = Options {
            segment_bytes: 1 << 20,
            on_fatal: Arc::new(|_| ()),
            ..Options::default()
        };
        let opened = Wal::open(Arc::new(vfs.clone()), PathBuf::from(DIR), options);
        opened.expect("a log").0
    }

    type Told = Receiver<(Result<(), Error>, ThreadId)>;

    /// What came of the write, and on which thread that was told.
    fn write(wal: &Wal, bytes: usize) -> Told {
        let (tell, told) = mpsc::channel();
        let done: Done = Box::new(move |result| {
            let _ = tell.send((result, thread::current().id()));
        });
        let vote = Write::Vote {
            group: GroupId(1),
            vote: Bytes::from(vec![7; bytes]),
        };
        wal.write(vote, Some(done)).expect("room");
        told
    }

    /// A write that was left to this thread: there is one once the disk is known to be quick.
    /// The log's thread may take it along while it is still awake.
    fn write_left(wal: &Wal) -> Told {
        for _ in 0..10_000 {
            // It says that it writes until all have been told.
            while wal.owner.shared.state.lock().writing.is_some() {
                thread::yield_now();
            }
            wal.before_sleep();
            let told = write(wal, 10);
            if wal.owner.shared.state.lock().left {
                return told;
            }
            let (result, thread) = told.recv().expect("told");
            assert!(result.is_ok(), "{result:?}");
            assert_ne!(thread, thread::current().id());
        }
        panic!("the disk is never quick");
    }

    #[test]
    fn who_would_sleep_writes_what_it_left() {
        let wal = open(&SimVfs::new());
        for _ in 0..10_000 {
            let told = write_left(&wal);
            wal.before_sleep();
            let (result, thread) = told.recv().expect("written");
            assert!(result.is_ok(), "{result:?}");
            if thread == thread::current().id() {
                let state = wal.owner.shared.state.lock();
                assert_eq!((state.urgent, state.left, state.writing), (0, false, None));
                return;
            }
        }
        panic!("the log's thread writes everything");
    }

    #[test]
    fn what_was_left_goes_to_the_thread_of_the_log_when_there_is_more_to_do() {
        let wal = open(&SimVfs::new());
        let by_log = |told: Told| {
            let (result, thread) = told.recv().expect("told");
            assert!(result.is_ok(), "{result:?}");
            assert_ne!(thread, thread::current().id());
        };
        let told = write_left(&wal);
        wal.before_work();
        by_log(told);
        let told = write_left(&wal);
        let second = write(&wal, 10);
        by_log(told);
        by_log(second);
        let _ = write_left(&wal);
        let told = thread::scope(|scope| scope.spawn(|| write(&wal, 10)).join());
        by_log(told.expect("written"));
        by_log(write(&wal, LEFT_BYTES_MAX));
        let told = write_left(&wal);
        wal.close();
        by_log(told);
    }

    #[test]
    fn a_slow_disk_keeps_nobody_from_other_work() {
        let mut pace = Pace::default();
        assert!(!pace.is_quick(), "nobody knows yet");
        let mut batches = 0;
        while !pace.is_quick() {
            pace.note(QUICK / 4);
            batches += 1;
        }
        assert!((16..100).contains(&batches), "{batches}");
        for _ in 0..100 {
            pace.note(QUICK / 4);
        }
        pace.note(QUICK * 8);
        assert!(pace.is_quick(), "once is never");
        pace.note(QUICK * 8);
        assert!(!pace.is_quick());
    }

    #[test]
    fn the_last_handle_may_go_where_it_is_told() {
        let wal = open(&SimVfs::new());
        let shared = Arc::clone(&wal.owner.shared);
        let (tell, told) = mpsc::channel();
        let last = wal.clone();
        let mut done: Option<Done> = Some(Box::new(move |result| {
            drop(last);
            let _ = tell.send(result);
        }));
        while done.is_some() {
            drop(write_left(&wal));
            if let Some(queued) = shared.state.lock().queue.back_mut() {
                queued.done = done.take();
            }
        }
        let writer = Arc::clone(&wal.owner.writer);
        drop(wal);
        writer.lock().write_left().expect("written");
        told.recv().expect("told").expect("synced");
        // The log's thread, which nobody waited for, closes the log when it is let.
        while !shared.state.lock().closed {
            thread::yield_now();
        }
    }

    #[test]
    fn a_disk_that_fails_under_it_ends_the_log() {
        let vfs = SimVfs::new();
        let wal = open(&vfs);
        let told = write_left(&wal);
        vfs.fail(Fault::Sync, 1);
        wal.before_sleep();
        let (result, _) = told.recv().expect("told");
        assert!(result.is_err(), "{result:?}");
        while !wal.owner.shared.state.lock().closed {
            thread::yield_now();
        }
        let vote = Write::Vote {
            group: GroupId(1),
            vote: Bytes::new(),
        };
        assert!(matches!(wal.write(vote, None), Err(Error::Closed)));
        wal.close();
    }
}

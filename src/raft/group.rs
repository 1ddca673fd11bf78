//! One Raft group of this server: the handle that its owner holds.
//!
//! ```text
//!   propose ──► encode once ──► openraft ──► log ──► synced ──► committed ──► apply
//!      ▲                                                                       │
//!      └──────────────── outcomes of the decoded commands ◄────────────────────┘
//! ```
//!
//! Invariants: entries stand in the log in the order of the calls of [`Group::propose`]; a
//! proposal is answered after its entry was synced and applied; what is in flight is
//! bounded, further proposals wait in order.
//!
//! Absent: no batching over proposals (whoever proposes knows what belongs together), no
//! clock: `now` comes with the proposal. Whether openraft runs is a matter of
//! [`crate::raft::hibernate`] only.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::clock::Timestamp;
use crate::raft::convert::{self, Position};
use crate::raft::error::{CheckpointError, ProposeError};
use crate::raft::hibernate::{Desk, Power};
use crate::raft::log_store::LogStore;
use crate::raft::replica::{Replica, Told};
use crate::raft::space::Space;
use crate::state_machine::{MachineError, StateMachine};
use crate::tasks::Place;
use crate::vfs;
use crate::wal::{self, GroupId};

/// How long a checkpoint waits to begin before it asks openraft again.
const CHECKPOINT_RETRY: Duration = Duration::from_millis(20);
/// How long a group waits after a checkpoint that failed: each try may write much.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(2);

/// How a group is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// This server's id.
    pub node: u64,
    /// A group without a proposal for this long, or up to twice as long, goes to sleep.
    pub idle: Duration,
    /// A checkpoint is made when the log has grown by so much.
    pub checkpoint_bytes: u64,
    /// The same for logs in memory.
    pub checkpoint_bytes_in_memory: u64,
    /// What the disk takes, for all groups.
    pub space: Arc<Space>,
}

impl Options {
    /// The values for production.
    pub fn new(node: u64) -> Self {
        Options {
            node,
            idle: Duration::from_secs(5),
            checkpoint_bytes: 64 << 20,
            checkpoint_bytes_in_memory: 1 << 20,
            space: Arc::default(),
        }
    }
}

/// A Raft group of this server. Cheap to clone; lives on one stream runtime.
pub struct Group<M: StateMachine> {
    pub(super) inner: Arc<Inner<M>>,
}

impl<M: StateMachine> Clone for Group<M> {
    fn clone(&self) -> Self {
        Group {
            inner: Arc::clone(&self.inner),
        }
    }
}

/// What all handles of a group share.
pub(super) struct Inner<M: StateMachine> {
    pub(super) id: GroupId,
    pub(super) options: Options,
    pub(super) config: Arc<openraft::Config>,
    /// Where openraft's tasks are put.
    pub(super) place: Place,
    pub(super) replica: Arc<Mutex<Replica<M>>>,
    pub(super) log: LogStore,
    pub(super) desk: Mutex<Desk>,
    /// There is something on the desk, or room again, or an end.
    pub(super) news: Arc<Notify>,
    /// One checkpoint at a time.
    checkpointing: tokio::sync::Mutex<()>,
    checkpoint_asked: AtomicBool,
}

impl<M: StateMachine> Group<M> {
    pub(super) fn new(
        id: GroupId,
        options: Options,
        config: Arc<openraft::Config>,
        place: Place,
        replica: Replica<M>,
        log: LogStore,
    ) -> Self {
        let inner = Inner {
            id,
            options,
            config,
            place,
            replica: Arc::new(Mutex::new(replica)),
            log,
            desk: Mutex::default(),
            news: Arc::default(),
            checkpointing: tokio::sync::Mutex::new(()),
            checkpoint_asked: AtomicBool::new(false),
        };
        Group {
            inner: Arc::new(inner),
        }
    }

    /// The group's id.
    pub fn id(&self) -> GroupId {
        self.inner.id
    }

    /// Where the group lives; its owner should live there too.
    pub fn place(&self) -> &Place {
        &self.inner.place
    }

    /// Proposes one entry; the future waits until it is synced and applied: what became of
    /// each command, in their order. The entry takes its place in the order of the log with
    /// this call, not when the future is polled; dropping the future takes nothing back.
    ///
    /// # Errors
    /// See [`ProposeError`]. With [`ProposeError::NoSpace`], [`ProposeError::TooLarge`] and
    /// [`ProposeError::Damaged`] nothing was done.
    pub fn propose(
        &self,
        now: Timestamp,
        commands: Vec<M::Command>,
    ) -> impl Future<Output = Told<M>> + Send + use<M> {
        let told = self.enter(now, commands);
        async move {
            match told {
                // Whoever would tell is gone: the group ended.
                Ok(told) => told.await.unwrap_or(Err(ProposeError::Stopped)),
                Err(known) => known,
            }
        }
    }

    fn enter(
        &self,
        now: Timestamp,
        commands: Vec<M::Command>,
    ) -> Result<oneshot::Receiver<Told<M>>, Told<M>> {
        if commands.is_empty() {
            return Err(Ok(Vec::new()));
        }
        let inner = &self.inner;
        if inner.log.space().is_exhausted() {
            return Err(Err(ProposeError::NoSpace));
        }
        let ticket = inner.replica.lock().next_ticket();
        let batch = convert::batch::<M>(now, &commands, ticket);
        if batch.stored.len() as u64 > inner.log.append_bytes_max() {
            return Err(Err(ProposeError::TooLarge));
        }
        let told = inner.replica.lock().expect(ticket, commands);
        if inner.lay_down(|desk| desk.waiting.push_back(batch)) {
            Ok(told)
        } else {
            inner.replica.lock().refuse(ticket, ProposeError::Stopped);
            Err(Err(ProposeError::Stopped))
        }
    }

    /// Reads the machine, or changes what of it is not replicated. Short; must neither wait
    /// nor call the group again.
    pub fn with<R>(&self, f: impl FnOnce(&mut M) -> R) -> R {
        f(&mut self.inner.replica.lock().machine)
    }

    /// Makes a checkpoint of what is applied now, and lets go of the log up to there.
    ///
    /// # Errors
    /// See [`CheckpointError`]; the one before stays valid.
    pub async fn checkpoint(&self) -> Result<(), CheckpointError> {
        self.inner.checkpoint().await
    }

    /// Starts openraft though nothing is proposed yet.
    pub fn wake(&self) {
        self.inner.lay_down(|_| {});
    }

    /// Makes a checkpoint when there is time, unless one is asked for already.
    pub fn checkpoint_soon(&self) {
        Inner::ask_for_checkpoint(&self.inner);
    }

    /// Gives memory back that only makes things faster.
    pub fn rest(&self) {
        self.inner.replica.lock().rest();
        self.inner.desk.lock().waiting.shrink_to_fit();
    }

    /// The thread has something to do that may take a while: what waits to be written to the
    /// log waits for it no longer.
    pub fn before_work(&self) {
        self.inner.log.before_work();
    }

    /// Ends the group on this server: proposals get [`ProposeError::Stopped`]. Returns when
    /// openraft ended.
    pub async fn stop(self) {
        self.inner.stop().await;
    }

    /// Why the group stopped itself.
    pub fn failure(&self) -> Option<Arc<MachineError>> {
        self.inner.replica.lock().failure.clone()
    }

    /// What of the group's log was lost on the disk.
    pub fn damage(&self) -> Option<wal::Damage> {
        self.inner.log.state().damage
    }

    /// Takes the loss for settled: the group goes on with what is applied.
    ///
    /// # Errors
    /// When the log does not take that down.
    pub async fn accept_damage(&self) -> std::io::Result<()> {
        self.inner.log.accept_damage().await
    }

    /// Whether the disk below has no room for what makes the machine grow. Everything else
    /// may be proposed.
    pub fn is_closed(&self) -> bool {
        self.inner.log.space().is_closed()
    }

    /// Whether openraft runs for this group.
    pub fn is_awake(&self) -> bool {
        matches!(self.inner.desk.lock().power, Power::Awake)
    }

    /// Whether the machine has work left that nobody waited for. One that failed does none.
    pub fn is_behind(&self) -> bool {
        let replica = self.inner.replica.lock();
        replica.failure.is_none() && replica.machine.is_behind()
    }

    /// Lets the machine do some of that work. If it cannot, the group stops.
    pub fn catch_up(&self) {
        let caught_up = self.inner.replica.lock().machine.catch_up();
        if let Err(err) = caught_up {
            self.inner.give_up(err);
        }
    }

    /// Up to where the machine stands.
    pub fn position(&self) -> Position {
        self.inner.replica.lock().position.clone()
    }

    /// Bytes in the log that no checkpoint contains.
    pub fn log_bytes(&self) -> u64 {
        self.inner.log.bytes_since_purge()
    }
}

impl<M: StateMachine> Inner<M> {
    /// The group cannot go on: its log, or openraft, failed. Said once.
    pub(super) fn give_up(&self, cause: impl std::error::Error + Send + Sync + 'static) {
        let mut replica = self.replica.lock();
        let known = replica.failure.is_some();
        let err = replica.fail(MachineError {
            what: "keep the group running",
            cause: Box::new(cause),
        });
        drop(replica);
        if !known {
            let cause = err.cause.to_string();
            tracing::error!(group = %self.id, %err, cause, "a group stopped");
        }
    }

    /// Asks for a checkpoint if the log has grown enough.
    pub(super) fn checkpoint_if_due(self: &Arc<Self>) {
        let bytes_max = if self.log.is_in_memory() {
            self.options.checkpoint_bytes_in_memory
        } else {
            self.options.checkpoint_bytes
        };
        if self.log.bytes_since_purge() > bytes_max {
            self.ask_for_checkpoint();
        }
    }

    /// Makes a checkpoint soon, unless one is asked for already.
    pub(super) fn ask_for_checkpoint(self: &Arc<Self>) {
        if self.checkpoint_asked.swap(true, Ordering::Relaxed) {
            return;
        }
        let (id, inner) = (self.id, Arc::clone(self));
        self.place.spawn(async move {
            let made = inner.checkpoint().await;
            let weak = Arc::downgrade(&inner);
            drop(inner);
            if let Err(err) = made {
                match vfs::is_full(&err) {
                    // Whoever looks after the disk says so once for all.
                    true => tracing::debug!(group = %id, %err, "no checkpoint"),
                    false => tracing::warn!(group = %id, %err, "no checkpoint"),
                }
                tokio::time::sleep(CHECKPOINT_PAUSE).await;
            }
            if let Some(inner) = weak.upgrade() {
                inner.checkpoint_asked.store(false, Ordering::Relaxed);
            }
        });
    }

    /// Somebody waits for a checkpoint.
    pub(super) fn is_checkpointing(&self) -> bool {
        self.checkpointing.try_lock().is_err()
    }

    async fn checkpoint(self: &Arc<Self>) -> Result<(), CheckpointError> {
        let _one = self.checkpointing.lock().await;
        let (tell, mut told) = oneshot::channel();
        let known = {
            let mut replica = self.replica.lock();
            if !replica.wants_checkpoint() {
                return Ok(());
            }
            replica.checkpoint_waiters.push(tell);
            replica.checkpoint.as_ref().and_then(|known| known.applied)
        };
        let position = loop {
            // Ignored while openraft has not taken note of the end of the one before.
            if !self.lay_down(|desk| desk.checkpoint = true) {
                return Err(CheckpointError::Stopped);
            }
            let slept = tokio::time::sleep(CHECKPOINT_RETRY);
            tokio::select! {
                done = &mut told => break done.map_err(|_| CheckpointError::Stopped)??,
                () = slept => {}
            }
        };
        if let Some(applied) = position.applied.filter(|applied| Some(*applied) != known) {
            let purged = self.log.purged(applied.index).await;
            return purged.then_some(()).ok_or(CheckpointError::Stopped);
        }
        Ok(())
    }
}

impl<M: StateMachine> Drop for Inner<M> {
    fn drop(&mut self) {
        // The driver, if there is one, finds nobody and ends.
        self.log.close();
        self.news.notify_one();
    }
}

/// A group of whatever machine, as the list of all groups knows it.
pub(super) trait Member: Send + Sync {
    /// Makes a checkpoint soon.
    fn ask_for_checkpoint(self: Arc<Self>);
    /// A checkpoint would hold something, or free something, that the last one does not.
    fn wants_checkpoint(&self) -> bool;
    /// Another checkpoint would free room on the disk.
    fn wants_to_free(&self) -> bool;
    /// As [`Group::stop`].
    fn stop(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

impl<M: StateMachine> Member for Inner<M> {
    fn ask_for_checkpoint(self: Arc<Self>) {
        Inner::ask_for_checkpoint(&self);
    }

    fn wants_checkpoint(&self) -> bool {
        let replica = self.replica.lock();
        replica.failure.is_none() && replica.wants_checkpoint()
    }

    fn wants_to_free(&self) -> bool {
        let replica = self.replica.lock();
        replica.failure.is_none() && replica.machine.wants_checkpoint()
    }

    fn stop(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { Inner::stop(&self).await })
    }
}

#[cfg(test)]
mod tests;

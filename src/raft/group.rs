//! One Raft group of this server: the handle that its owner holds.
//!
//! ```text
//!   propose ──► encode once ──► openraft ──► log ──► synced ──► committed ──► apply
//!      ▲                                                                       │
//!      └──────────────── outcomes of the decoded commands ◄────────────────────┘
//! ```
//!
//! Invariants: entries stand in the log in the order in which their proposals were first
//! polled; a proposal is answered after its entry was synced and applied; what is in
//! flight is bounded, further proposals wait; a proposal whose future is dropped after it
//! was first polled may still be applied.
//!
//! Absent: no batching over proposals (whoever proposes knows what belongs together), no
//! clock: `now` comes with the proposal. Whether openraft runs is a matter of
//! [`crate::raft::hibernate`] only.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use openraft::error::RaftError;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::clock::Timestamp;
use crate::raft::convert::{self, Position};
use crate::raft::error::{CheckpointError, ProposeError};
use crate::raft::hibernate::Power;
use crate::raft::log_store::LogStore;
use crate::raft::replica::Replica;
use crate::raft::types::TypeConfig;
use crate::state_machine::{MachineError, StateMachine};
use crate::tasks::Place;
use crate::wal::{self, GroupId};

/// What may be in flight, in KiB of stored entries.
const IN_FLIGHT_KIB_MAX: u32 = 64 << 10;

/// What a proposal counts for at least, in KiB: 4,096 small ones may be in flight.
const PROPOSAL_KIB_MIN: u32 = 16;

/// How long a checkpoint waits to begin before it asks openraft again.
const CHECKPOINT_RETRY: Duration = Duration::from_millis(20);

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
}

impl Options {
    /// The values for production.
    pub fn new(node: u64) -> Self {
        Options {
            node,
            idle: Duration::from_secs(5),
            checkpoint_bytes: 64 << 20,
            checkpoint_bytes_in_memory: 1 << 20,
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
    pub(super) power: Mutex<Power<M>>,
    /// Held while openraft is started or ended.
    pub(super) switching: tokio::sync::Mutex<()>,
    /// Proposals and checkpoints that need openraft now.
    pub(super) in_flight: AtomicU64,
    /// The same, ever.
    pub(super) begun: AtomicU64,
    pub(super) stopped: watch::Sender<bool>,
    room: Semaphore,
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
            power: Mutex::new(Power::Asleep),
            switching: tokio::sync::Mutex::new(()),
            in_flight: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            stopped: watch::Sender::new(false),
            room: Semaphore::new(IN_FLIGHT_KIB_MAX as usize),
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

    /// Proposes one entry and waits until it is synced and applied: what became of each
    /// command, in their order. Many proposals may be in flight; their order in the log is
    /// that in which their futures were first polled.
    ///
    /// # Errors
    /// See [`ProposeError`]. With [`ProposeError::NoSpace`] and [`ProposeError::Damaged`]
    /// nothing was done.
    pub async fn propose(
        &self,
        now: Timestamp,
        commands: Vec<M::Command>,
    ) -> Result<Vec<M::Outcome>, ProposeError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let inner = &self.inner;
        if inner.log.is_full() {
            return Err(ProposeError::NoSpace);
        }
        let _flight = Flight::begin(inner);
        let raft = inner.awake().await?;

        let ticket = inner.replica.lock().next_ticket();
        let batch = convert::batch::<M>(now, &commands, ticket);
        let _room = inner.room_for(batch.stored.len()).await?;
        let mut told = inner.replica.lock().expect(ticket, commands);

        match raft.client_write(batch).await {
            Ok(_) => {
                inner.checkpoint_if_due();
                // Applied by a view that was replaced, or decoded anew: cannot be told.
                told.try_recv().map_err(|_| ProposeError::Stopped)
            }
            Err(err) => {
                inner.replica.lock().forget(ticket);
                Err(inner.explain(err))
            }
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
    async fn room_for(
        &self,
        bytes: usize,
    ) -> Result<tokio::sync::SemaphorePermit<'_>, ProposeError> {
        let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
        let kib = kib.clamp(PROPOSAL_KIB_MIN, IN_FLIGHT_KIB_MAX);
        let room = self.room.acquire_many(kib).await;
        room.map_err(|_closed| ProposeError::Stopped)
    }

    fn explain(
        &self,
        err: RaftError<TypeConfig, openraft::error::ClientWriteError<TypeConfig>>,
    ) -> ProposeError {
        match err {
            RaftError::APIError(_) => ProposeError::NotLeader,
            RaftError::Fatal(fatal) => {
                if !*self.stopped.borrow() {
                    self.give_up(fatal);
                }
                ProposeError::Stopped
            }
        }
    }

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

    fn checkpoint_if_due(self: &Arc<Self>) {
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
        let inner = Arc::clone(self);
        self.place.spawn(async move {
            if let Err(err) = inner.checkpoint().await {
                tracing::warn!(group = %inner.id, %err, "no checkpoint");
            }
            inner.checkpoint_asked.store(false, Ordering::Relaxed);
        });
    }

    async fn checkpoint(self: &Arc<Self>) -> Result<(), CheckpointError> {
        let _one = self.checkpointing.lock().await;
        {
            let replica = self.replica.lock();
            let known = replica.checkpoint.as_ref();
            if known.and_then(|known| known.applied) == replica.position.applied {
                return Ok(());
            }
        }
        let _flight = Flight::begin(self);
        let mut stopped = self.stopped.subscribe();
        tokio::select! {
            done = self.checkpoint_by_openraft() => done,
            _ = stopped.wait_for(|stopped| *stopped) => Err(CheckpointError::Stopped),
        }
    }

    async fn checkpoint_by_openraft(self: &Arc<Self>) -> Result<(), CheckpointError> {
        let raft = self.awake().await.map_err(CheckpointError::Asleep)?;
        let (tell, mut told) = oneshot::channel();
        self.replica.lock().checkpoint_waiters.push(tell);
        let position = loop {
            // Ignored while openraft has not taken note of the end of the one before.
            let asked = raft.trigger().snapshot().await;
            asked.map_err(|_| CheckpointError::Stopped)?;
            let slept = tokio::time::sleep(CHECKPOINT_RETRY);
            tokio::select! {
                done = &mut told => break done.map_err(|_| CheckpointError::Stopped)??,
                () = slept => {}
            }
        };
        if let Some(applied) = position.applied {
            self.log.purged(applied.index).await;
        }
        Ok(())
    }
}

/// Something that needs openraft; keeps the group awake.
pub(super) struct Flight<'a>(&'a AtomicU64);

impl<'a> Flight<'a> {
    pub(super) fn begin<M: StateMachine>(inner: &'a Inner<M>) -> Self {
        inner.begun.fetch_add(1, Ordering::Relaxed);
        inner.in_flight.fetch_add(1, Ordering::SeqCst);
        Flight(&inner.in_flight)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A group of whatever machine, as the list of all groups knows it.
pub(super) trait Member: Send + Sync {
    /// Makes a checkpoint soon.
    fn ask_for_checkpoint(self: Arc<Self>);
    /// As [`Group::stop`].
    fn stop(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

impl<M: StateMachine> Member for Inner<M> {
    fn ask_for_checkpoint(self: Arc<Self>) {
        Inner::ask_for_checkpoint(&self);
    }

    fn stop(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { Inner::stop(&self).await })
    }
}

#[cfg(test)]
mod tests;

//! A machine as openraft wants it.
//!
//! Separate from [`crate::raft::replica`] so that the replica can be read and replayed
//! without openraft. This is only a view of it that one instance of openraft holds.
//!
//! A *snapshot* here is a checkpoint of the machine on this server's own disk; its data
//! travels to no peer. openraft purges the log up to it, once it is complete.
//!
//! Invariants: a view whose instance was replaced changes nothing; a checkpoint that
//! failed, or found no room to begin, ends nothing: openraft is told of the one before, and
//! purges nothing; between two entries the other tasks of the thread have their turn.

use std::io;
use std::sync::Arc;

use futures_util::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot};
use openraft::type_config::alias::SnapshotOf;
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::raft::convert::{self, Position};
use crate::raft::error::CheckpointError;
use crate::raft::replica::{AbortOnPanic, Replica};
use crate::raft::types::{Entry, LogId, SnapshotMeta, StoredMembership, TypeConfig};
use crate::state_machine::{Checkpoint, MachineError, StateMachine};
use crate::tasks;
use crate::vfs;

/// Of larger entries the log writes several at once, and waits for them: to read what their
/// publishers send next before all are applied would only part them again.
const LARGE_BYTES: usize = 64 << 10;

fn is_large(entry: &Entry) -> bool {
    matches!(&entry.payload, EntryPayload::Normal(batch) if batch.stored.len() > LARGE_BYTES)
}

/// What a snapshot consists of: nothing that travels, yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnDisk;

/// One instance's view of a machine.
pub struct Apply<M: StateMachine> {
    replica: Arc<Mutex<Replica<M>>>,
    instance: u64,
    /// A restart loses the machine: its checkpoints need no disk.
    in_memory: bool,
}

impl<M: StateMachine> Apply<M> {
    /// A view for a new instance; earlier views end.
    pub fn new(replica: Arc<Mutex<Replica<M>>>, in_memory: bool) -> Self {
        let instance = {
            let mut replica = replica.lock();
            replica.instance += 1;
            replica.instance
        };
        Apply {
            replica,
            instance,
            in_memory,
        }
    }
}

impl<M: StateMachine> RaftStateMachine<TypeConfig> for Apply<M> {
    type SnapshotData = OnDisk;
    type SnapshotBuilder = Builder<M>;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let replica = self.replica.lock();
        let Position {
            applied,
            membership,
            ..
        } = &replica.position;
        Ok((*applied, membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let is_large = is_large(&entry);
            {
                let mut replica = self.replica.lock();
                if replica.instance != self.instance {
                    return Err(io::Error::other("an instance that was replaced"));
                }
                replica.apply(entry).map_err(io::Error::other)?;
            }
            if let Some(responder) = responder {
                responder.send(());
            }
            // Who was told goes on while the entries behind are applied.
            if is_large {
                tasks::others_first().await;
            } else {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Builder<M>> {
        let mut replica = self.replica.lock();
        if replica.instance != self.instance || replica.failure.is_some() {
            return None;
        }
        let waiters = std::mem::take(&mut replica.checkpoint_waiters);
        let position = replica.position.clone();
        let begun = if self.in_memory {
            None
        } else {
            let guard = AbortOnPanic;
            let begun = replica
                .machine
                .checkpoint(convert::position_to_bytes(&position));
            drop(guard);
            match begun {
                Ok(begun) => Some(begun),
                Err(err) => {
                    let failure = match vfs::is_full(&err) {
                        true => Arc::new(err),
                        false => replica.fail(err),
                    };
                    drop(replica);
                    tell_all(waiters, &Err(CheckpointError::Machine(failure)));
                    return None;
                }
            }
        };
        Some(Builder {
            replica: Arc::clone(&self.replica),
            position,
            begun: Mutex::new(begun),
            waiters,
        })
    }

    async fn get_snapshot_builder(&mut self) -> Builder<M> {
        Builder {
            replica: Arc::clone(&self.replica),
            position: Position::default(),
            begun: Mutex::new(None),
            waiters: Vec::new(),
        }
    }

    async fn install_snapshot(&mut self, _meta: &SnapshotMeta, _data: OnDisk) -> io::Result<()> {
        let unsupported = "snapshots do not travel between servers";
        Err(io::Error::new(io::ErrorKind::Unsupported, unsupported))
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<TypeConfig, OnDisk>>> {
        let replica = self.replica.lock();
        Ok(replica.checkpoint.as_ref().map(snapshot))
    }
}

/// A checkpoint that was begun, to be completed while the machine goes on.
pub struct Builder<M: StateMachine> {
    replica: Arc<Mutex<Replica<M>>>,
    position: Position,
    /// Taken when completed; the lock is never waited for.
    begun: Mutex<Option<Box<dyn Checkpoint>>>,
    waiters: Vec<oneshot::Sender<Result<Position, CheckpointError>>>,
}

impl<M: StateMachine> RaftSnapshotBuilder<TypeConfig> for Builder<M> {
    type SnapshotData = OnDisk;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<TypeConfig, OnDisk>> {
        let begun = self.begun.get_mut().take();
        let completed = match begun {
            Some(begun) => complete(begun).await,
            None => Ok(()),
        };
        let told = completed.map(|()| self.position.clone()).map_err(|err| {
            if !vfs::is_full(&err) {
                tracing::warn!(%err, "a checkpoint failed, the one before stays");
            }
            CheckpointError::Machine(Arc::new(err))
        });
        let built = {
            let mut replica = self.replica.lock();
            let known = replica.checkpoint.take().unwrap_or_default();
            let newest = match &told {
                Ok(position) if position.applied >= known.applied => position.clone(),
                _ => known,
            };
            let built = snapshot(&newest);
            replica.checkpoint = newest.applied.is_some().then_some(newest);
            built
        };
        tell_all(std::mem::take(&mut self.waiters), &told);
        Ok(built)
    }
}

/// Completes on a thread that may block.
async fn complete(begun: Box<dyn Checkpoint>) -> Result<(), MachineError> {
    let (tell, told) = oneshot::channel();
    tasks::run_slowly(move || {
        let _ = tell.send(begun.complete());
    });
    told.await.unwrap_or_else(|_| {
        Err(MachineError {
            what: "complete a checkpoint",
            cause: "the thread ended".into(),
        })
    })
}

fn snapshot(position: &Position) -> SnapshotOf<TypeConfig, OnDisk> {
    let meta = SnapshotMeta {
        last_log_id: position.applied,
        last_membership: position.membership.clone(),
    };
    Snapshot {
        meta,
        snapshot: OnDisk,
    }
}

fn tell_all(
    waiters: Vec<oneshot::Sender<Result<Position, CheckpointError>>>,
    told: &Result<Position, CheckpointError>,
) {
    for waiter in waiters {
        // Who asked may have gone away.
        let _ = waiter.send(told.clone());
    }
}

//! Sleep: a group that nobody proposes to has no instance of openraft.
//!
//! Separate because an instance costs more than 100 KiB and half a dozen tasks, most
//! streams are idle most of the time, and everything but a proposal is answered without
//! one: the machine and the log stay where they are.
//!
//! ```text
//!   propose ──► Desk ──► driver: one task while awake ──► openraft
//!
//!   Asleep ──(something on the desk: start the driver, it starts openraft)──► Awake
//!      ▲                                                                        │
//!      └──── nothing on the desk and nothing in flight for `idle`: both end ────┘
//! ```
//!
//! Waking writes nothing: the vote of a sole voter is committed and names it, so openraft
//! leads on at once. Only a fresh group, or one whose last vote is another's, writes.
//!
//! Invariants: there is a driver exactly while the desk says *awake*, so at most one
//! instance at a time: the driver ends the one before it looks at the desk again, and
//! what was laid down meanwhile wakes the next; what lies on the desk is sent in order;
//! what openraft has is bounded; every proposal taken from the desk is answered, at the
//! latest when openraft drops its [`Answer`]. Asleep, a group has no task and no timer.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use openraft::Raft;
use openraft::error::Fatal;
use openraft::raft::ClientWriteResult;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::raft::apply::Apply;
use crate::raft::error::{CheckpointError, ProposeError};
use crate::raft::group::Inner;
use crate::raft::replica::Replica;
use crate::raft::types::{Answer, Batch, Ticket, TypeConfig};
use crate::state_machine::StateMachine;

/// What may be in flight, in KiB of stored entries.
const IN_FLIGHT_KIB_MAX: usize = 64 << 10;

/// What a proposal counts for at least, in KiB: 4,096 small ones may be in flight.
const PROPOSAL_KIB_MIN: usize = 16;

/// What is to be done, and whether somebody does it.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) power: Power,
    /// In the order of the log to come. As many as there are callers of `propose`.
    pub(super) waiting: VecDeque<Batch>,
    /// A checkpoint is wanted.
    pub(super) checkpoint: bool,
    in_flight_kib: usize,
    /// Proposals and checkpoints ever taken from here.
    taken: u64,
    /// Of the driver, if there is one.
    driver: Option<JoinHandle<()>>,
}

/// Whether openraft runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Power {
    /// No instance, no driver.
    #[default]
    Asleep,
    /// A driver, with an instance or about to start one.
    Awake,
    /// No instance any more; the driver ends.
    Stopped,
}

/// What a driver does next.
enum Next {
    Propose(Batch),
    Checkpoint,
    Wait,
    End,
}

/// Why a driver is done with its instance.
enum End {
    Idle,
    Stopped,
    Failed(Fatal<TypeConfig>),
}

impl<M: StateMachine> Inner<M> {
    /// Changes the desk and sees to it that somebody looks at it. False if the group is
    /// stopped: then nothing was changed.
    pub(super) fn lay_down(self: &Arc<Self>, change: impl FnOnce(&mut Desk)) -> bool {
        let mut desk = self.desk.lock();
        match desk.power {
            Power::Stopped => return false,
            Power::Awake => {}
            Power::Asleep => {
                desk.power = Power::Awake;
                let driver = drive(Arc::downgrade(self), Arc::clone(&self.news));
                desk.driver = Some(self.place.spawn(driver));
            }
        }
        change(&mut desk);
        drop(desk);
        self.news.notify_one();
        true
    }

    /// Ends openraft for good.
    pub(super) async fn stop(&self) {
        let (waiting, driver) = {
            let mut desk = self.desk.lock();
            desk.power = Power::Stopped;
            (std::mem::take(&mut desk.waiting), desk.driver.take())
        };
        self.log.close();
        self.news.notify_one();
        self.refuse(waiting, ProposeError::Stopped);
        if let Some(driver) = driver
            && let Err(err) = driver.await
        {
            tracing::warn!(group = %self.id, %err, "the driver of a group ended badly");
        }
        let mut replica = self.replica.lock();
        replica.instance += 1;
        replica.forget_all();
    }

    fn refuse(&self, waiting: impl IntoIterator<Item = Batch>, err: ProposeError) {
        let mut replica = self.replica.lock();
        for ticket in waiting.into_iter().filter_map(|batch| batch.ticket) {
            replica.refuse(ticket, err);
        }
    }

    fn next(&self) -> Next {
        let mut desk = self.desk.lock();
        if desk.power == Power::Stopped {
            return Next::End;
        }
        if std::mem::take(&mut desk.checkpoint) {
            desk.taken += 1;
            return Next::Checkpoint;
        }
        if desk.in_flight_kib >= IN_FLIGHT_KIB_MAX {
            return Next::Wait;
        }
        match desk.waiting.pop_front() {
            Some(batch) => {
                desk.taken += 1;
                desk.in_flight_kib += kib(&batch);
                Next::Propose(batch)
            }
            None => Next::Wait,
        }
    }

    /// Whether the driver may end: nothing is to be done. Then there is none from here on.
    fn fall_asleep(&self) -> bool {
        let mut desk = self.desk.lock();
        let idle = desk.waiting.is_empty() && !desk.checkpoint;
        match desk.power {
            Power::Awake if idle => {
                desk.power = Power::Asleep;
                // A task that ended keeps its memory while somebody has its handle.
                desk.driver = None;
                desk.waiting = VecDeque::new();
                true
            }
            Power::Awake => false,
            Power::Asleep | Power::Stopped => true,
        }
    }

    /// There is no instance and none can be had: whoever waits hears why.
    fn fall_asleep_refusing(&self, err: ProposeError) {
        let waiting = {
            let mut desk = self.desk.lock();
            if desk.power == Power::Awake {
                desk.power = Power::Asleep;
            }
            desk.checkpoint = false;
            std::mem::take(&mut desk.waiting)
        };
        self.refuse(waiting, err);
        let waiters = std::mem::take(&mut self.replica.lock().checkpoint_waiters);
        for waiter in waiters {
            let _ = waiter.send(Err(CheckpointError::Asleep(err)));
        }
    }
}

/// Drives one instance after the other, until there is nothing to do.
async fn drive<M: StateMachine>(group: Weak<Inner<M>>, news: Arc<Notify>) {
    loop {
        let raft = {
            let Some(inner) = group.upgrade() else { return };
            match inner.start_openraft().await {
                Ok(raft) => raft,
                Err(err) => return inner.fall_asleep_refusing(err),
            }
        };
        let end = use_up(&group, &news, &raft).await;
        if let Err(err) = raft.shutdown().await {
            tracing::warn!(%err, "openraft ended badly");
        }
        drop(raft);
        let Some(inner) = group.upgrade() else { return };
        let stopped = inner.desk.lock().power == Power::Stopped;
        match end {
            End::Idle if inner.fall_asleep() => return,
            End::Idle => {}
            End::Stopped => return,
            End::Failed(_) if stopped => return,
            End::Failed(fatal) => {
                inner.give_up(fatal);
                return inner.fall_asleep_refusing(ProposeError::Stopped);
            }
        }
    }
}

/// Hands one instance what comes onto the desk.
async fn use_up<M: StateMachine>(
    group: &Weak<Inner<M>>,
    news: &Notify,
    raft: &Raft<TypeConfig, Apply<M>>,
) -> End {
    let Some(idle) = group.upgrade().map(|inner| inner.options.idle) else {
        return End::Stopped;
    };
    let mut seen = 0;
    let mut quiet = std::pin::pin!(tokio::time::sleep(idle));
    loop {
        let next = match group.upgrade() {
            Some(inner) => inner.next(),
            None => Next::End,
        };
        let sent = match next {
            Next::Propose(batch) => {
                let answer = group.upgrade().and_then(|inner| answer(&inner, &batch));
                raft.client_write_ff(batch, answer).await
            }
            Next::Checkpoint => raft.trigger().snapshot().await,
            Next::End => return End::Stopped,
            Next::Wait => {
                tokio::select! {
                    () = news.notified() => {}
                    () = &mut quiet => {
                        let Some(inner) = group.upgrade() else { return End::Stopped };
                        let taken = inner.desk.lock().taken;
                        if taken == seen && is_quiet(&inner) {
                            return End::Idle;
                        }
                        seen = taken;
                        quiet.set(tokio::time::sleep(idle));
                    }
                }
                Ok(())
            }
        };
        if let Err(fatal) = sent {
            return End::Failed(fatal);
        }
    }
}

/// Nothing is in flight and nobody waits for a checkpoint.
fn is_quiet<M: StateMachine>(inner: &Inner<M>) -> bool {
    inner.desk.lock().in_flight_kib == 0 && !inner.is_checkpointing()
}

/// What openraft calls when the proposal is applied or refused.
fn answer<M: StateMachine>(
    inner: &Arc<Inner<M>>,
    batch: &Batch,
) -> Option<Answer<ClientWriteResult<TypeConfig>>> {
    let flight = Flight {
        inner: Arc::clone(inner),
        ticket: batch.ticket?,
        kib: kib(batch),
        err: Some(ProposeError::Stopped),
    };
    Some(Answer(Box::new(move |result| {
        let mut flight = flight;
        // Whatever else it says comes from somebody else leading.
        flight.err = result.err().map(|_| ProposeError::NotLeader);
    })))
}

/// A proposal that openraft has. Dropped when it is applied, refused or lost.
struct Flight<M: StateMachine> {
    inner: Arc<Inner<M>>,
    ticket: Ticket,
    kib: usize,
    /// What the proposer is told, if the machine did not tell it.
    err: Option<ProposeError>,
}

impl<M: StateMachine> Drop for Flight<M> {
    fn drop(&mut self) {
        let inner = &self.inner;
        let was_full = {
            let mut desk = inner.desk.lock();
            let was_full = desk.in_flight_kib >= IN_FLIGHT_KIB_MAX;
            desk.in_flight_kib = desk.in_flight_kib.saturating_sub(self.kib);
            was_full
        };
        if was_full {
            inner.news.notify_one();
        }
        match self.err {
            Some(err) => refuse(&inner.replica, self.ticket, err),
            None => inner.checkpoint_if_due(),
        }
    }
}

fn refuse<M: StateMachine>(replica: &Mutex<Replica<M>>, ticket: Ticket, err: ProposeError) {
    replica.lock().refuse(ticket, err);
}

fn kib(batch: &Batch) -> usize {
    (batch.stored.len() >> 10).max(PROPOSAL_KIB_MIN)
}

#[cfg(test)]
mod tests;

//! What a server holds of a group besides its log: the machine, and where it stands.
//!
//! Separate from openraft's instance, which comes and goes ([`crate::raft::hibernate`]),
//! while the machine stays and answers reads.
//!
//! Invariants: entries are applied in the order of the log, each once; `now` as the
//! machine sees it never goes back; an outcome is told after the whole entry was applied;
//! a machine that failed applies nothing more. A panic of a machine ends the process: the
//! state it leaves behind differs from that of the other replicas, and nobody would know.

use std::collections::HashMap;
use std::process;
use std::sync::Arc;
use std::thread;

use openraft::EntryPayload;
use tokio::sync::oneshot;

use crate::raft::convert::{self, Position};
use crate::raft::error::{CheckpointError, ProposeError};
use crate::raft::types::{Batch, Entry, LogId, StoredMembership, Ticket};
use crate::state_machine::{DecodeError, MachineError, StateMachine};

/// A machine, where it stands, and who waits for its outcomes.
pub struct Replica<M: StateMachine> {
    /// The state. Changed by applied entries; leader-only state also by its owner.
    pub machine: M,
    /// Up to where entries are applied.
    pub position: Position,
    /// The last complete checkpoint.
    pub checkpoint: Option<Position>,
    /// Why nothing is applied any more.
    pub failure: Option<Arc<MachineError>>,
    /// Who waits for a checkpoint that has not begun.
    pub checkpoint_waiters: Vec<oneshot::Sender<Result<Position, CheckpointError>>>,
    /// Numbers openraft's instances: what an earlier one still wants is refused.
    pub instance: u64,
    /// Proposals whose entries are not applied yet. Bounded by what may be in flight.
    proposals: HashMap<Ticket, Proposal<M>, foldhash::fast::FixedState>,
    last_ticket: u64,
}

/// Commands as their proposer made them, and who waits for what becomes of them.
struct Proposal<M: StateMachine> {
    commands: Vec<M::Command>,
    tell: Tell<M>,
}

/// To whom an outcome is told.
type Tell<M> = oneshot::Sender<Told<M>>;

/// What a proposer is told.
pub type Told<M> = Result<Vec<<M as StateMachine>::Outcome>, ProposeError>;

impl<M: StateMachine> Replica<M> {
    /// A machine in the state of its checkpoint at `checkpoint`; a fresh one without.
    pub fn new(machine: M, checkpoint: Option<Position>) -> Self {
        Replica {
            machine,
            position: checkpoint.clone().unwrap_or_default(),
            checkpoint,
            failure: None,
            checkpoint_waiters: Vec::new(),
            instance: 0,
            proposals: HashMap::default(),
            last_ticket: 0,
        }
    }

    /// The first index that is not applied.
    pub fn next_index(&self) -> u64 {
        self.position.applied.map_or(0, |applied| applied.index + 1)
    }

    /// A checkpoint would hold something, or free something, that the last one does not.
    pub fn wants_checkpoint(&self) -> bool {
        let known = self.checkpoint.as_ref().and_then(|known| known.applied);
        let is_behind = known != self.position.applied;
        is_behind || self.machine.wants_checkpoint()
    }

    /// Names a proposal that is about to be made.
    pub fn next_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// Keeps the commands until their entry is applied.
    pub fn expect(
        &mut self,
        ticket: Ticket,
        commands: Vec<M::Command>,
    ) -> oneshot::Receiver<Told<M>> {
        let (tell, told) = oneshot::channel();
        self.proposals.insert(ticket, Proposal { commands, tell });
        told
    }

    /// The proposal's entry will not come, or nobody can say.
    pub fn refuse(&mut self, ticket: Ticket, err: ProposeError) {
        if let Some(proposal) = self.proposals.remove(&ticket) {
            let _ = proposal.tell.send(Err(err));
        }
    }

    /// Gives memory back that only makes things faster.
    pub fn rest(&mut self) {
        self.proposals.shrink_to_fit();
        self.checkpoint_waiters.shrink_to_fit();
    }

    /// No entry of this process will come any more.
    pub fn forget_all(&mut self) {
        self.proposals.clear();
        self.checkpoint_waiters.clear();
    }

    /// Applies the next entry.
    ///
    /// # Errors
    /// When the machine failed, now or before, or the entry is not the next one.
    pub fn apply(&mut self, entry: Entry) -> Result<(), Arc<MachineError>> {
        if let Some(failure) = &self.failure {
            return Err(Arc::clone(failure));
        }
        let guard = AbortOnPanic;
        let applied = self.try_apply(entry);
        drop(guard);
        applied.map_err(|err| self.fail(err))
    }

    /// Applies nothing more from now on.
    pub fn fail(&mut self, err: MachineError) -> Arc<MachineError> {
        let failure = Arc::new(err);
        Arc::clone(self.failure.get_or_insert(failure))
    }

    fn try_apply(&mut self, entry: Entry) -> Result<(), MachineError> {
        let Entry { log_id, payload } = entry;
        self.check_order(&log_id)?;
        match payload {
            EntryPayload::Blank => self.position.applied = Some(log_id),
            EntryPayload::Membership(membership) => {
                self.position.applied = Some(log_id);
                self.position.membership = StoredMembership::new(Some(log_id), membership);
            }
            EntryPayload::Normal(batch) => self.apply_batch(log_id, &batch)?,
        }
        Ok(())
    }

    fn apply_batch(&mut self, log_id: LogId, batch: &Batch) -> Result<(), MachineError> {
        let now = batch.now.max(self.position.now);
        let proposal = batch
            .ticket
            .and_then(|ticket| self.proposals.remove(&ticket));
        let is_sliced = self.machine.begin(log_id.index, &batch.stored);
        let (commands, tell) = match proposal {
            Some(Proposal { commands, tell }) if is_sliced => {
                let relocated = M::relocate(commands, &convert::commands_of(batch));
                (relocated.map_err(undecodable)?, Some(tell))
            }
            Some(Proposal { commands, tell }) => (commands, Some(tell)),
            None => (decode::<M>(batch)?, None),
        };
        let mut outcomes = Vec::with_capacity(commands.len());
        for command in commands {
            outcomes.push(self.machine.apply(now, command)?);
        }
        self.position.now = now;
        self.position.applied = Some(log_id);
        if let Some(tell) = tell {
            // Who asked may have gone away.
            let _ = tell.send(Ok(outcomes));
        }
        Ok(())
    }

    /// The entries below the first one may be in a checkpoint, or never have been.
    fn check_order(&self, log_id: &LogId) -> Result<(), MachineError> {
        match &self.position.applied {
            Some(applied) if log_id.index != applied.index + 1 => Err(MachineError {
                what: "apply entries in order",
                cause: format!("{log_id} after {applied}").into(),
            }),
            _ => Ok(()),
        }
    }
}

fn decode<M: StateMachine>(batch: &Batch) -> Result<Vec<M::Command>, MachineError> {
    M::decode(&convert::commands_of(batch)).map_err(undecodable)
}

fn undecodable(err: DecodeError) -> MachineError {
    MachineError {
        what: "decode commands",
        cause: err.into(),
    }
}

/// Ends the process when dropped by a panic.
pub struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("a state machine panicked, the process ends");
            process::abort();
        }
    }
}

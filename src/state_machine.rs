//! The contract between a replicated state machine and whoever replicates it.
//!
//! Separate because both sides are big and must not know each other: the machines of
//! streams and of the meta group are pure, and what runs them speaks Raft, files and
//! threads. An *entry* of the log is a batch of commands with one `now`, stamped by the
//! leader; every replica applies every entry in the order of the log.
//!
//! ```text
//!   proposer ── encode(commands) ──► log ──► committed ──► decode ──► apply, one by one ──► outcomes
//!                                                             └─► now and then: checkpoint ──► complete (slow, elsewhere)
//! ```
//!
//! Invariants: the outcome and the new state depend on the state, `now` and the command
//! only; `now` never goes back from entry to entry; a checkpoint contains exactly the
//! entries applied before it was begun, and the log is not purged before it completed.

use bytes::Bytes;

use crate::clock::Timestamp;

/// State that is the same on every replica that applied the same log.
pub trait StateMachine: Send + 'static {
    /// One change that somebody asks for.
    type Command: Send + 'static;
    /// What became of it; of use to the leader only.
    type Outcome: Send + 'static;

    /// Appends the commands as bytes that every later version of this machine can read.
    fn encode(commands: &[Self::Command], out: &mut Vec<u8>);

    /// The inverse of [`StateMachine::encode`]; byte fields are slices of `bytes`.
    ///
    /// # Errors
    /// When the bytes are not such commands; the replica stops, nothing is skipped.
    fn decode(bytes: &Bytes) -> Result<Vec<Self::Command>, DecodeError>;

    /// The same commands as [`StateMachine::decode`] would make of `bytes`, which were encoded
    /// from these: their large fields are slices of `bytes`.
    ///
    /// # Errors
    /// As [`StateMachine::decode`].
    fn relocate(
        _commands: Vec<Self::Command>,
        bytes: &Bytes,
    ) -> Result<Vec<Self::Command>, DecodeError> {
        Self::decode(bytes)
    }

    /// An entry is going to be applied: its index in the log, and all of its bytes there.
    /// True if the commands should be slices of these very
    /// bytes, also where the leader still has those that somebody asked for.
    fn begin(&mut self, _index: u64, _bytes: &Bytes) -> bool {
        false
    }

    /// There is work left that no outcome has waited for.
    fn is_behind(&self) -> bool {
        false
    }

    /// Does some of that work, a little at a time.
    ///
    /// # Errors
    /// As [`StateMachine::apply`].
    fn catch_up(&mut self) -> Result<(), MachineError> {
        Ok(())
    }

    /// Applies one committed command.
    ///
    /// # Errors
    /// When the replica's own disk does not do its part. It stops: it must not go on with
    /// a state that differs from that of the others.
    fn apply(
        &mut self,
        now: Timestamp,
        command: Self::Command,
    ) -> Result<Self::Outcome, MachineError>;

    /// When this machine next wants a tick, if nothing else happens before. The tick itself
    /// is a command that the leader proposes.
    fn next_deadline(&self) -> Option<Timestamp>;

    /// Begins a checkpoint of everything applied so far, up to the entry that `position`
    /// names (opaque here, kept with the checkpoint and handed back at restart). Quick: it
    /// copies small state and holds on to files. The slow half is [`Checkpoint::complete`].
    ///
    /// # Errors
    /// As [`StateMachine::apply`]; if it is only for want of room, the machine is as before
    /// and goes on without.
    fn checkpoint(&mut self, position: Bytes) -> Result<Box<dyn Checkpoint>, MachineError>;

    /// Another checkpoint would free room on the disk though nothing was applied since.
    fn wants_checkpoint(&self) -> bool {
        false
    }
}

/// The slow half of a checkpoint: runs on a thread that may block, while the machine goes on.
pub trait Checkpoint: Send {
    /// Makes the checkpoint durable: after a crash the machine comes back in this state or
    /// a later one.
    ///
    /// # Errors
    /// When the disk refuses. The checkpoint before stays valid.
    fn complete(self: Box<Self>) -> Result<(), MachineError>;
}

/// Bytes that are no commands of this machine.
#[derive(Debug, thiserror::Error)]
#[error("replicated bytes: {0}")]
pub struct DecodeError(pub String);

/// Why a replica cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("state machine: {what}")]
pub struct MachineError {
    /// What was being done.
    pub what: &'static str,
    /// What the disk, or the decoder, said.
    #[source]
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

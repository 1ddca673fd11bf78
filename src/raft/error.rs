//! Why a group did not do what it was asked. One variant for each thing a caller can do.

use std::io;
use std::sync::Arc;

use crate::state_machine::{DecodeError, MachineError};
use crate::wal;

/// Why a proposal has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Somebody else leads, or nobody knows who. Whether the commands will be applied is
    /// unknown: only a machine that recognises duplicates may be asked again.
    #[error("not the leader")]
    NotLeader,
    /// The group was stopped, or stopped itself, see [`crate::raft::group::Group::failure`].
    /// Whether the commands will be applied is unknown.
    #[error("the group is stopped")]
    Stopped,
    /// The disk has no room. Nothing was done; asking again later is right.
    #[error("no space left")]
    NoSpace,
    /// One entry of the log cannot hold so much. Nothing was done, now or later.
    #[error("too large for the log")]
    TooLarge,
    /// Part of the group's log is lost. Nothing is done until somebody accepts that, see
    /// [`crate::raft::group::Group::accept_damage`].
    #[error("the group's log is damaged")]
    Damaged,
}

/// Why a checkpoint was not made. The one before stays valid.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The group was stopped.
    #[error("the group is stopped")]
    Stopped,
    /// The group cannot be woken for it.
    #[error("wake the group")]
    Asleep(#[source] ProposeError),
    /// The machine could not.
    #[error("checkpoint")]
    Machine(#[source] Arc<MachineError>),
}

/// Why a group could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The position kept with the checkpoint is none.
    #[error("position of the checkpoint")]
    Position(#[source] DecodeError),
    /// The log cannot be read.
    #[error("read the log")]
    Log(#[source] io::Error),
    /// The log begins behind the checkpoint: what lies between is lost.
    #[error("the log begins at {log_first}, the checkpoint ends before {machine_next}")]
    Hole {
        /// The first entry of the log.
        log_first: u64,
        /// The first entry that the checkpoint does not contain.
        machine_next: u64,
    },
    /// The log ends before the checkpoint: it lost what it held, and maybe more.
    #[error("the log lost its entries: the checkpoint ends at {applied}, the log before that")]
    LogLost {
        /// The last entry that the checkpoint contains.
        applied: u64,
    },
    /// The machine could not apply what the log holds.
    #[error("replay the log")]
    Machine(#[source] Arc<MachineError>),
    /// It runs already.
    #[error("group {0} is running")]
    Running(wal::GroupId),
}

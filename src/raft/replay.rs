//! Restart: applies what the log holds behind the checkpoint, without openraft.
//!
//! Separate because a server with thousands of streams must come up, and answer reads,
//! without an instance of openraft for each.
//!
//! Which entries may be applied? openraft would say: those known to be committed. For a
//! sole voter every entry that is in the log after a restart is:
//!
//! 1. The log reports only what is durable when it is opened ([`crate::wal`]).
//! 2. Let `e` be an entry in this server's log, and let this server be the only voter of
//!    the membership in effect at `e` (the last one at or before `e`). A leader of any
//!    later term needs this server's vote: as long as no later membership is in effect
//!    anywhere, because it is the only voter; and a later membership is first joint with
//!    this one, so that its elections need a majority of both. This server votes only for
//!    who has all it has. So every later leader has `e`, nobody ever overwrites it, and
//!    with this server's copy a quorum holds it: `e` is committed.
//! 3. If the *last* membership in the log has this server as the only voter, everything
//!    before it is committed too: it was appended only after the joint one before it was
//!    committed, which commits all that precedes.
//!
//! Where neither holds (the group has other voters), entries are applied up to what was
//! recorded as committed, and openraft learns the rest from the peers.
//!
//! What the checkpoint contains is let go: a crash may have come between the checkpoint and
//! the end of the log before it, and a group at rest has no other occasion.
//!
//! Invariants: nothing is skipped: a hole in the log ends the start with an error, and so
//! does a log that ends before the checkpoint, unless the log says itself that it is
//! damaged; then the replay ends before the hole.

use std::io;
use std::ops::Range;

use openraft::EntryPayload;

use crate::raft::error::StartError;
use crate::raft::log_store::LogStore;
use crate::raft::replica::Replica;
use crate::raft::types::{Entry, LogId, Membership};
use crate::state_machine::StateMachine;
use crate::wal::GroupState;

/// What one read takes.
const READ_BYTES_MAX: usize = 4 << 20;

/// Applies to the replica what its log holds, as far as it is committed for sure.
///
/// # Errors
/// When the log cannot be read, does not fit the checkpoint, or the machine fails.
pub fn replay<M: StateMachine>(
    replica: &mut Replica<M>,
    log: &LogStore,
    node: u64,
) -> Result<(), StartError> {
    let state = log.state();
    check(&state, replica.position.applied)?;
    let machine_next = replica.next_index();
    if let Some(applied) = &replica.position.applied {
        log.let_go(applied);
    }
    let end = state.last.map_or(0, |last| last.index + 1);
    let known = state.committed.map_or(0, |committed| committed.index + 1);
    let damaged = state.damage.is_some();
    let members = replica.position.membership.membership();
    let mut trusted = is_sole_voter(members, node);
    if !trusted && members.voter_ids().next().is_some() {
        trusted = last_membership_is_mine(log, machine_next..end, node, damaged)?;
    }

    let mut next = machine_next;
    while next < end {
        let Some(entries) = read(log, next..end, damaged)? else {
            break;
        };
        for entry in entries {
            let index = entry.log_id.index;
            if let EntryPayload::Membership(membership) = &entry.payload {
                trusted = is_sole_voter(membership, node)
                    || last_membership_is_mine(log, index..end, node, damaged)?;
            }
            if !trusted && index >= known {
                return Ok(());
            }
            log.add_bytes(bytes_of(&entry));
            replica.apply(entry).map_err(StartError::Machine)?;
            next = index + 1;
        }
    }
    Ok(())
}

/// Whether the log goes on where a checkpoint ends. A checkpoint is made of what the log
/// held, and the log remembers how far it was purged: one that ends before the checkpoint is
/// not the one that it was. If the log says itself what it lost, the checkpoint counts.
///
/// # Errors
/// [`StartError::Hole`] and [`StartError::LogLost`].
pub fn check(log: &GroupState, applied: Option<LogId>) -> Result<(), StartError> {
    let machine_next = applied.map_or(0, |applied| applied.index + 1);
    let log_first = log.purged.map_or(0, |purged| purged.index + 1);
    if machine_next < log_first {
        return Err(StartError::Hole {
            log_first,
            machine_next,
        });
    }
    let log_next = log.last.map_or(0, |last| last.index + 1);
    match applied {
        Some(applied) if log_next < machine_next && log.damage.is_none() => {
            let applied = applied.index;
            Err(StartError::LogLost { applied })
        }
        _ => Ok(()),
    }
}

/// The next entries; none where damage begins.
fn read(
    log: &LogStore,
    range: Range<u64>,
    damaged: bool,
) -> Result<Option<Vec<Entry>>, StartError> {
    let start = range.start;
    match log.entries(range, READ_BYTES_MAX) {
        Ok(entries) if entries.first().map(|entry| entry.log_id.index) == Some(start) => {
            Ok(Some(entries))
        }
        Ok(_) | Err(_) if damaged => Ok(None),
        Ok(_) => {
            let missing = io::Error::new(io::ErrorKind::InvalidData, format!("no entry {start}"));
            Err(StartError::Log(missing))
        }
        Err(err) => Err(StartError::Log(err)),
    }
}

/// Whether the last membership among these entries has this node as its only voter.
fn last_membership_is_mine(
    log: &LogStore,
    mut range: Range<u64>,
    node: u64,
    damaged: bool,
) -> Result<bool, StartError> {
    let mut mine = false;
    while !range.is_empty() {
        let Some(entries) = read(log, range.clone(), damaged)? else {
            break;
        };
        for entry in entries {
            range.start = entry.log_id.index + 1;
            if let EntryPayload::Membership(membership) = &entry.payload {
                mine = is_sole_voter(membership, node);
            }
        }
    }
    Ok(mine)
}

/// Whether this node alone decides.
pub fn is_sole_voter(membership: &Membership, node: u64) -> bool {
    membership.voter_ids().eq([node])
}

fn bytes_of(entry: &Entry) -> u64 {
    match &entry.payload {
        EntryPayload::Normal(batch) => batch.stored.len() as u64,
        EntryPayload::Blank | EntryPayload::Membership(_) => 1,
    }
}

#[cfg(test)]
mod tests;

//! Stored bytes and openraft's types, there and back.
//!
//! Separate because this is what later versions must be able to read. An entry is stored as
//!
//! ```text
//!   0                                blank: a new leader's first entry
//!   1 | now, i64 little endian | ..  commands, as `StateMachine::encode` wrote them
//!   2 | membership, protobuf         who belongs to the group from here on
//! ```
//!
//! Votes, memberships and positions are the messages of `proto/replicated/raft.proto`.
//!
//! Invariant: decoding never panics, and what was encoded here decodes to the same value.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes};
use openraft::{EmptyNode, EntryPayload};
use prost::Message;

use crate::clock::Timestamp;
use crate::pb;
use crate::raft::types::{
    Batch, Entry, LeaderId, LogId, Membership, StoredMembership, Ticket, Vote,
};
use crate::state_machine::{DecodeError, StateMachine};
use crate::wal;

const BLANK: u8 = 0;
const COMMANDS: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// The bytes before the commands of an entry.
const HEAD_BYTES: usize = 9;

/// Where a machine stands in its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last applied entry.
    pub applied: Option<LogId>,
    /// Who belongs to the group, as of that entry.
    pub membership: StoredMembership,
    /// The time of the last applied batch.
    pub now: Timestamp,
}

/// A batch of commands, encoded.
pub fn batch<M: StateMachine>(now: Timestamp, commands: &[M::Command], ticket: Ticket) -> Batch {
    let mut stored = Vec::with_capacity(HEAD_BYTES);
    stored.put_u8(COMMANDS);
    stored.put_i64_le(now.unix_nanos());
    M::encode(commands, &mut stored);
    Batch {
        now,
        stored: stored.into(),
        ticket: Some(ticket),
    }
}

/// The encoded commands of a batch.
pub fn commands_of(batch: &Batch) -> Bytes {
    batch.stored.slice(HEAD_BYTES.min(batch.stored.len())..)
}

/// An entry's payload as it is stored.
pub fn payload_to_bytes(entry: &Entry) -> Bytes {
    match &entry.payload {
        EntryPayload::Blank => Bytes::from_static(&[BLANK]),
        EntryPayload::Normal(batch) => batch.stored.clone(),
        EntryPayload::Membership(membership) => {
            let mut stored = vec![MEMBERSHIP];
            stored.extend_from_slice(&membership_to_pb(membership).encode_to_vec());
            stored.into()
        }
    }
}

/// The inverse of [`payload_to_bytes`]; commands are a slice of `bytes`.
///
/// # Errors
/// When the bytes are no entry.
pub fn entry_from_bytes(log_id: wal::LogId, bytes: Bytes) -> Result<Entry, DecodeError> {
    let payload = match bytes.first() {
        Some(&BLANK) => EntryPayload::Blank,
        Some(&COMMANDS) => {
            let now = bytes
                .get(1..HEAD_BYTES)
                .and_then(|now| <[u8; 8]>::try_from(now).ok())
                .ok_or_else(|| DecodeError("a batch without its time".to_owned()))?;
            EntryPayload::Normal(Batch {
                now: Timestamp::from_unix_nanos(i64::from_le_bytes(now)),
                stored: bytes,
                ticket: None,
            })
        }
        Some(&MEMBERSHIP) => {
            let membership = pb::raft::Membership::decode(bytes.slice(1..)).map_err(undecodable)?;
            EntryPayload::Membership(membership_from_pb(membership)?)
        }
        Some(kind) => return Err(DecodeError(format!("an entry of unknown kind {kind}"))),
        None => return Err(DecodeError("an empty entry".to_owned())),
    };
    Ok(Entry {
        log_id: log_id_from_wal(log_id),
        payload,
    })
}

/// A vote as it is stored.
pub fn vote_to_bytes(vote: &Vote) -> Bytes {
    let vote = pb::raft::Vote {
        term: vote.leader_id.term,
        node: vote.leader_id.node_id,
        committed: vote.committed,
    };
    vote.encode_to_vec().into()
}

/// The inverse of [`vote_to_bytes`].
///
/// # Errors
/// When the bytes are no vote.
pub fn vote_from_bytes(bytes: Bytes) -> Result<Vote, DecodeError> {
    let vote = pb::raft::Vote::decode(bytes).map_err(undecodable)?;
    Ok(if vote.committed {
        Vote::new_committed(vote.term, vote.node)
    } else {
        Vote::new(vote.term, vote.node)
    })
}

/// A position as it is kept with a checkpoint.
pub fn position_to_bytes(position: &Position) -> Bytes {
    let position = pb::raft::Position {
        applied: position.applied.map(log_id_to_pb),
        membership: Some(membership_to_pb(position.membership.membership())),
        membership_at: position.membership.log_id().map(log_id_to_pb),
        now: position.now.unix_nanos(),
    };
    position.encode_to_vec().into()
}

/// The inverse of [`position_to_bytes`].
///
/// # Errors
/// When the bytes are no position.
pub fn position_from_bytes(bytes: Bytes) -> Result<Position, DecodeError> {
    let position = pb::raft::Position::decode(bytes).map_err(undecodable)?;
    let membership = membership_from_pb(position.membership.unwrap_or_default())?;
    Ok(Position {
        applied: position.applied.map(log_id_from_pb),
        membership: StoredMembership::new(position.membership_at.map(log_id_from_pb), membership),
        now: Timestamp::from_unix_nanos(position.now),
    })
}

/// openraft's name of an entry.
pub fn log_id_from_wal(log_id: wal::LogId) -> LogId {
    let leader = LeaderId {
        term: log_id.term,
        node_id: log_id.node,
    };
    LogId::new(leader, log_id.index)
}

/// The log's name of an entry.
pub fn log_id_to_wal(log_id: &LogId) -> wal::LogId {
    wal::LogId {
        term: log_id.leader_id.term,
        node: log_id.leader_id.node_id,
        index: log_id.index,
    }
}

fn log_id_to_pb(log_id: LogId) -> pb::raft::LogId {
    pb::raft::LogId {
        term: log_id.leader_id.term,
        node: log_id.leader_id.node_id,
        index: log_id.index,
    }
}

fn log_id_from_pb(log_id: pb::raft::LogId) -> LogId {
    let leader = LeaderId {
        term: log_id.term,
        node_id: log_id.node,
    };
    LogId::new(leader, log_id.index)
}

fn membership_to_pb(membership: &Membership) -> pb::raft::Membership {
    let voters = |nodes: &BTreeSet<u64>| pb::raft::Voters {
        nodes: nodes.iter().copied().collect(),
    };
    pb::raft::Membership {
        configs: membership.get_joint_config().iter().map(voters).collect(),
        nodes: membership.nodes().map(|(node, _)| *node).collect(),
    }
}

fn membership_from_pb(membership: pb::raft::Membership) -> Result<Membership, DecodeError> {
    let configs = membership.configs.into_iter();
    let configs = configs.map(|voters| voters.nodes.into_iter().collect());
    let nodes = membership.nodes.into_iter();
    let nodes: BTreeMap<u64, EmptyNode> = nodes.map(|node| (node, EmptyNode::new())).collect();
    Membership::new(configs.collect(), nodes).map_err(|err| DecodeError(err.to_string()))
}

fn undecodable(err: prost::DecodeError) -> DecodeError {
    DecodeError(err.to_string())
}

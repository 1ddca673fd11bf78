//! The types that openraft works with here.
//!
//! Separate because every other file of the room names them, and none outside of it may.
//! One configuration serves all machines: what an entry carries is opaque bytes, so that
//! the network and the log need not know whose group it is.
//!
//! The proposer's own process must not decode again what it just encoded: it leaves the
//! commands in [`crate::raft::replica`] and puts a [`Ticket`] into the entry. A ticket
//! never goes to the disk or to a peer; an entry without one is decoded.

use std::fmt;

use bytes::Bytes;
use openraft::impls::{BoxedErrorSource, InlineBatch, leader_id_adv};
use openraft::raft::responder::Responder;
use openraft::type_config::alias;
use openraft::{EmptyNode, EntryPayload, RaftTypeConfig};

use crate::clock::Timestamp;

/// The one configuration of all groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeConfig;

impl RaftTypeConfig for TypeConfig {
    type D = Batch;
    type R = ();
    type NodeId = u64;
    type Node = EmptyNode;
    type Term = u64;
    type LeaderId = leader_id_adv::LeaderId<u64, u64>;
    type Vote = openraft::Vote<Self::LeaderId>;
    type Payload = EntryPayload<Batch, u64, EmptyNode>;
    type Entry = openraft::Entry<Self::LeaderId, Self::Payload>;
    type AsyncRuntime = crate::raft::runtime::Runtime;
    type Responder<T>
        = Answer<T>
    where
        T: Send + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: Send + 'static;
    type ErrorSource = BoxedErrorSource;
}

/// An entry of the log.
pub type Entry = alias::EntryOf<TypeConfig>;
/// The name of an entry.
pub type LogId = alias::LogIdOf<TypeConfig>;
/// Who leads, in which term.
pub type LeaderId = alias::LeaderIdOf<TypeConfig>;
/// A vote.
pub type Vote = alias::VoteOf<TypeConfig>;
/// Who belongs to a group.
pub type Membership = openraft::Membership<u64, EmptyNode>;
/// Who belongs to a group, and since which entry.
pub type StoredMembership = alias::StoredMembershipOf<TypeConfig>;
/// Up to where a snapshot goes.
pub type SnapshotMeta = alias::SnapshotMetaOf<TypeConfig>;

/// Takes what openraft says about a proposal. Dropped unused if openraft ends before.
pub struct Answer<T>(pub Box<dyn FnOnce(T) + Send>);

impl<T: Send + 'static> Responder<TypeConfig, T> for Answer<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}

/// What names a proposal of this process to the machine that will apply it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What an entry carries: commands with the time at which they were proposed.
#[derive(Clone)]
pub struct Batch {
    /// The leader's stamp.
    pub now: Timestamp,
    /// The entry as it is stored, see [`crate::raft::convert`].
    pub stored: Bytes,
    /// Names the commands in their decoded form, if this process proposed them.
    pub ticket: Option<Ticket>,
}

impl PartialEq for Batch {
    fn eq(&self, other: &Batch) -> bool {
        self.stored == other.stored
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.stored.len())
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

//! A stream's place: its group and the servers that carry it.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::stream::config::Config;

/// A Raft group, and the folder of its files. Never given out twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

impl GroupId {
    /// The group of this room's own machine; those of streams come after it.
    pub const META: GroupId = GroupId(1);

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> GroupId {
        GroupId(self.0.saturating_add(1))
    }
}

/// A server, by the number in its data directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// A stream that is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Its group; stays the same as long as the stream lives.
    pub group: GroupId,
    /// Validated. Whoever carries the stream shares it.
    pub config: Arc<Config>,
    /// When it was made: the time of the entry that made it.
    pub created: Timestamp,
    /// Who carries it.
    pub peers: Vec<NodeId>,
}

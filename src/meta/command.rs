//! What is replicated about streams and servers, and what becomes of it.

use super::assignment::{Assignment, GroupId, NodeId};
use crate::api_error::ApiError;
use crate::stream::config::Config;

/// A change of what is to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Makes a stream.
    PutStream {
        /// Whose.
        account: String,
        /// Validated by whoever proposes.
        config: Box<Config>,
        /// Where, by `placement`.
        peers: Vec<NodeId>,
    },
    /// Gives a stream another configuration.
    UpdateStream {
        /// Whose.
        account: String,
        /// Validated against the one before by whoever proposes.
        config: Box<Config>,
    },
    /// Ends a stream.
    DeleteStream {
        /// Whose.
        account: String,
        /// Which.
        name: String,
    },
    /// Groups that nobody knows anything of were found: their numbers, and all below, are
    /// not given out any more.
    SkipGroups {
        /// The first that may be given out.
        below: GroupId,
    },
    /// A server takes part, or has a new name.
    RegisterNode {
        /// Its number.
        node: NodeId,
        /// How people call it.
        name: String,
    },
    /// A server takes part no more; its number is used up.
    RemoveNode {
        /// Which.
        node: NodeId,
    },
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// There is a new stream.
    Created(Assignment),
    /// There was the same stream already.
    Exists(Assignment),
    /// The stream is configured so from now on.
    Updated(Assignment),
    /// This stream is no more.
    Deleted(Assignment),
    /// Numbers of groups are left out as asked for.
    GroupsSkipped,
    /// Servers are as asked for.
    NodesChanged,
    /// Nothing has changed.
    Refused(ApiError),
}

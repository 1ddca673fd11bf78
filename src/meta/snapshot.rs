//! The machine's state as bytes in a checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::assignment::{Assignment, GroupId, NodeId};
use super::codec::{config_from, config_to, nodes_from, nodes_to};
use super::machine::State;
use super::registry::Registry;
use crate::clock::Timestamp;
use crate::pb::meta as pb;
use crate::sequence_set::SequenceSet;
use crate::state_machine::DecodeError;

/// Everything; equal states are equal bytes.
pub(super) fn encode(state: &State) -> Vec<u8> {
    let of_account = |(account, streams): (&String, &BTreeMap<String, Assignment>)| {
        let account = account.clone();
        let to_pb = |assignment: &Assignment| pb::Stream {
            account: account.clone(),
            group: assignment.group.0,
            config: config_to(&assignment.config),
            created: assignment.created.unix_nanos(),
            peers: nodes_to(&assignment.peers),
        };
        streams.values().map(to_pb).collect::<Vec<_>>()
    };
    let nodes = state.registry.nodes().map(|(node, name)| pb::Node {
        node: node.0,
        name: name.to_owned(),
    });
    let mut deleted = Vec::new();
    state.deleted.encode(&mut deleted);
    pb::State {
        next_group: state.next_group.0,
        streams: state.streams.iter().flat_map(of_account).collect(),
        nodes: nodes.collect(),
        last_node: state.registry.last().0,
        deleted: deleted.into(),
    }
    .encode_to_vec()
}

/// The inverse of [`encode`].
///
/// # Errors
/// When the bytes are no such state, or one that cannot be.
pub(super) fn decode(bytes: &[u8]) -> Result<State, DecodeError> {
    let bytes = Bytes::copy_from_slice(bytes);
    let snapshot = pb::State::decode(bytes).map_err(|error| DecodeError(error.to_string()))?;
    let next_group = GroupId(snapshot.next_group);
    let mut streams: BTreeMap<String, BTreeMap<String, Assignment>> = BTreeMap::new();
    for stream in snapshot.streams {
        let group = GroupId(stream.group);
        if group <= GroupId::META || group >= next_group {
            return Err(DecodeError(format!(
                "group {} was never given out",
                group.0
            )));
        }
        let assignment = Assignment {
            group,
            config: Arc::new(config_from(&stream.config)?),
            created: Timestamp::from_unix_nanos(stream.created),
            peers: nodes_from(stream.peers)?,
        };
        let name = assignment.config.name.clone();
        let of_account = streams.entry(stream.account).or_default();
        if of_account.insert(name, assignment).is_some() {
            return Err(DecodeError("two streams of one name".to_owned()));
        }
    }
    let deleted = match &snapshot.deleted[..] {
        // Written before this was remembered.
        b"" => SequenceSet::new(),
        mut bytes => SequenceSet::decode(&mut bytes)
            .map_err(|_| DecodeError("groups that were deleted".to_owned()))?,
    };
    let nodes = snapshot.nodes.into_iter();
    let names = nodes.map(|node| (NodeId(node.node), node.name)).collect();
    Ok(State {
        streams,
        registry: Registry::restore(names, NodeId(snapshot.last_node)),
        next_group: next_group.max(GroupId::META.next()),
        deleted,
    })
}

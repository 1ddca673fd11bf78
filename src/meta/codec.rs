//! The machine's commands as bytes in its log.
//!
//! Separate because the bytes outlive versions: the messages of
//! `proto/replicated/meta.proto` only ever gain fields, while our own types may change.
//!
//! Invariant: what lacks something it cannot do without is an error, never a default.

use bytes::Bytes;
use prost::Message as _;

use super::assignment::{GroupId, NodeId};
use super::command::Command;
use crate::pb::meta as pb;
use crate::state_machine::DecodeError;
use crate::stream::config::Config;
use pb::command::Kind;

/// The field of `Commands` that holds the commands.
const COMMANDS: u32 = 1;

/// Appends the commands of one entry.
pub(super) fn encode(commands: &[Command], out: &mut Vec<u8>) {
    for command in commands {
        let message = pb::Command {
            kind: Some(to_pb(command)),
        };
        prost::encoding::message::encode(COMMANDS, &message, out);
    }
}

/// The inverse of [`encode`].
///
/// # Errors
/// When the bytes are no commands.
pub(super) fn decode(bytes: &Bytes) -> Result<Vec<Command>, DecodeError> {
    let entry =
        pb::Commands::decode(bytes.clone()).map_err(|error| DecodeError(error.to_string()))?;
    let commands = entry.commands.into_iter();
    commands
        .map(|command| from_pb(command.kind.ok_or_else(|| missing("kind of command"))?))
        .collect()
}

fn to_pb(command: &Command) -> Kind {
    match command {
        Command::PutStream {
            account,
            config,
            peers,
        } => Kind::PutStream(pb::PutStream {
            account: account.clone(),
            config: config_to(config),
            peers: nodes_to(peers),
        }),
        Command::UpdateStream { account, config } => Kind::UpdateStream(pb::UpdateStream {
            account: account.clone(),
            config: config_to(config),
        }),
        Command::DeleteStream { account, name } => Kind::DeleteStream(pb::DeleteStream {
            account: account.clone(),
            name: name.clone(),
        }),
        Command::SkipGroups { below } => Kind::SkipGroups(pb::SkipGroups { below: below.0 }),
        Command::RegisterNode { node, name } => Kind::RegisterNode(pb::RegisterNode {
            node: node.0,
            name: name.clone(),
        }),
        Command::RemoveNode { node } => Kind::RemoveNode(pb::RemoveNode { node: node.0 }),
    }
}

fn from_pb(kind: Kind) -> Result<Command, DecodeError> {
    Ok(match kind {
        Kind::PutStream(put) => Command::PutStream {
            account: named(put.account, "account")?,
            config: Box::new(config_from(&put.config)?),
            peers: nodes_from(put.peers)?,
        },
        Kind::UpdateStream(update) => Command::UpdateStream {
            account: named(update.account, "account")?,
            config: Box::new(config_from(&update.config)?),
        },
        Kind::DeleteStream(delete) => Command::DeleteStream {
            account: named(delete.account, "account")?,
            name: named(delete.name, "name of a stream")?,
        },
        Kind::SkipGroups(skip) => Command::SkipGroups {
            below: GroupId(skip.below),
        },
        Kind::RegisterNode(register) => Command::RegisterNode {
            node: node_from(register.node)?,
            name: register.name,
        },
        Kind::RemoveNode(remove) => Command::RemoveNode {
            node: node_from(remove.node)?,
        },
    })
}

fn missing(what: &str) -> DecodeError {
    DecodeError(format!("{what} is missing"))
}

fn named(name: String, what: &str) -> Result<String, DecodeError> {
    match name.is_empty() {
        true => Err(missing(what)),
        false => Ok(name),
    }
}

fn node_from(node: u64) -> Result<NodeId, DecodeError> {
    match node {
        0 => Err(missing("number of a node")),
        _ => Ok(NodeId(node)),
    }
}

pub(super) fn nodes_to(nodes: &[NodeId]) -> Vec<u64> {
    nodes.iter().map(|node| node.0).collect()
}

pub(super) fn nodes_from(nodes: Vec<u64>) -> Result<Vec<NodeId>, DecodeError> {
    nodes.into_iter().map(node_from).collect()
}

pub(super) fn config_to(config: &Config) -> Bytes {
    // Plain data without maps of anything but text: there is nothing that could fail.
    serde_json::to_vec(config).unwrap_or_default().into()
}

pub(super) fn config_from(bytes: &Bytes) -> Result<Config, DecodeError> {
    let config: Config = serde_json::from_slice(bytes)
        .map_err(|error| DecodeError(format!("configuration: {error}")))?;
    match config.name.is_empty() {
        true => Err(missing("name of a stream")),
        false => Ok(config),
    }
}

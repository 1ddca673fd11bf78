//! The machine: which streams there are and where, and which servers take part.
//!
//! Invariants: an outcome depends on the state, `now` and the command only; what the
//! proposer has validated against an older state is checked again where two proposals could
//! contradict each other: names and subjects.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::assignment::{Assignment, GroupId};
use super::command::{Command, Outcome};
use super::registry::Registry;
use super::usage::Usage;
use super::{codec, snapshot};
use crate::api_error::{ApiError, table};
use crate::clock::Timestamp;
use crate::sequence_set::SequenceSet;
use crate::state_machine::{Checkpoint, DecodeError, MachineError, StateMachine};
use crate::stream::config::Config;
use crate::stream::validate::{self, Streams};

/// Takes a snapshot and the position it is as of, and makes a checkpoint of them.
pub type Sink = Box<dyn FnMut(Vec<u8>, Bytes) -> Box<dyn Checkpoint> + Send>;

/// What is replicated.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) streams: BTreeMap<String, BTreeMap<String, Assignment>>,
    pub(super) registry: Registry,
    pub(super) next_group: GroupId,
    /// Groups of streams that were deleted: only of these may anything be removed. That
    /// nobody knows a group proves nothing. Runs, so no larger than what there is in between.
    pub(super) deleted: SequenceSet,
}

impl Default for State {
    fn default() -> Self {
        State {
            streams: BTreeMap::new(),
            registry: Registry::default(),
            next_group: GroupId::META.next(),
            deleted: SequenceSet::new(),
        }
    }
}

/// The machine of the meta group.
pub struct Machine {
    state: State,
    /// Follows from the state.
    usage: Usage,
    sink: Sink,
}

/// The streams of one account.
#[derive(Clone, Copy, Debug)]
pub struct AccountStreams<'a> {
    streams: Option<&'a BTreeMap<String, Assignment>>,
}

impl<'a> AccountStreams<'a> {
    /// By name, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a Assignment)> {
        let streams = self.streams.into_iter().flatten();
        streams.map(|(name, assignment)| (name.as_str(), assignment))
    }
}

impl Streams for AccountStreams<'_> {
    fn stream(&self, name: &str) -> Option<&Config> {
        Some(&self.streams?.get(name)?.config)
    }

    fn each(&self, visit: &mut dyn FnMut(&Config)) {
        self.iter()
            .for_each(|(_, assignment)| visit(&assignment.config));
    }
}

impl Machine {
    /// Without streams or servers.
    pub fn new(sink: Sink) -> Self {
        Machine::with(State::default(), sink)
    }

    /// As it was when the snapshot of a checkpoint was taken.
    ///
    /// # Errors
    /// When the bytes are no such snapshot.
    pub fn restore(snapshot: &[u8], sink: Sink) -> Result<Self, DecodeError> {
        Ok(Machine::with(snapshot::decode(snapshot)?, sink))
    }

    fn with(state: State, sink: Sink) -> Self {
        let mut usage = Usage::default();
        for (account, streams) in &state.streams {
            for assignment in streams.values() {
                usage.add(account, &assignment.config);
            }
        }
        Machine { state, usage, sink }
    }

    /// Everything, as bytes; the same on every replica.
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::encode(&self.state)
    }

    /// One stream.
    pub fn stream(&self, account: &str, name: &str) -> Option<&Assignment> {
        self.state.streams.get(account)?.get(name)
    }

    /// The streams of an account.
    pub fn account(&self, account: &str) -> AccountStreams<'_> {
        AccountStreams {
            streams: self.state.streams.get(account),
        }
    }

    /// The accounts that have streams, in order.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, AccountStreams<'_>)> {
        let accounts = self.state.streams.iter();
        accounts.map(|(account, streams)| {
            let streams = Some(streams);
            (account.as_str(), AccountStreams { streams })
        })
    }

    /// Whether the group's stream was deleted.
    pub fn is_deleted(&self, group: GroupId) -> bool {
        self.state.deleted.contains(group.0)
    }

    /// The group of the next new stream.
    pub fn next_group(&self) -> GroupId {
        self.state.next_group
    }

    /// The servers that take part.
    pub fn registry(&self) -> &Registry {
        &self.state.registry
    }

    /// What is reserved.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    fn put(
        &mut self,
        now: Timestamp,
        account: String,
        command: NewStream,
    ) -> Result<Outcome, ApiError> {
        let NewStream { config, peers } = command;
        if let Some(current) = self.stream(&account, &config.name) {
            return match validate::is_same(&current.config, &config) {
                true => Ok(Outcome::Exists(current.clone())),
                false => Err(ApiError::of(&table::STREAM_NAME_EXIST)),
            };
        }
        validate::check_again(&config, &self.account(&account))?;
        let assignment = Assignment {
            group: self.state.next_group,
            config: *config,
            created: now,
            peers,
        };
        self.state.next_group = self.state.next_group.next();
        self.usage.add(&account, &assignment.config);
        let name = assignment.config.name.clone();
        let streams = self.state.streams.entry(account).or_default();
        streams.insert(name, assignment.clone());
        Ok(Outcome::Created(assignment))
    }

    fn update(&mut self, account: &str, config: Config) -> Result<Outcome, ApiError> {
        validate::check_again(&config, &self.account(account))?;
        let streams = self.state.streams.get_mut(account);
        let assignment = streams
            .and_then(|streams| streams.get_mut(&config.name))
            .ok_or_else(not_found)?;
        self.usage.remove(account, &assignment.config);
        assignment.config = config;
        self.usage.add(account, &assignment.config);
        Ok(Outcome::Updated(assignment.clone()))
    }

    fn delete(&mut self, account: &str, name: &str) -> Result<Outcome, ApiError> {
        let streams = self.state.streams.get_mut(account).ok_or_else(not_found)?;
        let assignment = streams.remove(name).ok_or_else(not_found)?;
        if streams.is_empty() {
            self.state.streams.remove(account);
        }
        self.usage.remove(account, &assignment.config);
        self.state.deleted.insert(assignment.group.0);
        Ok(Outcome::Deleted(assignment))
    }
}

/// What [`Command::PutStream`] is about.
struct NewStream {
    config: Box<Config>,
    peers: Vec<super::assignment::NodeId>,
}

fn not_found() -> ApiError {
    ApiError::of(&table::STREAM_NOT_FOUND)
}

impl StateMachine for Machine {
    type Command = Command;
    type Outcome = Outcome;

    fn encode(commands: &[Command], out: &mut Vec<u8>) {
        codec::encode(commands, out);
    }

    fn decode(bytes: &Bytes) -> Result<Vec<Command>, DecodeError> {
        codec::decode(bytes)
    }

    fn apply(&mut self, now: Timestamp, command: Command) -> Result<Outcome, MachineError> {
        let outcome = match command {
            Command::PutStream {
                account,
                config,
                peers,
            } => self.put(now, account, NewStream { config, peers }),
            Command::UpdateStream { account, config } => self.update(&account, *config),
            Command::DeleteStream { account, name } => self.delete(&account, &name),
            Command::SkipGroups { below } => {
                self.state.next_group = self.state.next_group.max(below);
                Ok(Outcome::GroupsSkipped)
            }
            Command::RegisterNode { node, name } => {
                match self.state.registry.register(node, name) {
                    true => Ok(Outcome::NodesChanged),
                    false => Err(ApiError::of(&table::CLUSTER_PEER_NOT_MEMBER)),
                }
            }
            Command::RemoveNode { node } => match self.state.registry.remove(node) {
                true => Ok(Outcome::NodesChanged),
                false => Err(ApiError::of(&table::CLUSTER_SERVER_NOT_MEMBER)),
            },
        };
        Ok(outcome.unwrap_or_else(Outcome::Refused))
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    fn checkpoint(&mut self, position: Bytes) -> Result<Box<dyn Checkpoint>, MachineError> {
        let snapshot = self.snapshot();
        Ok((self.sink)(snapshot, position))
    }
}

#[cfg(test)]
mod tests;

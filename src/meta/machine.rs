//! The machine: which streams there are and where, and which servers take part.
//!
//! Invariants: an outcome depends on the state, `now` and the command only; what the
//! proposer has validated against an older state is checked again where two proposals could
//! contradict each other: names and subjects.

use std::collections::BTreeMap;
use std::sync::Arc;

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
use crate::subject::sublist::{Keyed, Sublist};

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
    /// Follows from the state: each account's streams by what they capture.
    captured: BTreeMap<String, Sublist<Captured>>,
    sink: Sink,
}

/// A stream that captures something.
#[derive(Debug)]
struct Captured {
    group: GroupId,
    name: Box<str>,
}

impl Captured {
    fn by(assignment: &Assignment) -> Self {
        Captured {
            group: assignment.group,
            name: assignment.config.name.as_str().into(),
        }
    }
}

impl Keyed for Captured {
    fn key(&self) -> u64 {
        self.group.0
    }
}

/// The streams of one account.
#[derive(Clone, Copy, Debug)]
pub struct AccountStreams<'a> {
    streams: Option<&'a BTreeMap<String, Assignment>>,
    captured: Option<&'a Sublist<Captured>>,
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

    fn near(&self, filter: &str, visit: &mut dyn FnMut(&Config)) {
        let Some(captured) = self.captured else {
            return;
        };
        captured.walk_overlapping(filter.as_bytes(), |_, captured| {
            if let Some(config) = self.stream(&captured.name) {
                visit(config);
            }
        });
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
        let mut captured = BTreeMap::new();
        for (account, streams) in &state.streams {
            for assignment in streams.values() {
                usage.add(account, &assignment.config);
                capture(&mut captured, account, assignment);
            }
        }
        Machine {
            state,
            usage,
            captured,
            sink,
        }
    }

    /// There is a stream, or it is configured so.
    fn note(&mut self, account: &str, assignment: &Assignment) {
        self.usage.add(account, &assignment.config);
        capture(&mut self.captured, account, assignment);
    }

    /// A stream is no more, or not configured so any more.
    fn forget(&mut self, account: &str, assignment: &Assignment) {
        self.usage.remove(account, &assignment.config);
        let Some(captured) = self.captured.get_mut(account) else {
            return;
        };
        for subject in &assignment.config.subjects {
            captured.remove(subject.as_bytes(), None, &Captured::by(assignment));
        }
        if captured.is_empty() {
            self.captured.remove(account);
        }
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
            captured: self.captured.get(account),
        }
    }

    /// The accounts that have streams, in order.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, AccountStreams<'_>)> {
        let accounts = self.state.streams.iter();
        accounts.map(move |(account, streams)| {
            let of_account = AccountStreams {
                streams: Some(streams),
                captured: self.captured.get(account),
            };
            (account.as_str(), of_account)
        })
    }

    /// Whether the group's stream was deleted.
    pub fn is_deleted(&self, group: GroupId) -> bool {
        self.state.deleted.contains(group.0)
    }

    /// The servers that take part.
    pub fn registry(&self) -> &Registry {
        &self.state.registry
    }

    /// The group of the next new stream. Every one below was given to a stream before, and
    /// none is given twice.
    pub fn next_group(&self) -> GroupId {
        self.state.next_group
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
            config: Arc::from(config),
            created: now,
            peers,
        };
        self.state.next_group = self.state.next_group.next();
        self.note(&account, &assignment);
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
        let before = assignment.clone();
        assignment.config = Arc::new(config);
        let updated = assignment.clone();
        self.forget(account, &before);
        self.note(account, &updated);
        Ok(Outcome::Updated(updated))
    }

    fn delete(&mut self, account: &str, name: &str) -> Result<Outcome, ApiError> {
        let streams = self.state.streams.get_mut(account).ok_or_else(not_found)?;
        let assignment = streams.remove(name).ok_or_else(not_found)?;
        if streams.is_empty() {
            self.state.streams.remove(account);
        }
        self.forget(account, &assignment);
        self.state.deleted.insert(assignment.group.0);
        Ok(Outcome::Deleted(assignment))
    }
}

/// Notes what a stream captures.
fn capture(
    captured: &mut BTreeMap<String, Sublist<Captured>>,
    account: &str,
    assignment: &Assignment,
) {
    let subjects = &assignment.config.subjects;
    if subjects.is_empty() {
        return;
    }
    let of_account = captured.entry(account.to_owned()).or_default();
    for subject in subjects {
        of_account.insert(subject.as_bytes(), None, Captured::by(assignment));
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

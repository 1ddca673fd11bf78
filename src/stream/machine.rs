//! The machine of one stream: routes commands, nothing else.
//!
//! Separate from what the commands do, which is a file each beside this one. Here are the
//! parts of the state, the door (`StateMachine`), and what the shell may look at.
//!
//! Invariants: the state depends on configuration and commands only; `now` never goes
//! back; the leader's own consumers (`local`) change nothing that is replicated.
//! Absent: who proposes, who answers.

use std::sync::Arc;

use bytes::Bytes;

use super::codec;
use super::command::Command;
use super::config::{Config, Discard, Retention, Storage};
use super::consumers::Consumers;
use super::dedup::Dedup;
use super::origin::Origins;
use super::outcome::{Answer, Cause, Effect, Outcome};
use super::sweep::{Sweeps, Unwanted};
use super::ttl::Lifetimes;
use crate::clock::Timestamp;
use crate::consumer::command::Command as ConsumerCommand;
use crate::consumer::config::Config as ConsumerConfig;
use crate::consumer::outcome::{Delivery, Kind, Outcome as ConsumerOutcome};
use crate::consumer::replica::Consumer;
use crate::state_machine::{Checkpoint, DecodeError, MachineError, StateMachine};
use crate::store::error::Error;
use crate::store::message::Seq;
use crate::store::{BoxedStore, MsgStore, State};

/// No stream gets further by asking to (`first_seq`, purge, the sequences of an origin), so
/// that publishing never runs out of sequences.
pub const SEQ_MAX: Seq = Seq(u64::MAX / 2);

/// One stream as every replica has it.
pub struct Machine {
    pub(super) config: Arc<Config>,
    pub(super) rules: Rules,
    pub(super) store: BoxedStore,
    pub(super) created: Timestamp,
    /// Of the last entry.
    pub(super) now: Timestamp,
    /// Of the last message that was stored or skipped; empty if it had none.
    pub(super) last_msg_id: Bytes,
    pub(super) dedup: Dedup,
    pub(super) origins: Origins,
    pub(super) followers: Followers,
    pub(super) sweeps: Sweeps,
    pub(super) timing: Timing,
}

/// What follows the messages of the store, and is told of each that comes and goes.
#[derive(Debug, Default)]
pub(super) struct Followers {
    pub(super) consumers: Consumers,
    /// The leader's own consumers; not replicated, not in the snapshot.
    pub(super) local: Consumers,
    pub(super) lifetimes: Lifetimes,
    /// Effects and figures of the command being applied.
    pub(super) effects: Vec<Effect>,
    pub(super) removed: u64,
}

impl Followers {
    #[inline]
    pub(super) fn on_stored(&mut self, seq: Seq, subject: &[u8]) {
        self.consumers.on_stored(seq, subject);
        self.local.on_stored(seq, subject);
    }

    #[inline]
    pub(super) fn on_removed(&mut self, seq: Seq, subject: &[u8], cause: Cause) {
        self.removed += 1;
        self.lifetimes.remove(seq);
        let before = self.effects.len();
        let effects = &mut self.effects;
        let mut terminated = |consumer: &str, delivery: Delivery| {
            effects.push(Effect::Terminated {
                consumer: consumer.to_owned(),
                delivery,
                cause,
            });
        };
        self.consumers.on_removed(seq, subject, &mut terminated);
        self.local.on_removed(seq, subject, &mut terminated);
        if self.effects.len() > before + 1 {
            // The same order on every replica, whatever slots its consumers have.
            self.effects[before..].sort_by(|a, b| a.consumer().cmp(&b.consumer()));
        }
    }
}

/// When something is due; the leader's business, in no snapshot.
#[derive(Debug, Default)]
pub(super) struct Timing {
    /// Of the last tick.
    pub(super) ticked: Timestamp,
    /// The last tick left work for another.
    pub(super) more: bool,
    /// Below this, age has nothing left to remove ...
    pub(super) aged_to: Seq,
    /// ... and nothing from there on is older than this.
    pub(super) oldest: Timestamp,
}

/// The configuration as the hot path wants it.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) max_msgs: u64,
    pub(super) max_bytes: u64,
    pub(super) max_per_subject: u64,
    pub(super) max_msg_size: usize,
    /// Nanoseconds; 0: none.
    pub(super) max_age: i64,
    /// Seconds; 0: no markers.
    pub(super) marker_ttl: u64,
    pub(super) discards_new: bool,
    pub(super) is_file: bool,
}

impl Rules {
    pub(super) fn of(config: &Config) -> Self {
        let limit = |limit: i64| match u64::try_from(limit) {
            Ok(0) | Err(_) => u64::MAX,
            Ok(limit) => limit,
        };
        Rules {
            max_msgs: limit(config.max_msgs),
            max_bytes: limit(config.max_bytes),
            max_per_subject: limit(config.max_msgs_per_subject),
            max_msg_size: usize::try_from(limit(i64::from(config.max_msg_size)))
                .unwrap_or(usize::MAX),
            max_age: config.max_age.max(0),
            marker_ttl: config.subject_delete_marker_ttl.max(0).unsigned_abs() / 1_000_000_000,
            discards_new: config.discard == Discard::New,
            is_file: config.storage == Storage::File,
        }
    }
}

impl Machine {
    /// An empty stream over an empty store, with a validated configuration.
    ///
    /// # Errors
    /// When the store does not do its part.
    pub fn new(
        config: impl Into<Arc<Config>>,
        mut store: BoxedStore,
        now: Timestamp,
    ) -> Result<Self, MachineError> {
        let config = config.into();
        let first = Seq(config.first_seq).min(SEQ_MAX);
        if first > store.state().last_seq.next() {
            store
                .truncate_front(first, &mut |_, _| {})
                .map_err(|cause| disk("begin a stream", cause))?;
        }
        Ok(Machine {
            rules: Rules::of(&config),
            created: now,
            now,
            last_msg_id: Bytes::new(),
            dedup: Dedup::new(config.duplicate_window),
            origins: Origins::new(&config),
            followers: Followers::default(),
            sweeps: Sweeps::default(),
            timing: Timing::default(),
            config,
            store,
        })
    }

    /// The configuration that holds.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Has one copy of the configuration in place of two, if somebody else has the same.
    pub fn share_config(&mut self, config: &Arc<Config>) {
        if *self.config == **config {
            self.config = Arc::clone(config);
        }
    }

    /// When the stream was made.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// The time of the last entry.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The figures of the store.
    pub fn state(&self) -> State {
        self.store.state()
    }

    /// The messages, for reading.
    pub fn store(&mut self) -> &mut dyn MsgStore {
        &mut *self.store
    }

    /// The replicated consumers.
    pub fn consumers(&self) -> &Consumers {
        &self.followers.consumers
    }

    /// The leader's own consumers.
    pub fn local_consumers(&self) -> &Consumers {
        &self.followers.local
    }

    /// A consumer and the messages, for reading; the leader's own consumers too.
    pub fn consumer_and_store(&mut self, name: &str) -> Option<(&Consumer, &mut dyn MsgStore)> {
        let consumers = &self.followers.consumers;
        let member = consumers
            .get(name)
            .or_else(|| self.followers.local.get(name))?;
        Some((&member.consumer, &mut *self.store))
    }

    /// The consumers with something new to look at since the last call, replicated and
    /// local. The leader calls it after each entry; no one else has to.
    pub fn drain_woken(&mut self, mut each: impl FnMut(&super::consumers::Member)) {
        self.followers.consumers.drain_woken(&mut each);
        self.followers.local.drain_woken(&mut each);
    }

    /// How far the mirror or each source has been copied.
    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Makes a consumer of the leader's own, or gives one another configuration. It must not
    /// be on a stream whose retention depends on consumers. True if it is new.
    ///
    /// # Errors
    /// When the store does not do its part.
    pub fn put_local(
        &mut self,
        now: Timestamp,
        name: String,
        config: ConsumerConfig,
    ) -> Result<bool, MachineError> {
        put(
            &mut self.followers.local,
            now,
            name,
            config,
            &mut *self.store,
        )
        .map_err(|cause| disk("make a consumer", cause))
    }

    /// Ends one of the leader's own consumers; whether it was there.
    pub fn delete_local(&mut self, name: &str) -> bool {
        self.followers.local.remove(name).is_some()
    }

    /// Gives one of the leader's own consumers a command; none if it is not there.
    ///
    /// # Errors
    /// When the store does not do its part.
    pub fn apply_local(
        &mut self,
        now: Timestamp,
        name: &str,
        command: ConsumerCommand,
    ) -> Result<Option<ConsumerOutcome>, MachineError> {
        let Some(member) = self.followers.local.get_mut(name) else {
            return Ok(None);
        };
        member
            .consumer
            .apply(now, command, &mut *self.store)
            .map(Some)
            .map_err(|cause| disk("apply a consumer's command", cause))
    }

    /// Ends all of the leader's own consumers: the leadership has gone.
    pub fn clear_local(&mut self) {
        self.followers.local = Consumers::new();
    }

    /// Gives memory back that only makes things faster: nobody has asked for a while.
    ///
    /// # Errors
    /// When the store does not do its part.
    pub fn rest(&mut self) -> Result<(), MachineError> {
        self.followers.effects.shrink_to_fit();
        self.followers.consumers.rest();
        self.followers.local.rest();
        let rested = self.store.rest();
        rested.map_err(|cause| disk("let a stream rest", cause))
    }

    fn route(&mut self, now: Timestamp, command: Command) -> Result<Answer, Error> {
        match command {
            Command::Publish(publish) => self.publish(now, publish),
            Command::Copy(copy) => self.copy(now, *copy),
            Command::Tick => self.tick(now).map(|()| Answer::Ticked),
            Command::Configure(config) => self.configure(now, *config),
            Command::Purge {
                filter,
                below,
                keep,
            } => self.purge(&filter, below, keep).map(Answer::Purged),
            Command::Delete { seq, erase } => self.delete(seq, erase).map(Answer::Deleted),
            Command::PutConsumer { name, config } => self.put_consumer(now, name, *config),
            Command::DeleteConsumer { name } => self.delete_consumer(&name),
            Command::Consumer { name, command } => self.consumer(now, &name, command),
        }
    }

    fn put_consumer(
        &mut self,
        now: Timestamp,
        name: String,
        config: ConsumerConfig,
    ) -> Result<Answer, Error> {
        let consumers = &mut self.followers.consumers;
        let before = consumers.get(&name).map(|m| m.consumer.filters().clone());
        let created = put(consumers, now, name, config, &mut *self.store)?;
        if let Some(before) = before {
            self.drop_unneeded(&before, Unwanted::Go)?;
        }
        Ok(Answer::ConsumerPut { created })
    }

    fn delete_consumer(&mut self, name: &str) -> Result<Answer, Error> {
        let Some(member) = self.followers.consumers.remove(name) else {
            return Ok(Answer::ConsumerDeleted(false));
        };
        self.drop_unneeded(member.consumer.filters(), Unwanted::Go)?;
        Ok(Answer::ConsumerDeleted(true))
    }

    fn consumer(
        &mut self,
        now: Timestamp,
        name: &str,
        command: ConsumerCommand,
    ) -> Result<Answer, Error> {
        let Some(member) = self.followers.consumers.get_mut(name) else {
            return Ok(Answer::NoConsumer);
        };
        let outcome = member.consumer.apply(now, command, &mut *self.store)?;
        if self.config.retention != Retention::Limits {
            match outcome.kind {
                // It may have jumped over messages without taking them.
                Kind::Reset => {
                    let filters = member.consumer.filters().clone();
                    self.drop_unneeded(&filters, Unwanted::Go)?;
                }
                _ => self.release(name, &outcome.released)?,
            }
        }
        Ok(Answer::Consumer(Box::new(outcome)))
    }
}

/// Makes or changes a consumer; true if it is new.
fn put(
    consumers: &mut Consumers,
    now: Timestamp,
    name: String,
    config: ConsumerConfig,
    store: &mut dyn MsgStore,
) -> Result<bool, Error> {
    if consumers.get(&name).is_some() {
        consumers
            .update(&name, |consumer| consumer.update(now, config, store))
            .transpose()?;
        return Ok(false);
    }
    let consumer = Consumer::create(now, config, store)?;
    consumers.insert(name, consumer, Vec::new());
    Ok(true)
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

    fn relocate(commands: Vec<Command>, bytes: &Bytes) -> Result<Vec<Command>, DecodeError> {
        codec::relocate(commands, bytes)
    }

    fn begin(&mut self, index: u64, bytes: &Bytes) -> bool {
        self.store.begin_entry(index, bytes)
    }

    fn is_behind(&self) -> bool {
        self.store.is_behind()
    }

    fn catch_up(&mut self) -> Result<(), MachineError> {
        let caught_up = self.store.catch_up();
        caught_up.map_err(|cause| disk("store a stream's messages", cause))
    }

    fn apply(&mut self, now: Timestamp, command: Command) -> Result<Outcome, MachineError> {
        self.now = self.now.max(now);
        let answer = self
            .route(self.now, command)
            .map_err(|cause| disk("apply a stream's command", cause))?;
        Ok(Outcome {
            answer,
            removed: std::mem::take(&mut self.followers.removed),
            effects: std::mem::take(&mut self.followers.effects),
        })
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.deadline()
    }

    fn checkpoint(&mut self, position: Bytes) -> Result<Box<dyn Checkpoint>, MachineError> {
        let state = self.encode_state(position);
        self.store
            .checkpoint(state)
            .map_err(|cause| disk("begin a checkpoint", cause))
    }

    fn wants_checkpoint(&self) -> bool {
        self.store.wants_checkpoint()
    }
}

pub(super) fn disk(what: &'static str, cause: Error) -> MachineError {
    MachineError {
        what,
        cause: Box::new(cause),
    }
}

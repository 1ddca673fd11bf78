//! A stream as the rest of the server sees it: from any thread, without waiting.
//!
//! Separate from the replica because that has one owner and one thread. What is asked
//! often (the configuration, which consumers there are, the figures) lies here as copies
//! that the replica keeps fresh; everything else is asked of the replica through the
//! mailbox.
//!
//! Invariants: an answer to a proposal means synced and applied; a stream that stopped
//! answers every question with `JetStream system temporarily unavailable`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::sync::oneshot;

use super::consumers;
use super::mailbox::{Limits, Mailbox};
use super::replica::Replica;
use crate::api_error::{ApiError, table};
use crate::clock::Timestamp;
use crate::nuid;
use crate::raft::error::ProposeError;
use crate::stream::command::Command;
use crate::stream::config::Config;
use crate::stream::machine::Machine;
use crate::stream::outcome::Answer;
use crate::wal::GroupId;

/// Figures that others read without asking: written by the replica after each turn.
#[derive(Debug, Default)]
pub struct Figures {
    /// Messages.
    pub messages: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Consumers, those for the server's own use left out.
    pub consumers: AtomicU64,
}

/// A stream of this server.
pub struct StreamHandle {
    /// Its name.
    pub name: Arc<str>,
    /// Its group.
    pub group: GroupId,
    /// When it was made.
    pub created: Timestamp,
    /// What waits for it.
    pub mailbox: Mailbox,
    /// Its figures.
    pub figures: Figures,
    config: RwLock<Arc<Config>>,
    /// What is wrong with it.
    trouble: RwLock<Option<Arc<str>>>,
    /// Names of all consumers, also of those that are leader-only.
    consumers: RwLock<HashMap<Box<str>, Known>>,
}

/// What others know of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Who gets to see it.
    pub seen: Visibility,
    /// It waits for acknowledgements.
    pub takes_acks: bool,
}

/// Who gets to see a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Nobody: it is the server's own.
    Inner,
}

/// Eight letters that stand for a text, as the incumbent makes them.
pub fn short_hash(text: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let letters = hash.as_ref().iter().take(8);
    letters.map(|byte| nuid::digit(*byte)).collect()
}

impl StreamHandle {
    /// A handle of a stream that is about to start.
    pub fn new(
        group: GroupId,
        created: Timestamp,
        config: Arc<Config>,
        limits: Limits,
    ) -> StreamHandle {
        StreamHandle {
            name: config.name.as_str().into(),
            group,
            created,
            mailbox: Mailbox::new(limits),
            figures: Figures::default(),
            config: RwLock::new(config),
            trouble: RwLock::default(),
            consumers: RwLock::default(),
        }
    }

    /// What tells it from another stream of its name: the short hash of when it was made.
    pub fn identity(&self) -> String {
        short_hash(&self.created.to_rfc3339())
    }

    /// The configuration that holds now.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read())
    }

    /// Takes over another configuration; the replica calls it.
    pub fn set_config(&self, config: Arc<Config>) {
        *self.config.write() = config;
    }

    /// What is wrong with it, for people; the stream serves what is right.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.trouble.read().clone()
    }

    /// Says what is wrong with it; the replica calls it.
    pub fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.write() = trouble.map(Arc::from);
    }

    /// Whether there is such a consumer.
    pub fn has_consumer(&self, name: &str) -> bool {
        self.consumers.read().contains_key(name)
    }

    /// Whether there is such a consumer that everybody sees.
    pub fn is_public(&self, name: &str) -> bool {
        let consumers = self.consumers.read();
        consumers
            .get(name)
            .is_some_and(|known| known.seen == Visibility::Public)
    }

    /// Whether there is such a consumer, and acknowledgements mean something to it.
    pub fn takes_acks(&self, name: &str) -> bool {
        let consumers = self.consumers.read();
        consumers.get(name).is_some_and(|known| known.takes_acks)
    }

    /// Notes that a consumer is there, or is not any more; the replica calls it.
    pub fn note_consumer(&self, name: &str, known: Option<Known>) {
        let is_public = |known: Option<Known>| known.is_some_and(|k| k.seen == Visibility::Public);
        let mut consumers = self.consumers.write();
        let before = match known {
            Some(known) => consumers.insert(name.into(), known),
            None => consumers.remove(name),
        };
        if is_public(before) {
            self.figures.consumers.fetch_sub(1, Ordering::Relaxed);
        }
        if is_public(known) {
            self.figures.consumers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The names of the consumers that everybody sees, sorted.
    pub fn consumer_names(&self) -> Vec<String> {
        let consumers = self.consumers.read();
        let public = consumers
            .iter()
            .filter(|(_, known)| known.seen == Visibility::Public);
        let mut names: Vec<String> = public.map(|(name, _)| name.to_string()).collect();
        names.sort_unstable();
        names
    }

    /// Makes the figures those of the machine; the bytes by which they changed.
    pub fn refresh(&self, machine: &Machine) -> i64 {
        let state = machine.state();
        self.figures
            .messages
            .store(state.messages, Ordering::Relaxed);
        let before = self.figures.bytes.swap(state.bytes, Ordering::Relaxed);
        state.bytes.wrapping_sub(before).cast_signed()
    }

    /// How many consumers there are.
    pub fn usage_of_consumers(&self) -> u64 {
        self.figures.consumers.load(Ordering::Relaxed)
    }

    /// Messages and bytes.
    pub fn usage(&self) -> (u64, u64) {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        (read(&self.figures.messages), read(&self.figures.bytes))
    }

    /// Has a command committed and applied.
    ///
    /// # Errors
    /// When the stream has stopped, or its disk has no room.
    pub async fn propose(&self, command: Command) -> Result<Answer, ApiError> {
        let (tell, told) = oneshot::channel();
        let call = Box::new(move |replica: &mut Replica| {
            replica.submit_with(command, Box::new(|_, outcome| drop(tell.send(outcome))));
        });
        if !self.mailbox.call(call) {
            return Err(unavailable());
        }
        let told = told.await.unwrap_or(Err(ProposeError::Stopped));
        consumers::answer(told)
    }

    /// Runs `read` on the stream's own thread, after everything committed before.
    ///
    /// # Errors
    /// When the stream has stopped.
    pub async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Replica) -> R + Send + 'static,
    ) -> Result<R, ApiError> {
        let (tell, told) = oneshot::channel();
        let call = Box::new(move |replica: &mut Replica| drop(tell.send(read(replica))));
        if !self.mailbox.call(call) {
            return Err(unavailable());
        }
        told.await.map_err(|_| unavailable())
    }

    /// As [`StreamHandle::read`], for who looks at these consumers: what was delivered to
    /// clients and acknowledged by them is in it, though the log may not have had it yet.
    ///
    /// # Errors
    /// When the stream has stopped.
    pub async fn read_consumers<R: Send + 'static>(
        &self,
        names: Vec<String>,
        read: impl FnOnce(&mut Replica, &[String]) -> R + Send + 'static,
    ) -> Result<R, ApiError> {
        let (tell, told) = oneshot::channel();
        let call = Box::new(move |replica: &mut Replica| {
            let waits = replica
                .deliveries
                .is_under_way(names.iter().map(String::as_str));
            let read = move |replica: &mut Replica| drop(tell.send(read(replica, &names)));
            match waits {
                true => replica.after_log(Box::new(read)),
                false => read(replica),
            }
        });
        if !self.mailbox.call(call) {
            return Err(unavailable());
        }
        told.await.map_err(|_| unavailable())
    }
}

fn unavailable() -> ApiError {
    ApiError::of(&table::CLUSTER_NOT_AVAIL)
}

//! The streams of one account, and what the account may use.
//!
//! Separate because this is what every thread asks first: which stream a subject belongs
//! to, and whose deliver subject has somebody listening.
//!
//! Invariants: a name stands for one stream at a time; a deliver subject that is watched
//! hears of every change of interest, at least once, after it happened; so does who copies
//! a stream, of its coming and going.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::ServerLimits;
use super::handle::StreamHandle;
use super::usage::Usage;
use super::{delivery, origin};
use crate::account::limits::JetStreamLimits;
use crate::api_error::{ApiError, table};
use crate::pubsub::accounts::Account;
use crate::pubsub::interest::Observer;
use crate::pubsub::subscription::Subscription;
use crate::subject::wildcard;

/// An account that has streams, or may have.
pub struct AccountStreams {
    /// The account.
    pub account: Arc<Account>,
    /// What it may use; changed by a reload.
    pub limits: RwLock<JetStreamLimits>,
    /// What it uses.
    pub usage: Usage,
    server: Server,
    streams: RwLock<BTreeMap<Arc<str>, Arc<StreamHandle>>>,
    watched: Mutex<HashMap<Box<str>, Vec<Watch>>>,
    /// By the name of an origin, who copies it.
    followers: Mutex<HashMap<Box<str>, Vec<Arc<StreamHandle>>>>,
}

/// What all accounts share.
#[derive(Clone, Debug)]
pub struct Server {
    /// What all accounts use.
    pub usage: Arc<Usage>,
    /// What all may use; changed by a reload.
    pub limits: Arc<RwLock<ServerLimits>>,
}

/// What streams of one kind may still take, by the limits of account and server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes that the account has left; none without a limit.
    pub account: Option<u64>,
    /// The server has reached what it may use.
    pub is_server_full: bool,
}

impl Room {
    /// Nothing is limited.
    pub const fn is_boundless(&self) -> bool {
        self.account.is_none() && !self.is_server_full
    }

    /// Takes room for a message, whose size is asked only if it matters.
    ///
    /// # Errors
    /// Why there is none.
    pub fn take(&mut self, size: impl FnOnce() -> u64) -> Result<(), ApiError> {
        if self.is_server_full {
            return Err(ApiError::of(&table::INSUFFICIENT_RESOURCES));
        }
        if let Some(left) = &mut self.account {
            let rest = left.checked_sub(size());
            *left = rest.ok_or_else(|| ApiError::of(&table::ACCOUNT_RESOURCES_EXCEEDED))?;
        }
        Ok(())
    }
}

/// Who wants to know about a deliver subject.
#[derive(Clone)]
struct Watch {
    stream: Arc<StreamHandle>,
    consumer: Arc<str>,
}

impl AccountStreams {
    /// An account without streams.
    pub fn new(
        account: Arc<Account>,
        limits: JetStreamLimits,
        server: Server,
    ) -> Arc<AccountStreams> {
        Arc::new(AccountStreams {
            account,
            server,
            limits: RwLock::new(limits),
            usage: Usage::default(),
            streams: RwLock::default(),
            watched: Mutex::default(),
            followers: Mutex::default(),
        })
    }

    /// What the account's streams of a kind may still take.
    pub fn room(&self, in_memory: bool) -> Room {
        let limits = *self.limits.read();
        let of_kind = |(memory, storage): (u64, u64)| if in_memory { memory } else { storage };
        let max = match in_memory {
            true => limits.memory_bytes_max,
            false => limits.storage_bytes_max,
        };
        let server = *self.server.limits.read();
        let server_max = (server.memory_bytes_max, server.storage_bytes_max);
        Room {
            account: max.map(|max| max.saturating_sub(of_kind(self.usage.bytes()))),
            is_server_full: of_kind(self.server.usage.bytes()) >= of_kind(server_max),
        }
    }

    /// A stream has grown or shrunk by so many bytes.
    pub fn add_usage(&self, in_memory: bool, bytes: i64) {
        self.usage.add(in_memory, bytes);
        self.server.usage.add(in_memory, bytes);
    }

    /// The stream of that name.
    pub fn stream(&self, name: &str) -> Option<Arc<StreamHandle>> {
        self.streams.read().get(name).cloned()
    }

    /// Whether there is a stream of that name.
    pub fn has_stream(&self, name: &str) -> bool {
        self.streams.read().contains_key(name)
    }

    /// How many streams there are.
    pub fn len(&self) -> usize {
        self.streams.read().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.streams.read().is_empty()
    }

    /// How many consumers all streams together have.
    pub fn consumers(&self) -> u64 {
        let streams = self.streams.read();
        let counts = streams.values().map(|handle| handle.usage_of_consumers());
        counts.sum()
    }

    /// All streams, sorted by name.
    pub fn streams(&self) -> Vec<Arc<StreamHandle>> {
        self.streams.read().values().cloned().collect()
    }

    /// Adds a stream, or replaces one that has ended.
    pub fn insert(&self, handle: &Arc<StreamHandle>) {
        let name = Arc::clone(&handle.name);
        self.streams.write().insert(name, Arc::clone(handle));
        self.tell_followers(&handle.name);
    }

    /// Forgets a stream.
    pub fn remove(&self, name: &str) -> Option<Arc<StreamHandle>> {
        let removed = self.streams.write().remove(name);
        self.tell_followers(name);
        removed
    }

    /// `stream` wants to hear when a stream of the name `origin` comes or goes.
    pub fn follow(&self, origin: &str, stream: &Arc<StreamHandle>) {
        let mut followers = self.followers.lock();
        let streams = followers.entry(origin.into()).or_default();
        if streams.iter().all(|other| other.name != stream.name) {
            streams.push(Arc::clone(stream));
        }
    }

    /// It does not want to hear of it any more.
    pub fn unfollow(&self, origin: &str, stream: &str) {
        let mut followers = self.followers.lock();
        if let Some(streams) = followers.get_mut(origin) {
            streams.retain(|other| &*other.name != stream);
            if streams.is_empty() {
                followers.remove(origin);
            }
        }
    }

    fn tell_followers(&self, origin: &str) {
        let told = self.followers.lock().get(origin).cloned();
        for stream in told.unwrap_or_default() {
            let origin: Arc<str> = origin.into();
            let call = Box::new(move |replica: &mut _| origin::on_stream(replica, &origin));
            stream.mailbox.call(call);
        }
    }

    /// Wants to hear when interest in `subject` may have changed.
    pub fn watch(&self, subject: &str, stream: &Arc<StreamHandle>, consumer: &Arc<str>) {
        let watch = Watch {
            stream: Arc::clone(stream),
            consumer: Arc::clone(consumer),
        };
        let mut watched = self.watched.lock();
        watched.entry(subject.into()).or_default().push(watch);
    }

    /// Does not want to hear of it any more.
    pub fn unwatch(&self, subject: &str, stream: &str, consumer: &str) {
        let mut watched = self.watched.lock();
        if let Some(watches) = watched.get_mut(subject) {
            watches.retain(|watch| &*watch.stream.name != stream || &*watch.consumer != consumer);
            if watches.is_empty() {
                watched.remove(subject);
            }
        }
    }
}

impl Observer for AccountStreams {
    fn changed(&self, subscription: &Subscription) {
        let watched = self.watched.lock();
        if watched.is_empty() {
            return;
        }
        let filter = subscription.filter();
        let mut told = Vec::new();
        match std::str::from_utf8(filter)
            .ok()
            .and_then(|filter| watched.get(filter))
        {
            Some(watches) => told.extend_from_slice(watches),
            None if filter.iter().any(|byte| matches!(byte, b'*' | b'>')) => {
                let matching = watched
                    .iter()
                    .filter(|(subject, _)| wildcard::matches(filter, subject.as_bytes()));
                told.extend(matching.flat_map(|(_, watches)| watches.iter().cloned()));
            }
            None => {}
        }
        drop(watched);
        for Watch { stream, consumer } in told {
            let call = Box::new(move |replica: &mut _| delivery::on_interest(replica, &consumer));
            stream.mailbox.call(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_takes_room_that_is_there() {
        let mut room = Room {
            account: Some(10),
            is_server_full: false,
        };
        assert!(room.take(|| 6).is_ok());
        let error = room.take(|| 6).unwrap_err();
        assert!(error.is(&table::ACCOUNT_RESOURCES_EXCEEDED));
        assert!(room.take(|| 4).is_ok());
        room.is_server_full = true;
        let error = room.take(|| 0).unwrap_err();
        assert!(error.is(&table::INSUFFICIENT_RESOURCES));
        assert!(Room::default().take(|| u64::MAX).is_ok());
    }
}

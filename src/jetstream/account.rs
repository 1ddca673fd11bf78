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

    /// Why the account's streams of a kind take no more, if they do not.
    pub fn is_full(&self, in_memory: bool) -> Option<ApiError> {
        let limits = *self.limits.read();
        let of_kind = |(memory, storage): (u64, u64)| if in_memory { memory } else { storage };
        let max = match in_memory {
            true => limits.memory_bytes_max,
            false => limits.storage_bytes_max,
        };
        if max.is_some_and(|max| of_kind(self.usage.bytes()) >= max) {
            return Some(ApiError::of(&table::ACCOUNT_RESOURCES_EXCEEDED));
        }
        let server = *self.server.limits.read();
        let server_max = (server.memory_bytes_max, server.storage_bytes_max);
        let is_full = of_kind(self.server.usage.bytes()) >= of_kind(server_max);
        is_full.then(|| ApiError::of(&table::INSUFFICIENT_RESOURCES))
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

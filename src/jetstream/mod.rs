//! Streams at work: the shell around `stream`, `consumer` and `meta`.
//!
//! Separate from the machines because everything that waits is here: for the log, for
//! files, for clients, for time. One [`replica::Replica`] per stream does what a stream
//! does; [`JetStream`] knows them all; `api` answers the requests on `$JS.API.>`.
//!
//! ```text
//!   $JS.API.> ─► api ─► meta group (which streams there are)
//!                 └───► StreamHandle ─► mailbox ─► Replica ─► group ─► wal
//!   a stream's subjects ────────────────────┘         └─► delivery ─► account
//! ```
//!
//! Invariants: there is one way into a stream, a committed command; an acknowledgement
//! leaves only after the log was synced; nothing here runs on a thread that serves
//! connections, except copying a message into a mailbox.

pub mod account;
pub mod acks;
pub mod advisories;
pub mod api;
pub mod consumer_inbox;
pub mod consumers;
pub mod delivery;
pub mod direct_get;
pub mod handle;
pub mod health;
pub mod ingest;
pub mod mailbox;
pub mod meta_group;
pub mod origin;
pub mod outlet;
pub mod replica;
pub mod republish;
pub mod scrub;
pub mod start;
pub mod status;
pub mod streams;
pub mod subjects;
pub mod subscriptions;
pub mod timers;
pub mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::account::AccountStreams;
use self::advisories::{Action, Advisory};
use self::handle::StreamHandle;
use self::meta_group::Meta;
use self::start::Failed;
use self::streams::Streams;
use self::subscriptions::{Queue, Request};
use self::usage::Usage;
use crate::api_error::{ApiError, table};
use crate::clock;
use crate::consumer;
use crate::entropy::Random;
use crate::nuid::Nuid;
use crate::pubsub::internal;
use crate::stream::command::Command;
use crate::stream::config::{Config, Storage};
use crate::stream::validate;
use crate::stream::validate::limits::{Limits, Space};
use crate::tasks;

/// What the server tells JetStream.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's name; it is the leader of everything here.
    pub server_name: String,
    /// The server's version, for metadata.
    pub version: &'static str,
    /// Unknown fields of requests are errors.
    pub strict: bool,
    /// Requests to the API that may wait.
    pub requests_max: usize,
    /// The directory of everything that is stored, for people.
    pub store_dir: String,
    /// What may be asked for at first.
    pub limits: ServerLimits,
}

/// What all accounts together, and each stream and consumer, may ask for; changed by a
/// reload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerLimits {
    /// Bytes of streams in memory.
    pub memory_bytes_max: u64,
    /// Bytes of streams on disk.
    pub storage_bytes_max: u64,
    /// How long message ids may be remembered at most.
    pub dedup_window_max: Option<std::time::Duration>,
    /// Unacknowledged messages of one consumer.
    pub ack_pending_max: Option<u64>,
    /// Messages of one pull request.
    pub request_batch_max: Option<u64>,
}

/// Streams at work.
pub struct JetStream {
    /// What the server said.
    pub options: Options,
    /// What may be asked for now.
    pub limits: Arc<RwLock<ServerLimits>>,
    /// What all accounts use.
    pub usage: Arc<Usage>,
    /// The streams there are.
    pub streams: Streams,
    meta: Meta,
    /// One stream is made or changed at a time, so that rules about others hold.
    changing: tokio::sync::Mutex<()>,
    /// Why streams did not start, by account and name.
    failed: Mutex<BTreeMap<(String, String), Failed>>,
    /// What is wrong with the server's files.
    alarms: Mutex<Vec<String>>,
    ids: Mutex<Nuid>,
}

impl JetStream {
    /// JetStream without streams.
    pub fn new(options: Options, streams: Streams, meta: Meta) -> Arc<JetStream> {
        Arc::new(JetStream {
            limits: Arc::new(RwLock::new(options.limits)),
            usage: Arc::default(),
            options,
            streams,
            meta,
            changing: tokio::sync::Mutex::default(),
            failed: Mutex::default(),
            alarms: Mutex::default(),
            ids: Mutex::new(Nuid::new(Random::from_system())),
        })
    }

    /// Checkpoints the list of streams.
    #[cfg(test)]
    pub async fn checkpoint_meta(&self) {
        self.meta.checkpoint().await;
    }

    /// The list of streams, for tests of crashes in between.
    #[cfg(test)]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Account and name of the streams that the meta group knows and that do not run.
    /// While one is being made or changed nobody can tell: then there are none.
    pub fn missing_streams(&self) -> Vec<(String, String)> {
        let Ok(_unchanging) = self.changing.try_lock() else {
            return Vec::new();
        };
        let assigned = self.meta.assigned().into_iter();
        let named = assigned.map(|(account, assigned)| (account, assigned.config.name));
        let is_missing = |(account, stream): &(String, String)| {
            let site = self.streams.account(account);
            site.is_none_or(|site| site.stream(stream).is_none())
        };
        named.filter(is_missing).collect()
    }

    /// Answers requests to the API until the last sender of them has gone. Where requests
    /// are to be put, and the task.
    pub fn answer_requests(self: &Arc<Self>) -> (Arc<Queue>, JoinHandle<()>) {
        let (sender, mut requests) = mpsc::channel::<Request>(self.options.requests_max.max(1));
        let queue: Arc<Queue> = Arc::new(move |request| sender.try_send(request).is_ok());
        let jetstream = Arc::clone(self);
        let task = tasks::spawn(async move {
            while let Some(request) = requests.recv().await {
                let jetstream = Arc::clone(&jetstream);
                // Each on its own: a read of a busy stream must not hold up the others. The
                // queue bounds how many there are.
                tasks::spawn(async move { jetstream.answer(&request).await });
            }
        });
        (queue, task)
    }

    async fn answer(self: &Arc<Self>, request: &Request) {
        let Some(site) = self.streams.account(&request.account) else {
            return;
        };
        let context = api::Context {
            jetstream: self,
            site: &site,
            request,
        };
        let text = api::answer(&context).await;
        site.usage.note_request(text.is_error);
        if text.is_audited {
            self.audit(&site, request, &text.json);
        }
        if !request.reply.is_empty() {
            let answer = text.json.as_bytes();
            internal::publish(&site.account, &request.reply, "", None, answer);
        }
    }

    /// Tells whoever listens what was asked and answered.
    fn audit(&self, site: &AccountStreams, request: &Request, response: &str) {
        let client = serde_json::from_str(&request.client).unwrap_or_default();
        let advisory = Advisory::ApiAudit {
            server: self.options.server_name.clone(),
            client,
            subject: request.subject.clone(),
            request: String::from_utf8_lossy(&request.body).into_owned(),
            response: response.to_owned(),
        };
        advisory.publish(&site.account, &mut self.ids.lock(), clock::now(), None);
    }

    /// What a new stream of the account may ask for.
    fn stream_limits(&self, site: &AccountStreams) -> Limits {
        let account = *site.limits.read();
        let server = *self.limits.read();
        let mut limits = Limits {
            clustered: false,
            dedup_window_max: server.dedup_window_max,
            streams_max: account.streams_max,
            streams: 0,
            consumers_max: account.consumers_max,
            bytes_max_required: account.bytes_max_required,
            memory: Space {
                stream_bytes_max: account.memory_stream_bytes_max,
                account_bytes_max: account.memory_bytes_max,
                server_bytes_max: Some(server.memory_bytes_max),
                ..Space::default()
            },
            file: Space {
                stream_bytes_max: account.storage_stream_bytes_max,
                account_bytes_max: account.storage_bytes_max,
                server_bytes_max: Some(server.storage_bytes_max),
                ..Space::default()
            },
        };
        for other in self.streams.accounts() {
            let is_own = other.account.name == site.account.name;
            for handle in other.streams() {
                let config = handle.config();
                let reserved = config.bytes_max().unwrap_or(0);
                let space = match config.storage {
                    Storage::Memory => &mut limits.memory,
                    Storage::File => &mut limits.file,
                };
                space.server_bytes_reserved += reserved;
                if is_own {
                    space.account_bytes_reserved += reserved;
                    limits.streams += 1;
                }
            }
        }
        limits
    }

    /// What consumers of the account may ask for.
    pub fn consumer_limits(&self, site: &AccountStreams) -> consumer::validate::facts::Limits {
        let account = *site.limits.read();
        let server = *self.limits.read();
        let consumers = site
            .streams()
            .iter()
            .map(|handle| handle.usage_of_consumers())
            .sum();
        consumer::validate::facts::Limits {
            clustered: false,
            consumers_max: account.consumers_max,
            consumers,
            account_ack_pending_max: account.ack_pending_max,
            server_ack_pending_max: server.ack_pending_max,
            request_batch_max: server.request_batch_max,
        }
    }

    /// Makes a stream, or finds the one that is as asked for.
    ///
    /// # Errors
    /// The API's answer.
    pub async fn create_stream(
        &self,
        site: &Arc<AccountStreams>,
        requested: Config,
        pedantic: bool,
    ) -> Result<Arc<StreamHandle>, ApiError> {
        let _changing = self.changing.lock().await;
        let others = Configs::of(site);
        let config = validate::create(requested, pedantic, &self.stream_limits(site), &others)?;
        if let Some(handle) = site.stream(&config.name) {
            return Ok(handle);
        }
        let account = &site.account.name;
        if let Some(why) = self.why_down(account, &config.name) {
            return Err(why);
        }
        let (assigned, is_new) = self.meta.put(account, config.clone()).await?;
        let started = self.streams.start(site, assigned).await;
        let handle = match started {
            Ok(handle) => handle,
            Err(error) => {
                // A stream that was there before must not go because it does not start.
                if is_new {
                    self.meta.remove(account, &config.name).await?;
                }
                tracing::error!(stream = config.name, err = %error, "create stream");
                return Err(ApiError::of(&table::STREAM_CREATE).with("{err}", error));
            }
        };
        tell(&handle, Action::Create);
        Ok(handle)
    }

    /// Gives a stream another configuration.
    ///
    /// # Errors
    /// The API's answer.
    pub async fn update_stream(
        &self,
        site: &Arc<AccountStreams>,
        handle: &Arc<StreamHandle>,
        requested: Config,
        pedantic: bool,
    ) -> Result<(), ApiError> {
        let _changing = self.changing.lock().await;
        let others = Configs::of(site);
        let consumers = handle.read(|replica| replica.consumer_configs()).await?;
        let consumers: Vec<_> = consumers.iter().collect();
        let current = handle.config();
        let limits = self.stream_limits(site);
        let config = validate::update(&current, requested, pedantic, &limits, &others, &consumers)?;
        if validate::is_same(&current, &config) {
            return Ok(());
        }
        self.meta.update(&site.account.name, config.clone()).await?;
        self.configure(site, handle, config).await?;
        tell(handle, Action::Modify);
        Ok(())
    }

    async fn configure(
        &self,
        site: &Arc<AccountStreams>,
        handle: &Arc<StreamHandle>,
        config: Config,
    ) -> Result<(), ApiError> {
        handle.propose(Command::Configure(Box::new(config))).await?;
        handle.read(|replica| replica.on_configured()).await?;
        self.streams.resubscribe(site, handle);
        Ok(())
    }

    /// Ends a stream that did not start and forgets it: somebody has given it up.
    ///
    /// # Errors
    /// The API's answer; 10059 if there is none.
    pub async fn delete_failed_stream(
        &self,
        site: &AccountStreams,
        name: &str,
    ) -> Result<(), ApiError> {
        let _changing = self.changing.lock().await;
        let account = &site.account.name;
        let key = (account.to_string(), name.to_owned());
        let Some(group) = self.failed.lock().get(&key).map(|failed| failed.group) else {
            return Err(ApiError::of(&table::STREAM_NOT_FOUND));
        };
        self.meta.remove(account, name).await?;
        self.failed.lock().remove(&key);
        self.streams.forget(group).await;
        Ok(())
    }

    /// Ends a stream and forgets it.
    ///
    /// # Errors
    /// The API's answer.
    pub async fn delete_stream(
        &self,
        site: &Arc<AccountStreams>,
        handle: &Arc<StreamHandle>,
    ) -> Result<(), ApiError> {
        let _changing = self.changing.lock().await;
        if site.stream(&handle.name).is_none() {
            return Err(ApiError::of(&table::STREAM_NOT_FOUND));
        }
        self.meta.remove(&site.account.name, &handle.name).await?;
        tell(handle, Action::Delete);
        self.streams.end(site, handle, true).await;
        Ok(())
    }
}

fn tell(handle: &StreamHandle, action: Action) {
    handle.mailbox.call(Box::new(move |replica| {
        let stream = replica.handle.name.to_string();
        replica.tell(Advisory::StreamAction { stream, action });
    }));
}

/// The configurations of an account's streams as of now.
struct Configs(Vec<Arc<Config>>);

impl Configs {
    /// Sorted by name.
    fn of(site: &AccountStreams) -> Configs {
        Configs(
            site.streams()
                .iter()
                .map(|handle| handle.config())
                .collect(),
        )
    }
}

impl validate::Streams for Configs {
    fn stream(&self, name: &str) -> Option<&Config> {
        let found = self
            .0
            .binary_search_by(|config| config.name.as_str().cmp(name));
        self.0.get(found.ok()?).map(|config| &**config)
    }

    fn each(&self, visit: &mut dyn FnMut(&Config)) {
        self.0.iter().for_each(|config| visit(config));
    }
}

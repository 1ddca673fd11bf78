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
pub mod entrance;
pub mod gather;
pub mod handle;
pub mod health;
pub mod incoming;
pub mod info;
pub mod ingest;
pub mod mailbox;
pub mod meta_group;
pub mod origin;
pub mod outlet;
pub mod replica;
pub mod republish;
pub mod rest;
pub mod scrub;
pub mod start;
pub mod status;
pub mod streams;
pub mod subjects;
pub mod subscriptions;
pub mod timers;
pub mod usage;
pub mod waiters;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::account::AccountStreams;
use self::advisories::{Action, Advisory};
use self::entrance::{Entrance, Place};
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
use crate::meta::machine::Machine;
use crate::nuid::Nuid;
use crate::pubsub::accounts::Account;
use crate::pubsub::internal;
use crate::stream::command::Command;
use crate::stream::config::{Config, Storage};
use crate::stream::validate;
use crate::stream::validate::limits::{Limits, Space};
use crate::tasks;

/// Streams that may be made at the same time, about.
const MAKING: usize = 64;
/// That requests found no place is told so often at most.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What the server tells JetStream.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's name; it is the leader of everything here.
    pub server_name: String,
    /// The server's version, for metadata.
    pub version: &'static str,
    /// Unknown fields of requests are errors.
    pub strict: bool,
    /// Requests to the API that may be on their way.
    pub requests: entrance::Limits,
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
    pub dedup_window_max: Option<Duration>,
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
    /// Shared by those who make streams whose rules hold however many others are made
    /// meanwhile; whoever changes or ends one, or makes one that limits
    /// count or that copies from others, is alone.
    changing: tokio::sync::RwLock<()>,
    /// One stream of a name is made at a time; several names share a place.
    making: [tokio::sync::Mutex<()>; MAKING],
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
            changing: tokio::sync::RwLock::default(),
            making: std::array::from_fn(|_| tokio::sync::Mutex::default()),
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
        let Ok(_unchanging) = self.changing.try_write() else {
            return Vec::new();
        };
        self.meta.read(|known| {
            let mut missing = Vec::new();
            for (account, streams) in known.accounts() {
                let site = self.streams.account(account);
                let running = site.as_ref().map_or(0, |site| site.len());
                if known.usage().of_account(account).streams == running as u64 {
                    continue;
                }
                let names = streams.iter().map(|(name, _)| name);
                let runs = |name: &str| site.as_ref().is_some_and(|site| site.has_stream(name));
                let names = names.filter(|name| !runs(name));
                missing.extend(names.map(|name| (account.to_owned(), name.to_owned())));
            }
            missing
        })
    }

    /// Answers requests to the API until the last sender of them has gone; `system` hears
    /// when there were too many. Where requests are to be put, and the task.
    pub fn answer_requests(
        self: &Arc<Self>,
        system: Option<Arc<Account>>,
    ) -> (Arc<Queue>, JoinHandle<()>) {
        // Bounded by the places at the entrance.
        let (sender, mut requests) = mpsc::unbounded_channel::<(Request, Place)>();
        let entrance = Arc::new(Entrance::new(self.options.requests));
        let door = Arc::clone(&entrance);
        let queue: Arc<Queue> = Arc::new(move |request: Request| {
            let Some(place) = door.enter(&request.subject) else {
                // It was heard: who is told that nobody listens takes this for a server
                // without streams.
                return true;
            };
            sender.send((request, place)).is_ok()
        });
        let jetstream = Arc::clone(self);
        let task = tasks::spawn(async move {
            let answering = async {
                while let Some((request, place)) = requests.recv().await {
                    let jetstream = Arc::clone(&jetstream);
                    // Each on its own: a read of a busy stream must not hold up the others.
                    tasks::spawn(async move {
                        jetstream.answer(&request).await;
                        drop(place);
                    });
                }
            };
            let telling = async {
                loop {
                    let dropped = entrance.refused().await;
                    jetstream.tell_refused(system.as_ref(), dropped);
                    tokio::time::sleep(TELL_EVERY).await;
                }
            };
            tokio::select! {
                () = answering => {}
                () = telling => {}
            }
        });
        (queue, task)
    }

    /// Tells that requests found no place.
    fn tell_refused(&self, system: Option<&Arc<Account>>, dropped: u64) {
        tracing::warn!(dropped, "too many requests to the JetStream API");
        let advisory = Advisory::ApiLimitReached {
            server: self.options.server_name.clone(),
            dropped,
        };
        if let Some(system) = system {
            advisory.publish(system, &mut self.ids.lock(), clock::now(), None);
        }
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
        let Some(text) = api::answer(&context).await else {
            return;
        };
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

    /// What a new stream of the account may ask for, with `known` being what there is.
    fn stream_limits(&self, site: &AccountStreams, known: &Machine) -> Limits {
        let account = *site.limits.read();
        let server = *self.limits.read();
        let (own, all) = (
            known.usage().of_account(&site.account.name),
            known.usage().of_all(),
        );
        Limits {
            clustered: false,
            dedup_window_max: server.dedup_window_max,
            streams_max: account.streams_max,
            streams: own.streams,
            consumers_max: account.consumers_max,
            bytes_max_required: account.bytes_max_required,
            memory: Space {
                stream_bytes_max: account.memory_stream_bytes_max,
                account_bytes_max: account.memory_bytes_max,
                account_bytes_reserved: own.memory,
                server_bytes_max: Some(server.memory_bytes_max),
                server_bytes_reserved: all.memory,
            },
            file: Space {
                stream_bytes_max: account.storage_stream_bytes_max,
                account_bytes_max: account.storage_bytes_max,
                account_bytes_reserved: own.file,
                server_bytes_max: Some(server.storage_bytes_max),
                server_bytes_reserved: all.file,
            },
        }
    }

    /// What consumers of the account may ask for.
    pub fn consumer_limits(&self, site: &AccountStreams) -> consumer::validate::facts::Limits {
        let account = *site.limits.read();
        let server = *self.limits.read();
        consumer::validate::facts::Limits {
            clustered: false,
            consumers_max: account.consumers_max,
            account_ack_pending_max: account.ack_pending_max,
            server_ack_pending_max: server.ack_pending_max,
            request_batch_max: server.request_batch_max,
        }
    }

    /// Held while a stream of that name is made.
    fn making(&self, account: &str, name: &str) -> &tokio::sync::Mutex<()> {
        let place = crc32c::crc32c_append(crc32c::crc32c(account.as_bytes()), name.as_bytes());
        &self.making[place as usize % MAKING]
    }

    /// Whether a configuration is one, whatever stream it is for.
    ///
    /// # Errors
    /// The API's answer.
    pub fn check_stream(
        &self,
        site: &AccountStreams,
        requested: Config,
        pedantic: bool,
    ) -> Result<(), ApiError> {
        let account = &site.account.name;
        self.meta.read(|known| {
            let limits = self.stream_limits(site, known);
            validate::check(requested, pedantic, &limits, &known.account(account)).map(|_| ())
        })
    }

    /// Makes a stream, or finds the one that is as asked for (false: it is not new).
    ///
    /// # Errors
    /// The API's answer.
    pub async fn create_stream(
        &self,
        site: &Arc<AccountStreams>,
        requested: Config,
        pedantic: bool,
    ) -> Result<(Arc<StreamHandle>, bool), ApiError> {
        let account = &site.account.name;
        let has_rules = requested.max_bytes > 0
            || requested.mirror.is_some()
            || !requested.sources.is_empty()
            || site.limits.read().streams_max.is_some();
        let (_shared, _alone) = match has_rules {
            false => (Some(self.changing.read().await), None),
            true => (None, Some(self.changing.write().await)),
        };
        let _making = self.making(account, &requested.name).lock().await;
        let config = self.meta.read(|known| {
            let limits = self.stream_limits(site, known);
            validate::create(requested, pedantic, &limits, &known.account(account))
        })?;
        if let Some(handle) = site.stream(&config.name) {
            return Ok((handle, false));
        }
        if config.storage == Storage::File && self.streams.space().is_closed() {
            return Err(ApiError::of(&table::STORAGE_RESOURCES_EXCEEDED));
        }
        if let Some(why) = self.why_down(account, &config.name) {
            return Err(why);
        }
        let (assigned, is_new) = self.meta.put(account, config.clone()).await?;
        let started = self.streams.start(site, assigned);
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
        Ok((handle, true))
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
        let _alone = self.changing.write().await;
        let consumers = handle.read(|replica| replica.consumer_configs()).await?;
        let consumers: Vec<_> = consumers.iter().collect();
        let current = handle.config();
        let config = self.meta.read(|known| {
            let limits = self.stream_limits(site, known);
            let others = known.account(&site.account.name);
            validate::update(&current, requested, pedantic, &limits, &others, &consumers)
        })?;
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
        let _alone = self.changing.write().await;
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
        let _alone = self.changing.write().await;
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

#[cfg(test)]
mod crash_tests;

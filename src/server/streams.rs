//! JetStream as this server is configured to run it.
//!
//! Separate because it is the longest part of the start: files, log, groups, and every
//! stream there is. The order is that of the data: nothing is served before it was
//! recovered.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::identity::Identity;
use super::space::{self, Alarm, Keeper};
use super::{banner, memory, version};
use crate::account;
use crate::account::limits::JetStreamLimits;
use crate::clock;
use crate::config::options::{Options, jetstream as options};
use crate::connection::resident;
use crate::consumer::metadata::API_LEVEL;
use crate::entropy::{self, Random};
use crate::filestore;
use crate::jetstream::account::{AccountStreams, Server};
use crate::jetstream::entrance;
use crate::jetstream::mailbox::Limits;
use crate::jetstream::meta_group::{Meta, MetaError};
use crate::jetstream::streams::{self, Streams};
use crate::jetstream::subscriptions::Queue;
use crate::jetstream::{self, JetStream, ServerLimits, subscriptions};
use crate::pubsub::accounts::{Account, Accounts};
use crate::raft::group;
use crate::raft::groups::{self, Groups};
use crate::raft::space::Space;
use crate::tasks::Shards;
use crate::vfs::Vfs;
use crate::vfs::real::RealVfs;
use crate::vfs::watched::Watched;
use crate::wal::identity::DataDir;
use crate::wal::{self, RecoveryReport, Wal};

/// The directory below `store_dir` that is ours.
const OWN_DIRECTORY: &str = "natter";
/// Where streams are stored when nothing is said.
const DEFAULT_DIRECTORY: &str = "nats/jetstream";
/// A lone server is the first of its cluster.
const NODE: u64 = 1;
/// Messages of a stream that may wait to be proposed.
const BUFFERED_MESSAGES: usize = 100_000;
/// Their bytes.
const BUFFERED_BYTES: usize = 128 * 1024 * 1024;

/// Why JetStream did not start.
#[derive(Debug, thiserror::Error)]
pub enum StreamsError {
    /// The directory cannot be made.
    #[error(transparent)]
    Directory(#[from] crate::vfs::Error),
    /// The log cannot be opened.
    #[error("open the write-ahead log in {directory}")]
    Wal {
        /// Where it is.
        directory: PathBuf,
        /// Why not.
        #[source]
        cause: wal::error::Error,
    },
    /// The directory is not ours to use.
    #[error("use {directory}")]
    Owned {
        /// Where it is.
        directory: PathBuf,
        /// Why not.
        #[source]
        cause: wal::error::Error,
    },
    /// What streams there are cannot be read.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// No threads.
    #[error("start threads for streams")]
    Threads(#[source] std::io::Error),
}

/// JetStream at work.
pub(super) struct Started {
    /// The streams.
    pub jetstream: Arc<JetStream>,
    /// The log, to be closed last.
    pub wal: Wal,
    /// Answers requests.
    pub task: JoinHandle<()>,
    /// Looks after the disk.
    pub keeper: JoinHandle<()>,
    /// Where requests wait.
    queue: Arc<Queue>,
    /// Nobody else may use it meanwhile.
    _data_dir: DataDir,
}

/// Starts JetStream, if the configuration asks for it.
pub(super) async fn start(
    options: &Options,
    identity: &Identity,
    accounts: &Accounts,
) -> Result<Option<Started>, StreamsError> {
    let settings = &options.jetstream;
    if !settings.enabled {
        return Ok(None);
    }
    let began = clock::monotonic();
    tracing::info!("{}", banner::JETSTREAM);
    let directory = match &settings.store_dir {
        Some(directory) => PathBuf::from(directory),
        None => std::env::temp_dir().join(DEFAULT_DIRECTORY),
    };
    let directory = directory.join(OWN_DIRECTORY);
    let disk: Arc<dyn Vfs> = Arc::new(RealVfs);
    let room = Arc::new(Space::default());
    let watch = Arc::new(Alarm(Arc::clone(&room)));
    let vfs: Arc<dyn Vfs> = Arc::new(Watched::new(Arc::clone(&disk), watch));
    let data_dir = own_directory(&*vfs, &directory)?;
    let mut keeper = Keeper::new(disk, &directory, Arc::clone(&room))?;
    let space = room.figures();
    let log = directory.join("wal");
    vfs.create_dir_all(&log)?;
    let wal_options = wal::Options {
        segment_bytes: space::segment_bytes(space, u64::from(options.limits.max_payload)),
        quarantine: Some(directory.join("quarantine")),
        on_fatal: Arc::new(|err| space::end(err)),
        ..wal::Options::default()
    };
    let open = || Wal::open(Arc::clone(&vfs), log.clone(), wal_options.clone());
    let opened = match open() {
        // The reserve is for this.
        Err(err) if err.is_full() && keeper.give_up_reserve()? => open(),
        opened => opened,
    };
    let (wal, report) = opened.map_err(|cause| StreamsError::Wal {
        directory: directory.clone(),
        cause,
    })?;
    tell(&report);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = Shards::start("stream", cores.min(groups::THREADS_MAX), resident::live);
    let threads = threads.map_err(StreamsError::Threads)?;
    let group_options = group::Options {
        checkpoint_bytes: wal_options.segment_bytes,
        space: room,
        ..group::Options::new(NODE)
    };
    let groups =
        Groups::open(wal.clone(), group_options, threads).map_err(StreamsError::Threads)?;
    let keeper = keeper.start(groups.clone());
    let meta = Meta::open(&groups, &vfs, &directory, NODE)?;
    let limit = |configured: Option<u64>, default: usize| {
        configured.map_or(default, |limit| usize::try_from(limit).unwrap_or(default))
    };
    let streams = Streams::new(
        streams::Options {
            directory: directory.clone(),
            mailbox: Limits {
                messages_max: limit(settings.max_buffered_msgs, BUFFERED_MESSAGES),
                bytes_max: limit(settings.max_buffered_size, BUFFERED_BYTES),
            },
            files: filestore::Options::new(directory.join("quarantine")),
        },
        Arc::clone(&vfs),
        groups,
        Random::from_system(),
    );
    let limits = limits(
        settings,
        memory::available(&RealVfs) as u64 / 4 * 3,
        space.available / 4 * 3,
    );
    let store_dir = directory.display().to_string();
    let lines = banner::jetstream_lines(banner::JetStream {
        strict: settings.strict,
        memory_bytes_max: limits.memory_bytes_max,
        storage_bytes_max: limits.storage_bytes_max,
        store_dir: &store_dir,
        api_level: API_LEVEL,
    });
    for line in lines {
        tracing::info!("{line}");
    }
    let jetstream = JetStream::new(
        jetstream::Options {
            server_name: identity.name.clone(),
            version: version::COMPATIBILITY,
            strict: settings.strict,
            requests: entrance::Limits {
                requests_max: usize::try_from(settings.request_queue_limit).unwrap_or(usize::MAX),
                infos_max: usize::try_from(settings.info_queue_limit).unwrap_or(usize::MAX),
            },
            store_dir,
            limits,
        },
        streams,
        meta,
    );
    let system = accounts.all().into_iter();
    let system = system.filter(|account| account.policy().is_system).last();
    let (queue, task) = jetstream.answer_requests(system);
    for (name, limits) in accounts_with_streams(options) {
        let Some(account) = accounts.get(&name) else {
            continue;
        };
        add_account(&jetstream, &queue, &account, limits);
    }
    for account in accounts.all() {
        let has_streams = jetstream.streams.account(&account.name).is_some();
        if !has_streams && *account.name != *account::SYSTEM {
            subscriptions::subscribe_without(&account);
        }
    }
    let known = jetstream.missing_streams().len();
    if known > 0 {
        tracing::info!("  Restoring {known} streams");
    }
    let failed = jetstream.start_streams().await;
    if failed > 0 {
        tracing::error!("  {failed} streams do not run");
    }
    // Each start after a crash begins a segment: they must go though crashes follow quickly.
    let _stay = jetstream.streams.release_segments(space::SEGMENTS_HELD_MAX);
    let took = clock::monotonic().since(began);
    tracing::info!("Took {took:?} to start JetStream");
    Ok(Some(Started {
        _data_dir: data_dir,
        keeper,
        queue,
        jetstream,
        wal,
        task,
    }))
}

/// The account may have streams from now on.
fn add_account(
    jetstream: &JetStream,
    queue: &Arc<Queue>,
    account: &Arc<Account>,
    limits: JetStreamLimits,
) {
    let server = Server {
        usage: Arc::clone(&jetstream.usage),
        limits: Arc::clone(&jetstream.limits),
    };
    let site = AccountStreams::new(Arc::clone(account), limits, server);
    account.interest.observe(Arc::clone(&site) as _);
    subscriptions::subscribe(&site, queue);
    jetstream.streams.add_account(site);
}

/// What is configured; the defaults are for what is not.
fn limits(
    settings: &options::JetStream,
    memory_default: u64,
    storage_default: u64,
) -> ServerLimits {
    let bytes = |configured: Option<i64>, default: u64| {
        configured.map_or(default, |limit| u64::try_from(limit).unwrap_or(default))
    };
    let positive =
        |limit: Option<i64>| limit.and_then(|l| u64::try_from(l).ok()).filter(|l| *l > 0);
    ServerLimits {
        memory_bytes_max: bytes(settings.max_memory_store, memory_default),
        storage_bytes_max: bytes(settings.max_file_store, storage_default),
        dedup_window_max: settings.limits.duplicate_window,
        ack_pending_max: positive(settings.limits.max_ack_pending),
        request_batch_max: positive(settings.limits.max_request_batch),
    }
}

impl Started {
    /// The first account that may have streams and is to lose JetStream.
    pub fn losing(&self, options: &Options) -> Option<String> {
        let stay = accounts_with_streams(options);
        let sites = self.jetstream.streams.accounts().into_iter();
        let losing = sites
            .filter(|site| stay.iter().all(|(name, _)| **name != *site.account.name))
            // Without any other, the global account is one by default.
            .filter(|site| &*site.account.name != account::GLOBAL || !site.streams().is_empty());
        losing.map(|site| site.account.name.to_string()).min()
    }

    /// Takes over other limits, and accounts that may have streams from now on.
    pub fn follow(&self, options: &Options, accounts: &Accounts) {
        {
            let mut now = self.jetstream.limits.write();
            *now = limits(
                &options.jetstream,
                now.memory_bytes_max,
                now.storage_bytes_max,
            );
        }
        for (name, limits) in accounts_with_streams(options) {
            match self.jetstream.streams.account(&name) {
                Some(site) => *site.limits.write() = limits,
                None => {
                    if let Some(account) = accounts.get(&name) {
                        add_account(&self.jetstream, &self.queue, &account, limits);
                    }
                }
            }
        }
    }
}

/// What the log was found like. What is lost is for a person to see: the groups concerned
/// take nothing more until somebody accepts it.
fn tell(report: &RecoveryReport) {
    if report.unclean {
        tracing::info!("write-ahead log: recovered after an unclean end");
    }
    for file in &report.quarantined {
        tracing::error!(file = %file.display(), "write-ahead log: damaged, a copy was kept");
    }
    for (group, damage) in &report.damaged {
        tracing::error!(
            group = group.0,
            ?damage,
            "write-ahead log: entries are lost"
        );
    }
    if report.damage_unknown {
        tracing::error!("write-ahead log: nobody can say which streams lost something");
    }
}

/// Locks the directory and says whose it is, if nobody has before: a server that is alone
/// forms a cluster of its own.
fn own_directory(vfs: &dyn Vfs, directory: &Path) -> Result<DataDir, StreamsError> {
    let failed = |cause| StreamsError::Owned {
        directory: directory.to_owned(),
        cause,
    };
    let mut data_dir = DataDir::open(vfs, directory).map_err(failed)?;
    if data_dir.identity().is_none() {
        let cluster = u64::from_le_bytes(entropy::secret_bytes());
        let identity = wal::identity::Identity {
            cluster,
            node: NODE,
        };
        data_dir.assign(vfs, identity).map_err(failed)?;
    }
    Ok(data_dir)
}

/// The accounts that may have streams: those that say so; without any, the global one.
fn accounts_with_streams(options: &Options) -> Vec<(String, JetStreamLimits)> {
    let configured = &options.accounts.accounts;
    let with: Vec<_> = configured
        .iter()
        .filter_map(|spec| Some((spec.name.clone(), spec.jetstream?)))
        .collect();
    if with.is_empty() {
        return vec![(account::GLOBAL.to_owned(), Default::default())];
    }
    with
}

//! JetStream as this server is configured to run it.
//!
//! Separate because it is the longest part of the start: files, log, groups, and every
//! stream there is. The order is that of the data: nothing is served before it was
//! recovered.

use std::io::ErrorKind;
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
use crate::jetstream::{self, JetStream, ServerLimits, scrub, subscriptions};
use crate::pubsub::accounts::{Account, Accounts};
use crate::raft::group;
use crate::raft::groups::{self, Groups};
use crate::raft::space::Space;
use crate::tasks;
use crate::vfs::Vfs;
use crate::vfs::real::RealVfs;
use crate::vfs::watched::Watched;
use crate::wal::identity::DataDir;
use crate::wal::{self, RecoveryReport, Wal};

/// The directory below `store_dir` that is ours.
const OWN_DIRECTORY: &str = "natter";
/// Whoever makes this file in it accepts what the log lost.
const ACCEPT_FILE: &str = "accept-damage";
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
    /// There is no log though there are streams.
    #[error(
        "the write-ahead log is gone: {log} has no segment, but {directory} has streams; nothing was changed, restore it from a copy"
    )]
    LogLost {
        /// Where it should be.
        log: PathBuf,
        /// Where the streams are.
        directory: PathBuf,
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
    /// Looks for damage.
    pub scrub: JoinHandle<()>,
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
    system: Option<Arc<Account>>,
) -> Result<Option<Started>, StreamsError> {
    if !options.jetstream.enabled {
        return Ok(None);
    }
    let sizes = Sizes {
        wal: wal::Options::default(),
        files: filestore::Options::new(PathBuf::new()),
        end: |error| space::end(error),
    };
    start_with(options, identity, accounts, system, sizes)
        .await
        .map(Some)
}

/// How large files become, which tests make small, and more that they change.
struct Sizes {
    wal: wal::Options,
    files: filestore::Options,
    /// What is called when the disk failed: tests take directories away.
    end: space::End,
}

async fn start_with(
    options: &Options,
    identity: &Identity,
    accounts: &Accounts,
    system: Option<Arc<Account>>,
    sizes: Sizes,
) -> Result<Started, StreamsError> {
    let settings = &options.jetstream;
    let began = clock::monotonic();
    tracing::info!("{}", banner::JETSTREAM);
    let directory = match &settings.store_dir {
        Some(directory) => PathBuf::from(directory),
        None => std::env::temp_dir().join(DEFAULT_DIRECTORY),
    };
    let directory = directory.join(OWN_DIRECTORY);
    let disk: Arc<dyn Vfs> = Arc::new(RealVfs);
    let room = Arc::new(Space::default());
    let watch = Arc::new(Alarm {
        space: Arc::clone(&room),
        end: sizes.end,
    });
    let vfs: Arc<dyn Vfs> = Arc::new(Watched::new(Arc::clone(&disk), watch));
    let data_dir = own_directory(&*vfs, &directory)?;
    let mut keeper = Keeper::new(disk, &directory, Arc::clone(&room))?;
    let space = room.figures();
    let log = directory.join("wal");
    check_log(&*vfs, &directory, &log)?;
    vfs.create_dir_all(&log)?;
    let quarantine = directory.join("quarantine");
    let wal_options = wal::Options {
        segment_bytes: space::segment_bytes(space, u64::from(options.limits.max_payload))
            .min(sizes.wal.segment_bytes),
        quarantine: Some(quarantine.clone()),
        on_fatal: Arc::new(move |err| (sizes.end)(err)),
        ..sizes.wal
    };
    let open = || Wal::open(Arc::clone(&vfs), log.clone(), wal_options.clone());
    let opened = match open() {
        // The reserve is for this.
        Err(err) if err.is_full() && keeper.give_up_reserve()? => open(),
        opened => opened,
    };
    let (wal, mut report) = opened.map_err(|cause| StreamsError::Wal {
        directory: directory.clone(),
        cause,
    })?;
    tell(&report);
    accept_damage(&*vfs, &directory, &wal, &mut report)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = groups::threads(&wal, cores, resident::live);
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
            files: filestore::Options {
                quarantine,
                ..sizes.files
            },
            mailbox: Limits {
                messages_max: limit(settings.max_buffered_msgs, BUFFERED_MESSAGES),
                bytes_max: limit(settings.max_buffered_size, BUFFERED_BYTES),
            },
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
    if report.damage_unknown {
        let text = "the write-ahead log is damaged: nobody can say which streams lost something";
        jetstream.raise(text.to_owned());
    }
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
    Ok(Started {
        _data_dir: data_dir,
        keeper,
        queue,
        scrub: tasks::spawn(scrub::run(Arc::downgrade(&jetstream))),
        jetstream,
        wal,
        task,
    })
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
    if report.torn {
        tracing::warn!("write-ahead log: a batch at the end was never synced, it was cut off");
    }
}

/// Takes what the log lost for settled, if somebody who knows of it says so by a file of this
/// name. What was found only now he does not know of.
fn accept_damage(
    vfs: &dyn Vfs,
    directory: &Path,
    wal: &Wal,
    report: &mut RecoveryReport,
) -> Result<(), StreamsError> {
    if !vfs.list(directory)?.iter().any(|name| name == ACCEPT_FILE) {
        return Ok(());
    }
    let file = directory.join(ACCEPT_FILE);
    if report.damage_unknown || !report.quarantined.is_empty() {
        let file = file.display();
        tracing::error!(%file, "write-ahead log: more damage was found at this start, nothing is accepted");
        return Ok(());
    }
    for (group, _) in std::mem::take(&mut report.damaged) {
        tracing::warn!(group = group.0, "write-ahead log: the loss is accepted");
        let accepted = wal.write(wal::Write::AcceptDamage { group }, None);
        accepted.map_err(|cause| StreamsError::Wal {
            directory: directory.to_owned(),
            cause,
        })?;
    }
    vfs.remove(&file)?;
    Ok(())
}

/// Whether there is something of streams here.
fn has_streams(vfs: &dyn Vfs, directory: &Path) -> Result<bool, StreamsError> {
    let names = vfs.list(directory)?;
    if names
        .iter()
        .any(|name| name == "meta" || name == "meta.copy")
    {
        return Ok(true);
    }
    if !names.iter().any(|name| name == "groups") {
        return Ok(false);
    }
    Ok(!vfs.list(&directory.join("groups"))?.is_empty())
}

/// Streams are made in the log first: where there are some and no log, it was lost, and with
/// it what nobody can tell. Going on would take the oldest state for the newest.
fn check_log(vfs: &dyn Vfs, directory: &Path, log: &Path) -> Result<(), StreamsError> {
    let names = match vfs.list(log) {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let has_log = names.iter().any(|name| name.ends_with(".segment"));
    if !has_log && has_streams(vfs, directory)? {
        return Err(StreamsError::LogLost {
            log: log.to_owned(),
            directory: directory.to_owned(),
        });
    }
    Ok(())
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
        if vfs.list(directory)?.iter().any(|name| name == "wal") {
            let what = "the identity and its copy are gone, but its log is there".to_owned();
            let path = directory.to_owned();
            return Err(failed(wal::error::Error::Unusable { path, what }));
        }
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

#[cfg(test)]
mod leftovers;
#[cfg(test)]
mod rot;

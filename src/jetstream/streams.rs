//! All streams of this server: starting, finding and ending them.
//!
//! Separate from the API, which decides what is to be, and from a replica, which is one
//! stream. What is to be stands in the meta group; what is, here.
//!
//! Invariants: a stream takes messages only after everything its log holds was applied; a
//! stream that ended takes none, and its files go only after the meta group no longer
//! knows it; whatever keeps a stream from starting is told, counted, and leaves its files
//! as they are.

use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::task::JoinHandle;

use super::account::AccountStreams;
use super::handle::StreamHandle;
use super::mailbox::Limits;
use super::replica::{End, Replica};
use super::{delivery, ingest};
use crate::clock::{self, Timestamp};
use crate::consumer::dispatch::Closed;
use crate::entropy::Random;
use crate::filestore;
use crate::filestore::recovery::Opening;
use crate::pubsub::subscription::Subscription;
use crate::raft::error::StartError as GroupError;
use crate::raft::groups::{Groups, Storage as LogStorage};
use crate::raft::space::Space;
use crate::state_machine::{DecodeError, MachineError};
use crate::store::memory::MemoryStore;
use crate::stream::config::{Config, Storage};
use crate::stream::machine::Machine;
use crate::vfs::{self, Vfs};
use crate::wal::GroupId;

/// What streams are told by the server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of everything that is stored.
    pub directory: PathBuf,
    /// What may wait for one stream.
    pub mailbox: Limits,
    /// How streams keep their messages in files.
    pub files: filestore::Options,
}

/// Why a stream did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its files cannot be opened.
    #[error("open the stream's files")]
    Store(#[source] crate::store::error::Error),
    /// What its checkpoint says cannot be read.
    #[error("read the stream's checkpoint")]
    Checkpoint(#[source] DecodeError),
    /// A new machine could not be made.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// Its group did not start.
    #[error("start the stream's group")]
    Group(#[source] GroupError),
}

/// A stream to start: what the meta group knows of it.
#[derive(Clone, Debug)]
pub struct Assigned {
    /// Its group.
    pub group: GroupId,
    /// Its configuration; that of its own log is newer.
    pub config: Arc<Config>,
    /// When it was made.
    pub created: Timestamp,
}

/// A stream that runs.
struct Running {
    subscriptions: Mutex<Vec<Arc<Subscription>>>,
    task: JoinHandle<()>,
}

/// The streams of this server.
pub struct Streams {
    options: Options,
    vfs: Arc<dyn Vfs>,
    groups: Groups,
    accounts: RwLock<HashMap<Arc<str>, Arc<AccountStreams>>>,
    running: Mutex<HashMap<GroupId, Running>>,
    random: Mutex<Random>,
}

impl Streams {
    /// No stream yet.
    pub fn new(options: Options, vfs: Arc<dyn Vfs>, groups: Groups, random: Random) -> Streams {
        Streams {
            options,
            vfs,
            groups,
            accounts: RwLock::default(),
            running: Mutex::default(),
            random: Mutex::new(random),
        }
    }

    /// The accounts that may have streams.
    pub fn accounts(&self) -> Vec<Arc<AccountStreams>> {
        self.accounts.read().values().cloned().collect()
    }

    /// An account that may have streams.
    pub fn account(&self, name: &str) -> Option<Arc<AccountStreams>> {
        self.accounts.read().get(name).cloned()
    }

    /// What the disk takes.
    pub fn space(&self) -> &Arc<Space> {
        self.groups.space()
    }

    /// Asks streams that hold old segments of the log for a checkpoint; the groups that hold
    /// some and do not run.
    pub fn release_segments(&self, held_min: u64) -> Vec<GroupId> {
        self.groups.release_segments(held_min)
    }

    /// The segments of the log that hold something.
    pub fn log_segments(&self) -> u64 {
        self.groups.log_segments()
    }

    /// An account may have streams from now on.
    pub fn add_account(&self, site: Arc<AccountStreams>) {
        let name = Arc::clone(&site.account.name);
        self.accounts.write().insert(name, site);
    }

    /// Starts a stream; everything its log holds is applied when this returns. Reads the
    /// disk: not for a thread that serves connections.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        &self,
        site: &Arc<AccountStreams>,
        assigned: Assigned,
    ) -> Result<Arc<StreamHandle>, StartError> {
        let Assigned {
            group: id,
            config,
            created,
        } = assigned;
        let (machine, position, log) = self.open(id, Arc::clone(&config), created)?;
        let group = self.groups.start(id, machine, position, log);
        let group = group.map_err(StartError::Group)?;
        let config = group.with(|machine| {
            machine.share_config(&config);
            Arc::clone(machine.config())
        });
        let handle = Arc::new(StreamHandle::new(id, created, config, self.options.mailbox));
        let seed = self.random.lock().next_u64();
        let mut replica = Replica::new(
            Arc::clone(site),
            Arc::clone(&handle),
            group.clone(),
            Random::seeded(seed),
        );
        // Known before anybody can ask.
        replica.look_for_trouble();
        delivery::introduce(&replica);
        let task = group.place().spawn(Box::new(replica).run());
        site.insert(&handle);
        let subscriptions = ingest::subscriptions(&handle, &site.account);
        for subscription in &subscriptions {
            site.account.interest.insert(subscription);
        }
        let running = Running {
            subscriptions: Mutex::new(subscriptions),
            task,
        };
        self.running.lock().insert(id, running);
        Ok(handle)
    }

    /// Machine, position of its checkpoint and kind of log.
    fn open(
        &self,
        id: GroupId,
        config: Arc<Config>,
        created: Timestamp,
    ) -> Result<(Machine, Option<Bytes>, LogStorage), StartError> {
        if config.storage == Storage::Memory {
            let machine = Machine::new(config, Box::new(MemoryStore::new()), created)?;
            return Ok((machine, None, LogStorage::Memory));
        }
        let options = self.options.files.clone();
        let opening = Opening::look(Arc::clone(&self.vfs), self.files(id), options);
        let mut opening = opening.map_err(StartError::Store)?;
        let position = opening.state().map(Machine::position_in).transpose();
        let position = position.map_err(StartError::Checkpoint)?;
        // Before anything is cut or removed because the log has it.
        let lost = self.groups.check(id, position, opening.has_blocks());
        if lost.map_err(StartError::Group)?.is_some() {
            opening.keep_all();
        }
        let (mut store, restored) = opening.finish().map_err(StartError::Store)?;
        store.comes_from(self.groups.log().clone(), id);
        let Some(restored) = restored else {
            let machine = Machine::new(config, Box::new(store), created)?;
            return Ok((machine, None, LogStorage::Disk));
        };
        let state = Bytes::from(restored.state);
        let restored = Machine::restore(&state, Box::new(store));
        let (machine, position) = restored.map_err(StartError::Checkpoint)?;
        Ok((machine, Some(position), LogStorage::Disk))
    }

    /// Where the files of a group lie: names never become paths.
    fn files(&self, id: GroupId) -> PathBuf {
        self.options.directory.join("groups").join(id.0.to_string())
    }

    /// A stream has other subjects: its subscriptions follow.
    pub fn resubscribe(&self, site: &AccountStreams, handle: &Arc<StreamHandle>) {
        let running = self.running.lock();
        let Some(running) = running.get(&handle.group) else {
            return;
        };
        let fresh = ingest::subscriptions(handle, &site.account);
        for subscription in &fresh {
            site.account.interest.insert(subscription);
        }
        let old = std::mem::replace(&mut *running.subscriptions.lock(), fresh);
        for subscription in &old {
            site.account.interest.remove(subscription);
        }
    }

    /// Ends a stream here: it takes nothing more, and its log is forgotten if `forget`.
    pub async fn end(&self, site: &AccountStreams, handle: &StreamHandle, forget: bool) {
        let Some(running) = self.running.lock().remove(&handle.group) else {
            return;
        };
        for subscription in running.subscriptions.into_inner() {
            site.account.interest.remove(&subscription);
        }
        let (why, end) = match forget {
            true => (Closed::Deleted, End::Deleted),
            false => (Closed::Shutdown, End::Shutdown),
        };
        handle.mailbox.call(Box::new(move |replica| {
            delivery::close_all(replica, clock::now(), why);
            replica.stop(end);
        }));
        // The task ends by itself; its panic was told where it happened.
        let _ = running.task.await;
        let (_, bytes) = handle.usage();
        let in_memory = handle.config().storage == Storage::Memory;
        site.add_usage(in_memory, bytes.cast_signed().wrapping_neg());
        site.remove(&handle.name);
        if forget {
            self.forget(handle.group).await;
        }
    }

    /// The groups of which there is something here: log entries or files.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn groups_found(&self) -> Result<BTreeSet<GroupId>, vfs::Error> {
        let mut found: BTreeSet<GroupId> = self.groups.in_log().into_iter().collect();
        let names = match self.vfs.list(&self.options.directory.join("groups")) {
            Ok(names) => names,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let ids = names.iter().filter_map(|name| {
            let id = name.parse().ok().map(GroupId)?;
            (id.0.to_string() == *name).then_some(id)
        });
        found.extend(ids);
        Ok(found)
    }

    /// Forgets log and files of a group whose stream was deleted.
    pub async fn forget(&self, id: GroupId) {
        if let Err(error) = self.groups.drop_group(id).await {
            tracing::error!(group = id.0, err = %error, "forget a stream's log");
        }
        if self.has_files(id) {
            self.remove_files(id);
        }
    }

    /// Moves the files of a group that nobody knows out of the way. Its log stays: nobody
    /// else has what is in it.
    ///
    /// # Errors
    /// When the disk refuses; the files stay where they are.
    pub fn set_aside(&self, id: GroupId) -> Result<PathBuf, vfs::Error> {
        let aside = &self.options.files.quarantine;
        let target = aside.join(format!("group-{id}"));
        if self.has_files(id) {
            self.vfs.create_dir_all(aside)?;
            self.vfs.rename(&self.files(id), &target)?;
            self.vfs.sync_dir(aside)?;
            self.vfs.sync_dir(&self.options.directory.join("groups"))?;
        }
        Ok(target)
    }

    fn has_files(&self, id: GroupId) -> bool {
        self.vfs.list(&self.files(id)).is_ok()
    }

    /// Removes the files of a group that the meta group has forgotten.
    fn remove_files(&self, id: GroupId) {
        let directory = self.files(id);
        let names = match self.vfs.list(&directory) {
            // Nothing was ever written.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            names => names,
        };
        let removed = names.and_then(|names| {
            names
                .iter()
                .try_for_each(|name| self.vfs.remove(&directory.join(name)))?;
            self.vfs.remove_dir(&directory)
        });
        if let Err(error) = removed
            && error.kind() != ErrorKind::NotFound
        {
            tracing::error!(group = id.0, err = %error, "remove the files of a stream");
        }
    }

    /// Tells everybody who waits for messages that the server ends, while links still take
    /// something.
    pub async fn say_goodbye(&self) {
        let handles: Vec<_> = (self.accounts().iter())
            .flat_map(|site| site.streams())
            .collect();
        for handle in &handles {
            handle.mailbox.call(Box::new(|replica: &mut Replica| {
                delivery::close_all(replica, clock::now(), Closed::Shutdown);
            }));
        }
        for handle in &handles {
            // A stream that answers has written out what it said before.
            for _ in 0..2 {
                let _ = handle.read(|_| ()).await;
            }
        }
    }

    /// Ends all streams in good order; their logs stay.
    pub async fn stop(&self) {
        for site in self.accounts() {
            for handle in site.streams() {
                self.end(&site, &handle, false).await;
            }
        }
        self.groups.stop().await;
    }
}

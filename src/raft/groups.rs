//! All groups of this server: which run, and on which thread.
//!
//! Separate from the groups because somebody must start them on a few threads of their
//! own, find them when the log wants to let go of old segments, and stop them together.
//!
//! Invariants: a group runs once at a time; starting one replays its log but starts no
//! task; groups are spread over the threads by their id, and stay where they are.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::raft::convert;
use crate::raft::error::StartError;
use crate::raft::group::{Group, Member, Options};
use crate::raft::log_store::LogStore;
use crate::raft::replay;
use crate::raft::replica::Replica;
use crate::raft::settings;
use crate::raft::space::Space;
use crate::state_machine::StateMachine;
use crate::tasks::{Place, Shards};
use crate::wal::error::Error;
use crate::wal::{self, GroupId, Wal, Write};

/// More threads than this do not help: the one disk is behind all of them.
pub const THREADS_MAX: usize = 4;

/// Where the entries of a group are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In the server's log, on the disk.
    Disk,
    /// In memory: gone after a restart, as is the machine.
    Memory,
}

/// The groups of this server. Cheap to clone.
#[derive(Clone)]
pub struct Groups {
    shared: Arc<Shared>,
}

struct Shared {
    wal: Wal,
    options: Options,
    config: Arc<openraft::Config>,
    running: Mutex<HashMap<GroupId, Weak<dyn Member>>>,
    threads: Shards,
}

/// The threads for groups, at most [`THREADS_MAX`], each with a resident. One that has nothing
/// else to do writes the log for its groups.
///
/// # Errors
/// When the operating system gives no threads.
pub fn threads<F>(wal: &Wal, count: usize, resident: impl Fn() -> F) -> io::Result<Shards>
where
    F: Future<Output = ()> + Send + 'static,
{
    let wal = wal.clone();
    let before_sleep = move || wal.before_sleep();
    Shards::start("stream", count.min(THREADS_MAX), resident, before_sleep)
}

impl Groups {
    /// No group yet, on these threads.
    ///
    /// # Errors
    /// When the settings of groups make no sense.
    pub fn open(wal: Wal, options: Options, threads: Shards) -> io::Result<Groups> {
        let config = settings::of_a_sole_voter().map_err(io::Error::other)?;
        let shared = Shared {
            wal,
            options,
            config: Arc::new(config),
            running: Mutex::default(),
            threads,
        };
        Ok(Groups {
            shared: Arc::new(shared),
        })
    }

    /// Where a group lives.
    pub fn place(&self, group: GroupId) -> Place {
        self.shared.threads.place(group.0)
    }

    /// Whether the log of a group goes on where a checkpoint at `position` ends; to be asked
    /// before anything is made to fit the checkpoint. What of the log is lost, as it says
    /// itself.
    ///
    /// # Errors
    /// [`StartError::Position`], [`StartError::Hole`] and [`StartError::LogLost`]; the last
    /// also if the log has nothing of the group though there `is_something` of it elsewhere.
    pub fn check(
        &self,
        id: GroupId,
        position: Option<Bytes>,
        is_something: bool,
    ) -> Result<Option<wal::Damage>, StartError> {
        let position = position.map(convert::position_from_bytes).transpose();
        let position = position.map_err(StartError::Position)?;
        let log = self.shared.wal.state(id);
        let applied = position.and_then(|position| position.applied);
        replay::check(&log, applied)?;
        if is_something && log.last.is_none() && log.damage.is_none() {
            return Err(StartError::LogLost { applied: 0 });
        }
        Ok(log.damage)
    }

    /// The groups that the log has something of.
    pub fn in_log(&self) -> Vec<GroupId> {
        self.shared.wal.groups()
    }

    /// Starts a group. `machine` is in the state of its last checkpoint, which was made at
    /// `position`; fresh without. What the log holds behind it is applied before this
    /// returns; openraft starts with the first proposal. Reads the disk.
    ///
    /// # Errors
    /// See [`StartError`]; the machine is gone, the log is as before.
    pub fn start<M: StateMachine>(
        &self,
        id: GroupId,
        machine: M,
        position: Option<Bytes>,
        storage: Storage,
    ) -> Result<Group<M>, StartError> {
        let shared = &self.shared;
        if self.running(id).is_some() {
            return Err(StartError::Running(id));
        }
        let position = position.map(convert::position_from_bytes).transpose();
        let position = position.map_err(StartError::Position)?;
        let log = match storage {
            Storage::Disk => {
                LogStore::on_disk(id, shared.wal.clone(), Arc::clone(&shared.options.space))
            }
            Storage::Memory => LogStore::in_memory(id),
        };
        let mut replica = Replica::new(machine, position);
        replay::replay(&mut replica, &log, shared.options.node)?;
        let options = shared.options.clone();
        let config = Arc::clone(&shared.config);
        let group = Group::new(id, options, config, self.place(id), replica, log);

        let member: Arc<dyn Member> = Arc::clone(&group.inner) as Arc<dyn Member>;
        let mut running = shared.running.lock();
        if running
            .get(&id)
            .is_some_and(|other| other.strong_count() > 0)
        {
            return Err(StartError::Running(id));
        }
        running.insert(id, Arc::downgrade(&member));
        Ok(group)
    }

    /// Stops a group if it runs, and forgets its log.
    ///
    /// # Errors
    /// When the log does not take that down; trying again is right.
    pub async fn drop_group(&self, id: GroupId) -> Result<(), Error> {
        if let Some(member) = self.running(id) {
            member.stop().await;
        }
        self.shared.running.lock().remove(&id);
        self.shared.wal.write(Write::DropGroup { group: id }, None)
    }

    /// Asks the groups that hold old segments of the log for a checkpoint. The ids of those
    /// that do not run here: their segments stay.
    pub fn release_segments(&self, segments_held_min: u64) -> Vec<GroupId> {
        let pinned = self.shared.wal.pinned_by().into_iter();
        let pinned = pinned.filter(|(_, held)| *held >= segments_held_min);
        let ask = |(id, _)| match self.running(id) {
            Some(member) => {
                member.ask_for_checkpoint();
                None
            }
            None => Some(id),
        };
        pinned.filter_map(ask).collect()
    }

    /// Asks groups for checkpoints: with `turn` (which, of how many), those of them whose turn
    /// it is and that have something that is in no checkpoint; if it is `urgent`, all for
    /// which a checkpoint frees room. How many were asked.
    pub fn checkpoint_some(&self, turn: Option<(u64, u64)>, urgent: bool) -> usize {
        if turn.is_none() && !urgent {
            return 0;
        }
        let running: Vec<_> = {
            let running = self.shared.running.lock();
            let alive =
                |(id, member): (&GroupId, &Weak<dyn Member>)| Some((*id, member.upgrade()?));
            running.iter().filter_map(alive).collect()
        };
        let is_due = |id: GroupId, member: &dyn Member| {
            let is_turn = turn.is_some_and(|(turn, of)| id.0 % of.max(1) == turn % of.max(1));
            is_turn && member.wants_checkpoint() || urgent && member.wants_to_free()
        };
        let due = running
            .into_iter()
            .filter(|(id, member)| is_due(*id, &**member));
        due.map(|(_, member)| member.ask_for_checkpoint()).count()
    }

    /// The log of all groups.
    pub fn log(&self) -> &Wal {
        &self.shared.wal
    }

    /// The segments of the log that hold something.
    pub fn log_segments(&self) -> u64 {
        self.shared.wal.segments() as u64
    }

    /// What the disk takes.
    pub fn space(&self) -> &Arc<Space> {
        &self.shared.options.space
    }

    /// Stops all groups.
    pub async fn stop(&self) {
        let running: Vec<_> = self.shared.running.lock().drain().collect();
        for (_, member) in running {
            if let Some(member) = member.upgrade() {
                member.stop().await;
            }
        }
    }

    fn running(&self, id: GroupId) -> Option<Arc<dyn Member>> {
        self.shared.running.lock().get(&id)?.upgrade()
    }
}

#[cfg(test)]
mod bench;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod tests;

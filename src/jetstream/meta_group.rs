//! The meta group: which streams there are, as a machine in the log.
//!
//! Separate from the streams themselves because this is what is to be, and they are what
//! is: at a start the meta group is read first, and every stream it names is started.
//!
//! Its checkpoint is one file, written anew each time:
//!
//! ```text
//!   magic 8 | position length u32 | position | snapshot | crc32c of all before u32
//! ```
//!
//! Invariants: a stream is made after the meta group knows it, and its files go after the
//! meta group has forgotten it; a checkpoint that is damaged keeps JetStream from starting,
//! since what it does not name would be taken for deleted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::streams::Assigned;
use crate::api_error::{ApiError, table};
use crate::clock;
use crate::meta::assignment::{Assignment, GroupId as MetaGroupId, NodeId};
use crate::meta::command::{Command, Outcome};
use crate::meta::machine::Machine;
use crate::raft::error::{ProposeError, StartError};
use crate::raft::group::Group;
use crate::raft::groups::{Groups, Storage};
use crate::state_machine::{Checkpoint, DecodeError, MachineError};
use crate::stream::config::Config;
use crate::vfs::{self, Vfs};
use crate::wal::GroupId;

const MAGIC: &[u8; 8] = b"NATMETA1";
/// The most a checkpoint may have.
const BYTES_MAX: u64 = 1 << 30;

/// Why the meta group did not start.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] vfs::Error),
    /// The file is not what was written.
    #[error("{path} is damaged: {what}; nothing was changed, restore it from a copy")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How it shows.
        what: String,
    },
    /// Its group did not start.
    #[error("start the meta group")]
    Group(#[source] StartError),
}

/// Which streams there are.
pub struct Meta {
    group: Group<Machine>,
    node: NodeId,
}

impl Meta {
    /// Starts the meta group from its checkpoint in `directory` and its log.
    ///
    /// # Errors
    /// See [`MetaError`].
    pub fn open(
        groups: &Groups,
        vfs: &Arc<dyn Vfs>,
        directory: &Path,
        node: u64,
    ) -> Result<Meta, MetaError> {
        let path = directory.join("meta");
        let sink = {
            let (vfs, path) = (Arc::clone(vfs), path.clone());
            Box::new(move |snapshot: Vec<u8>, position: Bytes| {
                Box::new(Pending {
                    vfs: Arc::clone(&vfs),
                    path: path.clone(),
                    content: encode(&snapshot, &position),
                }) as Box<dyn Checkpoint>
            })
        };
        let exists = vfs.list(directory)?.iter().any(|name| name == "meta");
        let (machine, position) = if exists {
            let damaged = |what: String| MetaError::Damaged {
                path: path.clone(),
                what,
            };
            let content = vfs.read(&path, BYTES_MAX)?;
            let (snapshot, position) = decode(&content).map_err(|error| damaged(error.0))?;
            let machine = Machine::restore(snapshot, sink);
            let machine = machine.map_err(|error| damaged(error.to_string()))?;
            (machine, Some(Bytes::copy_from_slice(position)))
        } else {
            (Machine::new(sink), None)
        };
        let id = GroupId(MetaGroupId::META.0);
        let group = groups.start(id, machine, position, Storage::Disk);
        let group = group.map_err(MetaError::Group)?;
        // Whoever makes the first stream need not wait for it.
        group.wake();
        Ok(Meta {
            group,
            node: NodeId(node),
        })
    }

    /// Every stream there is to be, with its account.
    pub fn assigned(&self) -> Vec<(String, Assigned)> {
        self.group.with(|machine| {
            let accounts = machine.accounts();
            accounts
                .flat_map(|(account, streams)| {
                    let named = move |(_, assignment): (&str, &Assignment)| {
                        (account.to_owned(), assigned(assignment.clone()))
                    };
                    streams.iter().map(named)
                })
                .collect()
        })
    }

    /// Reads what is to be; short, and without waiting.
    pub fn read<R>(&self, read: impl FnOnce(&Machine) -> R) -> R {
        self.group.with(|machine| read(machine))
    }

    /// Those of these groups that were given to streams which were deleted since. None if the
    /// log of the meta group lost something: then nobody knows.
    pub fn deleted(&self, groups: BTreeSet<GroupId>) -> Vec<GroupId> {
        if self.group.damage().is_some() {
            return Vec::new();
        }
        let assigned = self.assigned().into_iter();
        let assigned: BTreeSet<GroupId> = assigned.map(|(_, assigned)| assigned.group).collect();
        let next = self.group.with(|machine| machine.next_group());
        let was_given = |group: &GroupId| group.0 != MetaGroupId::META.0 && group.0 < next.0;
        let groups = groups.into_iter().filter(was_given);
        groups.filter(|group| !assigned.contains(group)).collect()
    }

    /// Notes a new stream.
    ///
    /// # Errors
    /// The API's answer.
    pub async fn put(&self, account: &str, config: Config) -> Result<Assigned, ApiError> {
        let command = Command::PutStream {
            account: account.to_owned(),
            config: Box::new(config),
            peers: vec![self.node],
        };
        match self.propose(command).await? {
            Outcome::Created(assignment) | Outcome::Exists(assignment) => Ok(assigned(assignment)),
            outcome => Err(refusal(outcome)),
        }
    }

    /// Notes another configuration.
    ///
    /// # Errors
    /// The API's answer.
    pub async fn update(&self, account: &str, config: Config) -> Result<(), ApiError> {
        let command = Command::UpdateStream {
            account: account.to_owned(),
            config: Box::new(config),
        };
        match self.propose(command).await? {
            Outcome::Updated(_) => Ok(()),
            outcome => Err(refusal(outcome)),
        }
    }

    /// Forgets a stream.
    ///
    /// # Errors
    /// The API's answer.
    pub async fn remove(&self, account: &str, name: &str) -> Result<(), ApiError> {
        let command = Command::DeleteStream {
            account: account.to_owned(),
            name: name.to_owned(),
        };
        match self.propose(command).await? {
            Outcome::Deleted(_) => Ok(()),
            outcome => Err(refusal(outcome)),
        }
    }

    async fn propose(&self, command: Command) -> Result<Outcome, ApiError> {
        let proposed = self.group.propose(clock::now(), vec![command]).await;
        let unavailable = || ApiError::of(&table::CLUSTER_NOT_AVAIL);
        match proposed {
            Ok(mut outcomes) => outcomes.pop().ok_or_else(unavailable),
            Err(ProposeError::NoSpace) => Err(ApiError::of(&table::INSUFFICIENT_RESOURCES)),
            Err(_) => Err(unavailable()),
        }
    }
}

fn assigned(assignment: Assignment) -> Assigned {
    Assigned {
        group: GroupId(assignment.group.0),
        config: assignment.config,
        created: assignment.created,
    }
}

fn refusal(outcome: Outcome) -> ApiError {
    match outcome {
        Outcome::Refused(error) => error,
        _ => ApiError::of(&table::STREAM_NOT_FOUND),
    }
}

/// A checkpoint that is to be written.
struct Pending {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    content: Vec<u8>,
}

impl Checkpoint for Pending {
    fn complete(self: Box<Self>) -> Result<(), MachineError> {
        let written = (|| {
            self.vfs
                .write_atomically(&self.path, &self.content, vfs::MODE_PRIVATE)?;
            match self.path.parent() {
                Some(directory) => self.vfs.sync_dir(directory),
                None => Ok(()),
            }
        })();
        written.map_err(|cause| MachineError {
            what: "write the checkpoint of the meta group",
            cause: Box::new(cause),
        })
    }
}

fn encode(snapshot: &[u8], position: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(MAGIC.len() + 8 + position.len() + snapshot.len());
    content.extend_from_slice(MAGIC);
    let len = u32::try_from(position.len()).unwrap_or(u32::MAX);
    content.extend_from_slice(&len.to_le_bytes());
    content.extend_from_slice(position);
    content.extend_from_slice(snapshot);
    let sum = crc32c::crc32c(&content);
    content.extend_from_slice(&sum.to_le_bytes());
    content
}

/// Snapshot and position.
fn decode(content: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let damaged = |what: &str| DecodeError(what.to_owned());
    let (content, sum) = content
        .split_last_chunk::<4>()
        .ok_or_else(|| damaged("it is too short"))?;
    if crc32c::crc32c(content) != u32::from_le_bytes(*sum) {
        return Err(damaged("its checksum is wrong"));
    }
    let rest = content
        .strip_prefix(MAGIC)
        .ok_or_else(|| damaged("it is no checkpoint"))?;
    let (len, rest) = rest
        .split_first_chunk::<4>()
        .ok_or_else(|| damaged("it is too short"))?;
    let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
    let (position, snapshot) = rest
        .split_at_checked(len)
        .ok_or_else(|| damaged("it is too short"))?;
    Ok((snapshot, position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_and_damage_is_seen() {
        let content = encode(b"snapshot", b"position");
        assert_eq!(
            decode(&content).unwrap(),
            (&b"snapshot"[..], &b"position"[..])
        );
        for at in 0..content.len() {
            let mut damaged = content.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_err(), "byte {at}");
            assert!(decode(&content[..at]).is_err(), "cut at {at}");
        }
    }
}

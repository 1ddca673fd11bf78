//! The meta group: which streams there are, as a machine in the log.
//!
//! Separate from the streams themselves because this is what is to be, and they are what
//! is: at a start the meta group is read first, and every stream it names is started.
//!
//! Its checkpoint is one file, written anew each time, and a copy of it:
//!
//! ```text
//!   magic 8 | position length u32 | position | snapshot | crc32c of all before u32
//! ```
//!
//! Invariants: a stream is made after the meta group knows it, and its files go after the
//! meta group has noted that it was deleted; one damaged copy of a checkpoint is made good
//! from the other; if both are damaged JetStream does not start, since what they do not name
//! would be taken for deleted.

use std::io::ErrorKind;
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
use crate::wal::{self, GroupId};

const MAGIC: &[u8; 8] = b"NATMETA1";
/// The checkpoint and its copy, in the order in which they are written.
const NAMES: [&str; 2] = ["meta", "meta.copy"];
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
    #[error("start the list of streams in {directory}")]
    Group {
        /// Where it is.
        directory: PathBuf,
        /// Why not.
        #[source]
        cause: StartError,
    },
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
        let sink = {
            let (vfs, directory) = (Arc::clone(vfs), directory.to_owned());
            Box::new(move |snapshot: Vec<u8>, position: Bytes| {
                Box::new(Pending {
                    vfs: Arc::clone(&vfs),
                    directory: directory.clone(),
                    content: encode(&snapshot, &position),
                }) as Box<dyn Checkpoint>
            })
        };
        let (machine, position) = match read(&**vfs, directory)? {
            Some(content) => {
                let damaged = |what: String| MetaError::Damaged {
                    path: directory.join(NAMES[0]),
                    what,
                };
                let (snapshot, position) = decode(&content).map_err(|error| damaged(error.0))?;
                let machine = Machine::restore(snapshot, sink);
                let machine = machine.map_err(|error| damaged(error.to_string()))?;
                (machine, Some(Bytes::copy_from_slice(position)))
            }
            None => (Machine::new(sink), None),
        };
        let id = GroupId(MetaGroupId::META.0);
        let group = groups.start(id, machine, position, Storage::Disk);
        let group = group.map_err(|cause| MetaError::Group {
            directory: directory.to_owned(),
            cause,
        })?;
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

    /// Whether the group's stream was deleted, as the meta group remembers.
    pub fn is_deleted(&self, group: GroupId) -> bool {
        self.group
            .with(|machine| machine.is_deleted(MetaGroupId(group.0)))
    }

    /// Sees to it that no new stream gets this group or one below.
    ///
    /// # Errors
    /// The API's answer.
    pub async fn skip_to_behind(&self, group: GroupId) -> Result<(), ApiError> {
        let below = MetaGroupId(group.0).next();
        if self.group.with(|machine| machine.next_group()) >= below {
            return Ok(());
        }
        let outcome = self.propose(Command::SkipGroups { below }).await?;
        debug_assert_eq!(outcome, Outcome::GroupsSkipped);
        Ok(())
    }

    /// Makes a checkpoint.
    #[cfg(test)]
    pub async fn checkpoint(&self) {
        self.group.checkpoint().await.expect("a checkpoint");
    }

    /// What of the meta group's log was lost on the disk.
    pub fn damage(&self) -> Option<wal::Damage> {
        self.group.damage()
    }

    /// Notes a new stream; false beside it if it was known before.
    ///
    /// # Errors
    /// The API's answer.
    pub async fn put(&self, account: &str, config: Config) -> Result<(Assigned, bool), ApiError> {
        let command = Command::PutStream {
            account: account.to_owned(),
            config: Box::new(config),
            peers: vec![self.node],
        };
        match self.propose(command).await? {
            Outcome::Created(assignment) => Ok((assigned(assignment), true)),
            Outcome::Exists(assignment) => Ok((assigned(assignment), false)),
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
            Err(error @ ProposeError::Damaged) => {
                Err(ApiError::of(&table::STREAM_STORE_FAILED).with("{err}", error))
            }
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
    directory: PathBuf,
    content: Vec<u8>,
}

impl Checkpoint for Pending {
    fn complete(self: Box<Self>) -> Result<(), MachineError> {
        let mut names = NAMES.iter();
        let written = names.try_for_each(|name| {
            let path = self.directory.join(name);
            self.vfs
                .write_atomically(&path, &self.content, vfs::MODE_PRIVATE)?;
            self.vfs.sync_dir(&self.directory)
        });
        written.map_err(|cause| MachineError {
            what: "write the checkpoint of the meta group",
            cause: Box::new(cause),
        })
    }
}

/// The checkpoint, if there ever was one. The first copy that is whole counts: it is written
/// first, and the log has everything since the other.
fn read(vfs: &dyn Vfs, directory: &Path) -> Result<Option<Vec<u8>>, MetaError> {
    let mut whole: Option<Vec<u8>> = None;
    let mut bad = Vec::new();
    let mut damaged = None;
    for name in NAMES {
        let path = directory.join(name);
        let content = match vfs.read(&path, BYTES_MAX) {
            Ok(content) => content,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bad.push(name);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match decode(&content) {
            Ok(_) if whole.is_none() => whole = Some(content),
            Ok(_) => {}
            Err(DecodeError(what)) => {
                tracing::error!(file = %path.display(), what, "the list of streams is damaged, a copy is kept");
                let aside = directory.join("quarantine");
                vfs.create_dir_all(&aside)?;
                // What is damaged in another way gets another name.
                let sum = crc32c::crc32c(&content);
                let aside = aside.join(format!("{name}-{sum:08x}"));
                vfs.write_atomically(&aside, &content, vfs::MODE_PRIVATE)?;
                damaged = Some(MetaError::Damaged { path, what });
                bad.push(name);
            }
        }
    }
    match (&whole, damaged) {
        (None, Some(damaged)) => return Err(damaged),
        (Some(content), _) if !bad.is_empty() => {
            tracing::warn!("one copy of the list of streams was made good");
            for name in bad {
                vfs.write_atomically(&directory.join(name), content, vfs::MODE_PRIVATE)?;
            }
            vfs.sync_dir(directory)?;
        }
        _ => {}
    }
    Ok(whole)
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

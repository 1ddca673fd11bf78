//! One write-ahead log for all groups of a server.
//!
//! Separate because an acknowledgement needs a sync, and a thousand groups must not need a
//! thousand syncs: what all of them write while one sync is under way goes to the disk with
//! the next one.
//!
//! ```text
//!   write ──► index (readable) ──► queue ──► writer thread: one buffer, one write, one sync
//!                                                 └──► `done` of everything in it, in order
//! ```
//!
//! Guarantees:
//! * FIFO: what is on the disk after a crash is a prefix of what was written, over all groups.
//! * Readable when [`Wal::write`] returns; durable when `done` is called with `Ok`.
//! * What was taken over is written: room for it was reserved before. So [`Error::NoSpace`]
//!   comes from [`Wal::write`] only, and then nothing changed.
//! * A write or sync that fails ends the process through [`Options::on_fatal`].
//! * What [`Wal::open`] reports is durable. What it cannot read is reported, copied aside
//!   and never taken for absent.
//!
//! Absent: no runtime, no Raft: votes and payloads are opaque bytes; no linger: an idle log
//! writes at once.

pub mod error;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::vfs::Vfs;
use crate::wal::error::Error;

/// A Raft group, of this server's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of an entry: who led when it was made, and its place. Ordered as Raft orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The leader's term.
    pub term: u64,
    /// The leader's node id.
    pub node: u64,
    /// The place in the group's log.
    pub index: u64,
}

/// One change of a group's log. All of it is on the disk, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Entries behind the last one. The first entry of an empty log may have any index.
    Append {
        /// The group.
        group: GroupId,
        /// Consecutive entries.
        entries: Vec<(LogId, Bytes)>,
    },
    /// The group's vote, in place of the one before.
    Vote {
        /// The group.
        group: GroupId,
        /// Opaque here.
        vote: Bytes,
    },
    /// Removes the entries behind `index`; all of them if there is none.
    TruncateAfter {
        /// The group.
        group: GroupId,
        /// The last entry that stays.
        index: Option<u64>,
    },
    /// Removes the entries up to and including this one; they may end before it.
    Purge {
        /// The group.
        group: GroupId,
        /// The last entry that goes.
        up_to: LogId,
    },
    /// How far the group's entries are known to be committed.
    Committed {
        /// The group.
        group: GroupId,
        /// The last committed entry.
        log_id: Option<LogId>,
    },
    /// Forgets the group.
    DropGroup {
        /// The group.
        group: GroupId,
    },
    /// Somebody takes the group's damage for settled: what lies behind the first lost entry
    /// is cut off, and the group is no longer reported as damaged.
    AcceptDamage {
        /// The group.
        group: GroupId,
    },
}

/// Called on the writer thread once the write is durable; must be quick.
pub type Done = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// What the log knows of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupState {
    /// The last vote.
    pub vote: Option<Bytes>,
    /// The last known commit.
    pub committed: Option<LogId>,
    /// The last purged entry.
    pub purged: Option<LogId>,
    /// The first entry there is.
    pub first: Option<u64>,
    /// The last entry; the last purged one if there is no other.
    pub last: Option<LogId>,
    /// What of the group was lost, until [`Write::AcceptDamage`].
    pub damage: Option<Damage>,
}

/// What of a group was lost on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Entries that were in what is lost: from the first to the last index.
    pub entries: Option<(u64, u64)>,
    /// A vote may be lost: the group may have promised more than [`GroupState::vote`] says.
    pub vote: bool,
    /// Nobody can say what is lost: anything may be, also behind the last entry.
    pub unknown: bool,
}

/// How a log is run.
#[derive(Clone)]
pub struct Options {
    /// The size of a segment file; whole pages of 4 KiB, at least four.
    pub segment_bytes: u64,
    /// What may wait for the writer; a [`Wal::write`] beyond it waits.
    pub queue_bytes_max: usize,
    /// What one sync covers.
    pub batch_bytes_max: usize,
    /// The payloads kept in memory, for all groups together.
    pub cache_bytes_max: usize,
    /// A group with no more than this is written anew when it alone holds an old segment.
    pub rewrite_bytes_max: usize,
    /// What is done when a write or sync failed: does not return in production.
    pub on_fatal: Arc<dyn Fn(&Error) + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            segment_bytes: 64 << 20,
            queue_bytes_max: 32 << 20,
            batch_bytes_max: 8 << 20,
            cache_bytes_max: 64 << 20,
            rewrite_bytes_max: 64 << 10,
            on_fatal: Arc::new(|err| {
                tracing::error!(%err, "write-ahead log: the disk failed, the process ends");
                std::process::abort();
            }),
        }
    }
}

/// What [`Wal::open`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The log was not closed: its last batch was written anew before this report.
    pub unclean: bool,
    /// A batch at the end whose sync never finished was cut off: nobody was told of it.
    pub torn: bool,
    /// Groups of which something is lost, with what; also from earlier starts.
    pub damaged: Vec<(GroupId, Damage)>,
    /// Nobody can say which groups lost something: every group of this log may have.
    pub damage_unknown: bool,
    /// Copies of the files in which damage was found at this start.
    pub quarantined: Vec<PathBuf>,
    /// Batches read.
    pub batches: u64,
}

/// The log. Cheap to clone.
#[derive(Clone)]
pub struct Wal {}

impl Wal {
    /// Opens the log in `dir`, makes it if there is none, and starts its writer.
    ///
    /// # Errors
    /// When the disk refuses. Damage is no error but reported.
    pub fn open(
        _vfs: Arc<dyn Vfs>,
        _dir: PathBuf,
        _options: Options,
    ) -> Result<(Wal, RecoveryReport), Error> {
        todo!()
    }

    /// Takes a write over: its effect is readable at return, and durable when `done` is
    /// called, on the writer thread. A [`Write::Committed`] or [`Write::Purge`] without
    /// `done` waits for the next batch and causes no sync of its own. Waits while the queue
    /// is full, but never on the writer thread.
    ///
    /// # Errors
    /// Nothing changed, and `done` is not called, if there is no room on the disk, the write
    /// is too large or out of order, or the log is closed.
    pub fn write(&self, _write: Write, _done: Option<Done>) -> Result<(), Error> {
        todo!()
    }

    /// The entries of the range that there are, from its start on, until they are
    /// `bytes_max` together; at least one. From memory, or from the disk.
    ///
    /// # Errors
    /// When the disk refuses or an entry is damaged.
    pub fn entries(
        &self,
        _group: GroupId,
        _range: Range<u64>,
        _bytes_max: usize,
    ) -> Result<Vec<(LogId, Bytes)>, Error> {
        todo!()
    }

    /// The name of an entry, from memory; of the last purged one too.
    pub fn log_id(&self, _group: GroupId, _index: u64) -> Option<LogId> {
        todo!()
    }

    /// What is known of a group; nothing of a group that never wrote.
    pub fn state(&self, _group: GroupId) -> GroupState {
        todo!()
    }

    /// The groups that ever wrote and were not dropped, in order.
    pub fn groups(&self) -> Vec<GroupId> {
        todo!()
    }

    /// Who holds old segments, most first: these should be checkpointed and purged.
    pub fn pinned_by(&self) -> Vec<(GroupId, u64)> {
        todo!()
    }

    /// Writes what waits, marks the log as closed in good order and ends the writer. Other
    /// handles get [`Error::Closed`] from then on. Dropping the last handle does the same.
    pub fn close(self) {
        todo!()
    }
}

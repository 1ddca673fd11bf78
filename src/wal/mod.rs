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

pub mod batch;
pub mod chain;
pub mod error;
pub mod identity;
pub mod idle;
pub mod index;
pub mod page;
pub mod purge;
pub mod reader;
pub mod record;
pub mod recovery;
pub mod room;
pub mod scan;
pub mod segment;
pub mod tail;
pub mod writer;

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::tasks::Thread;
use crate::vfs::{self, Vfs};
use crate::wal::error::Error;
use crate::wal::reader::Reader;
use crate::wal::room::Room;
use crate::wal::segment::Linker;
use crate::wal::writer::{Queued, Shared, State, Writer};

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

impl Write {
    /// Whose it is.
    pub const fn group(&self) -> GroupId {
        match self {
            Write::Append { group, .. }
            | Write::Vote { group, .. }
            | Write::TruncateAfter { group, .. }
            | Write::Purge { group, .. }
            | Write::Committed { group, .. }
            | Write::DropGroup { group }
            | Write::AcceptDamage { group } => *group,
        }
    }
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
    /// Where copies of damaged files go; `quarantine` in the log's directory if none.
    pub quarantine: Option<PathBuf>,
    /// What is done when a write or sync failed: does not return in production.
    pub on_fatal: Arc<dyn Fn(&Error) + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            segment_bytes: 64 << 20,
            queue_bytes_max: 32 << 20,
            // More would be written while nobody applies what is written already.
            batch_bytes_max: 2 << 20,
            cache_bytes_max: 16 << 20,
            rewrite_bytes_max: 64 << 10,
            quarantine: None,
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

/// Where a payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lies {
    /// The segment's number.
    pub segment: u64,
    /// Its first byte in the file; see [`page::content_after`] for the others.
    pub offset: u64,
    /// Its bytes.
    pub len: u32,
}

/// The log. Cheap to clone.
#[derive(Clone)]
pub struct Wal {
    owner: Arc<Owner>,
}

impl Wal {
    /// Opens the log in `dir`, makes it if there is none, and starts its writer.
    ///
    /// # Errors
    /// When the disk refuses. Damage is no error but reported.
    pub fn open(
        vfs: Arc<dyn Vfs>,
        dir: PathBuf,
        options: Options,
    ) -> Result<(Wal, RecoveryReport), Error> {
        let segment_bytes = segment::usable_bytes(options.segment_bytes);
        let recovered = recovery::recover(&vfs, &dir, &options)?;
        let mut started = recovery::start(vfs, dir, segment_bytes, recovered, &options)?;
        // One segment is ready before anybody writes: a full disk shows at once.
        while started.pool.ready.is_empty() {
            match started.pool.step() {
                Err(Error::NoSpace) => break,
                step => step?,
            };
        }
        let slack = batch::slack(segment_bytes);
        let left = match started.position.segment {
            // An earlier start may have made larger ones.
            Some(_) => segment_bytes.saturating_sub(started.position.offset),
            None => 0,
        };
        let ready = started.pool.ready.len();
        let linker = started.pool.linker();
        let state = State {
            index: started.index,
            queue: VecDeque::new(),
            queue_bytes: 0,
            urgent: 0,
            left: false,
            flush: false,
            awake: false,
            writing: None,
            pace: idle::Pace::default(),
            planned: Room::new(left, ready, segment_bytes, slack),
            no_space: ready == 0,
            wanted: false,
            next_ticket: 1,
            segments: started.segments,
            closing: false,
            closed: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            room: Condvar::new(),
            options,
        });
        let writer = Writer::new(
            Arc::clone(&shared),
            started.pool,
            started.position,
            started.reclaim,
            started.encoder,
        );
        let writer = Arc::new(Mutex::new(writer));
        let thread = {
            let (shared, writer) = (Arc::clone(&shared), Arc::clone(&writer));
            Thread::start("wal", move || writer::run(&shared, &writer))
        };
        let thread = thread.map_err(|cause| vfs::Error::new("start", "wal".as_ref(), cause))?;
        let owner = Arc::new(Owner {
            shared,
            writer,
            thread: Mutex::new(Some(thread)),
            linker,
        });
        Ok((Wal { owner }, started.report))
    }

    /// Takes a write over: its effect is readable at return, and durable when `done` is
    /// called, on the thread that writes the batch. A [`Write::Committed`] or [`Write::Purge`] without
    /// `done` waits for the next batch and causes no sync of its own.
    ///
    /// Blocks while the queue is full, for a sync or two; never where `done` is called.
    ///
    /// # Errors
    /// Nothing changed, and `done` is not called, if there is no room on the disk, the write
    /// is too large or out of order, or the log is closed.
    pub fn write(&self, write: Write, done: Option<Done>) -> Result<(), Error> {
        let shared = &self.owner.shared;
        let cost = batch::cost(&write);
        let bytes = record::footprint(batch::charge(&write));
        let mut state = shared.state.lock();
        loop {
            if state.closing || state.closed {
                return Err(Error::Closed);
            }
            state.index.check(&write)?;
            let bytes_max = state.planned.write_bytes_max();
            if bytes > bytes_max || cost > u32::MAX as usize {
                return Err(Error::TooLarge { bytes, bytes_max });
            }
            let full = state.queue_bytes + cost > shared.options.queue_bytes_max
                || state.queue.len() >= writer::QUEUE_WRITES_MAX;
            if full && !state.queue.is_empty() && !state.is_writer() {
                state.flush = true;
            } else {
                let reserve = match write {
                    Write::Append { .. } => state.planned.reserve(),
                    _ => 0,
                };
                if let Some(room) = state.planned.place(bytes, reserve) {
                    state.planned = room;
                    break;
                }
                let no_space = state.no_space;
                state.wanted = true;
                state.flush = true;
                if no_space || state.is_writer() {
                    shared.wake(&mut state);
                    return Err(Error::NoSpace);
                }
            }
            shared.wake(&mut state);
            shared.room.wait(&mut state);
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.index.take(&write, ticket);
        state.queue_bytes += cost;
        if !writer::is_lazy(&write, done.as_ref()) {
            state.urgent += 1;
            state.left = idle::leave(shared, &state);
            if !state.left {
                shared.wake(&mut state);
            }
        }
        let queued = Queued {
            write,
            done,
            ticket,
        };
        state.queue.push_back(queued);
        Ok(())
    }

    /// The entries of the range that there are, from its start on, until they are
    /// `bytes_max` together; at least one. From memory, or from the disk. A range that
    /// begins before the first entry yields from the first one on.
    ///
    /// # Errors
    /// When the disk refuses or the first entry is damaged.
    pub fn entries(
        &self,
        group: GroupId,
        range: Range<u64>,
        bytes_max: usize,
    ) -> Result<Vec<(LogId, Bytes)>, Error> {
        let shared = &self.owner.shared;
        loop {
            let (found, files) = {
                let state = shared.state.lock();
                let found = state.index.find(group, range.clone(), bytes_max);
                let is_cached = found.iter().all(|found| found.payload.is_some());
                let files = (!is_cached).then(|| state.segments.clone());
                (found, files.unwrap_or_default())
            };
            let mut reader: Option<Reader> = None;
            let mut entries = Vec::with_capacity(found.len());
            let mut changed = None;
            for found in found {
                match purge::payload(group, &found, &mut reader, |number| {
                    files.get(&number).cloned()
                }) {
                    Ok(payload) => entries.push((found.id, payload)),
                    Err(Error::Damaged { .. }) => {
                        changed = Some(found);
                        break;
                    }
                    Err(err) => return Err(err),
                }
            }
            let Some(found) = changed else {
                return Ok(entries);
            };
            if !entries.is_empty() {
                return Ok(entries);
            }
            // Either rot, or the entry moved or went while nobody held the lock.
            let index = found.id.index;
            let state = shared.state.lock();
            let now = state.index.find(group, index..index + 1, 0);
            if now.first().is_some_and(|now| now.slot == found.slot) {
                return Err(Error::Damaged { group, index });
            }
        }
    }

    /// Nobody is expected to read the entries of the group up to `last` again: those that are
    /// written need not be in memory any more.
    pub fn release(&self, group: GroupId, last: u64) {
        self.owner.shared.state.lock().index.release(group, last);
    }

    /// Where the payload of an entry lies, once it was written. It may be written elsewhere
    /// later; what lies here stays until the segment goes.
    pub fn place(&self, group: GroupId, index: u64) -> Option<Lies> {
        let state = self.owner.shared.state.lock();
        state.index.place(group, index)
    }

    /// Gives a segment a second name, under which it stays as it is when the log is done
    /// with it. Durable when the directory of that name is synced.
    ///
    /// # Errors
    /// See [`segment::Linker::link`].
    pub fn link(&self, segment: u64, to: &Path) -> Result<(), vfs::Error> {
        self.owner.linker.link(segment, to)
    }

    /// The bytes of a segment.
    pub fn segment_bytes(&self) -> u64 {
        segment::usable_bytes(self.owner.shared.options.segment_bytes)
    }

    /// The name of an entry, from memory; of the last purged one too.
    pub fn log_id(&self, group: GroupId, index: u64) -> Option<LogId> {
        self.owner.shared.state.lock().index.log_id(group, index)
    }

    /// What is known of a group; nothing of a group that never wrote.
    pub fn state(&self, group: GroupId) -> GroupState {
        self.owner.shared.state.lock().index.state(group)
    }

    /// The groups that ever wrote and were not dropped, in order.
    pub fn groups(&self) -> Vec<GroupId> {
        self.owner.shared.state.lock().index.groups()
    }

    /// What one write may take on the disk.
    pub fn write_bytes_max(&self) -> u64 {
        self.owner.shared.state.lock().planned.write_bytes_max()
    }

    /// The segments that hold something, the one being filled among them.
    pub fn segments(&self) -> usize {
        self.owner.shared.state.lock().segments.len()
    }

    /// Who holds old segments, and how many, most first: these should be checkpointed and
    /// purged.
    pub fn pinned_by(&self) -> Vec<(GroupId, u64)> {
        let state = self.owner.shared.state.lock();
        let held = |from: u64| state.segments.range(from..).count().saturating_sub(1) as u64;
        let pinned = state.index.pinned();
        let pinned = pinned.map(|(group, segment)| (group, held(segment)));
        pinned.take_while(|(_, held)| *held > 0).collect()
    }

    /// Writes what waits, marks the log as closed in good order and ends the writer. Other
    /// handles get [`Error::Closed`] from then on. Dropping the last handle does the same.
    pub fn close(self) {
        self.owner.close();
    }
}

/// Ends the writer with the last handle.
struct Owner {
    shared: Arc<Shared>,
    writer: Arc<Mutex<Writer>>,
    thread: Mutex<Option<Thread>>,
    linker: Linker,
}

impl Owner {
    fn close(&self) {
        let is_writer = {
            let mut state = self.shared.state.lock();
            state.closing = true;
            self.shared.wake(&mut state);
            state.is_writer()
        };
        let thread = self.thread.lock().take();
        // Where `done` is called the log's thread ends by itself: it may wait for the caller.
        if let Some(thread) = thread.filter(|_| !is_writer) {
            thread.join();
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

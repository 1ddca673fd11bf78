//! A group's log as openraft wants it, over the server's WAL or in memory.
//!
//! Separate from both because openraft's rules (readable at return, durable at callback,
//! votes and entries in one order) are about one group, while the WAL serves all.
//!
//! ```text
//!   openraft ── append, save_vote, .. ──► LogStore ── Write ──► Wal | MemoryLog
//!            ◄── IOFlushed ────────────────────────── done ──────┘ (writer thread)
//! ```
//!
//! Invariants: every write goes through the one FIFO below, so a vote and the entries
//! after it reach the disk in this order; a full disk is never an error of the storage,
//! which would end the group: `append` waits for room, and [`Space`] says so to proposers;
//! what one call brings goes to the disk in pieces that fit there;
//! a ticket is handed out once, to whoever applies.
//!
//! What is known to be committed is written ahead of a later append, and seldom: a sole
//! voter does not need it (see [`crate::raft::replay`]), others learn it anew.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{EntryPayload, RaftLogReader};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::raft::convert;
use crate::raft::memory_log::MemoryLog;
use crate::raft::space::Space;
use crate::raft::types::{Entry, LogId, Ticket, TypeConfig, Vote};
use crate::wal::error::Error;
use crate::wal::{self, Done, GroupId, GroupState, Wal, Write};

/// What one read for a peer takes from the log.
const READ_BYTES_MAX: usize = 1 << 20;

/// What one read of a longer range takes at a time.
const CHUNK_BYTES_MAX: usize = 8 << 20;

/// Commits between two records of how far the log is committed.
const COMMITTED_EVERY: u64 = 256;

/// What an entry takes beside its payload, and more.
const ENTRY_BYTES: u64 = 256;

/// How long an append waits before it asks again for room.
const ROOM_RETRY: Duration = Duration::from_millis(20);

/// A group's log. Cheap to clone; all clones are the same log.
#[derive(Clone)]
pub struct LogStore {
    shared: Arc<Shared>,
}

struct Shared {
    group: GroupId,
    below: Below,
    space: Arc<Space>,
    /// No longer waits for room.
    closing: AtomicBool,
    /// Bytes appended since the last purge.
    bytes: AtomicU64,
    /// The first index that is not purged; the greatest number once closed.
    purged: AtomicU64,
    /// Told of every change of it.
    purging: Notify,
    soft: Mutex<Soft>,
}

/// What is not written down, or not yet.
#[derive(Default)]
struct Soft {
    /// Of entries in the log that were not handed out to be applied, by index.
    tickets: VecDeque<(u64, Ticket)>,
    committed: Option<LogId>,
    /// The commits since `committed` was written.
    unwritten: u64,
}

/// Where the entries are.
enum Below {
    Wal(Wal),
    Memory(MemoryLog),
}

impl Below {
    fn write(&self, write: Write, done: Option<Done>) -> Result<(), Error> {
        match self {
            Below::Wal(wal) => wal.write(write, done),
            Below::Memory(log) => log.write(write, done),
        }
    }
}

impl LogStore {
    /// The log of `group` on the disk.
    pub fn on_disk(group: GroupId, wal: Wal, space: Arc<Space>) -> Self {
        LogStore::new(group, Below::Wal(wal), space)
    }

    /// See [`Wal::before_work`].
    pub fn before_work(&self) {
        if let Below::Wal(wal) = &self.shared.below {
            wal.before_work();
        }
    }

    /// An empty log in memory.
    pub fn in_memory(group: GroupId) -> Self {
        let below = Below::Memory(MemoryLog::new());
        LogStore::new(group, below, Arc::default())
    }

    fn new(group: GroupId, below: Below, space: Arc<Space>) -> Self {
        let shared = Shared {
            group,
            below,
            space,
            closing: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            purged: AtomicU64::new(0),
            purging: Notify::new(),
            soft: Mutex::default(),
        };
        LogStore {
            shared: Arc::new(shared),
        }
    }

    /// Whether a restart loses it.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.shared.below, Below::Memory(_))
    }

    /// What the disk below takes.
    pub fn space(&self) -> &Space {
        &self.shared.space
    }

    /// What one entry may have, so that it fits on the disk with all that surrounds it.
    pub fn append_bytes_max(&self) -> u64 {
        match &self.shared.below {
            Below::Wal(wal) => wal.write_bytes_max() / 16 * 15,
            Below::Memory(_) => u64::MAX,
        }
    }

    /// The bytes appended since the last purge, or since the start.
    pub fn bytes_since_purge(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Counts bytes found at the start.
    pub fn add_bytes(&self, bytes: u64) {
        self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Waits until the entry at `index` is purged in this life of the process; false if the
    /// group stops before.
    pub async fn purged(&self, index: u64) -> bool {
        let shared = &self.shared;
        loop {
            // Before the look: what changes behind it is not missed.
            let mut told = std::pin::pin!(shared.purging.notified());
            told.as_mut().enable();
            match shared.purged.load(Ordering::Acquire) {
                u64::MAX => return false,
                next if next > index => return true,
                _ => told.await,
            }
        }
    }

    fn set_purged(&self, next: u64) {
        self.shared.purged.fetch_max(next, Ordering::Release);
        self.shared.purging.notify_waiters();
    }

    /// Whoever waits gives up: the group stops.
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        self.set_purged(u64::MAX);
    }

    /// What the log knows of the group.
    pub fn state(&self) -> GroupState {
        match &self.shared.below {
            Below::Wal(wal) => wal.state(self.shared.group),
            Below::Memory(log) => log.state(),
        }
    }

    /// The vote, decoded.
    ///
    /// # Errors
    /// When the stored bytes are no vote.
    pub fn vote(&self) -> io::Result<Option<Vote>> {
        let vote = self.state().vote.map(convert::vote_from_bytes);
        vote.transpose().map_err(io::Error::other)
    }

    /// The first entries of the range: at least one if there is one, about `bytes_max`.
    ///
    /// # Errors
    /// When the disk refuses, or an entry is damaged or unknown to this version.
    pub fn entries(&self, range: Range<u64>, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let stored: Vec<(wal::LogId, Bytes)> = match &self.shared.below {
            Below::Wal(wal) => wal
                .entries(self.shared.group, range, bytes_max)
                .map_err(io::Error::other)?,
            Below::Memory(log) => log.entries(range, bytes_max),
        };
        let entry = |(log_id, bytes)| convert::entry_from_bytes(log_id, bytes);
        let entries: Result<Vec<Entry>, _> = stored.into_iter().map(entry).collect();
        entries.map_err(io::Error::other)
    }

    /// Writes the vote and entry that make a fresh group's only voter its leader, as far as
    /// they are missing. Whatever is appended later is durable after them.
    ///
    /// # Errors
    /// When the log does not take them; trying again is right.
    pub fn found(&self, vote: &Vote, first: &Entry) -> Result<(), Error> {
        let group = self.shared.group;
        let state = self.state();
        if state.vote.is_none() {
            let vote = convert::vote_to_bytes(vote);
            self.shared.below.write(Write::Vote { group, vote }, None)?;
        }
        if state.last.is_none() {
            let log_id = convert::log_id_to_wal(&first.log_id);
            let entries = vec![(log_id, convert::payload_to_bytes(first))];
            let append = Write::Append { group, entries };
            self.shared.below.write(append, None)?;
        }
        Ok(())
    }

    /// Lets go of what is in a checkpoint, if the log still has any of it. Before openraft
    /// runs: it must not lose entries that it knows of.
    pub fn let_go(&self, applied: &LogId) {
        let group = self.shared.group;
        let state = self.state();
        let has_some = state.first.is_some_and(|first| first <= applied.index);
        if !has_some || state.damage.is_some() {
            return;
        }
        let up_to = convert::log_id_to_wal(applied);
        // Costs room only; the next start tries again.
        if let Err(err) = self.shared.below.write(Write::Purge { group, up_to }, None) {
            tracing::warn!(%group, %err, "the log keeps what is in a checkpoint");
        }
    }

    /// Takes what is lost for settled; returns when that is durable.
    ///
    /// # Errors
    /// When the log does not take it down.
    pub async fn accept_damage(&self) -> io::Result<()> {
        let group = self.shared.group;
        self.write_durably(Write::AcceptDamage { group }).await
    }

    /// Records how far the log is committed.
    #[cfg(test)]
    pub fn write_committed(&self, committed: Option<LogId>) {
        let write = Write::Committed {
            group: self.shared.group,
            log_id: committed.as_ref().map(convert::log_id_to_wal),
        };
        self.shared.below.write(write, None).expect("room");
    }

    /// All entries of the range, whatever their size.
    fn all_entries(&self, mut range: Range<u64>) -> io::Result<Vec<Entry>> {
        let mut entries = self.entries(range.clone(), CHUNK_BYTES_MAX)?;
        while let Some(last) = entries.last().map(|entry| entry.log_id.index) {
            range.start = last + 1;
            if range.is_empty() {
                break;
            }
            let more = self.entries(range.clone(), CHUNK_BYTES_MAX)?;
            if more.is_empty() {
                break;
            }
            entries.extend(more);
        }
        Ok(entries)
    }

    fn range_of(&self, range: &impl RangeBounds<u64>) -> Range<u64> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => self.state().last.map_or(0, |last| last.index + 1),
        };
        start..end.max(start)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    /// Read by whoever applies: hands out the tickets. In a group of one nobody else reads
    /// what was written, so that memory is used again for the next entries while it is still
    /// in the processor's cache.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + Send + use<'_, RB>
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        let entries = match self.all_entries(self.range_of(&range)) {
            Ok(entries) => entries,
            Err(err) => return stream::iter(vec![Err(err)]),
        };
        if let (Below::Wal(wal), Some(last)) = (&self.shared.below, entries.last()) {
            wal.release(self.shared.group, last.log_id.index);
        }
        let mut soft = self.shared.soft.lock();
        let with_ticket = |mut entry: Entry| {
            if let EntryPayload::Normal(batch) = &mut entry.payload {
                batch.ticket = soft.take_ticket(entry.log_id.index);
            }
            Ok(entry)
        };
        let entries: Vec<io::Result<Entry>> = entries.into_iter().map(with_ticket).collect();
        stream::iter(entries)
    }

    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        self.all_entries(self.range_of(&range))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.entries(start..end, READ_BYTES_MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.vote()
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let state = self.state();
        Ok(LogState {
            last_purged_log_id: state.purged.map(convert::log_id_from_wal),
            last_log_id: state.last.map(convert::log_id_from_wal),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let write = Write::Vote {
            group: self.shared.group,
            vote: convert::vote_to_bytes(vote),
        };
        self.write_durably(write).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let mut soft = self.shared.soft.lock();
        soft.committed = committed;
        soft.unwritten += 1;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        let known = self.shared.soft.lock().committed;
        let written = self.state().committed.map(convert::log_id_from_wal);
        Ok(known.max(written))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let group = self.shared.group;
        let mut stored = Vec::new();
        let mut bytes = 0;
        let committed = {
            let mut soft = self.shared.soft.lock();
            for entry in entries {
                if let EntryPayload::Normal(batch) = &entry.payload
                    && let Some(ticket) = batch.ticket
                {
                    soft.tickets.push_back((entry.log_id.index, ticket));
                }
                let payload = convert::payload_to_bytes(&entry);
                bytes += payload.len() as u64;
                stored.push((convert::log_id_to_wal(&entry.log_id), payload));
            }
            soft.committed_to_write()
        };
        if let Some(committed) = committed {
            let log_id = Some(convert::log_id_to_wal(&committed));
            let write = Write::Committed { group, log_id };
            self.write_when_there_is_room(write, None).await?;
        }
        self.add_bytes(bytes);
        let done: Done =
            Box::new(move |result| callback.io_completed(result.map_err(io::Error::other)));
        let mut done = Some(done);
        let mut pieces = pieces(stored, self.append_bytes_max())
            .into_iter()
            .peekable();
        while let Some(entries) = pieces.next() {
            let write = Write::Append { group, entries };
            // They become durable in this order: the last one speaks for all.
            let done = done.take_if(|_| pieces.peek().is_none());
            self.write_when_there_is_room(write, done).await?;
        }
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let index = last.map(|last| last.index);
        let gone = |at: u64| index.is_none_or(|index| at > index);
        self.shared.soft.lock().tickets.retain(|(at, _)| !gone(*at));
        let group = self.shared.group;
        self.write_when_there_is_room(Write::TruncateAfter { group, index }, None)
            .await
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        let write = Write::Purge {
            group: self.shared.group,
            up_to: convert::log_id_to_wal(&log_id),
        };
        self.shared.bytes.store(0, Ordering::Relaxed);
        self.write_when_there_is_room(write, None).await?;
        self.set_purged(log_id.index + 1);
        Ok(())
    }
}

/// Entries in runs of at most `bytes_max`, each of at least one entry; one run if there is none.
fn pieces(entries: Vec<(wal::LogId, Bytes)>, bytes_max: u64) -> Vec<Vec<(wal::LogId, Bytes)>> {
    let mut pieces = vec![Vec::new()];
    let mut bytes = 0;
    for (id, payload) in entries {
        let more = ENTRY_BYTES + payload.len() as u64;
        let is_empty = pieces.last().is_none_or(Vec::is_empty);
        if bytes + more > bytes_max && !is_empty {
            pieces.push(Vec::new());
            bytes = 0;
        }
        bytes += more;
        if let Some(last) = pieces.last_mut() {
            last.push((id, payload));
        }
    }
    pieces
}

impl LogStore {
    async fn write_durably(&self, write: Write) -> io::Result<()> {
        let (tell, told) = oneshot::channel();
        let done = Box::new(move |result| {
            let _ = tell.send(result);
        });
        self.write_when_there_is_room(write, Some(done)).await?;
        let result = told.await.unwrap_or(Err(Error::Closed));
        result.map_err(io::Error::other)
    }

    /// Writes, and waits as long as the disk is full.
    async fn write_when_there_is_room(&self, write: Write, done: Option<Done>) -> io::Result<()> {
        let Below::Wal(wal) = &self.shared.below else {
            let written = self.shared.below.write(write, done);
            return written.map_err(io::Error::other);
        };
        // A refused write drops what it was given: the callback stays here until it is done.
        let done = Arc::new(Mutex::new(done));
        let mut waiting = None;
        loop {
            let again = Arc::clone(&done);
            let call: Done = Box::new(move |result| {
                if let Some(done) = again.lock().take() {
                    done(result);
                }
            });
            let has_callback = done.lock().is_some();
            match wal.write(write.clone(), has_callback.then_some(call)) {
                Err(Error::NoSpace) if !self.shared.closing.load(Ordering::Relaxed) => {
                    if waiting.is_none() {
                        waiting = Some(self.shared.space.wait());
                    }
                    tokio::time::sleep(ROOM_RETRY).await;
                }
                written => return written.map_err(io::Error::other),
            }
        }
    }
}

impl Soft {
    fn take_ticket(&mut self, index: u64) -> Option<Ticket> {
        while let Some((at, ticket)) = self.tickets.front().copied() {
            if at > index {
                return None;
            }
            self.tickets.pop_front();
            if at == index {
                return Some(ticket);
            }
        }
        None
    }

    /// How far the log is committed, if that should be written now.
    fn committed_to_write(&mut self) -> Option<LogId> {
        if self.unwritten < COMMITTED_EVERY {
            return None;
        }
        self.unwritten = 0;
        self.committed
    }
}

#[cfg(test)]
mod tests;

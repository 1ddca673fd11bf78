//! The file store: the messages of one stream in block files.
//!
//! Separate from the log: the log makes a message durable, this keeps it. A message is
//! appended to a buffer and reaches its file when the buffer is full; only a checkpoint
//! waits for the disk.
//!
//! ```text
//!   append ─► buffer ─► block-…-0   block-…-0   block-…-1   one directory per stream
//!                            └ sealed ┘            └ written anew without what was erased
//!   checkpoint ─► manifest-N: blocks and their lengths, what is deleted, the machine
//!   open ─► the last manifest; blocks are cut back to it; the log is applied from there
//! ```
//! The files: `format` is bytes, `block` one block, `reader` windows onto files,
//! `manifest` what a checkpoint knows, `checkpoint` how it becomes durable, `recovery`
//! how it comes back, `compaction` writes blocks anew, `damage` deals with what is not as
//! it was written, `scrub` looks for it. Large payloads may stay where the log wrote them:
//! `from_log` says where that is, `stitched` makes one file of it again; `writing` brings
//! what was appended to its files.
//!
//! Invariants: no byte of a file that a durable manifest names changes, files of the last
//! block only grow; a file goes only when neither of the last two manifests names it (but
//! for erased messages: with the next durable one); blocks end at the same message on
//! every replica; nothing damaged is deleted or served. Absent: limits, threads, time.

pub mod block;
pub mod checkpoint;
pub mod compaction;
pub mod damage;
pub mod format;
pub mod from_log;
pub mod manifest;
pub mod pending;
mod putting;
pub mod reader;
mod recent;
pub mod recovery;
mod scan;
pub mod scrub;
pub mod stitched;
mod writing;

use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::sequence_set::SequenceSet;
use crate::state_machine::Checkpoint;
use crate::store::damage::{Check, Checked, Damage};
use crate::store::error::Error;
use crate::store::ledger::Ledger;
use crate::store::message::{Message, MessageRef, Seq};
use crate::store::search;
use crate::store::subjects::Subjects;
use crate::store::{LastError, MsgStore, Removed, State, SubjectState};
use crate::subject::filters::Filters;
use crate::vfs::{self, File, Vfs};
use crate::wal::{GroupId, Wal};
use block::{Block, Hasher};
use checkpoint::{Dirty, Retired, Shared};
use from_log::FromLog;
use pending::Pending;
use reader::{Go, Reader, Source, Walked};
use recent::Recent;

/// How a file store works; the same on every replica.
#[derive(Clone, Debug)]
pub struct Options {
    /// A block takes no more messages than fit into so many bytes.
    pub block_bytes: u64,
    /// What is appended is written to its file when it is so much.
    pub buffer_bytes: usize,
    /// A block is written anew to save room only if it gains so much.
    pub gain_bytes_min: u64,
    /// The figures of subjects get a file of their own when they are more than this.
    pub inline_bytes_max: usize,
    /// Payloads with so many bytes may stay where the log wrote them,
    pub kept_bytes_min: usize,
    /// if so much of the log's last segment, in hundredths, was of this stream.
    pub kept_percent_min: u64,
    /// Of these messages so much is left waiting to be put into a block, so that whoever reads
    /// soon finds it in memory.
    pub pending_bytes: usize,
    /// Where damaged files are copied to.
    pub quarantine: PathBuf,
}

impl Options {
    /// The usual sizes.
    pub fn new(quarantine: PathBuf) -> Self {
        Options {
            block_bytes: 8 << 20,
            buffer_bytes: 128 << 10,
            gain_bytes_min: 64 << 10,
            inline_bytes_max: 64 << 10,
            kept_bytes_min: 512,
            kept_percent_min: 50,
            pending_bytes: 1 << 20,
            quarantine,
        }
    }
}

/// How the store's files are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Block files.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these, bytes of messages that are gone.
    pub dead_bytes: u64,
    /// Messages that should be there but cannot be read.
    pub lost: u64,
    /// Damaged block files that were found.
    pub damaged_blocks: u64,
    /// Damaged manifests that were found.
    pub damaged_manifests: u64,
    /// The store came back in the state of an older checkpoint than there was.
    pub fell_back: bool,
    /// The figures of subjects had to be computed again.
    pub subjects_rebuilt: bool,
    /// Files in the directory that are not of this store; they stay.
    pub unknown_files: u64,
}

/// The messages of one stream in block files.
pub struct FileStore {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    options: Options,
    ledger: Ledger,
    subjects: Subjects,
    /// Ascending; the last one is appended to unless it is sealed.
    blocks: VecDeque<Block>,
    /// Behind the last block.
    pending: Pending,
    /// The end of the last block that is not in its file yet.
    buffer: Vec<u8>,
    /// Of what the last block's file holds; none if that was not all written from here.
    hasher: Option<Box<Hasher>>,
    /// Sealed blocks may have an end that is not in their file yet.
    holds_blocks: bool,
    /// The log that has what is appended; none: all is written here.
    log: Option<FromLog>,
    reader: Reader,
    recent: Recent,
    /// Where the message behind the one read last is.
    cursor: Cursor,
    /// Messages in the ledger that cannot be read.
    lost: SequenceSet,
    /// The last checkpoint begun.
    number: u64,
    /// Files written since the last durable checkpoint.
    dirty: Vec<Dirty>,
    /// Files this store uses no more.
    retired: Vec<Retired>,
    shared: Arc<Shared>,
    /// The directory is made when there is something to write: most streams that are made
    /// at once are empty for a while.
    has_directory: bool,
    has_manifest: bool,
    /// Names of files that were found damaged.
    damaged: BTreeSet<String>,
    health: Health,
    /// Behind the block that was scrubbed last.
    scrubbed: Seq,
    /// Block files open for reading, at most.
    open_files: usize,
}

/// A place behind which the sequences from `seq` on are, in one generation of a block.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    base: Seq,
    generation: u64,
    seq: Seq,
    offset: u64,
}

/// So many times of [`Options::pending_bytes`] may wait, with all that their entries hold.
const PENDING_TIMES_MAX: usize = 4;
/// Block files that stay open at once.
const OPEN_FILES_MAX: usize = 64;

impl FileStore {
    /// How the store's files are.
    pub fn health(&self) -> Health {
        let facts = self.blocks.iter().map(|block| &block.facts);
        Health {
            blocks: self.blocks.len() as u64,
            bytes: facts.clone().map(|facts| facts.len).sum(),
            dead_bytes: facts.map(|facts| facts.dead_bytes).sum(),
            lost: self.lost.len(),
            damaged_blocks: self.damaged.len() as u64,
            ..self.health
        }
    }

    /// What is appended from now on comes out of this log, under this name.
    pub fn comes_from(&mut self, wal: Wal, group: GroupId) {
        self.log = Some(FromLog::new(wal, group, &self.options));
    }

    /// Lets go of sealed blocks without messages.
    fn drop_empty_blocks(&mut self) {
        let has_empty = |block: &Block| block.facts.live == 0 && block.facts.is_sealed;
        if !self.blocks.iter().any(has_empty) {
            return;
        }
        for block in std::mem::take(&mut self.blocks) {
            if has_empty(&block) {
                self.retire(&block);
            } else {
                self.blocks.push_back(block);
            }
        }
    }

    /// Lets go of one sealed block if it has no messages.
    fn drop_if_empty(&mut self, at: usize) {
        let facts = &self.blocks[at].facts;
        if facts.live == 0
            && facts.is_sealed
            && let Some(block) = self.blocks.remove(at)
        {
            self.retire(&block);
        }
    }

    /// Takes a message off all figures but those of its block.
    fn count_out(&mut self, at: usize, subject: &[u8], seq: Seq, size: u64) -> Result<(), Error> {
        self.drop_if_empty(at);
        self.subjects.remove(subject, seq);
        match self.ledger.remove(seq, size) {
            true => self.tell_first_time(),
            false => Ok(()),
        }
    }

    fn retire(&mut self, block: &Block) {
        self.retired.push(Retired {
            name: block.name(),
            links: block.link_names().collect(),
            since: self.number + 1,
            erase: block.wants_erasing,
        });
    }

    /// The block that a message is in if it is anywhere.
    fn block_of(&self, seq: Seq) -> Option<usize> {
        let behind = self.blocks.partition_point(|block| block.facts.base <= seq);
        let at = behind.checked_sub(1)?;
        (self.blocks[at].facts.last >= seq).then_some(at)
    }

    /// Reads one message that is there.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it cannot be read.
    fn read(
        &mut self,
        seq: Seq,
        found: &mut dyn FnMut(MessageRef<'_>, usize),
    ) -> Result<(), Error> {
        self.put_all()?;
        for _ in 0..2 {
            let Some(at) = self.block_of(seq) else { break };
            self.look_through(at)?;
            self.check_lost(seq)?;
            let facts = &self.blocks[at].facts;
            let (base, generation) = (facts.base, facts.generation);
            let mut offset = self.blocks[at].offset_before(seq);
            let cursor = self.cursor;
            if cursor.base == base && cursor.generation == generation && cursor.seq <= seq {
                offset = offset.max(cursor.offset);
            }
            let mut end = offset;
            let walked = self.walk(at, offset, &mut |start, header, record| {
                if header.seq < seq {
                    return Go::On;
                }
                if header.seq > seq || !format::is_intact(record) {
                    return Go::Damaged;
                }
                found(header.message(record), record.len());
                end = start + record.len() as u64;
                Go::Stop
            })?;
            if walked == Walked::Stopped {
                self.cursor = Cursor {
                    base,
                    generation,
                    seq: seq.next(),
                    offset: end,
                };
                return Ok(());
            }
            self.blocks[at].marks = None;
            self.cursor = Cursor::default();
        }
        Err(Error::Damaged {
            first: seq,
            last: seq,
        })
    }

    /// Visits the records of a block; it must have been looked through.
    fn walk(
        &mut self,
        at: usize,
        offset: u64,
        each: &mut dyn FnMut(u64, &format::RecordHeader, &[u8]) -> Go,
    ) -> Result<Walked, Error> {
        if self.blocks[at].is_missing {
            return Ok(Walked::Whole);
        }
        let buffered = self.unwritten(at).len() as u64;
        // Opening would make a file that nothing was written to yet.
        let file = match self.blocks[at].facts.len > buffered {
            true => Some(self.file(at)?),
            false => None,
        };
        let source = Source {
            block: &self.blocks[at],
            file: file.as_deref(),
            buffer: match at + 1 == self.blocks.len() && self.blocks[at].unwritten.is_empty() {
                true => &self.buffer,
                false => &self.blocks[at].unwritten,
            },
        };
        let walked = self.reader.walk(&source, offset, each);
        walked.map_err(disk("read a block"))
    }

    /// Tells the ledger when the first message was taken.
    fn tell_first_time(&mut self) -> Result<(), Error> {
        if self.ledger.state.messages == 0 {
            return Ok(());
        }
        let mut time = None;
        let read = self.read(self.ledger.state.first_seq, &mut |message, _| {
            time = Some(message.time);
        });
        match read {
            // The time of the one before stands for one that cannot be read.
            Ok(()) | Err(Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        if let Some(time) = time {
            self.ledger.state.first_time = time;
        }
        Ok(())
    }
}

impl MsgStore for FileStore {
    fn state(&self) -> State {
        State {
            subjects: self.subjects.len(),
            ..self.ledger.state
        }
    }

    fn size_of(&self, subject: usize, headers: usize, payload: usize) -> u64 {
        size_of(subject, headers, payload)
    }

    fn append(&mut self, message: MessageRef<'_>) -> Result<(), Error> {
        let (subject, headers, payload) = (message.subject, message.headers, message.payload);
        let size = size_of(subject.len(), headers.len(), payload.len());
        let Some(len) = format::record_len(message) else {
            let cause = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
            return Err(Error::Disk {
                what: "append a message",
                cause: Box::new(cause),
            });
        };
        let place = self.log.as_mut().and_then(|log| log.place(payload));
        match place {
            Some((entry, from, place)) => self.pending.push(entry, from, message, place),
            None => {
                self.put_all()?;
                self.put(message, len, None)?;
            }
        }
        self.recent.note(message.seq, len, size);
        self.ledger.append(message.seq, message.time, size);
        self.subjects.append(subject, message.seq);
        if self.pending.held() >= PENDING_TIMES_MAX * self.options.pending_bytes {
            self.put_some()?;
        }
        self.flush_if_full()
    }

    fn is_behind(&self) -> bool {
        self.pending.bytes() >= self.options.pending_bytes
    }

    fn catch_up(&mut self) -> Result<(), Error> {
        match self.is_behind() {
            true => self.put_some(),
            false => Ok(()),
        }
    }

    fn begin_entry(&mut self, index: u64, bytes: &Bytes) -> bool {
        let log = self.log.as_mut();
        log.is_some_and(|log| log.begin(index, bytes))
    }

    fn skip_to(&mut self, last: Seq, time: Timestamp) -> Result<(), Error> {
        self.ledger.skip_to(last, time);
        Ok(())
    }

    fn remove(&mut self, seq: Seq, erase: bool) -> Result<Option<Removed>, Error> {
        if !self.ledger.contains(seq) {
            return Ok(None);
        }
        let mut removed = None;
        let read = self.read(seq, &mut |message, len| {
            let (headers, payload) = (message.headers.len(), message.payload.len());
            let bytes = size_of(message.subject.len(), headers, payload);
            let subject = Bytes::copy_from_slice(message.subject);
            removed = Some((Removed { subject, bytes }, len));
        });
        match read {
            Ok(()) => {}
            Err(Error::Damaged { .. }) => return self.remove_lost(seq).map(Some),
            Err(error) => return Err(error),
        }
        let (Some((removed, len)), Some(at)) = (removed, self.block_of(seq)) else {
            return Ok(None);
        };
        self.blocks[at].removed(len, removed.bytes, erase);
        self.count_out(at, &removed.subject, seq, removed.bytes)?;
        Ok(Some(removed))
    }

    fn remove_of(&mut self, subject: &[u8], seq: Seq) -> Result<bool, Error> {
        if !self.ledger.contains(seq) {
            return Ok(false);
        }
        self.put_all()?;
        let sizes = self.recent.get(seq).filter(|_| !self.lost.contains(seq.0));
        let (Some(sizes), Some(at)) = (sizes, self.block_of(seq)) else {
            return Ok(self.remove(seq, false)?.is_some());
        };
        let counted = u64::from(sizes.counted);
        self.blocks[at].removed(sizes.record as usize, counted, false);
        self.count_out(at, subject, seq, counted)?;
        Ok(true)
    }

    fn truncate_front(
        &mut self,
        first: Seq,
        each: &mut dyn FnMut(Seq, &[u8]),
    ) -> Result<u64, Error> {
        if first <= self.ledger.state.first_seq {
            return Ok(0);
        }
        self.put_all()?;
        let (mut messages, mut bytes) = (0, 0);
        let mut at = 0;
        while at < self.blocks.len() && self.blocks[at].facts.base < first {
            let (more, more_bytes) = self.truncate_block(at, first, each)?;
            messages += more;
            bytes += more_bytes;
            at += 1;
        }
        self.lost.remove_below(first.0);
        self.ledger.truncate_front(first, messages, bytes);
        if self.ledger.state.messages == 0 {
            self.subjects.clear();
        }
        self.drop_empty_blocks();
        self.tell_first_time()?;
        Ok(messages)
    }

    fn get(&mut self, seq: Seq) -> Result<Option<Message>, Error> {
        if !self.ledger.contains(seq) {
            return Ok(None);
        }
        let mut found = None;
        self.read(seq, &mut |message, _| found = Some(Message::from(message)))?;
        Ok(found)
    }

    /// Messages that cannot be read are passed over.
    fn scan(
        &mut self,
        from: Seq,
        filters: &Filters,
        each: &mut dyn FnMut(MessageRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let all = filters.is_all();
        self.visit(from, &mut |message| {
            if all || filters.matches(message.subject) {
                return each(message);
            }
            ControlFlow::Continue(())
        })
    }

    fn next(&mut self, from: Seq, filters: &Filters) -> Result<Option<Seq>, Error> {
        match search::next(self, from, filters)? {
            Some(seq) if self.lost.contains(seq.0) => self.next_readable(seq, filters),
            found => Ok(found),
        }
    }

    /// Also one that cannot be read: the one before it is not the last. Where nobody knows
    /// which subject such a one had, it may be the last.
    fn last(&mut self, up_to: Seq, filters: &Filters) -> Result<Option<Seq>, Error> {
        let found = search::last(self, up_to, filters)?;
        if self.lost.is_empty() || filters.is_all() {
            return Ok(found);
        }
        let figures = filters
            .only_literal()
            .map(|subject| self.subjects.get(subject));
        let is_known = match figures {
            Some(Some(figures)) => figures.last() <= up_to && !figures.last_is_bound(),
            Some(None) => true,
            None => false,
        };
        if is_known && !self.health.subjects_rebuilt {
            return Ok(found);
        }
        let end = up_to.min(self.ledger.state.last_seq).next();
        let runs = self.lost.runs_from(0);
        let lost = runs.take_while(|run| run.start < end.0).last();
        Ok(found.max(lost.map(|run| Seq(run.end.min(end.0) - 1))))
    }

    fn count(&mut self, from: Seq, filters: &Filters) -> Result<u64, Error> {
        search::count(self, from, filters)
    }

    fn first_since(&mut self, time: Timestamp) -> Result<Option<Seq>, Error> {
        self.put_all()?;
        let mut from = Seq(1);
        let later = |block: &&Block| block.facts.live > 0 && block.facts.time_max >= time;
        loop {
            let mut blocks = self.blocks.iter();
            let later = |block: &&Block| later(block) && block.facts.last >= from;
            let Some(block) = blocks.find(later) else {
                return Ok(None);
            };
            let last = block.facts.last;
            let mut found = None;
            self.visit(block.facts.base.max(from), &mut |message| {
                if message.seq <= last && message.time < time {
                    return ControlFlow::Continue(());
                }
                if message.time >= time {
                    found = Some(message.seq);
                }
                ControlFlow::Break(())
            })?;
            if found.is_some() {
                return Ok(found);
            }
            from = last.next();
        }
    }

    fn subject(&mut self, subject: &[u8]) -> Result<Option<SubjectState>, Error> {
        search::subject(self, subject)
    }

    fn subjects(
        &mut self,
        filters: &Filters,
        each: &mut dyn FnMut(&[u8], SubjectState) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        search::subjects(self, filters, each)
    }

    fn last_per_subject(
        &mut self,
        filters: &Filters,
        up_to: Seq,
        max: usize,
    ) -> Result<Vec<Seq>, LastError> {
        search::last_per_subject(self, filters, up_to, max)
    }

    fn deleted(&self, each: &mut dyn FnMut(Seq) -> ControlFlow<()>) {
        let _ = self
            .ledger
            .deleted
            .iter()
            .try_for_each(|seq| each(Seq(seq)));
    }

    fn lost(&self) -> Vec<(Seq, Seq)> {
        let runs = self.lost.runs_from(0);
        runs.map(|run| (Seq(run.start), Seq(run.end - 1))).collect()
    }

    fn damage(&self) -> Damage {
        Damage {
            lost: self.lost.len(),
            files: self.damaged.len() as u64,
        }
    }

    fn next_check(&mut self) -> Result<Option<Box<dyn Check>>, Error> {
        self.next_scrub()
    }

    fn checked(&mut self, checked: &Checked) -> Result<(), Error> {
        self.scrubbed(checked).map(|_| ())
    }

    fn checkpoint(&mut self, state: Vec<u8>) -> Result<Box<dyn Checkpoint>, Error> {
        self.begin_checkpoint(state)
    }

    fn rest(&mut self) -> Result<(), Error> {
        self.put_all()?;
        self.flush()?;
        self.pending = Pending::default();
        self.buffer.shrink_to(0);
        self.hasher = None;
        self.reader.rest();
        self.recent.rest();
        if let Some(log) = &mut self.log {
            log.give_up();
        }
        self.forget_synced();
        self.close_files();
        // A file that is still to be synced stays open: whoever syncs must hear whether it
        // was written.
        let dirty = &self.dirty;
        let is_dirty = |file: &Arc<dyn File>| dirty.iter().any(|d| Arc::ptr_eq(&d.file, file));
        if let Some(last) = self.blocks.back_mut()
            && !last.file.as_ref().is_some_and(is_dirty)
        {
            last.close();
            self.open_files = 0;
        }
        Ok(())
    }

    fn wants_checkpoint(&self) -> bool {
        self.is_retiring()
    }
}

/// What a message counts in a stream on disk (jetstream spec §2.4).
fn size_of(subject: usize, headers: usize, payload: usize) -> u64 {
    let headers = if headers == 0 { 0 } else { headers + 4 };
    (30 + subject + headers + payload) as u64
}

/// The disk did not do its part.
fn disk(what: &'static str) -> impl Fn(vfs::Error) -> Error {
    move |cause| Error::Disk {
        what,
        cause: Box::new(cause),
    }
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod kept_tests;
#[cfg(test)]
mod scribe;
#[cfg(test)]
mod tests;

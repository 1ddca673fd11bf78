//! Group commit: one thread that writes what all groups wrote meanwhile, and syncs once.
//!
//! ```text
//!   ┌► take what waits (≤ 2 MiB, what fits in the segment) ─► encode ─► write ─► sync ─┐
//!   │                                                                                  │
//!   └── a step towards the next segment ◄── what is old goes ◄── `done`, in order ◄────┘
//! ```
//!
//! Invariants: a batch begins where the one before ended and is written only when that one is
//! synced; `done` is called without any lock held; after an error of the disk nothing more
//! is written and nobody is told `Ok`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::mem;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::vfs::File;
use crate::wal::batch::{self, Directory};
use crate::wal::error::Error;
use crate::wal::index::Index;
use crate::wal::page;
use crate::wal::purge::{Reclaim, Rewrite};
use crate::wal::record::{BatchHash, Encoder, Head, Header, Kind, capacity, footprint};
use crate::wal::room::Room;
use crate::wal::segment::{Pool, Segment, Step};
use crate::wal::{Done, GroupId, Options, Write};

/// What may wait for company without a sync of its own.
const LAZY_BYTES_MAX: usize = 64 << 10;
/// Writes that may wait: the plan gives each its own pages.
pub const QUEUE_WRITES_MAX: usize = 8192;

/// What callers and the writer share.
pub struct Shared {
    /// Everything that changes.
    pub state: Mutex<State>,
    /// Tells the writer.
    pub work: Condvar,
    /// Tells those who wait for room.
    pub room: Condvar,
    /// How the log is run.
    pub options: Options,
}

/// A write on its way.
pub struct Queued {
    /// What is written.
    pub write: Write,
    /// Who wants to know.
    pub done: Option<Done>,
    /// Its number.
    pub ticket: u64,
}

/// What changes, under one short lock.
pub struct State {
    /// What there is.
    pub index: Index,
    /// What waits.
    pub queue: VecDeque<Queued>,
    /// The bytes in the queue.
    pub queue_bytes: usize,
    /// How many in the queue must not wait for company.
    pub urgent: usize,
    /// Nothing must wait for company.
    pub flush: bool,
    /// The room behind everything that waits.
    pub planned: Room,
    /// The last try to make a segment found no room.
    pub no_space: bool,
    /// Somebody wants another segment.
    pub wanted: bool,
    /// The number of the next write.
    pub next_ticket: u64,
    /// The files of the segments in use.
    pub segments: BTreeMap<u64, Arc<dyn File>>,
    /// The writer shall end.
    pub closing: bool,
    /// The writer has ended, or is about to.
    pub closed: bool,
}

/// Where the next batch goes, and what it says of the one before.
pub struct Position {
    /// The segment being filled; none before the first batch.
    pub segment: Option<Segment>,
    /// Where in it.
    pub offset: u64,
    /// The number of the next batch.
    pub seq: u64,
    /// The hash of the batch before.
    pub previous: BatchHash,
    /// Who wrote what in it.
    pub directory: Directory,
    /// It says that the log was closed.
    pub is_closed: bool,
}

/// The writer thread's own.
pub struct Writer {
    shared: Arc<Shared>,
    pool: Pool,
    position: Position,
    reclaim: Reclaim,
    encoder: Encoder,
    slack: u64,
    /// The segment of which it was noted that something is in it.
    noted: u64,
}

/// What one sync covers.
#[derive(Default)]
struct Batch {
    writes: Vec<Queued>,
    rewrites: Vec<Rewrite>,
}

impl Writer {
    /// A writer that goes on at this position.
    pub fn new(
        shared: Arc<Shared>,
        pool: Pool,
        position: Position,
        reclaim: Reclaim,
        encoder: Encoder,
    ) -> Writer {
        let slack = batch::slack(pool.segment_bytes());
        Writer {
            shared,
            pool,
            position,
            reclaim,
            encoder,
            slack,
            noted: 0,
        }
    }

    /// Runs until the log is closed or the disk fails.
    pub fn run(mut self) {
        let result = self.work();
        if let Err(err) = &result {
            (self.shared.options.on_fatal)(err);
        }
        let left = {
            let mut state = self.shared.state.lock();
            state.closed = true;
            state.queue_bytes = 0;
            mem::take(&mut state.queue)
        };
        self.shared.room.notify_all();
        for queued in left {
            if let Some(done) = queued.done {
                done(Err(Error::Closed));
            }
        }
    }

    fn work(&mut self) -> Result<(), Error> {
        loop {
            self.prepare()?;
            let Some(batch) = self.next()? else {
                return self.end();
            };
            if let Some(batch) = batch {
                self.commit(batch)?;
            }
        }
    }

    /// Does one step towards a segment if one is needed: all at once if somebody waits for
    /// it, and none of filling it while somebody waits for anything else.
    fn prepare(&mut self) -> Result<(), Error> {
        let hurry = {
            let state = self.shared.state.lock();
            let needed = self.pool.ready.is_empty() && !state.no_space && !state.closing;
            let can_wait = state.urgent > 0 && self.pool.is_filling();
            if !state.wanted && (!needed || can_wait) {
                return Ok(());
            }
            state.wanted
        };
        let step = match hurry {
            true => self.pool.hurry().map(|()| Step::Ready),
            false => self.pool.step(),
        };
        let mut state = self.shared.state.lock();
        match step {
            Ok(Step::Going) => return Ok(()),
            Ok(Step::Ready) => {
                state.no_space = false;
                state.planned.add_segment();
            }
            Err(Error::NoSpace) => {
                if !mem::replace(&mut state.no_space, true) {
                    tracing::warn!("write-ahead log: no room for another segment");
                }
            }
            Err(err) => return Err(err),
        }
        state.wanted = false;
        drop(state);
        self.shared.room.notify_all();
        Ok(())
    }

    /// Waits for something to do; `None` to end, `Some(None)` to look around again.
    fn next(&mut self) -> Result<Option<Option<Batch>>, Error> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        loop {
            self.reclaim
                .look(&mut state, self.position.segment.as_ref());
            let due = state.urgent > 0
                || !state.queue.is_empty()
                    && (state.flush || state.closing || state.queue_bytes > LAZY_BYTES_MAX)
                || self.reclaim.wants_batch(&state, self.pool.ready.is_empty());
            if due {
                let batch = self.take(&mut state)?;
                let is_empty = batch.writes.is_empty() && batch.rewrites.is_empty();
                if is_empty && !self.reclaim.must_say(&state, self.pool.ready.is_empty()) {
                    continue;
                }
                drop(state);
                shared.room.notify_all();
                return Ok(Some(Some(batch)));
            }
            state.flush = false;
            if state.closing {
                state.closed = true;
                return Ok(None);
            }
            if state.wanted || self.pool.ready.is_empty() && !state.no_space {
                return Ok(Some(None));
            }
            shared.work.wait(&mut state);
        }
    }

    /// Takes as much from the queue as fits in a batch, and plans anew.
    fn take(&mut self, state: &mut State) -> Result<Batch, Error> {
        let next = state.queue.front().map(|queued| batch::cost(&queued.write));
        let needed = next.unwrap_or(0) + self.position.directory.cost();
        if footprint(needed) > self.left() {
            self.turn_segment(state)?;
        }
        let room = capacity(self.left()).saturating_sub(self.position.directory.cost());
        let bytes_max = self.shared.options.batch_bytes_max;
        let space = Space {
            left: self.left(),
            ready: self.pool.ready.len(),
            segment: self.pool.segment_bytes(),
            slack: self.slack,
            directory: self.position.directory.cost(),
        };
        let mut batch = Batch::default();
        let mut bytes = 0;
        while let Some(queued) = state.queue.front() {
            let cost = batch::cost(&queued.write);
            let fits = bytes + cost <= room && bytes + cost <= bytes_max;
            if !fits && !batch.writes.is_empty() {
                break;
            }
            bytes += cost;
            state.queue_bytes -= cost;
            if !is_lazy(&queued.write, queued.done.as_ref()) {
                state.urgent -= 1;
            }
            batch.writes.extend(state.queue.pop_front());
        }
        let plan = |bytes| plan(&state.queue, bytes, &space);
        let mut planned = plan(bytes);
        let mut in_batch: HashMap<GroupId, u32> = HashMap::new();
        if self.reclaim.has_rewrites() {
            for queued in &batch.writes {
                *in_batch.entry(queued.write.group()).or_default() += 1;
            }
        }
        while let Some(rewrite) = self.reclaim.next_rewrite(&state.index, &in_batch) {
            let more = bytes + rewrite.cost();
            let fits = more <= room && more <= bytes_max.max(rewrite.cost());
            let Some(room) = plan(more).filter(|_| fits) else {
                self.reclaim.postpone(rewrite);
                break;
            };
            planned = Some(room);
            bytes = more;
            batch.rewrites.push(rewrite);
        }
        // Room was reserved for all of these; if ever not, nothing more is taken for now.
        state.planned = planned.unwrap_or(Room::new(0, 0, space.segment, space.slack));
        Ok(batch)
    }

    /// Bytes left in the segment.
    fn left(&self) -> u64 {
        match self.position.segment {
            Some(_) => (self.pool.segment_bytes()).saturating_sub(self.position.offset),
            None => 0,
        }
    }

    fn turn_segment(&mut self, state: &mut State) -> Result<(), Error> {
        if self.pool.ready.is_empty() {
            self.pool.hurry()?;
        }
        let Some(segment) = self.pool.ready.pop_front() else {
            return Err(Error::NoSpace);
        };
        state
            .segments
            .insert(segment.number, Arc::clone(&segment.file));
        self.reclaim
            .begin_segment(segment.number, self.position.seq);
        self.position.segment = Some(segment);
        self.position.offset = 0;
        Ok(())
    }

    /// Writes a batch, syncs it and tells everybody.
    fn commit(&mut self, mut batch: Batch) -> Result<(), Error> {
        let result = self.write(&mut batch);
        let (segment, offsets) = match result {
            Ok(written) => written,
            Err(err) => {
                for queued in batch.writes {
                    if let Some(done) = queued.done {
                        done(Err(err.clone()));
                    }
                }
                return Err(err);
            }
        };
        let mut offsets = offsets.as_slice();
        {
            let mut state = self.shared.state.lock();
            for queued in &batch.writes {
                let entries = match &queued.write {
                    Write::Append { entries, .. } => entries.len(),
                    _ => 0,
                };
                let (mine, others) = offsets.split_at(entries);
                let index = &mut state.index;
                index.written(&queued.write, queued.ticket, segment, mine);
                offsets = others;
            }
            for rewrite in &batch.rewrites {
                let (mine, others) = offsets.split_at(rewrite.entries());
                let index = &mut state.index;
                index.rewritten(rewrite.group, segment, rewrite.first(), mine);
                offsets = others;
            }
            state.index.evict();
        }
        let last = batch.writes.last().map(|queued| queued.ticket);
        for queued in batch.writes {
            if let Some(done) = queued.done {
                done(Ok(()));
            }
        }
        let free = self.reclaim.synced(last);
        for number in &free {
            self.pool.give_back(*number)?;
        }
        if !free.is_empty() {
            self.shared.state.lock().no_space = false;
        }
        if self.noted != segment {
            self.note_tail(segment)?;
            self.noted = segment;
        }
        Ok(())
    }

    /// Notes how far the log has come; the last batch is in this segment.
    fn note_tail(&self, segment: u64) -> Result<(), Error> {
        let current = self.position.segment.as_ref();
        let current = current.filter(|current| current.number == segment);
        self.pool.note_tail(self.position.seq - 1, current)
    }

    /// Writes and syncs; the segment, and the offsets of all entries in it.
    fn write(&mut self, batch: &mut Batch) -> Result<(u64, Vec<u64>), Error> {
        let mut directory = Directory::default();
        let mut offsets = Vec::new();
        let encoder = &mut self.encoder;
        encoder.start();
        self.position.directory.push(encoder);
        for queued in &batch.writes {
            batch::push(encoder, &queued.write, &mut offsets);
            directory.add_write(&queued.write);
        }
        let state = &self.shared.state;
        let file = |number| state.lock().segments.get(&number).cloned();
        batch.rewrites.retain(|rewrite| {
            let pushed = rewrite.push(encoder, &mut directory, &mut offsets, file);
            if let Err(err) = &pushed {
                let group = rewrite.group.0;
                tracing::warn!(group, %err, "write-ahead log: entries cannot be read again");
                self.reclaim.give_up(rewrite.group);
            }
            pushed.is_ok()
        });
        self.put(directory)?;
        let segment = self.position.segment.as_ref();
        let number = segment.map_or(0, |segment| segment.number);
        let begin = self.batch_begin();
        for offset in &mut offsets {
            *offset += begin;
        }
        Ok((number, offsets))
    }

    /// Where the last batch began.
    fn batch_begin(&self) -> u64 {
        self.position.offset - footprint(self.encoder.bytes())
    }

    /// Writes and syncs what is encoded.
    fn put(&mut self, mut directory: Directory) -> Result<(), Error> {
        let position = &mut self.position;
        let segment = position.segment.as_ref().ok_or(Error::NoSpace)?;
        let head = Head {
            seq: position.seq,
            durable: position.seq - 1,
            previous: position.previous,
            oldest: self.reclaim.oldest_seq(),
            ..Head::default()
        };
        let (bytes, hash) = self.encoder.seal(page::salt(segment.number), head);
        segment.file.write_at(position.offset, bytes)?;
        segment.file.sync()?;
        directory.limit(self.slack);
        position.offset += bytes.len() as u64;
        position.seq += 1;
        position.previous = hash;
        position.directory = directory;
        position.is_closed = false;
        Ok(())
    }

    /// The last batch: the log was closed in good order.
    fn end(&mut self) -> Result<(), Error> {
        if self.position.is_closed || self.position.seq == 1 {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        if footprint(self.position.directory.cost() + 100) > self.left() {
            match self.turn_segment(&mut state) {
                Err(Error::NoSpace) => return Ok(()), // the next start copies the last batch
                turned => turned?,
            }
        }
        drop(state);
        self.note_tail(self.noted)?;
        self.encoder.start();
        self.position.directory.push(&mut self.encoder);
        let header = Header {
            kind: Kind::Closed,
            group: GroupId::default(),
            id: None,
        };
        self.encoder.push(header, &[]);
        self.put(Directory::default())
    }
}

/// Where the next batch may go.
struct Space {
    left: u64,
    ready: usize,
    segment: u64,
    slack: u64,
    directory: usize,
}

/// The room behind a batch of so many bytes and all that waits behind it, if there is any.
fn plan(queue: &VecDeque<Queued>, bytes: usize, space: &Space) -> Option<Room> {
    let batch = match bytes {
        0 if space.directory == 0 => 0,
        _ => footprint(bytes + space.directory),
    };
    let left = space.left.saturating_sub(batch);
    let room = Room::new(left, space.ready, space.segment, space.slack);
    queue.iter().try_fold(room, |room, queued| {
        room.place(footprint(batch::charge(&queued.write)), 0)
    })
}

/// Whether a write may wait for company.
pub fn is_lazy(write: &Write, done: Option<&Done>) -> bool {
    done.is_none() && matches!(write, Write::Committed { .. } | Write::Purge { .. })
}

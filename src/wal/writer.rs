//! Group commit: whoever writes the log writes what all groups wrote meanwhile, and syncs once.
//!
//! ```text
//!   ┌► take what waits (≤ 2 MiB, what fits in the segment) ─► encode ─► write ─► sync ─┐
//!   │                                                                                  │
//!   └── a step towards the next segment ◄── what is old goes ◄── `done`, in order ◄────┘
//! ```
//!
//! The log has a thread for this. A thread of groups that has nothing else to do writes what it
//! left for itself, which spares two wake-ups ([`super::idle`]).
//!
//! Invariants: one thread writes at a time; a batch begins where the one before ended and is
//! written only when that one is synced; `done` is called without the state's lock held; after
//! an error of the disk nothing more is written and nobody is told `Ok`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::clock;
use crate::tasks;
use crate::vfs::File;
use crate::wal::batch::{self, Directory};
use crate::wal::error::Error;
use crate::wal::idle::Pace;
use crate::wal::index::Index;
use crate::wal::page;
use crate::wal::purge::{Reclaim, Rewrite};
use crate::wal::record::{BatchHash, Encoder, Head, Header, Kind, capacity, footprint};
use crate::wal::room::Room;
use crate::wal::segment::{Pool, Segment, Step};
use crate::wal::{Done, GroupId, Options, Write};

/// What may wait for company without a sync of its own.
const LAZY_BYTES_MAX: usize = 64 << 10;
/// Batches of more, in the mean, cost less in a segment that is not filled with zeros than
/// these do: a new one takes 65 µs more for each sync, a mebibyte of zeros 500.
const FILLED_FOR_BYTES: u64 = 128 << 10;
/// A batch is waited for if it would be less than half of the last ones, and they were more
/// than this in the mean: a sync costs as much for half of it.
const GATHERED_FROM_BYTES: u64 = 64 << 10;
/// For so long.
const GATHER_MAX: Duration = Duration::from_micros(60);
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
    /// The one that must not is left to the thread that wrote it.
    pub left: bool,
    /// Nothing must wait for company.
    pub flush: bool,
    /// The writer's thread is to look around.
    pub awake: bool,
    /// Who writes a batch.
    pub writing: Option<ThreadId>,
    /// How long batches take.
    pub pace: Pace,
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

impl State {
    /// Whether the caller writes a batch, and must not wait for one.
    pub fn is_writer(&self) -> bool {
        self.writing == Some(thread::current().id())
    }
}

impl Shared {
    /// Tells the writer's thread to look around.
    pub fn wake(&self, state: &mut State) {
        state.awake = true;
        self.work.notify_one();
    }
}

/// Where the next batch goes, and what it says of the one before.
pub struct Position {
    /// The segment being filled; none before the first batch.
    pub segment: Option<Segment>,
    /// Where in it.
    pub offset: u64,
    /// Where the last batch begins.
    pub begin: u64,
    /// The number of the next batch.
    pub seq: u64,
    /// The hash of the batch before.
    pub previous: BatchHash,
    /// Who wrote what in it.
    pub directory: Directory,
    /// It says that the log was closed.
    pub is_closed: bool,
}

/// What only whoever writes a batch needs.
pub struct Writer {
    shared: Arc<Shared>,
    pool: Pool,
    position: Position,
    reclaim: Reclaim,
    encoder: Encoder,
    slack: u64,
    /// The segment of which it was noted that something is in it.
    noted: u64,
    /// The log is being closed, in a segment of its own.
    is_ending: bool,
    /// The bytes of a batch, the mean of the last ones.
    batch_bytes: u64,
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
            is_ending: false,
            batch_bytes: 0,
        }
    }

    /// Does what there is to do, one batch at most.
    fn turn(&mut self) -> Result<Turn, Error> {
        self.prepare()?;
        let (batch, turn) = self.next()?;
        match batch {
            Some(batch) => self.commit(batch)?,
            None if turn == Turn::Closed => self.end()?,
            None => {}
        }
        Ok(turn)
    }

    /// Writes what a thread left for itself, if it is still there and fits in the segment;
    /// whatever else there is to do is for the writer's thread.
    ///
    /// # Errors
    /// When the disk fails: [`give_up`] then.
    pub fn write_left(&mut self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        if state.closed || !state.left {
            return Ok(());
        }
        let bytes = state.queue_bytes + self.position.directory.cost();
        if footprint(bytes) <= self.left() && !self.reclaim.has_rewrites() {
            let batch = self.take(&mut state)?;
            state.writing = Some(thread::current().id());
            drop(state);
            shared.room.notify_all();
            self.commit(batch)?;
            state = shared.state.lock();
        }
        if self.is_due(&state) || self.wants_segment(&state) || state.closing {
            shared.wake(&mut state);
        }
        Ok(())
    }

    /// Does one step towards a segment if one is needed: all at once if somebody waits for
    /// it, or batches are large, and none of filling it while somebody waits for anything else.
    fn prepare(&mut self) -> Result<(), Error> {
        let hurry = {
            let state = self.shared.state.lock();
            let needed = self.pool.ready.is_empty() && !state.no_space && !state.closing;
            let is_much = self.batch_bytes > FILLED_FOR_BYTES;
            let can_wait = state.urgent > 0 && (is_much || self.pool.is_filling());
            if !state.wanted && (!needed || can_wait) {
                return Ok(());
            }
            state.wanted || is_much
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

    /// The next batch, if there is one to write, and whether that was all.
    fn next(&mut self) -> Result<(Option<Batch>, Turn), Error> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        state.awake = false;
        loop {
            if state.closed {
                return Ok((None, Turn::Failed));
            }
            self.reclaim
                .look(&mut state, self.position.segment.as_ref());
            if self.is_due(&state) {
                self.gather(&mut state);
                let batch = self.take(&mut state)?;
                let is_empty = batch.writes.is_empty() && batch.rewrites.is_empty();
                if is_empty && !self.reclaim.must_say(&state, self.pool.ready.is_empty()) {
                    continue;
                }
                state.writing = Some(thread::current().id());
                drop(state);
                shared.room.notify_all();
                return Ok((Some(batch), Turn::Going));
            }
            state.flush = false;
            if state.closing {
                if !self.is_ending && self.begins_anew(&state) {
                    self.is_ending = true;
                    match self.turn_segment(&mut state) {
                        Err(Error::NoSpace) => {}
                        turned => turned?,
                    }
                    continue;
                }
                state.closed = true;
                return Ok((None, Turn::Closed));
            }
            let turn = match self.wants_segment(&state) {
                true => Turn::Going,
                false => Turn::Idle,
            };
            return Ok((None, turn));
        }
    }

    /// Whether a batch is to be written.
    fn is_due(&self, state: &State) -> bool {
        let is_much = state.flush || state.closing || state.queue_bytes > LAZY_BYTES_MAX;
        state.urgent > 0
            || !state.queue.is_empty() && is_much
            || self.reclaim.wants_batch(state, self.pool.ready.is_empty())
    }

    /// Waits a moment for the rest of what usually comes together.
    fn gather(&self, state: &mut MutexGuard<'_, State>) {
        let wanted = usize::try_from(self.batch_bytes / 2).unwrap_or(usize::MAX);
        if self.batch_bytes <= GATHERED_FROM_BYTES || state.queue_bytes >= wanted {
            return;
        }
        let until = clock::monotonic().plus(GATHER_MAX);
        while state.queue_bytes < wanted && !state.closing && clock::monotonic() < until {
            MutexGuard::unlocked(state, tasks::give_way);
        }
    }

    fn wants_segment(&self, state: &State) -> bool {
        state.wanted || self.pool.ready.is_empty() && !state.no_space
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
        state.left = false;
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

    /// Whether the last batches get a segment of their own, so that a start reads nothing
    /// else: worth while if much was written to this one and little of all that counts.
    fn begins_anew(&self, state: &State) -> bool {
        let much = self.pool.segment_bytes() / 8;
        let mut room = much / 2;
        let mut is_little = |group| {
            let cost = state.index.rewrite_bytes(group);
            room = room.saturating_sub(cost);
            cost <= self.shared.options.rewrite_bytes_max as u64 && !state.index.is_damaged(group)
        };
        let is_all_little = state.index.pinned().all(|(group, _)| is_little(group));
        self.position.offset > much && is_all_little && room > 0
    }

    /// Writes a batch, syncs it and tells everybody.
    fn commit(&mut self, mut batch: Batch) -> Result<(), Error> {
        let begun = clock::monotonic();
        let result = self.write(&mut batch);
        let took = clock::monotonic().since(begun);
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
            state.pace.note(took);
        }
        let last = batch.writes.last().map(|queued| queued.ticket);
        for queued in batch.writes {
            if let Some(done) = queued.done {
                done(Ok(()));
            }
        }
        self.shared.state.lock().writing = None;
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
        let segment = self.position.segment.as_ref().ok_or(Error::NoSpace)?;
        encoder.start(page::salt(segment.number), self.position.seq);
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
        for offset in &mut offsets {
            *offset += self.position.begin;
        }
        Ok((number, offsets))
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
        let (bytes, hash) = self.encoder.seal(head);
        segment.file.write_at(position.offset, bytes)?;
        segment.file.sync()?;
        directory.limit(self.slack);
        self.batch_bytes = (7 * self.batch_bytes + bytes.len() as u64) / 8;
        position.begin = position.offset;
        position.offset += bytes.len() as u64;
        position.seq += 1;
        position.previous = hash;
        position.directory = directory;
        position.is_closed = false;
        Ok(())
    }

    /// The last batch: the log was closed in good order.
    fn end(&mut self) -> Result<(), Error> {
        if self.position.seq == 1 {
            return Ok(());
        }
        if !self.position.is_closed && !self.close()? {
            return Ok(());
        }
        let Some(segment) = &self.position.segment else {
            return Ok(());
        };
        let Position { seq, begin, .. } = self.position;
        self.pool.note_end(seq - 1, segment, begin)
    }

    /// Writes it; false if there is no room.
    fn close(&mut self) -> Result<bool, Error> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        if footprint(self.position.directory.cost() + 100) > self.left() {
            match self.turn_segment(&mut state) {
                Err(Error::NoSpace) => return Ok(false), // the next start copies the last batch
                turned => turned?,
            }
        }
        drop(state);
        let segment = self.position.segment.as_ref().ok_or(Error::NoSpace)?;
        self.encoder
            .start(page::salt(segment.number), self.position.seq);
        self.position.directory.push(&mut self.encoder);
        let header = Header {
            kind: Kind::Closed,
            group: GroupId::default(),
            id: None,
        };
        self.encoder.push(header, &[]);
        self.put(Directory::default())?;
        Ok(true)
    }
}

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// There may be more to do.
    Going,
    /// There is nothing to do.
    Idle,
    /// The log was closed in good order.
    Closed,
    /// Somebody else found that the disk fails.
    Failed,
}

/// What the log's thread does: writes until the log is closed or the disk fails.
pub fn run(shared: &Shared, writer: &Mutex<Writer>) {
    loop {
        let turn = writer.lock().turn();
        match turn {
            Ok(Turn::Going) => {}
            Ok(Turn::Idle) => {
                let mut state = shared.state.lock();
                shared.work.wait_while(&mut state, |state| !state.awake);
            }
            Ok(Turn::Closed | Turn::Failed) => return refuse_all(shared),
            Err(err) => return give_up(shared, &err),
        }
    }
}

/// The disk failed: nothing more is written.
pub fn give_up(shared: &Shared, err: &Error) {
    (shared.options.on_fatal)(err);
    refuse_all(shared);
}

/// Nobody who waits will hear of his write.
fn refuse_all(shared: &Shared) {
    let left = {
        let mut state = shared.state.lock();
        state.closed = true;
        state.queue_bytes = 0;
        shared.wake(&mut state);
        mem::take(&mut state.queue)
    };
    shared.room.notify_all();
    for queued in left {
        if let Some(done) = queued.done {
            done(Err(Error::Closed));
        }
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

//! Old segments go when nobody needs them; groups at rest are written anew so that they do
//! not hold them.
//!
//! ```text
//!   nobody pins segment 3 ─► everything that unpinned it is synced ─► a batch says `oldest`
//!                                         ─► that batch is synced ─► the file is free
//! ```
//!
//! Separate because the order of these steps is what keeps a crash in between harmless: a
//! segment that counts no more may still be there, or be gone, or be half overwritten.
//!
//! Invariants: segments go in the order of their numbers; what a truncation or a drop
//! refers to therefore never outlives it. A group is written anew only when that alone frees
//! the oldest segment together with others as small.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::vfs::File;
use crate::wal::batch::{self, Directory};
use crate::wal::error::Error;
use crate::wal::index::{Found, Index, Place};
use crate::wal::reader::{ReadError, Reader};
use crate::wal::record::{Encoder, Header, Kind, RECORD};
use crate::wal::segment::Segment;
use crate::wal::writer::State;
use crate::wal::{GroupId, GroupState, LogId, Write};

/// Groups written anew at one time.
const REWRITES_MAX: usize = 16 << 10;

/// What is known of segments, and what is under way to free them.
pub struct Reclaim {
    /// The first batch of each segment that counts.
    first_seq: BTreeMap<u64, u64>,
    /// What the next batch calls the oldest.
    oldest_seq: u64,
    /// Segments that nobody needs.
    unneeded: VecDeque<Unneeded>,
    /// Segments that the next batch says are not needed.
    said: Vec<u64>,
    /// Segments whose files are free when a batch that says so is synced.
    saying: bool,
    /// Groups to write anew.
    rewrites: VecDeque<GroupId>,
    /// None of them fitted in the last batch.
    postponed: bool,
    /// The segment for which the groups were chosen, and what was in the way.
    considered: Option<(u64, Option<Obstacle>)>,
    /// The last synced write.
    synced: u64,
    rewrite_bytes_max: usize,
}

/// Why groups are not written anew, so that their segment stays.
#[derive(Clone, Copy)]
enum Obstacle {
    /// This one has too much, as yet.
    Large(GroupId),
    /// This one cannot be, or is one too many.
    Fixed(GroupId),
}

/// A segment that nobody needs once the writes before `ticket` are synced.
struct Unneeded {
    number: u64,
    ticket: u64,
    /// The first batch of the segment behind it.
    next_seq: u64,
}

impl Reclaim {
    /// With these segments, and the first batch of each.
    pub fn new(
        first_seq: BTreeMap<u64, u64>,
        oldest_seq: u64,
        rewrite_bytes_max: usize,
    ) -> Reclaim {
        Reclaim {
            first_seq,
            oldest_seq,
            unneeded: VecDeque::new(),
            said: Vec::new(),
            saying: false,
            rewrites: VecDeque::new(),
            postponed: false,
            considered: None,
            synced: 0,
            rewrite_bytes_max,
        }
    }

    /// The first batch that counts.
    pub const fn oldest_seq(&self) -> u64 {
        self.oldest_seq
    }

    /// Another segment is being filled, from this batch on.
    pub fn begin_segment(&mut self, number: u64, seq: u64) {
        self.first_seq.insert(number, seq);
        self.considered = None;
        self.rewrites.clear();
        self.postponed = false;
    }

    /// Looks for segments that nobody needs, and for groups to write anew.
    pub fn look(&mut self, state: &mut State, current: Option<&Segment>) {
        let Some(current) = current.map(|segment| segment.number) else {
            return;
        };
        let needed = state.index.oldest_pinned().unwrap_or(current).min(current);
        while let Some((&number, _)) = self.first_seq.first_key_value() {
            if number >= needed {
                break;
            }
            self.first_seq.remove(&number);
            let Some((_, &next_seq)) = self.first_seq.first_key_value() else {
                break;
            };
            state.segments.remove(&number);
            let ticket = state.next_ticket;
            self.unneeded.push_back(Unneeded {
                number,
                ticket,
                next_seq,
            });
        }
        self.advance();
        let Some((&oldest, _)) = self.first_seq.first_key_value() else {
            return;
        };
        if oldest < current {
            self.choose(&state.index, oldest);
        }
    }

    /// Chooses the groups to write anew so that nobody needs the oldest segment.
    fn choose(&mut self, index: &Index, oldest: u64) {
        let is_large = |group| {
            let cost = index.rewrite_bytes(group);
            index.has_entries_in(group, oldest) && cost > self.rewrite_bytes_max as u64
        };
        if let Some((segment, obstacle)) = self.considered
            && segment == oldest
            && match obstacle {
                None => true,
                Some(Obstacle::Large(group)) => index.is_pinning(group, oldest) && is_large(group),
                Some(Obstacle::Fixed(group)) => index.is_pinning(group, oldest),
            }
        {
            return;
        }
        let mut rewrites = VecDeque::new();
        let obstacle = index.pinning(oldest).find_map(|group| {
            if is_large(group) {
                return Some(Obstacle::Large(group));
            }
            if index.is_damaged(group) || rewrites.len() >= REWRITES_MAX {
                return Some(Obstacle::Fixed(group));
            }
            rewrites.push_back(group);
            None
        });
        if obstacle.is_some() {
            rewrites.clear();
        }
        self.considered = Some((oldest, obstacle));
        self.rewrites = rewrites;
        self.postponed = false;
    }

    /// There are groups to write anew.
    pub fn has_rewrites(&self) -> bool {
        !self.rewrites.is_empty()
    }

    /// Whether a batch is worth while though nobody waits for one.
    pub fn wants_batch(&self, state: &State, no_segment_ready: bool) -> bool {
        let rewrite = !self.rewrites.is_empty() && !self.postponed;
        rewrite || self.must_say(state, no_segment_ready)
    }

    /// The next group to write anew, as it is behind the writes of the batch: those of a
    /// group that has more on its way wait.
    pub fn next_rewrite(
        &mut self,
        index: &Index,
        in_batch: &HashMap<GroupId, u32>,
    ) -> Option<Rewrite> {
        if self.rewrites.is_empty() {
            return None;
        }
        let oldest = self
            .first_seq
            .first_key_value()
            .map(|(number, _)| *number)?;
        for _ in 0..self.rewrites.len() {
            let group = self.rewrites.pop_front()?;
            if !index.is_pinning(group, oldest) || index.is_damaged(group) {
                continue;
            }
            if index.queued(group) != in_batch.get(&group).copied().unwrap_or(0) {
                self.rewrites.push_back(group);
                continue;
            }
            self.postponed = false;
            let with_entries = index.has_entries_in(group, oldest);
            return Some(Rewrite {
                group,
                state: index.state(group),
                entries: with_entries.then(|| index.find(group, 0..u64::MAX, usize::MAX)),
            });
        }
        self.postponed = true;
        None
    }

    /// The group did not fit; it is tried again with the next batch.
    pub fn postpone(&mut self, rewrite: Rewrite) {
        self.rewrites.push_front(rewrite.group);
        self.postponed = true;
    }

    /// A batch was synced, with writes up to this one; the segments whose files are free.
    pub fn synced(&mut self, last: Option<u64>) -> Vec<u64> {
        self.synced = last.unwrap_or(self.synced);
        self.postponed = false;
        let free = if self.saying {
            std::mem::take(&mut self.said)
        } else {
            Vec::new()
        };
        self.saying = false;
        self.advance();
        free
    }

    /// Says in the next batch what is true by then.
    fn advance(&mut self) {
        while let Some(unneeded) = self.unneeded.front() {
            if self.synced + 1 < unneeded.ticket {
                break;
            }
            self.oldest_seq = unneeded.next_seq;
            self.said.push(unneeded.number);
            self.saying = true;
            self.unneeded.pop_front();
        }
    }

    /// Something must be said for files to become free, and somebody needs them.
    pub fn must_say(&self, state: &State, no_segment_ready: bool) -> bool {
        !self.said.is_empty() && (state.wanted || state.no_space || no_segment_ready)
    }

    /// The group cannot be written anew: it holds its segment.
    pub fn give_up(&mut self, group: GroupId) {
        if let Some((segment, _)) = self.considered {
            self.considered = Some((segment, Some(Obstacle::Fixed(group))));
            self.rewrites.clear();
        }
    }
}

/// A group, written anew.
pub struct Rewrite {
    /// The group.
    pub group: GroupId,
    state: GroupState,
    /// All its entries; `None` if only vote, purge and commit are written again.
    entries: Option<Vec<Found>>,
}

impl Rewrite {
    /// The bytes of records it takes.
    pub fn cost(&self) -> usize {
        let vote = self.state.vote.as_ref().map_or(0, Bytes::len);
        let entries = self.entries.iter().flatten();
        let entries: usize = entries.map(|found| RECORD + found.slot.len as usize).sum();
        4 * RECORD + vote + entries
    }

    /// How many entries are written.
    pub fn entries(&self) -> usize {
        self.entries.as_ref().map_or(0, Vec::len)
    }

    /// The first of them.
    pub fn first(&self) -> u64 {
        let first = self.entries.iter().flatten().next();
        first.map_or(0, |found| found.id.index)
    }

    /// Adds its records.
    ///
    /// # Errors
    /// When an entry cannot be read.
    pub fn push(
        &self,
        encoder: &mut Encoder,
        directory: &mut Directory,
        offsets: &mut Vec<u64>,
        file: impl Fn(u64) -> Option<Arc<dyn File>>,
    ) -> Result<(), Error> {
        let group = self.group;
        let mut entries = Vec::with_capacity(self.entries());
        let mut reader: Option<Reader> = None;
        for found in self.entries.iter().flatten() {
            entries.push((found.id, payload(group, found, &mut reader, &file)?));
        }
        let mut writes = Vec::new();
        if self.entries.is_some() {
            let header = Header {
                kind: Kind::Restart,
                group,
                id: None,
            };
            encoder.push(header, &[]);
            directory.add(header);
        }
        let GroupState {
            vote,
            purged,
            committed,
            ..
        } = &self.state;
        writes.extend(vote.clone().map(|vote| Write::Vote { group, vote }));
        writes.extend(purged.map(|up_to| Write::Purge { group, up_to }));
        let log_id = *committed;
        writes.extend(log_id.map(|_| Write::Committed { group, log_id }));
        if !entries.is_empty() {
            writes.push(Write::Append { group, entries });
        }
        for write in &writes {
            batch::push(encoder, write, offsets);
            directory.add_write(write);
        }
        Ok(())
    }
}

/// The payload of an entry, from memory or from the disk.
///
/// # Errors
/// When the disk refuses, or the entry is not where it was: rot, or it moved meanwhile.
pub fn payload(
    group: GroupId,
    found: &Found,
    reader: &mut Option<Reader>,
    file: impl Fn(u64) -> Option<Arc<dyn File>>,
) -> Result<Bytes, Error> {
    let LogId { index, .. } = found.id;
    if let Some(payload) = &found.payload {
        return Ok(payload.clone());
    }
    let Place::Written { segment, offset } = found.slot.place else {
        return Err(Error::Damaged { group, index });
    };
    if reader
        .as_ref()
        .is_none_or(|reader| reader.segment() != segment)
    {
        *reader = file(segment).map(|file| Reader::new(segment, file));
    }
    let read = reader
        .as_mut()
        .map(|reader| reader.read(offset, found.slot.len as usize));
    match read {
        Some(Ok(payload)) => Ok(payload),
        Some(Err(ReadError::Disk(err))) => Err(err.into()),
        Some(Err(ReadError::Changed)) | None => Err(Error::Damaged { group, index }),
    }
}

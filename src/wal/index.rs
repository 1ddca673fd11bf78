//! Which entries there are and where: group → entries, votes and marks, in memory.
//!
//! Separate and pure: the log itself is only bytes; what it means is decided here, in the
//! same way while writing and while replaying after a restart.
//!
//! ```text
//!   group ─► first │ slot slot slot slot slot │      slot = term, node, place, length
//!                            cached ◄── the payloads of the last ones
//! ```
//!
//! Invariants: slots are consecutive; what is queued is cached; the cache holds at most
//! `cache_bytes_max` of what is written; `pins` knows for every group the oldest segment that
//! holds something of it that still counts. Absent: no files; a place is only numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;

use bytes::Bytes;

use crate::wal::batch;
use crate::wal::error::Error;
use crate::wal::record::{Kind, RECORD, Record};
use crate::wal::{Damage, GroupId, GroupState, Lies, LogId, Write};

/// Where a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In memory, in the write with this ticket.
    Queued(u64),
    /// In a segment, from this byte on.
    Written {
        /// The segment's number.
        segment: u64,
        /// The first byte of the payload.
        offset: u64,
    },
    /// Nowhere: lost.
    Lost,
}

impl Place {
    fn segment(self) -> Option<u64> {
        match self {
            Place::Written { segment, .. } => Some(segment),
            Place::Queued(_) | Place::Lost => None,
        }
    }
}

/// An entry without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Who led.
    pub term: u64,
    /// Who led.
    pub node: u64,
    /// Where the payload is.
    pub place: Place,
    /// The bytes of the payload.
    pub len: u32,
}

/// An entry as far as memory knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub id: LogId,
    /// Where its payload is, and how long it is.
    pub slot: Slot,
    /// The payload, if it is cached.
    pub payload: Option<Bytes>,
}

#[derive(Debug, Default)]
struct Group {
    vote: Option<Bytes>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    /// The index of the first slot, or the one that an append must have if there is none
    /// (0 and no purged entry: any).
    first: u64,
    slots: VecDeque<Slot>,
    /// The payloads of the last slots.
    cached: VecDeque<Bytes>,
    /// The bytes of all payloads.
    bytes: u64,
    /// Where the last records of each kind are.
    vote_at: Option<u64>,
    committed_at: Option<u64>,
    purged_at: Option<u64>,
    /// What damage was found, and in which segment, or which segment told of it.
    damage: Option<(Damage, u64)>,
    /// The write that made it; what was written before belongs to another life.
    born: u64,
    /// Writes on their way.
    queued: u32,
    /// What the pins say.
    pinned: Option<u64>,
}

impl Group {
    fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// Whether any index may come next.
    fn is_blank(&self) -> bool {
        self.slots.is_empty() && self.purged.is_none()
    }

    fn slot(&self, index: u64) -> Option<&Slot> {
        let at = index.checked_sub(self.first)?;
        self.slots.get(usize::try_from(at).ok()?)
    }

    fn id(&self, index: u64) -> Option<LogId> {
        let slot = self.slot(index)?;
        let (term, node) = (slot.term, slot.node);
        Some(LogId { term, node, index })
    }

    fn cached(&self, index: u64) -> Option<&Bytes> {
        let first = self.next() - self.cached.len() as u64;
        let at = index.checked_sub(first)?;
        self.cached.get(usize::try_from(at).ok()?)
    }

    fn lost(&self) -> Option<(u64, u64)> {
        self.damage.as_ref()?;
        let is_lost = |slot: &Slot| slot.place == Place::Lost;
        let first = self.slots.iter().position(is_lost)? as u64;
        let last = self.slots.iter().rposition(is_lost)? as u64;
        Some((self.first + first, self.first + last))
    }

    fn is_losing(&self) -> bool {
        self.slots.iter().any(|slot| slot.place == Place::Lost)
    }

    /// Forgets damage of which nothing is left: the entries were purged since.
    fn heal(&mut self) {
        let (vote, unknown) = match &self.damage {
            Some((damage, _)) => (damage.vote, damage.unknown),
            None => return,
        };
        if !vote && !unknown && !self.is_losing() {
            self.damage = None;
        }
    }

    /// The last entry that is known by name.
    fn last(&self) -> Option<LogId> {
        let known = |slot: &Slot| slot.place != Place::Lost;
        let last = self.slots.iter().rposition(known);
        last.and_then(|at| self.id(self.first + at as u64))
            .or(self.purged)
    }

    fn pop_back(&mut self) -> Cached {
        if let Some(slot) = self.slots.pop_back() {
            self.bytes -= u64::from(slot.len);
        }
        Cached::of(self.cached.pop_back())
    }

    fn pop_front(&mut self) -> Cached {
        if let Some(slot) = self.slots.pop_front() {
            self.bytes -= u64::from(slot.len);
            self.first += 1;
        }
        let surplus = self.cached.len() > self.slots.len();
        Cached::of(surplus.then(|| self.cached.pop_front()).flatten())
    }

    /// The oldest segment that holds something that counts.
    fn oldest(&self) -> Option<u64> {
        let first = match self.slots.front().map(|slot| slot.place) {
            Some(Place::Lost) => self.slots.iter().find_map(|slot| slot.place.segment()),
            Some(place) => place.segment(),
            None => None,
        };
        let damage = self.damage.as_ref().map(|(_, segment)| *segment);
        let all = [
            first,
            self.vote_at,
            self.committed_at,
            self.purged_at,
            damage,
        ];
        all.into_iter().flatten().min()
    }
}

/// What payloads take in the cache.
#[derive(Clone, Copy, Debug, Default)]
struct Cached {
    bytes: usize,
    count: usize,
}

/// What a payload takes beside its bytes.
const CACHED_EXTRA: usize = 64;

impl Cached {
    fn of(payload: Option<Bytes>) -> Cached {
        payload.map_or(Cached::default(), |payload| Cached {
            bytes: payload.len() + CACHED_EXTRA,
            count: 1,
        })
    }

    fn add(&mut self, other: Cached) {
        self.bytes += other.bytes;
        self.count += other.count;
    }

    fn remove(&mut self, other: Cached) {
        self.bytes -= other.bytes;
        self.count -= other.count;
    }
}

/// All groups of a log.
#[derive(Debug)]
pub struct Index {
    groups: HashMap<GroupId, Group, foldhash::fast::RandomState>,
    pins: BTreeMap<u64, BTreeSet<GroupId>>,
    /// What is cached, oldest first; may name what is gone.
    recent: VecDeque<(GroupId, u64)>,
    cached: Cached,
    cache_bytes_max: usize,
}

impl Index {
    /// Nothing, with room for this many bytes of payloads.
    pub fn new(cache_bytes_max: usize) -> Index {
        Index {
            groups: HashMap::default(),
            pins: BTreeMap::new(),
            recent: VecDeque::new(),
            cached: Cached::default(),
            cache_bytes_max,
        }
    }

    /// Whether the write may come next.
    ///
    /// # Errors
    /// When its entries would leave a hole, overwrite others, or hide what is lost.
    pub fn check(&self, write: &Write) -> Result<(), Error> {
        let Write::Append { group, entries } = write else {
            return Ok(());
        };
        let (group, known) = (*group, self.groups.get(group));
        if let Some((index, _)) = known.and_then(Group::lost) {
            return Err(Error::Damaged { group, index });
        }
        let mut expected = known.filter(|known| !known.is_blank()).map(Group::next);
        for (id, _) in entries {
            let index = id.index;
            let wanted = expected.unwrap_or(index);
            if index != wanted || index == u64::MAX {
                let expected = wanted;
                return Err(Error::OutOfOrder {
                    group,
                    index,
                    expected,
                });
            }
            expected = Some(index + 1);
        }
        Ok(())
    }

    /// Takes over a write that was checked; its entries are queued under `ticket`.
    pub fn take(&mut self, write: &Write, ticket: u64) {
        let born = |known: Option<&Group>| known.map_or(ticket, |known| known.born);
        let born = born(self.groups.get(&write.group()));
        match write {
            Write::Append { group, entries } => {
                for (id, payload) in entries {
                    self.append(*group, *id, payload.clone(), Place::Queued(ticket));
                }
            }
            Write::Vote { group, vote } => self.vote(*group, vote.clone()),
            Write::TruncateAfter { group, index } => self.truncate_after(*group, *index),
            Write::Purge { group, up_to } => self.purge(*group, *up_to),
            Write::Committed { group, log_id } => self.committed(*group, *log_id),
            Write::DropGroup { group } => self.drop_group(*group),
            Write::AcceptDamage { group } => self.accept_damage(*group),
        }
        if !matches!(write, Write::DropGroup { .. }) {
            let known = self.groups.entry(write.group()).or_default();
            known.queued += 1;
            known.born = born;
        }
    }

    /// A write of before is in this segment; `offsets` are those of its entries' payloads.
    pub fn written(&mut self, write: &Write, ticket: u64, segment: u64, offsets: &[u64]) {
        let group = write.group();
        self.touch(group, |known| {
            if known.born > ticket {
                return; // the group was dropped meanwhile
            }
            known.queued = known.queued.saturating_sub(1);
            match write {
                Write::Append { entries, .. } => {
                    for ((id, _), offset) in entries.iter().zip(offsets) {
                        let Some(at) = id.index.checked_sub(known.first) else {
                            continue;
                        };
                        let slot = known.slots.get_mut(at as usize);
                        if let Some(slot) = slot.filter(|slot| slot.place == Place::Queued(ticket))
                        {
                            let offset = *offset;
                            slot.place = Place::Written { segment, offset };
                        }
                    }
                }
                Write::Vote { .. } => known.vote_at = Some(segment),
                Write::Committed { .. } => known.committed_at = Some(segment),
                Write::Purge { .. } => known.purged_at = Some(segment),
                _ => {}
            }
        });
        self.evict();
    }

    /// Adds an entry behind the last one. What is in its way goes; what is missing before it
    /// is lost: both happen only while replaying a damaged log.
    pub fn append(&mut self, group: GroupId, id: LogId, payload: Bytes, place: Place) {
        let known = self.groups.entry(group).or_default();
        if known.is_blank() {
            known.first = id.index;
        }
        if id.index < known.first || id.index == u64::MAX {
            return; // purged already
        }
        if id.index < known.next() {
            self.truncate_after(group, id.index.checked_sub(1));
        }
        self.lose_up_to(group, id.index);
        let known = self.groups.entry(group).or_default();
        if known.slots.is_empty() {
            known.first = id.index;
        }
        known.slots.push_back(Slot {
            term: id.term,
            node: id.node,
            place,
            len: payload.len() as u32,
        });
        known.bytes += payload.len() as u64;
        self.cached.add(Cached::of(Some(payload.clone())));
        known.cached.push_back(payload);
        self.recent.push_back((group, id.index));
    }

    /// The entries from the last one up to `index`, exclusive, are lost.
    fn lose_up_to(&mut self, group: GroupId, index: u64) {
        let known = self.groups.entry(group).or_default();
        let missing = index.saturating_sub(known.next());
        if missing == 0 || known.is_blank() {
            return;
        }
        if missing > LOST_MAX {
            // No single batch holds so many: these are other entries altogether.
            self.forget_entries(group);
            let known = self.groups.entry(group).or_default();
            known.first = index;
            return;
        }
        self.uncache(group);
        let known = self.groups.entry(group).or_default();
        for _ in 0..missing {
            known.slots.push_back(Slot {
                term: 0,
                node: 0,
                place: Place::Lost,
                len: 0,
            });
        }
    }

    /// Replaces the vote.
    pub fn vote(&mut self, group: GroupId, vote: Bytes) {
        self.groups.entry(group).or_default();
        self.touch(group, |known| {
            known.vote = Some(vote);
            // Whatever was lost, this one is later.
            if let Some((damage, _)) = &mut known.damage {
                damage.vote = false;
            }
        });
    }

    /// Replaces the commit.
    pub fn committed(&mut self, group: GroupId, log_id: Option<LogId>) {
        self.groups.entry(group).or_default().committed = log_id;
    }

    /// Removes the entries behind `index`.
    pub fn truncate_after(&mut self, group: GroupId, index: Option<u64>) {
        let mut freed = Cached::default();
        self.touch(group, |known| {
            let keep = index.map_or(0, |index| index.saturating_add(1));
            while known.next() > keep && !known.slots.is_empty() {
                freed.add(known.pop_back());
            }
            if let (true, Some(purged)) = (known.slots.is_empty(), known.purged) {
                known.first = purged.index.saturating_add(1);
            }
        });
        self.cached.remove(freed);
    }

    /// Removes the entries up to this one.
    pub fn purge(&mut self, group: GroupId, up_to: LogId) {
        let mut freed = Cached::default();
        self.groups.entry(group).or_default();
        self.touch(group, |known| {
            if known.purged.is_some_and(|purged| purged >= up_to) {
                return;
            }
            known.purged = Some(up_to);
            while known.first <= up_to.index && !known.slots.is_empty() {
                freed.add(known.pop_front());
            }
            if known.slots.is_empty() {
                known.first = up_to.index.saturating_add(1);
                // Thousands of groups that are idle now keep no room for what they had.
                (known.slots, known.cached) = Default::default();
            }
        });
        self.cached.remove(freed);
    }

    /// Forgets the group.
    pub fn drop_group(&mut self, group: GroupId) {
        self.uncache(group);
        if let Some(known) = self.groups.remove(&group) {
            self.unpin(group, known.pinned);
        }
    }

    /// Cuts off what lies behind the first lost entry.
    pub fn accept_damage(&mut self, group: GroupId) {
        if let Some((first, _)) = self.groups.get(&group).and_then(Group::lost) {
            let keep = first.checked_sub(1);
            self.truncate_after(group, keep);
        }
        self.touch(group, |known| known.damage = None);
    }

    /// Notes that something of the group was lost, as `segment` shows.
    pub fn damage(&mut self, group: GroupId, vote: bool, unknown: bool, segment: u64) {
        self.groups.entry(group).or_default();
        self.touch(group, |known| {
            let (damage, at) = known.damage.get_or_insert_default();
            damage.vote |= vote;
            damage.unknown |= unknown;
            *at = if *at == 0 { segment } else { segment.min(*at) };
        });
    }

    /// Notes that these entries were written once; those that are not there are lost.
    pub fn expect_entries(&mut self, group: GroupId, first: u64, last: u64) {
        let known = self.groups.entry(group).or_default();
        if known.is_blank() && last != u64::MAX {
            known.first = first;
            // Not blank any more: something was there.
            let lost = (last - first.min(last) + 1).min(LOST_MAX);
            let slot = Slot {
                term: 0,
                node: 0,
                place: Place::Lost,
                len: 0,
            };
            known.slots.extend(std::iter::repeat_n(slot, lost as usize));
        } else if last >= known.next() && last != u64::MAX {
            self.lose_up_to(group, last + 1);
        }
    }

    /// Gives every group with lost entries a damage; called when all is replayed.
    pub fn settle(&mut self) {
        for group in self.groups() {
            self.touch(group, |known| {
                if known.is_losing() {
                    let segment = known.oldest().unwrap_or(1);
                    known.damage.get_or_insert((Damage::default(), segment));
                }
            });
        }
        self.evict();
    }

    /// What is known of a group.
    pub fn state(&self, group: GroupId) -> GroupState {
        let Some(known) = self.groups.get(&group) else {
            return GroupState::default();
        };
        GroupState {
            vote: known.vote.clone(),
            committed: known.committed,
            purged: known.purged,
            first: (!known.slots.is_empty()).then_some(known.first),
            last: known.last(),
            damage: known.damage.as_ref().map(|(damage, _)| Damage {
                entries: known.lost(),
                ..damage.clone()
            }),
        }
    }

    /// The name of an entry, also of the last purged one.
    pub fn log_id(&self, group: GroupId, index: u64) -> Option<LogId> {
        let known = self.groups.get(&group)?;
        let slot = known.slot(index);
        let purged = known.purged.filter(|purged| purged.index == index);
        let lost = slot.is_some_and(|slot| slot.place == Place::Lost);
        known.id(index).filter(|_| !lost).or(purged)
    }

    /// All groups, in order.
    pub fn groups(&self) -> Vec<GroupId> {
        let mut groups: Vec<GroupId> = self.groups.keys().copied().collect();
        groups.sort_unstable();
        groups
    }

    /// The entries of the range from its start on, until they are `bytes_max` together; at
    /// least one. The first ones that are there if the range begins earlier.
    pub fn find(&self, group: GroupId, range: Range<u64>, bytes_max: usize) -> Vec<Found> {
        let mut found = Vec::new();
        let Some(known) = self.groups.get(&group) else {
            return found;
        };
        let mut bytes = 0;
        for index in range.start.max(known.first)..range.end.min(known.next()) {
            let (Some(slot), Some(id)) = (known.slot(index), known.id(index)) else {
                break;
            };
            bytes += slot.len as usize;
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(Found {
                id,
                slot: *slot,
                payload: known.cached(index).cloned(),
            });
        }
        found
    }

    /// Where the payload of an entry lies, once it is written.
    pub fn place(&self, group: GroupId, index: u64) -> Option<Lies> {
        let slot = self.groups.get(&group)?.slot(index)?;
        match slot.place {
            Place::Written { segment, offset } => Some(Lies {
                segment,
                offset,
                len: slot.len,
            }),
            Place::Queued(_) | Place::Lost => None,
        }
    }

    /// The oldest segment that anything needs.
    pub fn oldest_pinned(&self) -> Option<u64> {
        self.pins.keys().next().copied()
    }

    /// The groups that need this segment as their oldest.
    pub fn pinning(&self, segment: u64) -> impl Iterator<Item = GroupId> {
        self.pins.get(&segment).into_iter().flatten().copied()
    }

    /// Every group with the oldest segment it needs.
    pub fn pinned(&self) -> impl Iterator<Item = (GroupId, u64)> {
        (self.pins.iter())
            .flat_map(|(segment, groups)| groups.iter().map(|group| (*group, *segment)))
    }

    /// Whether this is the oldest segment that the group needs.
    pub fn is_pinning(&self, group: GroupId, segment: u64) -> bool {
        let known = self.groups.get(&group);
        known.is_some_and(|known| known.pinned == Some(segment))
    }

    /// Whether something of the group is lost.
    pub fn is_damaged(&self, group: GroupId) -> bool {
        let known = self.groups.get(&group);
        known.is_some_and(|known| known.damage.is_some())
    }

    /// The bytes of records that a group takes when all of it is written anew.
    pub fn rewrite_bytes(&self, group: GroupId) -> u64 {
        self.groups.get(&group).map_or(0, |known| {
            let vote = known.vote.as_ref().map_or(0, Bytes::len) as u64;
            known.bytes + vote + ((known.slots.len() + 4) * RECORD) as u64
        })
    }

    /// How many writes of the group are on their way.
    pub fn queued(&self, group: GroupId) -> u32 {
        self.groups.get(&group).map_or(0, |known| known.queued)
    }

    /// Whether the group needs entries in this segment.
    pub fn has_entries_in(&self, group: GroupId, segment: u64) -> bool {
        let known = self.groups.get(&group);
        let first = known.and_then(|known| known.slots.front());
        first.is_some_and(
            |slot| matches!(slot.place, Place::Written { segment: at, .. } if at == segment),
        )
    }

    /// A group's vote, purge and commit were written again, in this segment; with `offsets`,
    /// also its entries.
    pub fn rewritten(&mut self, group: GroupId, segment: u64, first: u64, offsets: &[u64]) {
        self.touch(group, |known| {
            known.vote_at = known.vote.is_some().then_some(segment);
            known.committed_at = known.committed.is_some().then_some(segment);
            known.purged_at = known.purged.is_some().then_some(segment);
            for (index, offset) in (first..).zip(offsets) {
                let Some(at) = index.checked_sub(known.first) else {
                    continue;
                };
                let slot = known.slots.get_mut(at as usize);
                if let Some(slot) = slot.filter(|slot| slot.place.segment().is_some()) {
                    let offset = *offset;
                    slot.place = Place::Written { segment, offset };
                }
            }
        });
    }

    /// Applies a record of before; one of the log itself does nothing.
    pub fn replay(&mut self, record: &Record, place: Place, segment: u64) {
        let group = record.header.group;
        if record.header.kind == Kind::Restart {
            self.drop_group(group);
            self.groups.entry(group).or_default();
        }
        let Some(write) = batch::write_of(record) else {
            return;
        };
        match &write {
            Write::Append { entries, .. } => {
                for (id, payload) in entries {
                    // A slice would keep its whole batch in memory.
                    let payload = Bytes::copy_from_slice(payload);
                    self.append(group, *id, payload, place);
                }
            }
            Write::Vote { vote, .. } => self.vote(group, vote.clone()),
            Write::TruncateAfter { index, .. } => self.truncate_after(group, *index),
            Write::Purge { up_to, .. } => self.purge(group, *up_to),
            Write::Committed { log_id, .. } => self.committed(group, *log_id),
            Write::DropGroup { .. } => self.drop_group(group),
            Write::AcceptDamage { .. } => self.accept_damage(group),
        }
        self.touch(group, |known| match &write {
            Write::Vote { .. } => known.vote_at = Some(segment),
            Write::Committed { .. } => known.committed_at = Some(segment),
            Write::Purge { .. } => known.purged_at = Some(segment),
            _ => {}
        });
    }

    /// Whether entries of the group are lost.
    pub fn is_losing(&self, group: GroupId) -> bool {
        let known = self.groups.get(&group);
        known.is_some_and(Group::is_losing)
    }

    /// Changes a group that is there and keeps its pin right.
    fn touch(&mut self, group: GroupId, change: impl FnOnce(&mut Group)) {
        let Some(known) = self.groups.get_mut(&group) else {
            return;
        };
        change(known);
        known.heal();
        let (old, new) = (known.pinned, known.oldest());
        known.pinned = new;
        if old != new {
            self.unpin(group, old);
            if let Some(segment) = new {
                self.pins.entry(segment).or_default().insert(group);
            }
        }
    }

    fn unpin(&mut self, group: GroupId, segment: Option<u64>) {
        let Some(segment) = segment else { return };
        if let Some(groups) = self.pins.get_mut(&segment) {
            groups.remove(&group);
            if groups.is_empty() {
                self.pins.remove(&segment);
            }
        }
    }

    /// Removes all entries of the group.
    fn forget_entries(&mut self, group: GroupId) {
        self.truncate_after(group, None);
    }

    /// Takes the group's payloads out of the cache; not called with queued ones among them
    /// unless they are forgotten too.
    fn uncache(&mut self, group: GroupId) {
        if let Some(known) = self.groups.get_mut(&group) {
            for payload in known.cached.drain(..) {
                self.cached.remove(Cached::of(Some(payload)));
            }
        }
    }

    /// Takes what is cached of the group up to `last` out of the cache, as far as it is
    /// written.
    pub fn release(&mut self, group: GroupId, last: u64) {
        let Some(known) = self.groups.get_mut(&group) else {
            return;
        };
        while !known.cached.is_empty() {
            let index = known.next() - known.cached.len() as u64;
            let slot = known.slot(index);
            let is_queued = slot.is_some_and(|slot| matches!(slot.place, Place::Queued(_)));
            if index > last || is_queued {
                break;
            }
            self.cached.remove(Cached::of(known.cached.pop_front()));
        }
    }

    /// Takes the oldest payloads out of the cache until it is small enough.
    pub fn evict(&mut self) {
        while let Some((group, index)) = self.recent.front().copied() {
            let cached = self.is_cached(group, index);
            if cached && self.cached.bytes <= self.cache_bytes_max {
                break;
            }
            if let Some(known) = self.groups.get_mut(&group).filter(|_| cached)
                && known.next() - known.cached.len() as u64 == index
            {
                let slot = known.slot(index);
                if slot.is_some_and(|slot| matches!(slot.place, Place::Queued(_))) {
                    break;
                }
                self.cached.remove(Cached::of(known.cached.pop_front()));
            }
            self.recent.pop_front();
        }
        if self.recent.len() > 2 * self.cached.count + 1024 {
            let mut recent = std::mem::take(&mut self.recent);
            recent.retain(|(group, index)| self.is_cached(*group, *index));
            self.recent = recent;
        }
    }

    fn is_cached(&self, group: GroupId, index: u64) -> bool {
        let known = self.groups.get(&group);
        known.is_some_and(|known| known.cached(index).is_some())
    }
}

/// More entries than this are not in one damaged batch.
const LOST_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests;

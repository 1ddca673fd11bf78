//! Batches in their order, and what is wrong with it.
//!
//! Separate because here, without any disk, is decided what follows from what was found: what
//! counts, what is lost, and whose it was.
//!
//! Invariant: a batch is applied only behind the one that was there when it was written, or
//! the damage in between is noted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;

use crate::wal::RecoveryReport;
use crate::wal::batch::{Directory, SCARS_MAX, Scar};
use crate::wal::error::Error;
use crate::wal::index::{Index, Place};
use crate::wal::record::Kind;
use crate::wal::scan::Found;
use crate::wal::tail::Tail;

/// What a batch says of the one before it. A whole batch that says nothing says that there
/// was nothing.
fn directory_in(found: &Found) -> Option<Directory> {
    let mut records = found.records.iter();
    let record = records.find(|record| record.header.kind == Kind::Directory);
    let directory = record.map(Directory::parse);
    directory.or_else(|| found.is_whole.then(Directory::default))
}

/// A damaged batch that was not known before.
#[derive(Clone, Debug)]
pub struct NewDamage {
    /// Where it was, or what is left of it: one of these.
    pub segments: RangeInclusive<u64>,
    unknown: bool,
}

impl NewDamage {
    /// Nothing says what it was.
    const fn unknown(segments: RangeInclusive<u64>) -> NewDamage {
        NewDamage {
            segments,
            unknown: true,
        }
    }
}

/// Batches in their order, applied one behind the other.
pub struct Chain {
    /// What they leave of each group.
    pub index: Index,
    /// The first batch that counts.
    pub oldest: u64,
    /// The last whole batch: not applied yet, because a copy of it may follow.
    pub tail: Option<Found>,
    /// What is left of batches behind it.
    broken: Vec<Found>,
    /// The first batch of each segment.
    pub first_seq: BTreeMap<u64, u64>,
    /// Damaged batches without a scar.
    pub new_damage: BTreeMap<u64, NewDamage>,
    /// Damaged segments of which there is no copy.
    pub kept: BTreeSet<u64>,
    /// Something was cut off at the end.
    pub was_cut: bool,
    /// What a batch that was cut off said of the one before it, which is damaged.
    pub told: Option<Directory>,
    /// The batch behind everything, also behind what is damaged.
    pub next_seq: u64,
    batches: u64,
}

impl Chain {
    /// A chain that begins with batch `oldest`.
    pub fn new(oldest: u64, cache_bytes_max: usize) -> Chain {
        Chain {
            index: Index::new(cache_bytes_max),
            oldest,
            tail: None,
            broken: Vec::new(),
            first_seq: BTreeMap::new(),
            new_damage: BTreeMap::new(),
            kept: BTreeSet::new(),
            was_cut: false,
            told: None,
            next_seq: oldest,
            batches: 0,
        }
    }

    /// The last batch seen.
    pub fn last_seq(&self) -> u64 {
        let broken = self.broken.iter().map(|found| found.seq).max();
        let tail = self.tail.as_ref().map(|tail| tail.seq);
        broken.max(tail).unwrap_or(self.oldest.saturating_sub(1))
    }

    /// The next one in the order of the files.
    pub fn add(&mut self, found: Found, path: &Path) -> Result<(), Error> {
        if found
            .records
            .iter()
            .any(|record| record.header.kind == Kind::AppendByReference)
        {
            return Err(Error::Unusable {
                path: path.to_owned(),
                what: "entries by reference are of a later version".to_owned(),
            });
        }
        if !found.is_whole {
            self.broken.push(found);
            return Ok(());
        }
        self.batches += 1;
        let expected = self.tail.as_ref().map_or(self.oldest, |tail| tail.seq + 1);
        let previous = found.head.map(|head| head.previous);
        let follows = self
            .tail
            .as_ref()
            .is_none_or(|tail| Some(tail.hash) == previous);
        if found.seq > expected {
            self.lost(&found, expected)?;
        } else if found.seq == expected && follows {
            self.apply_tail()?;
        } else if found.seq == expected {
            // Not the batch that was there when this one was written.
            let unknown = NewDamage::unknown(self.segments_up_to(found.segment));
            self.new_damage.insert(expected - 1, unknown);
            self.apply_tail()?;
        } else if found.seq + 1 != expected {
            let unknown = NewDamage::unknown(found.segment..=found.segment);
            self.new_damage.insert(found.seq, unknown);
        }
        // What was broken in between was cut off when this one was written.
        self.broken.clear();
        self.tail = Some(found);
        Ok(())
    }

    /// From the last whole batch, or what is left of those behind it, to this segment.
    fn segments_up_to(&self, last: u64) -> RangeInclusive<u64> {
        let broken = self.broken.iter().map(|found| found.segment);
        let first = broken
            .chain(self.tail.as_ref().map(|tail| tail.segment))
            .min();
        first.unwrap_or(last).min(last)..=last
    }

    /// Batches from `first` up to `next` are damaged or missing.
    fn lost(&mut self, next: &Found, first: u64) -> Result<(), Error> {
        let segments = self.segments_up_to(next.segment);
        self.apply_tail()?;
        let mut broken = std::mem::take(&mut self.broken);
        broken.retain(|found| (first..next.seq).contains(&found.seq));
        // A gap of any length takes a bounded time: of what is further back nothing is known.
        for seq in first.max(next.seq.saturating_sub(SCARS_MAX as u64))..next.seq {
            let at = broken.iter().position(|found| found.seq == seq);
            let found = at.map(|at| broken.swap_remove(at));
            let told_by = if seq + 1 == next.seq {
                Some(next)
            } else {
                broken.iter().find(|found| found.seq == seq + 1)
            };
            let directory = told_by.and_then(directory_in);
            self.told.clone_from(&directory);
            let segment = found.as_ref().map_or(next.segment, |found| found.segment);
            let damage = NewDamage {
                segments: segments.clone(),
                unknown: directory.as_ref().is_none_or(|directory| directory.more),
            };
            self.new_damage.insert(seq, damage);
            self.salvage(found, directory, segment)?;
        }
        Ok(())
    }

    /// Applies what is left of a batch that was synced once, and notes what groups lost.
    fn salvage(
        &mut self,
        found: Option<Found>,
        directory: Option<Directory>,
        segment: u64,
    ) -> Result<(), Error> {
        let mut salvaged = Directory::default();
        if let Some(found) = &found {
            self.apply(found)?;
            for record in &found.records {
                salvaged.add(record.header);
            }
        }
        for (group, share) in directory.unwrap_or_default().groups {
            let left = salvaged.groups.get(&group);
            if left.is_some_and(|left| left.records == share.records) {
                continue;
            }
            if share.has(Kind::Append) {
                self.index.expect_entries(group, share.first, share.last);
            }
            let vote = share.has(Kind::Vote);
            let harmless = [Kind::Append, Kind::Vote, Kind::Purge, Kind::Committed];
            let unknown = share.has_others(&harmless);
            if vote || unknown || self.index.is_losing(group) {
                self.index.damage(group, vote, unknown, segment);
            }
        }
        Ok(())
    }

    fn apply_tail(&mut self) -> Result<(), Error> {
        match self.tail.take() {
            Some(tail) => self.apply(&tail),
            None => Ok(()),
        }
    }

    /// Applies a batch.
    pub fn apply(&mut self, found: &Found) -> Result<(), Error> {
        self.first_seq.entry(found.segment).or_insert(found.seq);
        self.next_seq = found.seq + 1;
        for record in &found.records {
            if let (Kind::Scar, Some(scar)) = (record.header.kind, Scar::parse(record)) {
                self.note_scar(scar, found.segment);
                continue;
            }
            let place = Place::Written {
                segment: found.segment,
                offset: found.offset + record.position,
            };
            self.index.replay(record, place, found.segment);
        }
        self.index.evict();
        Ok(())
    }

    /// Damage that was reported; all groups of that time are concerned if it is unknown.
    pub fn note_scar(&mut self, scar: Scar, segment: u64) {
        self.new_damage.remove(&scar.seq);
        if scar.unknown {
            for group in self.index.groups() {
                self.index.damage(group, true, true, segment);
            }
        }
    }

    /// Nothing follows: decides what the broken end is.
    pub fn finish(&mut self, report: &mut RecoveryReport) -> Result<(), Error> {
        report.batches = self.batches;
        let tail = self.tail.as_ref().map(|tail| tail.seq);
        let after = tail.map_or(self.oldest, |tail| tail + 1);
        self.next_seq = after;
        // The last batch is applied later; what it remembers is known now.
        for record in self.tail.iter().flat_map(|tail| &tail.records) {
            let is_scar = record.header.kind == Kind::Scar;
            if let Some(scar) = is_scar.then(|| Scar::parse(record)).flatten() {
                self.new_damage.remove(&scar.seq);
            }
        }
        let mut broken = std::mem::take(&mut self.broken);
        broken.retain(|found| found.seq >= after);
        broken.sort_by_key(|found| found.seq);
        let Some(last) = broken.pop() else {
            report.damage_unknown = self.new_damage.values().any(|new| new.unknown);
            return Ok(());
        };
        self.was_cut = true;
        if last.seq > after {
            // Something of a later batch proves that those before it were whole once.
            self.broken = broken;
            self.lost(&last, after)?;
            self.next_seq = last.seq;
        }
        if last.is_torn {
            report.torn = true;
        } else {
            let unknown = NewDamage::unknown(last.segment..=last.segment);
            self.new_damage.insert(last.seq, unknown);
        }
        report.damage_unknown = self.new_damage.values().any(|new| new.unknown);
        Ok(())
    }

    /// Holds the end that was found against the one that was noted.
    pub fn compare(&mut self, noted: Tail, last: u64, is_short: bool, report: &mut RecoveryReport) {
        if noted.seq < self.next_seq && !is_short {
            return;
        }
        self.was_cut = true;
        let seq = noted.seq.max(self.next_seq);
        let unknown = NewDamage::unknown(last..=last);
        self.new_damage.entry(seq).or_insert(unknown);
        report.torn = false;
        report.damage_unknown = true;
    }

    /// What to remember of new damage.
    pub fn scars(&self) -> Vec<Scar> {
        let mut scars: Vec<Scar> = (self.new_damage.iter())
            .map(|(seq, new)| Scar {
                seq: *seq,
                unknown: new.unknown,
            })
            .collect();
        if scars.len() > SCARS_MAX {
            scars.drain(..scars.len() - SCARS_MAX);
            scars[0].unknown = true;
        }
        scars
    }
}

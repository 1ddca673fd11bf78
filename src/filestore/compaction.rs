//! Writing a block anew without the messages that are gone.
//!
//! Separate because it is the only way in which bytes leave a block before all of it goes.
//!
//! The new file has the next generation in its name and is nobody's until a manifest names
//! it; the old one goes when no manifest does. A block is written anew because a message in
//! it was erased, or because most of it, or of a segment of the log that it keeps, is gone;
//! of the latter at most two for one checkpoint. A block that was written anew has all its
//! bytes itself. Where blocks end is not changed by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use super::block::{self, Block};
use super::format::{self, BLOCK_HEADER};
use super::reader::{AHEAD_MAX, Go, Walked};
use super::scan::{Follow, Met};
use super::{FileStore, disk};
use crate::store::error::Error;
use crate::vfs;

/// Blocks that one checkpoint writes anew only to save room.
const COMPACTED_MAX: usize = 2;

impl FileStore {
    /// Writes blocks anew that need it, as far as there is room: it is tried again with
    /// the next checkpoint.
    pub(super) fn compact(&mut self) -> Result<(), Error> {
        match self.try_compact() {
            Err(error) if vfs::is_full(&error) => Ok(()),
            compacted => compacted,
        }
    }

    fn try_compact(&mut self) -> Result<(), Error> {
        self.spread_erasing();
        let wasted = self.wasted_segment();
        let mut compacted = 0;
        for at in 0..self.blocks.len() {
            let block = &self.blocks[at];
            let wastes = wasted.is_some_and(|segment| block.links.contains(&segment));
            let facts = &block.facts;
            let gains =
                facts.dead_bytes >= self.options.gain_bytes_min && facts.dead_bytes > facts.len / 2;
            let saves = (gains || wastes) && block.holes.is_empty() && compacted < COMPACTED_MAX;
            if block.wants_erasing {
                self.rewrite(at)?;
            } else if saves {
                compacted += 1;
                self.rewrite(at)?;
            }
        }
        Ok(())
    }

    /// An erased message may lie in a segment: all blocks that keep it let go of it.
    fn spread_erasing(&mut self) {
        let erasing = self.blocks.iter().filter(|block| block.wants_erasing);
        let segments: BTreeSet<u64> = erasing.flat_map(|block| block.links.clone()).collect();
        for block in &mut self.blocks {
            let keeps = block.links.iter().any(|link| segments.contains(link));
            block.wants_erasing |= keeps;
        }
    }

    /// The segment that is kept for the least, if all that are kept together are more than
    /// twice what is used of them, and one.
    fn wasted_segment(&self) -> Option<u64> {
        let (segment_bytes, current) = self.log.as_ref()?.segment();
        let mut used: BTreeMap<u64, u64> = BTreeMap::new();
        for block in &self.blocks {
            let live = block.facts.len.saturating_sub(block.facts.dead_bytes);
            for link in block.links.iter().filter(|link| **link != current) {
                *used.entry(*link).or_default() += live / block.links.len() as u64;
            }
        }
        let kept = segment_bytes.saturating_mul(used.len() as u64);
        let all: u64 = used.values().sum();
        let least = used.into_iter().min_by_key(|(_, used)| *used);
        let wastes = kept > all.saturating_mul(2).saturating_add(segment_bytes);
        least.filter(|_| wastes).map(|(segment, _)| segment)
    }

    /// Writes a block anew. Bytes that cannot be read are not in the new file; they were
    /// kept aside when they were found.
    fn rewrite(&mut self, at: usize) -> Result<(), Error> {
        self.flush()?;
        for _ in 0..3 {
            self.look_through(at)?;
            let facts = &self.blocks[at].facts;
            let name = block::name(facts.base, facts.generation + 1);
            let rewritten = self.try_rewrite(at).inspect_err(|_| {
                // What was begun takes up room; if it stays, the next start removes it.
                let _ = self.vfs.remove(&self.dir.join(name));
            });
            if rewritten? {
                return Ok(());
            }
            self.blocks[at].marks = None;
        }
        let facts = &self.blocks[at].facts;
        Err(Error::Damaged {
            first: facts.base,
            last: facts.last,
        })
    }

    fn try_rewrite(&mut self, at: usize) -> Result<bool, Error> {
        let old = &self.blocks[at].facts;
        let mut facts = old.clone();
        facts.generation += 1;
        facts.len = BLOCK_HEADER as u64;
        facts.dead_bytes = 0;
        let path = self.dir.join(block::name(facts.base, facts.generation));
        let file = self.vfs.open(&path, vfs::MODE_PRIVATE);
        let file = file.map_err(disk("open a block"))?;
        // A file of that name may be left from before a crash.
        file.set_len(0).map_err(disk("cut a block"))?;
        let mut marks = Vec::new();
        let mut pending = format::block_header(facts.base).to_vec();
        let mut start = 0;
        let mut failed = None;
        let (ledger, lost) = self.take_books();
        let mut follow = Follow::new(&ledger, &lost, facts.base);
        let walked = self.walk(at, BLOCK_HEADER as u64, &mut |_, header, record| {
            match follow.meet(header.seq) {
                Met::Other => return Go::On,
                Met::Message if format::is_intact(record) => {}
                Met::Message | Met::Gap => return Go::Damaged,
            }
            follow.next = header.seq.next();
            block::mark(&mut marks, facts.base, header.seq, facts.len);
            pending.extend_from_slice(record);
            facts.len += record.len() as u64;
            if pending.len() >= AHEAD_MAX {
                failed = file.write_at(start, &pending).err();
                start += pending.len() as u64;
                pending.clear();
            }
            if failed.is_some() { Go::Stop } else { Go::On }
        });
        let is_complete = follow.is_complete(facts.last.next());
        (self.ledger, self.lost) = (ledger, lost);
        if walked? == Walked::Damaged || (failed.is_none() && !is_complete) {
            return Ok(false);
        }
        let written = match failed {
            Some(error) => Err(error),
            None => file.write_at(start, &pending),
        };
        written.map_err(disk("write a block"))?;
        self.note_dirty(&file);
        let lost_bytes = self.blocks[at].lost_bytes;
        let new = Block {
            facts,
            hash: Arc::new(OnceLock::new()),
            file: Some(file),
            stitched: None,
            is_to_stitch: false,
            links: Vec::new(),
            extents: Vec::new(),
            is_missing: false,
            is_replaced: false,
            marks: Some(marks),
            holes: Vec::new(),
            lost_bytes,
            wants_erasing: false,
            unwritten: Vec::new(),
        };
        if at + 1 == self.blocks.len() {
            self.hasher = None;
        }
        let old = std::mem::replace(&mut self.blocks[at], new);
        self.retire(&old);
        Ok(true)
    }
}

//! One block: a file of records, and what is known of it without reading it.
//!
//! Separate because appending, reading, compaction and checkpoints all look at blocks.
//!
//! A block is sealed at the same record on every replica: [`Facts::takes`] asks only what
//! was ever appended, never what is left of it. While it is being appended to, its last
//! bytes are in the store's buffer.
//!
//! Invariants: records ascend by sequence; `marks` holds the first record and then one at
//! least every [`MARK_BYTES`]; a block without marks was not looked through since it was
//! opened.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use twox_hash::XxHash3_128;

use super::format::{self, BLOCK_HEADER};
use super::stitched::{Extent, Stitched, link_name};
use crate::clock::Timestamp;
use crate::store::message::Seq;
use crate::vfs::File;

/// Bytes between two marks, about.
pub const MARK_BYTES: u64 = 4096;
/// The most records in a block.
pub const RECORDS_MAX: u64 = 1 << 20;
/// The most sequences between the first and the last record of a block.
const SPAN_MAX: u64 = 1 << 32;

/// The XXH3 of a sealed block's file, 128 bits: tells what rotted, proves nothing against
/// somebody who wants it to match.
pub type Hash = [u8; 16];

/// Computes a [`type@Hash`] of bytes that come one after the other.
#[derive(Default)]
pub struct Hasher(XxHash3_128);

impl Hasher {
    /// Takes the next bytes of the file.
    pub fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// The hash of all bytes taken.
    pub fn finish(&self) -> Hash {
        self.0.finish_128().to_be_bytes()
    }
}

/// One block.
pub struct Block {
    /// The figures, as the manifest has them.
    pub facts: Facts,
    /// The file's hash, once somebody has computed it.
    pub hash: Arc<OnceLock<Hash>>,
    /// The file, if it is open.
    pub file: Option<Arc<dyn File>>,
    /// How it is appended to, if it is open and leaves payloads in the log.
    pub stitched: Option<Arc<Stitched>>,
    /// The file that is to be made will leave payloads in the log.
    pub is_to_stitch: bool,
    /// Segments of the log that it keeps; ascending.
    pub links: Vec<u64>,
    /// What of the end that is not in the file yet need not be written.
    pub extents: Vec<Extent>,
    /// The file was not there when the store was opened.
    pub is_missing: bool,
    /// The file that the manifest names was not there, and a later one of the same block
    /// serves; messages that are not in it are lost.
    pub is_replaced: bool,
    /// Where records are; none before the block was looked through.
    pub marks: Option<Vec<Mark>>,
    /// Parts of the file without readable records, ascending: start and end.
    pub holes: Vec<(u64, u64)>,
    /// Bytes, as a stream counts them, of messages that cannot be read.
    pub lost_bytes: u64,
    /// A message is to be wiped out at the next checkpoint.
    pub wants_erasing: bool,
    /// The end of a sealed block that found no room on the disk yet.
    pub unwritten: Vec<u8>,
}

/// What is known of a block without its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The first sequence ever appended to it; names the file.
    pub base: Seq,
    /// How often the file was written anew; names the file.
    pub generation: u64,
    /// The last sequence ever appended to it.
    pub last: Seq,
    /// Nothing is appended any more.
    pub is_sealed: bool,
    /// Bytes of the file.
    pub len: u64,
    /// Bytes ever appended; decides about sealing.
    pub appended_bytes: u64,
    /// Records ever appended; decides about sealing.
    pub appended: u64,
    /// Messages that are there.
    pub live: u64,
    /// Their bytes, as a stream counts them.
    pub live_bytes: u64,
    /// Bytes of the file that belong to messages that are gone.
    pub dead_bytes: u64,
    /// No message ever appended is later.
    pub time_max: Timestamp,
}

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its sequence, from the block's base.
    pub seq: u32,
    /// The place in the file.
    pub offset: u32,
}

impl Facts {
    /// Whether another record belongs into this block.
    pub fn takes(&self, seq: Seq, record_len: usize, block_bytes: u64) -> bool {
        !self.is_sealed
            && seq.0 - self.base.0 < SPAN_MAX
            && self.appended < RECORDS_MAX
            && (self.appended == 0 || self.appended_bytes + record_len as u64 <= block_bytes)
    }

    /// Counts a record in that was put at the end.
    pub fn count_in(&mut self, seq: Seq, time: Timestamp, record_len: usize, size: u64) {
        self.last = seq;
        self.len += record_len as u64;
        self.appended_bytes += record_len as u64;
        self.appended += 1;
        self.live += 1;
        self.live_bytes += size;
        self.time_max = self.time_max.max(time);
    }
}

impl Block {
    /// A block that begins with this sequence; its file is still to be made.
    pub fn new(base: Seq) -> Self {
        let facts = Facts {
            base,
            generation: 0,
            last: base,
            is_sealed: false,
            len: BLOCK_HEADER as u64,
            appended_bytes: 0,
            appended: 0,
            live: 0,
            live_bytes: 0,
            dead_bytes: 0,
            time_max: Timestamp::from_unix_nanos(i64::MIN),
        };
        Block {
            marks: Some(Vec::new()),
            ..Block::known(facts, None)
        }
    }

    /// A block that a manifest names.
    pub fn known(facts: Facts, hash: Option<Hash>) -> Self {
        Block {
            facts,
            hash: Arc::new(hash.map_or_else(OnceLock::new, OnceLock::from)),
            file: None,
            stitched: None,
            is_to_stitch: false,
            links: Vec::new(),
            extents: Vec::new(),
            is_missing: false,
            is_replaced: false,
            marks: None,
            holes: Vec::new(),
            lost_bytes: 0,
            wants_erasing: false,
            unwritten: Vec::new(),
        }
    }

    /// Counts a record in that was put at the end.
    pub fn appended(&mut self, seq: Seq, time: Timestamp, record_len: usize, size: u64) {
        let (base, offset) = (self.facts.base, self.facts.len);
        self.facts.count_in(seq, time, record_len, size);
        if let Some(marks) = &mut self.marks {
            mark(marks, base, seq, offset);
        }
    }

    /// Counts a message out.
    pub fn removed(&mut self, record_len: usize, size: u64, erase: bool) {
        self.facts.live -= 1;
        self.facts.live_bytes -= size;
        self.facts.dead_bytes += record_len as u64;
        self.wants_erasing |= erase;
    }

    /// Where to begin to look for a sequence: at or before its record.
    pub fn offset_before(&self, seq: Seq) -> u64 {
        let marks = self.marks.as_deref().unwrap_or_default();
        let delta = seq.0.saturating_sub(self.facts.base.0);
        let behind = marks.partition_point(|mark| u64::from(mark.seq) <= delta);
        let before = behind.saturating_sub(1);
        marks
            .get(before)
            .map_or(BLOCK_HEADER as u64, |mark| u64::from(mark.offset))
    }

    /// The file's name.
    pub fn name(&self) -> String {
        name(self.facts.base, self.facts.generation)
    }

    /// Closes the file.
    pub fn close(&mut self) {
        self.file = None;
        self.stitched = None;
    }

    /// The names of the segments that it keeps.
    pub fn link_names(&self) -> impl Iterator<Item = String> {
        let name = self.name();
        self.links
            .iter()
            .map(move |segment| link_name(&name, *segment))
    }

    /// The file's path.
    pub fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.name())
    }
}

/// Adds a mark for a record if the last one is far enough.
pub fn mark(marks: &mut Vec<Mark>, base: Seq, seq: Seq, offset: u64) {
    let far = |last: &Mark| offset - u64::from(last.offset) >= MARK_BYTES;
    if marks.last().is_none_or(far) {
        let delta = u32::try_from(seq.0 - base.0);
        // A file of 4 GiB would need a record beyond any limit: no mark, slower search.
        if let (Ok(seq), Ok(offset)) = (delta, u32::try_from(offset)) {
            marks.push(Mark { seq, offset });
        }
    }
}

/// The name of a block file.
pub fn name(base: Seq, generation: u64) -> String {
    format!("block-{:016x}-{generation}", base.0)
}

/// The inverse of [`name`].
pub fn parse_name(text: &str) -> Option<(Seq, u64)> {
    let (base, generation) = text.strip_prefix("block-")?.split_once('-')?;
    let parsed = (
        Seq(u64::from_str_radix(base, 16).ok()?),
        generation.parse().ok()?,
    );
    (name(parsed.0, parsed.1) == text).then_some(parsed)
}

/// A whole, readable record, where it begins, or a part of the file without any.
pub enum Part<'a> {
    /// A record: its place and its bytes.
    Record(u64, format::RecordHeader, &'a [u8]),
    /// Start and end of what is no record.
    Hole(u64, u64),
}

/// Goes through the bytes of a whole block file, of which `len` are expected, and tells all
/// parts in order. Behind a hole the next intact record that may follow is looked for.
pub fn parts<'a>(bytes: &'a [u8], facts: &Facts, each: &mut dyn FnMut(Part<'a>)) {
    let bytes = &bytes[..bytes.len().min(facts.len as usize)];
    let mut at = BLOCK_HEADER;
    let mut last = Seq(facts.base.0.saturating_sub(1));
    let record_at = |at: usize, last: Seq| {
        let rest = bytes.get(at..)?;
        let header = format::record_header(rest)?;
        let record = rest.get(..header.len)?;
        let follows = header.seq > last && header.seq <= facts.last;
        (follows && format::is_intact(record)).then_some((header, record))
    };
    while (at as u64) < facts.len {
        if let Some((header, record)) = record_at(at, last) {
            each(Part::Record(at as u64, header, record));
            last = header.seq;
            at += header.len;
            continue;
        }
        // Mostly the length is right and something behind it is not. Where it is not, every
        // place is tried.
        let told = bytes.get(at..).and_then(format::record_header);
        let told = told.map_or(at + 1, |header| at + header.len);
        let mut places = std::iter::once(told).chain(at + 1..bytes.len());
        let next = places.find(|next| record_at(*next, last).is_some());
        let end = next.map_or(facts.len, |next| next as u64);
        each(Part::Hole(at as u64, end));
        at = end as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for (base, generation) in [(1, 0), (u64::MAX, 17)] {
            let text = name(Seq(base), generation);
            assert_eq!(parse_name(&text), Some((Seq(base), generation)));
        }
        for text in [
            "block-1-0",
            "block-0000000000000001-01",
            "block-",
            "x",
            "block-zz-1",
        ] {
            assert_eq!(parse_name(text), None, "{text}");
        }
    }

    #[test]
    fn blocks_are_sealed_by_what_was_appended() {
        let mut block = Block::new(Seq(5));
        assert!(
            block.facts.takes(Seq(5), 10_000, 100),
            "one record always fits"
        );
        block.appended(Seq(5), Timestamp::default(), 60, 1);
        block.removed(60, 1, true);
        assert!(block.facts.takes(Seq(6), 40, 100) && !block.facts.takes(Seq(6), 41, 100));
        assert!(!block.facts.takes(Seq(5 + SPAN_MAX), 1, 100));
    }

    #[test]
    fn marks_lie_apart() {
        let mut block = Block::new(Seq(1));
        for seq in 1..=1000 {
            block.appended(Seq(seq), Timestamp::default(), 100, 1);
        }
        let marks = block.marks.as_ref().unwrap();
        assert_eq!(marks.len(), 1000usize.div_ceil(41));
        assert_eq!(block.offset_before(Seq(1)), BLOCK_HEADER as u64);
        assert_eq!(block.offset_before(Seq(43)), BLOCK_HEADER as u64 + 4100);
    }
}

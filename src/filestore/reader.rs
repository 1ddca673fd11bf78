//! Reading records: small windows onto block files, and the ends that were written last.
//!
//! Separate because every read goes through here: a window is a part of a file that was
//! read lately; reading on where a window ends reads ahead, up to [`AHEAD_MAX`].
//!
//! Invariants: at most four windows, and a mebibyte of ends; a window is never of bytes that
//! may still change, because files only grow and what grows is read from the store's buffer.
//! Absent: what is deleted; that is for the caller to know.

use std::collections::VecDeque;

use super::block::Block;
use super::format::{self, RECORD_HEADER, RecordHeader};
use crate::store::message::Seq;
use crate::vfs::{self, File};

/// Windows kept at once.
const WINDOWS: usize = 4;
/// Bytes of ends of blocks that are kept when they are written.
const ENDS_BYTES: usize = 1 << 20;
/// What is read at a place that was not read before.
const AHEAD_MIN: usize = 8 * 1024;
/// What is read at once at most, but for a single record.
pub const AHEAD_MAX: usize = 256 * 1024;

/// Windows onto block files.
#[derive(Debug, Default)]
pub struct Reader {
    /// The one used last is at the end.
    windows: Vec<Window>,
    /// What was written last, where reading it back would take the disk.
    ends: VecDeque<Window>,
}

#[derive(Debug, Default)]
struct Window {
    base: Seq,
    generation: u64,
    start: u64,
    bytes: Vec<u8>,
}

/// What is being read.
pub struct Source<'a> {
    /// The block.
    pub block: &'a Block,
    /// Its file; none if nothing was written to it yet.
    pub file: Option<&'a dyn File>,
    /// The bytes that are not in the file yet, at its end.
    pub buffer: &'a [u8],
}

/// What a visitor of records wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// The next record.
    On,
    /// No more.
    Stop,
    /// This record is not what was written.
    Damaged,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walked {
    /// All records were visited.
    Whole,
    /// The visitor wanted no more.
    Stopped,
    /// Something in the file is no record.
    Damaged,
}

impl Reader {
    /// Gives all memory back.
    pub fn rest(&mut self) {
        self.windows = Vec::new();
        self.ends = VecDeque::new();
    }

    /// Keeps what was just written to a block's file, from `start` on; a buffer for what
    /// comes next.
    pub fn keep(&mut self, block: &Block, start: u64, bytes: Vec<u8>) -> Vec<u8> {
        let mut free = Vec::new();
        while self.ends_bytes() + bytes.len() > ENDS_BYTES {
            let Some(oldest) = self.ends.pop_front() else {
                // Too large by itself.
                return Vec::new();
            };
            free = oldest.bytes;
            free.clear();
        }
        self.ends.push_back(Window {
            base: block.facts.base,
            generation: block.facts.generation,
            start,
            bytes,
        });
        free
    }

    /// Bytes of ends that are kept.
    pub(super) fn ends_bytes(&self) -> usize {
        self.ends.iter().map(|end| end.bytes.len()).sum()
    }

    /// Visits the records from the place on, in order. The visitor checks those it uses
    /// with [`format::is_intact`].
    pub fn walk(
        &mut self,
        source: &Source<'_>,
        mut offset: u64,
        each: &mut dyn FnMut(u64, &RecordHeader, &[u8]) -> Go,
    ) -> Result<Walked, vfs::Error> {
        let facts = &source.block.facts;
        let flushed = facts.len - source.buffer.len() as u64;
        let mut holes = source.block.holes.iter().peekable();
        while offset < facts.len {
            while let Some(hole) = holes.next_if(|hole| hole.0 <= offset) {
                offset = offset.max(hole.1);
            }
            if offset >= facts.len {
                break;
            }
            let mut bytes = if offset >= flushed {
                source
                    .buffer
                    .get((offset - flushed) as usize..)
                    .unwrap_or_default()
            } else {
                self.bytes(source, flushed, offset, RECORD_HEADER)?
            };
            let Some(header) = format::record_header(bytes) else {
                return Ok(Walked::Damaged);
            };
            if offset + header.len as u64 > facts.len {
                return Ok(Walked::Damaged);
            }
            if bytes.len() < header.len && offset < flushed {
                bytes = self.bytes(source, flushed, offset, header.len)?;
            }
            let Some(record) = bytes.get(..header.len) else {
                return Ok(Walked::Damaged);
            };
            match each(offset, &header, record) {
                Go::On => offset += header.len as u64,
                Go::Stop => return Ok(Walked::Stopped),
                Go::Damaged => return Ok(Walked::Damaged),
            }
        }
        Ok(Walked::Whole)
    }

    /// Bytes of the file from `offset` on, at least `need` of them if there are so many.
    fn bytes(
        &mut self,
        source: &Source<'_>,
        flushed: u64,
        offset: u64,
        need: usize,
    ) -> Result<&[u8], vfs::Error> {
        let facts = &source.block.facts;
        let need = need.min((flushed - offset) as usize);
        let is_same =
            |window: &Window| window.base == facts.base && window.generation == facts.generation;
        let covers = |window: &Window| {
            is_same(window)
                && window.start <= offset
                && offset + need as u64 <= window.start + window.bytes.len() as u64
        };
        if let Some(end) = self.ends.iter().rposition(covers) {
            let window = &self.ends[end];
            return Ok(&window.bytes[(offset - window.start) as usize..]);
        }
        let at = match self.windows.iter().rposition(covers) {
            Some(at) => at,
            None => {
                let reads_on = |window: &Window| {
                    let end = window.start + window.bytes.len() as u64;
                    is_same(window) && window.start < offset && offset <= end
                };
                let before = self.windows.iter().rposition(reads_on);
                let ahead = match before {
                    Some(at) => (self.windows[at].bytes.len() * 2).min(AHEAD_MAX),
                    None => AHEAD_MIN,
                };
                let mut window = match before {
                    Some(at) => self.windows.remove(at),
                    None if self.windows.len() < WINDOWS => Window::default(),
                    None => self.windows.remove(0),
                };
                let len = ahead.max(need).min((flushed - offset) as usize);
                if window.bytes.capacity() > AHEAD_MAX && len <= AHEAD_MAX {
                    window.bytes = Vec::new();
                }
                window.bytes.resize(len, 0);
                (window.base, window.generation) = (facts.base, facts.generation);
                window.start = offset;
                let read = match source.file {
                    Some(file) => file.read_at(offset, &mut window.bytes)?,
                    None => 0,
                };
                window.bytes.truncate(read);
                self.windows.push(window);
                self.windows.len() - 1
            }
        };
        if at + 1 < self.windows.len() {
            let window = self.windows.remove(at);
            self.windows.push(window);
        }
        let window = self.windows.last().expect("one was pushed or found");
        Ok(&window.bytes[(offset - window.start) as usize..])
    }
}

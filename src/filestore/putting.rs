//! From the figures to blocks: where a message is put that counts already.
//!
//! Separate because not every message goes the same way. Most are copied into the buffer at
//! once. Those that wait ([`super::pending`]) are copied when somebody looks into blocks; if
//! nobody has by the time there are many, the block only says where the log has them.
//!
//! Invariants: messages get into blocks in order; one that is told by its place is counted in
//! once that stands in the block's file. Absent: when the buffer is written.

use super::block::Block;
use super::from_log::FromLog;
use super::pending::{Pending, Place};
use super::stitched::{self, Extent};
use super::{FileStore, disk, format, size_of};
use crate::store::error::Error;
use crate::store::message::MessageRef;
use crate::vfs;

/// Bytes of messages that are put at once when nobody wants to see them.
const STEP_BYTES: usize = 512 << 10;

impl FileStore {
    /// Puts all messages that wait into blocks: whoever looks into these comes here first.
    pub(super) fn put_all(&mut self) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut pending = std::mem::take(&mut self.pending);
        let mut result = Ok(());
        while result.is_ok() && !pending.is_empty() {
            result = self.put_first(&mut pending);
        }
        self.pending = pending;
        result
    }

    /// Puts some of those that wait longest into blocks.
    pub(super) fn put_some(&mut self) -> Result<(), Error> {
        let mut pending = std::mem::take(&mut self.pending);
        let until = pending.bytes().saturating_sub(STEP_BYTES);
        let mut result = Ok(());
        while result.is_ok() && pending.bytes() > until {
            result = match self.put_by_place(&mut pending, until) {
                Ok(false) => self.put_first(&mut pending),
                put => put.map(|_| ()),
            };
        }
        self.pending = pending;
        result
    }

    /// Copies the first message that waits into a block.
    fn put_first(&mut self, pending: &mut Pending) -> Result<(), Error> {
        let Some((message, place)) = pending.first() else {
            return Ok(());
        };
        // It was appended: there is such a record.
        let len = format::record_len(message).unwrap_or_default();
        self.put(message, len, Some(place))?;
        pending.pop();
        self.flush_if_full()
    }

    /// Copies a message into the last block, or a new one.
    pub(super) fn put(
        &mut self,
        message: MessageRef<'_>,
        len: usize,
        place: Option<Place>,
    ) -> Result<(), Error> {
        let block_bytes = self.options.block_bytes;
        let takes = |block: &Block| block.facts.takes(message.seq, len, block_bytes);
        if !self.blocks.back().is_some_and(takes) {
            self.seal()?;
            let is_useful = self.log.as_ref().is_some_and(FromLog::is_useful);
            self.blocks.push_back(Block {
                is_to_stitch: place.is_some() || is_useful,
                ..Block::new(message.seq)
            });
            self.hasher = Some(Box::default());
            let header = format::block_header(message.seq);
            self.buffer.extend_from_slice(&header);
        }
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(4096.max(len));
        }
        format::put_record(&mut self.buffer, message, len);
        if let Some(block) = self.blocks.back_mut() {
            block.appended(message.seq, message.time, len, counted(message));
        }
        if let Some(place) = place
            && self.keep_segment(place)
            && let Some(block) = self.blocks.back_mut()
        {
            let end = block.facts.len;
            block.extents.push(extent(message, place, end));
        }
        Ok(())
    }

    /// Puts messages into the last block by their places alone, one at least, until no more
    /// than `until` bytes wait. False if that cannot be: nothing was put then.
    fn put_by_place(&mut self, pending: &mut Pending, until: usize) -> Result<bool, Error> {
        let block_bytes = self.options.block_bytes;
        let Some(at) = self.blocks.len().checked_sub(1) else {
            return Ok(false);
        };
        let is_stitched = self.blocks[at].is_to_stitch || self.blocks[at].stitched.is_some();
        let first = pending.first().map(|(message, _)| message);
        let fits = first.is_some_and(|message| {
            let len = format::record_len(message).unwrap_or_default();
            self.blocks[at].facts.takes(message.seq, len, block_bytes)
        });
        if !is_stitched || !fits {
            return Ok(false);
        }
        // What is before it in the block comes first in the file.
        self.flush()?;
        if !self.unwritten(at).is_empty() {
            return Ok(false);
        }
        let file = match self.file_to_write(at) {
            Err(error) if vfs::is_full(&error) => return Ok(false),
            file => file?,
        };
        let Some(stitched) = self.blocks[at].stitched.clone() else {
            return Ok(false);
        };
        let mut facts = self.blocks[at].facts.clone();
        let start = facts.len;
        let mut here = std::mem::take(&mut self.buffer);
        let mut extents: Vec<Extent> = Vec::new();
        let mut left = pending.bytes();
        for (message, place) in pending.iter() {
            let len = format::record_len(message).unwrap_or_default();
            let is_more = left > until && facts.takes(message.seq, len, block_bytes);
            if !is_more || !self.keep_segment(place) {
                break;
            }
            format::put_head(&mut here, message, len);
            facts.count_in(message.seq, message.time, len, counted(message));
            extents.push(extent(message, place, facts.len));
            left -= super::pending::bytes(message);
        }
        let written = match extents.is_empty() {
            true => Ok(false),
            false => stitched
                .append_here(start, facts.len - start, &here, &extents)
                .map(|()| true),
        };
        let is_written = matches!(written, Ok(true));
        if is_written {
            self.note_dirty(&file);
            self.count_in(pending, &here, &extents);
        }
        here.clear();
        self.buffer = here;
        match written {
            // They stay in memory, copied.
            Err(error) if vfs::is_full(&error) => Ok(false),
            written => written.map_err(disk("write a block")),
        }
    }

    /// The first messages that wait are in the last block's file.
    fn count_in(&mut self, pending: &mut Pending, here: &[u8], extents: &[Extent]) {
        let mut heads = here;
        for _ in extents {
            let (Some((message, _)), Some(block)) = (pending.first(), self.blocks.back_mut())
            else {
                return;
            };
            let len = format::record_len(message).unwrap_or_default();
            let (head, rest) = heads.split_at(len - message.payload.len());
            heads = rest;
            if let Some(hasher) = &mut self.hasher {
                hasher.write(head);
                hasher.write(message.payload);
            }
            block.appended(message.seq, message.time, len, counted(message));
            pending.pop();
        }
    }

    /// Whether the last block may say of a payload that the log has it there: for good then.
    fn keep_segment(&mut self, (segment, _): Place) -> bool {
        // Whoever writes the block says what is wrong.
        if self.make_directory().is_err() {
            return false;
        }
        let (Some(log), Some(block)) = (&mut self.log, self.blocks.back_mut()) else {
            return false;
        };
        if !block.is_to_stitch && block.stitched.is_none() {
            return false;
        }
        if !block.links.contains(&segment) {
            let name = stitched::link_name(&block.name(), segment);
            if !log.keep(segment, &self.dir.join(name)) {
                return false;
            }
            block.links.push(segment);
        }
        true
    }
}

/// The payload of a message whose record ends there.
fn extent(message: MessageRef<'_>, (segment, offset): Place, end: u64) -> Extent {
    Extent {
        at: end - message.payload.len() as u64,
        len: message.payload.len() as u32,
        segment,
        offset,
    }
}

/// What the message counts in the stream.
fn counted(message: MessageRef<'_>) -> u64 {
    let MessageRef {
        subject,
        headers,
        payload,
        ..
    } = message;
    size_of(subject.len(), headers.len(), payload.len())
}

//! Payloads from the disk, whose pages are checked as they are read.
//!
//! Separate because reading happens without any lock: a segment may be recycled meanwhile,
//! and then the pages are no longer those of the segment, which the caller sees as
//! [`ReadError::Changed`] and asks the index again.
//!
//! Invariant: nothing is returned whose checksum is wrong.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::vfs::{self, File};
use crate::wal::page::{self, CONTENT, PAGE};

/// Pages read ahead at once.
const WINDOW: u64 = 64 * PAGE as u64;
/// Behind them the disk is told of so much, once it is read one behind the other:
const AHEAD: u64 = 1 << 20;
/// with gaps of this size, for what is no payload.
const GAP: u64 = 4 * PAGE as u64;

/// Why a payload could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A page is not what was written there: rotten, or the segment's next life.
    #[error("page changed")]
    Changed,
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] vfs::Error),
}

/// Reads payloads of one segment, mostly one behind the other.
pub struct Reader {
    segment: u64,
    file: Arc<dyn File>,
    /// Opened pages from `start` on.
    window: Vec<u8>,
    start: u64,
}

impl Reader {
    /// Of this segment.
    pub fn new(segment: u64, file: Arc<dyn File>) -> Reader {
        Reader {
            segment,
            file,
            window: Vec::new(),
            start: 0,
        }
    }

    /// Which segment it reads.
    pub const fn segment(&self) -> u64 {
        self.segment
    }

    /// The `len` bytes of content from `offset` on.
    ///
    /// # Errors
    /// When they are not there as they were written.
    pub fn read(&mut self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        let mut payload = BytesMut::zeroed(len);
        self.read_into(offset, &mut payload)?;
        Ok(payload.freeze())
    }

    /// As [`Reader::read`], into a buffer, of which some may be filled if this fails.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn read_into(&mut self, offset: u64, into: &mut [u8]) -> Result<(), ReadError> {
        let mut at = offset;
        let mut done = 0;
        while done < into.len() {
            let page = self.page(at / PAGE as u64 * PAGE as u64, into.len() - done)?;
            let from = (at % PAGE as u64) as usize;
            let part = (PAGE - from).min(into.len() - done);
            into[done..done + part].copy_from_slice(&page[from..from + part]);
            done += part;
            at = (at / PAGE as u64 + 1) * PAGE as u64 + CONTENT as u64;
        }
        Ok(())
    }

    /// The opened page that begins at `start`, read with those behind it: with more of them
    /// each time that it goes on where the ones before ended.
    fn page(&mut self, start: u64, wanted: usize) -> Result<&[u8], ReadError> {
        let before = self.window.len() as u64;
        let known = self.start..self.start + before;
        if !known.contains(&start) {
            let wanted = (wanted as u64).next_multiple_of(PAGE as u64) + PAGE as u64;
            let wanted = wanted.clamp(4 * PAGE as u64, WINDOW);
            let goes_on = before > 0 && (known.end..=known.end + GAP).contains(&start);
            let bytes = match goes_on {
                true => wanted.max((2 * before).min(WINDOW)),
                false => wanted,
            };
            self.fill(start, bytes)?;
            if goes_on {
                let end = self.start + self.window.len() as u64;
                self.file.will_read(end, (4 * bytes).min(AHEAD));
            }
        }
        let at = (start - self.start) as usize;
        let page = self.window.get(at..at + PAGE);
        page.ok_or(ReadError::Changed)
    }

    fn fill(&mut self, start: u64, bytes: u64) -> Result<(), ReadError> {
        self.window.clear();
        self.window.resize(bytes as usize, 0);
        self.start = start;
        let read = self.file.read_at(start, &mut self.window)?;
        self.window.truncate(read / PAGE * PAGE);
        let salt = page::salt(self.segment);
        let mut good = 0;
        for page in self.window.chunks_exact_mut(PAGE) {
            if page::identify(page, salt).is_none() {
                break; // only an error if somebody wants it
            }
            page::open(page);
            good += PAGE;
        }
        self.window.truncate(good);
        if good == 0 {
            return Err(ReadError::Changed);
        }
        Ok(())
    }
}

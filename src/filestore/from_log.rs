//! What the log has written of the entry that is being applied, so that it need not be
//! written again.
//!
//! Separate because the rest of the store does not know of entries. A payload that is a
//! slice of the entry stays in the log's segment, which is kept for it ([`super::stitched`]);
//! that is worth it for large payloads of a stream that has most of the segment for itself:
//! others would keep segments for little.
//!
//! Invariant: a place that is told holds the same bytes for as long as the segment has the
//! name that it was given. Absent: files; what is written.

use std::io::ErrorKind;
use std::path::Path;

use bytes::Bytes;

use super::Options;
use super::pending::Place;
use crate::wal::page::content_after;
use crate::wal::{GroupId, Lies, Wal};

/// The entries of one stream in the log.
pub struct FromLog {
    wal: Wal,
    group: GroupId,
    /// Payloads with fewer bytes are written again.
    bytes_min: usize,
    /// So many bytes of a segment are most of it.
    most: u64,
    /// The payload appended last was large enough.
    had_large: bool,
    /// The disk does not give a file two names.
    is_refused: bool,
    /// The entry that is being applied, and where it begins.
    entry: Option<(Bytes, Lies)>,
    /// The segment that the last entry lies in, and how much of it is this stream's.
    segment: u64,
    mine: u64,
    /// Most of the segment before was.
    had_most: bool,
}

impl FromLog {
    /// The entries of a group.
    pub fn new(wal: Wal, group: GroupId, options: &Options) -> FromLog {
        FromLog {
            bytes_min: options.kept_bytes_min,
            most: wal.segment_bytes() * options.kept_percent_min / 100,
            wal,
            group,
            had_large: false,
            is_refused: false,
            entry: None,
            segment: 0,
            mine: 0,
            had_most: false,
        }
    }

    /// The entry is going to be applied; whether payloads of it may stay where they are.
    /// Nobody knows yet how large they are: the last one before tells.
    pub fn begin(&mut self, index: u64, bytes: &Bytes) -> bool {
        self.entry = None;
        let Some(lies) = self.wal.place(self.group, index) else {
            return false;
        };
        if lies.segment != self.segment {
            let follows = lies.segment > self.segment;
            self.had_most = follows && self.mine >= self.most;
            (self.segment, self.mine) = (lies.segment, 0);
        }
        self.mine += u64::from(lies.len);
        let is_worth_it = self.had_most && self.had_large && !self.is_refused;
        if is_worth_it && lies.len as usize == bytes.len() {
            self.entry = Some((bytes.clone(), lies));
        }
        self.entry.is_some()
    }

    /// Payloads may stay where they are.
    pub fn is_useful(&self) -> bool {
        self.entry.is_some()
    }

    /// The entry, where in it a payload begins, and where the log has that: if it is a part
    /// of the entry and large enough.
    pub fn place(&mut self, payload: &[u8]) -> Option<(&Bytes, usize, Place)> {
        self.had_large = payload.len() >= self.bytes_min;
        if !self.had_large {
            return None;
        }
        let (bytes, lies) = self.entry.as_ref()?;
        let from = (payload.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
        let is_part = from + payload.len() <= bytes.len();
        let offset = content_after(lies.offset, from as u64);
        is_part.then_some((bytes, from, (lies.segment, offset)))
    }

    /// Payloads of the rest of this entry are written again.
    pub fn give_up(&mut self) {
        self.entry = None;
    }

    /// Keeps a segment under another name. If that does not work, payloads of the rest of
    /// the entry are written again: of all to come, unless only the segment is gone, or the
    /// disk is full.
    pub fn keep(&mut self, segment: u64, name: &Path) -> bool {
        let error = match self.wal.link(segment, name) {
            Ok(()) => return true,
            // From before a crash: numbers are never used twice.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return true,
            Err(error) => error,
        };
        self.give_up();
        if error.kind() != ErrorKind::NotFound && !error.is_full() {
            self.is_refused = true;
            tracing::info!(err = %error, "large messages are written twice");
        }
        false
    }

    /// The bytes of a segment, and which one is being written.
    pub fn segment(&self) -> (u64, u64) {
        (self.wal.segment_bytes(), self.segment)
    }
}

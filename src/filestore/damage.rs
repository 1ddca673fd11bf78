//! What is not as it was written: found, kept aside, told.
//!
//! Separate because every read may come here and because the rule is one: damage is
//! reported and its messages are missing, and nothing is deleted for it.
//!
//! A block is looked through once before its first use: every record is checked, what is
//! none becomes a hole, and messages that should be there but are in no record are *lost*.
//! They stay in the figures, so that a damaged replica decides as the others do; one that
//! is removed meanwhile is counted out with its share of the block's missing bytes.

use std::io::ErrorKind;

use bytes::Bytes;

use super::block::{self, Part};
use super::manifest::BYTES_MAX;
use super::{FileStore, disk, format, size_of, stitched};
use crate::sequence_set::SequenceSet;
use crate::store::Removed;
use crate::store::error::Error;
use crate::store::ledger::Live;
use crate::store::message::Seq;
use crate::subject::filters::Filters;
use crate::vfs;

impl FileStore {
    /// Makes sure that a block was looked through.
    pub(super) fn look_through(&mut self, at: usize) -> Result<(), Error> {
        if self.blocks[at].marks.is_some() {
            return Ok(());
        }
        if at + 1 == self.blocks.len() {
            self.flush()?;
        }
        let bytes = self.block_bytes(at)?;
        let block = &mut self.blocks[at];
        let facts = &block.facts;
        let base = facts.base;
        let mut marks = Vec::new();
        let mut holes = Vec::new();
        let mut lost = SequenceSet::new();
        let mut live = Live::default();
        let mut readable_bytes = 0;
        let ledger = &self.ledger;
        // The next message that should be in this block.
        let mut expected = ledger.next(base);
        block::parts(&bytes, facts, &mut |part| match part {
            Part::Hole(start, end) => holes.push((start, end)),
            Part::Record(offset, header, record) => {
                block::mark(&mut marks, base, header.seq, offset);
                if !live.contains(ledger, header.seq) {
                    return;
                }
                if let Some(missing) = expected.filter(|missing| *missing < header.seq) {
                    lost.insert_range(missing.0..header.seq.0);
                }
                expected = live.next(ledger, header.seq.next());
                let message = header.message(record);
                let (headers, payload) = (message.headers.len(), message.payload.len());
                readable_bytes += size_of(message.subject.len(), headers, payload);
            }
        });
        let end = facts.last.next();
        if let Some(missing) = expected.filter(|missing| *missing < end) {
            lost.insert_range(missing.0..end.0);
        }
        for run in ledger.deleted.runs_from(base.0) {
            if run.start >= end.0 {
                break;
            }
            lost.remove_range(run);
        }
        let right_header = bytes.starts_with(&format::block_header(base));
        let is_damaged = !right_header || !holes.is_empty();
        block.marks = Some(marks);
        block.holes = holes;
        block.lost_bytes = facts.live_bytes.saturating_sub(readable_bytes);
        self.lost.remove_range(base.0..end.0);
        for run in lost.runs_from(0) {
            self.lost.insert_range(run);
        }
        if is_damaged {
            self.keep_aside(at)?;
        }
        Ok(())
    }

    /// All bytes of a block that count, as far as they are there.
    pub(super) fn block_bytes(&mut self, at: usize) -> Result<Vec<u8>, Error> {
        if self.blocks[at].is_missing {
            return Ok(Vec::new());
        }
        let written = self.blocks[at].facts.len - self.unwritten(at).len() as u64;
        let mut bytes = Vec::new();
        if written > 0 {
            let file = self.file(at)?;
            let len = file.len().map_err(disk("look at a block"))?;
            bytes.resize(usize::try_from(len.min(written)).unwrap_or(0), 0);
            let read = file.read_at(0, &mut bytes).map_err(disk("read a block"))?;
            bytes.truncate(read);
        }
        if bytes.len() as u64 == written {
            bytes.extend_from_slice(self.unwritten(at));
        }
        Ok(bytes)
    }

    /// Copies a damaged block to the quarantine, and says so, once.
    fn keep_aside(&mut self, at: usize) -> Result<(), Error> {
        let block = &self.blocks[at];
        let (name, facts) = (block.name(), &block.facts);
        if self.damaged.contains(&name) {
            return Ok(());
        }
        let lost = self.lost.count_in(facts.base.0..facts.last.next().0);
        let file = block.path(&self.dir);
        let (file, first, last) = (file.display(), facts.base, facts.last);
        if block.is_missing {
            tracing::error!(%file, %first, %last, lost, "a block is not there: its messages are lost");
        } else {
            tracing::error!(%file, %first, %last, lost, "a block is damaged, a copy is kept");
            self.copy_aside(&name)?;
        }
        self.damaged.insert(name);
        Ok(())
    }

    /// Copies a file to the quarantine, unless it is there from before.
    pub(super) fn copy_aside(&mut self, name: &str) -> Result<(), Error> {
        let what = "keep a damaged file";
        let aside = &self.options.quarantine;
        let target = self.name_aside(name);
        self.vfs.create_dir_all(aside).map_err(disk(what))?;
        let there = self.vfs.list(aside).map_err(disk(what))?;
        if there.contains(&target) {
            return Ok(());
        }
        let links = self.vfs.list(&self.dir).map_err(disk(what))?;
        for link in links {
            if stitched::parse_link(&link).is_some_and(|(block, _)| block == name) {
                self.link_aside(&link)?;
            }
        }
        let content = self.vfs.read(&self.dir.join(name), BYTES_MAX);
        let content = content.map_err(disk(what))?;
        let written = self
            .vfs
            .write_atomically(&aside.join(target), &content, vfs::MODE_PRIVATE);
        written.map_err(disk(what))?;
        // Its owner may remove the original.
        self.vfs.sync_dir(aside).map_err(disk(what))?;
        match aside.parent().filter(|above| !above.as_os_str().is_empty()) {
            Some(above) => self.vfs.sync_dir(above).map_err(disk(what)),
            None => Ok(()),
        }
    }

    /// Keeps a segment for what is in the quarantine.
    fn link_aside(&self, link: &str) -> Result<(), Error> {
        let target = self.options.quarantine.join(self.name_aside(link));
        match self.vfs.link(&self.dir.join(link), &target) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked.map_err(disk("keep a damaged file")),
        }
    }

    /// Moves a name under which a block kept a segment to the quarantine, unless that went
    /// with the block.
    pub(super) fn move_link_aside(&self, link: &str) -> Result<(), Error> {
        let what = "keep a damaged file";
        let aside = &self.options.quarantine;
        self.vfs.create_dir_all(aside).map_err(disk(what))?;
        self.link_aside(link)?;
        self.vfs.sync_dir(aside).map_err(disk(what))?;
        let removed = self.vfs.remove(&self.dir.join(link));
        removed.map_err(disk("remove a file kept aside"))
    }

    /// What a file is called in the quarantine.
    pub(super) fn name_aside(&self, name: &str) -> String {
        let dir = self.dir.file_name().unwrap_or_default().to_string_lossy();
        format!("{dir}-{name}")
    }

    /// Moves a file to the quarantine.
    pub(super) fn move_aside(&mut self, name: &str) -> Result<(), Error> {
        self.copy_aside(name)?;
        let removed = self.vfs.remove(&self.dir.join(name));
        removed.map_err(disk("remove a file kept aside"))
    }

    /// Fails if the message is known to be unreadable.
    pub(super) fn check_lost(&self, seq: Seq) -> Result<(), Error> {
        let run = self.lost.runs_from(seq.0).next();
        match run {
            Some(run) if run.start == seq.0 => {
                let before = self.lost.prev_absent(seq.0);
                Err(Error::Damaged {
                    first: Seq(before.map_or(0, |before| before + 1)),
                    last: Seq(run.end - 1),
                })
            }
            _ => Ok(()),
        }
    }

    /// Takes a message away that cannot be read.
    pub(super) fn remove_lost(&mut self, seq: Seq) -> Result<Removed, Error> {
        let Some(at) = self.block_of(seq) else {
            return Err(Error::Damaged {
                first: seq,
                last: seq,
            });
        };
        let removed = self.forget_lost(at, seq);
        self.drop_if_empty(at);
        if self.ledger.remove(seq, removed.bytes) {
            self.tell_first_time()?;
        }
        Ok(removed)
    }

    /// Counts a message that cannot be read out of its block and subject. The subject is
    /// empty if nobody knows it.
    pub(super) fn forget_lost(&mut self, at: usize, seq: Seq) -> Removed {
        let mut subject = Bytes::new();
        let _ = self.subjects.walk(&Filters::all(), |name, figures| {
            if figures
                .known()
                .is_some_and(|mut known| known.any(|at| at == seq))
            {
                subject = Bytes::copy_from_slice(name);
                return std::ops::ControlFlow::Break(());
            }
            std::ops::ControlFlow::Continue(())
        });
        if !subject.is_empty() {
            self.subjects.remove(&subject, seq);
        }
        let block = &mut self.blocks[at];
        let (base, end) = (block.facts.base.0, block.facts.last.next().0);
        let lost = self.lost.count_in(base..end).max(1);
        let bytes = block.lost_bytes / lost;
        block.lost_bytes -= bytes;
        block.facts.live -= 1;
        block.facts.live_bytes -= bytes;
        self.lost.remove(seq.0);
        Removed { subject, bytes }
    }
}

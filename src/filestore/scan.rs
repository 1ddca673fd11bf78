//! Going through many messages, forward and backward.
//!
//! Separate because the store's main file has the single messages. Both directions pass
//! over what is deleted and what cannot be read.

use std::ops::ControlFlow;

use super::reader::{Go, Walked};
use super::{FileStore, format, size_of};
use crate::sequence_set::SequenceSet;
use crate::store::error::Error;
use crate::store::ledger::{Ledger, Live};
use crate::store::message::{MessageRef, Seq};
use crate::store::search::{Each, Records};
use crate::store::subjects::Subjects;
use crate::subject::filters::Filters;

/// How often a block is looked through again within one walk before it is given up.
const TRIES_MAX: u32 = 3;

/// Holds the records that a walk comes to against the messages that should be there, so
/// that one whose sequence was damaged is not taken for a deleted one.
pub(super) struct Follow<'a> {
    ledger: &'a Ledger,
    lost: &'a SequenceSet,
    live: Live,
    /// All messages before this were met.
    pub(super) next: Seq,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// A message that is there.
    Message,
    /// Nothing that counts.
    Other,
    /// Before it, a message is missing.
    Gap,
}

impl<'a> Follow<'a> {
    /// Expects all messages from `next` on.
    pub(super) fn new(ledger: &'a Ledger, lost: &'a SequenceSet, next: Seq) -> Self {
        Follow {
            ledger,
            lost,
            live: Live::default(),
            next,
        }
    }

    /// Meets the next record.
    pub(super) fn meet(&mut self, seq: Seq) -> Met {
        if seq < self.next {
            return Met::Other;
        }
        match self.live.next(self.ledger, self.next) {
            Some(expected) if expected == seq => Met::Message,
            Some(expected) if expected < seq && !self.is_complete(seq) => Met::Gap,
            _ if self.live.contains(self.ledger, seq) => Met::Message,
            _ => Met::Other,
        }
    }

    /// Whether every message below `end` was met or cannot be read.
    pub(super) fn is_complete(&mut self, end: Seq) -> bool {
        while let Some(expected) = self.live.next(self.ledger, self.next) {
            if expected >= end {
                break;
            }
            let absent = self.lost.next_absent(expected.0);
            if absent == expected.0 {
                return false;
            }
            self.next = Seq(absent);
        }
        true
    }
}

impl FileStore {
    /// Visits messages from `from` on, ascending.
    pub(super) fn visit(
        &mut self,
        from: Seq,
        each: &mut dyn FnMut(MessageRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.put_all()?;
        let mut next = from.max(self.ledger.state.first_seq);
        let mut tries = 0;
        loop {
            let at = self.blocks.partition_point(|block| block.facts.last < next);
            let Some(block) = self.blocks.get(at) else {
                return Ok(());
            };
            let last = block.facts.last;
            if block.facts.live == 0 {
                next = last.next();
                continue;
            }
            self.look_through(at)?;
            let offset = self.blocks[at].offset_before(next);
            let (ledger, lost) = self.take_books();
            let mut follow = Follow::new(&ledger, &lost, next);
            let walked = self.walk(at, offset, &mut |_, header, record| {
                match follow.meet(header.seq) {
                    Met::Other => return Go::On,
                    Met::Message if format::is_intact(record) => {}
                    Met::Message | Met::Gap => return Go::Damaged,
                }
                follow.next = header.seq.next();
                match each(header.message(record)) {
                    ControlFlow::Continue(()) => Go::On,
                    ControlFlow::Break(()) => Go::Stop,
                }
            });
            let is_complete = follow.is_complete(last.next());
            next = follow.next;
            (self.ledger, self.lost) = (ledger, lost);
            match walked? {
                Walked::Stopped => return Ok(()),
                Walked::Whole if is_complete => (next, tries) = (last.next(), 0),
                Walked::Whole | Walked::Damaged => {
                    self.blocks[at].marks = None;
                    tries += 1;
                    if tries > TRIES_MAX {
                        return Err(Error::Damaged { first: next, last });
                    }
                }
            }
        }
    }

    /// Takes the books out for a walk, whose visitor must not borrow all of the store. They
    /// MUST be put back.
    pub(super) fn take_books(&mut self) -> (Ledger, SequenceSet) {
        (
            std::mem::take(&mut self.ledger),
            std::mem::take(&mut self.lost),
        )
    }

    /// The first matching message at or after `from` that can be read.
    pub(super) fn next_readable(
        &mut self,
        from: Seq,
        filters: &Filters,
    ) -> Result<Option<Seq>, Error> {
        let mut found = None;
        self.forward(from, &mut |seq, subject| {
            if !filters.matches(subject) {
                return ControlFlow::Continue(());
            }
            found = Some(seq);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Takes the messages of one block that are below `first` away; how many, and their
    /// bytes. Those that cannot be read are told last, without subject if it is not known.
    pub(super) fn truncate_block(
        &mut self,
        at: usize,
        first: Seq,
        each: &mut dyn FnMut(Seq, &[u8]),
    ) -> Result<(u64, u64), Error> {
        let mut next = self.blocks[at].facts.base.max(self.ledger.state.first_seq);
        let (mut messages, mut bytes) = (0, 0);
        for _ in 0..=TRIES_MAX {
            if self.blocks[at].facts.live == 0 {
                break;
            }
            self.look_through(at)?;
            let offset = self.blocks[at].offset_before(next);
            let (ledger, lost) = self.take_books();
            let mut subjects = std::mem::take(&mut self.subjects);
            let mut follow = Follow::new(&ledger, &lost, next);
            let mut taken = (0, 0, 0);
            let walked = self.walk(at, offset, &mut |_, header, record| {
                if header.seq >= first {
                    return Go::Stop;
                }
                match follow.meet(header.seq) {
                    Met::Other => return Go::On,
                    Met::Message if format::is_intact(record) => {}
                    Met::Message | Met::Gap => return Go::Damaged,
                }
                follow.next = header.seq.next();
                let message = header.message(record);
                let (headers, payload) = (message.headers.len(), message.payload.len());
                subjects.remove(message.subject, message.seq);
                each(message.seq, message.subject);
                taken.0 += 1;
                taken.1 += size_of(message.subject.len(), headers, payload);
                taken.2 += record.len() as u64;
                Go::On
            });
            let end = first.min(self.blocks[at].facts.last.next());
            let is_complete = follow.is_complete(end);
            next = follow.next;
            (self.ledger, self.lost) = (ledger, lost);
            self.subjects = subjects;
            let facts = &mut self.blocks[at].facts;
            facts.live -= taken.0;
            facts.live_bytes -= taken.1;
            facts.dead_bytes += taken.2;
            messages += taken.0;
            bytes += taken.1;
            if walked? != Walked::Damaged && is_complete {
                break;
            }
            self.blocks[at].marks = None;
        }
        let end = first.min(self.blocks[at].facts.last.next());
        let lost = self.lost.runs_from(self.blocks[at].facts.base.0);
        let lost: Vec<u64> = lost.flatten().take_while(|seq| *seq < end.0).collect();
        for seq in lost {
            let removed = self.forget_lost(at, Seq(seq));
            each(Seq(seq), &removed.subject);
            messages += 1;
            bytes += removed.bytes;
        }
        Ok((messages, bytes))
    }
}

impl Records for FileStore {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn subjects(&mut self) -> &mut Subjects {
        &mut self.subjects
    }

    fn forward(&mut self, from: Seq, each: &mut Each<'_>) -> Result<(), Error> {
        self.visit(from, &mut |message| each(message.seq, message.subject))
    }

    fn backward(&mut self, up_to: Seq, each: &mut Each<'_>) -> Result<(), Error> {
        self.put_all()?;
        let mut behind = up_to.min(self.ledger.state.last_seq).next();
        let mut stretch = 1;
        let mut tries = 0;
        let mut found: Vec<(Seq, usize)> = Vec::new();
        let mut subjects: Vec<u8> = Vec::new();
        loop {
            let before = self
                .blocks
                .partition_point(|block| block.facts.base < behind);
            let Some(at) = before.checked_sub(1) else {
                return Ok(());
            };
            let base = self.blocks[at].facts.base;
            if self.blocks[at].facts.live == 0 {
                behind = base;
                continue;
            }
            self.look_through(at)?;
            // A stretch of the block that ends before `behind`.
            let marks = self.blocks[at].marks.as_deref().unwrap_or_default();
            let delta = behind.0 - base.0;
            let end = marks.partition_point(|mark| u64::from(mark.seq) < delta);
            if end == 0 {
                // What was first in this block is gone, or nothing in it can be read.
                behind = base;
                continue;
            }
            let start = marks[end.saturating_sub(stretch)];
            let from = Seq(base.0 + u64::from(start.seq));
            let offset = self.blocks[at].offset_before(from);
            found.clear();
            subjects.clear();
            let (ledger, lost) = self.take_books();
            let mut follow = Follow::new(&ledger, &lost, from);
            let walked = self.walk(at, offset, &mut |_, header, record| {
                if header.seq >= behind {
                    return Go::Stop;
                }
                match follow.meet(header.seq) {
                    Met::Other => return Go::On,
                    Met::Message if format::is_intact(record) => {}
                    Met::Message | Met::Gap => return Go::Damaged,
                }
                follow.next = header.seq.next();
                let subject = header.message(record).subject;
                subjects.extend_from_slice(subject);
                found.push((header.seq, subject.len()));
                Go::On
            });
            let end = behind.min(self.blocks[at].facts.last.next());
            let is_complete = follow.is_complete(end);
            (self.ledger, self.lost) = (ledger, lost);
            if walked? == Walked::Damaged || !is_complete {
                self.blocks[at].marks = None;
                tries += 1;
                if tries > TRIES_MAX {
                    return Err(Error::Damaged {
                        first: base,
                        last: behind.prev(),
                    });
                }
                continue;
            }
            tries = 0;
            let mut end = subjects.len();
            for (seq, len) in found.iter().rev() {
                if each(*seq, &subjects[end - len..end]).is_break() {
                    return Ok(());
                }
                end -= len;
            }
            behind = from;
            stretch = (stretch * 2).min(64);
        }
    }
}

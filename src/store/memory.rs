//! The memory store: messages in blocks of memory, gone with the process.
//!
//! Separate from the file store because it has no recovery, no cache and no damage; what
//! both share stands in `ledger`, `subjects` and `search`.
//!
//! ```text
//!   blocks ─► [ slots: one per sequence │ bytes: subject headers payload, subject … ]  […]
//! ```
//! A block takes `BLOCK_SLOTS` sequences or `BLOCK_BYTES`; one whose bytes are mostly
//! of removed messages is packed anew, one without messages goes.
//!
//! Invariants: blocks ascend and do not overlap; sequences in no block are not there.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::error::Error;
use super::ledger::Ledger;
use super::message::{Message, MessageRef, Seq};
use super::search::{self, Each, Records};
use super::subjects::Subjects;
use super::{LastError, MsgStore, Removed, State, SubjectState};
use crate::clock::Timestamp;
use crate::state_machine::{Checkpoint, MachineError};
use crate::subject::filters::Filters;

/// Sequences in one block.
const BLOCK_SLOTS: usize = 1024;
/// A block with so many bytes takes no more messages.
const BLOCK_BYTES: usize = 256 * 1024;
/// A larger gap between sequences is not filled with empty slots.
const GAP_MAX: u64 = 64;
/// Removed bytes that may stay in any block.
const GARBAGE_MIN: usize = 4 * 1024;

/// The memory store.
#[derive(Debug, Default)]
pub struct MemoryStore {
    ledger: Ledger,
    subjects: Subjects,
    blocks: VecDeque<Block>,
}

#[derive(Debug)]
struct Block {
    /// The sequence of the first slot.
    base: u64,
    slots: Vec<Slot>,
    bytes: Vec<u8>,
    live: usize,
    garbage: usize,
    /// No message in it is later.
    time_max: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Where the bytes begin; [`GONE`] if there is no message.
    offset: u32,
    subject: u32,
    headers: u32,
    payload: u32,
    time: Timestamp,
}

const GONE: u32 = u32::MAX;

impl Slot {
    const EMPTY: Slot = Slot {
        offset: GONE,
        subject: 0,
        headers: 0,
        payload: 0,
        time: Timestamp::from_unix_nanos(0),
    };

    fn len(&self) -> usize {
        self.subject as usize + self.headers as usize + self.payload as usize
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// The block with the slot of `seq`, or the first behind it.
    fn block_from(&self, seq: Seq) -> usize {
        self.blocks.partition_point(|block| block.end() <= seq.0)
    }

    fn message(&self, seq: Seq) -> Option<MessageRef<'_>> {
        let block = self.blocks.get(self.block_from(seq))?;
        block.message(seq.0.checked_sub(block.base)? as usize)
    }

    fn visit(
        &self,
        from: Seq,
        each: &mut dyn FnMut(MessageRef<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let first = self.block_from(from);
        for block in self.blocks.iter().skip(first) {
            let skipped = from.0.saturating_sub(block.base) as usize;
            for at in skipped..block.slots.len() {
                if let Some(message) = block.message(at) {
                    each(message)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn tell_first_time(&mut self) {
        let first = self.ledger.state.first_seq;
        let time = self.message(first).map(|message| message.time);
        self.ledger.state.first_time = time.unwrap_or_default();
    }
}

impl Block {
    fn new(base: Seq) -> Self {
        Block {
            base: base.0,
            slots: Vec::new(),
            bytes: Vec::new(),
            live: 0,
            garbage: 0,
            time_max: Timestamp::from_unix_nanos(i64::MIN),
        }
    }

    /// Behind the last slot.
    fn end(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    /// Whether a message of `len` bytes goes into this block.
    fn takes(&self, seq: Seq, len: usize) -> bool {
        let slots = seq.0 - self.base;
        seq.0 - self.end() <= GAP_MAX
            && slots < BLOCK_SLOTS as u64
            && self.bytes.len() + len <= BLOCK_BYTES
    }

    fn push(&mut self, message: MessageRef<'_>) {
        while self.end() < message.seq.0 {
            self.slots.push(Slot::EMPTY);
        }
        self.slots.push(Slot {
            offset: narrow(self.bytes.len()),
            subject: narrow(message.subject.len()),
            headers: narrow(message.headers.len()),
            payload: narrow(message.payload.len()),
            time: message.time,
        });
        self.bytes.extend_from_slice(message.subject);
        self.bytes.extend_from_slice(message.headers);
        self.bytes.extend_from_slice(message.payload);
        self.time_max = self.time_max.max(message.time);
        self.live += 1;
    }

    fn message(&self, at: usize) -> Option<MessageRef<'_>> {
        let slot = self.slots.get(at)?;
        if slot.offset == GONE {
            return None;
        }
        let bytes = self.bytes.get(slot.offset as usize..)?;
        let (subject, bytes) = bytes.split_at(slot.subject as usize);
        let (headers, bytes) = bytes.split_at(slot.headers as usize);
        Some(MessageRef {
            seq: Seq(self.base + at as u64),
            time: slot.time,
            subject,
            headers,
            payload: &bytes[..slot.payload as usize],
        })
    }

    fn remove(&mut self, at: usize) {
        self.garbage += self.slots[at].len();
        self.slots[at] = Slot::EMPTY;
        self.live -= 1;
        if self.garbage > GARBAGE_MIN && self.garbage > self.bytes.len() / 2 {
            let mut packed = Vec::with_capacity(self.bytes.len() - self.garbage);
            for slot in &mut self.slots {
                if slot.offset != GONE {
                    let start = slot.offset as usize;
                    slot.offset = narrow(packed.len());
                    packed.extend_from_slice(&self.bytes[start..start + slot.len()]);
                }
            }
            self.bytes = packed;
            self.garbage = 0;
        }
    }
}

impl Records for MemoryStore {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn subjects(&mut self) -> &mut Subjects {
        &mut self.subjects
    }

    fn forward(&mut self, from: Seq, each: &mut Each<'_>) -> Result<(), Error> {
        let _ = self.visit(from, &mut |message| each(message.seq, message.subject));
        Ok(())
    }

    fn backward(&mut self, up_to: Seq, each: &mut Each<'_>) -> Result<(), Error> {
        let behind = self.blocks.partition_point(|block| block.base <= up_to.0);
        for block in self.blocks.iter().take(behind).rev() {
            let slots = (up_to.0 - block.base).saturating_add(1);
            let slots = slots.min(block.slots.len() as u64) as usize;
            for at in (0..slots).rev() {
                if let Some(message) = block.message(at)
                    && each(message.seq, message.subject).is_break()
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl MsgStore for MemoryStore {
    fn state(&self) -> State {
        State {
            subjects: self.subjects.len(),
            ..self.ledger.state
        }
    }

    fn size_of(&self, subject: usize, headers: usize, payload: usize) -> u64 {
        (16 + subject + headers + payload) as u64
    }

    fn append(&mut self, message: MessageRef<'_>) -> Result<(), Error> {
        let (subject, headers, payload) = (message.subject, message.headers, message.payload);
        let size = self.size_of(subject.len(), headers.len(), payload.len());
        self.ledger.append(message.seq, message.time, size);
        self.subjects.append(subject, message.seq);
        let len = subject.len() + headers.len() + payload.len();
        match self.blocks.back_mut() {
            Some(block) if block.takes(message.seq, len) => block.push(message),
            before => {
                let mut block = Block::new(message.seq);
                if let Some(before) = before {
                    // A stream under load fills the next block as well.
                    block
                        .bytes
                        .reserve_exact(before.bytes.len().min(BLOCK_BYTES).max(len));
                    block.slots.reserve_exact(before.slots.len());
                    before.bytes.shrink_to_fit();
                }
                block.push(message);
                self.blocks.push_back(block);
            }
        }
        Ok(())
    }

    fn skip_to(&mut self, last: Seq, time: Timestamp) -> Result<(), Error> {
        self.ledger.skip_to(last, time);
        Ok(())
    }

    fn remove(&mut self, seq: Seq, _erase: bool) -> Result<Option<Removed>, Error> {
        let at = self.block_from(seq);
        let Some(block) = self.blocks.get_mut(at) else {
            return Ok(None);
        };
        let slot = seq.0.wrapping_sub(block.base) as usize;
        let Some(message) = block.message(slot) else {
            return Ok(None);
        };
        let subject = Bytes::copy_from_slice(message.subject);
        let len = message.subject.len() + message.headers.len() + message.payload.len();
        block.remove(slot);
        if block.live == 0 {
            self.blocks.remove(at);
        }
        let bytes = self.size_of(len, 0, 0);
        self.subjects.remove(&subject, seq);
        if self.ledger.remove(seq, bytes) {
            self.tell_first_time();
        }
        Ok(Some(Removed { subject, bytes }))
    }

    fn truncate_front(
        &mut self,
        first: Seq,
        each: &mut dyn FnMut(Seq, &[u8]),
    ) -> Result<u64, Error> {
        if first <= self.ledger.state.first_seq {
            return Ok(0);
        }
        let (mut messages, mut bytes) = (0, 0);
        while let Some(block) = self.blocks.front_mut()
            && block.base < first.0
        {
            let below = (first.0 - block.base).min(block.slots.len() as u64) as usize;
            for at in 0..below {
                let Some(message) = block.message(at) else {
                    continue;
                };
                self.subjects.remove(message.subject, message.seq);
                each(message.seq, message.subject);
                messages += 1;
                bytes += 16 + block.slots[at].len() as u64;
                block.remove(at);
            }
            if block.live > 0 {
                break;
            }
            self.blocks.pop_front();
        }
        self.ledger.truncate_front(first, messages, bytes);
        self.tell_first_time();
        Ok(messages)
    }

    fn get(&mut self, seq: Seq) -> Result<Option<Message>, Error> {
        let Some(message) = self.message(seq) else {
            return Ok(None);
        };
        Ok(Some(Message::from(message)))
    }

    fn scan(
        &mut self,
        from: Seq,
        filters: &Filters,
        each: &mut dyn FnMut(MessageRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let all = filters.is_all();
        let _ = self.visit(from, &mut |message| {
            if all || filters.matches(message.subject) {
                return each(message);
            }
            ControlFlow::Continue(())
        });
        Ok(())
    }

    fn next(&mut self, from: Seq, filters: &Filters) -> Result<Option<Seq>, Error> {
        search::next(self, from, filters)
    }

    fn last(&mut self, up_to: Seq, filters: &Filters) -> Result<Option<Seq>, Error> {
        search::last(self, up_to, filters)
    }

    fn count(&mut self, from: Seq, filters: &Filters) -> Result<u64, Error> {
        search::count(self, from, filters)
    }

    fn first_since(&mut self, time: Timestamp) -> Result<Option<Seq>, Error> {
        let blocks = self.blocks.iter().filter(|block| block.time_max >= time);
        for block in blocks {
            let slots = block.slots.iter();
            let mut since = slots.map(|slot| slot.offset != GONE && slot.time >= time);
            if let Some(at) = since.position(|since| since) {
                return Ok(Some(Seq(block.base + at as u64)));
            }
        }
        Ok(None)
    }

    fn subject(&mut self, subject: &[u8]) -> Result<Option<SubjectState>, Error> {
        search::subject(self, subject)
    }

    fn subjects(
        &mut self,
        filters: &Filters,
        each: &mut dyn FnMut(&[u8], SubjectState) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        search::subjects(self, filters, each)
    }

    fn last_per_subject(
        &mut self,
        filters: &Filters,
        up_to: Seq,
        max: usize,
    ) -> Result<Vec<Seq>, LastError> {
        search::last_per_subject(self, filters, up_to, max)
    }

    fn deleted(&self, each: &mut dyn FnMut(Seq) -> ControlFlow<()>) {
        let _ = self
            .ledger
            .deleted
            .iter()
            .try_for_each(|seq| each(Seq(seq)));
    }

    fn lost(&self) -> Vec<(Seq, Seq)> {
        Vec::new()
    }

    /// Nothing is kept: a memory stream is empty after a restart.
    fn checkpoint(&mut self, _state: Vec<u8>) -> Result<Box<dyn Checkpoint>, Error> {
        Ok(Box::new(Nothing))
    }
}

/// A checkpoint that keeps nothing.
struct Nothing;

impl Checkpoint for Nothing {
    fn complete(self: Box<Self>) -> Result<(), MachineError> {
        Ok(())
    }
}

/// A length within a block; no connection accepts a message of 4 GiB.
fn narrow(len: usize) -> u32 {
    u32::try_from(len).expect("a message is below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::super::contract;
    use super::*;

    #[test]
    fn the_memory_store_keeps_the_contract() {
        contract::scenarios(&mut || contract::Plain::new(MemoryStore::new()));
    }

    #[test]
    fn the_memory_store_agrees_with_the_model() {
        contract::tests::differential(192, &mut || contract::Plain::new(MemoryStore::new()));
    }

    #[test]
    fn removed_messages_leave_no_bytes() {
        let mut store = MemoryStore::new();
        for seq in 1..=100_000 {
            let payload = [7; 100];
            store
                .append(contract::message(seq, "a", "", &payload))
                .unwrap();
            if seq > 10 {
                store.remove(Seq(seq - 10), false).unwrap();
            }
        }
        let held: usize = store
            .blocks
            .iter()
            .map(|block| block.bytes.capacity())
            .sum();
        assert!(held <= 2 * BLOCK_BYTES && store.blocks.len() <= 2, "{held}");
        assert_eq!(store.state().messages, 10);
    }
}

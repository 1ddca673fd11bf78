//! A store for tests: messages in a map, every question answered by looking at all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::state_machine::{Checkpoint, MachineError};
use crate::store::error::Error;
use crate::store::message::{Message, MessageRef, Seq};
use crate::store::{LastError, MsgStore, Removed, State, SubjectState};
use crate::subject::filters::Filters;

/// What a checkpoint kept: the messages and the machine's state.
pub type Kept = Arc<Mutex<Option<(FakeStore, Vec<u8>)>>>;

#[derive(Clone, Debug, Default)]
pub struct FakeStore {
    pub messages: BTreeMap<Seq, Message>,
    first: Seq,
    last: Seq,
    last_time: Timestamp,
    bytes: u64,
    pub kept: Kept,
}

struct Complete;

impl Checkpoint for Complete {
    fn complete(self: Box<Self>) -> Result<(), MachineError> {
        Ok(())
    }
}

impl FakeStore {
    fn take(&mut self, seq: Seq) -> Option<Message> {
        let message = self.messages.remove(&seq)?;
        self.bytes -= self.size_of(
            message.subject.len(),
            message.headers.len(),
            message.payload.len(),
        );
        if self.messages.is_empty() {
            self.first = self.last.next();
        }
        Some(message)
    }

    fn matching<'a>(
        &'a self,
        from: Seq,
        filters: &'a Filters,
    ) -> impl DoubleEndedIterator<Item = &'a Message> {
        self.messages
            .range(from..)
            .map(|(_, message)| message)
            .filter(|message| filters.matches(&message.subject))
    }
}

impl MsgStore for FakeStore {
    fn state(&self) -> State {
        let first = self.messages.values().next();
        State {
            messages: self.messages.len() as u64,
            bytes: self.bytes,
            first_seq: first.map_or(self.first.max(self.last.next()), |message| message.seq),
            first_time: first.map_or(Timestamp::default(), |message| message.time),
            last_seq: self.last,
            last_time: self.last_time,
            subjects: 0, // nobody asks
        }
    }

    fn size_of(&self, subject: usize, headers: usize, payload: usize) -> u64 {
        (16 + subject + headers + payload) as u64
    }

    fn append(&mut self, message: MessageRef<'_>) -> Result<(), Error> {
        assert!(message.seq > self.last, "sequences grow");
        self.bytes += self.size_of(
            message.subject.len(),
            message.headers.len(),
            message.payload.len(),
        );
        self.last = message.seq;
        self.last_time = message.time;
        self.messages.insert(message.seq, message.into());
        Ok(())
    }

    fn skip_to(&mut self, last: Seq, time: Timestamp) -> Result<(), Error> {
        assert!(last > self.last, "sequences grow");
        self.last = last;
        self.last_time = time;
        Ok(())
    }

    fn remove(&mut self, seq: Seq, _erase: bool) -> Result<Option<Removed>, Error> {
        Ok(self.take(seq).map(|message| Removed {
            bytes: self.size_of(
                message.subject.len(),
                message.headers.len(),
                message.payload.len(),
            ),
            subject: message.subject,
        }))
    }

    fn truncate_front(
        &mut self,
        first: Seq,
        each: &mut dyn FnMut(Seq, &[u8]),
    ) -> Result<u64, Error> {
        let below: Vec<Seq> = self.messages.range(..first).map(|(seq, _)| *seq).collect();
        for seq in &below {
            let message = self.take(*seq).unwrap();
            each(*seq, &message.subject);
        }
        if first > self.last {
            self.last = first.prev();
            self.first = first;
        }
        Ok(below.len() as u64)
    }

    fn get(&mut self, seq: Seq) -> Result<Option<Message>, Error> {
        Ok(self.messages.get(&seq).cloned())
    }

    fn scan(
        &mut self,
        from: Seq,
        filters: &Filters,
        each: &mut dyn FnMut(MessageRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let _ = self
            .matching(from, filters)
            .try_for_each(|message| each(message.as_ref()));
        Ok(())
    }

    fn next(&mut self, from: Seq, filters: &Filters) -> Result<Option<Seq>, Error> {
        Ok(self.matching(from, filters).next().map(|m| m.seq))
    }

    fn last(&mut self, up_to: Seq, filters: &Filters) -> Result<Option<Seq>, Error> {
        let mut all = self.matching(Seq(1), filters);
        Ok(all.rfind(|m| m.seq <= up_to).map(|m| m.seq))
    }

    fn count(&mut self, from: Seq, filters: &Filters) -> Result<u64, Error> {
        Ok(self.matching(from, filters).count() as u64)
    }

    fn first_since(&mut self, time: Timestamp) -> Result<Option<Seq>, Error> {
        let mut all = self.messages.values();
        Ok(all.find(|m| m.time >= time).map(|m| m.seq))
    }

    fn subject(&mut self, subject: &[u8]) -> Result<Option<SubjectState>, Error> {
        let mut on = self.messages.values().filter(|m| &*m.subject == subject);
        let Some(first) = on.next().map(|m| m.seq) else {
            return Ok(None);
        };
        let rest: Vec<Seq> = on.map(|m| m.seq).collect();
        Ok(Some(SubjectState {
            messages: 1 + rest.len() as u64,
            first,
            last: *rest.last().unwrap_or(&first),
        }))
    }

    fn subjects(
        &mut self,
        filters: &Filters,
        each: &mut dyn FnMut(&[u8], SubjectState) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let subjects: BTreeSet<Bytes> = self
            .matching(Seq(1), filters)
            .map(|m| m.subject.clone())
            .collect();
        for subject in subjects {
            let state = self.subject(&subject)?.unwrap();
            if each(&subject, state).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn last_per_subject(
        &mut self,
        filters: &Filters,
        up_to: Seq,
        max: usize,
    ) -> Result<Vec<Seq>, LastError> {
        let mut last = BTreeMap::new();
        for message in self.matching(Seq(1), filters).filter(|m| m.seq <= up_to) {
            last.insert(message.subject.clone(), message.seq);
        }
        let mut seqs: Vec<Seq> = last.into_values().collect();
        seqs.sort_unstable();
        match seqs.len() > max {
            true => Err(LastError::TooMany),
            false => Ok(seqs),
        }
    }

    fn deleted(&self, each: &mut dyn FnMut(Seq) -> ControlFlow<()>) {
        let state = self.state();
        let _ = (state.first_seq.0..=state.last_seq.0)
            .map(Seq)
            .filter(|seq| !self.messages.contains_key(seq))
            .try_for_each(each);
    }

    fn lost(&self) -> Vec<(Seq, Seq)> {
        Vec::new()
    }

    fn checkpoint(&mut self, state: Vec<u8>) -> Result<Box<dyn Checkpoint>, Error> {
        let mut copy = self.clone();
        copy.kept = Kept::default();
        *self.kept.lock().unwrap() = Some((copy, state));
        Ok(Box::new(Complete))
    }
}

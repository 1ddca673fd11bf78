//! The smallest store there can be.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::state_machine::Checkpoint;
use crate::store::error::Error;
use crate::store::message::{Message, MessageRef, Seq};
use crate::store::{LastError, MsgStore, Removed, State, SubjectState};
use crate::subject::filters::Filters;

/// Messages in a map; everything by walking.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FakeStore {
    messages: BTreeMap<Seq, Message>,
    last: Seq,
}

impl FakeStore {
    pub fn seqs(&self) -> impl Iterator<Item = (Seq, &[u8])> {
        self.messages.iter().map(|(seq, one)| (*seq, &*one.subject))
    }

    fn matching(&self, from: Seq, filters: &Filters) -> impl Iterator<Item = &Message> {
        let range = (Bound::Included(from), Bound::Unbounded);
        let found = self.messages.range(range).map(|(_, message)| message);
        found.filter(|message| filters.matches(&message.subject))
    }
}

impl MsgStore for FakeStore {
    fn state(&self) -> State {
        let first = self.messages.keys().next().copied();
        State {
            messages: self.messages.len() as u64,
            first_seq: first.unwrap_or(self.last.next()),
            last_seq: self.last,
            ..State::default()
        }
    }

    fn size_of(&self, subject: usize, headers: usize, payload: usize) -> u64 {
        (subject + headers + payload) as u64
    }

    fn append(&mut self, message: MessageRef<'_>) -> Result<(), Error> {
        assert!(message.seq > self.last);
        self.last = message.seq;
        self.messages.insert(message.seq, message.into());
        Ok(())
    }

    fn skip_to(&mut self, last: Seq, _time: Timestamp) -> Result<(), Error> {
        self.last = last;
        Ok(())
    }

    fn remove(&mut self, seq: Seq, _erase: bool) -> Result<Option<Removed>, Error> {
        Ok(self.messages.remove(&seq).map(|message| Removed {
            subject: message.subject,
            bytes: 0,
        }))
    }

    fn truncate_front(
        &mut self,
        _first: Seq,
        _each: &mut dyn FnMut(Seq, &[u8]),
    ) -> Result<u64, Error> {
        unimplemented!("consumers do not purge")
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
        for message in self.matching(from, filters) {
            if each(message.as_ref()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn next(&mut self, from: Seq, filters: &Filters) -> Result<Option<Seq>, Error> {
        Ok(self.matching(from, filters).next().map(|one| one.seq))
    }

    fn last(&mut self, up_to: Seq, filters: &Filters) -> Result<Option<Seq>, Error> {
        let all = self.matching(Seq::NONE, filters);
        Ok(all.filter(|one| one.seq <= up_to).last().map(|one| one.seq))
    }

    fn count(&mut self, from: Seq, filters: &Filters) -> Result<u64, Error> {
        Ok(self.matching(from, filters).count() as u64)
    }

    fn first_since(&mut self, time: Timestamp) -> Result<Option<Seq>, Error> {
        let mut all = self.messages.values();
        Ok(all.find(|one| one.time >= time).map(|one| one.seq))
    }

    fn subject(&mut self, _subject: &[u8]) -> Result<Option<SubjectState>, Error> {
        unimplemented!("consumers do not ask")
    }

    fn subjects(
        &mut self,
        _filters: &Filters,
        _each: &mut dyn FnMut(&[u8], SubjectState) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        unimplemented!("consumers do not ask")
    }

    fn last_per_subject(
        &mut self,
        filters: &Filters,
        up_to: Seq,
        _max: usize,
    ) -> Result<Vec<Seq>, LastError> {
        let mut last: BTreeMap<&Bytes, Seq> = BTreeMap::new();
        for message in self.matching(Seq::NONE, filters) {
            if message.seq <= up_to {
                last.insert(&message.subject, message.seq);
            }
        }
        let mut seqs: Vec<Seq> = last.into_values().collect();
        seqs.sort_unstable();
        Ok(seqs)
    }

    fn deleted(&self, _each: &mut dyn FnMut(Seq) -> ControlFlow<()>) {}

    fn lost(&self) -> Vec<(Seq, Seq)> {
        Vec::new()
    }

    fn checkpoint(&mut self, _state: Vec<u8>) -> Result<Box<dyn Checkpoint>, Error> {
        unimplemented!("consumers are kept by their stream")
    }
}

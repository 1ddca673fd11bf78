//! The model: a store as a plain list of messages, too simple to be wrong.

use std::collections::BTreeMap;

use super::super::message::{Message, MessageRef, Seq};
use super::super::{MsgStore, State, SubjectState};
use crate::clock::Timestamp;
use crate::subject::filters::Filters;

/// A store as a list of messages.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// What is there, ascending.
    pub messages: Vec<Message>,
    /// The last sequence given out.
    pub last_seq: Seq,
    /// When it was.
    pub last_time: Timestamp,
    durable: Option<Box<Model>>,
}

impl Model {
    pub(crate) fn append(&mut self, message: MessageRef<'_>) {
        (self.last_seq, self.last_time) = (message.seq, message.time);
        self.messages.push(Message::from(message));
    }

    pub(crate) fn skip_to(&mut self, last: Seq, time: Timestamp) {
        (self.last_seq, self.last_time) = (last, time);
    }

    pub(crate) fn remove(&mut self, seq: Seq) -> Option<Message> {
        let at = self
            .messages
            .iter()
            .position(|message| message.seq == seq)?;
        Some(self.messages.remove(at))
    }

    pub(crate) fn truncate_front(&mut self, first: Seq) -> Vec<(Seq, Vec<u8>)> {
        let below = self.messages.partition_point(|message| message.seq < first);
        self.last_seq = self.last_seq.max(first.prev());
        let taken = self.messages.drain(..below);
        taken
            .map(|message| (message.seq, message.subject.to_vec()))
            .collect()
    }

    pub(crate) fn checkpoint(&mut self) {
        self.durable = None;
        self.durable = Some(Box::new(self.clone()));
    }

    pub(crate) fn reopen(&mut self) {
        let durable = self.durable.clone().unwrap_or_default();
        *self = *durable;
        self.checkpoint();
    }

    pub(crate) fn state(&self, store: &dyn MsgStore) -> State {
        let first = self.messages.first();
        let size = |message: &Message| {
            let (headers, payload) = (message.headers.len(), message.payload.len());
            store.size_of(message.subject.len(), headers, payload)
        };
        State {
            messages: self.messages.len() as u64,
            bytes: self.messages.iter().map(size).sum(),
            first_seq: first.map_or(self.last_seq.next(), |message| message.seq),
            first_time: first.map_or(Timestamp::default(), |message| message.time),
            last_seq: self.last_seq,
            last_time: self.last_time,
            subjects: self.by_subject(&Filters::all()).len() as u64,
        }
    }

    pub(crate) fn deleted(&self) -> Vec<Seq> {
        let Some(first) = self.messages.first() else {
            return Vec::new();
        };
        let mut messages = self.messages.iter().peekable();
        let mut deleted = Vec::new();
        for seq in first.seq.0..=self.last_seq.0 {
            if messages.next_if(|message| message.seq.0 == seq).is_none() {
                deleted.push(Seq(seq));
            }
        }
        deleted
    }

    pub(crate) fn get(&self, seq: Seq) -> Option<Message> {
        let at = self
            .messages
            .binary_search_by_key(&seq, |message| message.seq);
        Some(self.messages[at.ok()?].clone())
    }

    fn matching<'a>(
        &'a self,
        filters: &'a Filters,
    ) -> impl DoubleEndedIterator<Item = &'a Message> {
        let messages = self.messages.iter();
        messages.filter(|message| filters.matches(&message.subject))
    }

    pub(crate) fn scan(&self, from: Seq, filters: &Filters) -> Vec<Message> {
        let matching = self.matching(filters);
        matching
            .filter(|message| message.seq >= from)
            .cloned()
            .collect()
    }

    pub(crate) fn last(&self, up_to: Seq, filters: &Filters) -> Option<Seq> {
        let mut matching = self.matching(filters).rev();
        let last = matching.find(|message| message.seq <= up_to);
        last.map(|message| message.seq)
    }

    pub(crate) fn first_since(&self, time: Timestamp) -> Option<Seq> {
        let mut messages = self.messages.iter();
        let since = messages.find(|message| message.time >= time);
        since.map(|message| message.seq)
    }

    fn by_subject<'a>(&'a self, filters: &'a Filters) -> BTreeMap<&'a [u8], Vec<Seq>> {
        let mut by_subject: BTreeMap<&[u8], Vec<Seq>> = BTreeMap::new();
        for message in self.matching(filters) {
            let seqs = by_subject.entry(&message.subject).or_default();
            seqs.push(message.seq);
        }
        by_subject
    }

    pub(crate) fn last_per_subject(&self, filters: &Filters, up_to: Seq) -> Vec<Seq> {
        let by_subject = self.by_subject(filters);
        let last = |seqs: &Vec<Seq>| seqs.iter().copied().filter(|seq| *seq <= up_to).max();
        let mut found: Vec<Seq> = by_subject.values().filter_map(last).collect();
        found.sort_unstable();
        found
    }

    pub(crate) fn subjects(&self, filters: &Filters) -> Vec<(Vec<u8>, SubjectState)> {
        let by_subject = self.by_subject(filters).into_iter();
        let states = by_subject.map(|(subject, seqs)| {
            let state = SubjectState {
                messages: seqs.len() as u64,
                first: seqs[0],
                last: seqs[seqs.len() - 1],
            };
            (subject.to_vec(), state)
        });
        states.collect()
    }

    pub(crate) fn subject(&self, subject: &[u8]) -> Option<SubjectState> {
        let found = self.subjects(&Filters::new([subject]));
        found.into_iter().next().map(|(_, state)| state)
    }
}

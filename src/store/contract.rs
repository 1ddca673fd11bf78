//! The contract suite: what every store answers, whatever it is made of.
//!
//! Separate because all stores run it, in this crate and outside (feature `testing`):
//! [`scenarios`] are told stories with expected answers, [`check_step`] compares a store
//! with a [`model::Model`], a plain list of messages, after any step.
//!
//! A store under test comes in a [`Harness`], which may be able to lose everything since
//! its last checkpoint. Absent: what happens with damaged files; that is the business of
//! the store that has files.

pub mod model;

use std::ops::ControlFlow;

use super::message::{Message, MessageRef, Seq};
use super::{LastError, MsgStore, SubjectState};
use crate::clock::Timestamp;
use crate::subject::filters::Filters;
use model::Model;

/// A store under test.
pub trait Harness {
    /// The store.
    fn store(&mut self) -> &mut dyn MsgStore;

    /// Makes what is there durable, if the store knows how.
    fn checkpoint(&mut self);

    /// Opens the store anew without a farewell; whether what was appended since the last
    /// checkpoint is gone now.
    fn reopen(&mut self) -> bool;
}

/// A store that keeps nothing.
#[derive(Debug)]
pub struct Plain<S>(S);

impl<S: MsgStore> Plain<S> {
    /// Puts a store under test.
    pub fn new(store: S) -> Self {
        Plain(store)
    }
}

impl<S: MsgStore> Harness for Plain<S> {
    fn store(&mut self) -> &mut dyn MsgStore {
        &mut self.0
    }

    fn checkpoint(&mut self) {
        let begun = self.0.checkpoint(Vec::new()).expect("a checkpoint begins");
        begun.complete().expect("a checkpoint completes");
    }

    fn reopen(&mut self) -> bool {
        false
    }
}

/// One thing to do with a store.
#[derive(Clone, Debug)]
pub enum Step {
    /// Append a message `gap` behind the next sequence, `later` after the last.
    Append {
        /// Sequences left out.
        gap: u64,
        /// Which of [`SUBJECTS`].
        subject: usize,
        /// Bytes of the payload.
        payload: usize,
        /// Whether it has headers.
        headers: bool,
        /// Nanoseconds since the message before.
        later: i64,
    },
    /// Append many small messages to subjects in turn.
    Run(usize),
    /// Give out sequences.
    Skip(u64),
    /// Remove the message at this part of all sequences.
    Remove(f64, bool),
    /// Remove every so many messages.
    RemoveEvery(u64),
    /// Truncate to this part of all sequences; beyond 1 it is beyond the last.
    TruncateFront(f64),
    /// Make everything durable.
    Checkpoint,
    /// Lose what is not durable.
    Reopen,
    /// Compare all answers; with filters and a place to ask from, as a part of all
    /// sequences.
    Ask(Vec<&'static str>, f64),
}

/// The subjects of the messages of [`Step::Append`].
pub const SUBJECTS: [&str; 10] = [
    "a", "b", "a.b", "a.c", "a.b.c", "a.b-", "b.c", "kv.k.1", "kv.k.2", "kv.k.22",
];

/// A message with text for subject and headers.
pub fn message<'a>(
    seq: u64,
    subject: &'a str,
    headers: &'a str,
    payload: &'a [u8],
) -> MessageRef<'a> {
    MessageRef {
        seq: Seq(seq),
        time: Timestamp::from_unix_nanos(seq as i64 * 10),
        subject: subject.as_bytes(),
        headers: headers.as_bytes(),
        payload,
    }
}

/// Does a step with the store and the model and compares figures and answers.
pub fn check_step(harness: &mut dyn Harness, model: &mut Model, step: &Step) {
    let at = |part: f64, model: &Model| Seq((model.last_seq.0 as f64 * part) as u64 + 1);
    let store = harness.store();
    match step {
        Step::Append {
            gap,
            subject,
            payload,
            headers,
            later,
        } => {
            let seq = Seq(model.last_seq.0 + 1 + gap);
            let payload: Vec<u8> = (0..*payload).map(|at| (at as u64 + seq.0) as u8).collect();
            let message = MessageRef {
                seq,
                time: Timestamp::from_unix_nanos(model.last_time.unix_nanos() + later),
                subject: SUBJECTS[subject % SUBJECTS.len()].as_bytes(),
                headers: if *headers {
                    b"NATS/1.0\r\nA: b\r\n\r\n"
                } else {
                    b""
                },
                payload: &payload,
            };
            store.append(message).expect("append");
            model.append(message);
        }
        Step::Run(count) => {
            for _ in 0..*count {
                let seq = model.last_seq.next();
                let subject = SUBJECTS[(seq.0 * seq.0 % 7) as usize];
                let text = seq.to_string();
                let message = message(seq.0, subject, "", text.as_bytes());
                let time = Timestamp::from_unix_nanos(model.last_time.unix_nanos() + 1);
                let message = MessageRef { time, ..message };
                store.append(message).expect("append");
                model.append(message);
            }
        }
        Step::Skip(count) => {
            let last = Seq(model.last_seq.0 + count + 1);
            let time = Timestamp::from_unix_nanos(model.last_time.unix_nanos() + 5);
            store.skip_to(last, time).expect("skip");
            model.skip_to(last, time);
        }
        Step::Remove(part, erase) => {
            let seq = at(*part, model);
            let removed = store.remove(seq, *erase).expect("remove");
            let expected = model.remove(seq);
            assert_eq!(
                removed.as_ref().map(|removed| &removed.subject),
                expected.as_ref().map(|expected| &expected.subject)
            );
            if let (Some(removed), Some(message)) = (removed, expected) {
                let (headers, payload) = (message.headers.len(), message.payload.len());
                let size = store.size_of(message.subject.len(), headers, payload);
                assert_eq!(removed.bytes, size);
            }
        }
        Step::RemoveEvery(gap) => {
            let removed: Vec<Seq> = model.messages.iter().map(|message| message.seq).collect();
            for seq in removed.into_iter().step_by(*gap as usize + 1) {
                let message = model.remove(seq).expect("it is there");
                let removed = store.remove_of(&message.subject, seq).expect("remove");
                assert!(removed, "{seq}");
                let again = store.remove_of(&message.subject, seq).expect("remove");
                assert!(!again, "{seq} is gone");
            }
        }
        Step::TruncateFront(part) => {
            let first = at(*part, model);
            let mut told = Vec::new();
            let count = store
                .truncate_front(first, &mut |seq, subject| {
                    told.push((seq, subject.to_vec()))
                })
                .expect("truncate");
            let expected = model.truncate_front(first);
            assert_eq!(count, expected.len() as u64, "truncate to {first}");
            assert_eq!(told, expected);
        }
        Step::Checkpoint => {
            harness.checkpoint();
            model.checkpoint();
        }
        Step::Reopen => {
            if harness.reopen() {
                model.reopen();
            }
        }
        Step::Ask(filters, part) => {
            let from = at(*part, model);
            check_answers(store, model, &Filters::new(filters), from);
        }
    }
    check_figures(harness.store(), model);
}

/// Compares what costs nothing to ask.
pub fn check_figures(store: &mut dyn MsgStore, model: &Model) {
    assert_eq!(store.state(), model.state(&*store));
    let mut deleted = Vec::new();
    store.deleted(&mut |seq| {
        deleted.push(seq);
        ControlFlow::Continue(())
    });
    assert_eq!(deleted, model.deleted());
    assert_eq!(store.state().deleted(), deleted.len() as u64);
}

/// Compares all answers for these filters and this place.
pub fn check_answers(store: &mut dyn MsgStore, model: &Model, filters: &Filters, from: Seq) {
    let scanned = scan(store, from, filters);
    assert_eq!(
        scanned,
        model.scan(from, filters),
        "scan from {from} {filters:?}"
    );
    let next = store.next(from, filters).expect("next");
    assert_eq!(
        next,
        scanned.first().map(|message| message.seq),
        "next from {from} {filters:?}"
    );
    let last = store.last(from, filters).expect("last");
    assert_eq!(
        last,
        model.last(from, filters),
        "last up to {from} {filters:?}"
    );
    let count = store.count(from, filters).expect("count");
    assert_eq!(count, scanned.len() as u64, "count from {from} {filters:?}");
    for seq in [from, from.next(), Seq::NONE, Seq::MAX] {
        assert_eq!(store.get(seq).expect("get"), model.get(seq), "get {seq}");
    }
    let time = model
        .get(from)
        .map_or(model.last_time, |message| message.time);
    let since = store.first_since(time).expect("first since");
    assert_eq!(since, model.first_since(time), "first since {time:?}");
    let per_subject = model.last_per_subject(filters, from);
    let found = store.last_per_subject(filters, from, per_subject.len());
    assert_eq!(
        found.expect("few enough"),
        per_subject,
        "{filters:?} up to {from}"
    );
    if let Some(fewer) = per_subject.len().checked_sub(1) {
        let found = store.last_per_subject(filters, from, fewer);
        assert!(matches!(found, Err(LastError::TooMany)));
    }
    assert_eq!(
        subjects(store, filters),
        model.subjects(filters),
        "{filters:?}"
    );
    for subject in SUBJECTS {
        let state = store.subject(subject.as_bytes()).expect("subject");
        assert_eq!(state, model.subject(subject.as_bytes()), "{subject}");
    }
}

fn scan(store: &mut dyn MsgStore, from: Seq, filters: &Filters) -> Vec<Message> {
    let mut found = Vec::new();
    let scanned = store.scan(from, filters, &mut |message| {
        found.push(Message::from(message));
        ControlFlow::Continue(())
    });
    scanned.expect("scan");
    found
}

fn subjects(store: &mut dyn MsgStore, filters: &Filters) -> Vec<(Vec<u8>, SubjectState)> {
    let mut found = Vec::new();
    let walked = store.subjects(filters, &mut |subject, state| {
        found.push((subject.to_vec(), state));
        ControlFlow::Continue(())
    });
    walked.expect("subjects");
    found
}

/// Stories that every store tells the same way; each begins with a new store.
pub fn scenarios<H: Harness>(open: &mut dyn FnMut() -> H) {
    let append = |subject, payload| Step::Append {
        gap: 0,
        subject,
        payload,
        headers: payload % 2 == 1,
        later: 10,
    };
    let ask = |filters: &[&'static str], part| Step::Ask(filters.to_vec(), part);
    let all = |part| Step::Ask(Vec::new(), part);
    let stories: Vec<(&str, Vec<Step>)> = vec![
        (
            "an empty store answers",
            vec![all(0.0), ask(&["a"], 0.0), ask(&["*"], 1.0)],
        ),
        (
            "one message comes and goes",
            vec![
                append(0, 5),
                all(0.0),
                Step::Remove(0.0, false),
                all(0.0),
                append(1, 0),
                all(0.0),
            ],
        ),
        (
            "the first sequence may be set before the first message",
            vec![
                Step::Skip(99),
                Step::TruncateFront(3.0),
                all(1.0),
                append(0, 1),
                all(0.9),
            ],
        ),
        (
            "gaps count as deleted",
            vec![
                append(0, 1),
                Step::Append {
                    gap: 5000,
                    subject: 1,
                    payload: 3,
                    headers: true,
                    later: 0,
                },
                Step::Skip(1_000_000),
                append(2, 2),
                ask(&["a", "a.*"], 0.0),
                Step::Remove(0.0, true),
                all(0.5),
            ],
        ),
        (
            "a huge gap costs nothing",
            vec![
                append(0, 1),
                Step::Remove(0.0, false),
                Step::Skip(1 << 40),
                append(0, 1),
                all(1.0),
            ],
        ),
        (
            "large messages stand beside small ones",
            vec![
                append(0, 1 << 20),
                append(1, 1),
                append(0, 300_000),
                all(0.0),
                ask(&["b"], 0.0),
            ],
        ),
        (
            "removing everything leaves an empty store",
            vec![
                Step::Run(3000),
                Step::RemoveEvery(0),
                all(0.5),
                Step::Run(10),
                all(0.99),
            ],
        ),
        (
            "truncating goes step by step",
            vec![
                Step::Run(3000),
                Step::TruncateFront(0.3),
                Step::TruncateFront(0.3),
                ask(&["a.>", "b"], 0.5),
                Step::RemoveEvery(3),
                Step::TruncateFront(0.7),
                ask(&["a.>"], 0.9),
                Step::TruncateFront(1.5),
                all(0.5),
            ],
        ),
        (
            "subjects with many messages keep exact ends",
            vec![
                Step::Run(5000),
                ask(&["a"], 0.5),
                Step::TruncateFront(0.2),
                ask(&["a.*", "kv.>"], 0.3),
                Step::Remove(0.9999, false),
                Step::Remove(0.9995, true),
                Step::Remove(0.999, false),
                ask(&["a.b", "b"], 0.99),
                ask(&["a.c"], 0.01),
                Step::RemoveEvery(1),
                Step::Checkpoint,
                Step::Run(100),
                ask(&["a.b"], 0.6),
                Step::Reopen,
                ask(&["a.b", "*"], 0.6),
                Step::Run(300),
                ask(&["*.*"], 0.2),
            ],
        ),
        (
            "what no checkpoint holds may be lost, the rest is not",
            vec![
                Step::Reopen,
                append(0, 10),
                Step::Reopen,
                append(1, 10),
                Step::Checkpoint,
                append(2, 10),
                Step::Remove(0.0, true),
                Step::Reopen,
                all(0.0),
                append(3, 10),
                Step::TruncateFront(2.0),
                Step::Checkpoint,
                Step::Reopen,
                append(3, 10),
                all(0.0),
            ],
        ),
    ];
    for (_name, steps) in stories {
        let mut harness = open();
        let mut model = Model::default();
        for step in &steps {
            check_step(&mut harness, &mut model, step);
        }
    }
}

#[cfg(test)]
pub mod tests;

//! A consumer, its stream and its clients in one thread, with the log in between.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::consumer::ack::{self, AckSubject};
use crate::consumer::command::Command;
use crate::consumer::config::{AckPolicy, Config};
use crate::consumer::dispatch::{Acked, Action, Dispatcher, Options};
use crate::consumer::outcome::Outcome;
use crate::consumer::replica::Consumer;
use crate::store::MsgStore;
use crate::store::memory::MemoryStore;
use crate::store::message::{Message, Seq};
use crate::subject::filters::Filters;

pub const SECOND: i64 = 1_000_000_000;

pub fn at(nanos: i64) -> Timestamp {
    Timestamp::from_unix_nanos(nanos)
}

/// An explicit pull consumer with an ack wait of 30 s and 1000 pending.
pub fn pull() -> Config {
    Config {
        durable_name: "c".to_owned(),
        ack_policy: AckPolicy::Explicit,
        ack_wait: 30 * SECOND,
        max_deliver: -1,
        max_ack_pending: 1000,
        max_waiting: 512,
        ..Config::default()
    }
}

/// The same, pushing to `d`.
pub fn push() -> Config {
    Config {
        deliver_subject: "d".to_owned(),
        max_waiting: 0,
        ..pull()
    }
}

/// Everything in one place. Commands wait in `log` until [`World::commit`].
pub struct World {
    pub now: Timestamp,
    pub store: MemoryStore,
    pub consumer: Consumer,
    pub dispatcher: Dispatcher,
    pub log: VecDeque<Command>,
    /// What was applied, with its time; for replays.
    pub applied: Vec<Command>,
    sends_ahead: bool,
}

impl World {
    /// A world whose dispatcher waits for the log.
    pub fn new(config: Config, store: MemoryStore) -> World {
        World::build(config, store, false)
    }

    /// A world whose dispatcher may send ahead of the log.
    pub fn sending_ahead(config: Config, store: MemoryStore) -> World {
        World::build(config, store, true)
    }

    fn build(config: Config, mut store: MemoryStore, sends_ahead: bool) -> World {
        let now = at(0);
        let consumer = Consumer::create(now, config, &mut store).expect("a memory store works");
        let last = store.state().last_seq;
        let dispatcher = Dispatcher::new(now, &options(sends_ahead), &consumer, last);
        World {
            now,
            store,
            consumer,
            dispatcher,
            log: VecDeque::new(),
            applied: Vec::new(),
            sends_ahead,
        }
    }

    pub fn store(&mut self, subject: &str, payload: &[u8]) -> Seq {
        let seq = self.store.state().last_seq.next();
        let message = message(seq, self.now, subject, payload);
        self.store
            .append(message.as_ref())
            .expect("a memory store works");
        self.consumer.on_stored(seq, subject.as_bytes());
        seq
    }

    pub fn remove(&mut self, seq: Seq) -> bool {
        let removed = self.store.remove(seq, false).expect("a memory store works");
        removed.is_some_and(|gone| self.consumer.on_removed(seq, &gone.subject).is_some())
    }

    /// What is stored.
    pub fn stored(&mut self) -> Vec<(Seq, Bytes)> {
        let mut all = Vec::new();
        let scanned = self.store.scan(Seq::NONE, &Filters::all(), &mut |message| {
            all.push((message.seq, Bytes::copy_from_slice(message.subject)));
            ControlFlow::Continue(())
        });
        scanned.expect("a memory store works");
        all
    }

    /// The first proposal comes to nothing, if it is a delivery or an acknowledgement.
    pub fn drop_one(&mut self) -> Vec<Action> {
        let (mut actions, mut told) = (Vec::new(), Vec::new());
        match self.log.front() {
            Some(Command::Deliver(_)) => {
                self.dispatcher
                    .on_dropped(self.now, &self.consumer, &mut actions);
            }
            Some(Command::Ack(_)) => self.dispatcher.on_ack_dropped(),
            _ => return told,
        }
        self.log.pop_front();
        self.sort(actions, &mut told);
        told
    }

    pub fn pull(&mut self, reply: &str, body: &str) -> Vec<Action> {
        let mut actions = Vec::new();
        let reply = Bytes::copy_from_slice(reply.as_bytes());
        self.dispatcher.on_pull(
            self.now,
            &self.consumer,
            reply,
            body.as_bytes(),
            &mut actions,
        );
        actions
    }

    pub fn ack(&mut self, seq: Seq, payload: &str, reply: &str) -> (Acked, Vec<Action>) {
        let mut actions = Vec::new();
        let subject = AckSubject {
            stream: b"s",
            consumer: b"c",
            count: 1,
            stream_seq: seq,
            consumer_seq: 1,
        };
        let reply = Bytes::copy_from_slice(reply.as_bytes());
        let acked = self.dispatcher.on_ack(
            self.now,
            &self.consumer,
            &subject,
            payload.as_bytes(),
            &reply,
            &mut actions,
        );
        self.log.extend(acked.command.clone());
        (acked, actions)
    }

    /// Polls until there is no more; what is proposed goes into the log, the rest is told.
    pub fn poll(&mut self) -> Vec<Action> {
        let mut told = Vec::new();
        loop {
            let mut actions = Vec::new();
            let more = self
                .dispatcher
                .poll(self.now, &self.consumer, &mut self.store, &mut actions)
                .expect("a memory store works");
            self.sort(actions, &mut told);
            if !more {
                return told;
            }
        }
    }

    /// Applies the first of the log.
    pub fn commit_one(&mut self) -> Option<(Outcome, Vec<Action>)> {
        let command = self.log.pop_front()?;
        let outcome = self
            .consumer
            .apply(self.now, command.clone(), &mut self.store)
            .expect("a memory store works");
        self.applied.push(command);
        let (mut actions, mut told) = (Vec::new(), Vec::new());
        self.dispatcher
            .on_applied(self.now, &self.consumer, outcome.clone(), &mut actions);
        self.sort(actions, &mut told);
        Some((outcome, told))
    }

    /// Polls and applies until nothing happens any more.
    pub fn settle(&mut self) -> Vec<Action> {
        let mut told = Vec::new();
        loop {
            told.extend(self.poll());
            if self.log.is_empty() {
                return told;
            }
            while let Some((_, more)) = self.commit_one() {
                told.extend(more);
            }
        }
    }

    /// Another leader takes over: soft state is lost, and so is what was not in the log.
    pub fn change_leader(&mut self) {
        let last = self.store.state().last_seq;
        let options = options(self.sends_ahead);
        self.dispatcher = Dispatcher::new(self.now, &options, &self.consumer, last);
        self.log.clear();
    }

    fn sort(&mut self, actions: Vec<Action>, told: &mut Vec<Action>) {
        for action in actions {
            match action {
                Action::Propose(command) | Action::Record(command) => self.log.push_back(command),
                other => told.push(other),
            }
        }
    }
}

pub fn message(seq: Seq, time: Timestamp, subject: &str, payload: &[u8]) -> Message {
    Message {
        seq,
        time,
        subject: Bytes::copy_from_slice(subject.as_bytes()),
        headers: Bytes::new(),
        payload: Bytes::copy_from_slice(payload),
    }
}

/// What a client sees of an action, in one line.
pub fn show(action: &Action) -> String {
    match action {
        Action::Deliver(deliver) => {
            let mut subject = Vec::new();
            let time = deliver.message.time;
            ack::write_subject(b"", &deliver.delivery, time, &mut subject);
            assert!(AckSubject::parse(&[b"$JS.ACK.s.c.", &*subject].concat()).is_some());
            let delivery = &deliver.delivery;
            format!(
                "{} {} n={} c={} p={}",
                text(&deliver.to),
                delivery.stream_seq,
                delivery.count,
                delivery.consumer_seq,
                delivery.pending
            )
        }
        Action::Status { to, headers, reply } => {
            let headers = text(headers);
            let headers = headers.trim_start_matches("NATS/1.0 ").trim_end();
            let headers = headers
                .replace("\r\n", "|")
                .replace("Nats-Pending-Messages: ", "m=")
                .replace("Nats-Pending-Bytes: ", "b=")
                .replace("Nats-Last-Consumer: ", "lc=")
                .replace("Nats-Last-Stream: ", "ls=");
            match reply.is_empty() {
                true => format!("{} <{headers}>", text(to)),
                false => format!("{} <{headers}> {}", text(to), text(reply)),
            }
        }
        Action::Advisory(advisory) => {
            let advisory = format!("{advisory:?}");
            let end = advisory.find(['(', ' ']).unwrap_or(advisory.len());
            format!("!{}", &advisory[..end])
        }
        Action::Remove => "remove".to_owned(),
        Action::Propose(command) | Action::Record(command) => format!("propose {command:?}"),
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn options(sends_ahead: bool) -> Options<'static> {
    Options {
        stream: "s",
        consumer: "c",
        seed: 0,
        burst_bytes: 1000,
        sends_ahead,
    }
}

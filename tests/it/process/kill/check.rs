//! What is there after a restart, against what was promised before.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::actors::{Churner, KEYS, Kind, Publisher, Puller, number};
use crate::process::link::{Link, Message};

/// Questions under way.
const WINDOW: u64 = 256;

/// The state of a stream.
pub fn state(link: &mut Link, stream: &str) -> Value {
    let info = link.api(&format!("STREAM.INFO.{stream}"), "").unwrap();
    assert!(info["error"].is_null(), "{stream}: {info}");
    info["state"].clone()
}

/// Reads messages one by one; `None` for those that are not there.
fn read(
    link: &mut Link,
    stream: &str,
    first: u64,
    last: u64,
    each: &mut dyn FnMut(u64, Option<&Message>),
) {
    let (mut asked, mut answered) = (first, 0);
    let count = (last + 1).saturating_sub(first);
    while answered < count {
        while asked <= last && asked - first < answered + WINDOW {
            let reply = link.inbox(asked);
            let body = format!("{{\"seq\":{asked}}}");
            link.publish(
                &format!("$JS.API.DIRECT.GET.{stream}"),
                &reply,
                "",
                body.as_bytes(),
            );
            asked += 1;
        }
        link.flush().unwrap();
        let message = link.next().unwrap();
        let seq = message.subject.parse().expect("a sequence");
        let is_there = message.status().is_empty();
        each(seq, is_there.then_some(&message));
        answered += 1;
    }
}

/// What was found in a publisher's stream up to a sequence, so that a look at every restart
/// reads only what is new.
#[derive(Default)]
pub struct Seen {
    up_to: u64,
    numbers: BTreeMap<u64, u64>,
}

impl Publisher {
    /// Every acknowledged message is there, once, with the right bytes, in order; nothing
    /// else is. `gone` says what may have been taken away.
    pub fn check(&self, link: &mut Link, seen: &mut Seen, gone: &dyn Fn(u64) -> bool) {
        let stream = self.stream;
        if self.kind == Kind::Keys {
            return self.check_keys(link);
        }
        let last = state(link, stream)["last_seq"].as_u64().unwrap();
        let numbers = &mut seen.numbers;
        read(link, stream, seen.up_to + 1, last, &mut |seq, message| {
            let Some(message) = message else {
                assert!(gone(seq), "{stream} {seq}: gone");
                return;
            };
            let n = number(stream, &message.payload);
            let n = n.unwrap_or_else(|| panic!("{stream} {seq}: other bytes"));
            assert!(n < self.next, "{stream} {seq}: {n} was never sent");
            let subject = message.header("Nats-Subject");
            assert_eq!(subject, Some(&*self.subject(n)), "{stream} {seq}");
            assert_eq!(numbers.insert(n, seq), None, "{stream}: {n} twice");
        });
        seen.up_to = last;
        for (n, seq) in &self.acked {
            match seen.numbers.get(n) {
                Some(found) => assert_eq!(found, seq, "{stream}: {n} is elsewhere"),
                None => assert!(gone(*seq), "{stream}: {n}, acknowledged as {seq}, is lost"),
            }
        }
        if self.kind == Kind::Plain {
            let in_order = seen.numbers.values().is_sorted();
            assert!(in_order, "{stream}: not in the order of the publisher");
        }
    }

    fn check_keys(&self, link: &mut Link) {
        let stream = self.stream;
        for key in 0..KEYS {
            let of_key = |n: &&u64| **n % KEYS == key;
            let acked = self.acked.keys().rev().find(of_key);
            let body = format!("{{\"last_by_subj\":\"{stream}.k{key}\"}}");
            let found = link
                .ask(&format!("$JS.API.DIRECT.GET.{stream}"), &body)
                .unwrap();
            if !found.status().is_empty() {
                assert_eq!(acked, None, "{stream}: key {key} is lost");
                continue;
            }
            let n = number(stream, &found.payload);
            let n = n.unwrap_or_else(|| panic!("{stream}: other bytes at key {key}"));
            assert!(
                n < self.next && n % KEYS == key,
                "{stream}: {n} at key {key}"
            );
            let acked = acked.copied().unwrap_or(0);
            assert!(
                n >= acked,
                "{stream}: key {key} is back at {n}, {acked} was acknowledged"
            );
            let is_known = n == acked || self.unknown.contains(&n) || self.acked.contains_key(&n);
            assert!(is_known, "{stream}: {n} at key {key}");
        }
        let messages = state(link, stream)["messages"].as_u64().unwrap();
        assert!(messages <= KEYS, "{stream}: {messages} messages");
    }
}

impl Puller {
    /// Floors never go back, and count only what was acknowledged.
    pub fn check(&mut self, link: &mut Link) {
        let stream = self.stream;
        let info = link
            .api(&format!("CONSUMER.INFO.{stream}.worker"), "")
            .unwrap();
        let seq = |what: &str| info[what]["stream_seq"].as_u64();
        let (Some(floor), Some(delivered)) = (seq("ack_floor"), seq("delivered")) else {
            panic!("{stream}: {info}");
        };
        assert!(
            floor >= self.floor.0,
            "{stream}: the floor went from {:?} to {floor}",
            self.floor
        );
        assert!(
            delivered >= self.floor.1,
            "{stream}: delivered went back to {delivered}"
        );
        // Everything that was confirmed was delivered, as the consumer knows it.
        let last = self.acked.last().copied().unwrap_or(0);
        assert!(
            delivered >= last,
            "{stream}: {last} was confirmed, {delivered} delivered"
        );
        let is_acked = |seq: &u64| self.acked.contains(seq) || self.unknown.contains(seq);
        let first = self.received.keys().find(|seq| !is_acked(seq));
        if let Some(first) = first {
            assert!(
                floor < *first,
                "{stream}: the floor {floor} is above {first}"
            );
        }
        self.floor = (floor, delivered);
    }
}

impl Churner {
    /// Streams are there with their message, or gone, as was said.
    pub fn check(&self, link: &mut Link) {
        let mut names: BTreeSet<String> = BTreeSet::new();
        loop {
            let body = format!("{{\"offset\":{}}}", names.len());
            let page = link.api("STREAM.NAMES", &body).unwrap();
            let before = names.len();
            let found = page["streams"].as_array().cloned().unwrap_or_default();
            names.extend(
                found
                    .iter()
                    .filter_map(|name| Some(name.as_str()?.to_owned())),
            );
            if names.len() == before {
                break;
            }
        }
        for n in &self.kept {
            let name = Churner::name(*n);
            assert!(names.contains(&name), "{name} is lost");
            assert_eq!(state(link, &name)["messages"], 1, "{name}");
        }
        for n in &self.deleted {
            let name = Churner::name(*n);
            assert!(!names.contains(&name), "{name} is back");
        }
    }
}

//! Who works against the server while it is killed: publishers, consumers, and one who makes
//! and deletes streams. Each notes what it did, was told, and does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::process::link::{Link, Message};

/// Messages of one publisher under way.
const WINDOW: usize = 64;
/// Keys of the register stream.
pub const KEYS: u64 = 16;

/// What a message of a publisher carries: its number, and bytes that follow from it.
pub fn payload(who: &str, n: u64) -> Vec<u8> {
    let mut bytes = format!("{who} {n} ").into_bytes();
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..x % 900 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes.push(x as u8);
    }
    bytes
}

/// The number in a payload of `who`, if it is exactly what that publisher sent.
pub fn number(who: &str, bytes: &[u8]) -> Option<u64> {
    let mut words = bytes.splitn(3, |byte| *byte == b' ');
    let named = words.next()? == who.as_bytes();
    let n = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    (named && payload(who, n) == bytes).then_some(n)
}

/// How a publisher writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Once each; what became of it may stay unknown.
    Plain,
    /// With an id, and again until it is acknowledged.
    Dedup,
    /// Values of a few keys.
    Keys,
}

/// Publishes to a stream, and knows what was acknowledged.
pub struct Publisher {
    pub stream: &'static str,
    pub kind: Kind,
    /// Numbers below this were sent.
    pub next: u64,
    /// The sequences of those that were acknowledged.
    pub acked: BTreeMap<u64, u64>,
    /// Sent, and no answer came.
    pub unknown: BTreeSet<u64>,
    /// Acknowledged as duplicates.
    pub duplicates: u64,
}

impl Publisher {
    pub fn new(stream: &'static str, kind: Kind) -> Publisher {
        Publisher {
            stream,
            kind,
            next: 1,
            acked: BTreeMap::new(),
            unknown: BTreeSet::new(),
            duplicates: 0,
        }
    }

    pub fn subject(&self, n: u64) -> String {
        match self.kind {
            Kind::Keys => format!("{}.k{}", self.stream, n % KEYS),
            _ => format!("{}.{}", self.stream, n % 7),
        }
    }

    fn send(&mut self, link: &mut Link, n: u64) {
        let headers = match self.kind {
            Kind::Dedup => format!("Nats-Msg-Id: {n}"),
            _ => String::new(),
        };
        let reply = link.inbox(n);
        link.publish(&self.subject(n), &reply, &headers, &payload(self.stream, n));
        self.unknown.insert(n);
    }

    /// Publishes until the server is gone.
    pub fn run(&mut self, address: &str, acks: &AtomicU64) -> io::Result<()> {
        let mut link = Link::connect(address)?;
        let mut under_way = 0;
        if self.kind == Kind::Dedup {
            for n in self.unknown.clone() {
                self.send(&mut link, n);
                under_way += 1;
            }
        }
        loop {
            while under_way < WINDOW {
                let n = self.next;
                self.next += 1;
                self.send(&mut link, n);
                under_way += 1;
            }
            link.flush()?;
            let answer = link.next()?;
            under_way -= 1;
            self.hear(&answer);
            acks.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn hear(&mut self, answer: &Message) {
        let n: u64 = answer.subject.parse().expect("a number");
        let ack = answer.json();
        assert!(ack["error"].is_null(), "{ack}");
        let seq = ack["seq"].as_u64().expect("a sequence");
        self.duplicates += u64::from(ack["duplicate"] == true);
        self.unknown.remove(&n);
        assert_eq!(self.acked.insert(n, seq), None, "{n} acknowledged twice");
    }
}

/// Pulls messages and confirms acknowledgements.
pub struct Puller {
    pub stream: &'static str,
    /// Confirmed.
    pub acked: BTreeSet<u64>,
    /// Acknowledged, and no answer came.
    pub unknown: BTreeSet<u64>,
    /// How often each that is not confirmed was received.
    pub received: BTreeMap<u64, u64>,
    /// Its consumer limits deliveries: each is counted before it is made. Others may forget
    /// one that was just made when the process ends.
    counts: bool,
    /// The last seen floor and delivered sequence.
    pub floor: (u64, u64),
    pub redelivered: u64,
}

impl Puller {
    pub fn new(stream: &'static str, counts: bool) -> Puller {
        Puller {
            stream,
            acked: BTreeSet::new(),
            unknown: BTreeSet::new(),
            received: BTreeMap::new(),
            counts,
            floor: (0, 0),
            redelivered: 0,
        }
    }

    /// Pulls until the server is gone, or nothing has come for `idle` pulls.
    pub fn run(&mut self, address: &str, acks: &AtomicU64, idle: usize) -> io::Result<()> {
        if !self.counts {
            // That they were received still holds, and the floor must stay below them.
            self.received.values_mut().for_each(|count| *count = 0);
        }
        let mut link = Link::connect(address)?;
        let (mut open, mut quiet) = (0, 0);
        let mut asked: BTreeSet<u64> = BTreeSet::new();
        loop {
            if open == 0 && asked.is_empty() {
                if quiet == idle {
                    return Ok(());
                }
                let pull = format!("$JS.API.CONSUMER.MSG.NEXT.{}.worker", self.stream);
                let body = br#"{"batch":50,"expires":400000000}"#;
                let reply = link.inbox("pull");
                link.publish(&pull, &reply, "", body);
                open = 50;
                quiet += 1;
            }
            link.flush()?;
            let message = link.next()?;
            if let Some(seq) = message.subject.strip_prefix("ack.") {
                let seq = seq.parse().expect("a sequence");
                assert!(message.payload.is_empty(), "{message:?}");
                asked.remove(&seq);
                self.unknown.remove(&seq);
                self.received.remove(&seq);
                self.acked.insert(seq);
                acks.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            if !message.status().is_empty() {
                open = 0;
                continue;
            }
            open -= 1;
            quiet = 0;
            if let Some(seq) = self.receive(&message) {
                let reply = link.inbox(format!("ack.{seq}"));
                link.publish(&message.reply, &reply, "", b"+ACK");
                self.unknown.insert(seq);
                asked.insert(seq);
            }
        }
    }

    /// Checks a message; its sequence if it is to be acknowledged now.
    fn receive(&mut self, message: &Message) -> Option<u64> {
        let words: Vec<&str> = message.reply.split('.').collect();
        let [.., count, seq, _, _, _] = words[..] else {
            panic!("{message:?}");
        };
        let (count, seq): (u64, u64) = (count.parse().unwrap(), seq.parse().unwrap());
        let what = format!("{} {seq}", self.stream);
        assert!(
            !self.acked.contains(&seq),
            "{what}: redelivered though confirmed"
        );
        assert!(
            number(self.stream, &message.payload).is_some(),
            "{what}: other bytes"
        );
        let received = self.received.entry(seq).or_default();
        *received += 1;
        assert!(
            count >= *received,
            "{what}: delivery {received} is called {count}"
        );
        self.redelivered += u64::from(count > 1);
        // Some are acknowledged when they come again.
        (!seq.is_multiple_of(10) || count > 1).then_some(seq)
    }
}

/// Makes streams with one message each, and deletes most of them.
#[derive(Default)]
pub struct Churner {
    next: u64,
    /// There, with one message.
    pub kept: BTreeSet<u64>,
    /// Gone.
    pub deleted: BTreeSet<u64>,
    /// Nobody knows.
    pub unknown: BTreeSet<u64>,
}

impl Churner {
    pub fn name(n: u64) -> String {
        format!("churn{n}")
    }

    pub fn run(&mut self, address: &str, acks: &AtomicU64) -> io::Result<()> {
        let mut link = Link::connect(address)?;
        loop {
            self.next += 1;
            let n = self.next;
            let name = Self::name(n);
            self.unknown.insert(n);
            let config = json!({"name": name, "subjects": [format!("{name}.>")]});
            let made = link.api(&format!("STREAM.CREATE.{name}"), &config.to_string())?;
            assert!(made["error"].is_null(), "{made}");
            let ack = link.ask(&format!("{name}.x"), &name)?.json();
            assert_eq!(ack["seq"], 1, "{ack}");
            if n.is_multiple_of(4) {
                self.unknown.remove(&n);
                self.kept.insert(n);
                acks.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let gone: Value = link.api(&format!("STREAM.DELETE.{name}"), "")?;
            assert_eq!(gone["success"], true, "{gone}");
            self.unknown.remove(&n);
            self.deleted.insert(n);
            acks.fetch_add(1, Ordering::Relaxed);
        }
    }
}

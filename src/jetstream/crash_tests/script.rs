//! What a client does with a server, and what there is to be after each thing it did.
//!
//! The client waits for each answer before it goes on to something else, and only pipelines
//! messages; so a stream after a power cut is as after some first part of what was done to it.
//! Streams have queues of their own: what was pipelined to two may be split either way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::found::Machines;
use super::world::{Client, Received, World};
use crate::entropy::Random;
use crate::vfs::sim::SimVfs;

/// Messages of one subject that the streams with limits keep.
const PER_SUBJECT: usize = 9;
/// How long ids are remembered, in nanoseconds: longer than all checks take.
const IDS_KEPT: u64 = 24 * 3_600_000_000_000;

/// A message as it was published.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    pub seq: u64,
    pub subject: String,
    pub headers: String,
    pub payload: Vec<u8>,
}

/// A stream as it is to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    pub messages: Vec<Arc<Published>>,
    pub last_seq: u64,
    pub max_msgs: usize,
    /// Messages go when they are old: then `messages` are all there ever were, and ...
    pub ages: bool,
    /// ... those below this were seen to be gone.
    pub aged_to: u64,
    /// Acknowledged by the consumer, and that was confirmed.
    pub settled: BTreeSet<u64>,
    pub has_consumer: bool,
}

impl Stream {
    fn store(&mut self, subject: &str, headers: &str, payload: Vec<u8>) {
        self.last_seq += 1;
        self.messages.push(Arc::new(Published {
            seq: self.last_seq,
            subject: subject.to_owned(),
            headers: headers.to_owned(),
            payload,
        }));
        if self.max_msgs == 0 {
            return;
        }
        let is_same = |message: &&Arc<Published>| message.subject == subject;
        if self.messages.iter().filter(is_same).count() > PER_SUBJECT {
            let first = self.messages.iter().position(|message| is_same(&message));
            self.messages.remove(first.expect("more than one"));
        }
        self.limit();
    }

    fn limit(&mut self) {
        let over = self.messages.len().saturating_sub(self.max_msgs);
        self.messages.drain(..over);
    }
}

/// What there is to be.
pub type Streams = BTreeMap<&'static str, Stream>;

/// What was promised at some time: so much was done, and so much was begun.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub acked: usize,
    pub issued: usize,
}

/// A client at work, and what it did.
pub struct Script {
    client: Client,
    random: Random,
    issued: Arc<AtomicU64>,
    acked: Arc<AtomicU64>,
    /// Fetched and not acknowledged.
    held: Vec<(&'static str, Received)>,
    /// Where the stream whose messages age began when nothing was under way.
    aged_to: u64,
    pub done: Done,
}

/// The states to be, and those the server had.
#[derive(Default)]
pub struct Done {
    /// After each thing that was done; the first is empty.
    pub states: Vec<Streams>,
    /// The machines as they were, where nothing was under way.
    pub machines: BTreeMap<usize, Machines>,
}

impl Script {
    pub fn new(world: &World, seed: u64) -> Script {
        Script {
            client: Client::new(&world.account),
            random: Random::seeded(seed),
            issued: Arc::default(),
            acked: Arc::default(),
            held: Vec::new(),
            aged_to: 0,
            done: Done {
                states: vec![Streams::new()],
                machines: BTreeMap::from([(0, Machines::default())]),
            },
        }
    }

    /// Tells what is promised, for whoever watches the disk.
    pub fn marks(&self) -> impl Fn() -> Mark + Send + Sync + 'static + use<> {
        let (acked, issued) = (Arc::clone(&self.acked), Arc::clone(&self.issued));
        let load = |number: &AtomicU64| number.load(Ordering::SeqCst) as usize;
        move || Mark {
            acked: load(&acked),
            issued: load(&issued),
        }
    }

    /// Works until the disk was called so often.
    pub async fn play(&mut self, world: &World, disk: &SimVfs, calls: u64) {
        self.begin(world).await;
        while disk.calls() < calls {
            self.step(world).await;
        }
    }

    fn now(&self) -> &Streams {
        self.done.states.last().expect("the first is there")
    }

    /// Something is about to be done; after it, the streams are to be like this.
    fn issue(&mut self, change: impl FnOnce(&mut Streams)) {
        let mut state = self.now().clone();
        change(&mut state);
        // Not in the state before: the power may have failed when that was promised, but time
        // had not passed.
        if let Some(stream) = state.get_mut("L") {
            stream.aged_to = self.aged_to;
        }
        self.done.states.push(state);
        self.issued.fetch_add(1, Ordering::SeqCst);
    }

    /// The oldest thing under way was done.
    fn confirm(&self) {
        self.acked.fetch_add(1, Ordering::SeqCst);
    }

    /// Nothing is under way: this is what the machines are like.
    async fn rest(&mut self, world: &World) {
        let number = self.done.states.len() - 1;
        assert_eq!(self.acked.load(Ordering::SeqCst) as usize, number);
        let machines = Machines::of(world).await;
        self.aged_to = machines.first_of("L");
        self.done.machines.insert(number, machines);
    }

    async fn create(&mut self, name: &'static str, max_msgs: usize) {
        self.issue(|streams| {
            let stream = Stream {
                max_msgs,
                ages: name == "L",
                ..Stream::default()
            };
            streams.insert(name, stream);
        });
        let mut config = json!({"name": name, "subjects": [format!("{name}.>")],
            "storage": "file", "allow_direct": true, "duplicate_window": IDS_KEPT});
        if max_msgs > 0 {
            config["max_msgs"] = max_msgs.into();
            config["max_msgs_per_subject"] = PER_SUBJECT.into();
        }
        match name {
            "L" => {
                config["max_age"] = 150_000_000.into();
                config["duplicate_window"] = 150_000_000.into();
            }
            "W" => config["retention"] = "workqueue".into(),
            _ => {}
        }
        let what = format!("STREAM.CREATE.{name}");
        self.client.api(&what, config).await;
        self.confirm();
    }

    async fn create_consumer(&mut self, name: &'static str) {
        self.issue(|streams| {
            if let Some(stream) = streams.get_mut(name) {
                stream.has_consumer = true;
            }
        });
        let body = json!({"stream_name": name, "config": {"durable_name": "c",
            "ack_policy": "explicit", "ack_wait": IDS_KEPT,
            "max_ack_pending": 10_000}});
        let what = format!("CONSUMER.DURABLE.CREATE.{name}.c");
        self.client.api(&what, body).await;
        self.confirm();
    }

    async fn begin(&mut self, world: &World) {
        self.create("S", 60).await;
        self.rest(world).await;
        self.create("W", 0).await;
        self.create_consumer("S").await;
        self.rest(world).await;
        self.create_consumer("W").await;
        self.create("L", 0).await;
        self.rest(world).await;
    }

    async fn step(&mut self, world: &World) {
        match self.random.below(100) {
            0..45 => {
                let stream = match self.random.below(10) {
                    0..6 => "S",
                    6..8 => "W",
                    8 => "L",
                    _ => match self.now().contains_key("X") {
                        true => "X",
                        false => "S",
                    },
                };
                self.publish(stream).await;
            }
            45..50 => self.publish_again().await,
            50..56 => self.delete_message().await,
            56..59 => self.purge().await,
            59..72 => self.fetch(world).await,
            72..92 => self.ack().await,
            92..95 => self.update().await,
            95..97 => match self.now().contains_key("X") {
                true => self.delete_stream().await,
                false => self.create("X", 20).await,
            },
            _ => {
                // As the log asks for when it holds old segments for too long.
                let names: Vec<&str> = self.now().keys().copied().collect();
                let name = names[self.random.below(names.len() as u64) as usize];
                let handle = world.stream(name).expect("it runs");
                let group = handle.read(|replica| replica.group.clone()).await;
                let checkpoint = group.expect("it runs").checkpoint().await;
                checkpoint.expect("a checkpoint");
            }
        }
        self.rest(world).await;
    }

    async fn publish(&mut self, stream: &'static str) {
        let count = 1 + self.random.below(6);
        let mut expected = Vec::new();
        for _ in 0..count {
            let number = self.done.states.len();
            let len = match self.random.below(30) {
                0 => 3000,
                1..5 => 300 + self.random.below(500),
                _ => self.random.below(90),
            };
            let payload: Vec<u8> = (0..len).map(|at| (at + number as u64) as u8).collect();
            let subject = format!("{stream}.{}", self.random.below(11));
            let headers = format!("NATS/1.0\r\nNats-Msg-Id: {number}\r\n\r\n");
            self.issue(|streams| {
                let stream = streams.get_mut(stream).expect("it is there");
                stream.store(&subject, &headers, payload.clone());
            });
            let seq = self.now()[stream].last_seq;
            let inbox = self.client.send(&subject, &headers, &payload);
            expected.push((inbox, json!({"stream": stream, "seq": seq})));
        }
        for (inbox, expected) in expected {
            let answer = self.client.receive().await;
            assert_eq!(answer.subject, inbox);
            assert_eq!(answer.json(), expected);
            self.confirm();
        }
    }

    /// A publisher who did not hear the answer.
    async fn publish_again(&mut self) {
        let Some(message) = self.now()["S"].messages.last().cloned() else {
            return;
        };
        let Published {
            seq,
            subject,
            headers,
            payload,
        } = &*message;
        self.issue(|_| {});
        let answer = self.client.request(subject, headers, payload).await;
        let expected = json!({"stream": "S", "seq": seq, "duplicate": true});
        assert_eq!(answer.json(), expected);
        self.confirm();
    }

    async fn delete_message(&mut self) {
        let messages = &self.now()["S"].messages;
        if messages.is_empty() {
            return;
        }
        let at = self.random.below(self.now()["S"].messages.len() as u64) as usize;
        let seq = self.now()["S"].messages[at].seq;
        let no_erase = self.random.below(2) == 0;
        self.issue(|streams| {
            let stream = streams.get_mut("S").expect("it is there");
            stream.messages.remove(at);
        });
        let body = json!({"seq": seq, "no_erase": no_erase});
        self.client.api("STREAM.MSG.DELETE.S", body).await;
        self.confirm();
    }

    async fn purge(&mut self) {
        let subject = format!("S.{}", self.random.below(11));
        let keep = self.random.below(20);
        let by_subject = self.random.below(3) > 0;
        self.issue(|streams| {
            let stream = streams.get_mut("S").expect("it is there");
            if by_subject {
                stream.messages.retain(|message| message.subject != subject);
            } else {
                let over = stream.messages.len().saturating_sub(keep as usize);
                stream.messages.drain(..over);
            }
        });
        let body = match by_subject {
            true => json!({"filter": subject}),
            false => json!({"keep": keep}),
        };
        // A purge that keeps none names no number.
        let body = if !by_subject && keep == 0 {
            json!({})
        } else {
            body
        };
        self.client.api("STREAM.PURGE.S", body).await;
        self.confirm();
    }

    async fn fetch(&mut self, world: &World) {
        let stream = ["S", "W"][self.random.below(2) as usize];
        let count = 1 + self.random.below(5) as usize;
        self.issue(|_| {});
        let fetched = self.client.fetch(stream, "c", count).await;
        // They come before the log has them; until then a cut brings them once more.
        world.wait_for_log(stream).await;
        self.confirm();
        for received in &fetched {
            let message = find(&self.now()[stream], received.seq());
            check_bytes(received, message.expect("delivered, so it is there"));
        }
        self.held
            .extend(fetched.into_iter().map(|one| (stream, one)));
    }

    async fn ack(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let at = self.random.below(self.held.len() as u64) as usize;
        let (stream, held) = self.held.swap_remove(at);
        let seq = held.seq().expect("it was delivered");
        self.issue(|streams| {
            let state = streams.get_mut(stream).expect("it is there");
            state.settled.insert(seq);
            if stream == "W" {
                state.messages.retain(|message| message.seq != seq);
            }
        });
        self.client.request(&held.reply, "", b"+ACK").await;
        self.confirm();
    }

    async fn update(&mut self) {
        let max_msgs = 40 + self.random.below(40) as usize;
        self.issue(|streams| {
            let stream = streams.get_mut("S").expect("it is there");
            stream.max_msgs = max_msgs;
            stream.limit();
        });
        let config = json!({"name": "S", "subjects": ["S.>"], "storage": "file",
            "allow_direct": true, "duplicate_window": IDS_KEPT, "max_msgs": max_msgs,
            "max_msgs_per_subject": PER_SUBJECT});
        self.client.api("STREAM.UPDATE.S", config).await;
        self.confirm();
    }

    async fn delete_stream(&mut self) {
        self.issue(|streams| drop(streams.remove("X")));
        let deleted = self.client.api("STREAM.DELETE.X", json!(null)).await;
        assert_eq!(deleted["success"], true);
        self.confirm();
    }
}

/// The message of that sequence.
pub fn find(stream: &Stream, seq: Option<u64>) -> Option<&Arc<Published>> {
    let mut messages = stream.messages.iter();
    messages.find(|message| Some(message.seq) == seq)
}

/// What was delivered is what was published.
pub fn check_bytes(received: &Received, message: &Published) {
    assert_eq!(received.subject, message.subject, "{}", message.seq);
    assert_eq!(
        received.headers,
        message.headers.as_bytes(),
        "{}",
        message.seq
    );
    assert_eq!(received.payload, message.payload, "{}", message.seq);
}

//! What a server came back with, read from its machines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;

use bytes::Bytes;
use prost::Message as _;

use super::script::{Published, Stream, Streams};
use super::world::World;
use crate::pb::stream as pb;
use crate::store::message::Seq;
use crate::stream::machine::Machine;
use crate::subject::filters::Filters;

/// The machines of all streams.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machines(BTreeMap<String, Found>);

/// One stream's machine.
#[derive(Clone, Default, PartialEq)]
pub struct Found {
    pub messages: Vec<Published>,
    pub first_seq: u64,
    pub last_seq: u64,
    pub consumer: Option<Consumer>,
    /// Everything but the messages: ids, consumers, configuration, the last time.
    pub state: Vec<u8>,
}

/// The consumer of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Consumer {
    /// By sequence in the consumer and in the stream.
    pub delivered: (u64, u64),
    pub floor: (u64, u64),
    pub pending: BTreeSet<u64>,
}

impl Machines {
    /// As they are now.
    pub async fn of(world: &World) -> Machines {
        let mut machines = BTreeMap::new();
        for handle in world.site.streams() {
            let found = handle.read(|replica| replica.group.with(Found::of)).await;
            machines.insert(handle.name.to_string(), found.expect("it runs"));
        }
        Machines(machines)
    }

    pub fn get(&self, name: &str) -> Option<&Found> {
        self.0.get(name)
    }

    /// The first sequence of a stream.
    pub fn first_of(&self, name: &str) -> u64 {
        self.get(name).map_or(0, |found| found.first_seq)
    }

    /// Which of the streams that were to be at some time these are, one after the other:
    /// each its own first part of what was done to it. None if one is none of them, or if
    /// there never were these streams together.
    pub fn among(&self, states: &[Streams]) -> Option<Streams> {
        let names = || self.0.keys().map(String::as_str);
        let together = |state: &&Streams| names().eq(state.keys().copied());
        let state = states.iter().rev().find(together)?;
        let of_stream = |name: &'static str| {
            let found = self.get(name)?;
            let streams = states.iter().rev().filter_map(|state| state.get(name));
            let mut same = streams.filter(|stream| found.is(stream));
            Some((name, same.next()?.clone()))
        };
        state.keys().map(|name| of_stream(name)).collect()
    }

    /// How these machines differ from others, but for what time does to them.
    pub fn differences(&self, other: &Machines) -> Vec<String> {
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let timeless = names.into_iter().filter(|name| *name != "L");
        let differ = timeless.filter_map(|name| {
            let (one, another) = (self.get(name), other.get(name));
            (one != another).then(|| format!("{name}: {one:#?}, not {another:#?}"))
        });
        differ.collect()
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages = self.messages.iter().map(|message| message.seq);
        f.debug_struct("Found")
            .field(
                "messages",
                &format_args!("{:?}", messages.collect::<Vec<_>>()),
            )
            .field("seqs", &(self.first_seq, self.last_seq))
            .field("consumer", &self.consumer)
            .field("state", &pb::State::decode(&self.state[..]))
            .finish()
    }
}

impl Found {
    fn of(machine: &mut Machine) -> Found {
        let state = machine.state();
        let encoded = machine.encode_state(Bytes::new());
        let consumer = machine.consumers().get("c").map(|member| {
            let state = member.consumer.state();
            let place =
                |position: crate::consumer::state::Position| (position.consumer, position.stream.0);
            Consumer {
                delivered: place(state.delivered()),
                floor: place(state.ack_floor()),
                pending: state.pending().keys().map(|seq| seq.0).collect(),
            }
        });
        let mut messages = Vec::new();
        let scanned = machine
            .store()
            .scan(Seq(1), &Filters::all(), &mut |message| {
                messages.push(Published {
                    seq: message.seq.0,
                    subject: String::from_utf8_lossy(message.subject).into_owned(),
                    headers: String::from_utf8_lossy(message.headers).into_owned(),
                    payload: message.payload.to_vec(),
                });
                ControlFlow::Continue(())
            });
        scanned.expect("everything can be read");
        assert_eq!(messages.len() as u64, state.messages);
        assert!(machine.store().lost().is_empty());
        Found {
            messages,
            first_seq: state.first_seq.0,
            last_seq: state.last_seq.0,
            consumer,
            state: encoded,
        }
    }

    fn is(&self, expected: &Stream) -> bool {
        let there = if expected.ages {
            let aged = expected.messages.len().checked_sub(self.messages.len());
            let Some(aged) = aged.filter(|_| self.first_seq >= expected.aged_to) else {
                return false;
            };
            &expected.messages[aged..]
        } else {
            &expected.messages
        };
        self.last_seq == expected.last_seq
            && self.consumer.is_some() == expected.has_consumer
            && self
                .messages
                .iter()
                .eq(there.iter().map(|message| &**message))
    }
}

impl Consumer {
    /// Nothing went back behind what it was before, and nothing beyond what it became.
    pub fn is_between(&self, before: &Consumer, after: &Consumer) -> bool {
        let within = |low, found, high| low <= found && found <= high;
        within(before.delivered, self.delivered, after.delivered)
            && within(before.floor, self.floor, after.floor)
            && self.pending.iter().all(|seq| *seq <= self.delivered.1)
    }
}

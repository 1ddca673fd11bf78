//! What is delivered, acknowledged and pending.
//!
//! Separate from the commands because acknowledging has a shape of its own: floors that
//! only rise, and a set of deliveries above them that wait to be settled.
//!
//! ```text
//!   settled ........ | pending and settled, mixed ........ | not delivered yet
//!              ack floor                             delivered
//! ```
//!
//! Invariants: floor ≤ delivered in both counts; the lowest pending delivery has the
//! consumer sequence after the floor's; pending consumer sequences (of the first delivery)
//! ascend with the stream sequences; a sequence is pending or exhausted, never both.

use std::collections::{BTreeMap, BTreeSet};

use super::outcome::Delivery;
use crate::clock::Timestamp;
use crate::store::message::Seq;

/// A place in the consumer's and the stream's count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Deliveries of this consumer.
    pub consumer: u64,
    /// The message.
    pub stream: Seq,
    /// When it came here; none before the first delivery or acknowledgement.
    pub at: Option<Timestamp>,
}

/// Since when, or until when, a delivered message waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// For an acknowledgement, since its delivery or the last sign of progress.
    Since(Timestamp),
    /// For that time: it was not taken, and is to come again then.
    Until(Timestamp),
    /// For nothing: it was not taken, and is to come again.
    Over,
}

/// A message that is delivered and not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The consumer sequence of its first delivery; moves the floor.
    pub first: u64,
    /// The consumer sequence of its last delivery.
    pub last: u64,
    /// How often it was delivered.
    pub count: u64,
    /// When it was delivered last.
    pub delivered: Timestamp,
    /// What it waits for.
    pub wait: Wait,
}

impl Pending {
    /// Its last delivery.
    pub fn delivery(&self, seq: Seq) -> Delivery {
        Delivery {
            stream_seq: seq,
            consumer_seq: self.last,
            count: self.count,
            time_ns: self.delivered.unix_nanos(),
            pending: 0,
        }
    }
}

/// Deliveries and their acknowledgement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    delivered: Position,
    ack_floor: Position,
    pending: BTreeMap<Seq, Pending>,
    exhausted: BTreeSet<Seq>,
    /// How many of `pending` were delivered more than once; derived.
    redelivered: u64,
}

impl State {
    /// Nothing delivered; `before` is the sequence before the first to come.
    pub fn starting_after(before: Seq) -> Self {
        let start = Position {
            stream: before,
            ..Position::default()
        };
        State {
            delivered: start,
            ack_floor: start,
            ..State::default()
        }
    }

    /// From its parts, as a snapshot has them.
    pub fn from_parts(
        delivered: Position,
        ack_floor: Position,
        pending: BTreeMap<Seq, Pending>,
        exhausted: BTreeSet<Seq>,
    ) -> Self {
        let redelivered = pending.values().filter(|one| one.count > 1).count() as u64;
        State {
            delivered,
            ack_floor,
            pending,
            exhausted,
            redelivered,
        }
    }

    /// The last delivery.
    pub fn delivered(&self) -> Position {
        self.delivered
    }

    /// Up to where everything is settled.
    pub fn ack_floor(&self) -> Position {
        self.ack_floor
    }

    /// What is delivered and not settled, by stream sequence.
    pub fn pending(&self) -> &BTreeMap<Seq, Pending> {
        &self.pending
    }

    /// What was delivered as often as allowed, without being acknowledged.
    pub fn exhausted(&self) -> &BTreeSet<Seq> {
        &self.exhausted
    }

    /// Messages delivered more than once that are pending or given up.
    pub fn redelivered(&self) -> u64 {
        self.redelivered + self.exhausted.len() as u64
    }

    /// A message's first delivery; with `track` it waits for its acknowledgement.
    pub fn deliver(&mut self, now: Timestamp, seq: Seq, track: bool) -> Delivery {
        let consumer_seq = self.advance(now);
        self.delivered.stream = seq;
        let pending = Pending {
            first: consumer_seq,
            last: consumer_seq,
            count: 1,
            delivered: now,
            wait: Wait::Since(now),
        };
        if track {
            self.pending.insert(seq, pending);
        } else {
            self.ack_floor = self.delivered;
        }
        pending.delivery(seq)
    }

    /// Another delivery of a pending message, unless it had `count_max` of them.
    pub fn redeliver(
        &mut self,
        now: Timestamp,
        seq: Seq,
        count_max: Option<u64>,
    ) -> Option<Delivery> {
        let pending = self.pending.get_mut(&seq)?;
        if count_max.is_some_and(|max| pending.count >= max) {
            return None;
        }
        if pending.count == 1 {
            self.redelivered += 1;
        }
        pending.count = pending.count.saturating_add(1);
        pending.delivered = now;
        pending.wait = Wait::Since(now);
        self.delivered.consumer += 1;
        self.delivered.at = Some(now);
        pending.last = self.delivered.consumer;
        Some(pending.delivery(seq))
    }

    /// What a pending message waits for from now on; its last delivery.
    pub fn wait(&mut self, seq: Seq, wait: Wait) -> Option<Delivery> {
        let pending = self.pending.get_mut(&seq)?;
        pending.wait = wait;
        Some(pending.delivery(seq))
    }

    /// Every pending message is to come again.
    pub fn expire_all(&mut self) {
        for pending in self.pending.values_mut() {
            pending.wait = Wait::Over;
        }
    }

    /// Nothing is to come up to `seq`.
    pub fn skip_to(&mut self, seq: Seq) {
        self.delivered.stream = self.delivered.stream.max(seq);
    }

    /// Takes a message off the pending ones and lets the floor follow; its last delivery.
    /// `now` is when it was acknowledged, if it was.
    pub fn settle(&mut self, now: Option<Timestamp>, seq: Seq) -> Option<Delivery> {
        let pending = self.pending.remove(&seq)?;
        self.uncount(&pending);
        match self.pending.first_key_value() {
            None => self.raise(now, self.delivered.consumer, self.delivered.stream),
            Some((&lowest, next)) if lowest > seq => {
                self.raise(now, next.first - 1, lowest.prev());
            }
            Some(_) => {}
        }
        Some(pending.delivery(seq))
    }

    /// Takes everything up to `seq` off the pending ones, telling `each`.
    pub fn settle_up_to(&mut self, now: Timestamp, seq: Seq, mut each: impl FnMut(Seq)) {
        while let Some(entry) = self.pending.first_entry()
            && *entry.key() <= seq
        {
            let (settled, pending) = entry.remove_entry();
            self.uncount(&pending);
            each(settled);
        }
        let consumer = match self.pending.first_key_value() {
            None => self.delivered.consumer,
            Some((_, next)) => next.first - 1,
        };
        self.raise(Some(now), consumer, seq);
    }

    /// Gives a pending message up: it is delivered no more, but not acknowledged either.
    pub fn exhaust(&mut self, seq: Seq) -> Option<Delivery> {
        let delivery = self.settle(None, seq)?;
        self.exhausted.insert(seq);
        Some(delivery)
    }

    /// Forgets that a message was given up; true if it was.
    pub fn forget_exhausted(&mut self, seq: Seq) -> bool {
        self.exhausted.remove(&seq)
    }

    fn advance(&mut self, now: Timestamp) -> u64 {
        self.delivered.consumer += 1;
        self.delivered.at = Some(now);
        self.delivered.consumer
    }

    fn uncount(&mut self, pending: &Pending) {
        if pending.count > 1 {
            self.redelivered -= 1;
        }
    }

    fn raise(&mut self, now: Option<Timestamp>, consumer: u64, stream: Seq) {
        debug_assert!(consumer <= self.delivered.consumer, "floor above delivered");
        self.ack_floor.consumer = self.ack_floor.consumer.max(consumer);
        self.ack_floor.stream = self.ack_floor.stream.max(stream);
        self.ack_floor.at = now.or(self.ack_floor.at);
    }
}

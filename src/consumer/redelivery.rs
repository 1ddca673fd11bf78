//! When an unacknowledged message is due again, and which goes first.
//!
//! Separate because time and order of redelivery have their own rules: `ack_wait` or
//! `backoff` since the last delivery (replicated), a nak's delay instead, and a queue in
//! which what became due together goes by sequence.
//!
//! Invariants: a pending message whose deadline can come has an entry here at or before it
//! (or is queued); stale entries are dropped when they come up, and are never more than
//! [`STALE_MAX`] beyond twice the pending ones.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use super::config::{AckPolicy, Config};
use super::replica::Consumer;
use super::state::{Pending, Wait};
use crate::clock::Timestamp;
use crate::store::message::Seq;

/// How many stale deadlines are put up with before all are made anew.
const STALE_MAX: usize = 1024;
/// What applies if nothing is configured: 30 s.
const ACK_WAIT_NS: i64 = 30_000_000_000;
/// It never comes.
pub(super) const NEVER: Timestamp = Timestamp::from_unix_nanos(i64::MAX);

/// A time so many nanoseconds later.
pub(super) fn later(at: Timestamp, nanos: i64) -> Timestamp {
    Timestamp::from_unix_nanos(at.unix_nanos().saturating_add(nanos))
}

/// When a pending message is to come again; [`NEVER`] if it waits for its client only.
pub(super) fn due(config: &Config, pending: &Pending) -> Timestamp {
    match pending.wait {
        Wait::Over => Timestamp::from_unix_nanos(i64::MIN),
        Wait::Until(until) => until,
        Wait::Since(_) if config.ack_policy == AckPolicy::FlowControl => NEVER,
        Wait::Since(since) => later(since, ack_wait(config, pending.count)),
    }
}

/// How long the acknowledgement of the delivery number `count` may take.
fn ack_wait(config: &Config, count: u64) -> i64 {
    let at = usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
    match (config.backoff.get(at), config.backoff.last()) {
        (Some(&wait), _) | (None, Some(&wait)) => wait,
        (None, None) if config.ack_wait > 0 => config.ack_wait,
        (None, None) => ACK_WAIT_NS,
    }
}

/// Deadlines of pending messages.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// Those that came in order: nearly all, as all wait equally long.
    fifo: VecDeque<(Timestamp, Seq)>,
    others: BinaryHeap<Reverse<(Timestamp, Seq)>>,
}

impl Deadlines {
    /// Those of all pending messages.
    pub(super) fn of(consumer: &Consumer) -> Self {
        let config = consumer.config();
        let pending = consumer.state().pending().iter();
        let mut all: Vec<(Timestamp, Seq)> = pending
            .map(|(seq, pending)| (due(config, pending), *seq))
            .filter(|(due, _)| *due != NEVER)
            .collect();
        all.sort_unstable();
        Deadlines {
            fifo: all.into(),
            others: BinaryHeap::new(),
        }
    }

    /// Remembers a deadline.
    pub(super) fn add(&mut self, due: Timestamp, seq: Seq) {
        if due == NEVER {
            return;
        }
        match self.fifo.back() {
            Some((last, _)) if *last > due => self.others.push(Reverse((due, seq))),
            _ => self.fifo.push_back((due, seq)),
        }
    }

    /// The next deadline; perhaps of a message that is settled already.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let fifo = self.fifo.front().map(|(due, _)| *due);
        let other = self.others.peek().map(|Reverse((due, _))| *due);
        [fifo, other].into_iter().flatten().min()
    }

    /// Takes one out that is due.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<Seq> {
        if self.fifo.front().is_some_and(|(due, _)| *due <= now) {
            return self.fifo.pop_front().map(|(_, seq)| seq);
        }
        let Reverse((due, _)) = self.others.peek()?;
        if *due > now {
            return None;
        }
        self.others.pop().map(|Reverse((_, seq))| seq)
    }

    /// Drops what is settled, as far as it is cheap.
    pub(super) fn prune(&mut self, consumer: &Consumer) {
        let pending = consumer.state().pending();
        while let Some((_, seq)) = self.fifo.front()
            && !pending.contains_key(seq)
        {
            self.fifo.pop_front();
        }
        while let Some(Reverse((_, seq))) = self.others.peek()
            && !pending.contains_key(seq)
        {
            self.others.pop();
        }
        if self.fifo.len() + self.others.len() > 2 * pending.len() + STALE_MAX {
            *self = Deadlines::of(consumer);
        }
    }
}

/// What is to be delivered again, in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    order: VecDeque<Seq>,
    /// Those in `order` and those taken out whose delivery is not applied yet.
    members: BTreeSet<Seq>,
}

impl Queue {
    /// At the end, unless it is there or on its way.
    pub(super) fn push(&mut self, seq: Seq) {
        if self.members.insert(seq) {
            self.order.push_back(seq);
        }
    }

    /// What goes first.
    pub(super) fn front(&self) -> Option<Seq> {
        self.order.front().copied()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The first is on its way.
    pub(super) fn take(&mut self) {
        self.order.pop_front();
    }

    /// The first need not be delivered again.
    pub(super) fn drop_front(&mut self) {
        if let Some(seq) = self.order.pop_front() {
            self.members.remove(&seq);
        }
    }

    /// A delivery on its way was applied; if it did not take place, `again` puts it first.
    pub(super) fn resolve(&mut self, seq: Seq, again: bool) {
        if again {
            self.order.push_front(seq);
        } else {
            self.members.remove(&seq);
        }
    }

    /// Forgets what waits; what is on its way stays.
    pub(super) fn clear(&mut self) {
        for seq in self.order.drain(..) {
            self.members.remove(&seq);
        }
    }
}

//! Leader only: what is due to whom.
//!
//! Separate from the replica because it is soft: it begins anew with every leader. Events
//! come in, decisions go out as [`Action`]s; whoever calls carries them out in order.
//!
//! ```text
//!   poll ──► Propose(Deliver [..]) ──► log ──► Consumer::apply ──► on_applied ──► Deliver, Status
//!     ├─ remembers what is under way, and goes on ahead of it, up to a limit
//!     └─ Deliver at once, where that may be, and Record instead of Propose (`ahead`)
//! ```
//!
//! A consumer whose state is not in the log goes the same way: the caller applies what is
//! proposed at once. Outcomes come back in the order of the proposals; a proposal that
//! came to nothing comes back as [`Dispatcher::on_dropped`].
//!
//! Invariants: what is under way is at most [`UNDER_WAY_MAX`] messages and about
//! [`UNDER_WAY_BYTES_MAX`] bytes; new messages are proposed in order, each once, unless its
//! delivery did not take place; redeliveries go before new messages; max ack pending holds
//! back new messages only; a pause holds back everything.

mod acks;
mod admission;
mod ahead;
mod applied;
mod gather;
mod idle;

use std::collections::{HashSet, VecDeque};

use bytes::{Bytes, BytesMut};

use self::ahead::Ahead;
use super::ack;
use super::command::Command;
use super::config::ReplayPolicy;
use super::outcome::Delivery;
use super::pull::Pulls;
use super::push::Push;
use super::redelivery::{Deadlines, Queue, due};
use super::replica::Consumer;
use crate::clock::Timestamp;
use crate::store::MsgStore;
use crate::store::error::Error;
use crate::store::message::{Message, Seq};

/// How many deliveries one proposal has at most.
pub const BATCH_MAX: usize = 256;
/// How many deliveries may be proposed and not applied.
pub const UNDER_WAY_MAX: usize = 4096;
/// How many bytes of them, about.
pub const UNDER_WAY_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Gaps between messages shorter than this are not replayed.
const REPLAY_GAP_MIN_NS: i64 = 1_000_000;

/// When a message that cannot be read is tried again.
const DAMAGED_WAIT_NS: i64 = 30_000_000_000;

/// What the caller is to do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Propose this command of the consumer.
    Propose(Command),
    /// Propose this command of the consumer, with others that come soon: what it says was
    /// done already.
    Record(Command),
    /// Send a message.
    Deliver(Deliver),
    /// Send a status: a message with headers and no body.
    Status {
        /// To whom.
        to: Bytes,
        /// The `NATS/1.0` block with its blank line.
        headers: Bytes,
        /// The reply subject, of flow control requests; else empty.
        reply: Bytes,
    },
    /// Something the account may want to know.
    Advisory(Advisory),
    /// Delete this consumer: nobody used it for its inactivity threshold.
    Remove,
}

impl Action {
    pub(super) fn status(to: Bytes, headers: Bytes) -> Action {
        Action::Status {
            to,
            headers,
            reply: Bytes::new(),
        }
    }
}

/// A message to send. Its subject is the message's, its reply subject what
/// [`ack::write_subject`] makes of delivery and message time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliver {
    /// To whom: the reply of a pull request, or the deliver subject.
    pub to: Bytes,
    /// The message; without its body, and with its size, for headers-only consumers.
    pub message: Message,
    /// Which delivery it is.
    pub delivery: Delivery,
}

/// Something that happened to a delivery or to the consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advisory {
    /// It was the last that is allowed, and was not acknowledged.
    MaxDeliver(Delivery),
    /// The client did not take it.
    Naked(Delivery),
    /// The client wants it never again, and perhaps says why.
    Terminated(Delivery, String),
    /// The consumer pauses, or goes on.
    Pause {
        /// It pauses.
        paused: bool,
        /// Until when; none: it is no more to pause.
        until: Option<Timestamp>,
    },
    /// It was acknowledged; only if the consumer samples, and then always: whoever
    /// publishes rolls the dice.
    Acked {
        /// The delivery.
        delivery: Delivery,
        /// How long it took.
        ack_time_ns: i64,
    },
}

/// What the dispatcher must be told once.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// The consumer's name.
    pub consumer: &'a str,
    /// Makes flow control subjects hard to guess.
    pub seed: u64,
    /// How many bytes a rate limit lets through at once: the largest message there may be.
    pub burst_bytes: u64,
    /// New messages may be sent while their delivery is still being written.
    pub sends_ahead: bool,
}

/// What to do about the reply subject of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    None,
    /// Send it an empty message.
    Now,
    /// Send it an empty message once the command is applied.
    Applied,
}

/// What an acknowledgement leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Acked {
    /// To be proposed.
    pub command: Option<Command>,
    /// For the client.
    pub answer: Answer,
}

/// A delivery that is proposed and not applied.
#[derive(Debug)]
struct UnderWay {
    seq: Seq,
    is_new: bool,
    /// The slot of the pull request; none for push.
    pull: Option<usize>,
    size: u64,
    /// None if it was sent already, or cannot be read: the cursor passes over it, and nobody
    /// gets it.
    message: Option<Message>,
    /// It went out ahead of the log.
    sent: bool,
}

/// Why no more is proposed for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Nobody wants anything, or may have it.
    NoTarget,
    /// There is nothing.
    Nothing,
    /// Too much waits for acknowledgement.
    AckPending,
    /// Not yet: replay or rate.
    Held,
    /// As much is under way as may be.
    UnderWay,
    /// The batch is full; there may be more.
    Batch,
}

/// The leader's half of a consumer.
#[derive(Debug)]
pub struct Dispatcher {
    ack_prefix: Vec<u8>,
    burst_bytes: u64,
    deadlines: Deadlines,
    redeliver: Queue,
    pulls: Pulls,
    push: Option<Push>,
    under_way: VecDeque<UnderWay>,
    /// How many of `under_way` each proposal has.
    proposals: VecDeque<usize>,
    new_under_way: u64,
    /// Pending messages whose acknowledgement is proposed and not applied.
    acks_under_way: HashSet<Seq, foldhash::fast::FixedState>,
    bytes_under_way: u64,
    /// Where the next message is copied to.
    chunk: BytesMut,
    ahead_of_log: Ahead,
    /// Where reading goes on, if ahead of the cursor.
    ahead: Seq,
    /// A new message's delivery did not take place: read anew once nothing is under way.
    resync: bool,
    replay: Option<Replay>,
    held_until: Option<Timestamp>,
    paused_until: Option<Timestamp>,
    active_at: Timestamp,
    inactive_at: Option<Timestamp>,
    removed: bool,
    samples: bool,
}

/// Replay with the pauses of publication, until caught up.
#[derive(Debug)]
struct Replay {
    until: Seq,
    /// Message time and delivery time of the last one.
    last: Option<(Timestamp, Timestamp)>,
}

impl Dispatcher {
    /// Takes over a consumer as its stream's leader; `last` is the stream's last sequence.
    pub fn new(now: Timestamp, options: &Options<'_>, consumer: &Consumer, last: Seq) -> Self {
        let config = consumer.config();
        let flow_prefix = format!("$JS.FC.{}.{}.", options.stream, options.consumer);
        let push = config.is_push().then(|| {
            Push::new(
                now,
                config,
                flow_prefix.into_bytes(),
                options.seed,
                options.burst_bytes,
            )
        });
        let replay = (config.replay_policy == ReplayPolicy::Original).then_some(Replay {
            until: last,
            last: None,
        });
        Dispatcher {
            ack_prefix: ack::subject_prefix(options.stream, options.consumer),
            burst_bytes: options.burst_bytes,
            deadlines: Deadlines::of(consumer),
            redeliver: Queue::default(),
            pulls: Pulls::default(),
            push,
            under_way: VecDeque::new(),
            proposals: VecDeque::new(),
            new_under_way: 0,
            acks_under_way: HashSet::default(),
            bytes_under_way: 0,
            chunk: BytesMut::new(),
            ahead_of_log: Ahead::new(options.sends_ahead),
            ahead: Seq::NONE,
            resync: false,
            replay,
            held_until: None,
            paused_until: None,
            active_at: now,
            inactive_at: None,
            removed: false,
            samples: samples(&config.sample_freq),
        }
    }

    /// What all ack subjects of this consumer begin with, for [`ack::write_subject`].
    pub fn ack_prefix(&self) -> &[u8] {
        &self.ack_prefix
    }

    /// Gives memory back that only makes things faster.
    pub fn rest(&mut self) {
        self.chunk = BytesMut::new();
    }

    /// Deliveries or acknowledgements are on their way through the log.
    pub fn is_under_way(&self) -> bool {
        !self.under_way.is_empty() || !self.acks_under_way.is_empty()
    }

    /// How many pull requests wait.
    pub fn num_waiting(&self) -> usize {
        self.pulls.len()
    }

    /// Whether somebody listens on the deliver subject.
    pub fn is_push_bound(&self) -> bool {
        self.push.as_ref().is_some_and(|push| push.active)
    }

    /// Interest in the deliver subject has come or gone.
    pub fn on_interest(&mut self, now: Timestamp, active: bool) {
        if let Some(push) = &mut self.push
            && push.active != active
        {
            self.active_at = now;
            push.set_active(active);
        }
    }

    /// Interest in a pull request's reply subject has gone. The request ends silently,
    /// unless it is `imported`: then whoever translates its reply subject is told.
    pub fn on_interest_lost(&mut self, reply: &[u8], imported: bool, actions: &mut Vec<Action>) {
        self.pulls.forget(reply, imported, actions);
    }

    /// Before a poll: ends the requests that messages would go to though nobody listens
    /// there any more.
    pub fn check_listeners(
        &mut self,
        consumer: &Consumer,
        is_heard: &mut dyn FnMut(&[u8]) -> bool,
        actions: &mut Vec<Action>,
    ) {
        let available = self.unread(consumer) + self.redeliver.len() as u64;
        if available == 0 || self.pulls.is_empty() {
            return;
        }
        for reply in self.pulls.unheard(available, is_heard) {
            self.pulls.forget(&reply, false, actions);
        }
    }

    /// The configuration has changed.
    pub fn on_updated(&mut self, consumer: &Consumer) {
        self.rebuild(consumer);
        self.samples = samples(&consumer.config().sample_freq);
        if let Some(push) = &mut self.push {
            push.reconfigure(consumer.config(), self.burst_bytes);
        }
    }

    /// The consumer ends here, for this reason: those who wait are told.
    pub fn close(&mut self, why: Closed, actions: &mut Vec<Action>) {
        let (line, remainder) = match why {
            Closed::Deleted => ("409 Consumer Deleted", false),
            Closed::LeadershipChange => ("409 Leadership Change", false),
            Closed::Shutdown => ("409 Server Shutdown", true),
        };
        self.pulls.close(line, remainder, actions);
    }

    /// Decides what is to be done now. True: call again, there may be more at once.
    ///
    /// # Errors
    /// Those of the store, with `actions` valid: [`Error::Damaged`] when a message that
    /// comes next cannot be read; the consumer waits there.
    pub fn poll(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        store: &mut dyn MsgStore,
        actions: &mut Vec<Action>,
    ) -> Result<bool, Error> {
        self.expire(now, consumer, actions);
        if !self.pulls.is_empty() {
            self.active_at = now;
        }
        if self.pulls.check_at().is_some_and(|at| at <= now) {
            self.sweep(now, consumer, false, actions);
        }
        self.forget_settled(consumer);
        let before = self.under_way.len();
        let stop = self.gather(now, consumer, store, actions);
        let proposed = self.under_way.range(before..);
        let seqs: Vec<Seq> = proposed.map(|one| one.seq).collect();
        if !seqs.is_empty() {
            self.proposals.push_back(seqs.len());
            let is_sent = self.send_ahead(now, consumer, before, actions);
            let command = Command::Deliver(seqs);
            actions.push(match is_sent {
                true => Action::Record(command),
                false => Action::Propose(command),
            });
        }
        let stop = stop?; // what was found before the error is under way
        let nothing_left = matches!(stop, Stop::Nothing | Stop::NoTarget);
        if nothing_left && self.pulls.has_one_shots() {
            self.sweep(now, consumer, true, actions);
        }
        self.beat(now, consumer, actions);
        self.check_inactive(now, consumer, actions);
        Ok(stop == Stop::Batch)
    }

    /// When [`Dispatcher::poll`] is wanted, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let beat_at = self.push.as_ref().and_then(Push::beat_at);
        [
            self.deadlines.next(),
            self.pulls.check_at(),
            beat_at,
            self.held_until,
            self.paused_until,
            self.inactive_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Queues what is due again, in the order of the stream, and gives up what was
    /// delivered often enough.
    fn expire(&mut self, now: Timestamp, consumer: &Consumer, actions: &mut Vec<Action>) {
        let mut expired = Vec::new();
        while let Some(seq) = self.deadlines.pop(now) {
            expired.push(seq);
        }
        expired.sort_unstable();
        expired.dedup();
        for seq in expired {
            let Some(pending) = consumer.state().pending().get(&seq) else {
                continue;
            };
            let due = due(consumer.config(), pending);
            if due > now {
                self.deadlines.add(due, seq);
            } else {
                self.enqueue(consumer, seq, pending.count, actions);
            }
        }
        self.deadlines.prune(consumer);
    }

    fn enqueue(&mut self, consumer: &Consumer, seq: Seq, count: u64, actions: &mut Vec<Action>) {
        if consumer.deliveries_max().is_some_and(|max| count >= max) {
            actions.push(Action::Propose(Command::Exhausted(seq)));
        } else {
            self.redeliver.push(seq);
        }
    }

    fn rebuild(&mut self, consumer: &Consumer) {
        self.deadlines = Deadlines::of(consumer);
        self.redeliver.clear();
        self.start_anew();
    }

    fn start_anew(&mut self) {
        self.resync = self.new_under_way > 0;
        self.ahead = Seq::NONE;
    }
}

/// Why a dispatcher ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The consumer, or its stream, was deleted.
    Deleted,
    /// Another server leads now.
    LeadershipChange,
    /// The server stops.
    Shutdown,
}

fn flow_request(to: Bytes, reply: Bytes) -> Action {
    Action::Status {
        to,
        headers: Bytes::from_static(b"NATS/1.0 100 FlowControl Request\r\n\r\n"),
        reply,
    }
}

/// Whether acknowledgements are sampled at all: `25`, `25%`.
fn samples(sample_freq: &str) -> bool {
    let number = sample_freq.trim().trim_end_matches('%');
    number.parse::<u64>().is_ok_and(|percent| percent > 0)
}

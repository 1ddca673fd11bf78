//! Leader only: what is due to whom.
//!
//! Separate from the replica because it is soft: it begins anew with every leader. Events
//! come in, decisions go out as [`Action`]s; whoever calls carries them out in order.
//!
//! ```text
//!   poll ──► Propose(Deliver [..]) ──► log ──► Consumer::apply ──► on_applied ──► Deliver, Status
//!     └─ remembers what is under way, and goes on ahead of it, up to a limit
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

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::{BufMut, Bytes, BytesMut};

use super::ack::{self, Ack, AckSubject};
use super::command::Command;
use super::config::{AckPolicy, ReplayPolicy};
use super::outcome::{Delivery, Kind, Outcome};
use super::pull::{PullRequest, Pulls, go_duration, status};
use super::push::Push;
use super::redelivery::{Deadlines, NEVER, Queue, due, later};
use super::replica::Consumer;
use super::state::Wait;
use crate::clock::Timestamp;
use crate::store::MsgStore;
use crate::store::error::Error;
use crate::store::message::{Message, MessageRef, Seq};

/// How many deliveries one proposal has at most.
pub const BATCH_MAX: usize = 256;
/// How many deliveries may be proposed and not applied.
pub const UNDER_WAY_MAX: usize = 1024;
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

/// Something that happened to a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advisory {
    /// It was the last that is allowed, and was not acknowledged.
    MaxDeliver(Delivery),
    /// The client did not take it.
    Naked(Delivery),
    /// The client wants it never again, and perhaps says why.
    Terminated(Delivery, String),
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
    message: Message,
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
    bytes_under_way: u64,
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
            bytes_under_way: 0,
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

    /// How many pull requests wait.
    pub fn num_waiting(&self) -> usize {
        self.pulls.len()
    }

    /// Whether somebody listens on the deliver subject.
    pub fn is_push_bound(&self) -> bool {
        self.push.as_ref().is_some_and(|push| push.active)
    }

    /// A pull request came.
    pub fn on_pull(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        reply: Bytes,
        body: &[u8],
        actions: &mut Vec<Action>,
    ) {
        self.active_at = now;
        match self.admit(now, consumer, body, actions) {
            Ok(request) => self.pulls.add(now, reply, request),
            Err(Some(line)) => actions.push(Action::status(reply, status(&line))),
            Err(None) => {}
        }
    }

    /// Whether a request may wait, or the status it gets at once.
    fn admit(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        body: &[u8],
        actions: &mut Vec<Action>,
    ) -> Result<PullRequest, Option<String>> {
        let config = consumer.config();
        if config.is_push() {
            return Err(Some("409 Consumer is push based".to_owned()));
        }
        let request =
            PullRequest::parse(body).map_err(|error| Some(format!("400 Bad Request - {error}")))?;
        let exceeds = |limit: i64, asked: i64| limit > 0 && asked > limit;
        let exceeded = if exceeds(config.max_batch, request.batch) {
            Some(format!("MaxRequestBatch of {}", config.max_batch))
        } else if exceeds(config.max_expires, request.expires) {
            let limit = go_duration(config.max_expires);
            Some(format!("MaxRequestExpires of {limit}"))
        } else if exceeds(config.max_bytes, request.max_bytes) {
            Some(format!("MaxRequestMaxBytes of {}", config.max_bytes))
        } else {
            None
        };
        if let Some(what) = exceeded {
            return Err(Some(format!("409 Exceeded {what}")));
        }
        if let Some(priority) = &request.priority
            && let Some(refusal) = priority.refusal(config)
        {
            return Err(Some(format!("400 Bad Request - {refusal}")));
        }
        if request.no_wait {
            let available = self.unread(consumer) + self.redeliver.len() as u64;
            if available == 0 && request.expires == 0 {
                return Err(Some("404 No Messages".to_owned()));
            }
            if available > 0 && available < self.pulls.demand() {
                return Err(Some("408 Requests Pending".to_owned()));
            }
        }
        let waiting_max = usize::try_from(config.max_waiting).unwrap_or(0);
        if waiting_max > 0 && self.pulls.len() >= waiting_max {
            self.sweep(now, consumer, false, actions);
            if self.pulls.len() >= waiting_max {
                // A client with heartbeats notices by itself, and would ask in a hot loop.
                let told = request.heartbeat == 0;
                return Err(told.then(|| "409 Exceeded MaxWaiting".to_owned()));
            }
        }
        Ok(request)
    }

    /// An acknowledgement came; `reply` is where its sender wants an answer, or empty. The
    /// command goes the way of proposals.
    pub fn on_ack(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        subject: &AckSubject<'_>,
        payload: &[u8],
        reply: &Bytes,
        actions: &mut Vec<Action>,
    ) -> Acked {
        self.active_at = now;
        let seq = subject.stream_seq;
        let state = consumer.state();
        let policy = consumer.config().ack_policy;
        let known = policy != AckPolicy::None && seq <= state.delivered().stream;
        let is_pending = state.pending().contains_key(&seq);
        let is_open = is_pending
            || state.exhausted().contains(&seq)
            || (policy != AckPolicy::Explicit && seq > state.ack_floor().stream);
        let mut answer_now = true;
        let command = match Ack::parse(payload) {
            Ack::Done | Ack::Next(_) | Ack::Terminate(_) if !known => {
                answer_now = false;
                None
            }
            Ack::Done | Ack::Next(_) => is_open.then_some(Command::Ack(seq)),
            Ack::Terminate(reason) => is_open.then(|| Command::Terminate {
                seq,
                reason: reason.to_owned(),
            }),
            Ack::Nak(delay) => is_pending.then_some(Command::Nak {
                seq,
                not_before: delay.map(|nanos| later(now, nanos)),
            }),
            Ack::Progress => is_pending.then_some(Command::Progress(seq)),
            Ack::Unknown => None,
        };
        if let Ack::Next(body) = Ack::parse(payload) {
            if !reply.is_empty() {
                self.on_pull(now, consumer, reply.clone(), body, actions);
            }
            answer_now = false;
        }
        let answer = match (&command, reply.is_empty() || !answer_now) {
            (_, true) => Answer::None,
            (None, false) => Answer::Now,
            (Some(_), false) => Answer::Applied,
        };
        Acked { command, answer }
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

    /// A flow control request was answered, with these headers.
    pub fn on_flow_reply(
        &mut self,
        consumer: &Consumer,
        subject: &[u8],
        headers: &[u8],
    ) -> Option<Command> {
        let push = self.push.as_mut()?;
        if !push.answered(subject) || consumer.config().ack_policy != AckPolicy::FlowControl {
            return None;
        }
        let seq = header(headers, b"Nats-Last-Stream")?.min(consumer.state().delivered().stream.0);
        (Seq(seq) > consumer.state().ack_floor().stream).then_some(Command::Ack(Seq(seq)))
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

    /// A proposed delivery came to nothing.
    pub fn on_dropped(&mut self, now: Timestamp, consumer: &Consumer, actions: &mut Vec<Action>) {
        self.on_delivered(now, consumer, &[], actions);
    }

    /// A command of this consumer was applied, whoever proposed it.
    pub fn on_applied(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        match outcome.kind {
            Kind::Deliver => {
                self.on_delivered(now, consumer, &outcome.deliveries, actions);
                return;
            }
            Kind::Reset => self.rebuild(consumer),
            Kind::Pause => self.paused_until = consumer.paused_until(),
            _ => {}
        }
        let Some(delivery) = outcome.settled else {
            return;
        };
        match outcome.kind {
            Kind::Ack if self.samples => {
                let ack_time_ns = now.unix_nanos().saturating_sub(delivery.time_ns);
                actions.push(Action::Advisory(Advisory::Acked {
                    delivery,
                    ack_time_ns,
                }));
            }
            Kind::Nak => {
                actions.push(Action::Advisory(Advisory::Naked(delivery)));
                self.wait(consumer, delivery.stream_seq, actions);
            }
            Kind::Progress => self.wait(consumer, delivery.stream_seq, actions),
            Kind::Terminate(reason) => {
                actions.push(Action::Advisory(Advisory::Terminated(delivery, reason)));
            }
            Kind::Exhausted => actions.push(Action::Advisory(Advisory::MaxDeliver(delivery))),
            _ => {}
        }
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
        let before = self.under_way.len();
        let stop = self.gather(now, consumer, store, actions);
        let proposed = self.under_way.range(before..);
        let seqs: Vec<Seq> = proposed.map(|one| one.seq).collect();
        if !seqs.is_empty() {
            self.proposals.push_back(seqs.len());
            actions.push(Action::Propose(Command::Deliver(seqs)));
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

    /// New messages that are not under way yet.
    fn unread(&self, consumer: &Consumer) -> u64 {
        consumer.num_pending().saturating_sub(self.new_under_way)
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

    /// A pending message waits for something else now.
    fn wait(&mut self, consumer: &Consumer, seq: Seq, actions: &mut Vec<Action>) {
        let Some(pending) = consumer.state().pending().get(&seq) else {
            return;
        };
        match pending.wait {
            Wait::Over => self.enqueue(consumer, seq, pending.count, actions),
            _ => self.deadlines.add(due(consumer.config(), pending), seq),
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

    fn gather(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        store: &mut dyn MsgStore,
        actions: &mut Vec<Action>,
    ) -> Result<Stop, Error> {
        self.held_until = None;
        self.paused_until = consumer.paused_until().filter(|until| now < *until);
        if self.paused_until.is_some() {
            return Ok(Stop::Nothing);
        }
        let mut room = BATCH_MAX;
        while let Some(seq) = self.redeliver.front() {
            if let Some(stop) = self.held_back() {
                return Ok(stop);
            }
            let Some(message) = self.due_again(now, consumer, seq, store, actions)? else {
                continue;
            };
            let Some(pending) = consumer.state().pending().get(&seq) else {
                continue;
            };
            let count = pending.count.saturating_add(1);
            if let Err(stop) = self.offer(now, consumer, message.as_ref(), count, room, actions) {
                return Ok(stop);
            }
            self.redeliver.take();
            room -= 1;
        }
        if self.resync {
            return Ok(Stop::UnderWay);
        }
        self.gather_listed(now, consumer, store, &mut room, actions)
    }

    /// The first of the redelivery queue, if it is still due and there; else it is dropped.
    fn due_again(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        seq: Seq,
        store: &mut dyn MsgStore,
        actions: &mut Vec<Action>,
    ) -> Result<Option<Message>, Error> {
        let pending = consumer.state().pending().get(&seq);
        let due = pending.map_or(NEVER, |pending| due(consumer.config(), pending));
        if due > now {
            self.redeliver.drop_front();
            self.deadlines.add(due, seq);
            return Ok(None);
        }
        let message = match store.get(seq) {
            Ok(message) => message,
            Err(Error::Damaged { .. }) => {
                // Perhaps it is repaired by then; meanwhile the others are served.
                self.redeliver.drop_front();
                self.deadlines.add(later(now, DAMAGED_WAIT_NS), seq);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if message.is_none() {
            // It left the stream unnoticed: the filters of today do not match it.
            self.redeliver.drop_front();
            actions.push(Action::Propose(Command::Terminate {
                seq,
                reason: "Unacknowledged message was deleted".to_owned(),
            }));
        }
        Ok(message)
    }

    fn held_back(&self) -> Option<Stop> {
        let none = match &self.push {
            Some(push) => push.is_stalled(),
            None => self.pulls.is_empty(),
        };
        none.then_some(Stop::NoTarget)
    }

    /// The rest of the cursor's list, then what follows.
    fn gather_listed(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        store: &mut dyn MsgStore,
        room: &mut usize,
        actions: &mut Vec<Action>,
    ) -> Result<Stop, Error> {
        loop {
            if let Some(stop) = self.new_held_back(consumer) {
                return Ok(stop);
            }
            let at = usize::try_from(self.new_under_way).unwrap_or(usize::MAX);
            let Some(&seq) = consumer.cursor().list().get(at) else {
                break;
            };
            let Some(message) = store.get(seq)? else {
                return Ok(Stop::Nothing); // going; the list is about to be told
            };
            if let Err(stop) = self.offer(now, consumer, message.as_ref(), 1, *room, actions) {
                return Ok(stop);
            }
            *room -= 1;
        }
        self.gather_new(now, consumer, store, room, actions)
    }

    fn gather_new(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        store: &mut dyn MsgStore,
        room: &mut usize,
        actions: &mut Vec<Action>,
    ) -> Result<Stop, Error> {
        let from = self.ahead.max(consumer.cursor().next());
        let mut stop = Stop::Nothing;
        let mut ended = true;
        store.scan(from, consumer.filters(), &mut |message| {
            let refused = match self.new_held_back(consumer) {
                Some(stop) => Err(stop),
                None => self.offer(now, consumer, message, 1, *room, actions),
            };
            match refused {
                Ok(()) => {
                    *room -= 1;
                    self.ahead = message.seq.next();
                    match self.unread(consumer) {
                        0 => ControlFlow::Break(()),
                        _ => ControlFlow::Continue(()),
                    }
                }
                Err(why) => {
                    stop = why;
                    ended = false;
                    ControlFlow::Break(())
                }
            }
        })?;
        if ended {
            self.ahead = self.ahead.max(store.state().last_seq.next());
        }
        Ok(stop)
    }

    /// Why no new message may go out, whatever it is.
    fn new_held_back(&self, consumer: &Consumer) -> Option<Stop> {
        let ack_pending = consumer.num_ack_pending() + self.new_under_way;
        if let Some(stop) = self.held_back() {
            Some(stop)
        } else if consumer.pending_max().is_some_and(|max| ack_pending >= max) {
            Some(Stop::AckPending)
        } else if self.unread(consumer) == 0 {
            Some(Stop::Nothing)
        } else {
            None
        }
    }

    /// Puts a message under way, if somebody wants it and it may go now.
    fn offer(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        message: MessageRef<'_>,
        count: u64,
        room: usize,
        actions: &mut Vec<Action>,
    ) -> Result<(), Stop> {
        if let Some(stop) = self.held_back() {
            return Err(stop);
        }
        if room == 0 {
            return Err(Stop::Batch);
        }
        if self.under_way.len() >= UNDER_WAY_MAX || self.bytes_under_way >= UNDER_WAY_BYTES_MAX {
            return Err(Stop::UnderWay);
        }
        let is_new = count == 1;
        let unread = self.unread(consumer);
        let foreseen = Delivery {
            stream_seq: message.seq,
            consumer_seq: consumer.state().delivered().consumer + self.under_way.len() as u64 + 1,
            count,
            time_ns: 0,
            pending: unread - u64::from(is_new && unread > 0),
        };
        let bodiless = consumer
            .config()
            .headers_only
            .then(|| without_body(message));
        let shown = bodiless.as_ref().map_or(message, Message::as_ref);
        let parts = shown.subject.len() + shown.headers.len() + shown.payload.len();
        let subject = ack::subject_len(self.ack_prefix.len(), &foreseen, message.time);
        let size = (parts + subject) as u64;
        if let Some(until) = self.not_before(now, message.time, size) {
            self.held_until = Some(until);
            return Err(Stop::Held);
        }
        let pull = match &mut self.push {
            Some(push) => {
                push.reserve(now, size);
                None
            }
            None => {
                let ack_pending = consumer.num_ack_pending() + self.new_under_way;
                let figures = (unread, ack_pending);
                match self.pulls.take(now, size, figures, actions) {
                    None => return Err(Stop::NoTarget),
                    slot => slot,
                }
            }
        };
        if let Some(replay) = &mut self.replay {
            replay.last = Some((message.time, now));
        }
        self.new_under_way += u64::from(is_new);
        self.bytes_under_way += size;
        self.under_way.push_back(UnderWay {
            seq: message.seq,
            is_new,
            pull,
            size,
            message: bodiless.unwrap_or_else(|| whole(message)),
        });
        Ok(())
    }

    /// Until when replay policy or rate hold a message back.
    fn not_before(&mut self, now: Timestamp, time: Timestamp, size: u64) -> Option<Timestamp> {
        let mut until = None;
        if let Some(replay) = &self.replay
            && let Some((last_time, sent_at)) = replay.last
        {
            let gap = time.unix_nanos().saturating_sub(last_time.unix_nanos());
            let at = later(sent_at, gap);
            until = (gap > REPLAY_GAP_MIN_NS && at > now).then_some(at);
        }
        let rate = self
            .push
            .as_ref()
            .and_then(|push| push.held_until(now, size));
        until.max(rate)
    }

    fn on_delivered(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        deliveries: &[Delivery],
        actions: &mut Vec<Action>,
    ) {
        let count = self.proposals.pop_front().unwrap_or(0);
        let mut deliveries = deliveries.iter().peekable();
        let full = consumer.config().ack_policy == AckPolicy::FlowControl
            && consumer
                .pending_max()
                .is_some_and(|max| consumer.num_ack_pending() >= max);
        for _ in 0..count {
            let Some(one) = self.under_way.pop_front() else {
                break;
            };
            self.new_under_way -= u64::from(one.is_new);
            self.bytes_under_way -= one.size;
            let delivery = deliveries.next_if(|delivery| delivery.stream_seq == one.seq);
            self.note(consumer, &one, delivery.is_some());
            let sent = delivery.is_some();
            let to = match (&self.push, one.pull) {
                (Some(push), _) => push.to.clone(),
                (None, Some(slot)) => self.pulls.reply(slot),
                (None, None) => Bytes::new(),
            };
            if let Some(&delivery) = delivery {
                actions.push(Action::Deliver(Deliver {
                    to,
                    message: one.message,
                    delivery,
                }));
            }
            if let Some(slot) = one.pull {
                self.pulls.resolve(slot, one.size, sent, actions);
            }
            if let Some(push) = &mut self.push
                && let Some(reply) = push.resolve(now, one.size, sent, full)
            {
                actions.push(flow_request(push.to.clone(), reply));
            }
        }
        if self.resync && self.new_under_way == 0 {
            self.start_anew();
        }
        if let Some(replay) = &self.replay
            && consumer.cursor().lowest() > replay.until
        {
            self.replay = None;
        }
    }

    /// What one delivery that was under way means for what comes next.
    fn note(&mut self, consumer: &Consumer, one: &UnderWay, sent: bool) {
        let pending = consumer.state().pending().get(&one.seq);
        if !one.is_new {
            self.redeliver.resolve(one.seq, !sent && pending.is_some());
        } else if !sent {
            self.resync = true;
        }
        if let Some(pending) = pending
            && sent
        {
            self.deadlines.add(due(consumer.config(), pending), one.seq);
        }
    }

    fn sweep(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        nothing_left: bool,
        actions: &mut Vec<Action>,
    ) {
        let heartbeat = self.heartbeat(consumer);
        self.pulls.sweep(now, nothing_left, &heartbeat, actions);
    }

    fn heartbeat(&self, consumer: &Consumer) -> Bytes {
        let delivered = consumer.state().delivered();
        // Seen to the end, there is nothing below what was looked at last.
        let stream = match self.new_under_way {
            0 => delivered.stream.max(self.ahead.prev()),
            _ => delivered.stream,
        };
        let mut headers = format!(
            "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: {}\r\nNats-Last-Stream: {}\r\n",
            delivered.consumer, stream
        )
        .into_bytes();
        if let Some(asked) = self.push.as_ref().and_then(Push::asked) {
            headers.extend_from_slice(b"Nats-Consumer-Stalled: ");
            headers.extend_from_slice(asked);
            headers.extend_from_slice(b"\r\n");
        }
        headers.extend_from_slice(b"\r\n");
        headers.into()
    }

    fn beat(&mut self, now: Timestamp, consumer: &Consumer, actions: &mut Vec<Action>) {
        let Some(push) = &mut self.push else {
            return;
        };
        if !push.beat(now) {
            return;
        }
        let to = push.to.clone();
        let asks = consumer.config().ack_policy == AckPolicy::FlowControl
            && consumer.num_ack_pending() > 0;
        actions.push(Action::status(to.clone(), self.heartbeat(consumer)));
        if asks && let Some(reply) = self.push.as_mut().and_then(Push::ask) {
            actions.push(flow_request(to, reply));
        }
    }

    /// A pull consumer is used while requests wait or acknowledgements are awaited, a push
    /// consumer while somebody listens.
    fn check_inactive(&mut self, now: Timestamp, consumer: &Consumer, actions: &mut Vec<Action>) {
        let threshold = consumer.config().inactive_threshold;
        self.inactive_at = None;
        if threshold <= 0 || self.removed {
            return;
        }
        match &self.push {
            Some(push) if push.active => {
                self.active_at = now;
                return;
            }
            None if !self.pulls.is_empty() => return,
            _ => {}
        }
        let mut at = later(self.active_at, threshold);
        if at <= now && self.push.is_none() {
            let config = consumer.config();
            let pending = consumer.state().pending().values();
            let awaited = pending
                .map(|pending| due(config, pending))
                .filter(|due| *due != NEVER);
            at = awaited
                .max()
                .map_or(at, |last| at.max(later(last, threshold)));
        }
        if at <= now {
            self.removed = true;
            actions.push(Action::Remove);
        } else {
            self.inactive_at = Some(at);
        }
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

/// Takes a message out of the store with one allocation.
fn whole(message: MessageRef<'_>) -> Message {
    let (subject, headers) = (message.subject.len(), message.headers.len());
    let mut all = BytesMut::with_capacity(subject + headers + message.payload.len());
    all.put_slice(message.subject);
    all.put_slice(message.headers);
    all.put_slice(message.payload);
    let mut all = all.freeze();
    Message {
        seq: message.seq,
        time: message.time,
        subject: all.split_to(subject),
        headers: all.split_to(headers),
        payload: all,
    }
}

/// A message's subject and headers, and its size as one more header.
fn without_body(message: MessageRef<'_>) -> Message {
    let size = format!("Nats-Msg-Size: {}\r\n\r\n", message.payload.len());
    let headers = match message.headers.strip_suffix(b"\r\n") {
        Some(open) => [open, size.as_bytes()].concat(),
        None => [b"NATS/1.0\r\n", size.as_bytes()].concat(),
    };
    Message {
        seq: message.seq,
        time: message.time,
        subject: Bytes::copy_from_slice(message.subject),
        headers: headers.into(),
        payload: Bytes::new(),
    }
}

/// Whether acknowledgements are sampled at all: `25`, `25%`.
fn samples(sample_freq: &str) -> bool {
    let number = sample_freq.trim().trim_end_matches('%');
    number.parse::<u64>().is_ok_and(|percent| percent > 0)
}

/// A number in a block of headers.
fn header(headers: &[u8], name: &[u8]) -> Option<u64> {
    let mut lines = headers.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(b":"))?;
    std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}

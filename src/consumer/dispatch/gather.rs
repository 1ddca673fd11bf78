//! What goes out next, and to whom: the hot path.
//!
//! Separate because order is decided here: what is due again, then the cursor's list, then
//! the stream, each as long as somebody wants it and limits allow. A message is taken out
//! of the store with its copy when it has a taker.
//!
//! Invariants: nothing is read when nobody may have it; a message that was refused is the
//! first to be offered next time.

use std::ops::ControlFlow;

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    Action, Advisory, BATCH_MAX, DAMAGED_WAIT_NS, Dispatcher, REPLAY_GAP_MIN_NS, Stop,
    UNDER_WAY_BYTES_MAX, UNDER_WAY_MAX, UnderWay,
};
use crate::clock::Timestamp;
use crate::consumer::ack;
use crate::consumer::command::Command;
use crate::consumer::outcome::Delivery;
use crate::consumer::redelivery::{due, later};
use crate::consumer::replica::Consumer;
use crate::store::MsgStore;
use crate::store::error::Error;
use crate::store::message::{Message, MessageRef, Seq};

/// Messages on their way out share chunks of this size.
const CHUNK_BYTES: usize = 32 * 1024;

impl Dispatcher {
    pub(super) fn gather(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        store: &mut dyn MsgStore,
        actions: &mut Vec<Action>,
    ) -> Result<Stop, Error> {
        self.held_until = None;
        let paused = consumer.paused_until().filter(|until| now < *until);
        if self.paused_until.is_some() && paused.is_none() {
            let until = consumer.paused_until();
            let paused = false;
            actions.push(Action::Advisory(Advisory::Pause { paused, until }));
        }
        self.paused_until = paused;
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
    pub(super) fn due_again(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        seq: Seq,
        store: &mut dyn MsgStore,
        actions: &mut Vec<Action>,
    ) -> Result<Option<Message>, Error> {
        let Some(pending) = consumer.state().pending().get(&seq) else {
            self.redeliver.drop_front();
            return Ok(None);
        };
        let due = due(consumer.config(), pending);
        if due > now {
            self.redeliver.drop_front();
            self.deadlines.add(due, seq);
            return Ok(None);
        }
        if consumer
            .deliveries_max()
            .is_some_and(|max| pending.count >= max)
        {
            self.redeliver.drop_front();
            actions.push(Action::Propose(Command::Exhausted(seq)));
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

    /// The rest of the cursor's list, then what follows.
    pub(super) fn gather_listed(
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
            // Behind the last one under way, not so many later: of these, some may have gone.
            let list = consumer.cursor().list();
            let mut under_way = self.under_way.iter().rev();
            let last = under_way.find(|one| one.is_new).map(|one| one.seq);
            let at = list.partition_point(|seq| last.is_some_and(|last| *seq <= last));
            let Some(&seq) = list.get(at) else {
                break;
            };
            let message = match store.get(seq) {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(Stop::Nothing), // going; the list is about to be told
                Err(Error::Damaged { .. }) => {
                    if *room == 0 || self.under_way.len() >= UNDER_WAY_MAX {
                        return Ok(Stop::Batch);
                    }
                    self.pass_over(seq);
                    *room -= 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Err(stop) = self.offer(now, consumer, message.as_ref(), 1, *room, actions) {
                return Ok(stop);
            }
            *room -= 1;
        }
        self.gather_new(now, consumer, store, room, actions)
    }

    pub(super) fn gather_new(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        store: &mut dyn MsgStore,
        room: &mut usize,
        actions: &mut Vec<Action>,
    ) -> Result<Stop, Error> {
        let from = self.ahead.max(consumer.cursor().next());
        let none_before = self.new_under_way == 0;
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
                    if self.unread(consumer) > 0 {
                        return ControlFlow::Continue(());
                    }
                    // Of those that were under way some may have gone: then there is more
                    // behind this.
                    ended = none_before;
                    ControlFlow::Break(())
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

    pub(super) fn held_back(&self) -> Option<Stop> {
        let none = match &self.push {
            Some(push) => push.is_stalled(),
            None => self.pulls.is_empty(),
        };
        none.then_some(Stop::NoTarget)
    }

    /// Why no new message may go out, whatever it is.
    pub(super) fn new_held_back(&self, consumer: &Consumer) -> Option<Stop> {
        // An ack that is under way is applied before what is proposed now.
        let acked = self.acks_under_way.len() as u64;
        let ack_pending = (consumer.num_ack_pending() + self.new_under_way).saturating_sub(acked);
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
    pub(super) fn offer(
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
            message: Some(bodiless.unwrap_or_else(|| whole(&mut self.chunk, message))),
            sent: false,
        });
        Ok(())
    }

    /// Has the cursor step over a message that cannot be read.
    fn pass_over(&mut self, seq: Seq) {
        self.new_under_way += 1;
        self.under_way.push_back(UnderWay {
            seq,
            is_new: true,
            pull: None,
            size: 0,
            message: None,
            sent: false,
        });
    }

    /// Until when replay policy or rate hold a message back.
    pub(super) fn not_before(
        &mut self,
        now: Timestamp,
        time: Timestamp,
        size: u64,
    ) -> Option<Timestamp> {
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

    /// New messages that are not under way yet.
    pub(super) fn unread(&self, consumer: &Consumer) -> u64 {
        consumer.num_pending().saturating_sub(self.new_under_way)
    }
}

/// Takes a message out of the store, into the rest of a chunk that small ones share.
fn whole(chunk: &mut BytesMut, message: MessageRef<'_>) -> Message {
    let (subject, headers) = (message.subject.len(), message.headers.len());
    let len = subject + headers + message.payload.len();
    if chunk.capacity() < len {
        *chunk = BytesMut::with_capacity(len.max(CHUNK_BYTES));
    }
    chunk.put_slice(message.subject);
    chunk.put_slice(message.headers);
    chunk.put_slice(message.payload);
    let mut all = chunk.split().freeze();
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

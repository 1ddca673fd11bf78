//! What waits for a stream: messages from any thread, and work for its own.
//!
//! Separate because it is the border between the shards, which must not wait, and the one
//! thread a stream lives on. Whoever publishes copies the message in here and goes on; the
//! stream takes everything that waits at once.
//!
//! ```text
//!   shard ── deliver ──┐
//!   shard ── deliver ──┼──► Mailbox ── drain ──► the stream's task
//!   API   ── call ─────┘
//! ```
//!
//! Invariants: order is kept; messages waiting never exceed `messages_max` and
//! `bytes_max` (what is refused is told to whoever pushes, who answers 429); calls are not
//! refused, since they are bounded by the API's own queue. Bytes of small messages share
//! chunks, so that a message costs no allocation of its own.

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::replica::Replica;
use crate::connection::id::ConnId;
use crate::pubsub::message::Message;

/// Messages are copied into chunks of at least this size.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be stored.
    Publish,
    /// An acknowledgement, on `$JS.ACK.…`.
    Ack,
    /// A pull request, on `$JS.API.CONSUMER.MSG.NEXT.…`.
    Pull,
    /// A reply to flow control, on `$JS.FC.…`.
    FlowReply,
    /// `$JS.API.DIRECT.GET.…`.
    DirectGet,
    /// What a mirror's or source's origin sent.
    Copy,
}

/// A message, copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What it is for.
    pub purpose: Purpose,
    /// Where it was published to, after account mappings.
    pub subject: Bytes,
    /// Where an answer goes; empty: nowhere.
    pub reply: Bytes,
    /// The `NATS/1.0` block; empty: none.
    pub headers: Bytes,
    /// The body.
    pub payload: Bytes,
    /// The link it came from.
    pub origin: ConnId,
}

impl Incoming {
    /// What it counts against the limit of bytes.
    pub fn len(&self) -> usize {
        self.subject.len() + self.reply.len() + self.headers.len() + self.payload.len()
    }

    /// Nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Work on the stream's own thread.
pub type Call = Box<dyn FnOnce(&mut Replica) + Send>;

/// Something for the stream to do.
pub enum Event {
    /// A message came.
    Message(Incoming),
    /// Somebody wants something done or read.
    Call(Call),
}

/// There is no room for a message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests")]
pub struct Full;

/// The limits of a mailbox.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Messages that may wait (`max_buffered_msgs`).
    pub messages_max: usize,
    /// Their bytes (`max_buffered_size`).
    pub bytes_max: usize,
}

#[derive(Default)]
struct Waiting {
    events: Vec<Event>,
    messages: usize,
    bytes: usize,
    chunk: BytesMut,
    closed: bool,
}

/// What waits for one stream.
pub struct Mailbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    limits: Limits,
}

impl Mailbox {
    /// An empty one.
    pub fn new(limits: Limits) -> Mailbox {
        Mailbox {
            waiting: Mutex::default(),
            arrived: Notify::new(),
            limits,
        }
    }

    /// Copies a message in.
    ///
    /// # Errors
    /// [`Full`] when a limit is reached; the message is dropped. A closed mailbox drops
    /// messages silently: whoever published runs into his timeout.
    pub fn push(&self, purpose: Purpose, message: &Message<'_>) -> Result<(), Full> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Ok(());
        }
        let len = message.subject.len() + message.reply.len() + message.body.len();
        if waiting.messages >= self.limits.messages_max
            || waiting.bytes.saturating_add(len) > self.limits.bytes_max
        {
            return Err(Full);
        }
        let was_empty = waiting.events.is_empty();
        let chunk = &mut waiting.chunk;
        if chunk.capacity() < len {
            *chunk = BytesMut::with_capacity(len.max(CHUNK_BYTES));
        }
        for part in [message.subject, message.reply, message.body] {
            chunk.extend_from_slice(part);
        }
        let mut all = chunk.split().freeze();
        let subject = all.split_to(message.subject.len());
        let reply = all.split_to(message.reply.len());
        let headers = all.split_to(message.header_len.unwrap_or(0));
        waiting.messages += 1;
        waiting.bytes += len;
        waiting.events.push(Event::Message(Incoming {
            purpose,
            subject,
            reply,
            headers,
            payload: all,
            origin: message.origin,
        }));
        drop(waiting);
        if was_empty {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Adds work; false if the stream takes none any more.
    pub fn call(&self, call: Call) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return false;
        }
        waiting.events.push(Event::Call(call));
        drop(waiting);
        self.arrived.notify_one();
        true
    }

    /// Wakes the stream though nothing has come.
    pub fn nudge(&self) {
        self.arrived.notify_one();
    }

    /// Takes everything that waits; `into` must be empty, its memory is used again.
    pub fn drain(&self, into: &mut Vec<Event>) {
        debug_assert!(into.is_empty());
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.events, into);
        waiting.messages = 0;
        waiting.bytes = 0;
    }

    /// Waits until something is there. Cancel-safe.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Gives memory back: nothing has come for a while.
    pub fn rest(&self) {
        let mut waiting = self.waiting.lock();
        if waiting.events.is_empty() {
            waiting.events = Vec::new();
            waiting.chunk = BytesMut::new();
        }
    }

    /// Takes nothing more; what waits is dropped.
    pub fn close(&self) {
        let mut waiting = self.waiting.lock();
        *waiting = Waiting {
            closed: true,
            ..Waiting::default()
        };
        drop(waiting);
        self.arrived.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<'a>(subject: &'a [u8], header_len: Option<usize>, body: &'a [u8]) -> Message<'a> {
        Message {
            subject,
            reply: b"reply",
            header_len,
            body,
            origin: ConnId(7),
        }
    }

    fn drained(mailbox: &Mailbox) -> Vec<Incoming> {
        let mut events = Vec::new();
        mailbox.drain(&mut events);
        let messages = events.into_iter().filter_map(|event| match event {
            Event::Message(incoming) => Some(incoming),
            Event::Call(_) => None,
        });
        messages.collect()
    }

    fn mailbox(messages_max: usize, bytes_max: usize) -> Mailbox {
        Mailbox::new(Limits {
            messages_max,
            bytes_max,
        })
    }

    #[test]
    fn messages_come_out_in_order_and_in_their_parts() {
        let mailbox = mailbox(10, 1000);
        mailbox
            .push(Purpose::Publish, &message(b"a", Some(2), b"HHpay"))
            .unwrap();
        mailbox
            .push(Purpose::Ack, &message(b"b", None, b"load"))
            .unwrap();
        let [first, second] = &drained(&mailbox)[..] else {
            panic!("two messages");
        };
        assert_eq!(
            (&first.subject[..], &first.reply[..]),
            (&b"a"[..], &b"reply"[..])
        );
        assert_eq!(
            (&first.headers[..], &first.payload[..]),
            (&b"HH"[..], &b"pay"[..])
        );
        assert_eq!(
            (second.purpose, &second.payload[..]),
            (Purpose::Ack, &b"load"[..])
        );
        assert!(drained(&mailbox).is_empty());
    }

    #[test]
    fn a_full_mailbox_refuses_until_it_is_drained() {
        for (messages_max, bytes_max) in [(2, 1000), (10, 22)] {
            let mailbox = mailbox(messages_max, bytes_max);
            let push = || mailbox.push(Purpose::Publish, &message(b"a", None, b"12345"));
            assert_eq!((push(), push(), push()), (Ok(()), Ok(()), Err(Full)));
            assert_eq!(drained(&mailbox).len(), 2);
            assert_eq!(push(), Ok(()));
        }
    }

    #[test]
    fn a_closed_mailbox_drops_and_takes_no_calls() {
        let mailbox = mailbox(2, 1000);
        mailbox.close();
        assert_eq!(
            mailbox.push(Purpose::Publish, &message(b"a", None, b"")),
            Ok(())
        );
        assert!(!mailbox.call(Box::new(|_| {})));
        assert!(drained(&mailbox).is_empty());
    }
}

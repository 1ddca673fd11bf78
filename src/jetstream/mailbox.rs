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
//! chunks, so that a message costs no allocation of its own. The stream is woken when it
//! listens and enough waits for it ([`Patience`]): never while it is at work anyway.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::BytesMut;
use parking_lot::Mutex;

use super::incoming::{Incoming, Purpose};
use super::replica::Replica;
use crate::connection::guest::{self, Host};
use crate::pubsub::message::Message;

/// Messages are copied into chunks of at least this size.
const CHUNK_BYTES: usize = 64 * 1024;

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

/// How much may wait before the stream is woken for it. Only for messages whose answer
/// waits for the log anyway; for everything else it is woken at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Messages.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl Patience {
    /// Woken by the first message.
    pub const NONE: Patience = Patience {
        messages: 1,
        bytes: 1,
    };
}

struct Waiting {
    events: Vec<Event>,
    messages: usize,
    bytes: usize,
    chunk: BytesMut,
    closed: bool,
    /// Something waits that is not to wait.
    is_urgent: bool,
    /// None while the stream is at work: it looks here before it listens again.
    patience: Option<Patience>,
    /// Who listens.
    waker: Option<Waker>,
    /// The thread of the stream, once it has begun.
    host: Option<Arc<Host>>,
}

impl Default for Waiting {
    fn default() -> Self {
        Waiting {
            events: Vec::new(),
            messages: 0,
            bytes: 0,
            chunk: BytesMut::new(),
            closed: false,
            is_urgent: false,
            patience: Some(Patience::NONE),
            waker: None,
            host: None,
        }
    }
}

impl Waiting {
    /// The stream listens, and there is enough for it.
    fn is_due(&self) -> bool {
        let is_enough = |patience: Patience| {
            self.is_urgent
                || self.closed
                || self.messages >= patience.messages
                || self.bytes >= patience.bytes
        };
        self.patience.is_some_and(is_enough)
    }

    /// Whom to wake, now that something came.
    fn take_waker(&mut self) -> Option<Waker> {
        match self.is_due() {
            true => self.waker.take(),
            false => None,
        }
    }
}

/// What waits for one stream.
pub struct Mailbox {
    waiting: Mutex<Waiting>,
    limits: Limits,
}

impl Mailbox {
    /// An empty one.
    pub fn new(limits: Limits) -> Mailbox {
        Mailbox {
            waiting: Mutex::default(),
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
        let chunk = &mut waiting.chunk;
        if chunk.capacity() < len {
            *chunk = BytesMut::with_capacity(len.max(CHUNK_BYTES));
        }
        for part in [message.reply, message.subject, message.body] {
            chunk.extend_from_slice(part);
        }
        let all = chunk.split().freeze();
        let headers = message.header_len.unwrap_or(0);
        let lens = [message.reply.len(), message.subject.len(), headers];
        let incoming = Incoming::new(purpose, message.origin, all, lens).ok_or(Full)?;
        if let Some(host) = &waiting.host {
            guest::note(host);
        }
        waiting.messages += 1;
        waiting.bytes += len;
        waiting.events.push(Event::Message(incoming));
        waiting.is_urgent |= !purpose.can_wait();
        let waker = waiting.take_waker();
        drop(waiting);
        wake(waker);
        Ok(())
    }

    /// Adds work; false if the stream takes none any more.
    pub fn call(&self, call: Call) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return false;
        }
        waiting.events.push(Event::Call(call));
        waiting.is_urgent = true;
        let waker = waiting.take_waker();
        drop(waiting);
        wake(waker);
        true
    }

    /// Wakes the stream though nothing has come.
    pub fn nudge(&self) {
        let mut waiting = self.waiting.lock();
        waiting.is_urgent = true;
        let waker = waiting.take_waker();
        drop(waiting);
        wake(waker);
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.waiting.lock().messages
    }

    /// No message waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes everything that waits; `into` must be empty, its memory is used again.
    pub fn drain(&self, into: &mut Vec<Event>) {
        debug_assert!(into.is_empty());
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.events, into);
        if let Some(host) = &waiting.host {
            host.add(waiting.messages);
        }
        waiting.messages = 0;
        waiting.bytes = 0;
        waiting.is_urgent = false;
        waiting.patience = None;
    }

    /// The stream lives on the calling thread from now on: who has nearly all of what comes
    /// may move in there.
    pub fn settle(&self) {
        self.waiting.lock().host = guest::host();
    }

    /// Waits until so much is there, or something that is not to wait. For the one who
    /// drains. Cancel-safe.
    pub async fn arrived(&self, patience: Patience) {
        let Limits {
            messages_max,
            bytes_max,
        } = self.limits;
        let patience = Patience {
            messages: patience.messages.min(messages_max / 2).max(1),
            bytes: patience.bytes.min(bytes_max / 2).max(1),
        };
        poll_fn(|cx| {
            let mut waiting = self.waiting.lock();
            waiting.patience = Some(patience);
            if waiting.is_due() {
                return Poll::Ready(());
            }
            match &mut waiting.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            Poll::Pending
        })
        .await;
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
        let waker = waiting.waker.take();
        *waiting = Waiting {
            closed: true,
            ..Waiting::default()
        };
        drop(waiting);
        wake(waker);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    use futures_util::FutureExt;

    use super::*;
    use crate::connection::id::ConnId;

    struct Counts(Arc<AtomicUsize>);

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counting_waker() -> (Waker, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        (Arc::new(Counts(Arc::clone(&wakes))).into(), wakes)
    }

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
        assert_eq!((first.subject(), first.reply()), (&b"a"[..], &b"reply"[..]));
        assert_eq!(
            (first.headers(), first.payload()),
            (&b"HH"[..], &b"pay"[..])
        );
        assert_eq!(
            (second.purpose, second.payload()),
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
    fn the_stream_is_woken_when_enough_waits() {
        let mailbox = mailbox(100, 1000);
        let patience = |messages, bytes| Patience { messages, bytes };
        let is_woken = |patience| mailbox.arrived(patience).now_or_never().is_some();
        let push = |purpose| {
            mailbox
                .push(purpose, &message(b"a", None, b"1234"))
                .unwrap()
        };
        assert!(!is_woken(Patience::NONE));
        push(Purpose::Publish);
        assert!(is_woken(Patience::NONE));
        assert!(!is_woken(patience(2, 100)));
        assert!(is_woken(patience(2, 10)), "ten bytes are enough");
        push(Purpose::Ack);
        assert!(is_woken(patience(2, 100)));
        for purpose in [Purpose::Pull, Purpose::DirectGet, Purpose::FlowReply] {
            drained(&mailbox);
            push(purpose);
            assert!(is_woken(patience(9, 100)), "{purpose:?} does not wait");
        }
        drained(&mailbox);
        mailbox.call(Box::new(|_| {}));
        assert!(is_woken(patience(9, 100)), "nor does a call");
    }

    #[test]
    fn patience_ends_before_the_mailbox_is_full() {
        for (messages_max, bytes_max) in [(4, 1000), (100, 40)] {
            let mailbox = mailbox(messages_max, bytes_max);
            let push = || mailbox.push(Purpose::Publish, &message(b"a", None, b"1234"));
            let patience = Patience {
                messages: 50,
                bytes: 500,
            };
            assert_eq!((push(), push()), (Ok(()), Ok(())));
            assert!(mailbox.arrived(patience).now_or_never().is_some());
        }
    }

    #[test]
    fn whoever_waits_is_woken() {
        let mailbox = mailbox(100, 1000);
        let (waker, wakes) = counting_waker();
        let mut cx = Context::from_waker(&waker);
        let mut waits = pin!(mailbox.arrived(Patience {
            messages: 2,
            bytes: 100,
        }));
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        let push = || mailbox.push(Purpose::Publish, &message(b"a", None, b"1234"));
        push().unwrap();
        assert_eq!(wakes.load(Ordering::Relaxed), 0);
        push().unwrap();
        push().unwrap();
        assert_eq!(wakes.load(Ordering::Relaxed), 1, "once");
        assert!(waits.as_mut().poll(&mut cx).is_ready());
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

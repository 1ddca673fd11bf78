//! What a mirror or a source is copied from: the leader's side.
//!
//! Separate from the machine, which decides whether a copy is new and where it stands. Each
//! origin is read through a consumer of the server's own, as any client would: messages
//! arrive at an inner subject, go into the mailbox and from there into the log.
//!
//! ```text
//!   origin's stream ─► consumer ─► $JS.S.<id> ─► mailbox ─► Copy ─► log
//!        ▲                                                     │ committed
//!        └──────── acknowledgement, reply to flow control ◄────┘
//! ```
//!
//! Invariants: copies are proposed in the order of the origin; a gap in the deliveries, or
//! a copy that is refused, starts the reading anew behind the last copy that was applied;
//! an origin whose retention depends on acknowledgements gets one only after the copy is
//! synced, and its consumer stays over breaks and restarts. Absent: other accounts and
//! domains, which are not part of this release.

mod consumer;
mod copies;
pub mod shown;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use self::consumer::{consumer_config, lasting_name, wants_acks};
use self::copies::{source_header, transformed, without_expectations};
use super::consumers;
use super::gather::Haste;
use super::handle::StreamHandle;
use super::incoming::{Incoming, Purpose};
use super::replica::Replica;
use super::waiters::Waiter;
use crate::api_error::{ApiError, table};
use crate::clock::{self, Timestamp};
use crate::consumer::ack::AckSubject;
use crate::consumer::config::AckPolicy;
use crate::protocol::headers;
use crate::pubsub::internal;
use crate::pubsub::message::Message;
use crate::pubsub::subscription::Subscription;
use crate::store::message::Seq;
use crate::stream::command::{Command, Copy};
use crate::stream::config::{StreamSource, SubjectTransform};
use crate::stream::origin::{Position, keys};
use crate::stream::outcome::{Answer, Outcome};
use crate::subject::transform::Transform;

/// Without one for so long, reading starts anew.
const STALL: Duration = Duration::from_secs(15);
/// The first pause before another try; it doubles.
const RETRY_MIN: Duration = Duration::from_millis(250);
/// The longest.
const RETRY_MAX: Duration = Duration::from_secs(10);

/// The origins of one stream.
#[derive(Default)]
pub struct Origin {
    feeds: Vec<Feed>,
    is_mirror: bool,
    /// Which the machine's origins were when these began.
    generation: u64,
}

/// One origin being read.
struct Feed {
    source: StreamSource,
    /// What it is, whatever its place in the configuration.
    key: String,
    transforms: Vec<Transform>,
    link: Option<Link>,
    /// When the next try is due, while there is no link.
    retry_at: Option<Timestamp>,
    fails: u32,
    error: Option<ApiError>,
    lag: u64,
    active_at: Option<Timestamp>,
}

/// A consumer at the origin, and what is under way from it.
struct Link {
    origin: Arc<StreamHandle>,
    /// Which stream of its name it is.
    identity: String,
    consumer: String,
    deliver: String,
    subscription: Arc<Subscription>,
    /// The last delivery that came; none: whichever is the first.
    consumer_seq: Option<u64>,
    acks: bool,
    heard_at: Timestamp,
    /// What is to come first: it was delivered over another link. What comes instead was
    /// on its way when this one began.
    again: Option<Seq>,
    /// The last sequence there that was proposed.
    last: Option<Seq>,
    /// Copies proposed and applied so far.
    proposed: u64,
    applied: u64,
    /// Replies to flow control that wait until so many are applied.
    flow: VecDeque<(u64, Bytes)>,
}

impl Origin {
    /// When something is due.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let due = |feed: &Feed| match &feed.link {
            Some(link) => Some(after(link.heard_at, STALL)),
            None => feed.retry_at,
        };
        self.feeds.iter().filter_map(due).min()
    }
}

/// A stream begins, or has another configuration: its origins are read anew.
pub fn begin(replica: &mut Replica, now: Timestamp) {
    let config = replica.handle.config();
    let generation = replica.group.with(|machine| machine.origins().generation());
    let same = |origin: &Origin| {
        let feeds = origin.feeds.iter().map(|feed| &feed.source);
        origin.generation == generation && feeds.eq(config.origins())
    };
    if replica.origin.as_deref().is_some_and(same) {
        return;
    }
    let keys = keys(&config);
    end(replica, Some(&keys));
    let feeds = config.origins().zip(keys);
    let feeds: Vec<Feed> = feeds.map(|(source, key)| Feed::new(source, key)).collect();
    if feeds.is_empty() {
        return;
    }
    let count = feeds.len();
    for feed in &feeds {
        replica.site.follow(&feed.source.name, &replica.handle);
    }
    replica.origin = Some(Box::new(Origin {
        feeds,
        is_mirror: config.mirror.is_some(),
        generation,
    }));
    for index in 0..count {
        connect(replica, now, index);
    }
}

/// Stops reading. Of origins that wait for acknowledgements, those that are not among
/// `stay` are told that nobody reads them any more; none: all stay.
pub fn end(replica: &mut Replica, stay: Option<&[String]>) {
    let Some(origin) = replica.origin.take() else {
        return;
    };
    for feed in origin.feeds {
        let own = &replica.handle.name;
        replica.site.unfollow(&feed.source.name, own);
        if let Some(link) = &feed.link {
            disconnect(replica, link);
        }
        let stays = stay.is_none_or(|stay| stay.contains(&feed.key));
        let there = replica.site.stream(&feed.source.name).filter(|_| !stays);
        if let Some(there) = there.filter(|there| wants_acks(&there.config())) {
            delete_consumer(&there, lasting_name(own, &feed.key));
        }
    }
}

/// A stream of that name has come or gone: who copies it need not wait to find out.
pub fn on_stream(replica: &mut Replica, name: &str) {
    let now = clock::now();
    let there = replica.site.stream(name);
    let Some(origin) = replica.origin.as_deref() else {
        return;
    };
    let feeds = origin.feeds.iter().enumerate();
    let concerned = feeds.filter(|(_, feed)| feed.source.name == name);
    let concerned: Vec<(usize, bool)> = concerned
        .map(|(index, feed)| {
            let is_there = |link: &Link| {
                let there = there.as_ref();
                there.is_some_and(|there| Arc::ptr_eq(there, &link.origin))
            };
            (index, feed.link.as_ref().is_some_and(is_there))
        })
        .collect();
    for (index, is_linked) in concerned {
        if is_linked {
            continue;
        }
        let error = ApiError::of(&table::STREAM_NOT_FOUND);
        lose(replica, now, index, error);
        if there.is_some() {
            connect(replica, now, index);
        }
    }
}

fn disconnect(replica: &Replica, link: &Link) {
    replica.site.account.interest.remove(&link.subscription);
    // An origin that waits for acknowledgements would drop what is not acknowledged.
    if !link.acks {
        delete_consumer(&link.origin, link.consumer.clone());
    }
}

fn delete_consumer(origin: &StreamHandle, name: String) {
    origin.mailbox.call(Box::new(move |origin: &mut Replica| {
        consumers::delete(origin, name, Box::new(|_, _| {}));
    }));
}

impl Feed {
    fn new(source: &StreamSource, key: String) -> Feed {
        let transform =
            |transform: &SubjectTransform| Transform::new(&transform.src, &transform.dest).ok();
        Feed {
            source: source.clone(),
            key,
            transforms: source
                .subject_transforms
                .iter()
                .filter_map(transform)
                .collect(),
            link: None,
            retry_at: None,
            fails: 0,
            error: None,
            lag: 0,
            active_at: None,
        }
    }

    /// It goes on.
    fn recover(&mut self) {
        self.fails = 0;
        self.error = None;
    }

    fn fail(&mut self, now: Timestamp, error: ApiError) {
        let pause = RETRY_MIN
            .saturating_mul(1 << self.fails.min(10))
            .min(RETRY_MAX);
        self.fails += 1;
        self.error = Some(error);
        self.retry_at = Some(after(now, pause));
    }
}

fn after(time: Timestamp, pause: Duration) -> Timestamp {
    let nanos = i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX);
    Timestamp::from_unix_nanos(time.unix_nanos().saturating_add(nanos))
}

/// Makes a consumer at the origin, behind the last copy.
fn connect(replica: &mut Replica, now: Timestamp, index: usize) {
    let id = replica.new_name(8);
    let site = Arc::clone(&replica.site);
    let own = Arc::clone(&replica.handle);
    let number = u32::try_from(index).unwrap_or(u32::MAX);
    let position = replica
        .group
        .with(|machine| machine.origins().position(number).cloned());
    let Some(origin) = replica.origin.as_deref_mut() else {
        return;
    };
    let is_mirror = origin.is_mirror;
    let Some(feed) = origin.feeds.get_mut(index) else {
        return;
    };
    feed.retry_at = None;
    let Some(stream) = site.stream(&feed.source.name) else {
        return feed.fail(now, ApiError::of(&table::STREAM_NOT_FOUND));
    };
    let (kind, letter) = if is_mirror {
        ("MIRROR", 'M')
    } else {
        ("SRC", 'S')
    };
    let identity = stream.identity();
    // Of a stream that was made anew, a source takes everything; a mirror has its sequences
    // to keep.
    let is_known = |position: &Position| {
        is_mirror || position.identity.is_empty() || position.identity == identity
    };
    let position = position.filter(is_known).map(|position| position.seq);
    let deliver = format!("$JS.{letter}.{id}");
    let consumer = match wants_acks(&stream.config()) {
        true => lasting_name(&own.name, &feed.key),
        false => format!("JS_{kind}_{id}"),
    };
    let config = consumer_config(
        &feed.source,
        &consumer,
        &deliver,
        position,
        &stream.config(),
    );
    let acks = config.ack_policy == AckPolicy::Explicit;
    let mailbox = Arc::downgrade(&own);
    let handler = move |message: &Message<'_>, _: &mut _| {
        let own = mailbox.upgrade();
        own.is_some_and(|own| own.mailbox.push(Purpose::Copy, message).is_ok())
    };
    let Some(subscription) = internal::subscribe(&site.account, &deliver, Box::new(handler)) else {
        return;
    };
    feed.link = Some(Link {
        origin: Arc::clone(&stream),
        identity,
        consumer: consumer.clone(),
        deliver,
        subscription,
        consumer_seq: (!acks).then_some(0),
        acks,
        heard_at: now,
        again: None,
        last: None,
        proposed: 0,
        applied: 0,
        flow: VecDeque::new(),
    });
    let name = consumer.clone();
    let made = Box::new(move |there: &mut Replica, put: Result<bool, ApiError>| {
        let begins = there.group.with(|machine| {
            let found = machine.consumer_and_store(&name);
            found.map_or((0, None), |(consumer, _)| {
                let mut unsettled = consumer.state().pending().keys();
                (consumer.num_pending(), unsettled.next().copied())
            })
        });
        own.mailbox.call(Box::new(move |replica: &mut Replica| {
            on_connected(replica, &name, put.map(|_| begins));
        }));
    });
    let asked = stream.mailbox.call(Box::new(move |there: &mut Replica| {
        consumers::put(there, consumer, config, made);
    }));
    if !asked {
        lose(replica, now, index, ApiError::of(&table::STREAM_NOT_FOUND));
    }
}

/// The consumer is there: so many messages are new to it, and from that one on some were
/// delivered before and come again. Nothing it sends comes before this.
fn on_connected(replica: &mut Replica, consumer: &str, put: Result<(u64, Option<Seq>), ApiError>) {
    let now = clock::now();
    let Some(index) = feed_of(replica, |link| link.consumer == consumer) else {
        return;
    };
    match put {
        Ok((pending, again)) => {
            if let Some(feed) = feed_mut(replica, index) {
                if let Some(link) = &mut feed.link {
                    link.again = again.filter(|_| link.acks);
                }
                feed.lag = pending;
                feed.active_at = Some(now);
                // What was refused before may be refused again.
                if pending == 0 {
                    feed.recover();
                }
            }
        }
        Err(error) => lose(replica, now, index, error),
    }
}

fn feed_of(replica: &Replica, is_it: impl Fn(&Link) -> bool) -> Option<usize> {
    let feeds = &replica.origin.as_deref()?.feeds;
    feeds
        .iter()
        .position(|feed| feed.link.as_ref().is_some_and(&is_it))
}

fn feed_mut(replica: &mut Replica, index: usize) -> Option<&mut Feed> {
    replica.origin.as_deref_mut()?.feeds.get_mut(index)
}

/// The link is of no use any more: another try comes.
fn lose(replica: &mut Replica, now: Timestamp, index: usize, error: ApiError) {
    let Some(feed) = feed_mut(replica, index) else {
        return;
    };
    let link = feed.link.take();
    feed.fail(now, error);
    if let Some(link) = link {
        disconnect(replica, &link);
    }
}

/// A message from an origin.
pub fn on_copy(replica: &mut Replica, now: Timestamp, incoming: Incoming) {
    // A copy shows its own subject: whose it is tells the consumer in its reply subject.
    let Some(ack) = AckSubject::parse(incoming.reply()) else {
        return on_status(replica, now, &incoming);
    };
    let is_ours = |link: &Link| link.consumer.as_bytes() == ack.consumer;
    let Some(index) = feed_of(replica, is_ours) else {
        return;
    };
    let parts = [incoming.subject(), incoming.headers(), incoming.payload()];
    if let Err(error) = replica.take_room(parts.map(<[u8]>::len)) {
        // Read again from here once there is room.
        return lose(replica, now, index, error);
    }
    let mut last = incoming.reply().rsplit(|byte| *byte == b'.');
    let mut number = || std::str::from_utf8(last.next()?).ok()?.parse::<i64>().ok();
    let (Some(pending), Some(time)) = (number(), number()) else {
        return;
    };
    let own_name = Arc::clone(&replica.handle.name);
    let Some(origin) = replica.origin.as_deref_mut() else {
        return;
    };
    let (is_mirror, generation) = (origin.is_mirror, origin.generation);
    let feed = &mut origin.feeds[index];
    let Some(link) = &mut feed.link else { return };
    link.heard_at = now;
    let follows = |last: u64| ack.consumer_seq == last + 1;
    let skips = |again: Seq| link.last.is_none() && ack.stream_seq > again;
    if !link.consumer_seq.is_none_or(follows) || link.again.is_some_and(skips) {
        tracing::debug!(
            stream = &*own_name,
            origin = feed.source.name,
            "a gap: reading anew"
        );
        return lose(
            replica,
            now,
            index,
            ApiError::of(&table::MIRROR_CONSUMER_SETUP_FAILED),
        );
    }
    link.consumer_seq = Some(ack.consumer_seq);
    link.proposed += 1;
    let before = link.last.replace(ack.stream_seq);
    let acks = link.acks;
    let consumer = link.consumer.clone();
    feed.lag = u64::try_from(pending).unwrap_or(0);
    feed.active_at = Some(now);
    let subject = transformed(&feed.transforms, &incoming.kept(incoming.subject()));
    let block = incoming.kept(incoming.headers());
    let block = match is_mirror {
        true => without_expectations(&block),
        false => {
            let source = source_header(&feed.source, &ack, incoming.subject(), &link.identity);
            let clean = without_expectations(&block);
            let mut block = Vec::with_capacity(clean.len() + source.len() + 32);
            let clean = (!clean.is_empty()).then_some(&*clean);
            headers::with_field(&mut block, clean, b"Nats-Stream-Source", &source);
            Bytes::from(block)
        }
    };
    let subject = match is_mirror {
        true => subject,
        false => replica.transformed(&subject).map_or(subject, Bytes::from),
    };
    let copy = Copy {
        source: u32::try_from(index).unwrap_or(u32::MAX),
        generation: Some(generation),
        after: before,
        origin_seq: ack.stream_seq,
        origin_time: Timestamp::from_unix_nanos(time),
        subject,
        headers: block,
        payload: incoming.kept(incoming.payload()),
    };
    let reply = match acks {
        true => incoming.kept(incoming.reply()),
        false => Bytes::new(),
    };
    let then = move |replica: &mut Replica, result: Result<Outcome, _>| {
        let refusal = match result.map(|outcome| outcome.answer) {
            Ok(Answer::Refused(error)) => Some(error.to_api_error()),
            Ok(_) => None,
            Err(_) => Some(ApiError::of(&table::INSUFFICIENT_RESOURCES)),
        };
        on_applied(replica, &consumer, &reply, refusal);
    };
    let waiter = Waiter::Then(Box::new(then));
    replica.submit(Command::Copy(Box::new(copy)), waiter, Haste::Together);
}

/// A copy was applied, or not.
fn on_applied(replica: &mut Replica, consumer: &str, reply: &Bytes, refusal: Option<ApiError>) {
    let Some(index) = feed_of(replica, |link| link.consumer == consumer) else {
        return;
    };
    if let Some(error) = refusal {
        // What was refused is read again, and with it everything behind it.
        return lose(replica, clock::now(), index, error);
    }
    let mut replies = Vec::new();
    if let Some(feed) = feed_mut(replica, index) {
        feed.recover();
    }
    if let Some(link) = feed_mut(replica, index).and_then(|feed| feed.link.as_mut()) {
        link.applied += 1;
        while link
            .flow
            .front()
            .is_some_and(|(mark, _)| *mark <= link.applied)
        {
            replies.extend(link.flow.pop_front().map(|(_, reply)| reply));
        }
    }
    if !reply.is_empty() {
        replica.outlet.publish(reply, b"", b"", b"+ACK");
    }
    for reply in replies {
        replica.outlet.publish(&reply, b"", b"", b"");
    }
}

/// A heartbeat or a request of flow control, on the deliver subject itself.
fn on_status(replica: &mut Replica, now: Timestamp, incoming: &Incoming) {
    let is_ours = |link: &Link| link.deliver.as_bytes() == incoming.subject();
    let Some(index) = feed_of(replica, is_ours) else {
        return;
    };
    let stalled = headers::find(incoming.headers(), b"Nats-Consumer-Stalled");
    let reply = match (stalled, incoming.reply().is_empty()) {
        (Some(subject), _) => Some(Bytes::copy_from_slice(subject)),
        (None, false) => Some(incoming.kept(incoming.reply())),
        (None, true) => None,
    };
    let last = headers::find(incoming.headers(), b"Nats-Last-Consumer");
    let last = last.and_then(|text| std::str::from_utf8(text).ok()?.parse::<u64>().ok());
    let Some(link) = feed_mut(replica, index).and_then(|feed| feed.link.as_mut()) else {
        return;
    };
    link.heard_at = now;
    let missed = |last: u64| link.consumer_seq.is_some_and(|seen| last > seen);
    if last.is_some_and(missed) {
        return lose(
            replica,
            now,
            index,
            ApiError::of(&table::MIRROR_CONSUMER_SETUP_FAILED),
        );
    }
    let Some(reply) = reply else { return };
    if link.applied >= link.proposed {
        replica.outlet.publish(&reply, b"", b"", b"");
    } else {
        let mark = link.proposed;
        link.flow.push_back((mark, reply));
    }
}

/// Does what is due.
pub fn on_time(replica: &mut Replica, now: Timestamp) {
    let count = replica
        .origin
        .as_deref()
        .map_or(0, |origin| origin.feeds.len());
    for index in 0..count {
        let Some(feed) = feed_mut(replica, index) else {
            continue;
        };
        match &feed.link {
            Some(link) if after(link.heard_at, STALL) <= now => {
                lose(replica, now, index, ApiError::of(&table::CLUSTER_NOT_AVAIL));
            }
            None if feed.retry_at.is_some_and(|at| at <= now) => connect(replica, now, index),
            _ => {}
        }
    }
}

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
//! Invariants: copies are proposed in the order of the origin; a gap in the deliveries
//! starts the reading anew behind the last copy that was applied; an origin whose retention
//! depends on acknowledgements gets one only after the copy is synced. Absent: other
//! accounts and domains, which are not part of this release.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::handle::StreamHandle;
use super::mailbox::{Incoming, Purpose};
use super::replica::{Replica, Waiter};
use super::{consumers, status};
use crate::api_error::{ApiError, table};
use crate::clock::{self, Timestamp};
use crate::consumer::ack::AckSubject;
use crate::consumer::config::{AckPolicy, Config as ConsumerConfig, DeliverPolicy};
use crate::protocol::headers;
use crate::pubsub::internal;
use crate::pubsub::message::Message;
use crate::pubsub::subscription::Subscription;
use crate::store::message::Seq;
use crate::stream::command::{Command, Copy};
use crate::stream::config::{Config, Retention, StreamSource};
use crate::stream::info;
use crate::subject::transform::Transform;

/// A sign of life from the origin so often.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Without one for so long, reading starts anew.
const STALL: Duration = Duration::from_secs(15);
/// The first pause before another try; it doubles.
const RETRY_MIN: Duration = Duration::from_millis(250);
/// The longest.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// Unacknowledged messages at an origin that wants acknowledgements.
const ACK_PENDING: i64 = 4096;

/// The origins of one stream.
#[derive(Default)]
pub struct Origin {
    feeds: Vec<Feed>,
    is_mirror: bool,
}

/// One origin being read.
struct Feed {
    source: StreamSource,
    transforms: Vec<Transform>,
    link: Option<Link>,
    /// When the next try is due, while there is no link.
    retry_at: Option<Timestamp>,
    fails: u32,
    error: Option<ApiError>,
    lag: u64,
    /// The last sequence taken from a source.
    last_seq: u64,
    active_at: Option<Timestamp>,
}

/// A consumer at the origin, and what is under way from it.
struct Link {
    origin: Arc<StreamHandle>,
    consumer: String,
    deliver: String,
    subscription: Arc<Subscription>,
    /// The last delivery that came.
    consumer_seq: u64,
    acks: bool,
    heard_at: Timestamp,
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
    let same = |origin: &Origin| {
        let feeds = origin.feeds.iter().map(|feed| &feed.source);
        origin.is_mirror == config.mirror.is_some() && feeds.eq(config.origins())
    };
    if replica.origin.as_deref().is_some_and(same) {
        return;
    }
    end(replica);
    let feeds: Vec<Feed> = config.origins().map(Feed::new).collect();
    if feeds.is_empty() {
        return;
    }
    let count = feeds.len();
    replica.origin = Some(Box::new(Origin {
        feeds,
        is_mirror: config.mirror.is_some(),
    }));
    for index in 0..count {
        connect(replica, now, index);
    }
}

/// Stops reading.
pub fn end(replica: &mut Replica) {
    let Some(origin) = replica.origin.take() else {
        return;
    };
    for link in origin.feeds.into_iter().filter_map(|feed| feed.link) {
        disconnect(replica, &link);
    }
}

fn disconnect(replica: &Replica, link: &Link) {
    replica.site.account.interest.remove(&link.subscription);
    let name = link.consumer.clone();
    link.origin
        .mailbox
        .call(Box::new(move |origin: &mut Replica| {
            consumers::delete(origin, name, Box::new(|_, _| {}));
        }));
}

impl Feed {
    fn new(source: &StreamSource) -> Feed {
        let transform = |transform: &crate::stream::config::SubjectTransform| {
            Transform::new(&transform.src, &transform.dest).ok()
        };
        Feed {
            source: source.clone(),
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
            last_seq: 0,
            active_at: None,
        }
    }

    fn shown(&self, now: Timestamp) -> info::Origin {
        let nanos = |at| i64::try_from(now.since(at).as_nanos()).unwrap_or(i64::MAX);
        info::Origin {
            name: self.source.name.clone(),
            external: self.source.external.clone(),
            lag: self.lag,
            seq: self.last_seq,
            active: self.active_at.map_or(-1, nanos),
            error: self.error.clone(),
            filter_subject: self.source.filter_subject.clone(),
            subject_transforms: self.source.subject_transforms.clone(),
        }
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
    let position = replica.group.with(|machine| {
        let position = machine.origins().position(number);
        position.map(|position| position.seq)
    });
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
    let deliver = format!("$JS.{letter}.{id}");
    let consumer = format!("JS_{kind}_{id}");
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
        consumer: consumer.clone(),
        deliver,
        subscription,
        consumer_seq: 0,
        acks,
        heard_at: now,
        proposed: 0,
        applied: 0,
        flow: VecDeque::new(),
    });
    let name = consumer.clone();
    let made = Box::new(move |there: &mut Replica, put: Result<bool, ApiError>| {
        let pending = there.group.with(|machine| {
            let found = machine.consumer_and_store(&name);
            found.map_or(0, |(consumer, _)| consumer.num_pending())
        });
        own.mailbox.call(Box::new(move |replica: &mut Replica| {
            on_connected(replica, &name, put.map(|_| pending));
        }));
    });
    let asked = stream.mailbox.call(Box::new(move |there: &mut Replica| {
        consumers::put(there, consumer, config, made);
    }));
    if !asked {
        lose(replica, now, index, ApiError::of(&table::STREAM_NOT_FOUND));
    }
}

/// The consumer through which an origin is read.
fn consumer_config(
    source: &StreamSource,
    name: &str,
    deliver: &str,
    position: Option<Seq>,
    origin: &Config,
) -> ConsumerConfig {
    let heartbeat = i64::try_from(HEARTBEAT.as_nanos()).unwrap_or(i64::MAX);
    let stall = i64::try_from(STALL.as_nanos()).unwrap_or(i64::MAX);
    let wants_acks = origin.retention != Retention::Limits;
    let mut config = ConsumerConfig {
        name: name.to_owned(),
        deliver_subject: deliver.to_owned(),
        ack_policy: match wants_acks {
            true => AckPolicy::Explicit,
            false => AckPolicy::None,
        },
        ack_wait: 30_000_000_000,
        max_deliver: -1,
        max_ack_pending: if wants_acks { ACK_PENDING } else { 0 },
        flow_control: true,
        idle_heartbeat: heartbeat,
        inactive_threshold: stall,
        mem_storage: !wants_acks,
        num_replicas: 1,
        direct: true,
        filter_subject: source.filter_subject.clone(),
        ..ConsumerConfig::default()
    };
    let filters = source
        .subject_transforms
        .iter()
        .map(|transform| &transform.src);
    let filters: Vec<String> = filters.filter(|src| !src.is_empty()).cloned().collect();
    match &filters[..] {
        [] => {}
        [only] => config.filter_subject.clone_from(only),
        _ => config.filter_subjects = filters,
    }
    match position {
        Some(seq) => {
            config.deliver_policy = DeliverPolicy::ByStartSequence;
            config.opt_start_seq = seq.next().0;
        }
        None if source.opt_start_seq > 0 => {
            config.deliver_policy = DeliverPolicy::ByStartSequence;
            config.opt_start_seq = source.opt_start_seq;
        }
        None if source.opt_start_time.is_some() => {
            config.deliver_policy = DeliverPolicy::ByStartTime;
            config.opt_start_time.clone_from(&source.opt_start_time);
        }
        None => {}
    }
    config
}

fn on_connected(replica: &mut Replica, consumer: &str, put: Result<u64, ApiError>) {
    let now = clock::now();
    let Some(index) = feed_of(replica, |link| link.consumer == consumer) else {
        return;
    };
    match put {
        Ok(pending) => {
            if let Some(feed) = feed_mut(replica, index) {
                feed.fails = 0;
                feed.error = None;
                feed.lag = pending;
                feed.active_at = Some(now);
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
    let Some(ack) = AckSubject::parse(&incoming.reply) else {
        return on_status(replica, now, &incoming);
    };
    let is_ours = |link: &Link| link.consumer.as_bytes() == ack.consumer;
    let Some(index) = feed_of(replica, is_ours) else {
        return;
    };
    let parts = [&incoming.subject, &incoming.headers, &incoming.payload];
    if let Err(error) = replica.take_room(parts.map(Bytes::len)) {
        // Read again from here once there is room.
        return lose(replica, now, index, error);
    }
    let mut last = incoming.reply.rsplit(|byte| *byte == b'.');
    let mut number = || std::str::from_utf8(last.next()?).ok()?.parse::<i64>().ok();
    let (Some(pending), Some(time)) = (number(), number()) else {
        return;
    };
    let own_name = Arc::clone(&replica.handle.name);
    let Some(origin) = replica.origin.as_deref_mut() else {
        return;
    };
    let is_mirror = origin.is_mirror;
    let feed = &mut origin.feeds[index];
    let Some(link) = &mut feed.link else { return };
    link.heard_at = now;
    if ack.count == 1 && ack.consumer_seq != link.consumer_seq + 1 {
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
    link.consumer_seq = link.consumer_seq.max(ack.consumer_seq);
    link.proposed += 1;
    let acks = link.acks;
    let consumer = link.consumer.clone();
    feed.lag = u64::try_from(pending).unwrap_or(0);
    feed.active_at = Some(now);
    if !is_mirror {
        feed.last_seq = ack.stream_seq.0;
    }
    let subject = transformed(&feed.transforms, &incoming.subject);
    let block = match is_mirror {
        true => without_expectations(&incoming.headers),
        false => {
            let source = source_header(&feed.source, &ack, &incoming.subject, link);
            let clean = without_expectations(&incoming.headers);
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
        origin_seq: ack.stream_seq,
        origin_time: Timestamp::from_unix_nanos(time),
        subject,
        headers: block,
        payload: incoming.payload,
    };
    let reply = if acks { incoming.reply } else { Bytes::new() };
    let then = move |replica: &mut Replica, result: Result<_, _>| {
        on_applied(replica, &consumer, &reply, result.is_ok());
    };
    replica.submit(Command::Copy(copy), Waiter::Then(Box::new(then)));
}

/// A copy was applied, or not.
fn on_applied(replica: &mut Replica, consumer: &str, reply: &Bytes, is_applied: bool) {
    let Some(index) = feed_of(replica, |link| link.consumer == consumer) else {
        return;
    };
    if !is_applied {
        let error = ApiError::of(&table::INSUFFICIENT_RESOURCES);
        return lose(replica, clock::now(), index, error);
    }
    let mut replies = Vec::new();
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
    let is_ours = |link: &Link| link.deliver.as_bytes() == &*incoming.subject;
    let Some(index) = feed_of(replica, is_ours) else {
        return;
    };
    let stalled = headers::find(&incoming.headers, b"Nats-Consumer-Stalled");
    let reply = match (stalled, incoming.reply.is_empty()) {
        (Some(subject), _) => Some(Bytes::copy_from_slice(subject)),
        (None, false) => Some(incoming.reply.clone()),
        (None, true) => None,
    };
    let last = headers::find(&incoming.headers, b"Nats-Last-Consumer");
    let last = last.and_then(|text| std::str::from_utf8(text).ok()?.parse::<u64>().ok());
    let Some(link) = feed_mut(replica, index).and_then(|feed| feed.link.as_mut()) else {
        return;
    };
    link.heard_at = now;
    if last.is_some_and(|last| last > link.consumer_seq) {
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

fn transformed(transforms: &[Transform], subject: &Bytes) -> Bytes {
    let takes = transforms.iter().find(|transform| transform.takes(subject));
    let out = takes.and_then(|transform| transform.apply(subject, &mut |_| 0));
    out.map_or_else(|| subject.clone(), Bytes::from)
}

/// A copy is not refused for what its publisher expected of the origin.
fn without_expectations(block: &Bytes) -> Bytes {
    let is_dropped =
        |name: &[u8]| name.starts_with(b"Nats-Expected-") || name.starts_with(b"Nats-Batch-");
    if !headers::fields(block).any(|(name, _)| is_dropped(name)) {
        return block.clone();
    }
    let mut out = b"NATS/1.0\r\n".to_vec();
    let empty = out.len();
    for (name, value) in headers::fields(block).filter(|(name, _)| !is_dropped(name)) {
        status::push(&mut out, &String::from_utf8_lossy(name), value);
    }
    if out.len() == empty {
        return Bytes::new();
    }
    out.extend_from_slice(b"\r\n");
    Bytes::from(out)
}

/// Where a message comes from: stream, sequence, filter, destination, subject.
fn source_header(source: &StreamSource, ack: &AckSubject<'_>, subject: &[u8], _: &Link) -> Vec<u8> {
    let join = |parts: Vec<&str>, none: &str| match parts.is_empty() {
        true => none.to_owned(),
        false => parts.join("\x0c"),
    };
    let transforms = &source.subject_transforms;
    let filters = match transforms.is_empty() {
        true if source.filter_subject.is_empty() => ">".to_owned(),
        true => source.filter_subject.clone(),
        false => join(transforms.iter().map(|t| t.src.as_str()).collect(), ">"),
    };
    let destinations = join(transforms.iter().map(|t| t.dest.as_str()).collect(), ">");
    let mut header = format!(
        "{} {} {filters} {destinations} ",
        source.name, ack.stream_seq
    )
    .into_bytes();
    header.extend_from_slice(subject);
    header
}

/// What is copied from, for the stream's info: its mirror's origin, or its sources.
pub fn shown(replica: &Replica) -> (Option<info::Origin>, Vec<info::Origin>) {
    let Some(origin) = replica.origin.as_deref() else {
        return (None, Vec::new());
    };
    let now = clock::now();
    let mut feeds = origin.feeds.iter().map(|feed| feed.shown(now));
    match origin.is_mirror {
        true => (feeds.next(), Vec::new()),
        false => (None, feeds.collect()),
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

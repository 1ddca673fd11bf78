//! The stream as one would explain it: a list of messages and rules in plain words.
//!
//! The machine is compared with this. Nothing here is fast, and no index is kept.

use bytes::Bytes;

use super::command::{Command, Copy, Publish};
use super::config::{Config, Discard, Retention};
use super::outcome::{Answer, Full, PublishError};
use super::ttl::Ttl;
use crate::clock::Timestamp;
use crate::consumer::command::Command as ConsumerCommand;
use crate::consumer::config::{AckPolicy, Config as ConsumerConfig, DeliverPolicy};
use crate::protocol::headers::find;
use crate::store::message::{Message, Seq};
use crate::subject::filters::Filters;

const SECOND: i64 = 1_000_000_000;

#[derive(Debug)]
struct Held {
    message: Message,
    ttl: Ttl,
}

#[derive(Debug)]
pub struct Model {
    pub config: Config,
    held: Vec<Held>,
    pub last: Seq,
    ids: Vec<(Bytes, Timestamp, Seq)>,
    last_id: Bytes,
    origins: Vec<(String, Seq)>,
    pub consumers: Vec<ModelConsumer>,
}

/// A consumer that gets messages in order and acknowledges one by one.
#[derive(Debug)]
pub struct ModelConsumer {
    pub name: String,
    filters: Filters,
    acks: bool,
    next: Seq,
    pending: Vec<Seq>,
}

impl ModelConsumer {
    fn needs(&self, message: &Message) -> bool {
        self.filters.matches(&message.subject)
            && (message.seq >= self.next || self.pending.contains(&message.seq))
    }
}

impl Model {
    pub fn new(config: Config) -> Self {
        Model {
            last: Seq(config.first_seq.saturating_sub(1)),
            config,
            held: Vec::new(),
            ids: Vec::new(),
            last_id: Bytes::new(),
            origins: Vec::new(),
            consumers: Vec::new(),
        }
    }

    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.held.iter().map(|held| &held.message)
    }

    pub fn bytes(&self) -> u64 {
        self.held.iter().map(|held| size(&held.message)).sum()
    }

    /// What the command is answered; none where that is the consumer's business.
    pub fn apply(&mut self, now: Timestamp, command: Command) -> Option<Answer> {
        let answer = match command {
            Command::Publish(publish) => self.publish(now, &publish),
            Command::Copy(copy) => self.copy(now, &copy),
            Command::Tick => self.tick(now),
            Command::Configure(config) => self.configure(now, *config),
            Command::Purge {
                filter,
                below,
                keep,
            } => self.purge(&filter, below, keep),
            Command::Delete { seq, .. } => {
                let before = self.held.len();
                self.held.retain(|held| held.message.seq != seq);
                Answer::Deleted(self.held.len() < before)
            }
            Command::PutConsumer { name, config } => self.put_consumer(name, &config),
            Command::DeleteConsumer { name } => {
                let before = self.consumers.len();
                self.consumers.retain(|consumer| consumer.name != name);
                Answer::ConsumerDeleted(self.consumers.len() < before)
            }
            Command::Consumer { name, command } => {
                self.consumer(&name, command);
                self.drop_unneeded();
                return None;
            }
        };
        self.drop_unneeded();
        Some(answer)
    }

    /// What is there in an interest stream is needed by somebody.
    fn drop_unneeded(&mut self) {
        if self.config.retention == Retention::Interest {
            let consumers = &self.consumers;
            self.held
                .retain(|held| consumers.iter().any(|c| c.needs(&held.message)));
        }
        for consumer in &mut self.consumers {
            let there = |seq: &Seq| self.held.iter().any(|held| held.message.seq == *seq);
            consumer.pending.retain(there);
        }
    }

    fn put_consumer(&mut self, name: String, config: &ConsumerConfig) -> Answer {
        let filters = config.filters();
        if let Some(consumer) = self.consumers.iter_mut().find(|c| c.name == name) {
            consumer.filters = filters;
            return Answer::ConsumerPut { created: false };
        }
        self.consumers.push(ModelConsumer {
            name,
            filters,
            acks: config.ack_policy == AckPolicy::Explicit,
            next: match config.deliver_policy {
                DeliverPolicy::New => self.last.next(),
                _ => Seq(1),
            },
            pending: Vec::new(),
        });
        Answer::ConsumerPut { created: true }
    }

    fn consumer(&mut self, name: &str, command: ConsumerCommand) {
        let Some(consumer) = self.consumers.iter_mut().find(|c| c.name == name) else {
            return;
        };
        match command {
            ConsumerCommand::Deliver(seqs) => {
                for seq in seqs {
                    let ahead = |h: &&Held| {
                        h.message.seq >= consumer.next
                            && consumer.filters.matches(&h.message.subject)
                    };
                    let next = self.held.iter().find(ahead).map(|h| h.message.seq);
                    if next == Some(seq) {
                        consumer.next = seq.next();
                        if consumer.acks {
                            consumer.pending.push(seq);
                        }
                    }
                }
            }
            ConsumerCommand::Ack(seqs) => {
                for seq in seqs {
                    let was_pending = consumer.pending.contains(&seq);
                    consumer.pending.retain(|pending| *pending != seq);
                    if was_pending && self.config.retention == Retention::WorkQueue {
                        self.held.retain(|held| held.message.seq != seq);
                    }
                }
            }
            other => panic!("not in the model: {other:?}"),
        }
    }

    /// How much is ahead of each consumer, and how much it has not acknowledged.
    pub fn pending(&self) -> Vec<(String, u64, u64)> {
        let figures = |consumer: &ModelConsumer| {
            let ahead = self.held.iter().filter(|held| {
                held.message.seq >= consumer.next && consumer.filters.matches(&held.message.subject)
            });
            let pending = consumer.pending.len() as u64;
            (consumer.name.clone(), ahead.count() as u64, pending)
        };
        let mut all: Vec<_> = self.consumers.iter().map(figures).collect();
        all.sort();
        all
    }

    fn publish(&mut self, now: Timestamp, publish: &Publish) -> Answer {
        let header = |name: &str| {
            let value = find(publish.headers(), name.as_bytes()).unwrap_or_default();
            (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned())
        };
        let refused = Answer::Refused;
        let config = &self.config;
        if config.sealed {
            return refused(PublishError::Sealed);
        }
        let max_size = usize::try_from(config.max_msg_size).unwrap_or(0);
        if max_size > 0 && publish.headers().len() + publish.payload().len() > max_size {
            return refused(PublishError::TooLarge);
        }
        if header("Nats-Expected-Stream").is_some_and(|name| name != config.name) {
            return refused(PublishError::WrongStream);
        }
        let mut ttl = Ttl::Unset;
        if let Some(text) = header("Nats-TTL") {
            if !config.allow_msg_ttl {
                return refused(PublishError::TtlDisabled);
            }
            match Ttl::parse(text.as_bytes()) {
                Ok(parsed) => ttl = parsed,
                Err(_) => return refused(PublishError::TtlInvalid),
            }
        }
        let id = header("Nats-Msg-Id");
        if let Some(seq) = id.as_ref().and_then(|id| self.known(now, id)) {
            return Answer::Duplicate(seq);
        }
        if header("Nats-Expected-Last-Msg-Id").is_some_and(|id| id.as_bytes() != self.last_id) {
            let actual = String::from_utf8_lossy(&self.last_id).into_owned();
            return refused(PublishError::WrongLastMsgId { actual });
        }
        let wrong = |actual| refused(PublishError::WrongLastSeq { actual });
        if header("Nats-Expected-Last-Sequence").is_some_and(|seq| seq != self.last.to_string()) {
            return wrong(self.last);
        }
        let on = header("Nats-Expected-Last-Subject-Sequence-Subject");
        let on = on.unwrap_or_else(|| String::from_utf8_lossy(publish.subject()).into_owned());
        let on = Filters::new([on]);
        let last = self.held.iter().rfind(|h| on.matches(&h.message.subject));
        let last = last.map_or(Seq(0), |held| held.message.seq);
        if header("Nats-Expected-Last-Subject-Sequence").is_some_and(|seq| seq != last.to_string())
        {
            return wrong(last);
        }
        let rollup = header("Nats-Rollup").map(|value| value.to_lowercase());
        if let Some(value) = &rollup {
            if !config.allow_rollup_hdrs || config.deny_purge {
                return refused(PublishError::RollupNotPermitted);
            }
            if value != "sub" && value != "all" {
                let value = value.clone();
                return refused(PublishError::RollupInvalid { value });
            }
        }
        let mut message = Message {
            seq: self.last.next(),
            time: now,
            subject: Bytes::copy_from_slice(publish.subject()),
            headers: Bytes::copy_from_slice(publish.headers()),
            payload: Bytes::copy_from_slice(publish.payload()),
        };
        if let Some(full) = self.full(&message, rollup.is_some()) {
            return refused(PublishError::Full(full));
        }
        self.raise(&mut message, &mut ttl);
        self.store(now, message, ttl, rollup.as_deref(), id.as_deref())
    }

    fn known(&self, now: Timestamp, id: &str) -> Option<Seq> {
        let recent =
            |time: Timestamp| now.unix_nanos() - time.unix_nanos() < self.config.duplicate_window;
        let mut ids = self.ids.iter();
        ids.find(|(known, time, _)| *known == id && recent(*time))
            .map(|(_, _, seq)| *seq)
    }

    fn full(&self, message: &Message, rollup: bool) -> Option<Full> {
        let config = &self.config;
        if config.discard == Discard::Old {
            return None;
        }
        let on_subject = || {
            let on = self.held.iter().map(|held| &held.message);
            on.filter(|other| other.subject == message.subject)
        };
        let per_subject = limit(config.max_msgs_per_subject);
        let replaces = on_subject().count() as u64 >= per_subject;
        if replaces && config.discard_new_per_subject && !rollup {
            return Some(Full::MessagesPerSubject);
        }
        if self.held.len() as u64 >= limit(config.max_msgs) && !replaces {
            return Some(Full::Messages);
        }
        if self.bytes() + size(message) > limit(config.max_bytes) {
            let replaced = on_subject().next().filter(|_| replaces);
            if replaced.is_none_or(|replaced| size(replaced) < size(message)) {
                return Some(Full::Bytes);
            }
        }
        None
    }

    fn marker_ttl(&self) -> u64 {
        u64::try_from(self.config.subject_delete_marker_ttl / SECOND).unwrap()
    }

    fn raise(&self, message: &mut Message, ttl: &mut Ttl) {
        if let Ttl::Seconds(seconds) = *ttl
            && seconds < self.marker_ttl()
            && self.config.max_msgs_per_subject != 1
        {
            *ttl = Ttl::Seconds(self.marker_ttl());
            let mut out = Vec::new();
            crate::protocol::headers::with_field(
                &mut out,
                Some(&message.headers),
                b"Nats-TTL",
                self.marker_ttl().to_string().as_bytes(),
            );
            message.headers = out.into();
        }
    }

    fn store(
        &mut self,
        now: Timestamp,
        message: Message,
        ttl: Ttl,
        rollup: Option<&str>,
        id: Option<&str>,
    ) -> Answer {
        let seq = message.seq;
        let subject = message.subject.clone();
        self.last = seq;
        self.last_id = Bytes::copy_from_slice(id.unwrap_or_default().as_bytes());
        if let Some(id) = id
            && self.config.duplicate_window > 0
        {
            self.ids.retain(|(known, _, _)| *known != id);
            self.ids.push((self.last_id.clone(), now, seq));
        }
        if self.config.retention == Retention::Interest
            && !self.consumers.iter().any(|c| c.filters.matches(&subject))
        {
            return Answer::Skipped(seq);
        }
        self.held.push(Held { message, ttl });
        match rollup {
            Some("sub") => self
                .held
                .retain(|h| h.message.seq == seq || h.message.subject != subject),
            Some(_) => self.held.retain(|h| h.message.seq == seq),
            None => {}
        }
        self.enforce();
        Answer::Stored(seq)
    }

    fn enforce(&mut self) {
        let per_subject = limit(self.config.max_msgs_per_subject);
        let mut at = 0;
        while at < self.held.len() {
            let subject = &self.held[at].message.subject;
            let from_here = self.held[at..]
                .iter()
                .filter(|h| h.message.subject == *subject);
            match from_here.count() as u64 > per_subject {
                true => drop(self.held.remove(at)),
                false => at += 1,
            }
        }
        while !self.held.is_empty()
            && (self.held.len() as u64 > limit(self.config.max_msgs)
                || self.bytes() > limit(self.config.max_bytes))
        {
            self.held.remove(0);
        }
    }

    fn copy(&mut self, now: Timestamp, copy: &Copy) -> Answer {
        let source = copy.source as usize;
        let Some(origin) = (match &self.config.mirror {
            Some(mirror) => Some(mirror).filter(|_| source == 0),
            None => self.config.sources.get(source),
        }) else {
            return Answer::Nothing;
        };
        let is_mirror = self.config.mirror.is_some();
        let name = origin.name.clone();
        let place = match self.origins.iter().position(|(known, _)| *known == name) {
            Some(place) => place,
            None => {
                self.origins.push((name, Seq(0)));
                self.origins.len() - 1
            }
        };
        if copy.origin_seq <= self.origins[place].1 || (is_mirror && copy.origin_seq <= self.last) {
            return Answer::Nothing;
        }
        if self.config.sealed {
            return Answer::Refused(PublishError::Sealed);
        }
        let id = find(&copy.headers, b"Nats-Msg-Id").filter(|_| !is_mirror);
        let id = id.map(|id| String::from_utf8_lossy(id).into_owned());
        if let Some(seq) = id.as_ref().and_then(|id| self.known(now, id)) {
            self.origins[place].1 = copy.origin_seq;
            return Answer::Duplicate(seq);
        }
        let message = Message {
            seq: if is_mirror {
                copy.origin_seq
            } else {
                self.last.next()
            },
            time: if is_mirror { copy.origin_time } else { now },
            subject: copy.subject.clone(),
            headers: copy.headers.clone(),
            payload: copy.payload.clone(),
        };
        if let Some(full) = self.full(&message, false) {
            return Answer::Refused(PublishError::Full(full));
        }
        self.origins[place].1 = copy.origin_seq;
        self.store(now, message, Ttl::Unset, None, id.as_deref())
    }

    fn purge(&mut self, filter: &[u8], below: Option<Seq>, keep: u64) -> Answer {
        let filters = Filters::new([filter]);
        let before = self.held.len();
        let matches = |held: &Held| filters.matches(&held.message.subject);
        let matching = self.held.iter().filter(|h| matches(h)).count() as u64;
        let mut may_go = matching.saturating_sub(keep);
        self.held.retain(|held| {
            let goes =
                matches(held) && may_go > 0 && below.is_none_or(|below| held.message.seq < below);
            may_go -= u64::from(goes);
            !goes
        });
        if let Some(below) = below
            && filters.is_all()
            && keep == 0
            && below > self.last
        {
            self.last = below.prev();
        }
        Answer::Purged((before - self.held.len()) as u64)
    }

    fn tick(&mut self, now: Timestamp) -> Answer {
        let age = self.config.max_age;
        let old = |held: &&Held| {
            age > 0
                && held.ttl != Ttl::Never
                && held.message.time.unix_nanos() + age <= now.unix_nanos()
        };
        let old: Vec<Seq> = self
            .held
            .iter()
            .filter(old)
            .map(|h| h.message.seq)
            .collect();
        old.into_iter().for_each(|seq| self.expire(now, seq));
        let end = |held: &Held| match held.ttl {
            Ttl::Seconds(s) => {
                let end = held.message.time.unix_nanos() + i64::try_from(s).unwrap() * SECOND;
                (end <= now.unix_nanos()).then_some((end, held.message.seq))
            }
            _ => None,
        };
        let mut ended: Vec<(i64, Seq)> = self.held.iter().filter_map(end).collect();
        ended.sort_unstable();
        ended.into_iter().for_each(|(_, seq)| self.expire(now, seq));
        Answer::Ticked
    }

    /// When the next message goes by age or lifetime.
    pub fn due(&self) -> Option<Timestamp> {
        let age = |held: &Held| {
            (self.config.max_age > 0)
                .then_some(self.config.max_age)
                .filter(|_| held.ttl != Ttl::Never)
        };
        let life = |held: &Held| match held.ttl {
            Ttl::Seconds(seconds) => Some(i64::try_from(seconds).unwrap() * SECOND),
            _ => None,
        };
        let ends = self.held.iter().filter_map(|held| {
            let span = age(held).into_iter().chain(life(held)).min()?;
            Some(held.message.time.unix_nanos() + span)
        });
        ends.min().map(Timestamp::from_unix_nanos)
    }

    fn expire(&mut self, now: Timestamp, seq: Seq) {
        let Some(at) = self.held.iter().position(|h| h.message.seq == seq) else {
            return;
        };
        let gone = self.held.remove(at).message;
        let on_subject = self.held.iter().any(|h| h.message.subject == gone.subject);
        if self.marker_ttl() == 0
            || on_subject
            || find(&gone.headers, b"Nats-Marker-Reason").is_some()
            || find(&gone.headers, b"KV-Operation") == Some(b"PURGE")
        {
            return;
        }
        let ttl = self.marker_ttl();
        let marker = Message {
            seq: self.last.next(),
            time: now,
            headers: format!(
                "NATS/1.0\r\nNats-Marker-Reason: MaxAge\r\nNats-TTL: {ttl}s\r\nNats-Rollup: sub\r\n\r\n"
            )
            .into(),
            payload: Bytes::new(),
            ..gone
        };
        self.store(now, marker, Ttl::Seconds(ttl), None, None);
    }

    fn configure(&mut self, now: Timestamp, config: Config) -> Answer {
        for window in [self.config.duplicate_window, config.duplicate_window] {
            let recent = |time: Timestamp| now.unix_nanos() - time.unix_nanos() < window;
            self.ids.retain(|(_, time, _)| recent(*time));
        }
        self.config = config;
        self.enforce();
        Answer::Configured
    }
}

fn limit(limit: i64) -> u64 {
    match limit {
        1.. => limit.unsigned_abs(),
        _ => u64::MAX,
    }
}

fn size(message: &Message) -> u64 {
    (16 + message.subject.len() + message.headers.len() + message.payload.len()) as u64
}

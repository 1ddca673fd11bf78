//! Mirrors and sources: how far each origin has been copied, and copies as they come.
//!
//! Separate from publishing because a copy is not refused for what its headers expect, and
//! because its place in the origin decides whether it is new.
//!
//! A mirror keeps the sequences and times of its origin, and skips what the origin has no
//! more; a source gives new ones. A position is found by what the source is, not by its
//! place in the configuration, so that it survives changes of the configuration.
//!
//! Invariants: of an origin, every sequence is taken at most once and in ascending order,
//! unless the origin says that it is a new stream; a copy made for other origins than there
//! are now, or behind one that was refused, is dropped; positions survive purges and the removal of messages; no more than [`FORMER_MAX`] positions of former sources are kept.
//! Absent: reading origins; the copies' headers are as they are to be stored.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::command::Copy;
use super::config::{Config, StreamSource};
use super::headers::Fields;
use super::machine::{Machine, SEQ_MAX};
use super::outcome::{Answer, PublishError};
use super::publish::{Accepted, Rollup};
use super::ttl::Ttl;
use crate::clock::Timestamp;
use crate::pb::stream as pb;
use crate::state_machine::DecodeError;
use crate::store::error::Error;
use crate::store::message::Seq;

/// How many positions are kept of sources that are configured no more.
pub const FORMER_MAX: usize = 1024;

/// How far one origin has been copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last sequence there that was taken; none: 0.
    pub seq: Seq,
    /// When that was taken there.
    pub time: Timestamp,
    /// Which incarnation of the origin it was, if it says so.
    pub identity: Bytes,
}

/// The positions of one stream's origins.
#[derive(Debug, Default)]
pub struct Origins {
    positions: BTreeMap<String, Position>,
    /// Of the sources as configured; of a mirror one.
    keys: Vec<String>,
    /// How often `keys` has changed.
    generation: u64,
}

impl Origins {
    /// Nothing is copied yet.
    pub fn new(config: &Config) -> Self {
        let keys = keys(config);
        Origins {
            keys,
            ..Origins::default()
        }
    }

    /// Where the source of that index (0 for a mirror) is to go on behind; none if nothing
    /// of it was copied, or there is no such source.
    pub fn position(&self, source: u32) -> Option<&Position> {
        self.positions.get(self.key(source)?)
    }

    /// How often the origins have changed. A copy says of which generation it is: what was
    /// on its way when they changed is not taken for another's.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn key(&self, source: u32) -> Option<&str> {
        let key = self.keys.get(usize::try_from(source).ok()?)?;
        Some(key)
    }

    /// Takes a new configuration over.
    pub(super) fn configure(&mut self, config: &Config) {
        let keys = keys(config);
        if keys == self.keys {
            return;
        }
        self.keys = keys;
        self.generation += 1;
        let former = |key: &&String| !self.keys.contains(key);
        let surplus = self.positions.keys().filter(former).count();
        for _ in FORMER_MAX..surplus {
            let entries = self.positions.iter();
            let oldest = entries
                .filter(|(key, _)| !self.keys.contains(key))
                .min_by_key(|(_, position)| position.time)
                .map(|(key, _)| key.clone());
            if let Some(key) = oldest {
                self.positions.remove(&key);
            }
        }
    }

    /// Whether a copy is new.
    fn is_new(&self, copy: &Copy, identity: &[u8]) -> bool {
        self.position(copy.source).is_none_or(|position| {
            copy.origin_seq > position.seq
                || (!identity.is_empty() && identity != &*position.identity)
        })
    }

    fn advance(&mut self, copy: &Copy, identity: &[u8]) {
        if let Some(key) = self.key(copy.source).map(str::to_owned) {
            let position = self.positions.entry(key).or_default();
            position.seq = copy.origin_seq;
            position.time = copy.origin_time;
            if identity != &*position.identity {
                position.identity = Bytes::copy_from_slice(identity);
            }
        }
    }

    /// The positions for a snapshot.
    pub(super) fn to_pb(&self) -> Vec<pb::Origin> {
        let to_pb = |(key, position): (&String, &Position)| pb::Origin {
            key: key.clone(),
            seq: position.seq.0,
            time: position.time.unix_nanos(),
            identity: position.identity.clone(),
        };
        self.positions.iter().map(to_pb).collect()
    }

    /// The inverse of [`Origins::to_pb`].
    pub(super) fn from_pb(
        config: &Config,
        generation: u64,
        origins: Vec<pb::Origin>,
    ) -> Result<Self, DecodeError> {
        let mut restored = Origins::new(config);
        restored.generation = generation;
        for origin in origins {
            let position = Position {
                seq: Seq(origin.seq),
                time: Timestamp::from_unix_nanos(origin.time),
                identity: Bytes::copy_from_slice(&origin.identity),
            };
            if restored.positions.insert(origin.key, position).is_some() {
                return Err(DecodeError("an origin occurs twice".to_owned()));
            }
        }
        Ok(restored)
    }
}

/// What tells the origins of a configuration apart, in their order; the same wherever in it
/// one stands.
pub fn keys(config: &Config) -> Vec<String> {
    match &config.mirror {
        Some(mirror) => vec![key("mirror", mirror)],
        None => config.sources.iter().map(|s| key("source", s)).collect(),
    }
}

/// What makes a source the same source: where it is and what it takes of it.
fn key(kind: &str, source: &StreamSource) -> String {
    let api = source
        .external
        .as_ref()
        .map_or("", |external| &external.api);
    let mut key = format!("{kind} {} {api} {}", source.name, source.filter_subject);
    for transform in &source.subject_transforms {
        key.push('\x0c');
        key.push_str(&transform.src);
        key.push(' ');
        key.push_str(&transform.dest);
    }
    key
}

impl Machine {
    /// Stores a copy, if it is new.
    pub(super) fn copy(&mut self, now: Timestamp, copy: Copy) -> Result<Answer, Error> {
        let is_mirror = self.config.mirror.is_some();
        let fields = Fields::read(&copy.headers);
        let identity = match is_mirror {
            true => &b""[..],
            false => fields
                .stream_source
                .split(|b| *b == b' ')
                .nth(5)
                .unwrap_or(b""),
        };
        let last = self.store.state().last_seq;
        let is_of_now = |generation| generation == self.origins.generation;
        let taken = self.origins.position(copy.source);
        let taken = taken.map_or(Seq::NONE, |position| position.seq);
        if self.origins.key(copy.source).is_none()
            || !copy.generation.is_none_or(is_of_now)
            || copy.after.is_some_and(|before| before > taken)
            || !self.origins.is_new(&copy, identity)
            || (is_mirror && (copy.origin_seq <= last || copy.origin_seq > SEQ_MAX))
        {
            return Ok(Answer::Nothing);
        }
        let size = match self.check_sizes(&copy.subject, &copy.headers, &copy.payload) {
            Ok(size) => size,
            Err(error) => return Ok(Answer::Refused(error)),
        };
        // What the origin took is not refused for a rollup that this stream has no use for.
        let rollup = self.check_rollup(&fields).unwrap_or(Rollup::Unset);
        let msg_id = match is_mirror {
            true => &b""[..],
            false => fields.msg_id,
        };
        if !msg_id.is_empty()
            && let Some(seq) = self.dedup.find(now, msg_id)
        {
            self.origins.advance(&copy, identity);
            return Ok(Answer::Duplicate(seq));
        }
        if let Err(full) = self.check_room(&copy.subject, size, rollup)? {
            return Ok(Answer::Refused(PublishError::Full(full)));
        }
        let ttl = match self.config.allow_msg_ttl {
            true => Ttl::parse(fields.ttl).unwrap_or(Ttl::Unset),
            false => Ttl::Unset,
        };
        let (headers, ttl) = self.raised_ttl(&copy.headers, ttl);
        self.origins.advance(&copy, identity);
        let (seq, time) = match is_mirror {
            true => (copy.origin_seq, copy.origin_time),
            false => (last.next(), now),
        };
        self.store_message(Accepted {
            seq,
            time,
            subject: &copy.subject,
            headers,
            payload: &copy.payload,
            within: &copy.payload,
            ttl,
            rollup,
            msg_id,
        })
    }
}

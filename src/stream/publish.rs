//! Publishing: what a message must satisfy, and how it is stored.
//!
//! Separate because the order of the checks is a contract (jetstream spec §3.3, the order
//! of a replicated stream for all, so that a retry with a message id is a duplicate and not
//! a wrong sequence).
//!
//! ```text
//!   sealed → sizes → refused features → expected stream → lifetime → duplicate
//!     → expected id, sequences → rollup → room ──► interest? ──► store ──► rollup, limits
//! ```
//!
//! Invariants: a message that is refused changes nothing but the age of the dedup window;
//! one that is stored gets the next sequence; without headers nothing is allocated.
//! Absent: permissions, `no_ack`, account limits, the subject's transform: the shell's.

use std::borrow::Cow;

use bytes::Bytes;

use super::command::{Publish, kept};
use super::config::Retention;
use super::headers::{self, Fields};
use super::machine::Machine;
use super::outcome::{Answer, Effect, Full, PublishError, Stored};
use super::ttl::Ttl;
use crate::clock::Timestamp;
use crate::protocol::headers as block;
use crate::store::SubjectState;
use crate::store::error::Error;
use crate::store::message::{MessageRef, Seq};
use crate::subject::filters::Filters;

/// What a file stream takes at most for one message.
const RECORD_BYTES_MAX: u64 = 32 << 20;

/// What a message does to those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rollup {
    /// Nothing.
    #[default]
    Unset,
    /// Those on its subject go.
    Subject,
    /// All go.
    All,
}

/// A message that may be stored.
pub(super) struct Accepted<'a> {
    pub(super) seq: Seq,
    pub(super) time: Timestamp,
    pub(super) subject: &'a [u8],
    pub(super) headers: Cow<'a, [u8]>,
    pub(super) payload: &'a [u8],
    /// Parts that lie in here are kept without copying them.
    pub(super) within: &'a Bytes,
    pub(super) ttl: Ttl,
    pub(super) rollup: Rollup,
    pub(super) msg_id: &'a [u8],
}

/// Why a message is not stored.
enum Stop {
    Refused(PublishError),
    Duplicate(Seq),
    Store(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Store(error)
    }
}

impl From<PublishError> for Stop {
    fn from(error: PublishError) -> Self {
        Stop::Refused(error)
    }
}

impl Machine {
    /// Stores a message, or says why not.
    pub(super) fn publish(&mut self, now: Timestamp, message: Publish) -> Result<Answer, Error> {
        let fields = Fields::read(message.headers());
        let (ttl, rollup) = match self.check(now, &message, &fields) {
            Ok(checked) => checked,
            Err(Stop::Refused(error)) => return Ok(Answer::Refused(error)),
            Err(Stop::Duplicate(seq)) => return Ok(Answer::Duplicate(seq)),
            Err(Stop::Store(error)) => return Err(error),
        };
        let (headers, ttl) = self.raised_ttl(message.headers(), ttl);
        self.store_message(Accepted {
            seq: self.store.state().last_seq.next(),
            time: now,
            subject: message.subject(),
            headers,
            payload: message.payload(),
            within: message.bytes(),
            ttl,
            rollup,
            msg_id: fields.msg_id,
        })
    }

    /// The checks of a publish, in the order that clients rely on.
    fn check(
        &mut self,
        now: Timestamp,
        message: &Publish,
        fields: &Fields<'_>,
    ) -> Result<(Ttl, Rollup), Stop> {
        let [subject, headers, payload] = message.parts();
        if !fields.batch_id.is_empty() {
            return Err(PublishError::AtomicDisabled.into());
        }
        let size = self.check_sizes(subject, headers, payload)?;
        let mut checked = (Ttl::Unset, Rollup::Unset);
        if !headers.is_empty() {
            if !fields.incr.is_empty() {
                return Err(PublishError::CountersDisabled.into());
            }
            if !fields.expected_stream.is_empty()
                && fields.expected_stream != self.config.name.as_bytes()
            {
                return Err(PublishError::WrongStream.into());
            }
            let ttl = self.check_ttl(fields)?;
            if !fields.msg_id.is_empty()
                && let Some(seq) = self.dedup.find(now, fields.msg_id)
            {
                return Err(Stop::Duplicate(seq));
            }
            if !fields.expected_last_msg_id.is_empty()
                && fields.expected_last_msg_id != &*self.last_msg_id
            {
                let actual = String::from_utf8_lossy(&self.last_msg_id).into_owned();
                return Err(PublishError::WrongLastMsgId { actual }.into());
            }
            if !fields.stream_source.is_empty() {
                return Err(PublishError::SourceHeader.into());
            }
            self.check_last_seqs(subject, fields)?;
            if !fields.schedule.is_empty() {
                return Err(PublishError::SchedulesDisabled.into());
            }
            checked = (ttl, self.check_rollup(fields)?);
        }
        self.check_room(subject, size, checked.1)??;
        Ok(checked)
    }

    /// What a message counts, if it is not too large for the stream.
    pub(super) fn check_sizes(
        &self,
        subject: &[u8],
        headers: &[u8],
        payload: &[u8],
    ) -> Result<u64, PublishError> {
        if self.config.sealed {
            return Err(PublishError::Sealed);
        }
        if headers.len() + payload.len() > self.rules.max_msg_size {
            return Err(PublishError::TooLarge);
        }
        let size = self
            .store
            .size_of(subject.len(), headers.len(), payload.len());
        if size > RECORD_BYTES_MAX && self.rules.is_file {
            return Err(PublishError::RecordTooLarge);
        }
        if headers.len() > headers::BYTES_MAX {
            return Err(PublishError::HeadersTooLarge);
        }
        Ok(size)
    }

    fn check_ttl(&self, fields: &Fields<'_>) -> Result<Ttl, PublishError> {
        match Ttl::parse(fields.ttl) {
            Ok(Ttl::Unset) => Ok(Ttl::Unset),
            _ if !self.config.allow_msg_ttl => Err(PublishError::TtlDisabled),
            parsed => parsed.map_err(|_| PublishError::TtlInvalid),
        }
    }

    fn check_last_seqs(&mut self, subject: &[u8], fields: &Fields<'_>) -> Result<(), Stop> {
        if !fields.expected_last_seq.is_empty() {
            let actual = self.store.state().last_seq;
            if number(fields.expected_last_seq) != Some(actual.0) {
                return Err(PublishError::WrongLastSeq { actual }.into());
            }
        }
        let filter = fields.expected_last_subject_seq_subject;
        if fields.expected_last_subject_seq.is_empty() {
            return match filter.is_empty() {
                true => Ok(()),
                false => Err(PublishError::MissingSubjectSeq.into()),
            };
        }
        let filters = match filter.is_empty() {
            true => Filters::new([subject]),
            false => Filters::new([filter]),
        };
        let last = match filters.only_literal() {
            Some(literal) => self.store.subject(literal)?.map(|state| state.last),
            None => self.store.last(Seq::MAX, &filters)?,
        };
        let actual = last.unwrap_or(Seq::NONE);
        match number(fields.expected_last_subject_seq) == Some(actual.0) {
            true => Ok(()),
            false => Err(PublishError::WrongLastSeq { actual }.into()),
        }
    }

    pub(super) fn check_rollup(&self, fields: &Fields<'_>) -> Result<Rollup, PublishError> {
        if fields.rollup.is_empty() {
            return Ok(Rollup::Unset);
        }
        if !self.config.allow_rollup_hdrs || self.config.deny_purge {
            return Err(PublishError::RollupNotPermitted);
        }
        match &*fields.rollup.to_ascii_lowercase() {
            b"sub" => Ok(Rollup::Subject),
            b"all" => Ok(Rollup::All),
            other => Err(PublishError::RollupInvalid {
                value: String::from_utf8_lossy(other).into_owned(),
            }),
        }
    }

    /// Whether a stream that discards new messages has room for one of this size. A message
    /// that takes the place of another on its subject needs no more than that has.
    pub(super) fn check_room(
        &mut self,
        subject: &[u8],
        size: u64,
        rollup: Rollup,
    ) -> Result<Result<(), Full>, Error> {
        if !self.rules.discards_new {
            return Ok(Ok(()));
        }
        let replaced = match self.rules.max_per_subject {
            u64::MAX => None,
            max => self
                .store
                .subject(subject)?
                .filter(|state| state.messages >= max),
        };
        if replaced.is_some() && self.config.discard_new_per_subject && rollup == Rollup::Unset {
            return Ok(Err(Full::MessagesPerSubject));
        }
        let state = self.store.state();
        if state.messages >= self.rules.max_msgs && replaced.is_none() {
            return Ok(Err(Full::Messages));
        }
        if state.bytes.saturating_add(size) > self.rules.max_bytes {
            let room = match replaced {
                Some(SubjectState { first, .. }) => self.size_at(first)?,
                None => 0,
            };
            if room < size {
                return Ok(Err(Full::Bytes));
            }
        }
        Ok(Ok(()))
    }

    /// What the message there counts.
    fn size_at(&mut self, seq: Seq) -> Result<u64, Error> {
        let found = self.peek(seq, |message| {
            let MessageRef {
                subject,
                headers,
                payload,
                ..
            } = message;
            (subject.len(), headers.len(), payload.len())
        })?;
        Ok(found.map_or(0, |(subject, headers, payload)| {
            self.store.size_of(subject, headers, payload)
        }))
    }

    /// A lifetime shorter than that of the marker it would leave is raised to it, in the
    /// header too.
    pub(super) fn raised_ttl<'a>(&self, headers: &'a [u8], ttl: Ttl) -> (Cow<'a, [u8]>, Ttl) {
        match ttl {
            Ttl::Seconds(seconds)
                if seconds < self.rules.marker_ttl && self.rules.max_per_subject != 1 =>
            {
                let raised = self.rules.marker_ttl;
                let mut out = Vec::with_capacity(headers.len() + 8);
                let value = raised.to_string();
                block::with_field(
                    &mut out,
                    Some(headers),
                    headers::TTL.as_bytes(),
                    value.as_bytes(),
                );
                (out.into(), Ttl::Seconds(raised))
            }
            _ => (Cow::Borrowed(headers), ttl),
        }
    }

    /// Stores a message that passed the checks, and does what follows from it: ids,
    /// lifetimes, consumers, rollup, limits.
    pub(super) fn store_message(&mut self, message: Accepted<'_>) -> Result<Answer, Error> {
        let (seq, subject) = (message.seq, message.subject);
        if !message.msg_id.is_empty() {
            self.dedup.insert(self.now, message.msg_id, seq);
            self.last_msg_id = Bytes::copy_from_slice(message.msg_id);
        } else if !self.last_msg_id.is_empty() {
            self.last_msg_id = Bytes::new();
        }
        if self.config.retention == Retention::Interest
            && !self.followers.consumers.has_interest(subject)
        {
            self.store.skip_to(seq, message.time)?;
            return Ok(Answer::Skipped(seq));
        }
        let republishes = self.config.republish.is_some();
        let before = match republishes || self.rules.max_per_subject != u64::MAX {
            true => self.store.subject(subject)?,
            false => None,
        };
        self.store.append(MessageRef {
            seq,
            time: message.time,
            subject,
            headers: &message.headers,
            payload: message.payload,
        })?;
        self.followers
            .lifetimes
            .insert(seq, message.time, message.ttl);
        self.followers.on_stored(seq, subject);
        if republishes {
            self.followers
                .effects
                .push(Effect::Republish(Box::new(Stored {
                    seq,
                    time: message.time,
                    previous: before.map_or(Seq::NONE, |state| state.last),
                    subject: kept(subject, message.within),
                    headers: match message.headers {
                        Cow::Borrowed(headers) => kept(headers, message.within),
                        Cow::Owned(headers) => headers.into(),
                    },
                    payload: kept(message.payload, message.within),
                })));
        }
        match message.rollup {
            Rollup::Unset => self.enforce_subject(subject, before)?,
            Rollup::Subject => self.roll_up_subject(subject, seq)?,
            Rollup::All => self.roll_up_all(seq)?,
        }
        self.enforce_totals()?;
        Ok(Answer::Stored(seq))
    }
}

impl From<Full> for Stop {
    fn from(full: Full) -> Self {
        Stop::Refused(full.into())
    }
}

/// A sequence as a publisher writes it; anything else equals no sequence.
fn number(text: &[u8]) -> Option<u64> {
    let text: Cow<'_, str> = String::from_utf8_lossy(text);
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse().ok(),
        false => None,
    }
}

//! What removes messages without being asked to: limits, interest, work queues, age.
//!
//! Separate from the paths that store and consume because each of these rules can hold for
//! both. Nothing here looks at more messages than it removes, except where a change of
//! configuration calls for it (and of consumers: that is `sweep`).
//!
//! Invariants: after every command the limits on messages, bytes and messages per subject
//! hold; a message of an interest stream is there as long as a consumer that wants it is
//! not done with it; a tick removes no more than [`TICK_MAX`] messages and says so if more
//! are due. Absent: the consumers' own bookkeeping.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use super::config::{Config, Retention};
use super::headers;
use super::machine::{Machine, Rules};
use super::outcome::{Answer, Cause};
use super::publish::{Accepted, Rollup};
use super::sweep::Unwanted;
use super::ttl::{Ttl, go_seconds};
use crate::clock::Timestamp;
use crate::consumer::config::AckPolicy;
use crate::protocol::headers as block;
use crate::store::SubjectState;
use crate::store::error::Error;
use crate::store::message::{MessageRef, Seq};
use crate::subject::filters::Filters;

/// What one tick removes at most, of each kind, so that others get their turn.
pub const TICK_MAX: u64 = 10_000;
/// Ticks are no closer together than this, in nanoseconds.
pub const TICK_INTERVAL: i64 = 250_000_000;

impl Machine {
    /// Looks at one message without copying it.
    pub(super) fn peek<R>(
        &mut self,
        seq: Seq,
        look: impl FnOnce(MessageRef<'_>) -> R,
    ) -> Result<Option<R>, Error> {
        let mut look = Some(look);
        let mut found = None;
        self.store.scan(seq, &Filters::all(), &mut |message| {
            if message.seq == seq
                && let Some(look) = look.take()
            {
                found = Some(look(message));
            }
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Removes one message, if it is there.
    pub(super) fn remove(&mut self, seq: Seq, erase: bool, cause: Cause) -> Result<bool, Error> {
        let Some(removed) = self.store.remove(seq, erase)? else {
            return Ok(false);
        };
        self.followers.on_removed(seq, &removed.subject, cause);
        Ok(true)
    }

    /// Removes one message of that subject, if it is there.
    fn remove_of(&mut self, subject: &[u8], seq: Seq, cause: Cause) -> Result<(), Error> {
        if self.store.remove_of(subject, seq)? {
            self.followers.on_removed(seq, subject, cause);
        }
        Ok(())
    }

    /// Removes everything below `first`.
    pub(super) fn remove_below(&mut self, first: Seq, cause: Cause) -> Result<u64, Error> {
        if first <= self.store.state().first_seq {
            return Ok(0);
        }
        let followers = &mut self.followers;
        self.store.truncate_front(first, &mut |seq, subject| {
            followers.on_removed(seq, subject, cause);
        })
    }

    /// Makes the limit per subject hold on a subject that has just got one more message.
    pub(super) fn enforce_subject(
        &mut self,
        subject: &[u8],
        before: Option<SubjectState>,
    ) -> Result<(), Error> {
        let max = self.rules.max_per_subject;
        match before {
            Some(before) if before.messages >= max => {
                self.remove_of(subject, before.first, Cause::Limits)?;
                match before.messages > max {
                    true => self.trim_subject(subject),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn trim_subject(&mut self, subject: &[u8]) -> Result<(), Error> {
        while let Some(state) = self.store.subject(subject)?
            && state.messages > self.rules.max_per_subject
        {
            self.remove_of(subject, state.first, Cause::Limits)?;
        }
        Ok(())
    }

    /// Makes the limits on the whole stream hold.
    #[inline]
    pub(super) fn enforce_totals(&mut self) -> Result<(), Error> {
        loop {
            let state = self.store.state();
            if state.messages == 0
                || (state.messages <= self.rules.max_msgs && state.bytes <= self.rules.max_bytes)
            {
                return Ok(());
            }
            self.remove(state.first_seq, false, Cause::Limits)?;
        }
    }

    /// Takes a new configuration over and makes it hold.
    pub(super) fn configure(&mut self, now: Timestamp, config: Config) -> Result<Answer, Error> {
        let before = std::mem::replace(&mut self.config, Arc::new(config));
        let per_subject = self.rules.max_per_subject;
        self.rules = Rules::of(&self.config);
        self.dedup.set_window(now, self.config.duplicate_window);
        self.origins.configure(&self.config);
        if self.rules.max_per_subject < per_subject {
            self.trim_all_subjects()?;
        }
        self.enforce_totals()?;
        if before.retention != self.config.retention {
            self.drop_unneeded(&Filters::all(), Unwanted::Stay)?;
        }
        Ok(Answer::Configured)
    }

    fn trim_all_subjects(&mut self) -> Result<(), Error> {
        let max = self.rules.max_per_subject;
        let mut over: Vec<Bytes> = Vec::new();
        self.store
            .subjects(&Filters::all(), &mut |subject, state| {
                if state.messages > max {
                    over.push(Bytes::copy_from_slice(subject));
                }
                ControlFlow::Continue(())
            })?;
        over.iter()
            .try_for_each(|subject| self.trim_subject(subject))
    }

    /// A consumer needs these messages no more.
    pub(super) fn release(&mut self, consumer: &str, released: &[Seq]) -> Result<(), Error> {
        if released.is_empty() {
            return Ok(());
        }
        let consumers = &self.followers.consumers;
        // A mirror or source that does not say what it has taken takes nothing away.
        let only_reads = |name| {
            let member = consumers.get(name);
            member.is_some_and(|member| {
                let config = member.consumer.config();
                config.direct && config.ack_policy == AckPolicy::None
            })
        };
        // Each message of a work queue is one consumer's, unless mirrors or sources read it.
        let only_one = match self.config.retention {
            Retention::WorkQueue => !consumers.has_direct(),
            Retention::Interest => consumers.len() == 1,
            Retention::Limits => return Ok(()),
        };
        let keeps = self.config.retention == Retention::WorkQueue && only_reads(consumer);
        for seq in released {
            if only_one || self.is_unneeded(*seq, consumer, keeps)? {
                self.remove(*seq, false, Cause::Consumed)?;
            }
        }
        Ok(())
    }

    /// Whether no one but `consumer` needs the message; with `needs_another` someone else
    /// must have wanted it.
    fn is_unneeded(
        &mut self,
        seq: Seq,
        consumer: &str,
        needs_another: bool,
    ) -> Result<bool, Error> {
        let mut unneeded = false;
        let consumers = &self.followers.consumers;
        self.store.scan(seq, &Filters::all(), &mut |message| {
            unneeded = message.seq == seq
                && consumers.all_done(seq, message.subject, Some(consumer))
                && (!needs_another || consumers.is_taken_besides(message.subject, consumer));
            ControlFlow::Break(())
        })?;
        Ok(unneeded)
    }

    /// Does what is due by `now`.
    pub(super) fn tick(&mut self, now: Timestamp) -> Result<(), Error> {
        self.dedup.expire(now);
        self.timing.ticked = now;
        self.timing.more = false;
        self.go_on_sweeping()?;
        self.expire_by_age(now)?;
        self.expire_by_lifetime(now)
    }

    fn expire_by_age(&mut self, now: Timestamp) -> Result<(), Error> {
        let state = self.store.state();
        let horizon = now.unix_nanos().saturating_sub(self.rules.max_age);
        if self.rules.max_age == 0 || state.messages == 0 || state.first_time.unix_nanos() > horizon
        {
            return Ok(());
        }
        let young = Timestamp::from_unix_nanos(horizon.saturating_add(1));
        let young = self.store.first_since(young)?;
        let end = young.unwrap_or(state.last_seq.next());
        let first = state.first_seq.max(self.timing.aged_to);
        let until = end.min(Seq(first.0.saturating_add(TICK_MAX)));
        self.timing.more |= until < end;
        if self.rules.marker_ttl == 0 && !self.followers.lifetimes.has_never_below(until) {
            self.remove_below(until, Cause::Limits)?;
        } else {
            let mut from = first;
            while let Some(seq) = self.store.next(from, &Filters::all())?
                && seq < until
            {
                from = seq.next();
                if !self.followers.lifetimes.is_never(seq) {
                    self.expire(now, seq)?;
                }
            }
        }
        // What is left before `until` never ages.
        self.timing.aged_to = until;
        let young = self.peek(until, |message| message.time)?;
        self.timing.oldest = match until < end {
            true => Timestamp::from_unix_nanos(horizon),
            false => young.unwrap_or(now),
        };
        Ok(())
    }

    fn expire_by_lifetime(&mut self, now: Timestamp) -> Result<(), Error> {
        for _ in 0..TICK_MAX {
            let Some(seq) = self.followers.lifetimes.due(now) else {
                return Ok(());
            };
            self.expire(now, seq)?;
            // It is gone from the index even if the store did not have it.
            self.followers.lifetimes.remove(seq);
        }
        self.timing.more |= self.followers.lifetimes.due(now).is_some();
        Ok(())
    }

    /// Ends a message whose time has come; the last of its subject leaves a marker.
    fn expire(&mut self, now: Timestamp, seq: Seq) -> Result<(), Error> {
        if self.rules.marker_ttl == 0 {
            self.remove(seq, false, Cause::Limits)?;
            return Ok(());
        }
        let subject = self.peek(seq, |message| match leaves_marker(message.headers) {
            true => Some(Bytes::copy_from_slice(message.subject)),
            false => None,
        })?;
        self.remove(seq, false, Cause::Limits)?;
        match subject.flatten() {
            Some(subject) if self.store.subject(&subject)?.is_none() => {
                self.store_marker(now, &subject)
            }
            _ => Ok(()),
        }
    }

    fn store_marker(&mut self, now: Timestamp, subject: &Bytes) -> Result<(), Error> {
        let ttl = go_seconds(self.rules.marker_ttl);
        let headers = format!(
            "NATS/1.0\r\n{}: MaxAge\r\n{}: {ttl}\r\n{}: sub\r\n\r\n",
            headers::MARKER_REASON,
            headers::TTL,
            headers::ROLLUP
        );
        self.store_message(Accepted {
            seq: self.store.state().last_seq.next(),
            time: now,
            subject,
            headers: headers.into_bytes().into(),
            payload: b"",
            within: subject,
            ttl: Ttl::Seconds(self.rules.marker_ttl),
            rollup: Rollup::Unset,
            msg_id: b"",
        })
        .map(|_| ())
    }

    /// When the next tick is wanted.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        if self.timing.more || !self.sweeps.is_empty() {
            return Some(self.now);
        }
        let nearest = [
            self.age_deadline(),
            self.followers.lifetimes.deadline(),
            self.dedup.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()?;
        let floor = self
            .timing
            .ticked
            .unix_nanos()
            .saturating_add(TICK_INTERVAL);
        Some(nearest.max(Timestamp::from_unix_nanos(floor)))
    }

    fn age_deadline(&self) -> Option<Timestamp> {
        let state = self.store.state();
        if self.rules.max_age == 0 || state.messages == 0 {
            return None;
        }
        let oldest = match self.timing.aged_to {
            to if to <= state.first_seq => state.first_time,
            to if to <= state.last_seq => self.timing.oldest,
            _ => return None,
        };
        Some(Timestamp::from_unix_nanos(
            oldest.unix_nanos().saturating_add(self.rules.max_age),
        ))
    }
}

/// Whether the last message of a subject leaves a marker when its time comes: not if it is
/// one, or says itself that the key has gone.
fn leaves_marker(headers: &[u8]) -> bool {
    let field = |name: &str| block::find(headers, name.as_bytes());
    headers.is_empty()
        || (field(headers::MARKER_REASON).is_none()
            && field(headers::KV_OPERATION) != Some(b"PURGE"))
}

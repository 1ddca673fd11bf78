//! The replicated half of a consumer.
//!
//! Separate from the dispatcher because every replica must agree on it: it takes commands
//! out of the stream's log and knows no client. `num_pending` is counted once, at creation,
//! and kept exact by what the stream tells: [`Consumer::on_stored`], [`Consumer::on_removed`].
//!
//! Invariants: `num_pending` is the number of stored, matching messages ahead of the
//! cursor; a delivery takes place only of the next matching message or of a pending one,
//! never beyond `max_deliver` or `max_ack_pending`; nothing changes but by these methods.

use super::command::Command;
use super::config::{AckPolicy, Config};
use super::cursor::{self, Cursor};
use super::metadata;
use super::outcome::{Delivery, Kind, Outcome};
use super::state::{State, Wait};
use super::validate::normalise::required_level;
use crate::clock::Timestamp;
use crate::state_machine::DecodeError;
use crate::store::MsgStore;
use crate::store::error::Error;
use crate::store::message::Seq;
use crate::subject::filters::Filters;

/// One consumer as every replica of its stream has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    pub(super) config: Config,
    pub(super) created: Timestamp,
    pub(super) cursor: Cursor,
    pub(super) num_pending: u64,
    pub(super) state: State,
    /// Derived from the configuration.
    filters: Filters,
    /// Derived from the configuration.
    paused_until: Option<Timestamp>,
}

impl Consumer {
    /// Starts a consumer where its deliver policy says, with a validated configuration.
    ///
    /// # Errors
    /// Those of the store.
    pub fn create(
        now: Timestamp,
        config: Config,
        store: &mut dyn MsgStore,
    ) -> Result<Consumer, Error> {
        let filters = config.filters();
        let cursor = Cursor::start(&config, &filters, store)?;
        let num_pending = cursor.count(&filters, store)?;
        let state = State::starting_after(cursor.lowest().prev());
        Ok(Consumer::from_parts(
            config,
            now,
            cursor,
            num_pending,
            state,
        ))
    }

    pub(super) fn from_parts(
        config: Config,
        created: Timestamp,
        cursor: Cursor,
        num_pending: u64,
        state: State,
    ) -> Consumer {
        Consumer {
            filters: config.filters(),
            paused_until: config.pause_until.as_deref().and_then(cursor::time),
            config,
            created,
            cursor,
            num_pending,
            state,
        }
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// When it was created.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// Deliveries, floors, pending.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where it stands.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Its compiled filters.
    pub fn filters(&self) -> &Filters {
        &self.filters
    }

    /// Matching messages that were never delivered.
    pub fn num_pending(&self) -> u64 {
        self.num_pending
    }

    /// Messages delivered and not acknowledged.
    pub fn num_ack_pending(&self) -> u64 {
        self.state.pending().len() as u64
    }

    /// Messages delivered again and not acknowledged.
    pub fn num_redelivered(&self) -> u64 {
        match self.config.max_deliver {
            1 => 0,
            _ => self.state.redelivered(),
        }
    }

    /// Until when no deliveries take place.
    pub fn paused_until(&self) -> Option<Timestamp> {
        self.paused_until
    }

    /// Whether it is paused at that time.
    pub fn is_paused(&self, now: Timestamp) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    /// How often a message may be delivered; none: without limit.
    pub fn deliveries_max(&self) -> Option<u64> {
        positive(self.config.max_deliver)
    }

    /// How many messages may be pending; none: without limit.
    pub fn pending_max(&self) -> Option<u64> {
        match self.config.ack_policy {
            AckPolicy::None => None,
            _ => positive(self.config.max_ack_pending),
        }
    }

    /// Takes a validated new configuration over. A pause stays as it is; with another
    /// deliver subject everything pending is to come again.
    ///
    /// # Errors
    /// Those of the store.
    pub fn update(
        &mut self,
        _now: Timestamp,
        mut config: Config,
        store: &mut dyn MsgStore,
    ) -> Result<(), Error> {
        config.pause_until = self.config.pause_until.take();
        if config.deliver_subject != self.config.deliver_subject {
            self.state.expire_all();
        }
        let filters = config.filters();
        if filters != self.filters {
            self.filters = filters;
            self.num_pending = self.cursor.count(&self.filters, store)?;
        }
        self.config = config;
        Ok(())
    }

    /// Applies one command.
    ///
    /// # Errors
    /// Those of the store.
    pub fn apply(
        &mut self,
        now: Timestamp,
        command: Command,
        store: &mut dyn MsgStore,
    ) -> Result<Outcome, Error> {
        match command {
            Command::Deliver(seqs) => self.deliver(now, &seqs, store),
            Command::Ack(seqs) => {
                let mut outcome = Outcome::nothing(Kind::default());
                for seq in &seqs {
                    self.ack(now, *seq, &mut outcome);
                }
                outcome.kind = Kind::Ack(seqs);
                Ok(outcome)
            }
            Command::Terminate { seq, reason } => {
                let mut outcome = Outcome::nothing(Kind::Terminate(reason));
                self.ack(now, seq, &mut outcome);
                Ok(outcome)
            }
            Command::Nak { seq, not_before } => {
                let wait = not_before.map_or(Wait::Over, Wait::Until);
                Ok(self.wait(Kind::Nak, seq, wait))
            }
            Command::Progress(seq) => Ok(self.wait(Kind::Progress, seq, Wait::Since(now))),
            Command::Exhausted(seq) => Ok(self.exhaust(seq)),
            Command::Pause(until) => Ok(self.pause(until)),
            Command::Reset(seq) => self.reset(seq, store),
        }
    }

    /// A message was stored.
    pub fn on_stored(&mut self, seq: Seq, subject: &[u8]) {
        if seq >= self.cursor.next() && self.wants(subject) {
            self.num_pending += 1;
        }
    }

    /// A message has gone from the stream, for whatever reason; it was there before.
    /// Its last delivery, if it was pending here: delivered and not acknowledged. It counts
    /// as settled.
    pub fn on_removed(&mut self, seq: Seq, subject: &[u8]) -> Option<Delivery> {
        if seq >= self.cursor.next() {
            if self.wants(subject) {
                self.num_pending = self.num_pending.saturating_sub(1);
            }
            return None;
        }
        if self.cursor.drop_listed(seq) {
            self.num_pending = self.num_pending.saturating_sub(1);
            return None;
        }
        self.state.forget_exhausted(seq);
        self.state.settle(None, seq)
    }

    /// Whether its filters match the subject.
    pub fn wants(&self, subject: &[u8]) -> bool {
        self.filters.matches(subject)
    }

    /// Whether it needs the message no more: acknowledged, terminated, delivered without
    /// need of an ack, or not matching. The stream may drop a message with which all are
    /// done. A message given up after its last delivery is still needed.
    pub fn is_done_with(&self, seq: Seq, subject: &[u8]) -> bool {
        if !self.wants(subject) {
            return true;
        }
        !self.cursor.is_ahead(seq)
            && !self.state.pending().contains_key(&seq)
            && !self.state.exhausted().contains(&seq)
    }

    /// Appends its state as bytes for a snapshot; the same on every replica.
    pub fn encode(&self, out: &mut Vec<u8>) {
        super::codec::encode_consumer(self, out);
    }

    /// The inverse of [`Consumer::encode`].
    ///
    /// # Errors
    /// When the bytes are not such a state.
    pub fn decode(bytes: &[u8]) -> Result<Consumer, DecodeError> {
        super::codec::decode_consumer(bytes)
    }

    fn deliver(
        &mut self,
        now: Timestamp,
        seqs: &[Seq],
        store: &mut dyn MsgStore,
    ) -> Result<Outcome, Error> {
        let track = self.config.ack_policy != AckPolicy::None;
        let mut outcome = Outcome::nothing(Kind::Deliver);
        outcome.deliveries.reserve(seqs.len());
        let mut next = None; // what the cursor shows, once asked
        for &seq in seqs {
            if !self.cursor.is_ahead(seq) {
                let again = self.state.redeliver(now, seq, self.deliveries_max());
                outcome.deliveries.extend(again.map(|delivery| Delivery {
                    pending: self.num_pending,
                    ..delivery
                }));
                continue;
            }
            if next.is_none() {
                next = self.cursor.peek(&self.filters, store)?;
            }
            // Another one than the next: it has gone, or the leader knew other filters.
            if next != Some(seq) || self.is_full() {
                continue;
            }
            next = None;
            self.cursor.step(seq);
            self.num_pending = self.num_pending.saturating_sub(1);
            let mut delivery = self.state.deliver(now, seq, track);
            delivery.pending = self.num_pending;
            outcome.deliveries.push(delivery);
            if self.cursor.list().is_empty() {
                self.state.skip_to(self.cursor.next().prev());
            }
            if !track {
                outcome.released.push(seq);
            }
        }
        outcome.changed = !outcome.deliveries.is_empty();
        Ok(outcome)
    }

    fn is_full(&self) -> bool {
        self.pending_max()
            .is_some_and(|max| self.num_ack_pending() >= max)
    }

    fn ack(&mut self, now: Timestamp, seq: Seq, outcome: &mut Outcome) {
        match self.config.ack_policy {
            AckPolicy::None => {}
            AckPolicy::Explicit => {
                if let Some(delivery) = self.state.settle(Some(now), seq) {
                    outcome.settled.push(delivery);
                    outcome.released.push(seq);
                }
            }
            AckPolicy::All | AckPolicy::FlowControl => {
                if seq > self.state.ack_floor().stream && seq <= self.state.delivered().stream {
                    let pending = self.state.pending().get(&seq);
                    let delivery = pending.map(|pending| pending.delivery(seq));
                    outcome.settled.extend(delivery);
                    let released = &mut outcome.released;
                    self.state.settle_up_to(now, seq, |seq| released.push(seq));
                    outcome.changed = true;
                }
            }
        }
        // Late, but better than never: it was given up, and is done after all.
        if self.state.forget_exhausted(seq) {
            outcome.released.push(seq);
        }
        outcome.changed |= !outcome.released.is_empty();
    }

    fn wait(&mut self, kind: Kind, seq: Seq, wait: Wait) -> Outcome {
        let settled = self.state.wait(seq, wait);
        Outcome {
            changed: settled.is_some(),
            settled: settled.into_iter().collect(),
            ..Outcome::nothing(kind)
        }
    }

    fn exhaust(&mut self, seq: Seq) -> Outcome {
        let mut outcome = Outcome::nothing(Kind::Exhausted);
        let spent = match (self.state.pending().get(&seq), self.deliveries_max()) {
            (Some(pending), Some(max)) => pending.count >= max,
            _ => false,
        };
        if spent {
            outcome.settled.extend(self.state.exhaust(seq));
            outcome.changed = true;
        }
        outcome
    }

    fn pause(&mut self, until: Option<Timestamp>) -> Outcome {
        self.config.pause_until = until.map(Timestamp::to_rfc3339);
        let level = required_level(&self.config);
        metadata::set_required_level(&mut self.config.metadata, level);
        let changed = self.paused_until != until;
        self.paused_until = until;
        Outcome {
            changed,
            ..Outcome::nothing(Kind::Pause)
        }
    }

    /// What it needs no more afterwards is not told one by one: the stream asks
    /// [`Consumer::is_done_with`], as when a consumer is deleted.
    fn reset(&mut self, seq: Option<Seq>, store: &mut dyn MsgStore) -> Result<Outcome, Error> {
        let next = seq.unwrap_or_else(|| self.state.ack_floor().stream.next());
        self.cursor = Cursor::at(next);
        self.num_pending = self.cursor.count(&self.filters, store)?;
        self.state = State::starting_after(self.cursor.next().prev());
        Ok(Outcome {
            changed: true,
            ..Outcome::nothing(Kind::Reset)
        })
    }
}

fn positive(limit: i64) -> Option<u64> {
    u64::try_from(limit).ok().filter(|limit| *limit > 0)
}

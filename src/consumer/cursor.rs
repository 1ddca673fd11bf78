//! Where a consumer stands: deliver policy and filters decide the next sequence.
//!
//! Separate because "what comes next" has two answers: usually the next matching message
//! from a sequence on, and for `last_per_subject` first a list made at creation.
//!
//! Invariants: what is ahead of the cursor is exactly what is still to be delivered for
//! the first time; the list ascends, and all of it lies below `next`.

use std::collections::VecDeque;

use super::config::{Config, DeliverPolicy};
use crate::clock::Timestamp;
use crate::store::error::Error;
use crate::store::message::Seq;
use crate::store::{LastError, MsgStore};
use crate::subject::filters::Filters;

/// The place from which new messages come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    list: VecDeque<Seq>,
    next: Seq,
}

impl Cursor {
    /// Where the deliver policy says.
    ///
    /// # Errors
    /// Those of the store.
    pub fn start(
        config: &Config,
        filters: &Filters,
        store: &mut dyn MsgStore,
    ) -> Result<Cursor, Error> {
        let state = store.state();
        let behind = state.last_seq.next();
        let first = state.first_seq.max(Seq(1));
        let next = match config.deliver_policy {
            DeliverPolicy::All => first,
            DeliverPolicy::Last => store.last(Seq::MAX, filters)?.unwrap_or(first),
            DeliverPolicy::New => behind,
            DeliverPolicy::ByStartSequence => first.max(Seq(config.opt_start_seq)),
            DeliverPolicy::ByStartTime => match config.opt_start_time.as_deref().and_then(time) {
                Some(time) => store.first_since(time)?.unwrap_or(behind),
                None => first,
            },
            DeliverPolicy::LastPerSubject => {
                let list = last_per_subject(filters, store)?;
                return Ok(Cursor { list, next: behind });
            }
        };
        Ok(Cursor::at(next))
    }

    /// At a sequence.
    pub fn at(next: Seq) -> Cursor {
        Cursor {
            list: VecDeque::new(),
            next: next.max(Seq(1)),
        }
    }

    /// From its parts, as a snapshot has them.
    pub fn from_parts(list: Vec<Seq>, next: Seq) -> Cursor {
        Cursor {
            list: list.into(),
            next,
        }
    }

    /// The rest of the list; empty unless the policy is `last_per_subject`.
    pub fn list(&self) -> &VecDeque<Seq> {
        &self.list
    }

    /// From where it goes on behind the list.
    pub fn next(&self) -> Seq {
        self.next
    }

    /// The lowest sequence that may still come.
    pub fn lowest(&self) -> Seq {
        self.list.front().copied().unwrap_or(self.next)
    }

    /// Whether a sequence is still to come, if it matches.
    pub fn is_ahead(&self, seq: Seq) -> bool {
        seq >= self.next || self.list.binary_search(&seq).is_ok()
    }

    /// The next matching message at or after `from`, seen from here; `from` below the
    /// cursor means from the cursor.
    ///
    /// # Errors
    /// Those of the store.
    pub fn peek(&self, filters: &Filters, store: &mut dyn MsgStore) -> Result<Option<Seq>, Error> {
        if let Some(&listed) = self.list.front() {
            return Ok(Some(listed));
        }
        let state = store.state();
        let from = self.next.max(state.first_seq);
        // What cannot be read is passed over by who reads, so by the cursor too.
        if filters.is_all() && state.deleted() == 0 && store.damage().lost == 0 {
            return Ok((from <= state.last_seq).then_some(from));
        }
        store.next(from, filters)
    }

    /// Steps over a message that [`Cursor::peek`] gave.
    pub fn step(&mut self, seq: Seq) {
        match self.list.front() {
            Some(&listed) => {
                debug_assert_eq!(listed, seq, "the list is delivered in order");
                self.list.pop_front();
            }
            None => self.next = seq.next(),
        }
    }

    /// Drops a message that has gone from the list; true if it was in it.
    pub fn drop_listed(&mut self, seq: Seq) -> bool {
        match self.list.binary_search(&seq) {
            Ok(at) => self.list.remove(at).is_some(),
            Err(_) => false,
        }
    }

    /// How many matching messages are ahead: exact, and not cheap.
    ///
    /// # Errors
    /// Those of the store.
    pub fn count(&self, filters: &Filters, store: &mut dyn MsgStore) -> Result<u64, Error> {
        Ok(self.list.len() as u64 + store.count(self.next, filters)?)
    }
}

/// A configured time.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let stamp: jiff::Timestamp = text.parse().ok()?;
    let nanos = i64::try_from(stamp.as_nanosecond()).ok()?;
    Some(Timestamp::from_unix_nanos(nanos))
}

fn last_per_subject(filters: &Filters, store: &mut dyn MsgStore) -> Result<VecDeque<Seq>, Error> {
    match store.last_per_subject(filters, Seq::MAX, usize::MAX) {
        Ok(list) => Ok(list.into()),
        Err(LastError::Store(error)) => Err(error),
        Err(LastError::TooMany) => Ok(VecDeque::new()), // no list is longer than usize::MAX
    }
}

//! The figures of a store and which sequences are gone.
//!
//! Separate because every store keeps the same books, and the rules about first and last
//! sequence stand here once.
//!
//! Invariants: those of [`State`]; `deleted` holds exactly the sequences between first and
//! last that are not there. Absent: messages; the owner tells what they were.

use super::State;
use super::message::Seq;
use crate::clock::Timestamp;
use crate::sequence_set::SequenceSet;

/// The figures of a store and which sequences are gone.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The figures, but for `subjects`, which the owner fills in.
    pub state: State,
    /// The sequences between first and last that are gone.
    pub deleted: SequenceSet,
}

impl Default for Ledger {
    fn default() -> Self {
        let state = State {
            first_seq: Seq(1),
            ..State::default()
        };
        Ledger {
            state,
            deleted: SequenceSet::new(),
        }
    }
}

impl Ledger {
    /// Counts a message in.
    pub fn append(&mut self, seq: Seq, time: Timestamp, size: u64) {
        assert!(seq > self.state.last_seq, "sequences only grow");
        let state = &mut self.state;
        if state.messages == 0 {
            state.first_seq = seq;
            state.first_time = time;
        } else {
            let gap = state.last_seq.next();
            self.deleted.insert_range(gap.0..seq.0);
        }
        state.messages += 1;
        state.bytes += size;
        (state.last_seq, state.last_time) = (seq, time);
    }

    /// Gives sequences out with nothing behind them.
    pub fn skip_to(&mut self, last: Seq, time: Timestamp) {
        assert!(last > self.state.last_seq, "sequences only grow");
        let state = &mut self.state;
        if state.messages == 0 {
            state.first_seq = last.next();
        } else {
            let gap = state.last_seq.next();
            self.deleted.insert_range(gap.0..last.next().0);
        }
        (state.last_seq, state.last_time) = (last, time);
    }

    /// Counts a message out; whether it was the first, so that `first_time` is to be told.
    pub fn remove(&mut self, seq: Seq, size: u64) -> bool {
        self.state.messages -= 1;
        self.state.bytes -= size;
        self.deleted.insert(seq.0);
        let was_first = seq == self.state.first_seq;
        if was_first {
            self.advance(seq.next());
        }
        was_first
    }

    /// Counts everything below `first` out: so many messages of so many bytes.
    pub fn truncate_front(&mut self, first: Seq, messages: u64, bytes: u64) {
        let state = &mut self.state;
        state.messages -= messages;
        state.bytes -= bytes;
        state.last_seq = state.last_seq.max(first.prev());
        self.advance(first);
    }

    /// Makes the first message at or after `from` the first.
    fn advance(&mut self, from: Seq) {
        if self.state.messages == 0 {
            self.state.first_seq = self.state.last_seq.next();
            self.state.first_time = Timestamp::default();
            self.deleted.clear();
        } else {
            let first = self.deleted.next_absent(from.0);
            self.state.first_seq = Seq(first);
            self.deleted.remove_below(first);
        }
    }

    /// Whether the message is there.
    pub fn contains(&self, seq: Seq) -> bool {
        seq >= self.state.first_seq && seq <= self.state.last_seq && !self.deleted.contains(seq.0)
    }

    /// The first message at or after `from`.
    pub fn next(&self, from: Seq) -> Option<Seq> {
        let from = from.max(self.state.first_seq);
        let seq = Seq(self.deleted.next_absent(from.0));
        (seq <= self.state.last_seq).then_some(seq)
    }

    /// The last message at or before `up_to`.
    pub fn last(&self, up_to: Seq) -> Option<Seq> {
        let up_to = up_to.min(self.state.last_seq);
        if up_to < self.state.first_seq {
            return None;
        }
        let seq = Seq(self.deleted.prev_absent(up_to.0)?);
        (seq >= self.state.first_seq).then_some(seq)
    }

    /// How many messages there are at or after `from`.
    pub fn count(&self, from: Seq) -> u64 {
        let State {
            first_seq,
            last_seq,
            messages,
            ..
        } = self.state;
        if from <= first_seq {
            return messages;
        }
        if from > last_seq {
            return 0;
        }
        let end = last_seq.next();
        let deleted = self.deleted.len();
        // Count holes on the shorter side.
        if from.0 - first_seq.0 < end.0 - from.0 {
            let before = self.deleted.count_in(first_seq.0..from.0);
            messages - (from.0 - first_seq.0 - before)
        } else {
            let behind = self.deleted.count_in(from.0..end.0);
            debug_assert!(behind <= deleted);
            end.0 - from.0 - behind
        }
    }
}

/// Tells which sequences are there to somebody who asks in ascending order: most answers
/// come from the run that was found last.
///
/// Valid as long as nothing is taken away.
#[derive(Clone, Debug, Default)]
pub struct Live {
    start: u64,
    end: u64,
}

impl Live {
    /// The first message at or after `seq`.
    pub fn next(&mut self, ledger: &Ledger, seq: Seq) -> Option<Seq> {
        if !(self.start..self.end).contains(&seq.0) {
            let start = ledger.next(seq)?;
            let hole = ledger.deleted.runs_from(start.0).next();
            self.start = start.0;
            self.end = hole.map_or(ledger.state.last_seq.next().0, |hole| hole.start);
            return Some(start);
        }
        Some(seq)
    }

    /// Whether the message is there.
    pub fn contains(&mut self, ledger: &Ledger, seq: Seq) -> bool {
        self.next(ledger, seq) == Some(seq)
    }
}

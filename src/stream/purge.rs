//! Removing messages on demand: purge, delete, erase, rollup.
//!
//! Separate from `retention`, which removes by rules. Whether the stream allows it is
//! checked by whoever proposes.
//!
//! Invariants: a purge without conditions leaves `first_seq` = `last_seq` + 1; one below a
//! sequence to come makes that the first, as the peers do; a rollup leaves the message that
//! asked for it. Absent: permissions, the API's limits.

use std::ops::ControlFlow;

use super::machine::{Machine, SEQ_MAX};
use super::outcome::Cause;
use crate::store::error::Error;
use crate::store::message::Seq;
use crate::subject::filters::Filters;

/// How many sequences are collected before they are removed.
const CHUNK: u64 = 4096;

impl Machine {
    /// Removes matching messages below `below`, but not the last `keep` of the matching ones.
    pub(super) fn purge(
        &mut self,
        filter: &[u8],
        below: Option<Seq>,
        keep: u64,
    ) -> Result<u64, Error> {
        let filters = Filters::new([filter]);
        let mut left = match keep {
            0 => u64::MAX,
            _ => self.store.count(Seq(1), &filters)?.saturating_sub(keep),
        };
        let end = self.store.state().last_seq.next();
        if filters.is_all() && left == u64::MAX {
            let first = below.unwrap_or(end).min(SEQ_MAX.max(end));
            return self.remove_below(first, Cause::Purged);
        }
        let below = below.unwrap_or(end);
        if let Some(subject) = filters.only_literal() {
            return self.purge_subject(subject, below, left);
        }
        let mut purged = 0;
        let mut from = Seq(1);
        while left > 0 {
            let chunk = self.matching(from, below, &filters, left.min(CHUNK))?;
            let Some(last) = chunk.last() else { break };
            from = last.next();
            for seq in chunk {
                purged += u64::from(self.remove(seq, false, Cause::Purged)?);
                left = left.saturating_sub(1);
            }
        }
        Ok(purged)
    }

    /// Removes the first `left` messages of a subject that are below `below`.
    fn purge_subject(&mut self, subject: &[u8], below: Seq, left: u64) -> Result<u64, Error> {
        let mut purged = 0;
        while purged < left
            && let Some(state) = self.store.subject(subject)?
            && state.first < below
            && self.remove(state.first, false, Cause::Purged)?
        {
            purged += 1;
        }
        Ok(purged)
    }

    /// The first few matching sequences from `from` on and below `below`.
    fn matching(
        &mut self,
        from: Seq,
        below: Seq,
        filters: &Filters,
        max: u64,
    ) -> Result<Vec<Seq>, Error> {
        let mut found = Vec::new();
        self.store.scan(from, filters, &mut |message| {
            if message.seq >= below {
                return ControlFlow::Break(());
            }
            found.push(message.seq);
            match (found.len() as u64) < max {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        Ok(found)
    }

    /// Removes one message; whether it was there.
    pub(super) fn delete(&mut self, seq: Seq, erase: bool) -> Result<bool, Error> {
        self.remove(seq, erase, Cause::Deleted)
    }

    /// Removes everything on the subject but `kept`, its last message.
    pub(super) fn roll_up_subject(&mut self, subject: &[u8], kept: Seq) -> Result<(), Error> {
        while let Some(state) = self.store.subject(subject)?
            && state.first < kept
        {
            self.remove(state.first, false, Cause::Purged)?;
        }
        Ok(())
    }

    /// Removes everything but `kept`, the last message.
    pub(super) fn roll_up_all(&mut self, kept: Seq) -> Result<(), Error> {
        self.remove_below(kept, Cause::Purged)?;
        Ok(())
    }
}

//! Messages of an interest stream that nobody needs any more, since its consumers changed.
//!
//! Separate from retention, which decides message by message as they are stored and
//! acknowledged: here somebody has to go through what is stored. A consumer was deleted or
//! reset, or wants other subjects, or interest has only now begun to count.
//!
//! Going through a large stream takes more than one entry of the log. The command that
//! calls for it looks at the first [`SWEEP_MAX`] messages; every tick goes on from there,
//! and there is a tick at once as long as something is left.
//!
//! Invariants: one command or tick looks at no more than [`SWEEP_MAX`] messages; what is
//! waiting is part of the state, so that replicas remove the same messages with the same
//! entry; a message stored after the change is none of its business; at most `WAITING_MAX`
//! wait. Absent: work queues, in which a message waits for whatever consumer comes.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::config::Retention;
use super::machine::Machine;
use super::outcome::Cause;
use crate::pb::stream as pb;
use crate::store::error::Error;
use crate::store::message::{MessageRef, Seq};
use crate::subject::filters::Filters;

/// How many messages are looked at in one go.
pub const SWEEP_MAX: usize = 4096;
/// How many changes may wait to be followed up; the last of more is about everything.
const WAITING_MAX: usize = 16;

/// What happens to messages that no consumer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwanted {
    /// They go: the consumer that wanted them does no more.
    Go,
    /// They stay: they were stored when interest did not matter.
    Stay,
}

/// A change that is being followed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sweep {
    filters: Filters,
    unwanted: Unwanted,
    /// Up to here everything was looked at.
    next: Seq,
    /// From here on nothing needs to be.
    end: Seq,
}

/// The changes that are to be followed up, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sweeps(VecDeque<Sweep>);

impl Sweeps {
    /// Nothing is to be done.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For a snapshot.
    pub(super) fn to_pb(&self) -> Vec<pb::Sweep> {
        let to_pb = |sweep: &Sweep| {
            let (literals, patterns) = (sweep.filters.literals(), sweep.filters.patterns());
            let filters = literals.iter().chain(patterns);
            pb::Sweep {
                filters: filters.map(|f| Bytes::copy_from_slice(f)).collect(),
                unwanted_stay: sweep.unwanted == Unwanted::Stay,
                next: sweep.next.0,
                end: sweep.end.0,
            }
        };
        self.0.iter().map(to_pb).collect()
    }

    /// The inverse of [`Sweeps::to_pb`].
    pub(super) fn from_pb(sweeps: &[pb::Sweep]) -> Self {
        let from_pb = |sweep: &pb::Sweep| Sweep {
            filters: Filters::new(&sweep.filters),
            unwanted: match sweep.unwanted_stay {
                true => Unwanted::Stay,
                false => Unwanted::Go,
            },
            next: Seq(sweep.next),
            end: Seq(sweep.end),
        };
        Sweeps(sweeps.iter().map(from_pb).collect())
    }
}

impl Machine {
    /// Removes those of the matching messages that no consumer needs: consumers have
    /// changed. Without consumers everything goes. What is not done at once is done later.
    pub(super) fn drop_unneeded(
        &mut self,
        filters: &Filters,
        unwanted: Unwanted,
    ) -> Result<(), Error> {
        if self.config.retention != Retention::Interest {
            return Ok(());
        }
        let waiting = self.sweeps.0.len();
        let sweep = Sweep {
            filters: filters.clone(),
            unwanted,
            next: Seq(1),
            end: self.store.state().last_seq.next(),
        };
        match self.sweeps.0.back_mut() {
            Some(last) if last.filters == sweep.filters && last.unwanted == unwanted => {
                *last = sweep;
            }
            Some(last) if waiting >= WAITING_MAX => {
                *last = Sweep {
                    filters: Filters::all(),
                    unwanted: Unwanted::Go,
                    ..sweep
                };
            }
            _ => self.sweeps.0.push_back(sweep),
        }
        match waiting {
            0 => self.go_on_sweeping(),
            _ => Ok(()),
        }
    }

    /// Does a piece of what waits.
    pub(super) fn go_on_sweeping(&mut self) -> Result<(), Error> {
        if self.config.retention != Retention::Interest {
            self.sweeps = Sweeps::default();
        }
        let mut left = SWEEP_MAX;
        while left > 0
            && let Some(mut sweep) = self.sweeps.0.pop_front()
        {
            let looked_at = match self.followers.consumers.is_empty() {
                true => self.sweep_everything(&mut sweep, left)?,
                false => self.sweep_unneeded(&mut sweep, left)?,
            };
            left = left.saturating_sub(looked_at);
            if sweep.next < sweep.end {
                self.sweeps.0.push_front(sweep);
            }
        }
        Ok(())
    }

    /// Nobody is interested in anything: all that was there goes.
    fn sweep_everything(&mut self, sweep: &mut Sweep, max: usize) -> Result<usize, Error> {
        let first = self.store.state().first_seq;
        let until = Seq(first.0.saturating_add(max as u64)).min(sweep.end);
        let removed = self.remove_below(until, Cause::Consumed)?;
        sweep.next = until;
        Ok(usize::try_from(removed).unwrap_or(max).max(1))
    }

    fn sweep_unneeded(&mut self, sweep: &mut Sweep, max: usize) -> Result<usize, Error> {
        let (mut unneeded, mut looked_at) = (Vec::new(), 0);
        let consumers = &self.followers.consumers;
        let end = sweep.end;
        let mut next = end;
        self.store
            .scan(sweep.next, &sweep.filters, &mut |message| {
                let MessageRef { seq, subject, .. } = message;
                if seq >= end {
                    return ControlFlow::Break(());
                }
                if looked_at >= max {
                    next = seq;
                    return ControlFlow::Break(());
                }
                looked_at += 1;
                if (sweep.unwanted == Unwanted::Go || consumers.has_interest(subject))
                    && consumers.all_done(seq, subject, None)
                {
                    unneeded.push(seq);
                }
                ControlFlow::Continue(())
            })?;
        sweep.next = next;
        for seq in &unneeded {
            self.remove(*seq, false, Cause::Consumed)?;
        }
        Ok(looked_at)
    }
}

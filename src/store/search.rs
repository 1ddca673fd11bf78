//! Finding messages by subject.
//!
//! Separate because the memory store and the file store find in the same way: by the
//! figures of subjects where these decide, else by going through the messages, with
//! whichever ends first.
//!
//! ```text
//!   next(from, filters):  all? ledger · one literal? its figures · else a few messages from
//!   `from` on, then the figures of matching subjects, then the messages up to the best
//! ```
//! Invariant: the answers are those of a plain walk over all messages, except that
//! messages which cannot be read are not found.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::error::Error;
use super::ledger::Ledger;
use super::message::Seq;
use super::subjects::{Figures, Subjects};
use super::{LastError, SubjectState};
use crate::subject::filters::Filters;

/// What is tried among the messages before the figures of subjects are asked.
const PROBE: u32 = 128;
/// The most subjects whose figures are asked for one answer.
const SURVEY_MAX: u32 = 4096;

/// Visits sequences and subjects, until it breaks.
pub type Each<'a> = dyn FnMut(Seq, &[u8]) -> ControlFlow<()> + 'a;

/// What a search needs of a store.
pub trait Records {
    /// The books.
    fn ledger(&self) -> &Ledger;

    /// The figures of subjects.
    fn subjects(&mut self) -> &mut Subjects;

    /// Visits messages from `from` on, ascending.
    fn forward(&mut self, from: Seq, each: &mut Each<'_>) -> Result<(), Error>;

    /// Visits messages from `up_to` on, descending.
    fn backward(&mut self, up_to: Seq, each: &mut Each<'_>) -> Result<(), Error>;
}

/// The first matching message at or after `from`.
pub fn next<R: Records + ?Sized>(
    records: &mut R,
    from: Seq,
    filters: &Filters,
) -> Result<Option<Seq>, Error> {
    let Some(from) = records.ledger().next(from) else {
        return Ok(None);
    };
    if filters.is_all() {
        return Ok(Some(from));
    }
    let mut found = None;
    let mut at = from;
    if filters.only_literal().is_none() {
        let mut left = PROBE;
        records.forward(from, &mut |seq, subject| {
            at = seq.next();
            left -= 1;
            if filters.matches(subject) {
                found = Some(seq);
            }
            break_if(found.is_some() || left == 0)
        })?;
        if found.is_some() || left > 0 {
            return Ok(found);
        }
    }
    // The figures give a message that is not too early, and tell from where to look for
    // an earlier one.
    let mut best: Option<Seq> = None;
    let mut look: Option<Seq> = None;
    let complete = survey(records.subjects(), filters, |figures| {
        if figures.last() < at {
            return;
        }
        if let Some(mut known) = figures.known() {
            earliest(&mut best, known.find(|seq| *seq >= at));
        } else if figures.first() >= at && !figures.first_is_bound() {
            earliest(&mut best, Some(figures.first()));
        } else {
            earliest(&mut look, Some(figures.first().max(at)));
        }
    });
    if !complete {
        look = Some(at);
    }
    let Some(look) = look else { return Ok(best) };
    records.forward(look, &mut |seq, subject| {
        if best.is_some_and(|best| seq >= best) {
            return ControlFlow::Break(());
        }
        if filters.matches(subject) {
            found = Some(seq);
        }
        break_if(found.is_some())
    })?;
    Ok(found.or(best))
}

/// The last matching message at or before `up_to`.
pub fn last<R: Records + ?Sized>(
    records: &mut R,
    up_to: Seq,
    filters: &Filters,
) -> Result<Option<Seq>, Error> {
    let Some(up_to) = records.ledger().last(up_to) else {
        return Ok(None);
    };
    if filters.is_all() {
        return Ok(Some(up_to));
    }
    let mut found = None;
    let mut at = up_to;
    if filters.only_literal().is_none() {
        let mut left = PROBE;
        records.backward(up_to, &mut |seq, subject| {
            at = seq.prev();
            left -= 1;
            if filters.matches(subject) {
                found = Some(seq);
            }
            break_if(found.is_some() || left == 0)
        })?;
        if found.is_some() || left > 0 {
            return Ok(found);
        }
    }
    let mut best: Option<Seq> = None;
    let mut look: Option<Seq> = None;
    let complete = survey(records.subjects(), filters, |figures| {
        if figures.first() > at {
            return;
        }
        if let Some(known) = figures.known() {
            best = best.max(known.take_while(|seq| *seq <= at).last());
        } else if figures.last() <= at && !figures.last_is_bound() {
            best = best.max(Some(figures.last()));
        } else {
            look = look.max(Some(figures.last().min(at)));
        }
    });
    if !complete {
        look = Some(at);
    }
    let Some(look) = look else { return Ok(best) };
    records.backward(look, &mut |seq, subject| {
        if best.is_some_and(|best| seq <= best) {
            return ControlFlow::Break(());
        }
        if filters.matches(subject) {
            found = Some(seq);
        }
        break_if(found.is_some())
    })?;
    Ok(found.or(best))
}

/// How many matching messages there are at or after `from`.
pub fn count<R: Records + ?Sized>(
    records: &mut R,
    from: Seq,
    filters: &Filters,
) -> Result<u64, Error> {
    let behind = records.ledger().count(from);
    if filters.is_all() || behind == 0 {
        return Ok(behind);
    }
    let messages = records.ledger().state.messages;
    let mut total = 0;
    // Subjects with messages on both sides, as far as is known, and how many in all.
    let mut split: BTreeMap<Box<[u8]>, u64> = BTreeMap::new();
    let _ = records.subjects().walk(filters, |subject, figures| {
        if figures.first() >= from {
            total += figures.count();
        } else if figures.last() < from {
        } else if let Some(known) = figures.known() {
            total += known.filter(|seq| *seq >= from).count() as u64;
        } else {
            split.insert(subject.into(), figures.count());
        }
        ControlFlow::Continue(())
    });
    if split.is_empty() {
        return Ok(total);
    }
    let mut passed = 0;
    if behind <= messages / 2 {
        records.forward(from, &mut |_, subject| {
            passed += u64::from(split.contains_key(subject));
            ControlFlow::Continue(())
        })?;
        return Ok(total + passed);
    }
    records.forward(Seq(1), &mut |seq, subject| {
        if seq >= from {
            return ControlFlow::Break(());
        }
        passed += u64::from(split.contains_key(subject));
        ControlFlow::Continue(())
    })?;
    Ok(total + split.values().sum::<u64>().saturating_sub(passed))
}

/// The figures of one subject, exact.
pub fn subject<R: Records + ?Sized>(
    records: &mut R,
    subject: &[u8],
) -> Result<Option<SubjectState>, Error> {
    match records.subjects().get(subject) {
        None => return Ok(None),
        Some(figures) if !figures.is_bound() => return Ok(Some(exact(figures))),
        Some(_) => settle(records, &Filters::new([subject]))?,
    }
    Ok(records.subjects().get(subject).map(exact))
}

/// Visits matching subjects with exact figures in byte order, until `each` breaks.
pub fn subjects<R: Records + ?Sized>(
    records: &mut R,
    filters: &Filters,
    each: &mut dyn FnMut(&[u8], SubjectState) -> ControlFlow<()>,
) -> Result<(), Error> {
    settle(records, filters)?;
    let _ = records
        .subjects()
        .walk(filters, |subject, figures| each(subject, exact(figures)));
    Ok(())
}

/// The last message at or before `up_to` of each matching subject, ascending.
pub fn last_per_subject<R: Records + ?Sized>(
    records: &mut R,
    filters: &Filters,
    up_to: Seq,
    max: usize,
) -> Result<Vec<Seq>, LastError> {
    let mut found = Vec::new();
    let mut searched: BTreeMap<Box<[u8]>, ()> = BTreeMap::new();
    let (mut low, mut high) = (Seq::MAX, Seq::NONE);
    let walked = records.subjects().walk(filters, |subject, figures| {
        if figures.first() > up_to {
            return ControlFlow::Continue(());
        }
        if figures.last() <= up_to && !figures.last_is_bound() {
            found.push(figures.last());
        } else if let Some(known) = figures.known() {
            found.extend(known.take_while(|seq| *seq <= up_to).last());
        } else {
            searched.insert(subject.into(), ());
            low = low.min(figures.first());
            high = high.max(figures.last().min(up_to));
        }
        break_if(found.len() > max)
    });
    if walked.is_break() {
        return Err(LastError::TooMany);
    }
    if !searched.is_empty() {
        records.backward(high, &mut |seq, subject| {
            if seq < low {
                return ControlFlow::Break(());
            }
            if searched.remove(subject).is_some() {
                found.push(seq);
            }
            break_if(searched.is_empty() || found.len() > max)
        })?;
    }
    if found.len() > max {
        return Err(LastError::TooMany);
    }
    found.sort_unstable();
    Ok(found)
}

/// Finds the ends of all matching subjects whose ends are only bounds.
fn settle<R: Records + ?Sized>(records: &mut R, filters: &Filters) -> Result<(), Error> {
    if !records.subjects().has_bounds() {
        return Ok(());
    }
    let mut ends: BTreeMap<Box<[u8]>, (Seq, Seq)> = BTreeMap::new();
    let mut firsts: BTreeMap<Box<[u8]>, ()> = BTreeMap::new();
    let mut lasts: BTreeMap<Box<[u8]>, ()> = BTreeMap::new();
    let (mut low, mut high) = (Seq::MAX, Seq::NONE);
    let _ = records.subjects().walk(filters, |subject, figures| {
        if figures.is_bound() {
            ends.insert(subject.into(), (figures.first(), figures.last()));
        }
        if figures.first_is_bound() {
            firsts.insert(subject.into(), ());
            low = low.min(figures.first());
        }
        if figures.last_is_bound() {
            lasts.insert(subject.into(), ());
            high = high.max(figures.last());
        }
        ControlFlow::Continue(())
    });
    if !firsts.is_empty() {
        records.forward(low, &mut |seq, subject| {
            if firsts.remove(subject).is_some()
                && let Some(ends) = ends.get_mut(subject)
            {
                ends.0 = seq;
            }
            break_if(firsts.is_empty())
        })?;
    }
    if !lasts.is_empty() {
        records.backward(high, &mut |seq, subject| {
            if lasts.remove(subject).is_some()
                && let Some(ends) = ends.get_mut(subject)
            {
                ends.1 = seq;
            }
            break_if(lasts.is_empty())
        })?;
    }
    for (subject, (first, last)) in ends {
        records.subjects().settle(&subject, first, last);
    }
    Ok(())
}

/// Asks the figures of matching subjects; whether all could be asked.
fn survey(subjects: &Subjects, filters: &Filters, mut each: impl FnMut(&Figures)) -> bool {
    let mut left = SURVEY_MAX;
    let walked = subjects.walk(filters, |_, figures| {
        each(figures);
        left -= 1;
        break_if(left == 0)
    });
    walked.is_continue()
}

fn exact(figures: &Figures) -> SubjectState {
    SubjectState {
        messages: figures.count(),
        first: figures.first(),
        last: figures.last(),
    }
}

fn earliest(best: &mut Option<Seq>, seq: Option<Seq>) {
    if let Some(seq) = seq {
        *best = Some(best.map_or(seq, |best| best.min(seq)));
    }
}

fn break_if(done: bool) -> ControlFlow<()> {
    if done {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

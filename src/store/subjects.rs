//! The figures of every subject of a store: how many messages, the first, the last.
//!
//! Separate because every store keeps them and they decide most questions without
//! reading a message. A subject with one message costs a sequence; up to [`FEW_MAX`] its
//! messages are all known, packed as differences; beyond, only count and ends are.
//!
//! Of a subject with many messages the ends are *bounds* after a message at the end was
//! taken away: the message that is now first lies at or behind `first`. Who needs it
//! exactly finds it among the messages (`search`) and tells with [`Subjects::settle`].
//!
//! Invariants: no subject has zero messages; a list of few is exact. Absent: no reading of
//! messages.

use std::ops::ControlFlow;

use super::message::Seq;
use crate::sequence_set::{DecodeError, put_number, take_number};
use crate::subject::filters::Filters;
use crate::subject::tree::Tree;

/// The most messages of a subject that are known one by one. The histories of key-value
/// buckets, at most 64 long, stay below.
pub const FEW_MAX: u64 = 128;

/// The figures of every subject. A copy is cheap, and may be read elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    tree: Tree<Figures>,
    /// How many subjects have an end that is only a bound.
    unsettled: u64,
}

/// What is known of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    One(Seq),
    More(Box<More>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum More {
    Few(Few),
    Many(Many),
}

/// All sequences: the first, and the differences behind it as LEB128.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Few {
    first: Seq,
    last: Seq,
    count: u32,
    steps: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Many {
    first: Seq,
    last: Seq,
    count: u64,
    first_is_bound: bool,
    last_is_bound: bool,
}

impl Subjects {
    /// No subjects.
    pub fn new() -> Self {
        Subjects::default()
    }

    /// The number of subjects.
    pub fn len(&self) -> u64 {
        self.tree.len() as u64
    }

    /// There is no subject.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// Whether some subject has an end that is only a bound.
    pub fn has_bounds(&self) -> bool {
        self.unsettled > 0
    }

    /// The figures of a subject.
    pub fn get(&self, subject: &[u8]) -> Option<&Figures> {
        self.tree.get(subject)
    }

    /// Visits the figures of matching subjects in byte order, until `each` breaks.
    pub fn walk(
        &self,
        filters: &Filters,
        each: impl FnMut(&[u8], &Figures) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.tree.walk_filters(filters, each)
    }

    /// Counts a message that was appended: `seq` is above all others.
    pub fn append(&mut self, subject: &[u8], seq: Seq) {
        let mut settled = 0;
        self.tree.upsert(
            subject,
            |figures| {
                let before = figures.is_bound();
                figures.push(seq);
                settled = u64::from(before && !figures.is_bound());
            },
            || Figures(Kind::One(seq)),
        );
        self.unsettled -= settled;
    }

    /// Discounts a message that was taken away.
    pub fn remove(&mut self, subject: &[u8], seq: Seq) {
        let Some(figures) = self.tree.get_mut(subject) else {
            debug_assert!(false, "a message has a subject");
            return;
        };
        let before = figures.is_bound();
        let gone = !figures.take(seq);
        let after = !gone && figures.is_bound();
        if gone {
            self.tree.remove(subject);
        }
        self.unsettled = self.unsettled + u64::from(after) - u64::from(before);
    }

    /// Tells where the messages of a subject with bounds really begin and end.
    pub fn settle(&mut self, subject: &[u8], first: Seq, last: Seq) {
        if let Some(figures) = self.tree.get_mut(subject)
            && figures.is_bound()
        {
            figures.settle(first, last);
            self.unsettled -= 1;
        }
    }

    /// Forgets all subjects.
    pub fn clear(&mut self) {
        *self = Subjects::default();
    }

    /// Puts figures in that were kept elsewhere.
    pub fn restore(&mut self, subject: &[u8], figures: Figures) {
        self.unsettled += u64::from(figures.is_bound());
        if let Some(before) = self.tree.insert(subject, figures) {
            self.unsettled -= u64::from(before.is_bound());
        }
    }
}

impl Figures {
    /// Messages on the subject.
    pub fn count(&self) -> u64 {
        match &self.0 {
            Kind::One(_) => 1,
            Kind::More(more) => match &**more {
                More::Few(few) => u64::from(few.count),
                More::Many(many) => many.count,
            },
        }
    }

    /// The first message, or below it.
    pub fn first(&self) -> Seq {
        match &self.0 {
            Kind::One(seq) => *seq,
            Kind::More(more) => match &**more {
                More::Few(few) => few.first,
                More::Many(many) => many.first,
            },
        }
    }

    /// The last message, or above it.
    pub fn last(&self) -> Seq {
        match &self.0 {
            Kind::One(seq) => *seq,
            Kind::More(more) => match &**more {
                More::Few(few) => few.last,
                More::Many(many) => many.last,
            },
        }
    }

    /// Whether the first is below the first message, maybe.
    pub fn first_is_bound(&self) -> bool {
        self.many().is_some_and(|many| many.first_is_bound)
    }

    /// Whether the last is above the last message, maybe.
    pub fn last_is_bound(&self) -> bool {
        self.many().is_some_and(|many| many.last_is_bound)
    }

    /// Whether one of the ends is only a bound.
    pub fn is_bound(&self) -> bool {
        self.first_is_bound() || self.last_is_bound()
    }

    /// The sequences of the messages, if all are known.
    pub fn known(&self) -> Option<Known<'_>> {
        match &self.0 {
            Kind::One(seq) => Some(Known {
                next: Some(*seq),
                steps: &[],
            }),
            Kind::More(more) => match &**more {
                More::Few(few) => Some(few.iter()),
                More::Many(_) => None,
            },
        }
    }

    fn many(&self) -> Option<&Many> {
        match &self.0 {
            Kind::More(more) => match &**more {
                More::Many(many) => Some(many),
                More::Few(_) => None,
            },
            Kind::One(_) => None,
        }
    }

    fn push(&mut self, seq: Seq) {
        match &mut self.0 {
            Kind::One(first) => {
                let mut few = Few::new(*first);
                few.push(seq);
                self.0 = Kind::More(Box::new(More::Few(few)));
            }
            Kind::More(more) => match &mut **more {
                More::Few(few) if u64::from(few.count) < FEW_MAX => few.push(seq),
                More::Few(few) => {
                    **more = More::Many(Many {
                        first: few.first,
                        last: seq,
                        count: u64::from(few.count) + 1,
                        first_is_bound: false,
                        last_is_bound: false,
                    });
                }
                More::Many(many) => {
                    many.last = seq;
                    many.last_is_bound = false;
                    many.count += 1;
                }
            },
        }
    }

    /// Takes a message away; whether any is left.
    fn take(&mut self, seq: Seq) -> bool {
        let only = match &mut self.0 {
            Kind::One(_) => return false,
            Kind::More(more) => match &mut **more {
                More::Few(few) => {
                    few.take(seq);
                    (few.count == 1).then_some(few.first)
                }
                More::Many(many) => {
                    many.count -= 1;
                    if many.first == seq {
                        many.first = seq.next();
                        many.first_is_bound = true;
                    }
                    if many.last == seq {
                        many.last = seq.prev();
                        many.last_is_bound = true;
                    }
                    match many.count {
                        0 => return false,
                        1 if !many.last_is_bound => Some(many.last),
                        1 if !many.first_is_bound => Some(many.first),
                        _ => None,
                    }
                }
            },
        };
        if let Some(only) = only {
            self.0 = Kind::One(only);
        }
        true
    }

    fn settle(&mut self, first: Seq, last: Seq) {
        if let Kind::More(more) = &mut self.0
            && let More::Many(many) = &mut **more
        {
            (many.first, many.last) = (first, last);
            (many.first_is_bound, many.last_is_bound) = (false, false);
            if many.count == 1 {
                self.0 = Kind::One(first);
            }
        }
    }

    /// Appends the figures as bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Kind::One(seq) => {
                put_number(out, 1);
                put_number(out, seq.0);
            }
            Kind::More(more) => match &**more {
                More::Few(few) => {
                    put_number(out, u64::from(few.count));
                    put_number(out, few.first.0);
                    out.extend_from_slice(&few.steps);
                }
                More::Many(many) => {
                    put_number(out, 0);
                    put_number(out, many.count);
                    put_number(out, many.first.0);
                    put_number(out, many.last.0);
                    out.push(u8::from(many.first_is_bound) | u8::from(many.last_is_bound) << 1);
                }
            },
        }
    }

    /// The inverse of [`Figures::encode`]; `bytes` is left behind the figures.
    ///
    /// # Errors
    /// When the bytes are not figures.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let kind = match take_number(bytes)? {
            0 => {
                let count = take_number(bytes)?;
                let first = Seq(take_number(bytes)?);
                let last = Seq(take_number(bytes)?);
                let (flags, rest) = bytes.split_first().ok_or(DecodeError)?;
                *bytes = rest;
                if count == 0 || first > last || *flags > 3 {
                    return Err(DecodeError);
                }
                Kind::More(Box::new(More::Many(Many {
                    first,
                    last,
                    count,
                    first_is_bound: flags & 1 != 0,
                    last_is_bound: flags & 2 != 0,
                })))
            }
            1 => Kind::One(Seq(take_number(bytes)?)),
            count => {
                let first = Seq(take_number(bytes)?);
                if count > FEW_MAX {
                    return Err(DecodeError);
                }
                let mut few = Few::new(first);
                for _ in 1..count {
                    let step = take_number(bytes)?;
                    let seq = few.last.0.checked_add(step).ok_or(DecodeError)?;
                    if step == 0 {
                        return Err(DecodeError);
                    }
                    few.push(Seq(seq));
                }
                Kind::More(Box::new(More::Few(few)))
            }
        };
        Ok(Figures(kind))
    }
}

impl Few {
    fn new(only: Seq) -> Self {
        Few {
            first: only,
            last: only,
            count: 1,
            steps: Vec::new(),
        }
    }

    fn iter(&self) -> Known<'_> {
        Known {
            next: Some(self.first),
            steps: &self.steps,
        }
    }

    fn push(&mut self, seq: Seq) {
        if self.steps.capacity() - self.steps.len() < 10 {
            self.steps.reserve_exact(10 + self.steps.len() / 4);
        }
        put_number(&mut self.steps, seq.0 - self.last.0);
        self.last = seq;
        self.count += 1;
    }

    /// Takes one of at least two away.
    fn take(&mut self, seq: Seq) {
        if seq == self.first {
            let mut known = self.iter();
            known.next();
            let left = known.steps.len();
            if let Some(second) = known.next {
                self.first = second;
                self.count -= 1;
                self.steps.drain(..self.steps.len() - left);
            }
            return;
        }
        let mut few = Few::new(self.first);
        for kept in self.iter().skip(1).filter(|kept| *kept != seq) {
            few.push(kept);
        }
        *self = few;
    }
}

/// Sequences known one by one, ascending.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    next: Option<Seq>,
    steps: &'a [u8],
}

impl Iterator for Known<'_> {
    type Item = Seq;

    fn next(&mut self) -> Option<Seq> {
        let seq = self.next?;
        let step = take_number(&mut self.steps).ok();
        self.next = step.map(|step| Seq(seq.0 + step));
        Some(seq)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn figures_agree_with_a_plain_set(
            steps in prop::collection::vec((1u64..300, any::<prop::sample::Index>(), 0u8..5), 1..400),
        ) {
            let mut subjects = Subjects::new();
            let mut model = BTreeSet::new();
            let mut last = 0;
            for (step, index, what) in steps {
                if what < 3 || model.is_empty() {
                    last += step;
                    subjects.append(b"a", Seq(last));
                    model.insert(last);
                } else {
                    let seq = *index.get(&model.iter().copied().collect::<Vec<_>>());
                    subjects.remove(b"a", Seq(seq));
                    model.remove(&seq);
                }
                let figures = subjects.get(b"a");
                prop_assert_eq!(figures.map_or(0, Figures::count), model.len() as u64);
                let (Some(figures), Some(first), Some(end)) =
                    (figures, model.first().copied(), model.last().copied()) else { continue };
                prop_assert!(figures.first().0 <= first && figures.last().0 >= end);
                prop_assert!(figures.first_is_bound() || figures.first().0 == first);
                prop_assert!(figures.last_is_bound() || figures.last().0 == end);
                prop_assert_eq!(figures.is_bound(), subjects.has_bounds());
                if let Some(known) = figures.known() {
                    prop_assert!(known.map(|seq| seq.0).eq(model.iter().copied()));
                }
                let mut bytes = Vec::new();
                figures.encode(&mut bytes);
                let mut rest = &bytes[..];
                prop_assert_eq!(&Figures::decode(&mut rest).unwrap(), figures);
                prop_assert!(rest.is_empty());
                if what == 4 {
                    subjects.settle(b"a", Seq(first), Seq(end));
                    prop_assert!(!subjects.has_bounds());
                }
            }
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..32)) {
            let _ = Figures::decode(&mut &bytes[..]);
        }
    }

    #[test]
    fn one_message_costs_two_words() {
        assert_eq!(size_of::<Figures>(), 16);
    }
}

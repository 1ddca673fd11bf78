//! Where a walk in byte order goes next.
//!
//! Separate because it is the one subtle thing of the walk and knows nothing of trees:
//! given a filter and a subject, it says whether the subject matches, and if not, a bound
//! below which no later match can be.
//!
//! All subjects that begin with the same tokens and a dot lie together in byte order, so
//! a group in which nothing more can match is left by going to its beginning with the
//! dot replaced by the byte behind the dot.
//!
//! Invariants: [`Seek::To`] is above the subject asked about, and no subject between the
//! two matches; a subject matches exactly if `wildcard::matches` says so.

use super::super::filters::Filters;
use super::super::tokens::{SEPARATOR, STAR, TAIL, has_no_empty_token, split_first};

/// What a filter says about a subject that a walk came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seek {
    /// It matches.
    Match,
    /// It does not; the next one may.
    Next,
    /// Neither it nor any below this does.
    To(Vec<u8>),
    /// No later one does.
    End,
}

/// What one filter says.
pub fn seek(filter: &[u8], subject: &[u8]) -> Seek {
    // Where the last token ended for which any token would do.
    let mut free = None;
    let mut filter = filter;
    let mut start = 0;
    loop {
        let (wanted, more) = split_first(filter);
        let (token, rest) = split_first(&subject[start..]);
        let end = start + token.len();
        if wanted == TAIL {
            let matched = has_no_empty_token(subject);
            return if matched { Seek::Match } else { Seek::Next };
        } else if wanted == STAR {
            if token.is_empty() {
                return Seek::Next;
            }
            free = Some(end);
        } else if wanted != token {
            // Only what continues with the wanted token can match in this group.
            let mut target = [&subject[..start], wanted].concat();
            if more.is_some() {
                target.push(SEPARATOR);
            }
            return if *target > *subject {
                Seek::To(target)
            } else {
                leave(subject, free)
            };
        }
        match (more, rest) {
            (None, None) => {
                let matched = has_no_empty_token(subject);
                return if matched { Seek::Match } else { Seek::Next };
            }
            (None, Some(_)) => return leave(subject, free),
            (Some(_), None) if wanted == STAR => return Seek::Next,
            (Some(_), None) => return Seek::To([subject, &[SEPARATOR]].concat()),
            (Some(more), Some(_)) => (filter, start) = (more, end + 1),
        }
    }
}

/// What several filters say together.
pub fn seek_any(filters: &Filters, subject: &[u8]) -> Seek {
    if filters.is_all() {
        return Seek::Match;
    }
    let literals = filters.literals();
    let literal = literals.partition_point(|literal| **literal < *subject);
    let mut earliest: Option<Vec<u8>> = None;
    match literals.get(literal) {
        Some(literal) if **literal == *subject => return Seek::Match,
        Some(literal) => earliest = Some(literal.to_vec()),
        None => {}
    }
    let mut next = false;
    for pattern in filters.patterns() {
        match seek(pattern, subject) {
            Seek::Match => return Seek::Match,
            Seek::Next => next = true,
            Seek::End => {}
            Seek::To(target) => {
                if earliest.as_ref().is_none_or(|earliest| target < *earliest) {
                    earliest = Some(target);
                }
            }
        }
    }
    match earliest {
        _ if next => Seek::Next,
        Some(target) => Seek::To(target),
        None => Seek::End,
    }
}

/// Leaves the group of subjects that begin as this one does up to the free token.
fn leave(subject: &[u8], free: Option<usize>) -> Seek {
    match free {
        Some(end) => Seek::To([&subject[..end], &[SEPARATOR + 1]].concat()),
        None => Seek::End,
    }
}

//! The intersection of two filters: the filter of the subjects both match.
//!
//! Separate because imports are followed by it from account to account (`cycles`) and
//! subscriptions are carried through stream imports by it (`import`).

use crate::subject::tokens::{STAR, TAIL, split_first};
use crate::subject::wildcard::overlaps;

/// The filter that matches exactly what both match; `None` if there is no such subject.
pub fn intersection(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    if !overlaps(a, b) {
        return None;
    }
    let mut out = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a, b);
    loop {
        let (token_a, rest_a) = split_first(a);
        let (token_b, rest_b) = split_first(b);
        match (token_a, token_b) {
            (TAIL, _) => {
                out.extend_from_slice(b);
                return Some(out);
            }
            (_, TAIL) => {
                out.extend_from_slice(a);
                return Some(out);
            }
            (STAR, token) | (token, _) => out.extend_from_slice(token),
        }
        match (rest_a, rest_b) {
            (Some(next_a), Some(next_b)) => {
                out.push(b'.');
                (a, b) = (next_a, next_b);
            }
            _ => return Some(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::subject::wildcard::matches;

    #[test]
    fn the_narrower_token_wins() {
        let check = |a: &str, b: &str, expected: Option<&str>| {
            for (a, b) in [(a, b), (b, a)] {
                let found = intersection(a.as_bytes(), b.as_bytes());
                assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{a} and {b}");
            }
        };
        check("foo", "foo", Some("foo"));
        check("foo", "bar", None);
        check("foo.*", "*.bar", Some("foo.bar"));
        check("foo.>", "*.bar.*", Some("foo.bar.*"));
        check("foo.>", "foo", None);
        check(">", "*.a.>", Some("*.a.>"));
        check("*", "*", Some("*"));
        check("a..b", ">", None);
    }

    proptest! {
        #[test]
        fn it_matches_what_both_match(
            a in "([ab*]\\.){0,2}[ab*>]",
            b in "([ab*]\\.){0,2}[ab*>]",
            subject in "([ab]\\.){0,3}[ab]",
        ) {
            let (a, b, subject) = (a.as_bytes(), b.as_bytes(), subject.as_bytes());
            let both = matches(a, subject) && matches(b, subject);
            let found = intersection(a, b).is_some_and(|filter| matches(&filter, subject));
            prop_assert_eq!(found, both);
        }
    }
}

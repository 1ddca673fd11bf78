//! Wildcards: how one filter relates to one subject or to another filter.
//!
//! Separate from the sublist, which answers the same questions for many filters at
//! once and is tested against these functions.
//!
//! All four walk both texts token by token, allocate nothing and end at the shorter.
//! Invariants: `matches(f, s)` implies `covers(f, s)` for a literal `s`; `covers`
//! implies `overlaps`; `overlaps` is symmetric. A text with an empty token is in no
//! relation to anything. Absent: validity checks of filters (`tokens`).

use super::tokens::{STAR, TAIL, has_no_empty_token, split_first};

/// Whether a message published to `subject` reaches a subscription to `filter`.
///
/// Wildcard characters in `subject` are ordinary text: only the filter's count.
pub fn matches(filter: &[u8], subject: &[u8]) -> bool {
    has_no_empty_token(subject) && matches_tokens(filter, subject)
}

/// Whether every literal subject that `subset` matches is also matched by `filter`.
pub fn covers(filter: &[u8], subset: &[u8]) -> bool {
    has_no_empty_token(subset) && covers_tokens(filter, subset)
}

/// Whether some literal subject is matched by both filters.
pub fn overlaps(a: &[u8], b: &[u8]) -> bool {
    has_no_empty_token(a) && has_no_empty_token(b) && overlaps_tokens(a, b)
}

/// Whether a permission entry speaks about a subscription to `subject`.
///
/// The peers' rule for allow and deny entries alike, which is wider than `covers`: the
/// wildcards of the requested subject are taken for ordinary tokens, so the entry
/// `foo.*` speaks about `foo.a`, `foo.*` and also `foo.>`; the entry `foo.a` does not
/// speak about `foo.>`.
pub fn admits(entry: &[u8], subject: &[u8]) -> bool {
    matches(entry, subject)
}

/// `matches` for a subject known to have no empty token.
pub(super) fn matches_tokens(filter: &[u8], subject: &[u8]) -> bool {
    both(filter, subject, |filter, subject| match filter {
        TAIL => Step::Yes,
        STAR => Step::On,
        _ => Step::on_if(filter == subject),
    })
}

/// `covers` for a subset known to have no empty token.
pub(super) fn covers_tokens(filter: &[u8], subset: &[u8]) -> bool {
    both(filter, subset, |filter, subset| match (filter, subset) {
        (TAIL, _) => Step::Yes,
        (_, TAIL) => Step::No,
        (STAR, _) => Step::On,
        _ => Step::on_if(filter == subset),
    })
}

/// `overlaps` for filters known to have no empty token.
pub(super) fn overlaps_tokens(a: &[u8], b: &[u8]) -> bool {
    both(a, b, |a, b| match (a, b) {
        (TAIL, _) | (_, TAIL) => Step::Yes,
        (STAR, _) | (_, STAR) => Step::On,
        _ => Step::on_if(a == b),
    })
}

/// What a pair of tokens says about the whole pair of texts.
enum Step {
    Yes,
    No,
    On,
}

impl Step {
    fn on_if(equal: bool) -> Self {
        if equal { Step::On } else { Step::No }
    }
}

/// Walks two texts in step; without an early decision both must end together.
fn both(mut a: &[u8], mut b: &[u8], judge: impl Fn(&[u8], &[u8]) -> Step) -> bool {
    loop {
        let (token_a, rest_a) = split_first(a);
        let (token_b, rest_b) = split_first(b);
        match judge(token_a, token_b) {
            Step::Yes => return true,
            Step::No => return false,
            Step::On => {}
        }
        match (rest_a, rest_b) {
            (Some(next_a), Some(next_b)) => (a, b) = (next_a, next_b),
            (None, None) => return true,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tokens;

    #[test]
    fn wildcards_match_whole_tokens() {
        // filter, subject, expected
        let table = [
            ("foo", "foo", true),
            ("foo", "foo.bar", false),
            ("*", "foo", true),
            ("*", "foo.bar", false),
            ("foo.*", "foo", false),
            ("foo.*.baz", "foo.bar.baz", true),
            ("foo.>", "foo", false),
            ("foo.>", "foo.bar.baz", true),
            (">", "foo", true),
            ("foo*", "foobar", false),
            ("foo*", "foo*", true),
            ("foo.*", "foo.>", true),
            ("foo.bar", "foo.*", false),
            (">", "foo..bar", false),
            ("foo.>", "foo.", false),
            ("*", "", false),
        ];
        for (filter, subject, expected) in table {
            let matched = matches(filter.as_bytes(), subject.as_bytes());
            assert_eq!(matched, expected, "{filter} against {subject}");
        }
    }

    #[test]
    fn permission_entries_admit_wider_wildcards_of_the_same_shape() {
        assert!(admits(b"foo.*", b"foo.>") && !covers(b"foo.*", b"foo.>"));
        assert!(!admits(b"foo.a", b"foo.>") && !admits(b"foo.a", b"foo.*"));
        assert!(admits(b"foo.>", b"foo.*.>") && !admits(b"foo.*", b"*.a"));
    }

    /// All texts of up to `depth` tokens over `alphabet`.
    fn texts(alphabet: &[&str], depth: usize) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let mut last = vec![String::new()];
        for _ in 0..depth {
            let longer = |text: &String| {
                let dot = if text.is_empty() { "" } else { "." };
                let grow = |token: &&str| format!("{text}{dot}{token}");
                alphabet.iter().map(grow).collect::<Vec<_>>()
            };
            last = last.iter().flat_map(longer).collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    /// `c` stands for "any other token"; one token more than the filters have tells
    /// `>` from any number of `*`.
    #[test]
    fn relations_agree_with_enumeration() {
        let literals = texts(&["a", "b", "c"], 4);
        let mut filters = texts(&["a", "b", "*", ">"], 3);
        filters.retain(|filter| tokens::is_valid_subscribe(filter.as_bytes()));
        let reach: Vec<Vec<bool>> = filters
            .iter()
            .map(|filter| {
                let hit = |literal: &String| matches(filter.as_bytes(), literal.as_bytes());
                literals.iter().map(hit).collect()
            })
            .collect();
        for (a, reach_a) in filters.iter().zip(&reach) {
            for (b, reach_b) in filters.iter().zip(&reach) {
                let mut pairs = reach_a.iter().zip(reach_b);
                let covered = pairs.clone().all(|(in_a, in_b)| *in_a || !in_b);
                let shared = pairs.any(|(in_a, in_b)| *in_a && *in_b);
                let (bytes_a, bytes_b) = (a.as_bytes(), b.as_bytes());
                assert_eq!(covers(bytes_a, bytes_b), covered, "{a} covers {b}");
                assert_eq!(overlaps(bytes_a, bytes_b), shared, "{a} overlaps {b}");
            }
        }
    }
}

//! A set of filters, compiled to be asked often.
//!
//! Separate from the match tree because a consumer or a read has a few filters, not
//! thousands, and wants the literal ones apart: they are found by lookup, not by matching.
//!
//! Invariant: no filter at all, or a lone `>`, matches every subject.

use super::{tokens, wildcard};

/// A set of filters; empty matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    literals: Vec<Box<[u8]>>,
    patterns: Vec<Box<[u8]>>,
    all: bool,
}

impl Filters {
    /// Matches every subject.
    pub fn all() -> Self {
        Filters {
            all: true,
            ..Filters::default()
        }
    }

    /// Compiles filters; none, or one that is `>` or empty, matches everything.
    pub fn new<F: AsRef<[u8]>>(filters: impl IntoIterator<Item = F>) -> Self {
        let mut compiled = Filters::default();
        let mut any = false;
        for filter in filters {
            let filter = filter.as_ref();
            any = true;
            match filter {
                b"" | b">" => return Filters::all(),
                _ if tokens::is_literal(filter) => compiled.literals.push(filter.into()),
                _ => compiled.patterns.push(filter.into()),
            }
        }
        if !any {
            return Filters::all();
        }
        compiled.literals.sort_unstable();
        compiled.literals.dedup();
        compiled
    }

    /// Whether every subject matches.
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// The filters without wildcards, sorted.
    pub fn literals(&self) -> &[Box<[u8]>] {
        &self.literals
    }

    /// The filters with wildcards, in the order given.
    pub fn patterns(&self) -> &[Box<[u8]>] {
        &self.patterns
    }

    /// The one filter, if it is literal and alone.
    pub fn only_literal(&self) -> Option<&[u8]> {
        match (&*self.literals, &*self.patterns) {
            ([only], []) if !self.all => Some(only),
            _ => None,
        }
    }

    /// Whether a literal subject matches.
    pub fn matches(&self, subject: &[u8]) -> bool {
        self.all
            || self
                .literals
                .binary_search_by(|literal| (**literal).cmp(subject))
                .is_ok()
            || self
                .patterns
                .iter()
                .any(|pattern| wildcard::matches(pattern, subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filters: &[&str], subject: &str, expected: bool) {
        let compiled = Filters::new(filters);
        assert_eq!(
            compiled.matches(subject.as_bytes()),
            expected,
            "{filters:?} {subject}"
        );
    }

    #[test]
    fn no_filter_and_the_full_wildcard_match_everything() {
        check(&[], "a.b", true);
        check(&[">"], "a.b", true);
        check(&["x", ""], "a.b", true);
        assert!(Filters::new(["a", ">"]).is_all());
    }

    #[test]
    fn literals_and_patterns_match_their_own() {
        check(&["a.b", "c.*"], "a.b", true);
        check(&["a.b", "c.*"], "c.d", true);
        check(&["a.b", "c.*"], "c.d.e", false);
        check(&["b", "a"], "a", true);
        check(&["b", "a"], "c", false);
    }

    #[test]
    fn the_only_literal_is_told() {
        assert_eq!(Filters::new(["a.b"]).only_literal(), Some(&b"a.b"[..]));
        assert_eq!(Filters::new(["a.b", "c"]).only_literal(), None);
        assert_eq!(Filters::new(["a.*"]).only_literal(), None);
        assert_eq!(Filters::all().only_literal(), None);
    }
}

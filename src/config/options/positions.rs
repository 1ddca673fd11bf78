//! Where each key stood in the configuration, by its dotted path.
//!
//! Separate from the options so that two equal configurations are equal although a line was
//! moved: `Positions` compare equal always, and a reload sees no change.
//!
//! Paths are lower case, names as published first (`leafnodes.remotes.0.urls`), names of
//! accounts as written.

use crate::config::value::Position;

/// Positions of keys; equal to every other `Positions`.
#[derive(Clone, Debug, Default)]
pub struct Positions {
    entries: Vec<(Vec<String>, Position)>,
}

impl PartialEq for Positions {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Positions {
    /// Remembers where a key stands. Written while the value tree is read.
    pub fn insert(&mut self, path: &[String], position: &Position) {
        self.entries.push((path.to_vec(), position.clone()));
    }

    /// The position of the key of that dotted path, such as `leafnodes.remotes`.
    pub fn get(&self, path: &str) -> Option<&Position> {
        self.entries
            .iter()
            .find(|(at, _)| matches(at, path))
            .map(|(_, position)| position)
    }

    /// The position of the key of exactly that path, whose parts may hold dots.
    pub fn exact(&self, path: &[&str]) -> Option<&Position> {
        self.entries
            .iter()
            .find(|(at, _)| at.iter().map(String::as_str).eq(path.iter().copied()))
            .map(|(_, position)| position)
    }

    /// Positions of every key whose path matches; `*` stands for one part of a path.
    pub fn matching<'a>(&'a self, pattern: &'a str) -> impl Iterator<Item = &'a Position> + 'a {
        self.entries
            .iter()
            .filter(move |(path, _)| matches(path, pattern))
            .map(|(_, position)| position)
    }
}

fn matches(path: &[String], pattern: &str) -> bool {
    let mut parts = pattern.split('.');
    let all = path
        .iter()
        .all(|part| parts.next().is_some_and(|p| p == "*" || p == part));
    all && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_part() {
        let path: Vec<String> = ["accounts", "A.B", "exports", "0"]
            .map(str::to_owned)
            .into();
        for (pattern, expected) in [
            ("accounts.*.exports.*", true),
            ("accounts.*.exports", false),
            ("accounts.*.exports.*.latency", false),
            ("accounts.*.imports.*", false),
        ] {
            assert_eq!(matches(&path, pattern), expected, "{pattern}");
        }
    }
}

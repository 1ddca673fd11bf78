//! Import cycles: messages that would come back to where they started.
//!
//! Separate because services and streams are searched alike: an import is an [`Edge`] that
//! carries the subjects of a filter from one account to another, changed by its mapping. A
//! search follows a new edge with the subjects it carries, narrowed at every step by the
//! next edge's filter, and stops when it is back.
//!
//! Invariant: edges that were accepted one after the other contain no cycle, so that every
//! search ends. The search is more thorough than the peers', who miss cycles that change the
//! subject on the way round; those would carry a message around for ever.

use std::collections::HashMap;

use super::import::SubjectMap;
use super::intersection::intersection;

/// The number of imports in a row that are followed.
pub const DEPTH_MAX: usize = 1024;
/// The number of steps of one search.
const STEPS_MAX: usize = 100_000;

/// An import as a way for messages.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The account the messages come from.
    pub from: String,
    /// The subjects that go this way, as they are called there.
    pub filter: String,
    /// The account they go to.
    pub to: String,
    /// What they are called then.
    pub map: SubjectMap,
}

/// Why an edge cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CycleError {
    /// A message could come back.
    #[error("import forms a cycle")]
    Cycle,
    /// The search was given up.
    #[error("search cycle depth exhausted")]
    TooDeep,
}

/// Accepted edges, by the account they come from.
#[derive(Clone, Debug, Default)]
pub struct Edges(HashMap<String, Vec<Edge>>);

impl Edges {
    /// Accepts `edge` unless it would close a cycle.
    pub fn add(&mut self, edge: Edge) -> Result<(), CycleError> {
        self.check(&edge)?;
        self.0.entry(edge.from.clone()).or_default().push(edge);
        Ok(())
    }

    fn check(&self, edge: &Edge) -> Result<(), CycleError> {
        let mut open = vec![(edge, edge.filter.as_bytes().to_vec(), 1)];
        let mut steps = 0;
        while let Some((via, subject, depth)) = open.pop() {
            let Some(arriving) = via.map.apply(&subject) else {
                continue;
            };
            let goes_on = |next: &Edge| intersection(&arriving, next.filter.as_bytes());
            if via.to == edge.from && goes_on(edge).is_some() {
                return Err(CycleError::Cycle);
            }
            for next in self.0.get(&via.to).into_iter().flatten() {
                if let Some(narrowed) = goes_on(next) {
                    open.push((next, narrowed, depth + 1));
                }
            }
            steps += 1;
            if depth >= DEPTH_MAX || steps >= STEPS_MAX {
                return Err(CycleError::TooDeep);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::transform::Transform;

    /// Edges as `"A foo.* -> B bar.$1"`, added in order; the outcome of the last.
    fn add(lines: &[&str]) -> Result<(), CycleError> {
        let mut edges = Edges::default();
        let mut last = Ok(());
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [from, filter, "->", to, destination] = words[..] else {
                panic!("{line}");
            };
            let map = Transform::new(filter, destination).unwrap();
            let edge = Edge {
                from: from.to_owned(),
                filter: filter.to_owned(),
                to: to.to_owned(),
                map: SubjectMap::Transform(map),
            };
            assert_eq!(last, Ok(()), "only the last line may fail");
            last = edges.add(edge);
        }
        last
    }

    #[test]
    fn what_comes_back_is_a_cycle() {
        let check = |lines: &[&str], expected| assert_eq!(add(lines), expected, "{lines:?}");
        let cycle = Err(CycleError::Cycle);
        check(&["A foo -> B foo", "B foo -> A foo"], cycle);
        check(&["A foo -> B bar", "B bar -> A foo"], cycle);
        check(&["A foo -> B bar", "B baz -> A foo"], Ok(()));
        check(&["A a -> B b", "B b -> C c", "C c -> A a"], cycle);
        check(&["A a -> B b", "C c -> A a", "B b -> C c"], cycle);
        check(&["A > -> B q.>", "B > -> A p.>"], cycle);
        check(&["A foo -> B q.foo", "B bar -> A p.bar"], Ok(()));
        check(&["A a.> -> A a.b.>"], cycle);
        check(&["A foo -> A bar"], Ok(()));
        check(&["A *.* -> B $2.$1", "B x.y -> A y.x"], cycle);
    }

    #[test]
    fn subjects_are_narrowed_on_the_way() {
        let lines = [
            "A foo.a -> B foo.a",
            "B foo.> -> C foo.>",
            "C foo.b -> A foo.a",
        ];
        assert_eq!(add(&lines), Ok(()));
    }

    #[test]
    fn long_chains_are_given_up() {
        let chain: Vec<String> = (0..DEPTH_MAX + 1)
            .rev()
            .map(|n| format!("A{n} x -> A{} x", n + 1))
            .collect();
        let lines: Vec<&str> = chain.iter().map(String::as_str).collect();
        assert_eq!(add(&lines[..DEPTH_MAX - 1]), Ok(()));
        assert_eq!(add(&lines[..DEPTH_MAX]), Err(CycleError::TooDeep));
    }
}

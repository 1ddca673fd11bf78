//! The servers that take part.
//!
//! Separate because numbers must never be used again: a server that comes back empty under
//! an old number could vote twice.
//!
//! Invariant: every number in it is at most `last`, which never goes down.

use std::collections::BTreeMap;

use super::assignment::NodeId;

/// The servers that take part, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    names: BTreeMap<NodeId, String>,
    last: NodeId,
}

impl Registry {
    /// As it was in a snapshot.
    pub(super) fn restore(names: BTreeMap<NodeId, String>, last: NodeId) -> Self {
        let highest = names.keys().next_back().copied().unwrap_or_default();
        Registry {
            names,
            last: last.max(highest),
        }
    }

    /// The servers, by number.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (NodeId, &str)> {
        self.names.iter().map(|(node, name)| (*node, name.as_str()))
    }

    /// How a server is called.
    pub fn name(&self, node: NodeId) -> Option<&str> {
        self.names.get(&node).map(String::as_str)
    }

    /// The highest number there ever was.
    pub fn last(&self) -> NodeId {
        self.last
    }

    /// A server takes part, or is called differently. False if its number is used up (or 0).
    pub(super) fn register(&mut self, node: NodeId, name: String) -> bool {
        if node <= self.last && !self.names.contains_key(&node) {
            return false;
        }
        self.last = self.last.max(node);
        self.names.insert(node, name);
        true
    }

    /// A server takes part no more. False if it did not.
    pub(super) fn remove(&mut self, node: NodeId) -> bool {
        self.names.remove(&node).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_once() {
        let mut registry = Registry::default();
        let mut register = |node, name: &str| registry.register(NodeId(node), name.to_owned());
        assert!(!register(0, "zero"));
        assert!(register(2, "b") && register(2, "beta"));
        assert!(!register(1, "late"));
        assert!(registry.remove(NodeId(2)) && !registry.remove(NodeId(2)));
        assert!(!registry.register(NodeId(2), "again".to_owned()));
        assert!(registry.register(NodeId(3), "c".to_owned()));
        assert_eq!(registry.nodes().collect::<Vec<_>>(), [(NodeId(3), "c")]);
    }
}

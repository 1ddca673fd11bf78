//! A node of the match tree and the text on the edge that leads to it.
//!
//! Separate because its size is the price of a subscription: 64 bytes, one cache line.
//!
//! Invariants: a label is never empty of tokens; a *folded* node, whose label has more
//! than one token, has no children, and its leaf belongs to the filter that its whole
//! label spells. Siblings are linked so that wildcard walks can list them; `*` and `>`
//! children stand apart and are in no list.

use super::arena::{Id, NONE};
use super::leaf::Leaf;
use crate::subject::tokens::SEPARATOR;

const INLINE_MAX: usize = 22;

/// One place in the tree.
#[derive(Debug)]
pub(super) struct Node<T> {
    pub(super) parent: Id,
    /// The child behind `*`.
    pub(super) star: Id,
    /// The child behind `>`.
    pub(super) tail: Id,
    /// The first of the literal children.
    pub(super) first: Id,
    pub(super) next: Id,
    pub(super) previous: Id,
    pub(super) label: Label,
    pub(super) leaf: Leaf<T>,
}

impl<T> Node<T> {
    pub(super) fn new(parent: Id, label: &[u8], leaf: Leaf<T>) -> Self {
        Node {
            parent,
            star: NONE,
            tail: NONE,
            first: NONE,
            next: NONE,
            previous: NONE,
            label: Label::new(label),
            leaf,
        }
    }

    /// Whether the label's first token is `token`.
    pub(super) fn begins_with(&self, token: &[u8]) -> bool {
        match self.label.bytes().strip_prefix(token) {
            Some(rest) => rest.first().is_none_or(|byte| *byte == SEPARATOR),
            None => false,
        }
    }

    /// What is folded behind the label's first token, which has this length.
    pub(super) fn folded(&self, token_len: usize) -> Option<&[u8]> {
        self.label.bytes().get(token_len + 1..)
    }

    pub(super) fn has_children(&self) -> bool {
        self.star != NONE || self.tail != NONE || self.first != NONE
    }
}

/// Edge text; short ones need no memory of their own.
#[derive(Debug)]
pub(super) enum Label {
    Inline { len: u8, bytes: [u8; INLINE_MAX] },
    Heap(Box<[u8]>),
}

impl Label {
    pub(super) fn new(text: &[u8]) -> Self {
        if text.len() > INLINE_MAX {
            return Label::Heap(text.into());
        }
        let mut bytes = [0; INLINE_MAX];
        bytes[..text.len()].copy_from_slice(text);
        let len = text.len() as u8;
        Label::Inline { len, bytes }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Label::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Label::Heap(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_node_is_one_cache_line() {
        assert_eq!(size_of::<Node<Arc<u64>>>(), 64);
    }

    #[test]
    fn a_label_is_a_token_and_what_is_folded() {
        let node: Node<u64> = Node::new(NONE, b"ab.c.d", Leaf::Empty);
        assert!(node.begins_with(b"ab") && !node.begins_with(b"a") && !node.begins_with(b"abc"));
        assert_eq!(node.folded(2), Some(&b"c.d"[..]));
        let node: Node<u64> = Node::new(NONE, b"ab", Leaf::Empty);
        assert!(node.begins_with(b"ab") && node.folded(2).is_none());
    }

    #[test]
    fn labels_keep_their_text() {
        for len in [0, 1, INLINE_MAX, INLINE_MAX + 1, 5000] {
            let text = vec![b'x'; len];
            assert_eq!(Label::new(&text).bytes(), text);
        }
    }
}

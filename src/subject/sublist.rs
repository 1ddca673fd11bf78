//! The sublist: who wants a message published to this subject?
//!
//! It holds the filters of all subscriptions of an account as a tree of tokens and
//! finds, for a subject, every item whose filter matches. Separate from `wildcard`,
//! which compares one filter at a time and is the model this tree is tested against.
//!
//! A path from the root spells a filter. A node is found from its parent and a token
//! through one hash table for the whole tree (`edges`); `*` and `>` children are fields
//! of the parent. Where only one filter goes on, its remaining tokens stay folded
//! in a single node and are unfolded when a second filter comes by, so that a
//! subscription costs about one node, however many tokens it has.
//!
//! ```text
//!   root ── "a" ─┬─ "b.c.d"  ◄ folded: the only filter that begins with a.b
//!                ├─ "x" ─┬─ "1"
//!                │       └─ "2"
//!                └─ * ──── "z"
//! ```
//!
//! Invariants: a walk allocates nothing unless a subject has more than `PENDING_INLINE`
//! `*` branches open at once, and visits no node twice, so it is bounded by the tree;
//! nothing recurses, so depth is no danger; every node but the root has items or
//! children; an item is found again by its key, without a search through its
//! neighbours. Absent: locks, generations, caches, the choice of a queue member.

mod arena;
mod edges;
mod leaf;
mod node;
#[cfg(test)]
mod tests;

use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;

use smallvec::SmallVec;

use super::tokens::{STAR, TAIL, has_no_empty_token, split_first};
use super::wildcard::{covers_tokens, matches_tokens, overlaps_tokens};
use arena::{Arena, Id, NONE};
use edges::Edges;
use leaf::Leaf;
use node::{Label, Node};

const PENDING_INLINE: usize = 24;
/// Room for nodes that an empty sublist may keep.
const NODES_KEPT: usize = 64;

/// What a sublist asks of its items: a stable identity.
pub trait Keyed {
    /// A number that tells this item from all others under the same filter and queue.
    /// It MUST NOT change while the item is in a sublist.
    fn key(&self) -> u64;
}

impl<T: Keyed + ?Sized> Keyed for Arc<T> {
    fn key(&self) -> u64 {
        (**self).key()
    }
}

impl Keyed for u64 {
    fn key(&self) -> u64 {
        *self
    }
}

/// Items by filter and optional queue name.
#[derive(Debug)]
pub struct Sublist<T> {
    nodes: Arena<Node<T>>,
    edges: Edges,
    root: Id,
    len: usize,
}

impl<T: Keyed> Sublist<T> {
    /// An empty sublist.
    pub fn new() -> Self {
        let mut nodes = Arena::new();
        let root = nodes.insert(Node::new(NONE, b"", Leaf::Empty));
        Sublist {
            nodes,
            edges: Edges::new(),
            root,
            len: 0,
        }
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an item. An item with the same key under the same filter and queue is
    /// replaced and returned.
    ///
    /// `filter` MUST be valid (`tokens::is_valid_subscribe`); items under another
    /// filter do no harm, but whether they are found is not specified.
    pub fn insert(&mut self, filter: &[u8], queue: Option<&[u8]>, item: T) -> Option<T> {
        let id = self.place_for(filter);
        let replaced = self.nodes.get_mut(id).leaf.insert(queue, item);
        self.len += usize::from(replaced.is_none());
        replaced
    }

    /// Takes out the item with the key of `item`; says whether it was there under this
    /// filter and queue.
    pub fn remove(&mut self, filter: &[u8], queue: Option<&[u8]>, item: &T) -> bool {
        let Some(id) = self.find(filter) else {
            return false;
        };
        let leaf = &mut self.nodes.get_mut(id).leaf;
        if leaf.remove(queue, item.key()).is_none() {
            return false;
        }
        self.len -= 1;
        self.prune(id);
        if self.len == 0 && self.nodes.capacity() > NODES_KEPT {
            *self = Sublist::new();
        }
        true
    }

    /// Shows every item whose filter matches `subject`, with its queue name if any.
    ///
    /// Wildcard characters in `subject` are ordinary text. The order is unspecified,
    /// but items under one filter come together, plain ones first, then queue by queue.
    #[inline]
    pub fn walk<'a>(&'a self, subject: &[u8], mut visit: impl FnMut(Option<&'a [u8]>, &'a T)) {
        let _ = self.walk_while(subject, &mut |queue, item| {
            visit(queue, item);
            ControlFlow::Continue(())
        });
    }

    /// Whether any item's filter matches `subject`.
    pub fn has_interest(&self, subject: &[u8]) -> bool {
        self.walk_while(subject, &mut |_, _| ControlFlow::Break(()))
            .is_break()
    }

    /// Whether `test` holds for some item whose filter matches `subject`; asks until one does.
    pub fn any(&self, subject: &[u8], mut test: impl FnMut(&T) -> bool) -> bool {
        self.walk_while(subject, &mut |_, item| match test(item) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
        .is_break()
    }

    /// Shows every item whose filter has a subject in common with `filter`.
    pub fn walk_overlapping<'a>(
        &'a self,
        filter: &[u8],
        mut visit: impl FnMut(Option<&'a [u8]>, &'a T),
    ) {
        let _ = self.reverse_while(filter, Relation::Overlaps, &mut |queue, item| {
            visit(queue, item);
            ControlFlow::Continue(())
        });
    }

    /// Whether any item's filter has a subject in common with `filter`.
    pub fn has_interest_in_overlap(&self, filter: &[u8]) -> bool {
        self.reverse_while(filter, Relation::Overlaps, &mut |_, _| {
            ControlFlow::Break(())
        })
        .is_break()
    }

    /// Shows every item whose filter matches nothing that `filter` does not match.
    pub fn walk_covered<'a>(
        &'a self,
        filter: &[u8],
        mut visit: impl FnMut(Option<&'a [u8]>, &'a T),
    ) {
        let _ = self.reverse_while(filter, Relation::Covered, &mut |queue, item| {
            visit(queue, item);
            ControlFlow::Continue(())
        });
    }

    /// Shows every item with its filter and its queue name if it has one.
    pub fn for_each<'a>(&'a self, mut visit: impl FnMut(&[u8], Option<&'a [u8]>, &'a T)) {
        let mut filter = Vec::new();
        for (id, node) in self.nodes.iter().filter(|(_, node)| !node.leaf.is_empty()) {
            self.spell(id, &mut filter);
            let _ = node.leaf.visit(&mut |queue, item| {
                visit(&filter, queue, item);
                ControlFlow::Continue(())
            });
        }
    }

    fn walk_while<'a, V>(&'a self, subject: &[u8], visit: &mut V) -> ControlFlow<()>
    where
        V: FnMut(Option<&'a [u8]>, &'a T) -> ControlFlow<()>,
    {
        if !has_no_empty_token(subject) {
            return ControlFlow::Continue(());
        }
        // Unfolded nodes with the part of the subject that is behind them, never empty.
        let mut pending: SmallVec<[(Id, &[u8]); PENDING_INLINE]> = SmallVec::new();
        pending.push((self.root, subject));
        while let Some((id, rest)) = pending.pop() {
            let node = self.nodes.get(id);
            if node.tail != NONE {
                self.nodes.get(node.tail).leaf.visit(visit)?;
            }
            let (token, after) = split_first(rest);
            let literal = self.literal_child(id, node, token);
            for (child, token_len) in [(node.star, STAR.len()), (literal, token.len())] {
                if child == NONE {
                    continue;
                }
                let next = self.nodes.get(child);
                match (next.folded(token_len), after) {
                    (None, None) => next.leaf.visit(visit)?,
                    (None, Some(after)) if next.has_children() => pending.push((child, after)),
                    (Some(folded), Some(after)) if matches_tokens(folded, after) => {
                        next.leaf.visit(visit)?;
                    }
                    _ => {}
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn reverse_while<'a, V>(
        &'a self,
        filter: &[u8],
        relation: Relation,
        visit: &mut V,
    ) -> ControlFlow<()>
    where
        V: FnMut(Option<&'a [u8]>, &'a T) -> ControlFlow<()>,
    {
        if !has_no_empty_token(filter) {
            return ControlFlow::Continue(());
        }
        // Unfolded nodes with the part of the filter that is behind them, or with `>`.
        let mut pending: SmallVec<[(Id, &[u8]); PENDING_INLINE]> = SmallVec::new();
        pending.push((self.root, filter));
        while let Some((id, rest)) = pending.pop() {
            let node = self.nodes.get(id);
            let (token, after) = split_first(rest);
            let below = token == TAIL;
            let wide = below || token == STAR;
            if node.tail != NONE && (below || relation == Relation::Overlaps) {
                self.nodes.get(node.tail).leaf.visit(visit)?;
            }
            let mut go = |child: Id| -> ControlFlow<()> {
                let next = self.nodes.get(child);
                if below {
                    next.leaf.visit(visit)?;
                    if next.has_children() {
                        pending.push((child, TAIL));
                    }
                    return ControlFlow::Continue(());
                }
                match (split_first(next.label.bytes()).1, after) {
                    (None, None) => next.leaf.visit(visit)?,
                    (None, Some(after)) => pending.push((child, after)),
                    (Some(folded), Some(after)) if relation.holds(after, folded) => {
                        next.leaf.visit(visit)?;
                    }
                    _ => {}
                }
                ControlFlow::Continue(())
            };
            if node.star != NONE && (wide || relation == Relation::Overlaps) {
                go(node.star)?;
            }
            if wide {
                let mut child = node.first;
                while child != NONE {
                    go(child)?;
                    child = self.nodes.get(child).next;
                }
            } else {
                let child = self.literal_child(id, node, token);
                if child != NONE {
                    go(child)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The child of `parent` behind a token that is no wildcard, or `NONE`.
    fn literal_child(&self, id: Id, parent: &Node<T>, token: &[u8]) -> Id {
        if parent.first == NONE {
            return NONE;
        }
        let hash = self.edges.hash(id, token);
        let is_it = |child: Id| {
            let child = self.nodes.get(child);
            child.parent == id && child.begins_with(token)
        };
        self.edges.find(hash, is_it).unwrap_or(NONE)
    }

    fn child(&self, id: Id, token: &[u8]) -> Id {
        let node = self.nodes.get(id);
        match token {
            STAR => node.star,
            TAIL => node.tail,
            _ => self.literal_child(id, node, token),
        }
    }

    /// The node of exactly this filter.
    fn find(&self, filter: &[u8]) -> Option<Id> {
        let mut id = self.root;
        let mut rest = filter;
        loop {
            let (token, after) = split_first(rest);
            let child = self.child(id, token);
            if child == NONE {
                return None;
            }
            let folded = self.nodes.get(child).folded(token.len());
            match (folded, after) {
                (None, Some(after)) => (id, rest) = (child, after),
                _ if folded == after => return Some(child),
                _ => return None,
            }
        }
    }

    /// The node of this filter, made if need be. The caller puts an item there.
    fn place_for(&mut self, filter: &[u8]) -> Id {
        let mut id = self.root;
        let mut rest = filter;
        loop {
            let (token, after) = split_first(rest);
            let child = self.child(id, token);
            if child == NONE {
                return self.attach(id, rest, Leaf::Empty);
            }
            let folded = self.nodes.get(child).folded(token.len());
            if folded == after {
                return child;
            }
            if folded.is_some() {
                self.unfold(child, after);
            }
            match after {
                None => return child,
                Some(after) => (id, rest) = (child, after),
            }
        }
    }

    /// Takes a folded node apart as far as its filter goes along with another that
    /// continues with `other` behind the node's first token; its items move down.
    fn unfold(&mut self, id: Id, mut other: Option<&[u8]>) {
        let node = self.nodes.get_mut(id);
        let label = mem::replace(&mut node.label, Label::new(b""));
        let leaf = mem::replace(&mut node.leaf, Leaf::Empty);
        let (token, mut folded) = split_first(label.bytes());
        node.label = Label::new(token);
        let mut parent = id;
        while let Some(rest) = folded {
            let (token, after) = split_first(rest);
            other = match other.map(split_first) {
                Some((same, after)) if same == token => after,
                _ => None,
            };
            if other.is_none() || after.is_none() {
                self.attach(parent, rest, leaf);
                return;
            }
            parent = self.attach(parent, token, Leaf::Empty);
            folded = after;
        }
        debug_assert!(leaf.is_empty(), "only folded nodes are unfolded");
    }

    fn attach(&mut self, parent: Id, label: &[u8], leaf: Leaf<T>) -> Id {
        let id = self.nodes.insert(Node::new(parent, label, leaf));
        let token = split_first(label).0;
        let node = self.nodes.get_mut(parent);
        match token {
            STAR => node.star = id,
            TAIL => node.tail = id,
            _ => {
                let second = mem::replace(&mut node.first, id);
                if second != NONE {
                    self.nodes.get_mut(second).previous = id;
                    self.nodes.get_mut(id).next = second;
                }
                let hash = self.edges.hash(parent, token);
                self.edges.insert(hash, id);
            }
        }
        id
    }

    /// Takes away `id` and its ancestors as far as they hold nothing.
    fn prune(&mut self, mut id: Id) {
        while id != self.root {
            let node = self.nodes.get(id);
            if !node.leaf.is_empty() || node.has_children() {
                return;
            }
            let parent = node.parent;
            self.detach(id);
            id = parent;
        }
    }

    fn detach(&mut self, id: Id) {
        let gone = self.nodes.remove(id);
        let token = split_first(gone.label.bytes()).0;
        let parent = self.nodes.get_mut(gone.parent);
        match token {
            STAR => parent.star = NONE,
            TAIL => parent.tail = NONE,
            _ => {
                if gone.previous == NONE {
                    parent.first = gone.next;
                } else {
                    self.nodes.get_mut(gone.previous).next = gone.next;
                }
                if gone.next != NONE {
                    self.nodes.get_mut(gone.next).previous = gone.previous;
                }
                let hash = self.edges.hash(gone.parent, token);
                self.edges.remove(hash, id);
            }
        }
    }

    /// Writes the filter of a node into `filter`.
    fn spell(&self, id: Id, filter: &mut Vec<u8>) {
        let mut path: SmallVec<[Id; PENDING_INLINE]> = SmallVec::new();
        let mut at = id;
        while at != self.root {
            path.push(at);
            at = self.nodes.get(at).parent;
        }
        filter.clear();
        for (position, id) in path.iter().rev().enumerate() {
            if position > 0 {
                filter.push(super::tokens::SEPARATOR);
            }
            filter.extend_from_slice(self.nodes.get(*id).label.bytes());
        }
    }
}

impl<T: Keyed> Default for Sublist<T> {
    fn default() -> Self {
        Sublist::new()
    }
}

/// What a reverse walk looks for: how the filter asked about relates to those held.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Overlaps,
    Covered,
}

impl Relation {
    fn holds(self, asked: &[u8], held: &[u8]) -> bool {
        match self {
            Relation::Overlaps => overlaps_tokens(asked, held),
            Relation::Covered => covers_tokens(asked, held),
        }
    }
}

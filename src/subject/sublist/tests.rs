//! The sublist against a list of filters that is searched from end to end.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::subject::{tokens, wildcard};

type Entry = (Vec<u8>, Option<Vec<u8>>, u64);

/// The same promises kept the slow way.
#[derive(Default)]
struct Model(Vec<Entry>);

impl Model {
    fn insert(&mut self, entry: Entry) {
        self.0.retain(|other| *other != entry);
        self.0.push(entry);
    }

    fn remove(&mut self, entry: &Entry) -> bool {
        let before = self.0.len();
        self.0.retain(|other| other != entry);
        self.0.len() < before
    }

    fn select(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<(Option<Vec<u8>>, u64)> {
        let found = self.0.iter().filter(|(filter, _, _)| wanted(filter));
        sorted(
            found
                .map(|(_, queue, item)| (queue.clone(), *item))
                .collect(),
        )
    }
}

fn sorted<O: Ord>(mut items: Vec<O>) -> Vec<O> {
    items.sort();
    items
}

fn collect<'a>(
    walk: impl FnOnce(&mut dyn FnMut(Option<&'a [u8]>, &'a u64)),
) -> Vec<(Option<Vec<u8>>, u64)> {
    let mut found = Vec::new();
    walk(&mut |queue, item| found.push((queue.map(<[u8]>::to_vec), *item)));
    sorted(found)
}

/// Every answer of the sublist to questions about `subject` against the model.
fn check(sublist: &Sublist<u64>, model: &Model, subject: &[u8]) {
    let text = String::from_utf8_lossy(subject).into_owned();
    let matching = model.select(|filter| wildcard::matches(filter, subject));
    let found = collect(|visit| sublist.walk(subject, visit));
    assert_eq!(found, matching, "walk {text}");
    assert_eq!(
        sublist.has_interest(subject),
        !matching.is_empty(),
        "interest {text}"
    );
    let last = matching.iter().map(|(_, item)| *item).max();
    assert!(!sublist.any(subject, |_| false), "any {text}");
    assert_eq!(
        sublist.any(subject, |item| Some(*item) == last),
        last.is_some(),
        "any {text}"
    );
    if !tokens::is_valid_subscribe(subject) {
        return;
    }
    let overlapping = model.select(|filter| wildcard::overlaps(filter, subject));
    let found = collect(|visit| sublist.walk_overlapping(subject, visit));
    assert_eq!(found, overlapping, "overlapping {text}");
    let any = sublist.has_interest_in_overlap(subject);
    assert_eq!(any, !overlapping.is_empty(), "interest in overlap {text}");
    let covered = model.select(|filter| wildcard::covers(subject, filter));
    let found = collect(|visit| sublist.walk_covered(subject, visit));
    assert_eq!(found, covered, "covered {text}");
}

fn check_contents(sublist: &Sublist<u64>, model: &Model) {
    let mut contents: Vec<Entry> = Vec::new();
    sublist.for_each(|filter, queue, item| {
        contents.push((filter.to_vec(), queue.map(<[u8]>::to_vec), *item));
    });
    assert_eq!(sorted(contents), sorted(model.0.clone()));
    assert_eq!(sublist.len(), model.0.len());
    for (id, node) in sublist.nodes.iter() {
        let useful = !node.leaf.is_empty() || node.has_children() || id == sublist.root;
        assert!(useful, "a node without use is pruned");
        let folded = tokens::count(node.label.bytes()) > 1;
        assert!(
            !folded || !node.has_children(),
            "a folded node has no children"
        );
    }
}

fn check_empty(sublist: &Sublist<u64>) {
    assert!(sublist.is_empty());
    assert_eq!(sublist.nodes.iter().count(), 1, "only the root is left");
    assert_eq!(sublist.edges.capacity(), 0);
}

/// Subjects over few tokens, so that filters meet; also long and odd ones.
fn subject() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => Just("a"), 4 => Just("b"), 2 => Just("c"), 4 => Just("*"), 3 => Just(">"),
        1 => Just("a*"), 1 => Just("a-token-beyond-inline-length"), 1 => Just(""),
    ];
    vec(token, 1..6).prop_map(|tokens| tokens.join(".").into_bytes())
}

fn filter() -> impl Strategy<Value = Vec<u8>> {
    subject().prop_filter("valid", |subject| tokens::is_valid_subscribe(subject))
}

fn entry() -> impl Strategy<Value = Entry> {
    let queue = prop_oneof![
        3 => Just(None), 1 => Just(Some(b"q".to_vec())), 1 => Just(Some(b"r".to_vec())),
    ];
    (filter(), queue, 0u64..4)
}

proptest! {
    #[test]
    fn agrees_with_a_plain_list(
        steps in vec((prop::bool::weighted(0.7), entry()), 0..60),
        subjects in vec(subject(), 1..20),
    ) {
        let (mut sublist, mut model) = (Sublist::new(), Model::default());
        for (add, entry) in steps {
            let (filter, queue, item) = &entry;
            if add {
                sublist.insert(filter, queue.as_deref(), *item);
                model.insert(entry);
            } else {
                let removed = sublist.remove(filter, queue.as_deref(), item);
                prop_assert_eq!(removed, model.remove(&entry));
            }
        }
        check_contents(&sublist, &model);
        for subject in &subjects {
            check(&sublist, &model, subject);
        }
        for (filter, queue, item) in model.0.drain(..) {
            check(&sublist, &Model(collect_entries(&sublist)), &filter);
            prop_assert!(sublist.remove(&filter, queue.as_deref(), &item));
        }
        check_empty(&sublist);
    }

    #[test]
    fn any_bytes_do_no_harm(filters in vec(vec(any::<u8>(), 0..8), 0..20), subject in vec(any::<u8>(), 0..8)) {
        let mut sublist = Sublist::new();
        for filter in &filters {
            sublist.insert(filter, None, 1u64);
        }
        sublist.walk(&subject, |_, _| {});
        sublist.walk_overlapping(&subject, |_, _| {});
        for filter in &filters {
            sublist.remove(filter, None, &1);
        }
        check_empty(&sublist);
    }
}

fn collect_entries(sublist: &Sublist<u64>) -> Vec<Entry> {
    let mut entries = Vec::new();
    sublist.for_each(|filter, queue, item| {
        entries.push((filter.to_vec(), queue.map(<[u8]>::to_vec), *item));
    });
    entries
}

#[test]
fn deep_subjects_neither_overflow_nor_explode() {
    let depth = 2000;
    let deep = |token: &str| vec![token; depth].join(".").into_bytes();
    let mut sublist = Sublist::new();
    sublist.insert(&deep("a"), None, 1u64);
    sublist.insert(&deep("*"), None, 2);
    for at in (0..depth).step_by(40) {
        let mut mixed = vec!["a"; depth];
        mixed[at] = "*";
        sublist.insert(mixed.join(".").as_bytes(), None, 3);
        mixed.truncate(at);
        mixed.push(">");
        sublist.insert(mixed.join(".").as_bytes(), None, 4);
    }
    let matching = 2 + 2 * depth / 40;
    assert_eq!(
        collect(|visit| sublist.walk(&deep("a"), visit)).len(),
        matching
    );
    assert_eq!(
        collect(|visit| sublist.walk_covered(b">", visit)).len(),
        sublist.len()
    );
    for (filter, _, item) in collect_entries(&sublist) {
        sublist.remove(&filter, None, &item);
    }
    check_empty(&sublist);
}

#[test]
fn memory_is_given_back() {
    let mut sublist = Sublist::new();
    let filter = |n: u64| format!("tree.{}.{}", n % 100, n).into_bytes();
    for n in 0..20_000u64 {
        sublist.insert(&filter(n), None, n);
        sublist.insert(b"one.filter", Some(b"q"), n);
    }
    assert!(sublist.nodes.capacity() >= 20_000);
    for n in 0..20_000u64 {
        assert!(sublist.remove(&filter(n), None, &n));
        assert!(sublist.remove(b"one.filter", Some(b"q"), &n));
    }
    check_empty(&sublist);
    assert!(sublist.nodes.capacity() <= NODES_KEPT);
}

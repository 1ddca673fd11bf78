use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::subject::wildcard;

fn walked(tree: &Tree<u32>, filter: &[u8]) -> Vec<(Vec<u8>, u32)> {
    let mut found = Vec::new();
    let _ = tree.walk(filter, |subject, value| {
        found.push((subject.to_vec(), *value));
        ControlFlow::Continue(())
    });
    found
}

fn check_whole(tree: &Tree<u32>, model: &BTreeMap<Vec<u8>, u32>) {
    let mut all = Vec::new();
    let _ = tree.iter(|subject, value| {
        all.push((subject.to_vec(), *value));
        ControlFlow::Continue(())
    });
    assert!(all.iter().map(|(key, value)| (key, value)).eq(model));
    assert_eq!(tree.len(), model.len());
    for (at, chunk) in tree.chunks.chunks().enumerate().skip(1) {
        let mut first = Vec::new();
        chunk.subject(0, &mut first);
        assert!(
            *tree.chunks.key(at) <= *first,
            "a key is at most its first subject"
        );
        assert_eq!(tree.chunks.find(&first), at);
    }
}

/// Tokens that lie around the separator in byte order and begin like one another.
fn subject() -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(vec!["a", "a-", "a/", "ab", "b", "*", "", "k1", "k10", "z"]);
    prop::collection::vec(token, 1..5).prop_map(|tokens| tokens.join(".").into_bytes())
}

fn filter() -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(vec!["a", "a-", "ab", "b", "*", "*", "k1", ">", "zz"]);
    prop::collection::vec(token, 1..5).prop_map(|tokens| tokens.join(".").into_bytes())
}

proptest! {
    #[test]
    fn the_tree_agrees_with_a_plain_map(
        steps in prop::collection::vec((subject(), 0u8..5), 0..300),
        filters in prop::collection::vec(filter(), 1..6),
    ) {
        let mut tree = Tree::new();
        let mut model = BTreeMap::new();
        for (count, (subject, what)) in (0u32..).zip(steps) {
            match what {
                0 => prop_assert_eq!(tree.remove(&subject), model.remove(&subject)),
                1 => {
                    tree.upsert(&subject, |value| *value += 1, || count);
                    model.entry(subject).and_modify(|value| *value += 1).or_insert(count);
                }
                _ => prop_assert_eq!(
                    tree.insert(&subject, count),
                    model.insert(subject.clone(), count)
                ),
            }
        }
        check_whole(&tree, &model);
        for filter in &filters {
            let expected: Vec<_> = model
                .iter()
                .filter(|(subject, _)| wildcard::matches(filter, subject))
                .map(|(subject, value)| (subject.clone(), *value))
                .collect();
            prop_assert_eq!(walked(&tree, filter), expected, "{}", String::from_utf8_lossy(filter));
        }
        let set = Filters::new(&filters);
        let mut found = Vec::new();
        let _ = tree.walk_filters(&set, |subject, _| {
            found.push(subject.to_vec());
            ControlFlow::Continue(())
        });
        let expected: Vec<_> = model.keys().filter(|key| set.matches(key)).cloned().collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn many_keys_split_and_merge(keys in prop::collection::vec(0u32..9000, 0..2500), keep in 0u32..4, others in any::<bool>()) {
        let mut tree = Tree::new();
        let mut model = BTreeMap::new();
        // With others among them, the keys of chunks share less than eight bytes.
        let others = if others { "zz." } else { "kv.bucket.key-" };
        let subject = |key: u32| {
            let prefix = if key.is_multiple_of(5) { others } else { "kv.bucket.key-" };
            format!("{prefix}{key}").into_bytes()
        };
        for key in &keys {
            let subject = subject(*key);
            prop_assert_eq!(tree.insert(&subject, *key), model.insert(subject, *key));
        }
        check_whole(&tree, &model);
        let copy = tree.clone();
        let before = model.clone();
        for key in keys.iter().filter(|key| *key % 4 >= keep) {
            let subject = subject(*key);
            prop_assert_eq!(tree.remove(&subject), model.remove(&subject));
        }
        check_whole(&tree, &model);
        check_whole(&copy, &before);
    }
}

#[test]
fn a_walk_visits_matching_branches_only() {
    let mut tree = Tree::new();
    for left in 0..100u32 {
        for right in 0..100u32 {
            tree.insert(format!("a.{left}.{right}").as_bytes(), right);
        }
    }
    let asked = std::cell::Cell::new(0);
    let count = |filter: &'static [u8]| {
        asked.set(0);
        let _ = tree.walk_by(
            &|subject| {
                asked.set(asked.get() + 1);
                seek::seek(filter, subject)
            },
            |_, _| ControlFlow::Continue(()),
        );
        asked.get()
    };
    assert!(count(b"a.7.*") <= 103);
    assert!(count(b"a.*.7") <= 302, "{}", asked.get());
    assert!(count(b"b.>") <= 2);
}

#[test]
fn ascending_subjects_fill_their_chunks() {
    let mut tree = Tree::new();
    for key in 0..10_000u32 {
        tree.insert(format!("kv.{key:08}").as_bytes(), key);
    }
    assert_eq!(tree.chunks.len(), 10_000 / CHUNK_MAX + 1);
}

use proptest::prelude::*;

use super::*;
use crate::entropy::Random;
use crate::wal::crash_tests::{Groups, script};

const GROUP: GroupId = GroupId(1);

fn id(index: u64) -> LogId {
    LogId {
        index,
        ..LogId::default()
    }
}

fn append(indexes: Range<u64>) -> Write {
    let entries = indexes.map(|at| (id(at), Bytes::from(vec![1; 100])));
    Write::Append {
        group: GROUP,
        entries: entries.collect(),
    }
}

/// What counts of each group is in which segments.
#[derive(Default)]
struct Places {
    vote: Option<u64>,
    committed: Option<u64>,
    purged: Option<u64>,
    entries: BTreeMap<u64, u64>,
}

fn check(index: &Index, expected: &Groups) {
    let groups: Vec<GroupId> = expected.keys().copied().collect();
    assert_eq!(index.groups(), groups);
    for (group, known) in expected {
        let state = index.state(*group);
        assert_eq!(state.vote, known.vote);
        assert_eq!(state.committed, known.committed);
        assert_eq!(state.purged, known.purged);
        let last = known.entries.last_key_value().map(|(_, (id, _))| *id);
        assert_eq!(state.last, last.or(known.purged));
        assert_eq!(
            state.first,
            known.entries.first_key_value().map(|(at, _)| *at)
        );
        assert_eq!(state.damage, None);
        let found = index.find(*group, 0..u64::MAX, usize::MAX);
        assert_eq!(found.len(), known.entries.len());
        for (found, (id, payload)) in found.iter().zip(known.entries.values()) {
            assert_eq!(found.id, *id);
            assert_eq!(index.log_id(*group, id.index), Some(*id));
            assert_eq!(found.slot.len as usize, payload.len());
            match &found.payload {
                Some(cached) => assert_eq!(cached, payload),
                None => assert!(
                    found.slot.place.segment().is_some(),
                    "neither here nor there"
                ),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_what_a_plain_model_is(seed in any::<u64>()) {
        let (writes, states) = script(seed, 150);
        let mut random = Random::seeded(seed);
        let mut index = Index::new(4096);
        let mut places: BTreeMap<GroupId, Places> = BTreeMap::new();
        let mut queued = VecDeque::new();
        let mut segment = 1;
        for (at, write) in writes.iter().enumerate() {
            let ticket = at as u64 + 1;
            prop_assert!(index.check(write).is_ok());
            index.take(write, ticket);
            queued.push_back((write, ticket));
            check(&index, &states[at + 1]);
            // What was taken over is written some time later.
            for _ in 0..random.below(3) {
                let Some((write, ticket)) = queued.pop_front() else { break };
                segment += u64::from(random.below(8) == 0);
                let entries = match write {
                    Write::Append { entries, .. } => entries.len() as u64,
                    _ => 0,
                };
                let offsets: Vec<u64> = (0..entries).map(|at| ticket * 100 + at).collect();
                index.written(write, ticket, segment, &offsets);
            }
            let payloads = index.groups.values().flat_map(|known| &known.cached);
            let bytes: usize = payloads.clone().map(|payload| payload.len() + CACHED_EXTRA).sum();
            prop_assert_eq!((index.cached.bytes, index.cached.count), (bytes, payloads.count()));
            if queued.is_empty() {
                prop_assert!(index.cached.bytes <= 4096);
            }
        }
        while let Some((write, ticket)) = queued.pop_front() {
            let offsets = vec![0; 10];
            index.written(write, ticket, segment, &offsets);
        }
        prop_assert!(index.cached.bytes <= 4096);
        check(&index, &states[writes.len()]);
        // The pins, against looking at everything.
        for (group, known) in &index.groups {
            let place = places.entry(*group).or_default();
            (place.vote, place.committed, place.purged) =
                (known.vote_at, known.committed_at, known.purged_at);
            for (at, slot) in (known.first..).zip(&known.slots) {
                place.entries.extend(slot.place.segment().map(|segment| (at, segment)));
            }
            let marks = [place.vote, place.committed, place.purged];
            let all = marks.into_iter().flatten().chain(place.entries.values().copied());
            prop_assert_eq!(known.pinned, all.min());
            if let Some(segment) = known.pinned {
                prop_assert!(index.pins[&segment].contains(group));
            }
        }
        let pins: usize = index.pins.values().map(BTreeSet::len).sum();
        let pinning = index.groups.values().filter(|known| known.pinned.is_some());
        prop_assert_eq!(pins, pinning.count());
        prop_assert!(index.pins.values().all(|groups| !groups.is_empty()));
    }
}

#[test]
fn holes_and_overwriting_are_refused() {
    let mut index = Index::new(0);
    index.take(&append(5..8), 1);
    for (first, fits) in [
        (4, false),
        (7, false),
        (8, true),
        (9, false),
        (u64::MAX, false),
    ] {
        let entries = vec![(id(first), Bytes::new())];
        let write = Write::Append {
            group: GROUP,
            entries,
        };
        assert_eq!(index.check(&write).is_ok(), fits, "{first}");
    }
    index.take(
        &Write::Purge {
            group: GROUP,
            up_to: id(20),
        },
        2,
    );
    assert_eq!(index.state(GROUP).last, Some(id(20)));
    assert!(index.check(&append(20..21)).is_err());
    assert!(index.check(&append(21..23)).is_ok());
}

#[test]
fn what_is_lost_is_told_until_it_is_settled() {
    let place = Place::Written {
        segment: 3,
        offset: 0,
    };
    let lossy = || {
        let mut index = Index::new(1000);
        for at in [1, 2, 5, 6] {
            index.append(GROUP, id(at), Bytes::from_static(b"x"), place);
        }
        index.settle();
        let damage = index.state(GROUP).damage.expect("damage");
        assert_eq!(damage.entries, Some((3, 4)));
        assert_eq!(index.state(GROUP).last, Some(id(6)));
        assert_eq!(index.log_id(GROUP, 3), None);
        let refused = index.check(&append(7..8));
        assert!(matches!(refused, Err(Error::Damaged { index: 3, .. })));
        index
    };
    let mut purged = lossy();
    purged.purge(GROUP, id(4));
    assert_eq!(purged.state(GROUP).damage, None);
    assert!(purged.check(&append(7..8)).is_ok());
    let mut accepted = lossy();
    accepted.accept_damage(GROUP);
    assert_eq!(accepted.state(GROUP).last, Some(id(2)));
    assert_eq!(accepted.state(GROUP).damage, None);
    assert!(accepted.check(&append(3..4)).is_ok());
    // Entries at the end, of which only the directory knows.
    let mut index = lossy();
    index.expect_entries(GROUP, 6, 9);
    let damage = index.state(GROUP).damage.expect("damage");
    assert_eq!(damage.entries, Some((3, 9)));
    assert_eq!(index.state(GROUP).last, Some(id(6)));
}

#[test]
fn a_group_made_again_is_another_one() {
    let mut index = Index::new(0);
    index.take(&append(1..3), 1);
    index.take(&Write::DropGroup { group: GROUP }, 2);
    index.take(&append(1..3), 3);
    index.written(&append(1..3), 1, 9, &[0, 0]);
    assert_eq!(index.queued(GROUP), 1);
    assert_eq!(index.oldest_pinned(), None);
    index.written(&append(1..3), 3, 10, &[0, 0]);
    assert_eq!(index.oldest_pinned(), Some(10));
}

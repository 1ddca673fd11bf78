use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Compares everything that can be asked with a plain set.
fn check(set: &SequenceSet, model: &BTreeSet<u64>) {
    assert_eq!(set.len(), model.len() as u64);
    assert_eq!(set.is_empty(), model.is_empty());
    assert_eq!(set.min(), model.first().copied());
    assert_eq!(set.max(), model.last().copied());
    assert!(set.iter().eq(model.iter().copied()));
    let rebuilt: SequenceSet = model.iter().copied().collect();
    assert_eq!(*set, rebuilt);
    let (mut bytes, mut again) = (Vec::new(), Vec::new());
    set.encode(&mut bytes);
    rebuilt.encode(&mut again);
    assert_eq!(bytes, again, "equal sets have equal bytes");
    let mut rest = &bytes[..];
    assert_eq!(SequenceSet::decode(&mut rest), Ok(set.clone()));
    assert!(rest.is_empty());
    let mut bitmap_end = 0;
    for (start, piece) in &set.pieces {
        assert!(*start >= bitmap_end, "pieces overlap");
        bitmap_end = match piece {
            Piece::Run(end) => *end,
            Piece::Bitmap(_) => window_end(*start),
        };
    }
}

fn check_at(set: &SequenceSet, model: &BTreeSet<u64>, seq: u64) {
    assert_eq!(set.contains(seq), model.contains(&seq));
    assert!(set.iter_from(seq).eq(model.range(seq..).copied()));
    let absent = (seq..).find(|seq| !model.contains(seq)).unwrap();
    assert_eq!(set.next_absent(seq), absent);
    let absent = (0..=seq).rev().find(|seq| !model.contains(seq));
    assert_eq!(set.prev_absent(seq), absent);
    let count = model.range(seq..seq + 700).count() as u64;
    assert_eq!(set.count_in(seq..seq + 700), count);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Range(u64, u64),
    Every(u64, u64),
    Remove(u64),
    RemoveRange(u64, u64),
    RemoveBelow(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let seq = 0u64..4200;
    prop_oneof![
        4 => seq.clone().prop_map(Step::Insert),
        2 => (seq.clone(), 0u64..1500).prop_map(|(at, len)| Step::Range(at, at + len)),
        3 => (seq.clone(), 2u64..40).prop_map(|(at, gap)| Step::Every(at, gap)),
        3 => seq.clone().prop_map(Step::Remove),
        2 => (seq.clone(), 0u64..600).prop_map(|(at, len)| Step::RemoveRange(at, at + len)),
        1 => seq.prop_map(|at| Step::RemoveBelow(at / 4)),
    ]
}

proptest! {
    #[test]
    fn the_set_agrees_with_a_plain_one(
        steps in prop::collection::vec(step(), 0..24),
        probes in prop::collection::vec(0u64..6000, 6),
    ) {
        let mut set = SequenceSet::new();
        let mut model = BTreeSet::new();
        for step in steps {
            match step {
                Step::Insert(seq) => prop_assert_eq!(set.insert(seq), model.insert(seq)),
                Step::Range(start, end) => {
                    set.insert_range(start..end);
                    model.extend(start..end);
                }
                Step::Every(start, gap) => {
                    for seq in (0..50).map(|count| start + count * gap) {
                        prop_assert_eq!(set.insert(seq), model.insert(seq));
                    }
                }
                Step::Remove(seq) => prop_assert_eq!(set.remove(seq), model.remove(&seq)),
                Step::RemoveRange(start, end) => {
                    set.remove_range(start..end);
                    model.retain(|seq| !(start..end).contains(seq));
                }
                Step::RemoveBelow(end) => {
                    set.remove_below(end);
                    model.retain(|seq| *seq >= end);
                }
            }
            check(&set, &model);
        }
        for probe in probes {
            check_at(&set, &model, probe);
        }
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = SequenceSet::decode(&mut &bytes[..]);
    }
}

#[test]
fn long_runs_cost_nothing() {
    let mut set = SequenceSet::new();
    set.insert_range(1..1 << 60);
    set.remove(1 << 40);
    assert_eq!((set.len(), set.pieces.len()), ((1 << 60) - 2, 2));
    set.remove_below(1 << 50);
    assert_eq!(set.min(), Some(1 << 50));
    set.insert_range(0..u64::MAX);
    assert_eq!((set.len(), set.max()), (u64::MAX, Some(u64::MAX - 1)));
    assert!(!set.insert(u64::MAX));
    set.remove_below(u64::MAX);
    assert!(set.is_empty());
}

#[test]
fn scattered_members_become_bitmaps() {
    let set: SequenceSet = (0..100_000).map(|count| count * 2).collect();
    assert_eq!(set.len(), 100_000);
    assert!(set.pieces.len() <= 200_000 / WINDOW as usize + 1);
}

#[test]
fn the_last_window_of_all_numbers_works() {
    let mut set = SequenceSet::new();
    for count in 1..200 {
        set.insert(u64::MAX - count * 2);
    }
    assert_eq!(set.len(), 199);
    assert_eq!(set.iter().count(), 199);
    assert_eq!(set.max(), Some(u64::MAX - 2));
}

#[test]
fn broken_bytes_are_refused() {
    for bytes in [&b""[..], b"\x01", b"\x01\x00\x00", b"\x02\x00\x01\x00\x01"] {
        assert_eq!(SequenceSet::decode(&mut &bytes[..]), Err(DecodeError));
    }
    let mut bytes = vec![1];
    bytes.extend([0xff; 9]);
    bytes.extend([1, 5]);
    assert_eq!(SequenceSet::decode(&mut &bytes[..]), Err(DecodeError));
}

use proptest::prelude::*;

use super::*;

fn append(group: u64, index: u64) -> Header {
    let id = LogId {
        term: 2,
        node: 3,
        index,
    };
    Header {
        kind: Kind::Append,
        group: GroupId(group),
        id: Some(id),
    }
}

/// Encodes payloads of these lengths and gives back the pages and the positions.
fn batch(lens: &[usize]) -> (Vec<u8>, Vec<u64>, BatchHash) {
    let mut encoder = Encoder::default();
    encoder.start(page::salt(1), 5);
    let positions = (lens.iter().enumerate())
        .map(|(at, len)| encoder.push(append(at as u64, at as u64 + 10), &vec![at as u8 + 1; *len]))
        .collect();
    let head = Head {
        seq: 5,
        durable: 4,
        previous: BatchHash(9),
        oldest: 1,
        ..Head::default()
    };
    let (bytes, hash) = encoder.seal(head);
    (bytes.to_vec(), positions, hash)
}

/// Opens all pages but those that are lost.
fn read(bytes: &mut [u8], lost: &[usize]) -> Vec<Record> {
    for page in bytes.chunks_exact_mut(PAGE) {
        page::open(page);
    }
    let pages: Vec<Option<&[u8]>> = (bytes.chunks_exact(PAGE).enumerate())
        .map(|(at, page)| (!lost.contains(&at)).then_some(page))
        .collect();
    records(&pages)
}

#[test]
fn a_batch_says_what_it_is() {
    let (mut bytes, _, hash) = batch(&[10, 9000]);
    assert_eq!(bytes.len(), 3 * PAGE);
    let expected = bytes.chunks_exact(PAGE).map(page::checksum);
    assert_eq!(hash, expected.fold(BatchHash(0), BatchHash::with));
    page::open(&mut bytes[..PAGE]);
    let expected = Head {
        seq: 5,
        pages: 3,
        records: 2,
        bytes: 2 * RECORD as u32 + 9010,
        durable: 4,
        previous: BatchHash(9),
        oldest: 1,
    };
    assert_eq!(head(&bytes[..PAGE], 5), Ok(expected));
    assert_eq!(head(&bytes[PAGE..2 * PAGE], 5), Err(HeadError::NotAHead));
    bytes[CONTENT + 8] = 2;
    assert_eq!(head(&bytes[..PAGE], 5), Err(HeadError::Version(2)));
    assert_eq!(head(&[], 5), Err(HeadError::NotAHead));
}

#[test]
fn records_behind_a_lost_page_are_found() {
    // Record 1 crosses from page 0 over page 1 to page 2.
    let lens = [100, 8000, 50, 10];
    for (lost, expected) in [
        (vec![], vec![0, 1, 2, 3]),
        (vec![1], vec![0, 2, 3]),
        (vec![0], vec![2, 3]),
        (vec![0, 1], vec![2, 3]),
        (vec![2], vec![0]),
        (vec![0, 1, 2], vec![]),
    ] {
        let (mut bytes, positions, _) = batch(&lens);
        let found = read(&mut bytes, &lost);
        let groups: Vec<u64> = found.iter().map(|record| record.header.group.0).collect();
        assert_eq!(groups, expected, "without {lost:?}");
        for record in found {
            let at = record.header.group.0 as usize;
            assert_eq!(record.position, positions[at]);
            assert_eq!(record.payload, vec![at as u8 + 1; lens[at]]);
        }
    }
}

proptest! {
    #[test]
    fn what_is_packed_is_found(lens in proptest::collection::vec(0usize..9000, 1..20)) {
        let (mut bytes, positions, _) = batch(&lens);
        let packed = lens.iter().map(|len| len + RECORD).sum();
        prop_assert_eq!(bytes.len() as u64, footprint(packed));
        prop_assert!(capacity(bytes.len() as u64) >= packed);
        let found = read(&mut bytes, &[]);
        prop_assert_eq!(found.len(), lens.len());
        for (at, record) in found.iter().enumerate() {
            prop_assert_eq!(record.header, append(at as u64, at as u64 + 10));
            prop_assert_eq!(record.position, positions[at]);
            prop_assert_eq!(&record.payload[..], &vec![at as u8 + 1; lens[at]][..]);
        }
    }

    #[test]
    fn no_bytes_confuse_the_reader(bytes in proptest::collection::vec(any::<u8>(), PAGE)) {
        records(&[Some(&bytes), None, Some(&bytes), Some(&bytes[..100])]);
        let _ = head(&bytes, 1);
    }

    #[test]
    fn page_ends_are_met_exactly(gap in 0usize..90, tail in 0usize..2) {
        let lens = [PAGE - FIRST_CONTENT - RECORD - gap.min(80), tail, 5];
        let (mut bytes, positions, _) = batch(&lens);
        prop_assert_eq!(bytes.len() as u64, footprint(lens.iter().map(|len| len + RECORD).sum()));
        let found = read(&mut bytes, &[]);
        prop_assert_eq!(found.len(), positions.len());
        for (record, position) in found.iter().zip(positions) {
            prop_assert!(record.payload.is_empty() || record.position == position);
        }
    }
}

use proptest::prelude::*;

use super::*;
use crate::filestore::scribe::{GROUP, Scribe};
use crate::vfs::sim::SimVfs;
use crate::wal::page::content_after;

const PATH: &str = "/data/7/block-0000000000000001-0";

/// A stitched file of random content, and that content.
struct Made {
    vfs: SimVfs,
    file: Opened,
    content: Vec<u8>,
    /// Where pieces begin, and where the last one ends.
    starts: Vec<u64>,
}

impl Made {
    fn vfs(&self) -> Arc<dyn Vfs> {
        Arc::new(self.vfs.clone())
    }

    fn open(&self) -> Arc<dyn File> {
        open(&self.vfs(), Path::new(PATH)).unwrap().file
    }

    fn check(&self, file: &dyn File, from: usize, len: usize) {
        let mut bytes = vec![7; len];
        let read = file.read_at(from as u64, &mut bytes).unwrap();
        let end = self.content.len().min(from + len);
        let expected = self.content.get(from..end).unwrap_or_default();
        assert!(&bytes[..read] == expected, "{from}, {len}");
    }
}

/// Each piece has parts: bytes that are here, bytes that are in the log.
fn made(pieces: &[Vec<(usize, usize)>]) -> Made {
    let vfs = SimVfs::new();
    vfs.create_dir_all(Path::new("/data/7")).unwrap();
    let mut scribe = Scribe::open(Arc::new(vfs.clone()), Path::new("/data/wal"), 12);
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let file = create(&shared, Path::new(PATH)).unwrap();
    let stitched = file.stitched.clone().unwrap();
    let mut content = Vec::new();
    let mut starts = vec![0];
    let mut byte = 0u8;
    let mut next = |len: usize| -> Vec<u8> {
        let fresh = |_| {
            byte = byte.wrapping_mul(5).wrapping_add(13);
            byte | 1
        };
        (0..len).map(fresh).collect()
    };
    for parts in pieces {
        let start = content.len();
        let mut extents = Vec::new();
        for (here, there) in parts {
            content.extend(next(*here));
            if *there == 0 {
                continue;
            }
            // What comes before it in the entry is nobody's business.
            let entry = bytes::Bytes::from([next(3), next(*there)].concat());
            let index = scribe.write(&entry).unwrap();
            let lies = scribe.wal.place(GROUP, index).unwrap();
            let name = link_name("block-0000000000000001-0", lies.segment);
            let linked = scribe
                .wal
                .link(lies.segment, &Path::new(PATH).with_file_name(name));
            assert!(linked.is_ok_and(|()| true) || !extents.is_empty() || start > 0);
            extents.push(Extent {
                at: content.len() as u64,
                len: *there as u32,
                segment: lies.segment,
                offset: content_after(lies.offset, 3),
            });
            content.extend_from_slice(&entry[3..]);
            scribe.purge().unwrap();
        }
        if content.len() > start {
            let appended = stitched.append(start as u64, &content[start..], &extents);
            appended.unwrap();
            starts.push(content.len() as u64);
        }
    }
    Made {
        vfs,
        file,
        content,
        starts,
    }
}

fn parts() -> impl Strategy<Value = Vec<Vec<(usize, usize)>>> {
    let part = (
        0usize..200,
        prop_oneof![Just(0), 1usize..300, 4000usize..9000],
    );
    prop::collection::vec(prop::collection::vec(part, 0..5), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn it_reads_as_if_all_stood_in_it(
        pieces in parts(),
        reads in prop::collection::vec((any::<prop::sample::Index>(), 0usize..20_000), 1..20),
    ) {
        let made = made(&pieces);
        prop_assume!(!made.content.is_empty());
        for file in [Arc::clone(&made.file.file), made.open()] {
            prop_assert_eq!(file.len().unwrap(), made.content.len() as u64);
            for (from, len) in &reads {
                made.check(&*file, from.index(made.content.len() + 10), *len);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let vfs = SimVfs::new();
        vfs.create_dir_all(Path::new("/data/7")).unwrap();
        let piece = Piece { start: 5, len: 100, body_at: 0, body_len: 0, crc: 0 };
        let _ = decode(bytes.clone(), &piece);
        let file = vfs.open(Path::new(PATH), 0o600).unwrap();
        file.write_at(0, &[&MAGIC[..], &bytes].concat()).unwrap();
        let shared: Arc<dyn Vfs> = Arc::new(vfs);
        let mut buffer = [0; 300];
        open(&shared, Path::new(PATH)).unwrap().file.read_at(0, &mut buffer).unwrap();
    }
}

/// Three pieces, each with bytes here and in the log.
fn three() -> Made {
    made(&[
        vec![(50, 700), (9, 0)],
        vec![(60, 5000)],
        vec![(0, 400), (40, 0)],
    ])
}

#[test]
fn damage_stays_in_its_piece() {
    let made = three();
    let len = made
        .vfs
        .open(Path::new(PATH), 0o600)
        .unwrap()
        .len()
        .unwrap();
    for at in 0..len {
        made.vfs.flip(Path::new(PATH), at, 3);
        let file = made.open();
        let mut bytes = vec![7; made.content.len()];
        let read = file.read_at(0, &mut bytes).unwrap();
        let same = made.starts.windows(2).filter(|piece| {
            let piece = piece[0] as usize..piece[1] as usize;
            bytes[..read].get(piece.clone()) == Some(&made.content[piece])
        });
        assert_eq!(same.count(), 2, "byte {at}");
        made.vfs.flip(Path::new(PATH), at, 3);
    }
}

#[test]
fn a_segment_that_is_damaged_or_gone_reads_as_zeros() {
    let made = three();
    let links = made.vfs.list(Path::new("/data/7")).unwrap();
    let links: Vec<PathBuf> = links
        .iter()
        .filter(|name| parse_link(name).is_some())
        .map(|name| Path::new("/data/7").join(name))
        .collect();
    assert!(!links.is_empty());
    let damaged = |made: &Made| {
        let mut bytes = vec![7; made.content.len()];
        made.open().read_at(0, &mut bytes).unwrap();
        let differs = bytes.iter().zip(&made.content).filter(|(a, b)| a != b);
        // What was made has no zero.
        assert!(differs.clone().all(|(read, _)| *read == 0));
        differs.count()
    };
    assert_eq!(damaged(&made), 0);
    let mut harmful = 0;
    for page in 0..12 {
        made.vfs.flip(&links[0], page * 4096 + 300, 1);
        harmful += u32::from(damaged(&made) > 0);
        made.vfs.flip(&links[0], page * 4096 + 300, 1);
    }
    assert!(harmful > 2, "{harmful}");
    for link in &links {
        made.vfs.remove(link).unwrap();
    }
    assert_eq!(damaged(&made), 6100);
    assert!(
        !made
            .vfs
            .list(Path::new("/data/7"))
            .unwrap()
            .iter()
            .any(|name| name.contains('.'))
    );
}

#[test]
fn it_is_cut_at_a_piece_and_goes_on() {
    let mut made = three();
    let opened = open(&made.vfs(), Path::new(PATH)).unwrap();
    opened.file.set_len(made.starts[2] + 1).unwrap();
    assert_eq!(opened.file.len().unwrap(), made.starts[2]);
    made.content.truncate(made.starts[2] as usize);
    made.content.extend_from_slice(b"on");
    let stitched = opened.stitched.unwrap();
    stitched.append(made.starts[2], b"on", &[]).unwrap();
    made.check(&*made.open(), 0, 10_000);
}

#[test]
fn a_piece_that_found_no_room_is_not_there() {
    let mut made = three();
    let stitched = made.file.stitched.clone().unwrap();
    let end = made.content.len() as u64;
    made.vfs.limit(Some(made.vfs.used() + 10));
    assert!(stitched.append(end, &[5; 100], &[]).unwrap_err().is_full());
    made.vfs.limit(None);
    made.check(&*made.open(), 0, 10_000);
    stitched.append(end, &[5; 30], &[]).unwrap();
    made.content.extend_from_slice(&[5; 30]);
    made.check(&*made.open(), 0, 10_000);
}

#[test]
fn names_of_links_come_back() {
    let name = link_name("block-0000000000000001-0", 12);
    assert_eq!(parse_link(&name), Some(("block-0000000000000001-0", 12)));
    for other in ["block-1", "block-1.12", "block-1.x", ".12"] {
        assert_eq!(parse_link(other), None, "{other}");
    }
}

//! What of a stream stays in the log's segments, and when it goes.

use std::path::Path;

use super::scribe::{GROUP, Scribe};
use super::*;
use crate::store::contract::message;
use crate::vfs::sim::SimVfs;

const DIR: &str = "/data/7";

/// A store whose messages come out of a log.
struct Kept {
    vfs: SimVfs,
    log: Scribe,
    store: FileStore,
    checkpoints: u8,
}

impl Kept {
    fn new() -> Kept {
        Kept::with(|options| options.kept_percent_min = 0)
    }

    fn with(change: impl Fn(&mut Options)) -> Kept {
        let vfs = SimVfs::new();
        vfs.create_dir_all(Path::new("/data")).unwrap();
        let mut options = Options {
            block_bytes: 4 << 10,
            buffer_bytes: 1 << 10,
            gain_bytes_min: 300,
            kept_bytes_min: 100,
            pending_bytes: 2 << 10,
            ..Options::new("/data/quarantine".into())
        };
        change(&mut options);
        let log = Scribe::open(Arc::new(vfs.clone()), Path::new("/data/wal"), 8);
        let opened = FileStore::open(Arc::new(vfs.clone()), DIR.into(), options);
        let (mut store, _) = opened.unwrap();
        store.comes_from(log.wal.clone(), GROUP);
        Kept {
            vfs,
            log,
            store,
            checkpoints: 0,
        }
    }

    /// Appends messages with so many bytes of payload.
    fn fill(&mut self, count: u64, len: usize) {
        let first = self.store.state().last_seq.0 + 1;
        for seq in first..first + count {
            let payload = vec![seq as u8; len];
            let message = message(seq, "a", "", &payload);
            self.log.append(&mut self.store, message).unwrap();
            if seq % 7 == 0 {
                self.store.catch_up().unwrap();
            }
        }
    }

    /// A durable checkpoint; the log lets go of what is in it.
    fn checkpoint(&mut self) {
        self.checkpoints += 1;
        let begun = self.store.checkpoint(vec![self.checkpoints]).unwrap();
        begun.complete().unwrap();
        self.log.purge();
    }

    fn names(&self) -> Vec<String> {
        self.vfs.list(Path::new(DIR)).unwrap()
    }

    fn links(&self) -> Vec<String> {
        let mut names = self.names();
        names.retain(|name| stitched::parse_link(name).is_some());
        names
    }

    /// Bytes of block files as they lie there.
    fn written(&self) -> u64 {
        let names = self.names().into_iter();
        let blocks = names.filter(|name| block::parse_name(name).is_some());
        let len = |name: String| {
            let file = self.vfs.open(&Path::new(DIR).join(name), 0o600).unwrap();
            file.len().unwrap()
        };
        blocks.map(len).sum()
    }

    /// Opens the store anew, without a log.
    fn open_again(&mut self) {
        let options = self.store.options.clone();
        let opened = FileStore::open(Arc::new(self.vfs.clone()), DIR.into(), options);
        self.store = opened.unwrap().0;
    }

    fn readable(&mut self, len: usize) -> Vec<u64> {
        let mut found = Vec::new();
        let scanned = self.store.scan(Seq(1), &Filters::all(), &mut |message| {
            assert_eq!(message.payload, vec![message.seq.0 as u8; len]);
            found.push(message.seq.0);
            ControlFlow::Continue(())
        });
        scanned.unwrap();
        found
    }
}

#[test]
fn large_payloads_are_not_written_twice_and_outlive_the_log() {
    let mut kept = Kept::new();
    kept.fill(60, 500);
    assert_eq!(kept.readable(500).len(), 60, "before they are in a file");
    kept.checkpoint();
    // The first segment tells that most of it is this stream's.
    assert!(kept.written() < 60 * 500 / 2, "{}", kept.written());
    assert!(kept.links().len() > 5, "{:?}", kept.links());
    // The log goes round and round.
    for index in 0..60 {
        kept.log.write(&vec![index; 3000].into()).unwrap();
        kept.log.purge();
    }
    kept.open_again();
    assert_eq!(kept.readable(500), (1..=60).collect::<Vec<u64>>());
    assert_eq!(kept.store.health().lost, 0);
    kept.fill(5, 500);
    assert_eq!(kept.readable(500).len(), 65);
}

#[test]
fn what_waits_to_be_put_is_read_and_removed_like_everything_else() {
    // All waits; what is above that waits no longer.
    for pending_bytes in [1 << 20, 2 << 10] {
        let mut kept = Kept::with(|options| {
            options.kept_percent_min = 0;
            options.pending_bytes = pending_bytes;
        });
        kept.fill(40, 500);
        let waits = kept.store.pending.bytes();
        assert!(waits > 0 && waits < 5 * pending_bytes, "{waits}");
        let found = kept.store.get(Seq(40)).unwrap().expect("it is there");
        assert_eq!(found.payload, vec![40; 500]);
        assert!(kept.store.pending.is_empty());
        kept.fill(2, 500);
        assert!(kept.store.remove_of(b"a", Seq(42)).unwrap());
        kept.fill(2, 500);
        assert!(kept.store.remove(Seq(43), false).unwrap().is_some());
        kept.fill(2, 500);
        let truncated = kept.store.truncate_front(Seq(46), &mut |_, _| {});
        assert_eq!(truncated.unwrap(), 43);
        assert_eq!(kept.readable(500), [46]);
        kept.fill(30, 500);
        kept.store.rest().unwrap();
        kept.fill(30, 500);
        kept.checkpoint();
        kept.open_again();
        assert_eq!(kept.readable(500), (46..=106).collect::<Vec<u64>>());
        assert_eq!(kept.store.health().lost, 0);
    }
}

#[test]
fn what_nobody_reads_is_not_copied() {
    let mut kept = Kept::new();
    kept.fill(60, 500);
    assert!(kept.store.pending.bytes() < 8 << 10);
    // But for the first message of each block, of seven.
    let copied = kept.store.reader.ends_bytes();
    assert!(copied < 60 * 600 / 5, "{copied}");
    let hash = kept.store.hasher.as_ref().map(|hasher| hasher.finish());
    assert!(hash.is_some(), "nor read again to be hashed");
    kept.checkpoint();
    for _ in 0..kept.store.blocks.len() {
        let scrubbed = kept.store.scrub().unwrap();
        assert!(scrubbed.is_some_and(|block| block.is_intact), "by its hash");
    }
}

#[test]
fn small_payloads_and_those_among_others_are_written_again() {
    let mut kept = Kept::new();
    kept.fill(60, 99);
    kept.checkpoint();
    assert_eq!(kept.links(), [""; 0]);
    let mut kept = Kept::with(|_| ());
    // Each batch takes a page of the log: an eighth of that is the payload.
    kept.fill(60, 500);
    kept.checkpoint();
    assert_eq!(kept.links(), [""; 0]);
    kept.fill(60, 3000);
    kept.checkpoint();
    assert!(!kept.links().is_empty());
}

#[test]
fn what_is_larger_than_all_that_is_kept_of_ends_is_read_from_the_disk() {
    let mut reader = reader::Reader::default();
    let block = Block::new(Seq(1));
    for len in [1 << 19, 1 << 19, 1 << 18, (1 << 20) + 1, 1 << 20] {
        let free = reader.keep(&block, 0, vec![1; len]);
        assert!(free.is_empty());
    }
    assert_eq!(reader.ends_bytes(), 1 << 20);
}

#[test]
fn a_log_that_cannot_be_linked_is_no_failure() {
    let mut kept = Kept::new();
    let other = SimVfs::new();
    // A disk of its own: its segments are not here.
    kept.log = Scribe::open(Arc::new(other), Path::new("/log/wal"), 8);
    kept.store.comes_from(kept.log.wal.clone(), GROUP);
    kept.fill(60, 500);
    kept.checkpoint();
    kept.open_again();
    assert_eq!((kept.readable(500).len(), kept.links().len()), (60, 0));
}

#[test]
fn segments_go_with_the_blocks() {
    let mut kept = Kept::new();
    kept.fill(60, 500);
    kept.checkpoint();
    assert!(!kept.links().is_empty());
    kept.store.truncate_front(Seq(61), &mut |_, _| {}).unwrap();
    // Not before the manifest that does not name them has one before it.
    kept.checkpoint();
    assert!(!kept.links().is_empty());
    kept.checkpoint();
    assert_eq!(kept.links(), [""; 0]);
}

#[test]
fn what_is_erased_leaves_no_segment_behind() {
    let mut kept = Kept::new();
    kept.fill(60, 500);
    kept.checkpoint();
    let of_block = |kept: &Kept| {
        let at = kept.store.block_of(Seq(30)).unwrap();
        kept.store.blocks[at].links.clone()
    };
    let erased = of_block(&kept);
    assert!(!erased.is_empty());
    kept.store.remove(Seq(30), true).unwrap();
    kept.checkpoint();
    let left = kept.links();
    let is_erased = |link: &&String| {
        let (_, segment) = stitched::parse_link(link).unwrap();
        erased.contains(&segment)
    };
    assert_eq!(left.iter().filter(is_erased).count(), 0, "{left:?}");
    assert!(!left.is_empty(), "others stay");
    kept.open_again();
    let expected: Vec<u64> = (1..=60).filter(|seq| *seq != 30).collect();
    assert_eq!(kept.readable(500), expected);
}

#[test]
fn segments_are_not_kept_for_little() {
    let mut kept = Kept::new();
    kept.fill(120, 500);
    kept.checkpoint();
    let before = kept.links().len();
    // One in each block stays, so no block goes, and none is worth it by itself.
    for seq in 1..=120 {
        if seq % 3 == 0 {
            kept.store.remove(Seq(seq), false).unwrap();
        }
    }
    for _ in 0..40 {
        kept.checkpoint();
    }
    let (after, segments) = (kept.links().len(), kept.log.wal.segment_bytes());
    assert!(after < before, "{after} of {before}");
    let live: u64 = kept.store.blocks.iter().map(|block| block.facts.len).sum();
    assert!(
        after as u64 * segments <= 3 * live + 2 * segments,
        "{after}"
    );
    let expected: Vec<u64> = (1..=120).filter(|seq| *seq % 3 != 0).collect();
    assert_eq!(kept.readable(500), expected);
}

#[test]
fn a_damaged_segment_is_told_and_kept_aside() {
    let mut kept = Kept::new();
    kept.fill(60, 500);
    kept.checkpoint();
    let links = kept.links();
    let link = Path::new(DIR).join(links.last().unwrap());
    for page in 0..8 {
        kept.vfs.flip(&link, page * 4096 + 200, 1);
    }
    kept.open_again();
    for _ in 0..kept.store.blocks.len() {
        kept.store.scrub().unwrap();
    }
    let health = kept.store.health();
    assert!(health.lost > 0 && health.damaged_blocks > 0, "{health:?}");
    let readable = kept.readable(500).len() as u64;
    assert_eq!(readable + health.lost, 60);
    let aside = kept.vfs.list(Path::new("/data/quarantine")).unwrap();
    let links = aside
        .iter()
        .filter(|name| stitched::parse_link(name).is_some());
    assert!(links.count() > 0, "{aside:?}");
}

use std::path::Path;

use super::*;
use crate::store::contract::{self, Harness, message};
use crate::vfs::real::RealVfs;

/// A store in a directory of its own; small blocks, so that there are many.
struct InDir {
    root: tempfile::TempDir,
    store: Option<FileStore>,
    checkpoints: u32,
}

fn options(root: &Path) -> Options {
    Options {
        block_bytes: 16 << 10,
        buffer_bytes: 3 << 10,
        ..Options::new(root.join("quarantine"))
    }
}

fn open(root: &Path) -> (FileStore, Option<recovery::Restored>) {
    let opened = FileStore::open(Arc::new(RealVfs), root.join("7"), options(root));
    opened.expect("the store opens")
}

impl InDir {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (store, restored) = open(root.path());
        assert_eq!(restored, None);
        InDir {
            store: Some(store),
            root,
            checkpoints: 0,
        }
    }

    fn open_again(&mut self) -> Option<recovery::Restored> {
        self.store = None;
        let (store, restored) = open(self.root.path());
        self.store = Some(store);
        restored
    }

    fn store(&mut self) -> &mut FileStore {
        self.store.as_mut().unwrap()
    }

    fn files(&self, beginning: &str) -> Vec<PathBuf> {
        let dir = self.root.path().join("7");
        let mut names = RealVfs.list(&dir).unwrap();
        names.retain(|name| name.starts_with(beginning));
        names.into_iter().map(|name| dir.join(name)).collect()
    }

    fn quarantined(&self) -> Vec<String> {
        let dir = self.root.path().join("quarantine");
        RealVfs.list(&dir).unwrap_or_default()
    }

    /// Appends messages with 100 bytes of payload.
    fn fill(&mut self, count: u64) {
        let first = self.store().state().last_seq.0 + 1;
        for seq in first..first + count {
            let payload = [seq as u8; 100];
            let subject = format!("a.{}", seq % 10);
            self.store()
                .append(message(seq, &subject, "", &payload))
                .unwrap();
        }
    }

    fn readable(&mut self) -> Vec<u64> {
        let mut found = Vec::new();
        let scanned = self.store().scan(Seq(1), &Filters::all(), &mut |message| {
            let seq = message.seq.0;
            assert_eq!(message.payload, [seq as u8; 100], "served as appended");
            found.push(seq);
            ControlFlow::Continue(())
        });
        scanned.unwrap();
        found
    }
}

impl Harness for InDir {
    fn store(&mut self) -> &mut dyn MsgStore {
        self.store.as_mut().unwrap()
    }

    fn checkpoint(&mut self) {
        self.checkpoints += 1;
        let state = self.checkpoints.to_le_bytes().to_vec();
        let begun = self.store().checkpoint(state).unwrap();
        begun.complete().unwrap();
    }

    fn reopen(&mut self) -> bool {
        let restored = self.open_again();
        let state = restored.map(|restored| restored.state);
        let expected = (self.checkpoints > 0).then(|| self.checkpoints.to_le_bytes().to_vec());
        assert_eq!(state, expected);
        let health = self.store().health();
        assert_eq!((health.lost, health.damaged_blocks), (0, 0));
        assert_eq!(self.quarantined(), [""; 0]);
        true
    }
}

#[test]
fn the_file_store_keeps_the_contract() {
    contract::scenarios(&mut InDir::new);
}

#[test]
fn the_file_store_agrees_with_the_model() {
    contract::tests::differential(96, &mut InDir::new);
}

#[test]
fn blocks_end_at_the_same_message_whatever_else_happens() {
    let ends = |disturb: &dyn Fn(&mut InDir, u64)| {
        let mut dir = InDir::new();
        for round in 0..40 {
            dir.fill(25);
            disturb(&mut dir, round);
        }
        let blocks = dir.store().blocks.iter();
        let mut ends: Vec<Seq> = blocks.map(|block| block.facts.last).collect();
        ends.dedup();
        ends
    };
    let plain = ends(&|_, _| {});
    assert!(plain.len() > 5);
    let disturbed = ends(&|dir, round| match round % 4 {
        0 => dir.checkpoint(),
        1 => {
            dir.checkpoint();
            dir.reopen();
        }
        2 => {
            dir.store().remove(Seq(round * 25), true).unwrap();
            dir.checkpoint();
        }
        _ => dir.store().rest().unwrap(),
    });
    assert_eq!(plain, disturbed);
}

#[test]
fn erased_bytes_are_gone_after_the_next_checkpoint() {
    let mut dir = InDir::new();
    let secret = b"very secret text";
    let contains = |dir: &InDir| {
        let mut files = dir.files("").into_iter();
        files.any(|path| {
            let content = RealVfs.read(&path, 1 << 30).unwrap();
            content.windows(secret.len()).any(|window| window == secret)
        })
    };
    for sealed in [false, true] {
        let seq = dir.store().state().last_seq.0 + 1;
        dir.store().append(message(seq, "s", "", secret)).unwrap();
        if sealed {
            dir.fill(400);
        }
        dir.checkpoint();
        assert!(contains(&dir));
        dir.store().remove(Seq(seq), true).unwrap();
        dir.checkpoint();
        assert!(!contains(&dir), "sealed: {sealed}");
        dir.fill(100);
    }
    let there = dir.readable();
    dir.checkpoint();
    dir.reopen();
    assert_eq!(dir.readable(), there);
}

#[test]
fn blocks_without_messages_go_once_two_manifests_do_not_name_them() {
    let mut dir = InDir::new();
    dir.fill(1000);
    dir.checkpoint();
    let full = dir.files("block-").len();
    assert!(full >= 9, "{full}");
    dir.store()
        .truncate_front(Seq(990), &mut |_, _| {})
        .unwrap();
    assert_eq!(dir.files("block-").len(), full);
    dir.checkpoint();
    assert_eq!(dir.files("block-").len(), full);
    dir.checkpoint();
    assert_eq!(dir.files("block-").len(), 1);
    assert_eq!(dir.files("manifest-").len(), 2);
}

#[test]
fn mostly_deleted_blocks_are_written_anew() {
    let mut dir = InDir::new();
    dir.store().options.block_bytes = 1 << 20;
    dir.fill(2000);
    for seq in 2..1600 {
        dir.store().remove(Seq(seq), false).unwrap();
    }
    let before = dir.store().health();
    dir.checkpoint();
    let after = dir.store().health();
    assert!(
        after.bytes < before.bytes / 3 && after.dead_bytes == 0,
        "{after:?}"
    );
    let there = dir.readable();
    assert_eq!(there.len(), 402);
    dir.fill(3);
    dir.checkpoint();
    dir.reopen();
    assert_eq!(dir.readable().len(), 405);
}

#[test]
fn a_checkpoint_may_be_completed_late_or_never() {
    let mut dir = InDir::new();
    dir.fill(300);
    let first = dir.store().checkpoint(b"first".to_vec()).unwrap();
    dir.fill(300);
    dir.store()
        .truncate_front(Seq(200), &mut |_, _| {})
        .unwrap();
    let dropped = dir.store().checkpoint(b"dropped".to_vec()).unwrap();
    drop(dropped);
    dir.fill(10);
    let second = dir.store().checkpoint(b"second".to_vec()).unwrap();
    dir.fill(10);
    first.complete().unwrap();
    assert_eq!(dir.open_again().unwrap().state, b"first");
    assert_eq!(dir.readable(), (1..=300).collect::<Vec<_>>());
    drop(second);

    dir.fill(310);
    let first = dir.store().checkpoint(b"first".to_vec()).unwrap();
    let second = dir.store().checkpoint(b"second".to_vec()).unwrap();
    second.complete().unwrap();
    first.complete().unwrap();
    assert_eq!(dir.open_again().unwrap().state, b"second");
    assert_eq!(dir.readable(), (1..=610).collect::<Vec<_>>());
}

/// Flips a bit in place, as a disk would.
fn flip(path: &Path, at: usize) {
    let file = RealVfs.open(path, 0o600).unwrap();
    let at = at as u64 % file.len().unwrap();
    let mut byte = [0];
    file.read_at(at, &mut byte).unwrap();
    file.write_at(at, &[byte[0] ^ 0x10]).unwrap();
}

fn cut(path: &Path, len: u64) {
    RealVfs.open(path, 0o600).unwrap().set_len(len).unwrap();
}

/// Damages a block with 1000 messages around it and looks at what is left.
fn check_damage(which: usize, damage: impl Fn(&Path), lost_max: u64, is_there: bool) {
    for is_open in [false, true] {
        // Nobody looks at a name or a head again while the block is known.
        if is_open && (!is_there || lost_max == 0) {
            continue;
        }
        let mut dir = InDir::new();
        dir.fill(1000);
        dir.checkpoint();
        let path = dir.files("block-")[which].clone();
        if is_open {
            // What was read once may rot later.
            assert_eq!(dir.readable().len(), 1000);
            dir.store().rest().unwrap();
        }
        damage(&path);
        if !is_open {
            dir.open_again();
        }
        let readable = dir.readable();
        let lost: u64 = dir.store().lost().iter().map(|(a, b)| b.0 - a.0 + 1).sum();
        assert_eq!(readable.len() as u64 + lost, 1000);
        assert!(lost <= lost_max, "{lost}");
        let health = dir.store().health();
        assert_eq!((health.lost, health.damaged_blocks), (lost, 1));
        assert_eq!(path.exists(), is_there);
        assert_eq!(dir.quarantined().len(), usize::from(is_there));
        assert_eq!(dir.store().state().messages, 1000, "they should be there");
        for (first, last) in dir.store().lost() {
            let error = dir.store().get(first).unwrap_err();
            assert!(
                matches!(error, Error::Damaged { first: a, last: b } if (a, b) == (first, last))
            );
            let next = dir.store().next(first, &Filters::all()).unwrap();
            assert_eq!(
                next,
                readable
                    .iter()
                    .find(|seq| **seq > last.0)
                    .map(|seq| Seq(*seq))
            );
        }
        // It is remembered, serves the rest, and takes more.
        dir.fill(50);
        dir.checkpoint();
        dir.open_again();
        assert_eq!(dir.store().health().lost, lost);
        assert_eq!(dir.readable().len() as u64 + lost, 1050);
        // And all of it can be removed.
        let mut told = 0;
        let removed = dir.store().truncate_front(Seq(900), &mut |_, _| told += 1);
        assert_eq!((removed.unwrap(), told), (899, 899));
        for seq in 900..=1050 {
            dir.store()
                .remove(Seq(seq), false)
                .unwrap()
                .expect("it is there");
        }
        let state = dir.store().state();
        assert_eq!((state.messages, state.bytes, state.subjects), (0, 0, 0));
        assert_eq!(dir.store().lost(), []);
        dir.checkpoint();
        dir.checkpoint();
        assert_eq!(
            dir.quarantined().len(),
            usize::from(is_there),
            "never deleted"
        );
    }
}

#[test]
fn a_flipped_bit_costs_one_message() {
    for at in [32, 37, 40, 50, 60, 100, 5000, 10_003] {
        check_damage(2, |path| flip(path, at), 1, true);
    }
}

#[test]
fn a_flipped_bit_in_the_head_of_a_block_costs_nothing() {
    check_damage(3, |path| flip(path, 9), 0, true);
}

#[test]
fn a_cut_block_costs_what_was_behind() {
    check_damage(1, |path| cut(path, 8000), 70, true);
    check_damage(1, |path| cut(path, 0), 130, true);
    check_damage(8, |path| cut(path, 1000), 130, true);
}

#[test]
fn a_missing_block_costs_its_messages() {
    check_damage(1, |path| RealVfs.remove(path).unwrap(), 130, false);
    check_damage(8, |path| RealVfs.remove(path).unwrap(), 130, false);
}

#[test]
fn rot_under_an_open_store_is_never_served() {
    let mut dir = InDir::new();
    dir.fill(1000);
    dir.checkpoint();
    assert_eq!(dir.readable().len(), 1000);
    dir.store().rest().unwrap();
    let path = dir.files("block-")[4].clone();
    flip(&path, 7000);
    let readable = dir.readable();
    assert_eq!(readable.len(), 999);
    let (first, last) = dir.store().lost()[0];
    assert_eq!(first, last);
    assert!(!readable.contains(&first.0));
    // Also backward, and one by one.
    let all = &mut Vec::new();
    dir.store()
        .scan(first, &Filters::all(), &mut |message| {
            all.push(message.seq);
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(*all, [first.next()]);
    let refused = dir.store().get(first);
    assert!(matches!(refused, Err(Error::Damaged { .. })));
}

#[test]
fn what_cannot_be_read_is_still_the_last_of_its_subject() {
    let check = |damage_subjects: bool| {
        let mut dir = InDir::new();
        dir.fill(400);
        dir.checkpoint();
        let path = dir.files("block-")[1].clone();
        flip(&path, 7000);
        let known = dir.readable();
        let lost = dir.store().lost()[0].0;
        let subject = format!("a.{}", lost.0 % 10);
        // The last one there ever was of the subject, whether by its name or by a pattern.
        let after: Vec<u64> = known
            .iter()
            .copied()
            .filter(|seq| *seq > lost.0 && seq % 10 == lost.0 % 10)
            .collect();
        for seq in after {
            dir.store().remove(Seq(seq), false).unwrap();
        }
        if damage_subjects {
            dir.store().health.subjects_rebuilt = true;
        }
        for filter in [subject.as_str(), "a.*"] {
            let up_to = match filter {
                "a.*" => lost,
                _ => Seq::MAX,
            };
            let last = dir.store().last(up_to, &Filters::new([filter])).unwrap();
            assert_eq!(last, Some(lost), "{filter}");
        }
        // Others are not concerned.
        let other = format!("a.{}", (lost.0 + 1) % 10);
        let last = dir.store().last(Seq::MAX, &Filters::new([other])).unwrap();
        assert!(last.is_some_and(|last| last > lost));
    };
    check(false);
    check(true);
}

#[test]
fn scrubbing_finds_what_nobody_read() {
    let mut dir = InDir::new();
    dir.fill(1000);
    dir.checkpoint();
    let count = dir.files("block-").len();
    let round = |dir: &mut InDir| -> Vec<bool> {
        let blocks = 0..count;
        blocks
            .map(|_| dir.store().scrub().unwrap().unwrap().is_intact)
            .collect()
    };
    assert_eq!(round(&mut dir), vec![true; count]);
    let path = dir.files("block-")[2].clone();
    flip(&path, 3333);
    let found = round(&mut dir);
    assert_eq!(found.iter().filter(|intact| !**intact).count(), 1);
    assert_eq!(dir.store().health().lost, 1);
}

#[test]
fn a_damaged_manifest_gives_way_to_the_one_before() {
    type Damage = fn(&Path);
    let damages: [Damage; 3] = [
        |path| flip(path, 100),
        |path| cut(path, 50),
        |path| cut(path, 0),
    ];
    for damage in damages {
        let mut dir = InDir::new();
        dir.fill(500);
        dir.checkpoint();
        dir.fill(500);
        dir.store().remove(Seq(3), true).unwrap();
        dir.checkpoint();
        let newest = dir.files("manifest-").pop().unwrap();
        damage(&newest);
        let restored = dir.open_again().unwrap();
        assert_eq!(restored.state, 1u32.to_le_bytes());
        let health = dir.store().health();
        assert!(
            health.fell_back && health.damaged_manifests == 1,
            "{health:?}"
        );
        assert!(
            dir.quarantined()
                .iter()
                .any(|name| name.contains("manifest"))
        );
        // The erased message does not come back; what lay behind is kept aside.
        let mut expected: Vec<u64> = (1..=500).collect();
        expected.retain(|seq| *seq != 3);
        assert_eq!(dir.readable(), expected);
        assert!(dir.quarantined().len() > 1);
        dir.fill(500);
        dir.checkpoint();
        dir.open_again();
        assert_eq!(dir.readable().len(), 999);
        assert_eq!(dir.store().lost(), [(Seq(3), Seq(3))]);
        assert!(!dir.store().health().fell_back);
    }
}

#[test]
fn without_any_intact_manifest_nothing_is_touched() {
    let mut dir = InDir::new();
    dir.fill(500);
    dir.checkpoint();
    dir.fill(500);
    dir.checkpoint();
    for path in dir.files("manifest-") {
        flip(&path, 77);
    }
    let before = dir.files("");
    dir.store = None;
    let root = dir.root.path();
    let opened = FileStore::open(Arc::new(RealVfs), root.join("7"), options(root));
    assert!(matches!(opened.err(), Some(Error::Damaged { .. })));
    assert_eq!(dir.files(""), before);
}

#[test]
fn damaged_figures_of_subjects_are_computed_again() {
    for damage in [
        |path: &Path| flip(path, 5000),
        |path: &Path| RealVfs.remove(path).unwrap(),
    ] {
        let mut dir = InDir::new();
        dir.store().options.block_bytes = 1 << 20;
        for seq in 1..=12_000 {
            let subject = format!("some.long.subject.{}", seq * 7919 % 20_011);
            let payload = [seq as u8; 100];
            dir.store()
                .append(message(seq, &subject, "", &payload))
                .unwrap();
        }
        dir.checkpoint();
        let path = dir.files("subjects-").pop().expect("they are many");
        damage(&path);
        dir.open_again();
        let health = dir.store().health();
        assert!(health.subjects_rebuilt && !health.fell_back);
        assert_eq!(dir.store().state().subjects, 12_000);
        let state = dir
            .store()
            .subject(b"some.long.subject.7919")
            .unwrap()
            .unwrap();
        assert_eq!(state.first, Seq(1));
    }
}

#[test]
fn blocks_without_any_manifest_are_moved_aside() {
    let mut dir = InDir::new();
    dir.fill(500);
    dir.checkpoint();
    for path in dir.files("manifest-") {
        RealVfs.remove(&path).unwrap();
    }
    let blocks = dir.files("block-").len();
    assert_eq!(dir.open_again(), None);
    assert_eq!(dir.quarantined().len(), blocks);
    assert_eq!(dir.store().state().messages, 0);
}

#[test]
fn foreign_files_stay() {
    let mut dir = InDir::new();
    assert!(
        !dir.root.path().join("7").exists(),
        "nothing is written yet"
    );
    RealVfs.create_dir_all(&dir.root.path().join("7")).unwrap();
    let path = dir.root.path().join("7").join("notes.txt");
    RealVfs.write_atomically(&path, b"mine", 0o600).unwrap();
    let left = dir.root.path().join("7").join(".manifest-1.99.tmp");
    RealVfs.write_atomically(&left, b"half", 0o600).unwrap();
    dir.open_again();
    assert_eq!(dir.store().health().unknown_files, 1);
    assert!(path.exists() && !left.exists());
}

#[test]
fn a_full_disk_stops_neither_messages_nor_what_takes_them_away() {
    let vfs = crate::vfs::sim::SimVfs::new();
    let dir = PathBuf::from("/data/7");
    let open = |vfs: &crate::vfs::sim::SimVfs| {
        let opened = FileStore::open(
            Arc::new(vfs.clone()),
            dir.clone(),
            options(Path::new("/data")),
        );
        opened.unwrap().0
    };
    let mut store = open(&vfs);
    let append = |store: &mut FileStore, seq: u64| {
        store
            .append(message(seq, "a", "", &[seq as u8; 1000]))
            .unwrap();
    };
    for seq in 1..=20 {
        append(&mut store, seq);
    }
    store.checkpoint(vec![1]).unwrap().complete().unwrap();
    vfs.limit(Some(vfs.used() + 100));
    // Several blocks of 16 KiB find no room.
    for seq in 21..=90 {
        append(&mut store, seq);
    }
    let check = |store: &mut FileStore, from: u64| {
        for seq in from..=90 {
            let found = store.get(Seq(seq)).unwrap().expect("it is there");
            assert_eq!(&*found.payload, &[seq as u8; 1000], "{seq}");
        }
    };
    check(&mut store, 1);
    assert!(store.remove(Seq(30), true).unwrap().is_some());
    assert!(store.get(Seq(30)).unwrap().is_none());
    let refused = store.checkpoint(vec![2]).map(|_| ()).unwrap_err();
    assert!(vfs::is_full(&refused), "{refused}");
    store.rest().unwrap();
    check(&mut store, 31);
    assert!(
        store
            .scrub()
            .unwrap()
            .is_none_or(|scrubbed| scrubbed.is_intact)
    );

    // What goes makes room, though the checkpoint has none for what is left.
    vfs.limit(None);
    store.checkpoint(vec![3]).unwrap().complete().unwrap();
    check(&mut store, 31);
    assert_eq!(store.health().lost, 0);
    let mut store = open(&vfs);
    check(&mut store, 31);
    assert!(store.get(Seq(30)).unwrap().is_none());
}

#[test]
fn purged_blocks_are_gone_after_two_checkpoints_and_then_none_is_wanted() {
    let mut case = InDir::new();
    case.fill(500);
    case.checkpoint();
    assert!(!case.store().wants_checkpoint());
    let before = case.files("block-").len();
    case.store()
        .truncate_front(Seq(490), &mut |_, _| {})
        .unwrap();
    for wanted in [true, true, false] {
        assert_eq!(case.store().wants_checkpoint(), wanted);
        case.checkpoint();
    }
    assert!(case.files("block-").len() < before / 2);
}

#[test]
fn a_first_manifest_that_did_not_survive_says_all_it_has_to() {
    let mut case = InDir::new();
    case.fill(100);
    let manifest = case.files("manifest-").pop().unwrap();
    for content in [&b""[..], b"other bytes"] {
        RealVfs
            .write_atomically(&manifest, content, vfs::MODE_PRIVATE)
            .unwrap();
        assert_eq!(case.open_again(), None);
        assert_eq!(case.store().state().messages, 0, "the log has them");
        assert_eq!(case.quarantined(), [""; 0]);
        case.fill(100);
    }
    let health = case.store().health();
    let unharmed = Health {
        blocks: health.blocks,
        bytes: health.bytes,
        ..Health::default()
    };
    assert_eq!(health, unharmed);
    case.checkpoint();
    assert!(case.reopen());
    assert_eq!(case.readable().len(), 100);
}

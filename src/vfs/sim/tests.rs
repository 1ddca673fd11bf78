use super::*;
use crate::vfs::MODE_PRIVATE;

fn file(vfs: &SimVfs, name: &str) -> Arc<dyn File> {
    vfs.open(Path::new(name), MODE_PRIVATE).unwrap()
}

fn content(vfs: &SimVfs, name: &str) -> Option<Vec<u8>> {
    vfs.read(Path::new(name), 1 << 20).ok()
}

/// A file whose name and first bytes are durable.
fn disk() -> (SimVfs, Arc<dyn File>) {
    let vfs = SimVfs::new();
    let made = file(&vfs, "a");
    made.write_at(0, b"synced").unwrap();
    made.sync().unwrap();
    vfs.sync_dir(Path::new("")).unwrap();
    (vfs, made)
}

#[test]
fn it_keeps_the_contract() {
    crate::vfs::contract::run(&SimVfs::new(), Path::new("/test"));
}

#[test]
fn what_was_not_synced_is_lost_or_kept() {
    let (vfs, a) = disk();
    a.write_at(0, b"newer!").unwrap();
    file(&vfs, "b").write_at(0, b"b").unwrap();
    let lost = vfs.after_crash(Survival::Nothing);
    assert_eq!(content(&lost, "a").unwrap(), b"synced");
    assert_eq!(content(&lost, "b"), None);
    let kept = vfs.after_crash(Survival::Everything);
    assert_eq!(content(&kept, "a").unwrap(), b"newer!");
    assert_eq!(content(&kept, "b").unwrap(), b"b");
    // A synced file without a synced name is not found.
    file(&vfs, "b").sync().unwrap();
    assert_eq!(content(&vfs.after_crash(Survival::Nothing), "b"), None);
    vfs.sync_dir(Path::new("")).unwrap();
    assert_eq!(
        content(&vfs.after_crash(Survival::Nothing), "b").unwrap(),
        b"b"
    );
}

#[test]
fn directories_need_a_sync_of_the_one_above() {
    let vfs = SimVfs::new();
    let (dir, path) = (Path::new("/top/dir"), Path::new("/top/dir/a"));
    vfs.create_dir_all(dir).unwrap();
    let a = vfs.open(path, MODE_PRIVATE).unwrap();
    a.write_at(0, b"a").unwrap();
    a.sync().unwrap();
    vfs.sync_dir(dir).unwrap();
    let lost = vfs.after_crash(Survival::Nothing);
    assert_eq!(lost.list(Path::new("/top")).unwrap(), [""; 0]);
    assert!(lost.open(path, MODE_PRIVATE).is_err());
    vfs.sync_dir(Path::new("/top")).unwrap();
    let found = vfs.after_crash(Survival::Nothing);
    assert_eq!(found.read(path, 9).unwrap(), b"a");
    vfs.remove(path).unwrap();
    vfs.sync_dir(dir).unwrap();
    vfs.remove_dir(dir).unwrap();
    assert_eq!(
        vfs.after_crash(Survival::Nothing).list(dir).unwrap(),
        [""; 0]
    );
    assert!(vfs.after_crash(Survival::Everything).list(dir).is_err());
}

#[test]
fn renames_and_removals_need_a_sync_too() {
    let (vfs, _) = disk();
    vfs.rename(Path::new("a"), Path::new("b")).unwrap();
    let old = vfs.after_crash(Survival::Nothing);
    assert_eq!(old.list(Path::new("")).unwrap(), ["a"]);
    vfs.sync_dir(Path::new("")).unwrap();
    vfs.remove(Path::new("b")).unwrap();
    let old = vfs.after_crash(Survival::Nothing);
    assert_eq!(old.list(Path::new("")).unwrap(), ["b"]);
    let new = vfs.after_crash(Survival::Everything);
    assert!(new.list(Path::new("")).unwrap().is_empty());
}

#[test]
fn every_kind_of_survival_is_met() {
    let (vfs, a) = disk();
    a.allocate(4 * PAGE as u64).unwrap();
    a.sync().unwrap();
    for byte in 1..4 {
        a.write_at(0, &vec![byte; 3 * PAGE]).unwrap();
    }
    let bytes = |survival| {
        let bytes = content(&vfs.after_crash(survival), "a").unwrap();
        // The byte at each sector's begin; the first one may still be the old text.
        bytes
            .chunks(SECTOR)
            .map(|sector| sector[10])
            .take(24)
            .collect::<Vec<u8>>()
    };
    let mixed = |bytes: &[u8]| bytes.iter().any(|byte| *byte != bytes[0]);
    let pages = |bytes: &[u8]| bytes.chunks(8).all(|page| !mixed(page));
    let (mut prefixes, mut torn, mut some_pages, mut some_sectors, mut last) = (0, 0, 0, 0, 0);
    for seed in 0..50 {
        let found = bytes(Survival::Prefix(seed));
        assert!(!mixed(&found), "{found:?}");
        prefixes += u32::from(found[0] == 1);
        torn += u32::from(!pages(&bytes(Survival::Torn(seed))));
        let found = bytes(Survival::SomePages(seed));
        assert!(pages(&found), "{found:?}");
        some_pages += u32::from(mixed(&found));
        some_sectors += u32::from(!pages(&bytes(Survival::SomeSectors(seed))));
        let found = bytes(Survival::TornLastPage(seed));
        assert!(found[..16].iter().all(|byte| *byte == 3), "{found:?}");
        last += u32::from(found[16..].contains(&2));
        assert_eq!(bytes(Survival::Some(seed)), bytes(Survival::Some(seed)));
    }
    for met in [prefixes, torn, some_pages, some_sectors, last] {
        assert!(met > 5, "{met} of 50");
    }
}

#[test]
fn the_power_fails_at_the_call_that_was_said() {
    for (is_after, survived) in [(false, &b"synced"[..]), (true, b"newer!")] {
        let (vfs, a) = disk();
        let call = vfs.calls() + 2;
        if is_after {
            vfs.cut_after(call);
        } else {
            vfs.cut_before(call);
        }
        a.write_at(0, b"newer!").unwrap();
        assert!(a.sync().is_err());
        assert!(a.write_at(0, b"later!").is_err());
        assert!(content(&vfs, "a").is_none());
        let found = vfs.after_crash(Survival::Nothing);
        assert_eq!(content(&found, "a").unwrap(), survived);
    }
}

#[test]
fn a_failed_sync_loses_what_it_was_to_save() {
    let (vfs, a) = disk();
    a.write_at(0, b"newer!").unwrap();
    vfs.fail(Fault::Sync, 1);
    assert!(a.sync().is_err());
    assert!(a.sync().is_ok());
    assert_eq!(content(&vfs, "a").unwrap(), b"newer!");
    let found = vfs.after_crash(Survival::Everything);
    assert_eq!(content(&found, "a").unwrap(), b"synced");
    vfs.fail(Fault::Read, 2);
    assert!(a.read_at(0, &mut [0]).is_ok());
    assert!(a.read_at(0, &mut [0]).is_err());
    vfs.fail(Fault::Write, 1);
    assert!(a.write_at(0, b"x").is_err());
    assert!(a.write_at(0, b"x").is_ok());
}

#[test]
fn a_full_disk_takes_what_is_allocated_already() {
    let (vfs, a) = disk();
    a.allocate(PAGE as u64).unwrap();
    vfs.limit(Some(PAGE as u64 + 10));
    a.write_at(100, b"fits").unwrap();
    let full = file(&vfs, "b").write_at(0, &[1; 11]).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert_eq!(vfs.space(Path::new("")).unwrap().available, 10);
    vfs.remove(Path::new("a")).unwrap();
    file(&vfs, "b").write_at(0, &[1; 11]).unwrap();
    vfs.limit(None);
    file(&vfs, "b").allocate(1 << 30).unwrap();
    assert_eq!(vfs.pages(Path::new("b")), [0]);
}

#[test]
fn bits_flip() {
    let (vfs, _) = disk();
    vfs.flip(Path::new("a"), 0, 0);
    assert_eq!(content(&vfs, "a").unwrap(), b"rynced");
    vfs.flip(Path::new("a"), 6, 0);
    assert_eq!(
        content(&vfs.after_crash(Survival::Nothing), "a").unwrap(),
        b"rynced"
    );
}

//! What every [`Vfs`] must do: one suite that all of them run.
//!
//! Separate because a simulated disk is worth something only if it behaves like a real one
//! as long as nothing fails.
//!
//! Invariant: a suite uses nothing but the trait, in a directory that is its own.

use std::io::ErrorKind;
use std::path::Path;

use crate::vfs::{Error, MODE_PRIVATE, Vfs};

/// Runs everything in `dir`, which is empty.
pub fn run(vfs: &dyn Vfs, dir: &Path) {
    let parts: [fn(&dyn Vfs, &Path); 7] = [
        files_are_read_and_written_anywhere,
        files_are_appended_to,
        content_is_replaced_whole,
        names_move_and_go,
        a_file_may_have_two_names,
        what_is_not_there_is_not_found,
        locks_exclude,
    ];
    for (number, part) in parts.into_iter().enumerate() {
        let dir = dir.join(format!("part-{number}"));
        vfs.create_dir_all(&dir).expect("a directory");
        part(vfs, &dir);
    }
}

fn files_are_read_and_written_anywhere(vfs: &dyn Vfs, dir: &Path) {
    let path = dir.join("a");
    let file = vfs.open(&path, MODE_PRIVATE).expect("opens");
    assert!(file.is_empty().expect("len"));
    file.write_at(5000, b"far").expect("write");
    file.write_at(0, b"near").expect("write");
    assert_eq!(file.len().expect("len"), 5003);
    let mut buffer = [9; 8];
    assert_eq!(file.read_at(4998, &mut buffer).expect("read"), 5);
    assert_eq!(buffer, *b"\0\0far\x09\x09\x09");
    assert_eq!(file.read_at(9000, &mut buffer).expect("read"), 0);
    file.allocate(8192).expect("allocate");
    file.allocate(100).expect("allocate");
    assert_eq!(file.len().expect("len"), 8192);
    file.set_len(2).expect("truncate");
    file.set_len(6).expect("grow");
    file.sync().expect("sync");
    vfs.sync_dir(dir).expect("sync");
    assert_eq!(vfs.read(&path, 6).expect("read"), b"ne\0\0\0\0");
    // A second handle sees the same file, also when its name is gone.
    let again = vfs.open(&path, MODE_PRIVATE).expect("opens");
    vfs.remove(&path).expect("remove");
    file.write_at(0, b"NE").expect("write");
    let mut buffer = [0; 2];
    again.read_at(0, &mut buffer).expect("read");
    assert_eq!(&buffer, b"NE");
    assert!(vfs.space(dir).expect("space").available > 0);
}

fn files_are_appended_to(vfs: &dyn Vfs, dir: &Path) {
    let path = dir.join("log");
    for (text, len) in [("one ", 4), ("two", 7)] {
        let mut file = vfs.open_append(&path, MODE_PRIVATE).expect("opens");
        file.append(text.as_bytes()).expect("append");
        file.sync().expect("sync");
        assert_eq!(file.len(), len);
    }
    assert_eq!(vfs.read(&path, 7).expect("read"), b"one two");
}

fn content_is_replaced_whole(vfs: &dyn Vfs, dir: &Path) {
    let path = dir.join("pid");
    for content in [&b"1234"[..], b"5", b""] {
        vfs.write_atomically(&path, content, MODE_PRIVATE)
            .expect("write");
        assert_eq!(vfs.read(&path, 10).expect("read"), content);
    }
    assert_eq!(vfs.list(dir).expect("list"), ["pid"]);
    vfs.write_atomically(&path, b"12345", MODE_PRIVATE)
        .expect("write");
    let error = vfs.read(&path, 4).expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    let taken = dir.join("taken");
    vfs.create_dir_all(&taken).expect("mkdir");
    assert!(vfs.write_atomically(&taken, b"", MODE_PRIVATE).is_err());
    assert_eq!(vfs.list(dir).expect("list"), ["pid", "taken"]);
}

fn names_move_and_go(vfs: &dyn Vfs, dir: &Path) {
    let at = |name: &str| dir.join(name);
    vfs.create_dir_all(&at("d/e")).expect("mkdir");
    vfs.create_dir_all(&at("d/e")).expect("mkdir");
    for name in ["b", "a", "c"] {
        vfs.write_atomically(&at(name), name.as_bytes(), MODE_PRIVATE)
            .expect("write");
    }
    vfs.rename(&at("b"), &at("c")).expect("rename");
    assert_eq!(vfs.read(&at("c"), 9).expect("read"), b"b");
    assert_eq!(vfs.list(dir).expect("list"), ["a", "c", "d"]);
    vfs.remove(&at("a")).expect("remove");
    assert_eq!(vfs.list(dir).expect("list"), ["c", "d"]);
}

fn a_file_may_have_two_names(vfs: &dyn Vfs, dir: &Path) {
    let (a, b, c) = (dir.join("a"), dir.join("b"), dir.join("c"));
    let file = vfs.open(&a, MODE_PRIVATE).expect("opens");
    file.write_at(0, b"one").expect("write");
    assert_eq!(file.names().expect("names"), 1);
    vfs.link(&a, &b).expect("link");
    let error = vfs.link(&a, &b).expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let other = vfs.open(&b, MODE_PRIVATE).expect("opens");
    assert_eq!(other.names().expect("names"), 2);
    file.write_at(0, b"two").expect("write");
    assert_eq!(vfs.read(&b, 9).expect("read"), b"two");
    // One name moves, the other one stays.
    vfs.rename(&a, &c).expect("rename");
    assert_eq!(vfs.list(dir).expect("list"), ["b", "c"]);
    vfs.remove(&c).expect("remove");
    assert_eq!(other.names().expect("names"), 1);
    assert_eq!(vfs.read(&b, 9).expect("read"), b"two");
    vfs.remove(&b).expect("remove");
    assert_eq!(vfs.list(dir).expect("list"), [""; 0]);
}

fn what_is_not_there_is_not_found(vfs: &dyn Vfs, dir: &Path) {
    let (a, b) = (dir.join("a"), dir.join("b"));
    let far = dir.join("far").join("a");
    let results: [Result<(), Error>; 8] = [
        vfs.remove(&a),
        vfs.rename(&a, &b),
        vfs.link(&a, &b),
        vfs.list(&a).map(|_| ()),
        vfs.read(&a, 1).map(|_| ()),
        vfs.sync_dir(&a),
        vfs.open(&far, MODE_PRIVATE).map(|_| ()),
        vfs.write_atomically(&far, b"", MODE_PRIVATE),
    ];
    for (number, result) in results.into_iter().enumerate() {
        let kind = result.expect_err("nothing is there").kind();
        assert_eq!(kind, ErrorKind::NotFound, "number {number}");
    }
}

fn locks_exclude(vfs: &dyn Vfs, dir: &Path) {
    let path = dir.join("lock");
    let lock = vfs.lock(&path).expect("lock");
    let error = vfs.lock(&path).map(|_| ()).expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop(lock);
    vfs.lock(&path).expect("free again");
}

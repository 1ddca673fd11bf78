use std::sync::mpsc;

use super::*;
use crate::vfs::real::RealVfs;

const PAGES: u64 = page::PAGE as u64;

fn small() -> Options {
    Options {
        segment_bytes: 12 * PAGES,
        queue_bytes_max: 64 << 10,
        cache_bytes_max: 2 << 10,
        rewrite_bytes_max: 2 << 10,
        on_fatal: Arc::new(|err| panic!("{err}")),
        ..Options::default()
    }
}

fn id(index: u64) -> LogId {
    LogId {
        term: 1,
        node: 7,
        index,
    }
}

fn payload(group: u64, index: u64) -> Bytes {
    let text = format!("group {group} entry {index};");
    Bytes::from(text.repeat(1 + (index % 7) as usize))
}

fn append(group: u64, indexes: Range<u64>) -> Write {
    Write::Append {
        group: GroupId(group),
        entries: indexes.map(|at| (id(at), payload(group, at))).collect(),
    }
}

/// Writes and waits until it is durable.
fn write(wal: &Wal, write: Write) -> Result<(), Error> {
    let (tell, told) = mpsc::channel();
    let done: Done = Box::new(move |result| tell.send(result).expect("somebody waits"));
    wal.write(write, Some(done))?;
    told.recv().expect("told")
}

fn open(dir: &tempfile::TempDir) -> (Wal, RecoveryReport) {
    let dir = dir.path().join("wal");
    Wal::open(Arc::new(RealVfs), dir, small()).expect("opens")
}

fn check_entries(wal: &Wal, group: u64, indexes: Range<u64>) {
    let found = wal
        .entries(GroupId(group), 0..u64::MAX, usize::MAX)
        .expect("readable");
    let expected: Vec<(LogId, Bytes)> = indexes.map(|at| (id(at), payload(group, at))).collect();
    assert_eq!(found, expected, "group {group}");
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, report) = open(&dir);
    assert_eq!(report, RecoveryReport::default());
    for round in 0..30 {
        for group in 1..4 {
            write(&wal, append(group, round * 5 + 1..round * 5 + 6)).unwrap();
        }
    }
    let group = GroupId(2);
    let vote = Bytes::from_static(b"vote");
    write(
        &wal,
        Write::Vote {
            group,
            vote: vote.clone(),
        },
    )
    .unwrap();
    let committed = Some(id(100));
    wal.write(
        Write::Committed {
            group,
            log_id: committed,
        },
        None,
    )
    .unwrap();
    write(
        &wal,
        Write::TruncateAfter {
            group: GroupId(3),
            index: Some(140),
        },
    )
    .unwrap();
    wal.write(
        Write::Purge {
            group: GroupId(1),
            up_to: id(20),
        },
        None,
    )
    .unwrap();
    let expected = [(1, 21..151), (2, 1..151), (3, 1..141)];
    for _ in 0..2 {
        for (group, indexes) in expected.clone() {
            check_entries(&wal, group, indexes);
        }
    }
    wal.close();
    for round in 0..3 {
        let (wal, report) = open(&dir);
        assert!(!report.unclean, "round {round}: {report:?}");
        assert_eq!(wal.groups(), [GroupId(1), GroupId(2), GroupId(3)]);
        for (group, indexes) in expected.clone() {
            check_entries(&wal, group, indexes);
        }
        let state = wal.state(group);
        assert_eq!(state.vote, Some(vote.clone()));
        assert_eq!(state.committed, committed);
        assert_eq!(state.last, Some(id(150)));
        assert_eq!(wal.state(GroupId(1)).purged, Some(id(20)));
        assert_eq!(wal.log_id(GroupId(1), 20), Some(id(20)));
        assert_eq!(wal.log_id(GroupId(1), 19), None);
    }
}

#[test]
fn holes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(&dir);
    write(&wal, append(1, 5..8)).unwrap();
    for first in [4, 7, 9] {
        let refused = wal.write(append(1, first..first + 1), None);
        assert!(matches!(
            refused,
            Err(Error::OutOfOrder { expected: 8, .. })
        ));
    }
    let entries = vec![(id(8), Bytes::from(vec![0; 60 << 10]))];
    let group = GroupId(1);
    let refused = wal.write(Write::Append { group, entries }, None);
    assert!(matches!(refused, Err(Error::TooLarge { .. })));
    check_entries(&wal, 1, 5..8);
}

#[test]
fn a_group_that_had_much_holds_no_segment_once_it_is_small() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(&dir);
    let vote = |group, text: &'static str| Write::Vote {
        group: GroupId(group),
        vote: Bytes::from_static(text.as_bytes()),
    };
    write(&wal, vote(1, "first")).unwrap();
    let mut next = 1;
    while wal.segments() < 3 {
        write(&wal, append(1, next..next + 20)).unwrap();
        next += 20;
    }
    write(&wal, vote(2, "none")).unwrap(); // by then it was found to have too much
    let up_to = id(next - 1);
    let group = GroupId(1);
    write(&wal, Write::Purge { group, up_to }).unwrap();
    // Not enough for another segment, which would be the occasion to look again.
    for text in ["one", "two", "three"] {
        write(&wal, vote(2, text)).unwrap();
    }
    assert_eq!(wal.segments(), 1);
    assert_eq!(wal.state(group).vote.as_deref(), Some(&b"first"[..]));
}

#[test]
fn purged_segments_are_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(&dir);
    write(&wal, append(9, 1..3)).unwrap(); // at rest from here on
    let mut next = 1;
    for _ in 0..200 {
        write(&wal, append(1, next..next + 20)).unwrap();
        next += 20;
        let up_to = id(next - 10);
        wal.write(
            Write::Purge {
                group: GroupId(1),
                up_to,
            },
            None,
        )
        .unwrap();
    }
    let files = RealVfs.list(&dir.path().join("wal")).unwrap().len();
    assert!(files <= 10, "{files} files");
    check_entries(&wal, 9, 1..3);
    check_entries(&wal, 1, next - 9..next);
    wal.close();
    let (wal, report) = open(&dir);
    assert!(!report.unclean && report.damaged.is_empty(), "{report:?}");
    check_entries(&wal, 9, 1..3);
    check_entries(&wal, 1, next - 9..next);
}

#[test]
fn who_holds_old_segments_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(&dir);
    write(&wal, append(1, 1..60)).unwrap(); // too much to be written anew
    for round in 0..40 {
        write(&wal, append(2, round * 20 + 1..round * 20 + 21)).unwrap();
        let up_to = id(round * 20 + 20);
        wal.write(
            Write::Purge {
                group: GroupId(2),
                up_to,
            },
            None,
        )
        .unwrap();
    }
    let pinned = wal.pinned_by();
    assert_eq!(
        pinned.first().map(|(group, _)| group.0),
        Some(1),
        "{pinned:?}"
    );
    assert!(pinned[0].1 >= 3, "{pinned:?}");
}

#[test]
fn segments_may_have_another_size_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let open = |pages: u64| {
        let options = Options {
            segment_bytes: pages * PAGES,
            ..small()
        };
        let opened = Wal::open(Arc::new(RealVfs), dir.path().join("wal"), options);
        opened.expect("opens").0
    };
    let mut next = 1;
    for pages in [40, 12, 40, 4, 24] {
        let wal = open(pages);
        check_entries(&wal, 1, 1..next);
        // So that the last batch lies behind the end of a smaller segment.
        for _ in 0..20 {
            write(&wal, append(1, next..next + 1)).unwrap();
            next += 1;
        }
        check_entries(&wal, 1, 1..next);
        wal.close();
    }
}

#[test]
fn a_segment_with_another_name_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(&dir);
    write(&wal, append(1, 1..5)).unwrap();
    let lies = wal.place(GroupId(1), 3).unwrap();
    let kept = dir.path().join("kept");
    wal.link(lies.segment, &kept).unwrap();
    assert_eq!(wal.place(GroupId(1), 5), None, "not written yet");
    // Many times as much as all segments together.
    let go_on = |wal: &Wal, from: u64| {
        for index in from..from + 300 {
            write(wal, append(1, index..index + 1)).unwrap();
            let up_to = id(index);
            let group = GroupId(1);
            write(wal, Write::Purge { group, up_to }).unwrap();
        }
    };
    go_on(&wal, 5);
    let gone = wal
        .link(lies.segment, &dir.path().join("late"))
        .unwrap_err();
    assert_eq!(gone.kind(), std::io::ErrorKind::NotFound);
    wal.close();
    let (wal, _) = open(&dir);
    go_on(&wal, 305);
    let file = RealVfs.open(&kept, vfs::MODE_PRIVATE).unwrap();
    assert_eq!(file.names().unwrap(), 1);
    let mut reader = Reader::new(lies.segment, file);
    let read = reader.read(lies.offset, lies.len as usize).unwrap();
    assert_eq!(read, payload(1, 3));
}

#[test]
fn a_start_uses_no_segment_that_others_keep() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(&dir);
    write(&wal, append(1, 1..5)).unwrap();
    let lies = wal.place(GroupId(1), 3).unwrap();
    wal.link(lies.segment, &dir.path().join("kept")).unwrap();
    wal.close();
    // As if the log had been done with it when the power failed.
    let home = dir.path().join("wal");
    for name in RealVfs.list(&home).unwrap() {
        if let Some(segment::Name::Segment(number)) = segment::Name::parse(&name) {
            let free = segment::Name::Free(number).path(&home);
            RealVfs.rename(&home.join(name), &free).unwrap();
        }
    }
    RealVfs.remove(&home.join(tail::NAME)).unwrap();
    let (wal, _) = open(&dir);
    write(&wal, append(1, 1..200)).unwrap();
    let file = RealVfs
        .open(&dir.path().join("kept"), vfs::MODE_PRIVATE)
        .unwrap();
    let mut reader = Reader::new(lies.segment, file);
    let read = reader.read(lies.offset, lies.len as usize).unwrap();
    assert_eq!(read, payload(1, 3));
}

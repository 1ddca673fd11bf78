//! What a group does when its log is damaged or gone, the disk is full, or its machine
//! panics.

use std::path::PathBuf;
use std::process::Command as Process;

use futures_util::FutureExt as _;

use super::*;
use crate::clock::Timestamp;
use crate::raft::error::ProposeError;
use crate::raft::toy::{Command, Toy, ToyDisk};
use crate::vfs::sim::{SimVfs, Survival};
use crate::vfs::{self, Vfs as _};
use crate::wal;

const NODE: u64 = 7;
const NOW: Timestamp = Timestamp::from_unix_nanos(1);
const IDS: [GroupId; 2] = [GroupId(3), GroupId(4)];
const DIR: &str = "/wal";
const PAGE: u64 = 4096;

struct Server {
    wal: Wal,
    groups: Groups,
    report: wal::RecoveryReport,
}

impl Server {
    fn open(vfs: &SimVfs) -> Server {
        let options = wal::Options {
            segment_bytes: 32 * PAGE,
            // What was written stays where it was when the log is closed.
            rewrite_bytes_max: 0,
            on_fatal: Arc::new(|err| panic!("{err}")),
            ..wal::Options::default()
        };
        let opened = Wal::open(Arc::new(vfs.clone()), PathBuf::from(DIR), options);
        let (wal, report) = opened.expect("a log");
        let threads = threads(&wal, 1, || async {}).expect("threads");
        let groups = Groups::open(wal.clone(), Options::new(NODE), threads);
        Server {
            wal,
            groups: groups.expect("a configuration"),
            report,
        }
    }

    fn start(&self, id: GroupId, disk: &ToyDisk) -> Result<Group<Toy>, StartError> {
        let (toy, position) = Toy::open(disk);
        self.groups.start(id, toy, position, Storage::Disk)
    }

    async fn stop(self) {
        self.groups.stop().await;
        self.wal.close();
    }
}

async fn add(group: &Group<Toy>, number: u64) -> Result<u64, ProposeError> {
    let outcomes = group.propose(NOW, vec![Command::Add(number)]).await;
    outcomes.map(|outcomes| outcomes[0])
}

fn total(group: &Group<Toy>) -> u64 {
    group.with(|toy| toy.state.total)
}

/// A closed log in which both groups added 1 to 10.
async fn written() -> SimVfs {
    let vfs = SimVfs::new();
    let server = Server::open(&vfs);
    let groups = IDS.map(|id| server.start(id, &ToyDisk::default()).expect("started"));
    for number in 1..=10 {
        for group in &groups {
            add(group, number).await.expect("applied");
        }
    }
    server.stop().await;
    vfs
}

#[tokio::test]
async fn a_group_whose_log_is_damaged_serves_what_is_whole_and_takes_nothing() {
    let written = written().await;
    let names = written.list(DIR.as_ref()).expect("listed");
    let segments = names.iter().filter(|name| name.ends_with(".segment"));
    let prefixes: Vec<u64> = (0..=10).map(|last| last * (last + 1) / 2).collect();
    let (mut damaged, mut whole) = (0, 0);
    for name in segments {
        let path = PathBuf::from(DIR).join(name);
        for page in written.pages(&path) {
            let what = format!("{name} at {page}");
            let vfs = written.after_crash(Survival::Everything);
            vfs.flip(&path, page + 100, 3);
            let disks = IDS.map(|id| (id, ToyDisk::default()));
            let server = Server::open(&vfs);
            for (id, disk) in &disks {
                let id = *id;
                let group = server.start(id, disk).expect("started");
                let applied = total(&group);
                assert!(prefixes.contains(&applied), "{what}: {applied}");
                let Some(damage) = group.damage() else {
                    whole += 1;
                    assert_eq!(applied, 55, "{what}");
                    assert_eq!(add(&group, 1).await, Ok(56), "{what}");
                    continue;
                };
                damaged += 1;
                assert!(
                    server.report.damaged.contains(&(id, damage)),
                    "{what}: {:?}",
                    server.report
                );
                assert_eq!(add(&group, 1).await, Err(ProposeError::Damaged), "{what}");
                if group.position().applied.is_some() {
                    assert!(group.checkpoint().await.is_err(), "{what}");
                }
                assert_eq!(total(&group), applied, "{what}");
                // Somebody takes the loss for settled: it goes on from there.
                group.accept_damage().await.expect("written");
                assert_eq!(add(&group, 1).await, Ok(applied + 1), "{what}");
            }
            server.stop().await;

            let server = Server::open(&vfs);
            assert_eq!(server.report.damaged, [], "{what}");
            for (id, disk) in &disks {
                let group = server.start(*id, disk).expect("started");
                assert!(prefixes.contains(&(total(&group) - 1)), "{what}");
            }
            server.stop().await;
        }
    }
    assert!(damaged > 10 && whole > 10, "{damaged} {whole}");
}

#[tokio::test]
async fn a_log_that_ends_before_the_checkpoint_is_no_start() {
    let (vfs, disk) = (SimVfs::new(), ToyDisk::default());
    let server = Server::open(&vfs);
    let group = server.start(IDS[0], &disk).expect("started");
    add(&group, 1).await.expect("applied");
    group.checkpoint().await.expect("a checkpoint");
    server.stop().await;

    let server = Server::open(&SimVfs::new());
    let (_, position) = Toy::open(&disk);
    let checked = server.groups.check(IDS[0], position, false);
    assert!(matches!(checked, Err(StartError::LogLost { applied: 1 })));
    let started = server.start(IDS[0], &disk).map(|_| ());
    assert!(matches!(started, Err(StartError::LogLost { applied: 1 })));
    // Without a checkpoint only what lies elsewhere tells.
    let checked = server.groups.check(IDS[0], None, false);
    assert_eq!(checked.expect("a new group"), None);
    let checked = server.groups.check(IDS[0], None, true);
    assert!(matches!(checked, Err(StartError::LogLost { .. })));
    server.stop().await;
}

#[tokio::test]
async fn an_end_of_the_log_that_is_gone_is_missed() {
    let written = written().await;
    let names = written.list(DIR.as_ref()).expect("listed");
    let is_used = |name: &&String| !written.pages(&PathBuf::from(DIR).join(name)).is_empty();
    let mut used = names
        .iter()
        .filter(|name| name.ends_with(".segment"))
        .filter(is_used);
    let last = PathBuf::from(DIR).join(used.next_back().expect("a segment"));
    let check = async |vfs: SimVfs, what: &str| {
        for turn in 0..2 {
            let server = Server::open(&vfs);
            let is_unknown = server.report.damage_unknown || turn > 0;
            assert!(is_unknown, "{what}: {:?}", server.report);
            // A group of which not even the beginning is left is not known to the log.
            for id in server.wal.groups() {
                let group = server.start(id, &ToyDisk::default()).expect("started");
                assert!(group.damage().is_some(), "{what}: {id}");
                assert_eq!(add(&group, 1).await, Err(ProposeError::Damaged), "{what}");
            }
            server.stop().await;
        }
    };
    let pages = written.pages(&last);
    for page in pages.iter().skip(1).step_by(3) {
        let vfs = written.after_crash(Survival::Everything);
        let file = vfs.open(&last, vfs::MODE_PRIVATE).expect("opens");
        file.set_len(*page).expect("cut");
        file.sync().expect("synced");
        check(vfs, &format!("cut at {page}")).await;
    }
    let vfs = written.after_crash(Survival::Everything);
    vfs.remove(&last).expect("removed");
    vfs.sync_dir(DIR.as_ref()).expect("synced");
    check(vfs, "removed").await;
}

#[tokio::test]
async fn a_disk_that_fills_up_refuses_and_goes_on_when_there_is_room() {
    let vfs = SimVfs::new();
    let server = Server::open(&vfs);
    let group = server.start(IDS[0], &ToyDisk::default()).expect("started");
    vfs.limit(Some(vfs.used() + 8 * PAGE));
    let many = || vec![Command::Add(1); 100];
    let mut applied = 0;
    let waiting = 'full: loop {
        let mut told = Box::pin(group.propose(NOW, many()));
        loop {
            if let Some(outcomes) = told.as_mut().now_or_never() {
                applied += outcomes.expect("there was room").len() as u64;
                break;
            }
            if server.groups.space().is_exhausted() {
                break 'full told;
            }
            tokio::task::yield_now().await;
        }
        assert!(applied < 1_000_000, "the disk never fills");
    };
    let refused = group.propose(NOW, many()).await;
    assert_eq!(refused, Err(ProposeError::NoSpace));
    assert_eq!(
        total(&group),
        applied,
        "what was acknowledged, and nothing else"
    );
    assert!(group.failure().is_none());

    vfs.limit(None);
    assert_eq!(waiting.await.map(|outcomes| outcomes.len()), Ok(100));
    while server.groups.space().is_exhausted() {
        tokio::task::yield_now().await;
    }
    assert_eq!(add(&group, 1).await, Ok(applied + 101));
    server.stop().await;

    let server = Server::open(&vfs.after_crash(Survival::Nothing));
    let group = server.start(IDS[0], &ToyDisk::default()).expect("started");
    assert_eq!(total(&group), applied + 101);
    server.stop().await;
}

/// Set for the process that is to end.
const CHILD: &str = "NATTER_TEST_CHILD";

#[tokio::test]
async fn a_panic_of_a_machine_ends_the_process() {
    if std::env::var_os(CHILD).is_some() {
        let server = Server::open(&SimVfs::new());
        let group = server.start(IDS[0], &ToyDisk::default()).expect("started");
        let _ = group.propose(NOW, vec![Command::Panic]).await;
        return; // and the test would succeed
    }
    let name = "raft::groups::damage_tests::a_panic_of_a_machine_ends_the_process";
    let mut child = Process::new(std::env::current_exe().expect("this program"));
    let output = child.args(["--exact", name]).env(CHILD, "1").output();
    let output = output.expect("started");
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    assert_eq!(signal, Some(6), "aborted: {output:?}");
}

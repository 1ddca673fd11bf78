use std::path::Path;
use std::sync::atomic::Ordering;

use tempfile::TempDir;

use super::*;
use crate::clock::Timestamp;
use crate::raft::error::{CheckpointError, ProposeError};
use crate::raft::toy::{Command, Toy, ToyDisk};
use crate::vfs::Vfs;
use crate::vfs::real::RealVfs;
use crate::wal;

const NODE: u64 = 7;
const ID: GroupId = GroupId(3);
const NOW: Timestamp = Timestamp::from_unix_nanos(1);

/// A server's log and groups; everything but the disk is gone when it is dropped.
struct Server {
    wal: Wal,
    groups: Groups,
}

impl Server {
    fn open(dir: &Path) -> Server {
        let options = wal::Options {
            segment_bytes: 256 << 10,
            ..wal::Options::default()
        };
        let opened = Wal::open(Arc::new(RealVfs), dir.to_owned(), options);
        let (wal, report) = opened.expect("a log");
        assert_eq!(report.damaged, []);
        let threads = threads(&wal, 2, || async {}).expect("threads");
        let groups =
            Groups::open(wal.clone(), Options::new(NODE), threads).expect("a configuration");
        Server { wal, groups }
    }

    fn start(&self, disk: &ToyDisk) -> Group<Toy> {
        let (toy, position) = Toy::open(disk);
        let started = self.groups.start(ID, toy, position, Storage::Disk);
        started.expect("started")
    }

    async fn stop(self) {
        self.groups.stop().await;
        self.wal.close();
    }
}

fn dir() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

async fn add(group: &Group<Toy>, number: u64) -> u64 {
    let outcomes = group.propose(NOW, vec![Command::Add(number)]).await;
    outcomes.expect("applied")[0]
}

fn total(group: &Group<Toy>) -> u64 {
    group.with(|toy| toy.state.total)
}

#[tokio::test]
async fn a_restart_applies_the_log_before_anybody_reads() {
    let (dir, disk) = (dir(), ToyDisk::default());
    let server = Server::open(dir.path());
    let group = server.start(&disk);
    for number in 1..=10 {
        add(&group, number).await;
    }
    let before = group.position();
    server.stop().await;

    let server = Server::open(dir.path());
    let group = server.start(&disk);
    assert!(!group.is_awake());
    assert_eq!(total(&group), 55);
    assert_eq!(group.position(), before);
    assert_eq!(add(&group, 45).await, 100);
    let applied = group.position().applied.expect("entries");
    assert_eq!(applied.leader_id.term, 1, "a restart elects nobody");
    server.stop().await;
}

#[tokio::test]
async fn a_checkpoint_lets_go_of_the_log() {
    let (dir, disk) = (dir(), ToyDisk::default());
    let server = Server::open(dir.path());
    let group = server.start(&disk);
    add(&group, 1).await;
    add(&group, 2).await;
    group.checkpoint().await.expect("a checkpoint");
    group.checkpoint().await.expect("nothing to do");
    let state = server.wal.state(ID);
    assert_eq!((state.first, state.purged), (None, state.last));
    assert_eq!(add(&group, 4).await, 7);
    server.stop().await;

    let server = Server::open(dir.path());
    let group = server.start(&disk);
    assert_eq!(total(&group), 7);
    assert_eq!(group.with(|toy| toy.state.applied), 3);
    group.checkpoint().await.expect("a checkpoint");
    server.stop().await;

    let server = Server::open(dir.path());
    let group = server.start(&disk);
    assert_eq!(total(&group), 7);
    assert_eq!(add(&group, 1).await, 8);
    server.stop().await;
}

#[tokio::test]
async fn a_log_that_outlived_its_checkpoint_is_let_go() {
    let (dir, copy, disk) = (self::dir(), self::dir(), ToyDisk::default());
    let server = Server::open(dir.path());
    let group = server.start(&disk);
    add(&group, 1).await;
    add(&group, 2).await;
    drop(group);
    server.stop().await;
    for name in RealVfs.list(dir.path()).expect("a directory") {
        let content = RealVfs.read(&dir.path().join(&name), 1 << 30);
        let content = content.expect("a file of the log");
        let written = RealVfs.write_atomically(&copy.path().join(&name), &content, 0o600);
        written.expect("a copy");
    }
    let server = Server::open(dir.path());
    let group = server.start(&disk);
    group.checkpoint().await.expect("a checkpoint");
    drop(group);
    server.stop().await;

    // As if the power had failed before the log was cut.
    let server = Server::open(copy.path());
    assert!(server.wal.state(ID).first.is_some());
    let group = server.start(&disk);
    assert!(!group.is_awake());
    let state = server.wal.state(ID);
    assert_eq!((state.first, state.purged), (None, state.last));
    assert_eq!(total(&group), 3);
    assert_eq!(add(&group, 4).await, 7);
    drop(group);
    server.stop().await;
    let server = Server::open(copy.path());
    assert_eq!(total(&server.start(&disk)), 7);
    server.stop().await;
}

#[tokio::test]
async fn a_checkpoint_that_was_only_begun_counts_for_nothing() {
    let (dir, disk) = (dir(), ToyDisk::default());
    let server = Server::open(dir.path());
    let group = server.start(&disk);
    add(&group, 1).await;
    group.checkpoint().await.expect("a checkpoint");
    add(&group, 2).await;

    disk.refuses.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let refused = group.checkpoint().await;
        assert!(matches!(refused, Err(CheckpointError::Machine(_))));
    }
    assert_eq!(add(&group, 4).await, 7);
    assert!(group.failure().is_none());
    assert_eq!(
        server.wal.state(ID).first,
        Some(2),
        "nothing more was purged"
    );
    // No stop: as if the process had been killed.
    drop((group, server.groups));
    server.wal.close();

    disk.refuses.store(false, Ordering::SeqCst);
    let server = Server::open(dir.path());
    let group = server.start(&disk);
    assert_eq!(total(&group), 7);
    assert_eq!(add(&group, 8).await, 15);
    group.checkpoint().await.expect("a checkpoint");
    server.stop().await;
}

#[tokio::test]
async fn a_log_that_begins_behind_the_machine_is_no_start() {
    let (dir, disk) = (dir(), ToyDisk::default());
    let server = Server::open(dir.path());
    let group = server.start(&disk);
    add(&group, 1).await;
    disk.forgets.store(true, Ordering::SeqCst);
    group.checkpoint().await.expect("so the machine says");
    server.stop().await;

    let server = Server::open(dir.path());
    let (toy, position) = Toy::open(&disk);
    let started = server.groups.start(ID, toy, position, Storage::Disk);
    assert!(matches!(
        started,
        Err(StartError::Hole {
            log_first: 2,
            machine_next: 0
        })
    ));
    server.stop().await;
}

#[tokio::test]
async fn a_group_runs_once_and_again_after_it_was_dropped() {
    let (dir, disk) = (dir(), ToyDisk::default());
    let server = Server::open(dir.path());
    let group = server.start(&disk);
    add(&group, 1).await;
    let (toy, _) = Toy::open(&disk);
    let again = server.groups.start(ID, toy, None, Storage::Disk);
    assert!(matches!(again, Err(StartError::Running(ID))));

    server.groups.drop_group(ID).await.expect("forgotten");
    assert_eq!(server.wal.groups(), []);
    let after = group.propose(NOW, vec![Command::Add(1)]).await;
    assert_eq!(after, Err(ProposeError::Stopped));
    drop(group);
    let group = server.start(&ToyDisk::default());
    assert_eq!(add(&group, 5).await, 5);
    server.stop().await;
}

#[tokio::test]
async fn a_memory_group_is_empty_after_a_restart() {
    let (dir, disk) = (dir(), ToyDisk::default());
    let server = Server::open(dir.path());
    let (toy, _) = Toy::open(&disk);
    let group = server.groups.start(ID, toy, None, Storage::Memory);
    let group = group.expect("started");
    assert_eq!(add(&group, 5).await, 5);
    group.checkpoint().await.expect("nothing to write");
    assert_eq!(server.wal.groups(), [], "nothing of it is on the disk");
    server.stop().await;

    let server = Server::open(dir.path());
    let (toy, position) = Toy::open(&disk);
    assert!(position.is_none());
    let group = server.groups.start(ID, toy, position, Storage::Memory);
    assert_eq!(total(&group.expect("started")), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_full_disk_refuses_before_anything_is_done() {
    let (dir, disk) = (dir(), ToyDisk::default());
    let server = Server::open(dir.path());
    let group = server.start(&disk);
    let waiting = server.groups.space().wait();
    let refused = group.propose(NOW, vec![Command::Add(1)]).await;
    assert_eq!(refused, Err(ProposeError::NoSpace));
    drop(waiting);
    // What does not grow goes on while the keeper has found no room yet.
    assert!(group.is_closed());
    assert_eq!(add(&group, 1).await, 1);
    server.stop().await;
}

#[tokio::test]
async fn an_entry_too_large_for_the_log_harms_nobody() {
    let (dir, disk) = (dir(), ToyDisk::default());
    let server = Server::open(dir.path());
    let group = server.start(&disk);
    let too_many = vec![Command::Add(1); 64 << 10];
    let refused = group.propose(NOW, too_many).await;
    assert_eq!(refused, Err(ProposeError::TooLarge));
    // Together they fit into no segment: openraft may hand them over at once.
    let many = vec![Command::Add(1); 20 << 10];
    let proposals: Vec<_> = (0..6).map(|_| group.propose(NOW, many.clone())).collect();
    for proposal in proposals {
        proposal.await.expect("applied");
    }
    assert_eq!(total(&group), 6 * (20 << 10));
    server.stop().await;
}

#[tokio::test]
async fn the_log_of_a_busy_group_beside_idle_ones_stays_small() {
    let dir = dir();
    let disks: Vec<ToyDisk> = (0..3).map(|_| ToyDisk::default()).collect();
    let server = Server::open(dir.path());
    let start = |server: &Server, at: usize| {
        let (toy, position) = Toy::open(&disks[at]);
        let id = GroupId(10 + at as u64);
        let started = server.groups.start(id, toy, position, Storage::Disk);
        started.expect("started")
    };
    let groups: Vec<_> = (0..3).map(|at| start(&server, at)).collect();
    // More than what is written anew without a checkpoint, in the oldest segment.
    let idle = vec![Command::Add(1); 12 << 10];
    groups[0].propose(NOW, idle).await.expect("applied");
    add(&groups[1], 1).await;
    let many = vec![Command::Add(1); 8 << 10];
    let mut most = 0;
    for _ in 0..200 {
        groups[2].propose(NOW, many.clone()).await.expect("applied");
        server.groups.release_segments(4);
        most = most.max(server.wal.segments());
    }
    // 200 entries of 64 KiB are 50 segments of 256 KiB. What is asked for comes a little later.
    assert!(most < 20, "{most} segments");
    let totals: Vec<u64> = groups.iter().map(total).collect();
    assert_eq!(totals, [12 << 10, 1, 200 * (8 << 10)]);
    drop(groups);
    server.stop().await;

    let server = Server::open(dir.path());
    let groups: Vec<_> = (0..3).map(|at| start(&server, at)).collect();
    assert_eq!(groups.iter().map(total).collect::<Vec<u64>>(), totals);
    assert!(server.wal.segments() <= most);
    server.stop().await;
}

#[tokio::test]
async fn groups_are_asked_for_checkpoints_in_turns() {
    let (dir, disk) = (dir(), ToyDisk::default());
    let server = Server::open(dir.path());
    let group = server.start(&disk);
    add(&group, 1).await;
    let ask = |turn, urgent| server.groups.checkpoint_some(turn, urgent);
    assert_eq!(ask(None, false), 0);
    assert_eq!(ask(None, true), 0, "a toy has nothing to free");
    assert_eq!(ask(Some((ID.0 + 1, 15)), false), 0);
    assert_eq!(ask(Some((ID.0 + 15, 15)), false), 1);
    group.checkpoint().await.expect("a checkpoint");
    assert_eq!(ask(Some((ID.0, 15)), false), 0);
    server.stop().await;
}

#[tokio::test]
async fn who_holds_old_segments_is_checkpointed() {
    let (dir, disk) = (dir(), ToyDisk::default());
    let server = Server::open(dir.path());
    let group = server.start(&disk);
    let many = vec![Command::Add(1); 8 << 10];
    for _ in 0..20 {
        group.propose(NOW, many.clone()).await.expect("applied");
    }
    assert!(
        server
            .wal
            .pinned_by()
            .iter()
            .any(|(id, held)| *id == ID && *held > 1)
    );
    assert_eq!(server.groups.release_segments(2), []);
    let begun = crate::clock::monotonic();
    while server.wal.state(ID).purged.is_none() {
        let waited = crate::clock::monotonic().since(begun);
        assert!(
            waited < std::time::Duration::from_secs(20),
            "waited {waited:?}"
        );
        tokio::task::yield_now().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_closed_log_stops_its_groups() {
    let (dir, disk) = (dir(), ToyDisk::default());
    let server = Server::open(dir.path());
    let group = server.start(&disk);
    add(&group, 1).await;
    server.wal.clone().close();
    let after = group.propose(NOW, vec![Command::Add(1)]).await;
    assert_eq!(after, Err(ProposeError::Stopped));
    // openraft ends by itself, and the group hears of it with one of the next proposals.
    for _ in 0..10_000 {
        let again = group.propose(NOW, vec![Command::Add(1)]).await;
        assert_eq!(again, Err(ProposeError::Stopped));
        if group.failure().is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(group.failure().is_some());
    assert_eq!(total(&group), 1);
    server.groups.stop().await;
}

//! Figures of a group over a log on a real disk. Does nothing unless `NATTER_BENCH_DIR`
//! names a directory there; of use in a release build only:
//!
//! `NATTER_BENCH_DIR=/var/tmp cargo test --release --lib raft::groups::bench -- --nocapture`

use std::collections::VecDeque;
use std::env;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, Timestamp};
use crate::raft::group::{Group, Options};
use crate::raft::groups::{self, Groups, Storage};
use crate::raft::toy::{Command, Toy, ToyDisk};
use crate::vfs::real::RealVfs;
use crate::wal::{self, GroupId, Wal};

const NOW: Timestamp = Timestamp::from_unix_nanos(1);

/// Proposals with so many in flight, each of so many commands.
async fn run(group: &Group<Toy>, what: &str, proposals: usize, in_flight: usize, batch: usize) {
    let commands = vec![Command::Add(1); batch];
    let mut waiting = VecDeque::with_capacity(in_flight);
    let mut took: Vec<Duration> = Vec::with_capacity(proposals);
    let begun = clock::monotonic();
    for done in 0..proposals + in_flight {
        if done < proposals {
            let proposal = group.propose(NOW, commands.clone());
            waiting.push_back((clock::monotonic(), proposal));
        }
        if done >= in_flight - 1
            && let Some((at, proposal)) = waiting.pop_front()
        {
            proposal.await.expect("applied");
            took.push(clock::monotonic().since(at));
        }
    }
    let all = clock::monotonic().since(begun);
    took.sort();
    let per_second = (proposals * batch) as f64 / all.as_secs_f64();
    println!(
        "{what}: {in_flight} in flight, {batch} commands each: p50 {:?}, p99 {:?}, {per_second:.0} commands/s",
        took[took.len() / 2],
        took[took.len() * 99 / 100],
    );
}

async fn measure(group: Group<Toy>, what: &'static str) {
    run(&group, what, 5_000, 1, 1).await;
    run(&group, what, 50_000, 512, 1).await;
    run(&group, what, 5_000, 1, 500).await;
    run(&group, what, 10_000, 8, 500).await;
    let mut woken = Vec::new();
    for _ in 0..50 {
        while group.is_awake() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        let begun = clock::monotonic();
        let proposal = group.propose(NOW, vec![Command::Add(1)]);
        proposal.await.expect("applied");
        woken.push(clock::monotonic().since(begun));
    }
    woken.sort();
    println!(
        "{what}: wake and propose p50 {:?}, max {:?}",
        woken[25], woken[49]
    );
}

#[test]
fn figures() {
    let Some(dir) = env::var_os("NATTER_BENCH_DIR") else {
        return;
    };
    let dir = tempfile::tempdir_in(dir).expect("a directory");
    let vfs = Arc::new(RealVfs);
    let opened = Wal::open(vfs, dir.path().to_owned(), wal::Options::default());
    let (log, _) = opened.expect("a log");
    let options = Options {
        idle: Duration::from_millis(5),
        ..Options::new(1)
    };
    let threads = groups::threads(&log, 1, || async {}).expect("threads");
    let groups = Groups::open(log.clone(), options, threads).expect("threads");
    for (id, what, storage) in [(1, "disk", Storage::Disk), (2, "memory", Storage::Memory)] {
        let (toy, position) = Toy::open(&ToyDisk::default());
        let group = groups.start(GroupId(id), toy, position, storage);
        let group = group.expect("started");
        let (tell, told) = std::sync::mpsc::channel();
        let place = groups.place(GroupId(id));
        place.spawn(async move {
            measure(group, what).await;
            let _ = tell.send(());
        });
        told.recv().expect("measured");
    }
    log.close();
}

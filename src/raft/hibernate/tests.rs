use std::time::Duration;

use crate::clock::{self, Timestamp};
use crate::raft::convert;
use crate::raft::error::ProposeError;
use crate::raft::group::{Group, Options};
use crate::raft::log_store::LogStore;
use crate::raft::replica::Replica;
use crate::raft::settings;
use crate::raft::toy::{Command, Toy, ToyDisk};
use crate::tasks::Place;
use crate::wal::GroupId;

use std::sync::Arc;

const NOW: Timestamp = Timestamp::from_unix_nanos(1);

fn in_memory(idle: Duration) -> Group<Toy> {
    let (toy, _) = Toy::open(&ToyDisk::default());
    let options = Options {
        idle,
        ..Options::new(7)
    };
    let config = Arc::new(settings::of_a_sole_voter().expect("valid"));
    let place = Place::here().expect("a runtime");
    let log = LogStore::in_memory(GroupId(1));
    let replica = Replica::new(toy, None);
    Group::new(GroupId(1), options, config, place, replica, log)
}

/// Lets the other tasks run until the condition holds.
async fn until(mut holds: impl FnMut() -> bool) {
    let begun = clock::monotonic();
    while !holds() {
        let waited = clock::monotonic().since(begun);
        assert!(waited < Duration::from_secs(20), "waited for {waited:?}");
        tokio::task::yield_now().await;
    }
}

/// The instance and its tasks are gone.
async fn asleep(groups: &[Group<Toy>]) {
    until(|| groups.iter().all(|group| !group.is_awake())).await;
    until(|| groups.iter().all(|group| group.place().tasks() == 0)).await;
}

#[tokio::test]
async fn an_idle_group_sleeps_and_is_woken_by_a_proposal() {
    let group = in_memory(Duration::from_millis(5));
    for round in 1..=3 {
        let outcome = group.propose(NOW, vec![Command::Add(1)]).await;
        assert_eq!(outcome, Ok(vec![round]));
        asleep(std::slice::from_ref(&group)).await;
        assert_eq!(group.with(|toy| toy.state.total), round);
    }
    let position = group.position();
    let applied = position.applied.expect("entries");
    assert_eq!(applied.leader_id.term, 1, "waking elects nobody");
    assert_eq!(applied.index, 3, "waking writes nothing");
    let back = convert::position_from_bytes(convert::position_to_bytes(&position));
    assert_eq!(back.expect("a position"), position);
}

#[tokio::test]
async fn proposals_while_falling_asleep_are_answered_in_order() {
    let group = in_memory(Duration::from_micros(1));
    for round in 0..200_u64 {
        let one = group.propose(NOW, vec![Command::Add(1)]);
        for _ in 0..round % 40 {
            tokio::task::yield_now().await;
        }
        let two = group.propose(NOW, vec![Command::Add(1)]);
        let total = 2 * round + 1;
        assert_eq!(one.await, Ok(vec![total]));
        assert_eq!(two.await, Ok(vec![total + 1]));
    }
}

#[tokio::test]
async fn a_thousand_idle_groups_cost_no_task() {
    let idle = Duration::from_millis(1);
    let groups: Vec<Group<Toy>> = (0..1_000).map(|_| in_memory(idle)).collect();
    assert_eq!(groups[0].place().tasks(), 0);
    let wake = |group: &Group<Toy>| group.propose(NOW, vec![Command::Add(1)]);
    let outcomes = futures_util::future::join_all(groups.iter().map(wake)).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(vec![1])));
    asleep(&groups).await;
}

#[tokio::test]
async fn a_stop_while_waking_ends_the_instance() {
    for pause in 0..30 {
        let group = in_memory(Duration::from_secs(10));
        let place = group.place().clone();
        let proposal = group.propose(NOW, vec![Command::Add(1)]);
        for _ in 0..pause {
            tokio::task::yield_now().await;
        }
        group.stop().await;
        let outcome = proposal.await;
        let known = [Ok(vec![1]), Err(ProposeError::Stopped)];
        assert!(known.contains(&outcome), "{outcome:?}");
        until(|| place.tasks() == 0).await;
    }
}

#[tokio::test]
async fn a_dropped_group_leaves_no_task() {
    let group = in_memory(Duration::from_secs(10));
    let place = group.place().clone();
    let outcome = group.propose(NOW, vec![Command::Add(1)]).await;
    assert_eq!(outcome, Ok(vec![1]));
    drop(group);
    until(|| place.tasks() == 0).await;
}

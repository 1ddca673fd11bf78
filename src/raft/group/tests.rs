use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;

use super::*;
use crate::raft::settings;
use crate::raft::toy::{Command, Toy, ToyDisk};

const IDLE: Duration = Duration::from_millis(20);

fn in_memory(disk: &ToyDisk) -> Group<Toy> {
    let (toy, _) = Toy::open(disk);
    let options = Options {
        idle: IDLE,
        checkpoint_bytes_in_memory: 4 << 10,
        ..Options::new(7)
    };
    let config = Arc::new(settings::of_a_sole_voter().expect("valid"));
    let place = Place::here().expect("a runtime");
    let log = LogStore::in_memory(GroupId(1));
    Group::new(
        GroupId(1),
        options,
        config,
        place,
        Replica::new(toy, None),
        log,
    )
}

fn at(nanos: i64) -> Timestamp {
    Timestamp::from_unix_nanos(nanos)
}

#[tokio::test]
async fn outcomes_come_in_the_order_of_the_commands() {
    let group = in_memory(&ToyDisk::default());
    let outcomes = group.propose(at(1), vec![Command::Add(1), Command::Add(10)]);
    assert_eq!(outcomes.await, Ok(vec![1, 11]));
    let outcomes = group.propose(at(1), vec![Command::Add(100)]).await;
    assert_eq!(outcomes, Ok(vec![111]));
    assert_eq!(group.propose(at(2), Vec::new()).await, Ok(Vec::new()));
    assert_eq!(group.with(|toy| toy.state.applied), 3);
}

#[tokio::test]
async fn proposals_in_flight_keep_their_order() {
    let group = in_memory(&ToyDisk::default());
    let proposal = |number| {
        let group = group.clone();
        async move { group.propose(at(0), vec![Command::Add(number)]).await }
    };
    let outcomes: FuturesOrdered<_> = (1..=500).map(proposal).collect();
    let outcomes: Vec<_> = outcomes.collect().await;
    let expected: Vec<_> = (1..=500_u64).map(|n| Ok(vec![n * (n + 1) / 2])).collect();
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn whoever_was_told_has_his_turn_before_the_next_entry() {
    let group = in_memory(&ToyDisk::default());
    let first = group.propose(at(0), vec![Command::Add(1)]).await;
    first.expect("applied");
    // All of them are in the log before anything else of this thread has a turn.
    let proposals = (0..8).map(|_| group.propose(at(0), vec![Command::Add(1)]));
    let told: FuturesOrdered<_> = proposals
        .map(|proposal| {
            let group = group.clone();
            crate::tasks::spawn(async move {
                proposal.await.expect("applied");
                group.with(|toy| toy.state.applied)
            })
        })
        .collect();
    let applied: Vec<_> = told.map(|seen| seen.expect("no panic")).collect().await;
    assert_eq!(applied, (2..=9).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_proposal_whose_future_is_gone_is_applied_all_the_same() {
    let group = in_memory(&ToyDisk::default());
    group
        .propose(at(0), vec![Command::Add(1)])
        .await
        .expect("applied");
    drop(group.propose(at(0), vec![Command::Add(2)]));
    assert_eq!(
        group.propose(at(0), vec![Command::Add(3)]).await,
        Ok(vec![6])
    );
}

#[tokio::test]
async fn time_never_goes_back() {
    let group = in_memory(&ToyDisk::default());
    for (stamp, seen) in [(5, 5), (3, 5), (9, 9)] {
        let proposed = group.propose(at(stamp), vec![Command::Add(1)]).await;
        proposed.expect("applied");
        assert_eq!(group.with(|toy| toy.state.now), at(seen));
    }
}

#[tokio::test]
async fn a_machine_that_fails_stops_its_group() {
    let group = in_memory(&ToyDisk::default());
    group
        .propose(at(0), vec![Command::Add(1)])
        .await
        .expect("applied");
    assert!(group.failure().is_none());
    let broken = group.propose(at(0), vec![Command::Break]).await;
    assert_eq!(broken, Err(ProposeError::Stopped));
    let failure = group.failure().expect("a reason");
    assert_eq!(failure.what, "apply");
    let after = group.propose(at(0), vec![Command::Add(1)]).await;
    assert_eq!(after, Err(ProposeError::Stopped));
    assert_eq!(group.with(|toy| toy.state.total), 1);
}

#[tokio::test]
async fn a_machine_that_cannot_catch_up_stops_and_is_asked_no_more() {
    let group = in_memory(&ToyDisk::default());
    let before = group.propose(at(0), vec![Command::Add(1)]).await;
    assert_eq!((before, group.is_behind()), (Ok(vec![1]), false));
    group.with(|toy| toy.is_behind = true);
    assert!(group.is_behind());
    group.catch_up();
    assert!(
        !group.is_behind(),
        "whoever waits for that would turn round for ever"
    );
    let failure = group.failure().expect("a reason");
    assert!(failure.cause.to_string().contains("catch up"), "{failure}");
    let after = group.propose(at(0), vec![Command::Add(1)]).await;
    assert_eq!(after, Err(ProposeError::Stopped));
}

#[tokio::test]
async fn a_stopped_group_refuses() {
    let group = in_memory(&ToyDisk::default());
    group
        .propose(at(0), vec![Command::Add(1)])
        .await
        .expect("applied");
    group.clone().stop().await;
    let after = group.propose(at(0), vec![Command::Add(1)]).await;
    assert_eq!(after, Err(ProposeError::Stopped));
    assert!(group.failure().is_none());
    let checkpoint = group.checkpoint().await;
    assert!(checkpoint.is_err());
}

#[tokio::test]
async fn a_log_in_memory_is_purged_by_itself() {
    let group = in_memory(&ToyDisk::default());
    for _ in 0..2_000 {
        group
            .propose(at(0), vec![Command::Add(1)])
            .await
            .expect("applied");
    }
    group.checkpoint().await.expect("nothing to write");
    let state = group.inner.log.state();
    assert_eq!(state.first, None);
    assert_eq!(state.purged, state.last);
    group
        .propose(at(0), vec![Command::Add(1)])
        .await
        .expect("applied");
    assert_eq!(group.with(|toy| toy.state.total), 2_001);
}

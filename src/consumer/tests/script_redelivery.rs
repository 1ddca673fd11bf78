//! Acknowledgements, floors, redelivery.

use super::script::check;
use super::world::{SECOND, World, at, pull, show};
use crate::consumer::command::Command;
use crate::consumer::config::{AckPolicy, Config};
use crate::store::memory::MemoryStore;
use crate::store::message::Seq;

#[test]
fn an_unacknowledged_message_comes_again_before_new_ones() {
    check(
        pull(),
        r#"
        t=0 store a; store a; store a
        t=0 pull x 2                    -> x 1 n=1 c=1 p=2, x 2 n=1 c=2 p=1
        t=29 tick
        t=30 tick
        t=30 pull x 3                   -> x 1 n=2 c=3 p=1, x 2 n=2 c=4 p=1, x 3 n=1 c=5 p=0
        t=30 info                       -> d=5/3 f=0/0 ap=3 rd=2 p=0 w=0
        t=31 ack 1                      -> ok
        t=31 info                       -> d=5/3 f=1/1 ap=2 rd=1 p=0 w=0
        "#,
    );
}

#[test]
fn floors_rise_over_what_is_settled() {
    check(
        pull(),
        r#"
        t=0 store a; store a; store a; store a
        t=0 pull x 4    -> x 1 n=1 c=1 p=3, x 2 n=1 c=2 p=2, x 3 n=1 c=3 p=1, x 4 n=1 c=4 p=0
        t=0 ack 2; info -> ok, d=4/4 f=0/0 ap=3 rd=0 p=0 w=0
        t=0 ack 1; info -> ok, d=4/4 f=2/2 ap=2 rd=0 p=0 w=0
        t=0 rm 3; info  -> d=4/4 f=3/3 ap=1 rd=0 p=0 w=0
        t=0 ack 1       -> ok!
        t=0 ack 9
        t=0 ack 4; info -> ok, d=4/4 f=4/4 ap=0 rd=0 p=0 w=0
        "#,
    );
}

#[test]
fn a_nak_brings_it_again_at_once_or_after_its_delay() {
    check(
        pull(),
        r#"
        t=0 store a; store a; store a
        t=0 pull x 9    -> x 1 n=1 c=1 p=2, x 2 n=1 c=2 p=1, x 3 n=1 c=3 p=0
        t=1 nak 2       -> ok, !Naked, x 2 n=2 c=4 p=0
        t=1 nak 1 5s    -> ok, !Naked
        t=1 nak 3 {"delay":4000000000} -> ok, !Naked
        t=4.9 tick
        t=5 tick        -> x 3 n=2 c=5 p=0
        t=6 tick        -> x 1 n=2 c=6 p=0
        t=7 ack 1; nak 1 -> ok, ok!
        "#,
    );
}

#[test]
fn progress_begins_the_wait_anew() {
    check(
        pull(),
        r#"
        t=0 store a; pull x 9   -> x 1 n=1 c=1 p=0
        t=20 wpi 1              -> ok
        t=40 wpi 1              -> ok
        t=69 tick
        t=70 tick               -> x 1 n=2 c=2 p=0
        "#,
    );
}

#[test]
fn progress_takes_it_off_the_queue() {
    check(
        pull(),
        r#"
        t=0 store a; pull x     -> x 1 n=1 c=1 p=0
        t=30 tick
        t=31 wpi 1; pull x      -> ok
        t=61 tick               -> x 1 n=2 c=2 p=0
        "#,
    );
}

#[test]
fn backoff_replaces_the_ack_wait() {
    let config = Config {
        backoff: vec![SECOND, 3 * SECOND],
        max_deliver: 4,
        ..pull()
    };
    check(
        config,
        r#"
        t=0 store a; pull x 9   -> x 1 n=1 c=1 p=0
        t=1 tick                -> x 1 n=2 c=2 p=0
        t=3.9 tick
        t=4 tick                -> x 1 n=3 c=3 p=0
        t=7 tick                -> x 1 n=4 c=4 p=0
        t=9.9 tick
        t=10 tick               -> !MaxDeliver
        t=99 tick; info         -> d=4/1 f=4/1 ap=0 rd=1 p=0 w=1
        t=99 ack 1; info        -> ok, d=4/1 f=4/1 ap=0 rd=0 p=0 w=1
        "#,
    );
}

#[test]
fn what_was_delivered_often_enough_is_given_up_without_a_request() {
    let config = Config {
        max_deliver: 1,
        ..pull()
    };
    check(
        config,
        r#"
        t=0 store a; store a; pull x 2  -> x 1 n=1 c=1 p=1, x 2 n=1 c=2 p=0
        t=1 nak 1                       -> ok, !Naked, !MaxDeliver
        t=30 tick                       -> !MaxDeliver
        t=30 info                       -> d=2/2 f=2/2 ap=0 rd=0 p=0 w=0
        "#,
    );
}

#[test]
fn a_termination_settles_and_is_told() {
    check(
        pull(),
        r#"
        t=0 store a; pull x 9   -> x 1 n=1 c=1 p=0
        t=1 term 1 no good      -> ok, !Terminated
        t=2 term 1              -> ok!
        t=40 info               -> d=1/1 f=1/1 ap=0 rd=0 p=0 w=1
        "#,
    );
}

#[test]
fn an_ack_of_all_settles_what_is_below() {
    let config = Config {
        ack_policy: AckPolicy::All,
        ..pull()
    };
    check(
        config,
        r#"
        t=0 store a; store a; store a; store a
        t=0 pull x 4    -> x 1 n=1 c=1 p=3, x 2 n=1 c=2 p=2, x 3 n=1 c=3 p=1, x 4 n=1 c=4 p=0
        t=0 ack 2; info -> ok, d=4/4 f=2/2 ap=2 rd=0 p=0 w=0
        t=0 ack 1       -> ok!
        t=30 pull x 1   -> x 3 n=2 c=5 p=0
        t=30 ack 4; info -> ok, d=5/4 f=5/4 ap=0 rd=0 p=0 w=0
        "#,
    );
}

#[test]
fn max_ack_pending_holds_back_new_messages_only() {
    let config = Config {
        max_ack_pending: 2,
        ..pull()
    };
    check(
        config,
        r#"
        t=0 store a; store a; store a
        t=0 pull x 9    -> x 1 n=1 c=1 p=2, x 2 n=1 c=2 p=1
        t=30 tick       -> x 1 n=2 c=3 p=1, x 2 n=2 c=4 p=1
        t=31 ack 2      -> ok, x 3 n=1 c=5 p=0
        "#,
    );
}

#[test]
fn a_message_that_goes_while_pending_is_settled() {
    check(
        pull(),
        r#"
        t=0 store a; store a; pull x 9  -> x 1 n=1 c=1 p=1, x 2 n=1 c=2 p=0
        t=1 rm 1; info                  -> d=2/2 f=1/1 ap=1 rd=0 p=0 w=1
        t=30 tick                       -> x 2 n=2 c=3 p=0
        "#,
    );
}

#[test]
fn a_replica_refuses_what_no_leader_should_propose() {
    let config = Config {
        max_deliver: 2,
        max_ack_pending: 2,
        ..pull()
    };
    let mut world = World::new(config, MemoryStore::new());
    for _ in 0..4 {
        world.store("a", b"x");
    }
    let mut check = |seqs: &[u64], expected: &[u64]| {
        let command = Command::Deliver(seqs.iter().copied().map(Seq).collect());
        let outcome = world.consumer.apply(at(0), command, &mut world.store);
        let deliveries = outcome.expect("a memory store works").deliveries;
        let taken: Vec<u64> = deliveries.iter().map(|one| one.stream_seq.0).collect();
        assert_eq!(taken, expected, "{seqs:?}");
    };
    check(&[2], &[]); // 1 comes first
    check(&[1], &[1]);
    check(&[1, 1], &[1]);
    check(&[2, 3], &[2]);
    check(&[9], &[]);
}

#[test]
fn a_proposal_that_comes_to_nothing_is_made_again() {
    let mut world = World::new(pull(), MemoryStore::new());
    world.store("a", b"x");
    world.pull("x", "1");
    for _ in 0..2 {
        assert_eq!(world.poll(), []);
        assert_eq!(world.log, [Command::Deliver(vec![Seq(1)])]);
        assert_eq!(world.drop_one(), []);
    }
    assert_eq!(world.settle().len(), 1);
}

#[test]
fn a_lower_max_deliver_gives_up_what_is_above_it() {
    let mut world = World::new(pull(), MemoryStore::new());
    world.store("a", b"x");
    world.pull("x", "9");
    assert_eq!(world.settle().len(), 1);
    world.ack(Seq(1), "-NAK", "");
    assert_eq!(world.settle().len(), 2, "nak and delivery");
    world.now = at(30 * SECOND);
    world
        .dispatcher
        .on_interest_lost(b"x", false, &mut Vec::new());
    assert_eq!(world.settle(), [], "queued");
    let config = Config {
        max_deliver: 2,
        ..pull()
    };
    let updated = world.consumer.update(world.now, config, &mut world.store);
    updated.expect("a memory store works");
    world.dispatcher.on_updated(&world.consumer);
    world.pull("y", "9");
    assert_eq!(
        world.settle().iter().map(show).collect::<Vec<_>>(),
        ["!MaxDeliver"]
    );
}

#[test]
fn a_new_leader_knows_what_waits_but_not_who() {
    check(
        pull(),
        r#"
        t=0 store a; store a; store a; pull x 3 -> x 1 n=1 c=1 p=2, x 2 n=1 c=2 p=1, x 3 n=1 c=3 p=0
        t=1 nak 2                               -> ok, !Naked
        t=1 nak 1 50s                           -> ok, !Naked
        t=2 pull x 9                            -> x 2 n=2 c=4 p=0
        t=3 leader; info                        -> d=4/3 f=0/0 ap=3 rd=1 p=0 w=0
        t=30 pull y 9                           -> y 3 n=2 c=5 p=0
        t=32 tick                               -> y 2 n=3 c=6 p=0
        t=51 tick                               -> y 1 n=2 c=7 p=0
        "#,
    );
}

#[test]
fn a_reset_starts_anew() {
    check(
        pull(),
        r#"
        t=0 store a; store a; store a; pull x 3 -> x 1 n=1 c=1 p=2, x 2 n=1 c=2 p=1, x 3 n=1 c=3 p=0
        t=0 ack 1; reset; info                  -> ok, d=0/1 f=0/1 ap=0 rd=0 p=2 w=0
        t=0 pull x 1                            -> x 2 n=1 c=1 p=1
        t=0 reset 1; info                       -> d=0/0 f=0/0 ap=0 rd=0 p=3 w=0
        t=0 pull x 9                            -> x 1 n=1 c=1 p=2, x 2 n=1 c=2 p=1, x 3 n=1 c=3 p=0
        t=0 reset 100; store a; info            -> d=0/99 f=0/99 ap=0 rd=0 p=0 w=1
        "#,
    );
}

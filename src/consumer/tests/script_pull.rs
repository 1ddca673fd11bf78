//! Pull requests: batches, bytes, times, limits.

use super::script::{check, check_from};
use super::world::{SECOND, pull};
use crate::consumer::config::{AckPolicy, Config, PriorityPolicy};
use crate::store::memory::MemoryStore;

#[test]
fn a_request_is_served_at_once_and_as_messages_come() {
    check(
        pull(),
        r#"
        t=0 store a; store a; store a
        t=0 pull x 2             -> x 1 n=1 c=1 p=2, x 2 n=1 c=2 p=1
        t=0 pull x 2             -> x 3 n=1 c=3 p=0
        t=1 store a              -> x 4 n=1 c=4 p=0
        t=1 store a; info        -> d=4/4 f=0/0 ap=4 rd=0 p=1 w=0
        "#,
    );
}

#[test]
fn requests_are_served_in_turn() {
    check(
        pull(),
        r#"
        t=0 pull x 2; pull y 2; pull z
        t=0 store a              -> x 1 n=1 c=1 p=0
        t=0 store a              -> y 2 n=1 c=2 p=0
        t=0 store a              -> z 3 n=1 c=3 p=0
        t=0 store a; store a     -> x 4 n=1 c=4 p=0, y 5 n=1 c=5 p=0
        t=0 info                 -> d=5/5 f=0/0 ap=5 rd=0 p=0 w=0
        "#,
    );
}

#[test]
fn a_request_expires_with_what_is_left_of_it() {
    check(
        pull(),
        r#"
        t=0 store a
        t=0 pull x {"batch":5,"expires":1000000000}  -> x 1 n=1 c=1 p=0
        t=0.9 tick
        t=1 tick                 -> x <408 Request Timeout|m=4|b=0>
        t=1 pull x {"expires":1000000000}
        t=2 tick                 -> x <408 Request Timeout|m=0|b=0>
        "#,
    );
}

#[test]
fn no_wait_takes_what_is_there() {
    check(
        pull(),
        r#"
        t=0 pull x {"batch":5,"no_wait":true}    -> x <404 No Messages>
        t=0 store a; store a
        t=0 pull x {"batch":5,"no_wait":true}    -> x 1 n=1 c=1 p=1, x 2 n=1 c=2 p=0, x <404 No Messages>
        t=0 pull x {"batch":5,"no_wait":true,"expires":2000000000}
        t=1 store a                              -> x 3 n=1 c=3 p=0, x <404 No Messages>
        t=1 pull x {"batch":5,"no_wait":true,"expires":2000000000}
        t=3 tick                                 -> x <408 Request Timeout|m=5|b=0>
        "#,
    );
}

#[test]
fn no_wait_does_not_compete_with_those_who_wait() {
    let config = Config {
        max_ack_pending: 1,
        ..pull()
    };
    check(
        config,
        r#"
        t=0 store a; store a
        t=0 pull x 5                             -> x 1 n=1 c=1 p=1
        t=0 pull y {"batch":5,"no_wait":true}    -> y <408 Requests Pending>
        "#,
    );
}

#[test]
fn no_wait_waits_while_too_much_is_pending() {
    let config = Config {
        max_ack_pending: 1,
        ..pull()
    };
    check(
        config,
        r#"
        t=0 store a; store a
        t=0 pull x {"batch":2,"no_wait":true}    -> x 1 n=1 c=1 p=1
        t=0 info                                 -> d=1/1 f=0/0 ap=1 rd=0 p=1 w=1
        t=0 ack 1                                -> ok, x 2 n=1 c=2 p=0
        "#,
    );
}

#[test]
fn bytes_end_a_request() {
    // Each is 32: subject 1, ack subject 21, payload 10.
    check(
        pull(),
        r#"
        t=0 store a 10; store a 10; store a 10
        t=0 pull x {"batch":9,"max_bytes":70}   -> x 1 n=1 c=1 p=2, x 2 n=1 c=2 p=1, x <409 Message Size Exceeds MaxBytes|m=7|b=6>
        t=0 pull x {"batch":1,"max_bytes":100}  -> x 3 n=1 c=3 p=0, x <409 Batch Completed|m=0|b=68>
        t=0 pull x {"batch":9,"max_bytes":32}
        t=0 store a 10                          -> x 4 n=1 c=4 p=0
        t=0 info                                -> d=4/4 f=0/0 ap=4 rd=0 p=0 w=0
        t=0 store a 10
        t=0 pull x {"batch":1,"max_bytes":9}    -> x <409 Message Size Exceeds MaxBytes|m=1|b=9>
        "#,
    );
}

#[test]
fn limits_of_requests_are_told() {
    let config = Config {
        max_batch: 5,
        max_expires: 90_500_000_000,
        max_bytes: 1000,
        max_waiting: 2,
        ..pull()
    };
    check(
        config,
        r#"
        t=0 pull x 6                            -> x <409 Exceeded MaxRequestBatch of 5>
        t=0 pull x {"expires":90500000001}      -> x <409 Exceeded MaxRequestExpires of 1m30.5s>
        t=0 pull x {"max_bytes":1001}           -> x <409 Exceeded MaxRequestMaxBytes of 1000>
        t=0 pull x {"expires":1000000000}
        t=0 pull y
        t=0 pull z                              -> z <409 Exceeded MaxWaiting>
        t=0 pull z {"expires":4000000000,"idle_heartbeat":1000000000}
        t=0 info                                -> d=0/0 f=0/0 ap=0 rd=0 p=0 w=2
        t=1 pull z                              -> x <408 Request Timeout|m=0|b=0>
        "#,
    );
}

#[test]
fn bad_requests_are_refused() {
    check(
        pull(),
        r#"
        t=0 pull x {"expires":100,"idle_heartbeat":51}  -> x <400 Bad Request - heartbeat value too large>
        t=0 pull x {"min_pending":1}    -> x <400 Bad Request - Not a Overflow Priority consumer>
        t=0 pull x {"id":"1"}           -> x <400 Bad Request - Not a Pinned Client Priority consumer>
        t=0 pull x {"priority":10}      -> x <400 Bad Request - Priority must be between 0 and 9>
        t=0 pull x {"batch":"x"}        -> x <400 Bad Request - json: cannot unmarshal string into Go struct field .batch of type int>
        t=0 pull x {"expires":"1s"}     -> x <400 Bad Request - json: cannot unmarshal string into Go struct field .expires of type time.Duration>
        t=0 pull x {nope                -> x <400 Bad Request - invalid character 'n' looking for beginning of object key string>
        t=0 pull x {"group":"g","some":{"thing":"else"}}
        t=0 pull x abc
        t=0 store a; store a            -> x 1 n=1 c=1 p=0, x 2 n=1 c=2 p=0
        "#,
    );
}

#[test]
fn heartbeats_go_to_idle_requests() {
    check(
        pull(),
        r#"
        t=0 store a
        t=0 pull x {"batch":5,"expires":10000000000,"idle_heartbeat":1000000000} -> x 1 n=1 c=1 p=0
        t=1 tick                        -> x <100 Idle Heartbeat|lc=1|ls=1>
        t=1.5 store a                   -> x 2 n=1 c=2 p=0
        t=2 tick
        t=2.5 tick                      -> x <100 Idle Heartbeat|lc=2|ls=2>
        "#,
    );
}

#[test]
fn a_request_of_a_lost_client_is_dropped_silently() {
    check(
        pull(),
        r#"
        t=0 pull x 5; pull y 5; pull z 5; gone x
        t=0 gone z imported             -> z <408 Interest Expired|m=5|b=0>
        t=0 store a; store a            -> y 1 n=1 c=1 p=0, y 2 n=1 c=2 p=0
        "#,
    );
}

#[test]
fn overflow_requests_wait_for_their_thresholds() {
    let config = Config {
        priority_policy: PriorityPolicy::Overflow,
        priority_groups: vec!["g".to_owned()],
        ..pull()
    };
    check(
        config,
        r#"
        t=0 pull x {}                                -> x <400 Bad Request - Priority Group missing>
        t=0 pull x {"group":"h"}                     -> x <400 Bad Request - Invalid Priority Group>
        t=0 pull x {"group":"g","min_pending":2}
        t=0 pull y {"group":"g","min_ack_pending":1}
        t=0 store a
        t=0 store a                                  -> x 1 n=1 c=1 p=1, y 2 n=1 c=2 p=0
        t=0 pull x {"group":"g","min_pending":2}; pull z {"group":"g"}
        t=0 store a                                  -> z 3 n=1 c=3 p=0
        "#,
    );
}

#[test]
fn next_acknowledges_and_asks() {
    check(
        pull(),
        r#"
        t=0 store a; store a; store a
        t=0 pull x                      -> x 1 n=1 c=1 p=2
        t=0 nxt 1 {"batch":2}           -> r 2 n=1 c=2 p=1, r 3 n=1 c=3 p=0
        t=0 info                        -> d=3/3 f=1/1 ap=2 rd=0 p=0 w=0
        "#,
    );
}

#[test]
fn a_pause_stops_everything_but_the_clock() {
    check(
        pull(),
        r#"
        t=0 store a; store a
        t=0 pull x                      -> x 1 n=1 c=1 p=1
        t=1 pause 40                    -> !Pause
        t=1 pull x {"no_wait":true}     -> x <404 No Messages>
        t=1 pull x 5; pull y {"expires":1000000000}
        t=2 tick                        -> y <408 Request Timeout|m=0|b=0>
        t=31 tick
        t=40 tick                       -> !Pause, x 1 n=2 c=2 p=1, x 2 n=1 c=3 p=0
        "#,
    );
}

#[test]
fn an_unused_consumer_goes() {
    let config = Config {
        inactive_threshold: 5 * SECOND,
        ack_wait: 10 * SECOND,
        ..pull()
    };
    check(
        config.clone(),
        r#"
        t=4 pull x {"expires":4000000000}
        t=8 tick                        -> x <408 Request Timeout|m=0|b=0>
        t=12.9 tick
        t=13 tick                       -> remove
        t=14 tick
        "#,
    );
    check(
        config,
        r#"
        t=0 store a; pull x             -> x 1 n=1 c=1 p=0
        t=14 tick
        t=15 tick                       -> remove
        "#,
    );
}

#[test]
fn those_who_wait_are_told_of_the_end() {
    for (why, line) in [
        ("deleted", "409 Consumer Deleted"),
        ("leadership", "409 Leadership Change"),
        ("shutdown", "409 Server Shutdown|m=5|b=0"),
    ] {
        check(
            pull(),
            &format!("t=0 pull x 5; close {why} -> x <{line}>\n t=0 store a"),
        );
    }
}

#[test]
fn a_push_consumer_refuses_requests() {
    let config = Config {
        deliver_subject: "d".to_owned(),
        ..pull()
    };
    check(config, "t=0 pull x 5 -> x <409 Consumer is push based>");
}

#[test]
fn without_acks_everything_is_settled_when_delivered() {
    let config = Config {
        ack_policy: AckPolicy::None,
        ..pull()
    };
    check_from(
        config,
        &["a", "a"],
        r#"
        t=0 pull x 5                    -> x 1 n=1 c=1 p=1, x 2 n=1 c=2 p=0
        t=0 info                        -> d=2/2 f=2/2 ap=0 rd=0 p=0 w=1
        t=0 ack 1
        t=99 tick
        "#,
    );
}

#[test]
fn headers_only_sends_the_size_instead() {
    use super::world::World;
    use crate::consumer::dispatch::Action;
    let config = Config {
        headers_only: true,
        ..pull()
    };
    let mut world = World::new(config, MemoryStore::new());
    world.store("a", &[0; 123]);
    world.pull("x", "1");
    let told = world.settle();
    let [Action::Deliver(deliver)] = &*told else {
        panic!("one delivery: {told:?}");
    };
    assert_eq!(
        deliver.message.headers,
        "NATS/1.0\r\nNats-Msg-Size: 123\r\n\r\n"
    );
    assert_eq!(deliver.message.payload, "");
}

#[test]
fn more_than_one_batch_is_served() {
    let mut world = super::world::World::new(pull(), MemoryStore::new());
    for _ in 0..3000 {
        world.store("a", b"x");
    }
    world.pull("x", "2500");
    assert_eq!(world.settle().len(), 1000, "max ack pending");
    assert_eq!(world.consumer.num_ack_pending(), 1000);
    assert_eq!(world.consumer.num_pending(), 2000);
}

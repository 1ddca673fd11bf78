//! What a stream keeps, and what goes: limits, purges, age and lifetimes.

use super::*;
use crate::stream::config::Discard;
use crate::stream::retention::TICK_MAX;

#[test]
fn old_messages_make_room() {
    let limited = Config {
        max_msgs: 3,
        max_msgs_per_subject: 2,
        ..config()
    };
    check(
        limited,
        r"
        publish s.a -> stored 1
        publish s.a -> stored 2
        publish s.a -> stored 3; 1 gone
        publish s.b -> stored 4
        publish s.c -> stored 5; 1 gone
        holds       -> 3 4 5
    ",
    );
    let bytes = Config {
        max_bytes: 60,
        ..config()
    };
    check(
        bytes,
        r"
        publish s.a size=1  -> stored 1
        publish s.a size=1  -> stored 2
        publish s.a size=1  -> stored 3
        publish s.a size=20 -> stored 4; 2 gone
        publish s.a size=99 -> stored 5; 3 gone
        first               -> 6
    ",
    );
}

#[test]
fn new_messages_are_refused_unless_they_replace() {
    let full = Config {
        discard: Discard::New,
        max_msgs: 2,
        max_msgs_per_subject: 1,
        allow_rollup_hdrs: true,
        ..config()
    };
    check(
        full.clone(),
        r"
        publish s.x                  -> stored 1
        publish s.y                  -> stored 2
        publish s.z                  -> 10077 maximum messages exceeded
        publish s.z Nats-Rollup=all  -> 10077 maximum messages exceeded
        publish s.x                  -> stored 3; 1 gone
    ",
    );
    let bytes = Config {
        max_msgs: -1,
        max_bytes: 58,
        ..full.clone()
    };
    check(
        bytes,
        r"
        publish s.x size=10 -> stored 1
        publish s.y size=10 -> stored 2
        publish s.x size=11 -> 10077 maximum bytes exceeded
        publish s.x size=10 -> stored 3; 1 gone
        publish s.x size=9  -> stored 4; 1 gone
        publish s.x size=11 -> 10077 maximum bytes exceeded
    ",
    );
    let per_subject = Config {
        discard_new_per_subject: true,
        ..full
    };
    check(
        per_subject,
        r"
        publish s.x                 -> stored 1
        publish s.x                 -> 10077 maximum messages per subject exceeded
        publish s.x Nats-Rollup=sub -> stored 2; 1 gone
    ",
    );
}

#[test]
fn purges_keep_what_they_are_to_keep() {
    let script = "publish s.a -> stored 1
        publish s.b -> stored 2
        publish s.a -> stored 3
        publish s.c.d -> stored 4
        ";
    let check = |rest: &str| check(config(), &format!("{script}{rest}"));
    check("purge -> purged 4; 4 gone\n first -> 5\n purge -> purged 0");
    check("purge below=3 -> purged 2; 2 gone\n holds -> 3 4");
    check("purge keep=1 -> purged 3; 3 gone\n holds -> 4");
    check("purge filter=s.* -> purged 3; 3 gone\n holds -> 4\n first -> 4");
    check("purge filter=s.* keep=1 -> purged 2; 2 gone\n holds -> 3 4");
    check("purge filter=s.a below=3 -> purged 1; 1 gone\n holds -> 2 3 4");
    check("purge keep=9 -> purged 0\n holds -> 1 2 3 4");
    check("purge below=9 -> purged 4; 4 gone\n first -> 9\n publish s.a -> stored 9");
    check(
        "purge below=18446744073709551615 -> purged 4; 4 gone\n publish s.a -> stored 9223372036854775807\n publish s.a -> stored 9223372036854775808",
    );
}

#[test]
fn age_removes_all_but_what_never_ages() {
    let aging = Config {
        max_age: 5 * SECOND,
        allow_msg_ttl: true,
        ..config()
    };
    check(
        aging,
        r"
        t=1 publish s.a                -> stored 1
        t=1 publish s.a Nats-TTL=never -> stored 2
        t=2 publish s.a                -> stored 3
        t=3 publish s.a Nats-TTL=1     -> stored 4
        deadline                       -> 4
        t=4 tick                       -> ticked; 1 gone
        deadline                       -> 6
        t=6.5 tick                     -> ticked; 1 gone
        holds                          -> 2 3
        deadline                       -> 7
        t=6.9 tick                     -> ticked
        deadline                       -> 7.15
        t=7.15 tick                    -> ticked; 1 gone
        holds                          -> 2
        deadline                       -> none
        t=20 publish s.a               -> stored 5
        t=30 tick                      -> ticked; 1 gone
        holds                          -> 2
    ",
    );
}

#[test]
fn one_tick_does_not_do_everything() {
    let aging = Config {
        max_age: SECOND,
        ..config()
    };
    let mut machine = run(aging, "");
    for _ in 0..TICK_MAX + 5 {
        machine.apply(millis(1), publish("s.a", &[], "")).unwrap();
    }
    go_on(
        &mut machine,
        "t=2 tick -> ticked; 10000 gone
         deadline -> 2
         t=2 tick -> ticked; 5 gone
         deadline -> none",
    );
}

#[test]
fn the_last_message_of_a_subject_leaves_a_marker() {
    let marking = Config {
        max_age: 5 * SECOND,
        allow_msg_ttl: true,
        allow_rollup_hdrs: true,
        subject_delete_marker_ttl: 90 * SECOND,
        ..config()
    };
    check(
        marking,
        r"
        t=0 publish s.a                     -> stored 1
        t=0 publish s.a Nats-TTL=2s X=y     -> stored 2
        headers 2                           -> X: y Nats-TTL: 90
        t=0 publish s.b KV-Operation=PURGE  -> stored 3
        t=0 publish s.c KV-Operation=DEL    -> stored 4
        t=0 publish s.d Nats-TTL=never      -> stored 5
        t=5 tick                            -> ticked; 4 gone
        holds                               -> 5 6 7
        headers 6                           -> Nats-Marker-Reason: MaxAge Nats-TTL: 1m30s Nats-Rollup: sub
        t=10 tick                           -> ticked; 2 gone
        holds                               -> 5
    ",
    );
}

#[test]
fn a_lifetime_is_not_raised_where_a_subject_has_one_message() {
    let single = Config {
        max_msgs_per_subject: 1,
        allow_msg_ttl: true,
        subject_delete_marker_ttl: 60 * SECOND,
        ..config()
    };
    check(
        single,
        r"
        t=0 publish s.a Nats-TTL=2 -> stored 1
        t=1 publish s.a Nats-TTL=2 -> stored 2; 1 gone
        t=2 tick                   -> ticked
        t=3 tick                   -> ticked; 1 gone
        headers 3                  -> Nats-Marker-Reason: MaxAge Nats-TTL: 1m0s Nats-Rollup: sub
        t=63 tick                  -> ticked; 1 gone
        holds                      ->
        deadline                   -> none
    ",
    );
}

#[test]
fn a_smaller_limit_holds_at_once() {
    let mut machine = run(
        config(),
        r"
        publish s.a -> stored 1
        publish s.b -> stored 2
        publish s.a -> stored 3
        publish s.a -> stored 4
        publish s.b -> stored 5
    ",
    );
    let smaller = Config {
        max_msgs_per_subject: 2,
        max_msgs: 3,
        ..config()
    };
    let configure = Command::Configure(Box::new(smaller));
    let outcome = machine.apply(millis(0), configure).unwrap();
    assert_eq!(render(&outcome), "configured; 2 gone");
    go_on(&mut machine, "holds -> 3 4 5");
}

#[test]
fn the_first_sequence_is_as_configured() {
    let later = Config {
        first_seq: 10,
        ..config()
    };
    check(
        later,
        "first -> 10\n publish s.a Nats-Expected-Last-Sequence=9 -> stored 10",
    );
}

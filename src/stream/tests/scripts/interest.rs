//! What stays as long as consumers need it, and what consumers are told.

use super::*;
use crate::consumer::command::Command as ConsumerCommand;
use crate::consumer::config::Config as ConsumerConfig;
use crate::stream::config::{Republish, Retention};
use crate::stream::sweep::SWEEP_MAX;

fn interest() -> Config {
    Config {
        retention: Retention::Interest,
        ..config()
    }
}

#[test]
fn an_interest_stream_holds_what_somebody_needs() {
    check(
        interest(),
        r"
        publish s.a Nats-Msg-Id=1    -> skipped 1
        publish s.a Nats-Msg-Id=1    -> duplicate 1
        put c filter=s.a             -> created
        put d                        -> created
        put n ack=none               -> created
        publish s.a                  -> stored 2
        publish s.b                  -> stored 3
        deliver c 2                  -> changed
        deliver d 2 3                -> changed
        ack c 2                      -> changed
        ack d 2                      -> changed
        holds                        -> 2 3
        deliver n 2                  -> changed; 1 gone
        put e from=new               -> created
        deliver n 3                  -> changed
        ack d 3                      -> changed; 1 gone
        publish s.a                  -> stored 4
        publish s.b                  -> stored 5
        drop n                       -> deleted true
        drop e                       -> deleted true
        drop d                       -> deleted true; 1 gone
        holds                        -> 4
        put c filter=s.b             -> updated; 1 gone
        publish s.a                  -> skipped 6
        publish s.b                  -> stored 7
        drop c                       -> deleted true; 1 gone
        first                        -> 8
        ack c 7                      -> no consumer
    ",
    );
}

#[test]
fn what_was_given_up_stays_until_it_is_removed() {
    check(
        interest(),
        r"
        put c max_deliver=1 -> created
        publish s.a         -> stored 1
        publish s.a         -> stored 2
        deliver c 1 2       -> changed
        exhaust c 1         -> changed
        term c 2            -> changed; 1 gone
        holds               -> 1
        ack c 1             -> changed; 1 gone
    ",
    );
}

#[test]
fn a_jump_forward_gives_up_what_it_jumps_over() {
    check(
        interest(),
        r"
        put c       -> created
        publish s.a -> stored 1
        publish s.a -> stored 2
        reset c 2   -> changed; 1 gone
        holds       -> 2
    ",
    );
}

#[test]
fn a_large_stream_is_looked_through_in_pieces() {
    let many = SWEEP_MAX + SWEEP_MAX + 5;
    let check = |before: &str, change: &str, pieces: &[usize], left: &str| {
        let mut machine = run(interest(), before);
        for _ in 0..many {
            machine.apply(millis(0), publish("s.a", &[], "")).unwrap();
        }
        machine.apply(millis(0), publish("s.b", &[], "")).unwrap();
        let gone = |machine: &mut Machine| {
            let before = machine.state().messages;
            machine.apply(millis(0), Command::Tick).unwrap();
            before - machine.state().messages
        };
        go_on(&mut machine, change);
        // What is stored meanwhile does not count.
        go_on(&mut machine, "publish s.b -> stored 8199");
        for mut machine in twins(machine) {
            for piece in pieces {
                assert_eq!(machine.next_deadline(), Some(millis(0)), "{change}");
                assert_eq!(gone(&mut machine), *piece as u64, "{change}");
            }
            assert_eq!(gone(&mut machine), 0, "{change}");
            go_on(&mut machine, left);
        }
    };
    check(
        "put c filter=s.a -> created\n put d filter=s.b -> created",
        "put c filter=s.b -> updated; 4096 gone",
        &[SWEEP_MAX, 5],
        "holds -> 8198 8199",
    );
    check(
        "put c filter=s.a -> created\n put d filter=s.b -> created",
        "drop c -> deleted true; 4096 gone",
        &[SWEEP_MAX, 5],
        "holds -> 8198 8199",
    );
    check(
        "put c -> created\n put d filter=s.b -> created",
        "reset c 8197 -> changed; 4096 gone",
        &[SWEEP_MAX, 4],
        "holds -> 8197 8198 8199",
    );
    // Each looks at all of it, one after the other.
    check(
        "put c filter=s.a -> created\n put d -> created",
        "drop d -> deleted true\n drop c -> deleted true\n put e filter=s.b -> created",
        &[SWEEP_MAX, SWEEP_MAX - 1, 6],
        "holds -> 8198 8199",
    );
}

#[test]
fn without_consumers_a_large_stream_is_emptied_in_pieces() {
    let mut machine = run(interest(), "put c -> created");
    for _ in 0..=SWEEP_MAX {
        machine.apply(millis(0), publish("s.a", &[], "")).unwrap();
    }
    for mut machine in twins(machine) {
        go_on(
            &mut machine,
            "drop c -> deleted true; 4096 gone
             deadline -> 0
             tick -> ticked; 1 gone
             deadline -> none
             first -> 4098",
        );
    }
}

#[test]
fn a_pending_message_under_a_former_filter_is_settled_when_it_goes() {
    let machine = run(
        config(),
        r"
        put c filter=s.a -> created
        publish s.a      -> stored 1
        deliver c 1      -> changed
        put c filter=s.b -> updated
        publish s.a      -> stored 2
    ",
    );
    for mut machine in twins(machine) {
        go_on(
            &mut machine,
            "delete 1 -> deleted true; c loses 1 1x@1: Deleted; 1 gone",
        );
        let consumer = &machine.consumers().get("c").unwrap().consumer;
        assert_eq!((consumer.num_ack_pending(), consumer.num_pending()), (0, 0));
    }
}

#[test]
fn a_work_queue_gives_each_message_once() {
    let queue = Config {
        retention: Retention::WorkQueue,
        ..config()
    };
    check(
        queue,
        r"
        publish s.a       -> stored 1
        put a filter=s.a  -> created
        put b filter=s.b  -> created
        publish s.b       -> stored 2
        publish s.a       -> stored 3
        deliver a 1 3     -> changed
        deliver b 2       -> changed
        ack a 3           -> changed; 1 gone
        ack a 3           -> unchanged
        term b 2          -> changed; 1 gone
        drop a            -> deleted true
        holds             -> 1
        put m direct=yes ack=none -> created
        put a filter=s.a  -> created
        deliver a 1       -> changed
        ack a 1           -> changed
        holds             -> 1
        deliver m 1       -> changed; 1 gone
        publish s.c       -> stored 4
        deliver m 4       -> changed
        holds             -> 4
        put n direct=yes filter=s.c -> created
        deliver n 4       -> changed
        ack n 4           -> changed; 1 gone
    ",
    );
}

#[test]
fn interest_may_begin_to_count_later() {
    let mut machine = run(
        config(),
        r"
        put c filter=s.a -> created
        publish s.a      -> stored 1
        publish s.b      -> stored 2
        publish s.a      -> stored 3
        deliver c 1      -> changed
        ack c 1          -> changed
        holds            -> 1 2 3
    ",
    );
    let configure = || Command::Configure(Box::new(interest()));
    let outcome = machine.apply(millis(0), configure()).unwrap();
    assert_eq!(render(&outcome), "configured; 1 gone");
    go_on(
        &mut machine,
        "holds -> 2 3\n drop c -> deleted true; 2 gone",
    );
    let mut machine = run(config(), "publish s.a -> stored 1");
    let outcome = machine.apply(millis(0), configure()).unwrap();
    assert_eq!(render(&outcome), "configured; 1 gone");
}

#[test]
fn the_leader_is_told_what_to_do() {
    let republishing = Config {
        republish: Some(Republish::default()),
        max_msgs: 2,
        ..config()
    };
    check(
        republishing,
        r"
        put c       -> created
        publish s.a -> stored 1; republish 1 after 0
        publish s.b -> stored 2; republish 2 after 0
        deliver c 1 2 -> changed
        publish s.a -> stored 3; republish 3 after 1; c loses 1 1x@1: Limits; 1 gone
        deliver c 2 -> changed
        purge       -> purged 2; c loses 2 2x@3: Purged; 2 gone
    ",
    );
}

#[test]
fn those_with_something_new_are_woken_once() {
    let mut machine = run(
        config(),
        "put a filter=s.a -> created\n put b filter=s.* -> created",
    );
    let local = ConsumerConfig {
        name: "l".to_owned(),
        filter_subject: "s.a".to_owned(),
        ..ConsumerConfig::default()
    };
    let put = |machine: &mut Machine| machine.put_local(millis(0), "l".to_owned(), local.clone());
    assert!(put(&mut machine).unwrap());
    let woken = |machine: &mut Machine| {
        let mut names = Vec::new();
        machine.drain_woken(|member| names.push(member.name.clone()));
        names.sort();
        names.join(" ")
    };
    assert_eq!(woken(&mut machine), "a b l");
    go_on(
        &mut machine,
        "publish s.b -> stored 1\n publish s.b -> stored 2",
    );
    assert_eq!(woken(&mut machine), "b");
    go_on(
        &mut machine,
        "publish s.a -> stored 3\n publish t -> stored 4",
    );
    assert_eq!(woken(&mut machine), "a b l");
    assert_eq!(woken(&mut machine), "");
    let deliver = ConsumerCommand::Deliver(vec![Seq(3)]);
    let outcome = machine
        .apply_local(millis(0), "l", deliver)
        .unwrap()
        .unwrap();
    assert_eq!(outcome.deliveries.len(), 1);
    assert_eq!(machine.local_consumers().len(), 1);
    assert!(!put(&mut machine).unwrap());
    assert!(machine.delete_local("l") && !machine.delete_local("l"));
}

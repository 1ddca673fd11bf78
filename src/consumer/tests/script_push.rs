//! Push delivery.

use super::script::check;
use super::world::{SECOND, World, at, push, show};
use crate::consumer::config::{AckPolicy, Config, ReplayPolicy};
use crate::store::MsgStore;
use crate::store::memory::MemoryStore;

#[test]
fn messages_go_while_somebody_listens() {
    check(
        push(),
        r#"
        t=0 store a
        t=0 up          -> d 1 n=1 c=1 p=0
        t=0 store a     -> d 2 n=1 c=2 p=0
        t=0 down; store a
        t=1 up          -> d 3 n=1 c=3 p=0
        "#,
    );
}

#[test]
fn idle_consumers_give_signs_of_life() {
    let config = Config {
        idle_heartbeat: SECOND,
        ..push()
    };
    check(
        config,
        r#"
        t=1 tick
        t=1.5 up; store a   -> d 1 n=1 c=1 p=0
        t=2.4 tick
        t=2.5 tick          -> d <100 Idle Heartbeat|lc=1|ls=1>
        t=3.5 tick          -> d <100 Idle Heartbeat|lc=1|ls=1>
        "#,
    );
}

#[test]
fn flow_control_opens_the_window_by_answers() {
    let config = Config {
        idle_heartbeat: SECOND,
        flow_control: true,
        max_ack_pending: -1,
        ..push()
    };
    let mb = 1024 * 1024;
    check(
        config,
        &format!(
            r#"
        t=0 up; store a {mb}         -> d 1 n=1 c=1 p=0, d <100 FlowControl Request> $JS.FC.s.c.1000
        t=0 store a {mb}             -> d 2 n=1 c=2 p=0
        t=0 store a {mb}
        t=0 flow $JS.FC.s.c.9999
        t=1 tick                     -> d <100 Idle Heartbeat|lc=2|ls=2|Nats-Consumer-Stalled: $JS.FC.s.c.1000>
        t=1 flow $JS.FC.s.c.1000     -> d 3 n=1 c=3 p=0, d <100 FlowControl Request> $JS.FC.s.c.2000
        t=1 store a {mb}; store a {mb}; store a {mb} -> d 4 n=1 c=4 p=0, d 5 n=1 c=5 p=0
        "#
        ),
    );
}

#[test]
fn answers_to_flow_control_may_acknowledge() {
    let config = Config {
        ack_policy: AckPolicy::FlowControl,
        ack_wait: 0,
        idle_heartbeat: SECOND,
        flow_control: true,
        max_ack_pending: 2,
        ..push()
    };
    check(
        config,
        r#"
        t=0 up; store a; store a; store a -> d 1 n=1 c=1 p=0, d 2 n=1 c=2 p=0, d <100 FlowControl Request> $JS.FC.s.c.1000
        t=0.5 flow $JS.FC.s.c.1000 NATS/1.0|Nats-Last-Consumer: 2|Nats-Last-Stream: 2|| -> d 3 n=1 c=3 p=0
        t=0.5 info  -> d=3/3 f=2/2 ap=1 rd=0 p=0 w=0
        t=1.5 tick  -> d <100 Idle Heartbeat|lc=3|ls=3>, d <100 FlowControl Request> $JS.FC.s.c.2000
        t=99 info   -> d=3/3 f=2/2 ap=1 rd=0 p=0 w=0
        "#,
    );
}

#[test]
fn a_rate_limit_spreads_messages() {
    // 1000 bytes a second, 1000 at once; each is 500 with its subjects.
    let config = Config {
        rate_limit_bps: 8000,
        ..push()
    };
    check(
        config,
        r#"
        t=0 store a 478; store a 478; store a 478; store a 478
        t=10 up         -> d 1 n=1 c=1 p=3, d 2 n=1 c=2 p=2
        t=10.4 tick
        t=10.5 tick     -> d 3 n=1 c=3 p=1
        t=20 tick       -> d 4 n=1 c=4 p=0
        "#,
    );
}

#[test]
fn an_unheard_ephemeral_goes() {
    let config = Config {
        inactive_threshold: 5 * SECOND,
        ..push()
    };
    check(
        config,
        r#"
        t=1 up
        t=20 tick
        t=21 down
        t=25 tick
        t=26 tick       -> remove
        "#,
    );
}

#[test]
fn replay_keeps_the_pauses_of_publication_until_caught_up() {
    let mut before = World::new(Config::default(), MemoryStore::new());
    for second in [0, 2, 5] {
        before.now = at(second * SECOND);
        before.store("a", b"x");
    }
    let config = Config {
        replay_policy: ReplayPolicy::Original,
        ..push()
    };
    let mut world = World::new(config, before.store);
    let mut seen = Vec::new();
    world.dispatcher.on_interest(at(100 * SECOND), true);
    world.now = at(100 * SECOND);
    while world.store.state().messages < 5 {
        for told in world.settle() {
            seen.push(format!(
                "{} {}",
                world.now.unix_nanos() / SECOND,
                show(&told)
            ));
        }
        match world.dispatcher.next_deadline() {
            Some(next) if world.consumer.num_pending() > 0 => world.now = next,
            _ => {
                world.now = at(world.now.unix_nanos() + 10 * SECOND);
                world.store("a", b"x");
            }
        }
    }
    let expected = [
        "100 d 1 n=1 c=1 p=2",
        "102 d 2 n=1 c=2 p=1",
        "105 d 3 n=1 c=3 p=0",
        "115 d 4 n=1 c=4 p=0",
    ];
    assert_eq!(seen, expected);
}

//! Slow consumers: they pay, nobody else does.

use std::sync::atomic::Ordering;

use super::limits_kit::{Client, Rig, number, numbered, wait_for};

const LEN: usize = 20_000;
/// Messages between two looks of the publisher at the healthy reader.
const WINDOW: u64 = 10;

/// Publishes numbered messages to `a` until `done`; a healthy subscriber sees each of them.
fn publish_until(rig: &Rig, healthy: &mut Client, publisher: &mut Client, done: impl Fn() -> bool) {
    let mut next = 0;
    wait_for("the end of the slow", || {
        for seq in next..next + WINDOW {
            publisher.send(&numbered("a", seq, LEN));
        }
        for seq in next..next + WINDOW {
            assert_eq!(number(&healthy.message().expect("a message")), seq);
        }
        next += WINDOW;
        done()
    });
    assert!(rig.clients() >= 2);
}

fn subscriber(rig: &Rig, subject: &str) -> Client {
    let mut client = rig.client();
    client.send(format!("SUB {subject} 1\r\n").as_bytes());
    client.sync();
    client
}

fn slow_consumers(rig: &Rig) -> u64 {
    let counters = &rig.server.front.counters;
    counters.slow_consumers.load(Ordering::Relaxed)
}

fn stalls(rig: &Rig) -> u64 {
    rig.server.front.counters.stalls.load(Ordering::Relaxed)
}

fn check_slow_is_cut(config: &str) -> u64 {
    let rig = Rig::new(config);
    let slow = subscriber(&rig, "a");
    let mut healthy = subscriber(&rig, "a");
    let mut publisher = rig.client();
    publish_until(&rig, &mut healthy, &mut publisher, || {
        slow_consumers(&rig) > 0
    });
    assert_eq!(slow_consumers(&rig), 1);
    slow.rest();
    healthy.sync();
    publisher.sync();
    stalls(&rig)
}

#[test]
fn too_many_bytes_cut_the_slow_one_only() {
    let stalls = check_slow_is_cut("max_pending: 4MB");
    assert!(stalls > 0, "its publisher was held back before that");
}

#[test]
fn a_late_write_cuts_the_slow_one_only() {
    check_slow_is_cut("write_deadline: 100ms, write_timeout: close");
}

#[test]
fn without_stalls_the_slow_one_loses_messages() {
    let rig = Rig::new("max_pending: 2MB, no_fast_producer_stall: true");
    let slow = subscriber(&rig, "a");
    let mut healthy = subscriber(&rig, "a");
    let mut publisher = rig.client();
    let behind = |rig: &Rig| {
        let clients = rig.server.front.clients.all();
        clients
            .iter()
            .any(|client| client.link.pending_percent() >= 75)
    };
    publish_until(&rig, &mut healthy, &mut publisher, || behind(&rig));
    let (mut healthy, mut more) = (healthy, 0);
    publish_until(&rig, &mut healthy, &mut publisher, || true);
    wait_for("more messages", || {
        publisher.send(&numbered("a", more, LEN));
        assert_eq!(number(&healthy.message().expect("a message")), more);
        more += 1;
        more > 200
    });
    assert_eq!((slow_consumers(&rig), stalls(&rig)), (0, 0));
    drop(slow);
}

#[test]
fn the_total_cuts_the_worst_first() {
    let rig = Rig::new("max_pending_total: 24MB");
    let mild = subscriber(&rig, "b");
    let worst = subscriber(&rig, "a");
    let mut publisher = rig.client();
    let pending = |rig: &Rig| {
        let clients = rig.server.front.clients.all();
        let pending: usize = clients
            .iter()
            .map(|client| client.link.pending_bytes())
            .sum();
        pending
    };
    wait_for("a mild backlog", || {
        publisher.send(&numbered("b", 0, LEN));
        publisher.sync();
        pending(&rig) > 1 << 20
    });
    wait_for("the end of the worst", || {
        publisher.send(&numbered("a", 0, LEN).repeat(10));
        publisher.sync();
        slow_consumers(&rig) > 0
    });
    worst.rest();
    assert_eq!((slow_consumers(&rig), rig.clients()), (1, 2));
    assert!(pending(&rig) > 1 << 20, "the mild one has kept its backlog");
    drop(mild);
}

#[test]
fn who_never_reads_its_own_answers_is_cut() {
    for what in [&b"PING\r\n"[..], &numbered("a", 0, LEN)] {
        let rig = Rig::new("max_pending: 2MB");
        let mut client = subscriber(&rig, "a");
        let batch = what.repeat(64 * 1024 / what.len() + 1);
        wait_for("the end", || {
            client.try_send(&batch).is_err() || rig.clients() == 0
        });
        wait_for("its leave", || rig.clients() == 0);
        rig.client().sync();
    }
}

//! Connections and subscriptions that come and go; nothing of them stays.

use std::thread;

use super::limits_kit::{Rig, number, numbered, wait_for};

#[test]
fn connections_come_and_go() {
    let rig = Rig::new("");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..500 {
                    let mut client = rig.stranger();
                    client.send(b"CONNECT {\"verbose\":false}\r\nSUB a 1\r\nSUB > 2\r\n");
                    if round % 2 == 0 {
                        client.sync();
                    }
                }
            });
        }
    });
    wait_for("their leave", || rig.clients() == 0);
    assert_eq!(rig.subscriptions(), 0);
}

#[test]
fn subscriptions_come_and_go() {
    let rig = Rig::new("");
    let mut client = rig.client();
    for round in 0..20 {
        let mut storm = Vec::new();
        for sid in 0..1000 {
            storm.extend_from_slice(
                format!("SUB s.{}.* q{} {sid}\r\n", sid % 50, sid % 7).as_bytes(),
            );
        }
        for sid in 0..1500 {
            let max = if (sid + round) % 3 == 0 { " 0" } else { "" };
            storm.extend_from_slice(format!("UNSUB {sid}{max}\r\n").as_bytes());
        }
        client.send(&storm);
        client.sync();
        assert_eq!(rig.subscriptions(), 0);
    }
}

/// Publishers on all threads, one subscription that ends after so many messages.
#[test]
fn a_limit_holds_against_many_publishers() {
    let rig = Rig::new("");
    for round in 0..20 {
        let mut subscriber = rig.client();
        subscriber.send(b"SUB a 1\r\n");
        let known_before = round % 2 == 0;
        if known_before {
            subscriber.send(b"UNSUB 1 500\r\n");
        }
        subscriber.sync();
        let received = thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut publisher = rig.client();
                    publisher.send(&b"PUB a 1\r\nx\r\n".repeat(400));
                    publisher.sync();
                });
            }
            if !known_before {
                subscriber.send(b"UNSUB 1 500\r\n");
            }
            wait_for("the end of the subscription", || rig.subscriptions() == 0);
            subscriber.send(b"PING\r\n");
            let mut received = 0;
            while subscriber.message().is_some() {
                received += 1;
            }
            received
        });
        subscriber.send(b"PING\r\n");
        assert_eq!(subscriber.message(), None, "nothing comes after the end");
        if known_before {
            assert_eq!(received, 500);
        } else {
            assert!((500..=1200).contains(&received), "{received}");
        }
    }
}

#[test]
fn a_drain_delivers_what_was_on_its_way() {
    let rig = Rig::new("");
    let mut subscriber = rig.client();
    subscriber.send(b"SUB a 1\r\n");
    subscriber.sync();
    let mut publisher = rig.client();
    publisher.send(
        &(0..500)
            .flat_map(|n| numbered("a", n, 100))
            .collect::<Vec<u8>>(),
    );
    publisher.sync();
    subscriber.send(b"UNSUB 1\r\nPING\r\n");
    publisher.send(&numbered("a", 500, 100));
    for seq in 0..500 {
        assert_eq!(number(&subscriber.message().expect("a message")), seq);
    }
    while let Some(late) = subscriber.message() {
        assert_eq!(
            number(&late),
            500,
            "between the others and the answer at most"
        );
    }
    publisher.sync();
    subscriber.sync();
}

#[test]
fn those_who_want_everything_get_everything_in_order() {
    const MESSAGES: u64 = 2000;
    let rig = Rig::new("");
    let subscribers: Vec<_> = (0..20)
        .map(|_| {
            let mut client = rig.client();
            client.send(b"SUB > 1\r\n");
            client.sync();
            client
        })
        .collect();
    let mut publisher = rig.client();
    thread::scope(|scope| {
        for mut subscriber in subscribers {
            scope.spawn(move || {
                for seq in 0..MESSAGES {
                    let body = subscriber.message().expect("a message");
                    assert_eq!((number(&body), body.len() as u64), (seq, 8 + seq % 9000));
                }
            });
        }
        for seq in 0..MESSAGES {
            let subject = format!("some.{}.thing", seq % 100);
            publisher.send(&numbered(&subject, seq, 8 + seq as usize % 9000));
        }
    });
}

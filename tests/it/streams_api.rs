//! Streams end to end, where one raw client does not see it all: requests that find no
//! room, and copies over the end of a server.

use serde_json::{Value, json};

use super::monitor_world::{Client, World, eventually};

const CONF: &str = r#"
server_name: golden
listen: "127.0.0.1:-1"
http: "127.0.0.1:-1"
jetstream { store_dir: "@DIR", info_queue_limit: @INFOS }
system_account: SYS
accounts {
  SYS { users: [{user: sys, password: sys}] }
  A { jetstream: enabled, users: [{user: a, password: a}] }
}
"#;

fn start(dir: &tempfile::TempDir, infos: &str) -> World {
    let dir = dir.path().to_str().expect("a path");
    World::start(&CONF.replace("@DIR", dir).replace("@INFOS", infos))
}

fn ask(client: &mut Client, what: &str, body: &Value) -> Value {
    let answer = client.request(&format!("$JS.API.{what}"), &body.to_string());
    serde_json::from_slice(&answer.body)
        .unwrap_or_else(|e| panic!("{what}: {e}: {:?}", answer.body))
}

fn make(client: &mut Client, config: &Value) {
    let name = config["name"].as_str().expect("a name");
    let made = ask(client, &format!("STREAM.CREATE.{name}"), config);
    assert!(made.get("error").is_none(), "{made}");
}

fn messages(client: &mut Client, stream: &str) -> u64 {
    let info = ask(client, &format!("STREAM.INFO.{stream}"), &json!({}));
    info["state"]["messages"].as_u64().expect("a count")
}

#[test]
fn requests_without_room_are_told_to_the_system_account() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = start(&dir, "1");
    let (mut system, mut client) = (world.user("sys"), world.user("a"));
    system.send("SUB $JS.EVENT.ADVISORY.API.LIMIT_REACHED 1\r\n");
    system.flush();
    let flood = "PUB $JS.API.STREAM.NAMES 0\r\n\r\n".repeat(5000);
    let told = eventually("an advisory", || {
        client.send(&flood);
        client.flush();
        system.arrived().into_iter().next()
    });
    let told: Value = serde_json::from_slice(&told.body).expect("JSON");
    assert_eq!(
        told["type"],
        "io.nats.jetstream.advisory.v1.api_limit_reached"
    );
    assert_eq!(told["server"], "golden");
    assert!(told["dropped"].as_u64().is_some_and(|n| n > 0), "{told}");
}

#[test]
fn copies_go_on_behind_the_last_one_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let origins = [
        ("LIMITS", "limits"),
        ("INTEREST", "interest"),
        ("QUEUE", "workqueue"),
    ];
    let store = |client: &mut Client| {
        for (name, _) in origins {
            for number in 0..3 {
                client.request(&format!("{name}.{number}"), "x");
            }
        }
    };
    {
        let world = start(&dir, "100");
        let mut client = world.user("a");
        for (name, retention) in origins {
            make(
                &mut client,
                &json!({"name": name, "subjects": [format!("{name}.>")], "retention": retention}),
            );
        }
        let sources: Vec<Value> = (origins.iter())
            .map(|(name, _)| json!({"name": name}))
            .collect();
        make(&mut client, &json!({"name": "COPY", "sources": sources}));
        // Interest counts only what is stored while somebody has it.
        eventually("everything is read", || {
            let info = ask(&mut client, "STREAM.INFO.COPY", &json!({}));
            let sources = info["sources"].as_array()?;
            sources.iter().all(|one| one["active"] != -1).then_some(())
        });
        store(&mut client);
        eventually("copies", || {
            (messages(&mut client, "COPY") == 9).then_some(())
        });
        // Nobody copies while this is stored.
        ask(
            &mut client,
            "STREAM.UPDATE.COPY",
            &json!({"name": "COPY", "sources": sources, "max_msgs": 9, "discard": "new"}),
        );
        store(&mut client);
    }
    let world = start(&dir, "100");
    let mut client = world.user("a");
    assert_eq!(messages(&mut client, "COPY"), 9);
    assert_eq!(messages(&mut client, "INTEREST"), 3);
    assert_eq!(messages(&mut client, "QUEUE"), 3);
    let purged = ask(&mut client, "STREAM.PURGE.COPY", &json!({}));
    assert_eq!(purged["purged"], 9);
    eventually("the rest", || {
        (messages(&mut client, "COPY") == 9).then_some(())
    });
    eventually("what was copied goes", || {
        let left = messages(&mut client, "INTEREST") + messages(&mut client, "QUEUE");
        (left == 0).then_some(())
    });
    let info = ask(&mut client, "STREAM.INFO.COPY", &json!({}));
    assert_eq!(info["state"]["last_seq"], 18, "nothing twice");
}

/// A publisher that works for one stream alone moves to the stream's thread, and home again
/// when it does something else (`connection::guest`). Nobody notices.
#[test]
fn a_publisher_that_turns_to_other_work_and_back_loses_nothing() {
    const PART: u64 = 250;
    let dir = tempfile::tempdir().expect("a directory");
    let mut stored = 0;
    {
        let world = start(&dir, "100");
        let (mut publisher, mut listener) = (world.user("a"), world.user("a"));
        make(&mut publisher, &json!({"name": "S", "subjects": ["s"]}));
        publisher.send("SUB acks 1\r\n");
        listener.send("SUB core 1\r\n");
        listener.flush();
        let mut said = 0;
        for round in 0..60 {
            // A few windows for the stream, then as many for the listener.
            if round % 20 < 10 {
                publisher.send(&"PUB s acks 3\r\nabc\r\n".repeat(PART as usize));
                for _ in 0..PART {
                    stored += 1;
                    assert_eq!(publisher.message().json()["seq"], stored);
                }
            } else {
                let numbers = said..said + PART;
                said = numbers.end;
                let publish = |number| format!("PUB core 6\r\n{number:06}\r\n");
                publisher.send(&numbers.clone().map(publish).collect::<String>());
                for number in numbers {
                    assert_eq!(listener.message().text(), format!("{number:06}"));
                }
            }
        }
        assert_eq!(messages(&mut publisher, "S"), stored);
        // It is a guest when the server ends.
        publisher.send(&"PUB s acks 3\r\nabc\r\n".repeat(8 * PART as usize));
        for _ in 0..7 * PART {
            stored += 1;
            assert_eq!(publisher.message().json()["seq"], stored);
        }
        world.runtime.block_on(world.server.shutdown());
        while let Some(ack) = publisher.next_message() {
            stored += 1;
            assert_eq!(ack.json()["seq"], stored);
        }
    }
    let world = start(&dir, "100");
    let kept = messages(&mut world.user("a"), "S");
    assert!(kept >= stored, "{kept} of {stored}");
}

//! What monitoring says of streams, against what a real server said of the same ones.

use serde_json::{Value, json};

use super::monitor_world::golden::{assert_same, cases};
use super::monitor_world::{Client, World, eventually, without_absent};

/// The configuration of the golden file `streams`.
const STREAMS: &str = r#"
server_name: golden
listen: "127.0.0.1:-1"
http: "127.0.0.1:-1"
jetstream { store_dir: "@DIR", max_mem: 1GB, max_file: 2GB, limits { max_ack_pending: 500, duplicate_window: "5m" } }
system_account: SYS
accounts {
  SYS { users: [{user: sys, password: sys}] }
  A { jetstream { max_mem: 10MB, max_file: 20MB, max_streams: 5, max_consumers: 7 }, users: [{user: a, password: a}] }
  B { jetstream: enabled, users: [{user: b, password: b}] }
  C { users: [{user: c, password: c}] }
}
"#;

/// Keys whose values differ from run to run, or from server to server.
const VARYING: &[&str] = &[
    "server_id",
    "id",
    "now",
    "time",
    "seq",
    "flags",
    "ver",
    "start",
    "mem",
    "cores",
    "gomaxprocs",
    "cpu",
    "created",
    "first_ts",
    "last_ts",
    "ts",
    "store_dir",
    "level",
    "subscriptions",
    "sent",
    "received",
    "sent_to_clients",
    "received_from_clients",
];

/// A server with the streams of the golden file.
fn world() -> (tempfile::TempDir, World) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("a path");
    let world = World::start(&STREAMS.replace("@DIR", path));
    let mut client = world.user("a");
    make(
        &mut client,
        "STREAM.CREATE.S1",
        &json!({"name": "S1", "subjects": ["s1.>"], "max_bytes": 1000, "storage": "file"}),
    );
    make(
        &mut client,
        "STREAM.CREATE.S2",
        &json!({"name": "S2", "subjects": ["s2"], "max_bytes": 100, "storage": "memory"}),
    );
    for subject in ["s1.a", "s1.a", "s1.b", "s2"] {
        client.request(subject, "hello");
    }
    let config = json!({"name": "C1", "durable_name": "C1", "ack_policy": "explicit", "max_ack_pending": 100});
    make(
        &mut client,
        "CONSUMER.CREATE.S1.C1",
        &json!({"stream_name": "S1", "config": config}),
    );
    eventually("the figures", || {
        let jsz = world.json("/jsz");
        (jsz["messages"] == 4 && jsz["api"]["total"] == 3).then_some(())
    });
    (dir, world)
}

fn make(client: &mut Client, what: &str, body: &Value) {
    let answer = client
        .request(&format!("$JS.API.{what}"), &body.to_string())
        .json();
    assert!(answer["error"].is_null(), "{what}: {answer}");
}

/// Takes out of a golden what ours does not say.
fn prepared(golden: &Value) -> Value {
    let mut golden = golden.clone();
    without_absent(&mut golden);
    without(&mut golden, "default_max_consumers");
    golden
}

fn without(value: &mut Value, key: &str) {
    match value {
        Value::Object(fields) => {
            fields.shift_remove(key);
            fields.values_mut().for_each(|value| without(value, key));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| without(value, key)),
        _ => {}
    }
}

#[test]
fn every_answer_about_streams_is_that_of_the_peer() {
    let (_dir, world) = world();
    let mut system = world.user("sys");
    for (name, golden) in cases("streams") {
        // Imports and the rest of varz are compared elsewhere.
        if name.starts_with("accountz") || name == "varz" || name == "request info" {
            continue;
        }
        let body = prepared(&golden["body"]);
        match golden["path"].as_str() {
            Some(path) => {
                let answer = world.get(path);
                assert_eq!(u64::from(answer.status), golden["status"], "{path}");
                assert_same(&name, &body, &answer.body, VARYING);
            }
            None => {
                let subject = golden["subject"].as_str().expect("a subject");
                let asked = golden["request"].as_str().unwrap_or_default();
                let answer = system.request(subject, asked);
                let answer = String::from_utf8_lossy(&answer.body).into_owned();
                // Both clients of the recording are gone or here, as it happens.
                let varying = [
                    VARYING,
                    &["connections", "total_connections", "active_accounts"],
                ]
                .concat();
                assert_same(&name, &body, &answer, &varying);
            }
        }
    }
}

#[test]
fn accounts_say_whether_they_have_jetstream() {
    let (_dir, world) = world();
    for (account, expected) in [("A", true), ("B", true), ("C", false)] {
        let answer = world.json(&format!("/accountz?acc={account}"));
        assert_eq!(
            answer["account_detail"]["jetstream_enabled"], expected,
            "{account}"
        );
    }
    let varz = world.json("/varz");
    assert_eq!(varz["jetstream"]["stats"]["storage"], 117);
    let metrics = world.get("/metrics").body;
    let line = "natter_stream_messages{account=\"A\",stream=\"S1\"} 3";
    assert!(metrics.lines().any(|shown| shown == line), "{metrics}");
}

//! Every endpoint of the monitoring port on a live server, against what nats-server 2.15.1
//! answered in the same situation: the same keys in the same order, values of the same
//! type, and the same values but for those that differ from run to run.

use serde_json::{Value, json};

use super::monitor_world::golden::{assert_same, case, cases};
use super::monitor_world::{
    BUSY, Client, PLAIN, World, eventually, without_absent, without_internal,
};

/// Values that differ from run to run.
const VARYING: &[&str] = &[
    "server_id",
    "server_name",
    "now",
    "start",
    "stop",
    "last_activity",
    "rtt",
    "uptime",
    "idle",
    "cid",
    "port",
    "cpu",
    "mem",
    "config_load_time",
    "config_digest",
    "update_time",
    "go",
    "http_req_stats",
    "version",
    // A sublist of ours has other internal subscriptions, and its caches are elsewhere.
    "subscriptions",
    "num_subscriptions",
    "num_cache",
    "num_inserts",
    "num_removes",
    "num_matches",
    "cache_hit_rate",
    "max_fanout",
    "avg_fanout",
];

/// Compares what `path` gives with a case of a golden file.
fn check(world: &World, file: &str, name: &str, varying: &[&str]) {
    let mut recorded = case(file, name);
    let path = recorded["path"].as_str().expect("a path").to_owned();
    let answer = world.get(&path);
    assert_eq!(
        u64::from(answer.status),
        recorded["status"].as_u64().unwrap(),
        "{path}"
    );
    for (header, value) in recorded["headers"].as_object().expect("headers") {
        if header == "transfer-encoding" {
            continue; // ours knows the length beforehand
        }
        let line = format!("{header}: {}", value.as_str().unwrap()).to_lowercase();
        assert!(
            answer.head.to_lowercase().contains(&line),
            "{path}: {line}: {}",
            answer.head
        );
    }
    if recorded.get("body").is_none() {
        assert_eq!(answer.body, recorded["text"].as_str().unwrap(), "{path}");
        return;
    }
    let mut body = recorded["body"].take();
    without_absent(&mut body);
    let mut ours: Value = serde_json::from_str(&answer.body).expect("JSON");
    let lists = [&mut body, &mut ours].map(without_internal);
    let total: &[&str] = if lists.contains(&true) {
        &["total"]
    } else {
        &[]
    };
    assert_same(
        &path,
        &body,
        &ours.to_string(),
        &[VARYING, varying, total].concat(),
    );
}

/// The clients that were there when the goldens were recorded.
struct Clients {
    a: Client,
    b: Client,
    sys: Client,
}

fn busy(world: &World) -> Clients {
    let mut a = world.user("a");
    a.send(
        "SUB foo 1\r\nSUB foo.> workers 2\r\nSUB bar.* 3\r\nUNSUB 3 10\r\nPUB foo 5\r\nhello\r\n",
    );
    a.flush();
    let anonymous = json!({"user": "b", "pass": "b", "name": "", "lang": "", "version": ""});
    let mut b = world.client(&anonymous);
    b.send("SUB from.a.news.x 7\r\nPUB ask.a 2\r\nhi\r\n");
    b.flush();
    let sys = world.client(&json!({"user": "sys", "pass": "sys", "name": "sys<&>"}));
    let mut gone = world.client(&json!({"user": "a", "pass": "a", "name": "gone"}));
    gone.send("SUB gone 1\r\nSUB gone.q workers 2\r\n");
    gone.flush();
    drop(gone);
    let mut wrong = world.stranger(&json!({"user": "a", "pass": "wrong"}));
    while !wrong.line().is_empty() {}
    let closed = |world: &World| world.json("/connz?state=closed")["total"] == 2;
    eventually("two closed connections", || closed(world).then_some(()));
    Clients { a, b, sys }
}

/// Runs every check and fails with all that went wrong.
fn check_all(checks: impl IntoIterator<Item = (&'static str, String)>, check: impl Fn(&str, &str)) {
    let mut failed = Vec::new();
    for (file, name) in checks {
        let run = std::panic::AssertUnwindSafe(|| check(file, &name));
        if std::panic::catch_unwind(run).is_err() {
            failed.push(format!("{file} {name:?}"));
        }
    }
    assert!(failed.is_empty(), "not as recorded: {failed:#?}");
}

/// The cases of `files` whose name begins with `prefix`.
fn named(files: &'static [&'static str], prefix: &str) -> Vec<(&'static str, String)> {
    let in_file = |file: &'static str| cases(file).into_iter().map(move |(name, _)| (file, name));
    let all = files.iter().copied().flat_map(in_file);
    all.filter(|(_, name)| name.starts_with(prefix)).collect()
}

#[test]
fn an_idle_server_answers_as_recorded() {
    let world = World::start(PLAIN);
    let files = &[
        "varz", "routez", "gatewayz", "leafz", "subsz", "accountz", "accstatz", "healthz", "jsz",
        "connz",
    ];
    check_all(named(files, "plain"), |file, name| {
        check(&world, file, name, &[])
    });
}

#[test]
fn a_busy_server_answers_as_recorded() {
    let world = World::start(BUSY);
    let mut clients = busy(&world);
    // A round trip is measured when somebody asks; two questions, so that all have one.
    world.get("/connz");
    for client in [&mut clients.a, &mut clients.b, &mut clients.sys] {
        client.flush();
    }
    let files = &[
        "varz", "routez", "gatewayz", "leafz", "accountz", "accstatz", "healthz", "jsz", "connz",
    ];
    let mut cases = named(files, "busy");
    // Connections have other numbers here.
    cases.retain(|(_, name)| !name.contains("cid=2"));
    check_all(cases, |file, name| {
        check(&world, file, name, &["pending_bytes"])
    });
}

#[test]
fn wrong_questions_get_the_texts_that_were_recorded() {
    let world = World::start(PLAIN);
    for (name, _) in cases("errors") {
        check(&world, "errors", &name, &[]);
    }
}

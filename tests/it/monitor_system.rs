//! The system account over real connections: requests of its users and of others, and what
//! it is told by itself.

use serde_json::{Value, json};

use super::monitor_world::golden::{assert_same, cases};
use super::monitor_world::{
    BUSY, Client, PLAIN, Received, World, eventually, without_absent, without_internal,
};

/// Values that differ from run to run, or that concern what else is connected.
const VARYING: &[&str] = &[
    "id",
    "timestamp",
    "time",
    "seq",
    "start",
    "stop",
    "rtt",
    "ver",
    "server_id",
    "server_name",
    "now",
    "uptime",
    "idle",
    "last_activity",
    "cid",
    "port",
    "cpu",
    "mem",
    "config_load_time",
    "config_digest",
    "version",
    "update_time",
    "go",
    "http_req_stats",
    "subscriptions",
    "num_subscriptions",
    "num_cache",
    "num_inserts",
    "num_removes",
    "num_matches",
    "cache_hit_rate",
    "max_fanout",
    "avg_fanout",
    "in_msgs",
    "in_bytes",
    "out_msgs",
    "out_bytes",
    "in_client_msgs",
    "in_client_bytes",
    "out_client_msgs",
    "out_client_bytes",
    "msgs",
    "bytes",
    "pending_bytes",
    "total",
    "connections",
    "total_connections",
    "active_accounts",
];

/// The same clients that were there when the goldens were recorded, in the same order.
fn clients(world: &World) -> [Client; 3] {
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
    [a, b, sys]
}

/// Two closed connections: one that left and one that was refused.
fn refuse_and_leave(world: &World) {
    drop(world.client(&json!({"user": "a", "pass": "a", "name": "gone"})));
    let mut wrong = world.stranger(&json!({"user": "a", "pass": "wrong"}));
    while !wrong.line().is_empty() {}
    eventually("two closed connections", || {
        (world.json("/connz?state=closed")["total"] == 2).then_some(())
    });
}

fn check_recorded(asker: &mut Client, recorded: &Value) {
    let id = asker.server_id();
    let subject = recorded["subject"]
        .as_str()
        .unwrap()
        .replace("SERVER_ID", &id);
    let (body, headers) = (
        recorded["request"].as_str().unwrap(),
        recorded["request_headers"].as_str().unwrap_or_default(),
    );
    let context = format!("{subject} {body} {headers}");
    let reply = asker.ask(&subject, body, headers);
    if recorded["silent"] == true {
        // Requests are answered in their order: one that is answered comes first if this one is not.
        let marker = asker.ask("$SYS.REQ.USER.INFO", "", "");
        let first = asker.message();
        assert_eq!(first.subject, marker, "{context}: {first:?}");
        return;
    }
    let answer = asker.answer_to(&reply);
    let first_line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let expected = recorded["headers"].as_str().unwrap_or_default();
    assert_eq!(
        first_line(&answer.headers),
        first_line(expected),
        "{context}"
    );
    // Bodies that are compressed are the business of the unit tests.
    let is_plain = !expected.contains("gzip") && !expected.contains("snappy");
    if let (Some(body), true) = (recorded.get("body"), is_plain) {
        let mut body = body.clone();
        without_absent(&mut body);
        let wire = answer.text().replace(&id, "SERVER_ID");
        let mut ours: Value = serde_json::from_str(&wire).expect("JSON");
        without_internal(&mut ours);
        without_internal(&mut body);
        let wire = ours.to_string();
        assert_same(&context, &body, &wire, VARYING);
    }
}

#[test]
fn requests_are_answered_as_recorded() {
    let world = World::start(BUSY);
    let [mut a, _b, mut sys] = clients(&world);
    refuse_and_leave(&world);
    let mut limited = None;
    let mut failed = Vec::new();
    for (index, recorded) in cases("requests") {
        let subject = recorded["subject"].as_str().unwrap();
        // What runs inside of Go has no counterpart.
        if subject.contains("IPQUEUESZ")
            || subject.contains("PROFILEZ")
            || subject.ends_with(".KICK")
                && recorded["request"].as_str().unwrap().contains("\"cid\":7")
        {
            continue;
        }
        if limited.is_none() && recorded["user"] != "sys" {
            // It came late when the goldens were recorded.
            limited = Some(world.user_called("limited"));
        }
        let asker = match (recorded["user"].as_str(), &mut limited) {
            (Some("a"), _) => &mut a,
            (Some("limited"), Some(limited)) => limited,
            _ => &mut sys,
        };
        let run = std::panic::AssertUnwindSafe(|| check_recorded(asker, &recorded));
        if std::panic::catch_unwind(run).is_err() {
            failed.push(format!("{index} {subject}"));
        }
    }
    assert!(failed.is_empty(), "not as recorded: {failed:#?}");
}

#[test]
fn a_client_is_kicked_and_another_told_to_leave() {
    let world = World::start(BUSY);
    let [mut a, mut b, mut sys] = clients(&world);
    let id = sys.server_id();
    let cid = |client: &Client| format!("{{\"cid\":{}}}", client.cid());
    let told = sys
        .request(&format!("$SYS.REQ.SERVER.{id}.LDM"), &cid(&b))
        .json();
    assert_eq!(told["error"], Value::Null);
    let line = b.line();
    assert!(
        line.starts_with("INFO ") && line.contains("\"ldm\":true"),
        "{line}"
    );
    b.flush();
    sys.request(&format!("$SYS.REQ.SERVER.{id}.KICK"), &cid(&a));
    eventually("the end of a kicked client", || {
        a.line().is_empty().then_some(())
    });
    eventually("the reason", || {
        let closed = world.json("/connz?state=closed");
        (closed["connections"][0]["reason"] == "Kicked").then_some(())
    });
}

#[test]
fn a_reload_without_a_file_is_an_error_in_the_envelope() {
    let world = World::start(BUSY);
    let mut sys = world.user("sys");
    let id = sys.server_id();
    let answer = sys
        .request(&format!("$SYS.REQ.SERVER.{id}.RELOAD"), "")
        .json();
    assert_eq!(answer["server"]["id"], json!(id));
    let text = answer["error"]["description"].as_str().expect("an error");
    assert!(text.starts_with("can only reload config"), "{text}");
}

#[test]
fn without_a_system_account_nobody_answers_and_nothing_breaks() {
    let world = World::start(&format!("{PLAIN}\nno_system_account: true\n"));
    let mut client = world.client(&json!({}));
    client.send("SUB $SYS.> 1\r\n");
    for subject in [
        "$SYS.REQ.SERVER.PING",
        "$SYS.REQ.USER.INFO",
        "$SYS.REQ.ACCOUNT.PING.CONNZ",
    ] {
        // The client itself listens to `$SYS.>` of its account, so it hears its own request.
        client.send(&format!("PUB {subject} 0\r\n\r\n"));
    }
    drop(world.client(&json!({})));
    eventually("a closed connection", || {
        (world.json("/connz?state=closed")["total"] == 1).then_some(())
    });
    assert_eq!(client.arrived().len(), 3);
    let varz = world.json("/varz");
    assert_eq!(varz.get("system_account"), None);
    assert_eq!(world.json("/accountz").get("system_account"), None);
    assert_eq!(world.json("/healthz")["status"], "ok");
}

/// The first event under that subject, asked for until it comes.
fn event(seen: &[Received], subject: &str) -> Value {
    let found = seen.iter().find(|message| message.subject == subject);
    found
        .unwrap_or_else(|| panic!("no {subject} in {seen:#?}"))
        .json()
}

/// Reads events until one under `subject` has come.
fn until(client: &mut Client, seen: &mut Vec<Received>, subject: &str) {
    loop {
        let Some(message) = client.next_message() else {
            let subjects: Vec<_> = seen.iter().map(|message| &message.subject).collect();
            panic!("{subject} does not come, but {subjects:#?}");
        };
        let is_last = message.subject == subject;
        seen.push(message);
        if is_last {
            return;
        }
    }
}

/// The recorded event under that subject.
fn recorded(subject: &str, id: &str) -> Value {
    let mut found = cases("events").into_iter().find_map(|(_, case)| {
        let known = case["subject"].as_str().unwrap_or_default();
        let tokens = known
            .split('.')
            .map(|token| if token.len() == 56 { id } else { token });
        (tokens.collect::<Vec<_>>().join(".") == subject).then(|| case["body"].clone())
    });
    let mut body = found
        .take()
        .unwrap_or_else(|| panic!("no {subject} recorded"));
    without_absent(&mut body);
    body
}

#[test]
fn events_are_published_as_recorded() {
    let world = World::start(BUSY);
    let mut watcher = world.client(&json!({"user": "sys", "pass": "sys", "name": "watcher"}));
    let id = watcher.server_id();
    watcher.send("SUB $SYS.ACCOUNT.> 1\r\nSUB $SYS.SERVER.> 2\r\n");
    watcher.flush();
    let mut inside = world.client(&json!({"user": "a", "pass": "a", "name": "inside"}));
    inside.send("SUB $SYS.> 1\r\n");
    inside.flush();
    let mut seen = Vec::new();
    until(&mut watcher, &mut seen, "$SYS.ACCOUNT.A.CONNECT");
    let mut passing = world.client(&json!({"user": "b", "pass": "b", "name": "passing"}));
    passing.send("PUB ask.a 2\r\nhi\r\n");
    passing.flush();
    drop(passing);
    until(&mut watcher, &mut seen, "$SYS.ACCOUNT.B.DISCONNECT");
    let mut wrong = world.stranger(&json!({"user": "a", "pass": "wrong"}));
    while !wrong.line().is_empty() {}
    until(&mut watcher, &mut seen, "$SYS.ACCOUNT.$G.DISCONNECT");
    until(&mut watcher, &mut seen, &format!("$SYS.SERVER.{id}.STATSZ"));
    world.runtime.block_on(world.server.shutdown());
    until(
        &mut watcher,
        &mut seen,
        &format!("$SYS.SERVER.{id}.SHUTDOWN"),
    );
    let mut failed = Vec::new();
    for subject in [
        "$SYS.SERVER.ACCOUNT.A.CONNS".to_owned(),
        "$SYS.ACCOUNT.A.SERVER.CONNS".to_owned(),
        "$SYS.ACCOUNT.A.CONNECT".to_owned(),
        "$SYS.ACCOUNT.B.CONNECT".to_owned(),
        "$SYS.ACCOUNT.B.DISCONNECT".to_owned(),
        format!("$SYS.SERVER.{id}.CLIENT.AUTH.ERR"),
        "$SYS.ACCOUNT.$G.DISCONNECT".to_owned(),
        format!("$SYS.SERVER.{id}.STATSZ"),
    ] {
        let ours = event(&seen, &subject).to_string();
        let check = || assert_same(&subject, &recorded(&subject, &id), &ours, VARYING);
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err() {
            failed.push(subject);
        }
    }
    assert!(failed.is_empty(), "not as recorded: {failed:#?}");
    let left = event(&seen, "$SYS.ACCOUNT.B.DISCONNECT");
    assert_eq!(left["reason"], "Client Closed");
    assert_eq!(
        left["sent"],
        json!({"msgs": 1, "bytes": 2}),
        "of the server's view: {left}"
    );
}

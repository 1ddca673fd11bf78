//! Requests against what a real server answered.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use super::super::fake::{FakeSource, at_once};
use super::super::golden::{assert_same, cases};
use super::*;
use crate::auth::permissions::{PermissionsSpec, ResponsePermission, SubjectPermission};

/// Keys whose values differ from run to run, or from request to request.
const VARYING: &[&str] = &[
    "server_id",
    "id",
    "now",
    "time",
    "timestamp",
    "seq",
    "start",
    "stop",
    "last_activity",
    "uptime",
    "idle",
    "rtt",
    "port",
    "cpu",
    "mem",
    "cores",
    "gomaxprocs",
    "go",
    "git_commit",
    "config_load_time",
    "config_digest",
    "update_time",
    "http_req_stats",
    "num_subscriptions",
    "subscriptions",
    "num_cache",
    "num_inserts",
    "num_removes",
    "num_matches",
    "cache_hit_rate",
    "max_fanout",
    "avg_fanout",
    "msgs",
    "bytes",
    "in_msgs",
    "out_msgs",
    "in_bytes",
    "out_bytes",
    "in_client_msgs",
    "in_client_bytes",
    "out_client_msgs",
    "out_client_bytes",
    "pending_bytes",
    "stalls",
];

/// A control that knows one connection and remembers what it was told.
#[derive(Default)]
struct FakeControl {
    told: Mutex<Vec<String>>,
    reload_error: Option<String>,
}

impl Control for FakeControl {
    fn reload(&self) -> Result<(), String> {
        self.told.lock().push("reload".to_owned());
        self.reload_error.clone().map_or(Ok(()), Err)
    }

    fn kick(&self, cid: u64) -> bool {
        self.told.lock().push(format!("kick {cid}"));
        cid == 7
    }

    fn lame_duck(&self, cid: u64) -> bool {
        self.told.lock().push(format!("lame duck {cid}"));
        cid == 7
    }
}

fn monitor() -> Monitor {
    let mut source = FakeSource::busy();
    source.counters.slow_consumers = Default::default();
    source.facts.server_id = "SERVER_ID".to_owned();
    for subscription in &mut source.subscriptions {
        subscription.counts = subscription.cid >= 7;
    }
    Monitor::new(Arc::new(source))
}

fn requester(user: &str) -> Requester {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let permissions = PermissionsSpec {
        publish: Some(SubjectPermission {
            allow: texts(&["foo.*", "$SYS.REQ.>"]),
            deny: texts(&["foo.secret"]),
        }),
        subscribe: Some(SubjectPermission {
            allow: texts(&["foo.> workers", "_INBOX.>"]),
            deny: Vec::new(),
        }),
        allow_responses: Some(ResponsePermission {
            max_msgs: 3,
            expires: Some(std::time::Duration::from_secs(60)),
        }),
    };
    let account = if user == "sys" { "SYS" } else { "A" };
    Requester {
        user: user.to_owned(),
        account: account.to_owned(),
        account_name: account.to_owned(),
        permissions: (user == "limited").then_some(permissions),
        ..Requester::default()
    }
}

/// Asks as the recorded case asked; a subject that nobody subscribes to finds nobody.
fn ask(case: &Value) -> Option<Answer> {
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let requester = requester(text("user"));
    // The server sends USER.INFO through an import to the user's account.
    let subject = match text("subject") {
        "$SYS.REQ.USER.INFO" => format!("$SYS.REQ.USER.{}.INFO", requester.account),
        subject => subject.to_owned(),
    };
    let incoming = Incoming {
        subject: &subject,
        reply: "_INBOX.1",
        accept_encoding: text("request_headers")
            .strip_prefix("Accept-Encoding: ")
            .unwrap_or_default(),
        body: text("request").as_bytes(),
        requester: Some(&requester),
        event_id: "event",
    };
    at_once(monitor().answer(&incoming, &FakeControl::default()))
}

/// Whether the case is one whose answer is meant to differ.
fn differs(case: &Value) -> bool {
    let subject = case["subject"].as_str().unwrap_or_default();
    let unavailable = ["PROFILEZ", "EXPVARZ", "IPQUEUESZ"];
    let another_account = case["user"] != "sys" && !subject.ends_with("USER.INFO");
    unavailable.iter().any(|kind| subject.ends_with(kind)) || another_account
}

#[test]
fn requests_are_answered_as_recorded() {
    for (name, case) in cases("requests") {
        if differs(&case) {
            continue;
        }
        let context = format!("{name}: {} {}", case["subject"], case["request"]);
        let answer = ask(&case);
        let recorded_headers = case["headers"].as_str().unwrap_or_default();
        if case["silent"] == true || recorded_headers.starts_with("NATS/1.0 503") {
            assert_eq!(answer, None, "{context}");
            continue;
        }
        let answer = answer.unwrap_or_else(|| panic!("{context}: silent"));
        assert_eq!(answer.subject, "_INBOX.1");
        assert_eq!(
            answer.headers.is_some(),
            recorded_headers.contains("Content-Encoding"),
            "{context}"
        );
        let Some(body) = case.get("body") else {
            continue; // recorded compressed
        };
        // The whole list, of which the server's own part differs.
        let list: &[&str] = if context.contains("\"acc\\\":\\\"A\\\"}") && context.contains("SUBSZ")
        {
            &["total", "subscriptions_list"]
        } else {
            &[]
        };
        let lists = ["cid"].into_iter().filter(|_| context.contains("SUBSZ"));
        let varying: Vec<_> = VARYING.iter().chain(list).copied().chain(lists).collect();
        assert_same(&context, body, &answer.body, &varying);
    }
}

#[test]
fn orders_are_carried_out_and_said_so() {
    let check = |kind: &str, body: &str, told: &[&str], error: Option<&str>| {
        let control = FakeControl {
            reload_error: Some("bad config".to_owned()),
            ..FakeControl::default()
        };
        let subject = format!("$SYS.REQ.SERVER.SERVER_ID.{kind}");
        let incoming = Incoming {
            subject: &subject,
            reply: "r",
            body: body.as_bytes(),
            ..Incoming::default()
        };
        let answer = at_once(monitor().answer(&incoming, &control)).expect("an answer");
        assert_eq!(*control.told.lock(), told, "{kind} {body}");
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(body["error"]["description"].as_str(), error, "{kind}");
        assert_eq!(body.get("data"), None, "{kind}");
    };
    check("KICK", r#"{"cid":7}"#, &["kick 7"], None);
    check(
        "KICK",
        r#"{"cid":8}"#,
        &["kick 8"],
        Some("no such client or leafnode id"),
    );
    check("LDM", r#"{"cid":7}"#, &["lame duck 7"], None);
    check(
        "LDM",
        r#"{"cid":8}"#,
        &["lame duck 8"],
        Some("no such client id"),
    );
    check("RELOAD", "", &["reload"], Some("bad config"));
}

#[test]
fn what_is_not_available_is_said_so() {
    for kind in ["PROFILEZ", "EXPVARZ", "IPQUEUESZ"] {
        let case = serde_json::json!({"subject": format!("$SYS.REQ.SERVER.PING.{kind}")});
        let answer = ask(&case).expect("an answer");
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(body["error"]["code"], 500, "{kind}");
        let text = body["error"]["description"].as_str().expect("a text");
        assert!(text.ends_with("not available on this server"), "{text}");
    }
}

#[test]
fn without_a_reply_only_statsz_is_published() {
    let ask = |subject| {
        let incoming = Incoming {
            subject,
            ..Incoming::default()
        };
        at_once(monitor().answer(&incoming, &FakeControl::default()))
    };
    assert_eq!(ask("$SYS.REQ.SERVER.PING.VARZ"), None);
    let answer = ask("$SYS.REQ.SERVER.PING").expect("an event");
    assert_eq!(answer.subject, "$SYS.SERVER.SERVER_ID.STATSZ");
}

#[test]
fn answers_are_numbered() {
    let monitor = monitor();
    let incoming = Incoming {
        subject: "$SYS.REQ.SERVER.PING.ROUTEZ",
        reply: "r",
        ..Incoming::default()
    };
    for seq in 1..4 {
        let answer = at_once(monitor.answer(&incoming, &FakeControl::default()));
        let answer = answer.expect("an answer");
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(body["server"]["seq"], seq);
    }
}

#[test]
fn subscribers_are_counted_in_the_account_of_who_asks() {
    let count = |payload: &str| {
        let requester = requester("a");
        let incoming = Incoming {
            subject: "$SYS.DEBUG.SUBSCRIBERS",
            reply: "r",
            body: payload.as_bytes(),
            requester: Some(&requester),
            ..Incoming::default()
        };
        let answer = at_once(monitor().answer(&incoming, &FakeControl::default()));
        answer.expect("an answer").body
    };
    for (payload, expected) in [
        ("foo", "1"),
        ("foo.x", "1"),
        ("foo.x workers", "1"),
        ("foo.x others", "0"),
        ("foo workers", "0"),
        (">", "4"),
        ("", "0"),
        (" foo.* ", "0"),
        ("$SYS.REQ.USER.INFO", "0"),
    ] {
        assert_eq!(count(payload), expected, "{payload:?}");
    }
}

#[test]
fn requests_about_streams_are_answered_as_the_peer_answers() {
    let monitor = Monitor::new(Arc::new(FakeSource::streams()));
    for (name, mut golden) in cases("streams") {
        let subject = golden["subject"].as_str().unwrap_or_default().to_owned();
        // Imports are other than ours.
        if subject.is_empty() || name == "request info" {
            continue;
        }
        without_own_limit(&mut golden);
        let incoming = Incoming {
            subject: &subject,
            reply: "_INBOX.1",
            body: golden["request"].as_str().unwrap_or_default().as_bytes(),
            ..Incoming::default()
        };
        let answer = at_once(monitor.answer(&incoming, &FakeControl::default()));
        let answer = answer.unwrap_or_else(|| panic!("{name}: no answer"));
        let mut varying = VARYING.to_vec();
        varying.retain(|key| !["msgs", "bytes"].contains(key));
        varying.extend([
            "flags",
            "store_dir",
            "ts",
            "sent",
            "received",
            "connections",
        ]);
        varying.extend([
            "sent_to_clients",
            "received_from_clients",
            "total_connections",
        ]);
        varying.extend(["active_accounts", "active_servers"]);
        assert_same(&name, &golden["body"], &answer.body, &varying);
    }
}

/// Takes the limit away that ours does not have.
fn without_own_limit(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.shift_remove("default_max_consumers");
            fields.values_mut().for_each(without_own_limit);
        }
        Value::Array(list) => list.iter_mut().for_each(without_own_limit),
        _ => {}
    }
}

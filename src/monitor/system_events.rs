//! What the server tells on its own in `$SYS`: connects, disconnects, figures, its end.
//!
//! Separate because these are the events that billing and audit tools read. Every builder
//! is a function of snapshots, ids and times; publishing is the caller's.
//!
//! Invariants: in events about connections `sent` and `received` are from the client's
//! point of view, in events about accounts from the server's (spec core §3.7); the id of
//! an event comes from the caller and is unique. When they are due: `SERVER.CONNS` on
//! every change and every [`ACCOUNT_INTERVAL`] while there are connections, not for the
//! global account; STATSZ by [`super::statsz_schedule`].

use std::time::Duration;

use serde::Serialize;

use super::accstatz::AccountStat;
use super::go_format::{Nanos, Time, compact, is_zero, shown_round_trip};
use super::server_info::ServerInfo;
use super::source::{AccountSnapshot, ConnectionSnapshot, Source, Traffic};
use super::statsz::Statsz;
use crate::clock::Timestamp;

/// Between two events about the same unchanged account.
pub const ACCOUNT_INTERVAL: Duration = Duration::from_secs(30);

/// A message to be published in the system account, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The subject.
    pub subject: String,
    /// JSON on one line.
    pub body: String,
}

/// What typed events begin with.
#[derive(Debug, Serialize)]
struct Typed {
    #[serde(rename = "type")]
    event_type: &'static str,
    id: String,
    timestamp: Time,
}

const CONNECT: &str = "io.nats.server.advisory.v1.client_connect";
const DISCONNECT: &str = "io.nats.server.advisory.v1.client_disconnect";
const ACCOUNT_CONNECTIONS: &str = "io.nats.server.advisory.v1.account_connections";

/// Who speaks, and when, under which id.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The speaker, numbered.
    pub server: ServerInfo,
    /// The unique id of the event.
    pub id: String,
    /// When it happened.
    pub time: Timestamp,
}

impl Stamp {
    fn typed(&self, event_type: &'static str) -> Typed {
        Typed {
            event_type,
            id: self.id.clone(),
            timestamp: Time(self.time),
        }
    }
}

#[derive(Debug, Serialize)]
struct ClientConnect {
    #[serde(flatten)]
    typed: Typed,
    server: ServerInfo,
    client: ClientInfo,
}

#[derive(Debug, Serialize)]
struct ClientDisconnect {
    #[serde(flatten)]
    typed: Typed,
    server: ServerInfo,
    client: ClientInfo,
    sent: Traffic,
    received: Traffic,
    reason: String,
}

#[derive(Debug, Serialize)]
struct AccountConnections {
    #[serde(flatten)]
    typed: Typed,
    server: ServerInfo,
    #[serde(flatten)]
    stat: AccountStat,
}

/// A client, as events describe it.
#[derive(Debug, Serialize)]
struct ClientInfo {
    start: Time,
    #[serde(skip_serializing_if = "is_zero")]
    host: String,
    #[serde(skip_serializing_if = "is_zero")]
    id: u64,
    acc: String,
    #[serde(skip_serializing_if = "is_zero")]
    user: String,
    #[serde(skip_serializing_if = "is_zero")]
    name: String,
    #[serde(skip_serializing_if = "is_zero")]
    lang: String,
    #[serde(skip_serializing_if = "is_zero")]
    ver: String,
    #[serde(skip_serializing_if = "is_zero")]
    rtt: Nanos,
    #[serde(skip_serializing_if = "is_zero")]
    stop: Option<Time>,
    #[serde(skip_serializing_if = "is_zero")]
    jwt: String,
    #[serde(skip_serializing_if = "is_zero")]
    issuer_key: String,
    #[serde(skip_serializing_if = "is_zero")]
    name_tag: String,
    #[serde(skip_serializing_if = "is_zero")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    kind: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    client_type: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    client_id: String,
}

impl ClientInfo {
    /// As told when the client comes; `stop` and the round trip are left out.
    fn new(connection: &ConnectionSnapshot, account: &str) -> Self {
        let c = connection.clone();
        let acc = if account.is_empty() { "N/A" } else { account };
        ClientInfo {
            start: Time(c.start),
            host: c.ip,
            id: c.cid,
            acc: acc.to_owned(),
            user: c.user,
            name: c.name,
            lang: c.lang,
            ver: c.version,
            rtt: Nanos::default(),
            stop: None,
            jwt: c.jwt,
            issuer_key: c.issuer_key,
            name_tag: c.name_tag,
            tags: c.tags,
            kind: c.kind,
            client_type: c.client_type,
            client_id: c.mqtt_client,
        }
    }
}

/// A client logged in.
pub fn client_connect(stamp: &Stamp, connection: &ConnectionSnapshot) -> Event {
    let body = ClientConnect {
        typed: stamp.typed(CONNECT),
        server: stamp.server.clone(),
        client: ClientInfo::new(connection, &connection.account),
    };
    Event {
        subject: format!("$SYS.ACCOUNT.{}.CONNECT", connection.account),
        body: compact(&body),
    }
}

/// A client went, for the connection's `reason`.
pub fn client_disconnect(stamp: &Stamp, connection: &ConnectionSnapshot) -> Event {
    Event {
        subject: format!("$SYS.ACCOUNT.{}.DISCONNECT", connection.account),
        body: disconnect_body(stamp, connection, &connection.account),
    }
}

/// A client was refused; for the operator.
pub fn auth_error(stamp: &Stamp, connection: &ConnectionSnapshot) -> Event {
    Event {
        subject: format!("$SYS.SERVER.{}.CLIENT.AUTH.ERR", stamp.server.id()),
        body: disconnect_body(stamp, connection, &connection.account),
    }
}

/// A client was refused by a limit or rule of `account`; published *inside that account*.
pub fn account_auth_error(stamp: &Stamp, connection: &ConnectionSnapshot, account: &str) -> Event {
    Event {
        subject: "$SYS.ACCOUNT.CLIENT.AUTH.ERR".to_owned(),
        body: disconnect_body(stamp, connection, account),
    }
}

fn disconnect_body(stamp: &Stamp, connection: &ConnectionSnapshot, account: &str) -> String {
    compact(&ClientDisconnect {
        typed: stamp.typed(DISCONNECT),
        server: stamp.server.clone(),
        client: ClientInfo {
            rtt: Nanos(shown_round_trip(connection.round_trip)),
            stop: Some(Time(connection.stop.unwrap_or(stamp.time))),
            ..ClientInfo::new(connection, account)
        },
        // What the server received, the client sent.
        sent: connection.received,
        received: connection.sent,
        reason: connection.reason.clone(),
    })
}

/// The subjects under which figures of an account are published, the old one first.
pub fn account_connections_subjects(account: &str) -> [String; 2] {
    [
        format!("$SYS.SERVER.ACCOUNT.{account}.CONNS"),
        format!("$SYS.ACCOUNT.{account}.SERVER.CONNS"),
    ]
}

/// Figures of an account, to be published under `subject`; each subject has a number of
/// its own in the stamp, but the same id.
pub fn account_connections(stamp: &Stamp, account: AccountSnapshot, subject: String) -> Event {
    let body = AccountConnections {
        typed: stamp.typed(ACCOUNT_CONNECTIONS),
        server: stamp.server.clone(),
        stat: AccountStat::new(account),
    };
    Event {
        subject,
        body: compact(&body),
    }
}

/// The subject of the regular figures of a server.
pub fn statsz_subject(server_id: &str) -> String {
    format!("$SYS.SERVER.{server_id}.STATSZ")
}

/// Regular figures. A server on its own publishes them only if somebody listens.
pub fn statsz(source: &dyn Source, server: ServerInfo) -> Event {
    Event {
        subject: statsz_subject(server.id()),
        body: compact(&Statsz::new(source, server)),
    }
}

/// The server ends; the last thing it says.
pub fn shutdown(server: &ServerInfo) -> Event {
    Event {
        subject: format!("$SYS.SERVER.{}.SHUTDOWN", server.id()),
        body: compact(server),
    }
}

/// The server sends its clients elsewhere.
pub fn lame_duck(server: &ServerInfo) -> Event {
    Event {
        subject: format!("$SYS.SERVER.{}.LAMEDUCK", server.id()),
        body: compact(server),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::fake::{FakeSource, at};
    use super::super::golden::{assert_same, cases};
    use super::*;

    const VARYING: &[&str] = &[
        "id",
        "timestamp",
        "time",
        "seq",
        "start",
        "stop",
        "rtt",
        "ver",
    ];

    /// The recorded event under that subject, with the server's id in the subject replaced.
    fn recorded(subject: &str) -> Value {
        let found = cases("events").into_iter().find(|(_, case)| {
            let recorded = case["subject"].as_str().unwrap_or_default();
            let tokens = recorded
                .split('.')
                .map(|token| if token.len() == 56 { "ME" } else { token });
            tokens.collect::<Vec<_>>().join(".") == subject
        });
        found.unwrap_or_else(|| panic!("no event {subject}")).1["body"].clone()
    }

    fn stamp(source: &FakeSource) -> Stamp {
        let mut facts = source.facts.clone();
        facts.server_id = "ME".to_owned();
        Stamp {
            server: ServerInfo::new(&facts, 13, at(900)),
            id: "jMwVDQ0Gl7mv4qAK0KOGKg".to_owned(),
            time: at(900),
        }
    }

    fn check(event: &Event, also_varying: &[&str]) {
        let varying = [VARYING, also_varying].concat();
        assert_same(
            &event.subject,
            &recorded(&event.subject),
            &event.body,
            &varying,
        );
    }

    fn connection(user: &str, account: &str, name: &str) -> ConnectionSnapshot {
        ConnectionSnapshot {
            user: user.to_owned(),
            account: account.to_owned(),
            name_tag: account.to_owned(),
            name: name.to_owned(),
            lang: "python3".to_owned(),
            version: "1.2.3".to_owned(),
            received: Traffic::default(),
            sent: Traffic::default(),
            ..FakeSource::busy().open[2].clone()
        }
    }

    #[test]
    fn connects_and_disconnects_are_told_as_recorded() {
        let source = FakeSource::busy();
        let stamp = stamp(&source);
        check(
            &client_connect(&stamp, &connection("a", "A", "inside")),
            &[],
        );
        let closed = ConnectionSnapshot {
            reason: "Client Closed".to_owned(),
            received: Traffic::new(1, 2),
            ..connection("b", "B", "passing")
        };
        check(&client_disconnect(&stamp, &closed), &[]);
        let refused = ConnectionSnapshot {
            reason: "Authentication Failure".to_owned(),
            ..connection("a", "$G", "golden")
        };
        check(&auth_error(&stamp, &refused), &[]);
        check(&client_disconnect(&stamp, &refused), &[]);
    }

    #[test]
    fn refusals_of_an_account_name_that_account() {
        let source = FakeSource::busy();
        let refused = connection("a", "", "golden");
        let event = account_auth_error(&stamp(&source), &refused, "A");
        let body: Value = serde_json::from_str(&event.body).expect("JSON");
        assert_eq!(event.subject, "$SYS.ACCOUNT.CLIENT.AUTH.ERR");
        assert_eq!(body["client"]["acc"], "A");
        let nowhere = auth_error(&stamp(&source), &refused);
        assert!(nowhere.body.contains(r#""acc":"N/A""#), "{}", nowhere.body);
    }

    #[test]
    fn accounts_are_told_under_two_subjects() {
        let source = FakeSource::busy();
        let stamp = stamp(&source);
        let account = AccountSnapshot {
            name: "A".to_owned(),
            name_tag: "A".to_owned(),
            clients: 1,
            ..AccountSnapshot::default()
        };
        for subject in account_connections_subjects("A") {
            let event = account_connections(&stamp, account.clone(), subject);
            check(&event, &["num_subscriptions"]);
        }
    }

    #[test]
    fn figures_and_the_end_are_told_as_recorded() {
        let source = {
            let mut source = FakeSource::busy();
            source.counters.slow_consumers = Default::default();
            source
        };
        let server = stamp(&source).server;
        let figures = ["mem", "cores", "cpu", "connections", "total_connections"];
        let counts = [
            "subscriptions",
            "active_accounts",
            "msgs",
            "bytes",
            "gomaxprocs",
        ];
        check(
            &statsz(&source, server.clone()),
            &[&figures[..], &counts].concat(),
        );
        check(&lame_duck(&server), &[]);
        let plain = stamp(&FakeSource::plain()).server;
        check(&shutdown(&plain), &["name"]);
    }

    #[test]
    fn figures_by_kind_are_shown_when_there_are_any() {
        let source = FakeSource::busy();
        let event = statsz(&source, stamp(&source).server);
        let expected = r#""slow_consumers":4,"slow_consumer_stats":{"clients":0,"routes":0,"gateways":0,"leafs":4},"active_servers":1"#;
        assert!(event.body.contains(expected), "{}", event.body);
    }
}

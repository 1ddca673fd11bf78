//! What others may know of a client: its entry in the registry.
//!
//! The session writes it, monitoring, events and reload read it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::auth::users::User;
use crate::client::by_sid::SubscriptionsBySid;
use crate::clock::{Monotonic, Timestamp};
use crate::connection::id::ConnId;
use crate::connection::link::Link;
use crate::connection::registry::HasLink;
use crate::protocol::info::Info;
use crate::pubsub::accounts::Account;
use crate::pubsub::message::Requester;
use crate::telemetry::protocol_trace::quoted;

/// An open client.
pub struct Client {
    /// Its link.
    pub link: Arc<Link>,
    /// When it was accepted.
    pub start: Timestamp,
    /// Its TLS, if it uses it.
    pub tls: Option<TlsPeer>,
    /// The nonce it may sign; empty if INFO carried none.
    pub nonce: String,
    /// Its subscriptions; written by the session.
    pub subscriptions: Mutex<SubscriptionsBySid>,
    /// Nanoseconds of UTC when it last published, changed its subscriptions or logged in;
    /// PING and PONG are no activity.
    pub last_activity: AtomicU64,
    /// The last measured round trip in nanoseconds; 0: never.
    pub round_trip: AtomicU64,
    /// Its first PING was answered: asynchronous INFO may come.
    pub settled: AtomicBool,
    details: Mutex<Details>,
    orders: Mutex<Orders>,
}

/// The TLS side of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsPeer {
    /// `1.2` or `1.3`.
    pub version: String,
    /// The published name of the cipher suite.
    pub cipher_suite: String,
    /// The handshake came before INFO.
    pub first: bool,
    /// DER of the peer's certificates, the leaf first.
    pub certificates: Vec<Vec<u8>>,
    /// The leaf was verified.
    pub is_verified: bool,
}

/// What a client said of itself and what it turned out to be.
#[derive(Clone, Default)]
pub struct Details {
    /// Its name.
    pub name: String,
    /// Its library's language.
    pub lang: String,
    /// Its library's version.
    pub version: String,
    /// What it presented as its name.
    pub shown_user: String,
    /// What stands behind its number in log lines, once it is somebody.
    pub shown_label: String,
    /// `CONNECT` said `protocol` 1.
    pub async_info: bool,
    /// Who it is, once that is decided.
    pub user: Option<Arc<User>>,
    /// The account it is bound to.
    pub account: Option<Arc<Account>>,
    /// It has logged in by a CONNECT of its own.
    pub is_connected: bool,
}

/// What others want of the session; it looks after `Link::nudge`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Orders {
    /// Identity and permissions have to be decided again: users have changed.
    pub reauthorize: bool,
    /// A PING for a round-trip time is wanted.
    pub ping: bool,
    /// Limits and timers have changed.
    pub reoption: bool,
}

impl Client {
    /// A client that has said nothing yet.
    pub fn new(
        link: Arc<Link>,
        start: Timestamp,
        tls: Option<TlsPeer>,
        nonce: String,
    ) -> Arc<Client> {
        Arc::new(Client {
            link,
            start,
            tls,
            nonce,
            subscriptions: Mutex::default(),
            last_activity: AtomicU64::new(start.unix_nanos().unsigned_abs()),
            round_trip: AtomicU64::new(0),
            settled: AtomicBool::new(false),
            details: Mutex::default(),
            orders: Mutex::default(),
        })
    }

    /// How many subscriptions it has. Walks all of them: those that had their last message
    /// stay in the map until the session looks after it.
    pub fn subscription_count(&self) -> usize {
        let subscriptions = self.subscriptions.lock();
        subscriptions.iter().filter(|s| !s.0.is_closed()).count()
    }

    /// A copy of the details.
    pub fn details(&self) -> Details {
        self.details.lock().clone()
    }

    /// Changes the details.
    pub fn update(&self, change: impl FnOnce(&mut Details)) {
        change(&mut self.details.lock());
    }

    /// The account it is bound to.
    pub fn account(&self) -> Option<Arc<Account>> {
        self.details.lock().account.clone()
    }

    /// Asks the session for something.
    pub fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.orders.lock());
        self.link.nudge();
    }

    /// Takes the orders; for the session.
    pub fn take_orders(&self) -> Orders {
        std::mem::take(&mut self.orders.lock())
    }

    /// Its first PING was answered, and it understands asynchronous INFO.
    pub fn wants_async_info(&self) -> bool {
        self.settled.load(Ordering::Relaxed) && self.details.lock().async_info
    }

    /// `base` as this client sees it.
    pub fn info(&self, base: &Info) -> Info {
        info_for(base, self.link.id, self.link.peer, &self.nonce)
    }

    /// It has done something now.
    pub fn touch(&self, now: Timestamp) {
        let nanos = now.unix_nanos().unsigned_abs();
        self.last_activity.store(nanos, Ordering::Relaxed);
    }

    /// It has answered INFO with CONNECT: activity, and the first estimate of a round trip.
    pub fn answered(&self, now: Timestamp) {
        self.touch(now);
        if self.round_trip.load(Ordering::Relaxed) == 0 {
            self.keep_round_trip(now.since(self.start));
        }
    }

    /// Remembers a measured round trip.
    pub fn set_round_trip(&self, from: Monotonic, to: Monotonic) {
        self.keep_round_trip(to.since(from));
    }

    fn keep_round_trip(&self, round_trip: Duration) {
        let nanos = u64::try_from(round_trip.as_nanos()).unwrap_or(u64::MAX);
        self.round_trip.store(nanos.max(1), Ordering::Relaxed);
        self.link.note_round_trip(round_trip);
    }

    /// The label of log lines: `ip:port - cid:N - "v1.2:go:name" - "account/user:u"`.
    pub fn label(&self) -> String {
        let link = &self.link;
        let shown = &self.details.lock().shown_label;
        format!(
            "{} - {}:{}{shown}",
            link.peer,
            link.kind.log_prefix(),
            link.id
        )
    }
}

impl Details {
    /// The part of the label that the client's own words make; `who` is `user:…`,
    /// `nkey:…`, `token` or empty.
    pub fn show(&mut self, who: &str) {
        let version = match self.version.as_str() {
            "" => String::new(),
            version => format!("v{version}"),
        };
        let parts = [version.as_str(), self.lang.as_str(), self.name.as_str()];
        let own = parts.into_iter().filter(|part| !part.is_empty());
        let own: Vec<&str> = own.collect();
        let account = self.account.as_ref().map_or("", |account| &account.name);
        let login = match who {
            "" => String::new(),
            who => format!("{account}/{who}"),
        };
        self.shown_label.clear();
        for text in [own.join(":"), login] {
            if !text.is_empty() {
                self.shown_label.push_str(" - ");
                self.shown_label.push_str(&quoted(text.as_bytes()));
            }
        }
    }
}

impl Requester for Client {
    fn request_info(&self, account: &str, share: bool) -> String {
        let round_trip = self.round_trip.load(Ordering::Relaxed);
        if !share {
            return serde_json::json!({ "acc": account, "rtt": round_trip }).to_string();
        }
        let details = self.details();
        let mut info = serde_json::Map::new();
        let mut put = |key: &str, value: serde_json::Value| {
            if value != serde_json::json!("") {
                info.insert(key.to_owned(), value);
            }
        };
        put("start", self.start.to_rfc3339().into());
        put(
            "host",
            self.link.peer.ip().to_canonical().to_string().into(),
        );
        put("id", self.link.id.0.into());
        put("acc", account.into());
        put("user", details.shown_user.into());
        put("name", details.name.into());
        put("lang", details.lang.into());
        put("ver", details.version.into());
        put("rtt", round_trip.into());
        put("kind", "Client".into());
        put("client_type", "nats".into());
        serde_json::Value::Object(info).to_string()
    }
}

/// `base` as the client with this number, address and nonce sees it, be there a link or not.
pub fn info_for(base: &Info, id: ConnId, peer: SocketAddr, nonce: &str) -> Info {
    Info {
        client_id: id.0,
        client_ip: peer.ip().to_canonical().to_string(),
        nonce: nonce.to_owned(),
        ..base.clone()
    }
}

impl HasLink for Client {
    fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_known_logs() {
        let check = |[version, lang, name]: [&str; 3], who: &str, expected: &str| {
            let mut details = Details {
                version: version.into(),
                lang: lang.into(),
                name: name.into(),
                account: Some(Account::new("$G")),
                ..Details::default()
            };
            details.show(who);
            assert_eq!(details.shown_label, expected);
        };
        check(["", "", ""], "", "");
        check(["1.2", "go", "nm"], "", " - \"v1.2:go:nm\"");
        check(["1", "", "nm"], "user:a", " - \"v1:nm\" - \"$G/user:a\"");
        check(["", "", "n\" x"], "token", " - \"n\\\" x\" - \"$G/token\"");
    }
}

//! `/connz`: connections, open and closed.
//!
//! Separate because its options decide much: which connections, in which order, which
//! page, with or without users and subscriptions.
//!
//! Invariants, all of them imposed by the published behaviour: `total` counts what the
//! account filter leaves, not what user, id or subject filters leave; an unknown account
//! answers with an empty id and `null` instead of a list; a user filter does not apply
//! when one open connection is asked for by id. Details (subscriptions, certificates) are
//! taken only of the connections on the page, so that an answer does not copy the server.

use std::sync::Arc;

use serde::Serialize;

use super::go_format::{Time, is_zero, round_trip, shown_round_trip, uptime};
use super::paging::{Page, SortBy};
use super::source::{ConnectionSnapshot, PeerCertificate, Source};
use super::subsz::SubscriptionDetail;
use crate::account::GLOBAL;
use crate::clock::Timestamp;
use crate::subject::wildcard;

/// What a caller may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnzOptions {
    /// The name of an order.
    pub sort: String,
    /// Show users and accounts.
    pub auth: bool,
    /// Show the subjects of subscriptions.
    pub subscriptions: bool,
    /// Show subscriptions in detail.
    pub subscriptions_detail: bool,
    /// Where the page begins.
    pub offset: i64,
    /// How long the page is.
    pub limit: i64,
    /// Only this connection; 0 for all.
    pub cid: u64,
    /// Only this MQTT client.
    pub mqtt_client: String,
    /// Open, closed or both.
    pub state: ConnectionState,
    /// Only connections of this user.
    pub user: String,
    /// Only connections of this account.
    pub account: String,
    /// Only open connections with a subscription that overlaps; needs an account.
    pub filter_subject: String,
}

/// Which connections are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionState {
    /// Those that live.
    #[default]
    Open,
    /// Those in the ring of closed ones.
    Closed,
    /// Both.
    All,
    /// A number that has no meaning: none.
    Unknown,
}

impl ConnectionState {
    /// The state of that name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "" | "open" => Some(ConnectionState::Open),
            "closed" => Some(ConnectionState::Closed),
            "any" | "all" => Some(ConnectionState::All),
            _ => None,
        }
    }

    /// The state of that number, as system requests spell it.
    pub const fn from_number(number: i64) -> Self {
        match number {
            0 => ConnectionState::Open,
            1 => ConnectionState::Closed,
            2 => ConnectionState::All,
            _ => ConnectionState::Unknown,
        }
    }

    const fn open(self) -> bool {
        matches!(self, ConnectionState::Open | ConnectionState::All)
    }

    const fn closed(self) -> bool {
        matches!(self, ConnectionState::Closed | ConnectionState::All)
    }
}

/// Why options cannot be answered; a person reads it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnzError {
    /// No such order.
    #[error("invalid sorting option: {0}")]
    Sort(String),
    /// Open connections have no stop.
    #[error("sort by stop only valid on closed connections")]
    SortByStop,
    /// Open connections have no reason.
    #[error("sort by reason only valid on closed connections")]
    SortByReason,
    /// Subjects mean something only within an account.
    #[error("filter by subject only valid with account filtering")]
    FilterWithoutAccount,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Connz {
    server_id: String,
    now: Time,
    num_connections: usize,
    total: usize,
    offset: i64,
    limit: i64,
    connections: Option<Vec<ConnectionInfo>>,
}

impl Connz {
    /// Answers `options`.
    pub fn new(source: &dyn Source, options: &ConnzOptions) -> Result<Self, ConnzError> {
        let sort = checked_sort(options)?;
        let filter = match options.filter_subject.as_str() {
            "" | ">" => None,
            _ if options.account.is_empty() => return Err(ConnzError::FilterWithoutAccount),
            filter => Some(filter),
        };
        let limit = if options.cid > 0 { 1 } else { options.limit };
        let page = Page::new(options.offset, limit);
        let now = source.now();
        let mut answer = Connz {
            server_id: String::new(),
            now: Time(now),
            num_connections: 0,
            total: 0,
            offset: page.offset,
            limit: page.limit,
            connections: None,
        };
        if !options.account.is_empty() && source.account(&options.account).is_none() {
            return Ok(answer);
        }
        answer.server_id = source.facts().server_id.clone();
        let (mut found, total) = selected(source, options, filter);
        sort.sort(&mut found, now);
        let shown = page.cut(found);
        let infos: Vec<_> = shown
            .into_iter()
            .map(|connection| {
                let connection = with_details(source, connection, options);
                ConnectionInfo::new(connection, options, now)
            })
            .collect();
        answer.total = total;
        answer.num_connections = infos.len();
        answer.connections = Some(infos);
        Ok(answer)
    }
}

/// The order asked for, if it makes sense for the state asked for.
fn checked_sort(options: &ConnzOptions) -> Result<SortBy, ConnzError> {
    let sort =
        SortBy::parse(&options.sort).ok_or_else(|| ConnzError::Sort(options.sort.clone()))?;
    let only_closed = options.state == ConnectionState::Closed;
    match sort {
        SortBy::Stop if !only_closed => Err(ConnzError::SortByStop),
        SortBy::Reason if !only_closed => Err(ConnzError::SortByReason),
        sort => Ok(sort),
    }
}

/// A connection with what is shown of its details; one that closed meanwhile has none.
fn with_details(
    source: &dyn Source,
    connection: Arc<ConnectionSnapshot>,
    options: &ConnzOptions,
) -> ConnectionSnapshot {
    let mut connection = Arc::unwrap_or_clone(connection);
    let wanted = options.auth || options.subscriptions || options.subscriptions_detail;
    if connection.stop.is_none()
        && wanted
        && let Some(detailed) = source.connection(connection.cid)
    {
        connection.subscriptions = detailed.subscriptions;
        connection.tls = detailed.tls;
    }
    connection
}

/// The connections that all filters leave, and how many the account filter leaves.
fn selected(
    source: &dyn Source,
    options: &ConnzOptions,
    filter: Option<&str>,
) -> (Vec<Arc<ConnectionSnapshot>>, usize) {
    let account = Some(options.account.as_str()).filter(|account| !account.is_empty());
    let wanted = |connection: &ConnectionSnapshot| {
        (options.user.is_empty() || connection.user == options.user)
            && (options.mqtt_client.is_empty() || connection.mqtt_client == options.mqtt_client)
    };
    let mut total = 0;
    let mut found = Vec::new();
    if options.state.open() {
        let open = source.connections(account);
        total += open.len();
        let chosen = open.into_iter().filter(|connection| match options.cid {
            0 => wanted(connection),
            cid => connection.cid == cid && connection.kind == "Client",
        });
        let subscribed = chosen.filter(|connection| {
            let Some(filter) = filter else { return true };
            let detailed = source.connection(connection.cid).unwrap_or_default();
            let mut subscriptions = detailed.subscriptions.iter();
            subscriptions.any(|sub| wildcard::overlaps(filter.as_bytes(), sub.subject.as_bytes()))
        });
        found.extend(subscribed.map(Arc::new));
    }
    if options.state.closed() {
        let mut closed = source.closed_connections();
        if let Some(account) = account {
            closed.retain(|connection| connection.account == account);
        }
        total += closed.len();
        let open_was_asked_for = options.cid > 0 && !found.is_empty();
        let closed = closed
            .into_iter()
            .filter(|c| !open_was_asked_for && (options.cid == 0 || c.cid == options.cid))
            .filter(|connection| wanted(connection));
        found.extend(closed);
    }
    (found, total)
}

/// One connection.
#[derive(Debug, Serialize)]
struct ConnectionInfo {
    cid: u64,
    #[serde(skip_serializing_if = "is_zero")]
    kind: &'static str,
    #[serde(rename = "type", skip_serializing_if = "is_zero")]
    client_type: &'static str,
    ip: String,
    port: u16,
    start: Time,
    last_activity: Time,
    #[serde(skip_serializing_if = "is_zero")]
    stop: Option<Time>,
    #[serde(skip_serializing_if = "is_zero")]
    reason: String,
    rtt: String,
    uptime: String,
    idle: String,
    pending_bytes: u64,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    stalls: u64,
    subscriptions: u64,
    #[serde(skip_serializing_if = "is_zero")]
    name: String,
    #[serde(skip_serializing_if = "is_zero")]
    lang: String,
    #[serde(skip_serializing_if = "is_zero")]
    version: String,
    #[serde(skip_serializing_if = "is_zero")]
    tls_version: String,
    #[serde(skip_serializing_if = "is_zero")]
    tls_cipher_suite: String,
    #[serde(skip_serializing_if = "is_zero")]
    tls_peer_certs: Vec<PeerCertificate>,
    #[serde(skip_serializing_if = "is_zero")]
    tls_first: bool,
    #[serde(skip_serializing_if = "is_zero")]
    authorized_user: String,
    #[serde(skip_serializing_if = "is_zero")]
    account: String,
    #[serde(skip_serializing_if = "is_zero")]
    subscriptions_list: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    subscriptions_list_detail: Vec<SubscriptionDetail>,
    #[serde(skip_serializing_if = "is_zero")]
    jwt: String,
    #[serde(skip_serializing_if = "is_zero")]
    issuer_key: String,
    #[serde(skip_serializing_if = "is_zero")]
    name_tag: String,
    #[serde(skip_serializing_if = "is_zero")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    mqtt_client: String,
    #[serde(skip_serializing_if = "is_zero")]
    proxy: Option<ProxyInfo>,
}

/// The trusted proxy a connection came through.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ProxyInfo {
    key: String,
}

impl ProxyInfo {
    /// The proxy of that key; none for the empty key.
    pub fn from_key(key: String) -> Option<Self> {
        (!key.is_empty()).then_some(ProxyInfo { key })
    }
}

impl ConnectionInfo {
    fn new(connection: ConnectionSnapshot, options: &ConnzOptions, now: Timestamp) -> Self {
        let c = connection;
        let open = c.stop.is_none();
        let until = c.stop.unwrap_or(now);
        let tls = c.tls.unwrap_or_default();
        // A closed connection of the global account shows no label, an open one does.
        let shows_account = !c.account.is_empty() && c.account != GLOBAL;
        let auth = |value: String| if options.auth { value } else { String::new() };
        let mut info = ConnectionInfo {
            cid: c.cid,
            kind: c.kind,
            client_type: c.client_type,
            ip: c.ip,
            port: c.port,
            start: Time(c.start),
            last_activity: Time(c.last_activity),
            stop: c.stop.map(Time),
            reason: c.reason,
            rtt: round_trip(shown_round_trip(c.round_trip)),
            uptime: uptime(until.since(c.start)),
            idle: uptime(until.since(c.last_activity)),
            pending_bytes: c.pending_bytes,
            in_msgs: c.received.msgs,
            out_msgs: c.sent.msgs,
            in_bytes: c.received.bytes,
            out_bytes: c.sent.bytes,
            stalls: c.stalls,
            subscriptions: c.subscription_count,
            name: c.name,
            lang: c.lang,
            version: c.version,
            tls_version: tls.version,
            tls_cipher_suite: tls.cipher_suite,
            tls_peer_certs: Vec::new(),
            tls_first: tls.first,
            authorized_user: auth(c.user),
            account: String::new(),
            subscriptions_list: Vec::new(),
            subscriptions_list_detail: Vec::new(),
            jwt: auth(c.jwt),
            issuer_key: auth(c.issuer_key),
            name_tag: String::new(),
            tags: Vec::new(),
            mqtt_client: c.mqtt_client,
            proxy: ProxyInfo::from_key(c.proxy_key),
        };
        if options.auth {
            if open {
                info.tls_peer_certs = tls.peer_certificates;
            }
            if open || shows_account {
                info.name_tag = c.name_tag;
            }
            if shows_account {
                info.account = c.account;
            }
            info.tags = c.tags;
        }
        if options.subscriptions_detail {
            let detail = if open {
                SubscriptionDetail::of_connection
            } else {
                SubscriptionDetail::of_account
            };
            info.subscriptions_list_detail = c.subscriptions.into_iter().map(detail).collect();
        } else if options.subscriptions {
            info.subscriptions_list = c.subscriptions.into_iter().map(|s| s.subject).collect();
        }
        info
    }
}

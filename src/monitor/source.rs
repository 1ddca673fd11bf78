//! What monitoring may know of a running server, as snapshots.
//!
//! Separate so that every answer of this room is computed from plain data: the server
//! implements [`Source`] over its live state, tests implement it over a table. A method
//! copies what it returns under short locks of its own; nobody holds a lock while an
//! answer is built or written.
//!
//! Invariants: ids (`cid`) are unique over open and closed connections; a closed
//! connection has `stop` and `reason`, an open one neither; counters never go back while
//! the server runs. Absent: nothing here changes the server; that is
//! [`Control`](super::system_requests::Control).

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::accountz::{ExportInfo, ImportInfo, MappingDestination};
use super::streams::{JetStreamSnapshot, StreamDetails, Wanted};
use super::varz_sections::{
    ClusterSection, GatewaySection, LeafnodeSection, MqttSection, OcspCache, WebsocketSection,
};
use crate::clock::Timestamp;
use crate::telemetry::process::Usage;

/// The server as monitoring sees it.
pub trait Source: Send + Sync {
    /// The present.
    fn now(&self) -> Timestamp;

    /// What is configured or known since the start; changes with a reload.
    fn facts(&self) -> Arc<ServerFacts>;

    /// Counters and gauges of the whole server.
    fn counters(&self) -> Counters;

    /// Processor and memory use of this process.
    fn usage(&self) -> Usage;

    /// Why the server does not accept connections yet; healthy when it does.
    fn ready(&self) -> Result<(), String>;

    /// Open clients and leafnodes of one account or of all, in any order, without details:
    /// `subscriptions` and the certificates of the peer stay empty. A connection whose
    /// round trip was never measured is pinged by the way if it is a real client (it named
    /// its language).
    fn connections(&self, account: Option<&str>) -> Vec<ConnectionSnapshot>;

    /// One open client or leafnode with its details: only the connections on the page that
    /// is shown cost as much as this.
    fn connection(&self, cid: u64) -> Option<ConnectionSnapshot>;

    /// The most recently closed connections that the ring still holds, with their
    /// subscriptions, in any order.
    fn closed_connections(&self) -> Vec<Arc<ConnectionSnapshot>>;

    /// Every account of the server, without subscriptions, in any order.
    fn accounts(&self) -> Vec<AccountSnapshot>;

    /// One account by name.
    fn account(&self, name: &str) -> Option<AccountSnapshot>;

    /// The tables of one account by name.
    fn account_detail(&self, name: &str) -> Option<AccountDetail>;

    /// Hands every local subscription in the match tree of one account, or of all, to
    /// `visit`, in any order. In the tree of an exporting account stand also the
    /// subscriptions that importing accounts have through it, under the name of the
    /// importing account. `visit` must not call the source.
    fn visit_subscriptions(
        &self,
        account: Option<&str>,
        visit: &mut dyn FnMut(SubscriptionSnapshot),
    );

    /// JetStream and its figures; none when it is off.
    fn jetstream(&self) -> Option<JetStreamSnapshot>;

    /// What streams say of themselves. Waits for their own threads.
    fn stream_details(&self, wanted: Wanted) -> Waiting<'_, StreamDetails>;

    /// Whether a stream has such a consumer.
    fn has_consumer(&self, account: &str, stream: &str, consumer: &str) -> bool;
}

/// An answer that has to be waited for.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Messages and their bytes, headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Traffic {
    /// Messages.
    pub msgs: u64,
    /// Bytes of headers and payloads.
    pub bytes: u64,
}

impl Traffic {
    /// Traffic of that many messages and bytes.
    pub const fn new(msgs: u64, bytes: u64) -> Self {
        Traffic { msgs, bytes }
    }
}

/// A count for each kind of connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ByKind {
    /// Clients over any transport.
    pub clients: u64,
    /// Routes.
    pub routes: u64,
    /// Gateways.
    pub gateways: u64,
    /// Leafnodes.
    pub leafs: u64,
}

impl ByKind {
    /// The sum over all kinds.
    pub const fn total(self) -> u64 {
        self.clients + self.routes + self.gateways + self.leafs
    }
}

/// Waiting for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct DiskWaits {
    /// Who waits now.
    pub waiters: u64,
    /// How often somebody had to wait.
    pub waits: u64,
    /// How long in sum, in nanoseconds.
    pub wait_time: u64,
    /// The longest wait, in nanoseconds.
    pub max_wait_time: u64,
}

/// Configuration and identity of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerFacts {
    /// The public key that names this run of the server.
    pub server_id: String,
    /// The configured name; the id when none is.
    pub server_name: String,
    /// The version that clients gate features on, as INFO says it.
    pub version: String,
    /// The version of this product.
    pub product_version: String,
    /// The commit this program was built from; empty when unknown.
    pub git_commit: String,
    /// The compiler this program was built with.
    pub compiler: String,
    /// The advertised or listening host.
    pub host: String,
    /// The advertised or listening port.
    pub port: i64,
    /// The address clients are told, if it is one.
    pub ip: String,
    /// Clients have to log in.
    pub auth_required: bool,
    /// Clients have to use TLS.
    pub tls_required: bool,
    /// Clients have to present a certificate.
    pub tls_verify: bool,
    /// Revocation of client certificates is checked.
    pub tls_ocsp_peer_verify: bool,
    /// Addresses for clients, as told in INFO.
    pub connect_urls: Vec<String>,
    /// Addresses for WebSocket clients, as told in INFO.
    pub ws_connect_urls: Vec<String>,
    /// Connections at most.
    pub max_connections: i64,
    /// Subscriptions per connection at most; 0 without a limit.
    pub max_subscriptions: i64,
    /// How often a quiet connection is pinged.
    pub ping_interval: Duration,
    /// Pings without an answer before a connection is stale.
    pub ping_max: i64,
    /// The configured host of monitoring.
    pub http_host: String,
    /// The configured port of monitoring.
    pub http_port: i64,
    /// The configured path before every endpoint.
    pub http_base_path: String,
    /// The configured port of monitoring over TLS.
    pub https_port: i64,
    /// Time to log in.
    pub auth_timeout: Duration,
    /// Bytes of a control line at most.
    pub max_control_line: i64,
    /// Bytes of a message at most.
    pub max_payload: i64,
    /// Bytes waiting for one client at most.
    pub max_pending: i64,
    /// Links within the cluster.
    pub cluster: ClusterSection,
    /// Links between clusters.
    pub gateway: GatewaySection,
    /// Leafnodes.
    pub leafnode: LeafnodeSection,
    /// The MQTT listener.
    pub mqtt: MqttSection,
    /// The WebSocket listener.
    pub websocket: WebsocketSection,
    /// Time for a TLS handshake.
    pub tls_timeout: Duration,
    /// Time for one write.
    pub write_deadline: Duration,
    /// The configured policy when a write takes too long; empty for the default.
    pub write_timeout: String,
    /// When the server started.
    pub start: Timestamp,
    /// Processors of the machine.
    pub cores: u64,
    /// Worker threads.
    pub worker_threads: u64,
    /// The memory limit, if one is set; 0 without.
    pub memory_limit: u64,
    /// When the configuration was read last.
    pub config_load_time: Timestamp,
    /// `sha256:…` of the configuration file; empty without a file.
    pub config_digest: String,
    /// Tags of the server.
    pub tags: Vec<String>,
    /// Labels of the server.
    pub metadata: BTreeMap<String, String>,
    /// Switches for optional behaviour.
    pub feature_flags: BTreeMap<String, bool>,
    /// Operator tokens, as configured.
    pub trusted_operators_jwt: Vec<String>,
    /// Operator tokens, decoded.
    pub trusted_operators_claim: Vec<serde_json::Value>,
    /// The name of the system account; empty without one.
    pub system_account: String,
    /// Keys of trusted proxies; `None` when the block is absent.
    pub proxies: Option<Vec<String>>,
    /// When the certificate for clients expires.
    pub tls_cert_not_after: Option<Timestamp>,
    /// The name of the cluster; empty without one.
    pub cluster_name: String,
    /// JetStream is on.
    pub jetstream: bool,
    /// The JetStream domain; empty without one.
    pub domain: String,
}

/// Counters and gauges of the whole server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Open clients.
    pub connections: u64,
    /// Clients since the start.
    pub total_connections: u64,
    /// Open routes.
    pub routes: u64,
    /// Servers known over routes.
    pub remotes: u64,
    /// Open leafnodes.
    pub leafnodes: u64,
    /// Received from anybody.
    pub received: Traffic,
    /// Received from clients.
    pub received_from_clients: Traffic,
    /// Sent to anybody.
    pub sent: Traffic,
    /// Sent to clients.
    pub sent_to_clients: Traffic,
    /// Connections closed because they read too slowly.
    pub slow_consumers: ByKind,
    /// Connections closed because they did not answer pings.
    pub stale_connections: ByKind,
    /// How often a publisher had to wait for a slow reader.
    pub stalled_clients: u64,
    /// Subscriptions of all accounts.
    pub subscriptions: u64,
    /// Accounts with connections.
    pub active_accounts: u64,
    /// Servers known, this one included.
    pub active_servers: u64,
    /// Routes refused because of a pinned account.
    pub pinned_account_fails: u64,
    /// Bytes waiting to be written to all connections.
    pub pending_bytes: u64,
    /// The cache of revocation answers, if it is on.
    pub ocsp_cache: Option<OcspCache>,
    /// Waiting for the disk.
    pub disk_waits: DiskWaits,
}

/// A client or leafnode, open or closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionSnapshot {
    /// The id.
    pub cid: u64,
    /// `Client` or `Leafnode`.
    pub kind: &'static str,
    /// `nats`, `mqtt` or `websocket`; empty for a leafnode.
    pub client_type: &'static str,
    /// The address of the peer.
    pub ip: String,
    /// The port of the peer; 0 when there is none.
    pub port: u16,
    /// When it was accepted.
    pub start: Timestamp,
    /// When it last sent or received anything.
    pub last_activity: Timestamp,
    /// When it was closed.
    pub stop: Option<Timestamp>,
    /// Why it was closed; empty while open.
    pub reason: String,
    /// The last measured round trip; zero if never.
    pub round_trip: Duration,
    /// Bytes waiting to be written.
    pub pending_bytes: u64,
    /// Received from the peer.
    pub received: Traffic,
    /// Sent to the peer.
    pub sent: Traffic,
    /// How often the peer had to wait as a publisher.
    pub stalls: u64,
    /// How many subscriptions it has (or had when it was closed).
    pub subscription_count: u64,
    /// The subscriptions, where details are asked for.
    pub subscriptions: Vec<SubscriptionSnapshot>,
    /// The name the client gave itself.
    pub name: String,
    /// The language of its library.
    pub lang: String,
    /// The version of its library.
    pub version: String,
    /// TLS, when the link uses it and the handshake is over.
    pub tls: Option<TlsSnapshot>,
    /// The user it logged in as (or tried to): name, key or `[REDACTED]` token.
    pub user: String,
    /// The account it belongs to; empty if it never had one.
    pub account: String,
    /// The label of the account: its name tag, else its name; empty without an account.
    pub name_tag: String,
    /// The user token; empty if there is none or it is a bearer token.
    pub jwt: String,
    /// The key that issued the user token.
    pub issuer_key: String,
    /// Tags of the user.
    pub tags: Vec<String>,
    /// The MQTT client id.
    pub mqtt_client: String,
    /// The key of the trusted proxy it came through.
    pub proxy_key: String,
}

/// TLS of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSnapshot {
    /// `1.2` or `1.3`.
    pub version: String,
    /// The published name of the cipher suite.
    pub cipher_suite: String,
    /// The handshake came before INFO.
    pub first: bool,
    /// Certificates of the peer, where details are asked for.
    pub peer_certificates: Vec<PeerCertificate>,
}

/// A certificate that a peer presented.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PeerCertificate {
    /// The subject as RFC 2253 prints it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// SHA-256 of the public key, in lower-case hexadecimal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub spki_sha256: String,
    /// SHA-256 of the certificate, in lower-case hexadecimal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cert_sha256: String,
}

/// A subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionSnapshot {
    /// The account of the subscriber.
    pub account: String,
    /// The label of that account: its name tag, else its name.
    pub account_tag: String,
    /// The filter.
    pub subject: String,
    /// The queue group; empty for none.
    pub queue: String,
    /// The id the client chose.
    pub sid: String,
    /// Messages delivered.
    pub msgs: u64,
    /// Messages after which it ends; 0 for never.
    pub max: u64,
    /// The connection.
    pub cid: u64,
    /// Whether it belongs to a client, or to a leafnode of which this server is the hub;
    /// only those count as subscribers.
    pub counts: bool,
}

/// Figures of a match tree and of its cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SublistSnapshot {
    /// Subscriptions in the tree.
    pub subscriptions: u64,
    /// Cached results.
    pub cached: u64,
    /// Subscriptions ever inserted.
    pub inserts: u64,
    /// Subscriptions ever removed.
    pub removes: u64,
    /// Matches ever made.
    pub matches: u64,
    /// Matches answered from the cache.
    pub cache_hits: u64,
    /// Subscriptions in the largest cached result.
    pub fanout_max: u64,
    /// Subscriptions in all cached results together.
    pub fanout_total: u64,
}

/// An account and its figures on this server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSnapshot {
    /// The name.
    pub name: String,
    /// The label: the name tag, else the name.
    pub name_tag: String,
    /// Local clients.
    pub clients: u64,
    /// Local leafnodes.
    pub leafnodes: u64,
    /// Received from local clients and leafnodes, over all links.
    pub received: AccountTraffic,
    /// Sent to local clients and leafnodes, over all links.
    pub sent: AccountTraffic,
    /// Clients closed because they read too slowly.
    pub slow_consumers: u64,
    /// The match tree.
    pub sublist: SublistSnapshot,
}

/// Traffic of an account, with the part that crossed links between servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountTraffic {
    /// All of it.
    pub all: Traffic,
    /// Over gateways.
    pub gateways: Traffic,
    /// Over routes.
    pub routes: Traffic,
    /// Over leafnodes.
    pub leafs: Traffic,
}

/// The tables of an account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountDetail {
    /// When the account was made or changed last.
    pub updated: Timestamp,
    /// Its token expired.
    pub expired: bool,
    /// An import could not be resolved.
    pub incomplete: bool,
    /// It may use JetStream.
    pub jetstream: bool,
    /// Mappings by source. Destinations in the order of their weight, weights adding up
    /// (40 % and 60 % show as 40 and 100).
    pub mappings: BTreeMap<String, Vec<MappingDestination>>,
    /// What it offers: services, then streams.
    pub exports: Vec<ExportInfo>,
    /// What it takes: streams, then services.
    pub imports: Vec<ImportInfo>,
    /// Pending answers of services it offers, by reply subject.
    pub responses: BTreeMap<String, ImportInfo>,
    /// Its token.
    pub jwt: String,
    /// The key that issued its token.
    pub issuer_key: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Its token, decoded.
    pub claims: Option<serde_json::Value>,
    /// What is wrong with its token.
    pub claim_issues: Vec<ClaimIssue>,
    /// Users whose tokens issued before that time are void.
    pub revoked_users: BTreeMap<String, Timestamp>,
}

/// Something wrong with an account token.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ClaimIssue {
    /// What it is.
    pub description: String,
    /// The token cannot be used.
    pub blocking: bool,
    /// Time alone brought it about.
    pub time_check: bool,
}

//! `/varz`: the server at a glance.
//!
//! Separate because the names of its keys are the names of the exporter's metrics; they
//! never change once published.
//!
//! Invariant: order, names and omission as the goldens say. A key that has no meaning
//! here (`gomaxprocs`) shows the nearest figure (worker threads).

use std::collections::BTreeMap;

use serde::Serialize;

use super::go_format::{Float, Nanos, Time, is_zero, uptime};
use super::source::{ByKind, Counters, DiskWaits, ServerFacts};
use super::streams::{JetStreamSection, JetStreamSnapshot};
use super::varz_sections::{
    ClusterSection, GatewaySection, LeafnodeSection, MqttSection, OcspCache, WebsocketSection,
};
use crate::clock::Timestamp;
use crate::telemetry::process::Usage;

/// The protocol version of clients that this server speaks.
const PROTO: u8 = 1;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Varz {
    server_id: String,
    server_name: String,
    version: String,
    proto: u8,
    #[serde(skip_serializing_if = "is_zero")]
    git_commit: String,
    go: String,
    host: String,
    port: i64,
    #[serde(skip_serializing_if = "is_zero")]
    auth_required: bool,
    #[serde(skip_serializing_if = "is_zero")]
    tls_required: bool,
    #[serde(skip_serializing_if = "is_zero")]
    tls_verify: bool,
    #[serde(skip_serializing_if = "is_zero")]
    tls_ocsp_peer_verify: bool,
    #[serde(skip_serializing_if = "is_zero")]
    ip: String,
    #[serde(skip_serializing_if = "is_zero")]
    connect_urls: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    ws_connect_urls: Vec<String>,
    max_connections: i64,
    #[serde(skip_serializing_if = "is_zero")]
    max_subscriptions: i64,
    ping_interval: Nanos,
    ping_max: i64,
    http_host: String,
    http_port: i64,
    http_base_path: String,
    https_port: i64,
    auth_timeout: Float,
    max_control_line: i64,
    max_payload: i64,
    max_pending: i64,
    cluster: ClusterSection,
    gateway: GatewaySection,
    leaf: LeafnodeSection,
    mqtt: MqttSection,
    websocket: WebsocketSection,
    jetstream: JetStreamSection,
    tls_timeout: Float,
    write_deadline: Nanos,
    #[serde(skip_serializing_if = "is_zero")]
    write_timeout: String,
    start: Time,
    now: Time,
    uptime: String,
    mem: u64,
    cores: u64,
    gomaxprocs: u64,
    #[serde(skip_serializing_if = "is_zero")]
    gomemlimit: u64,
    cpu: Float,
    connections: u64,
    total_connections: u64,
    routes: u64,
    remotes: u64,
    leafnodes: u64,
    in_msgs: u64,
    in_bytes: u64,
    in_client_msgs: u64,
    in_client_bytes: u64,
    out_msgs: u64,
    out_bytes: u64,
    out_client_msgs: u64,
    out_client_bytes: u64,
    slow_consumers: u64,
    stale_connections: u64,
    stalled_clients: u64,
    subscriptions: u64,
    http_req_stats: BTreeMap<&'static str, u64>,
    config_load_time: Time,
    config_digest: String,
    #[serde(skip_serializing_if = "is_zero")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_zero")]
    feature_flags: BTreeMap<String, bool>,
    #[serde(skip_serializing_if = "is_zero")]
    trusted_operators_jwt: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    trusted_operators_claim: Vec<serde_json::Value>,
    #[serde(skip_serializing_if = "is_zero")]
    system_account: String,
    #[serde(skip_serializing_if = "is_zero")]
    pinned_account_fails: u64,
    #[serde(skip_serializing_if = "is_zero")]
    ocsp_peer_cache: Option<OcspCache>,
    slow_consumer_stats: ByKind,
    stale_connection_stats: ByKind,
    disk_io_wait_stats: DiskWaits,
    #[serde(skip_serializing_if = "is_zero")]
    proxies: Option<Proxies>,
    #[serde(skip_serializing_if = "is_zero")]
    tls_cert_not_after: Option<Time>,
}

/// `proxies`: whom this server trusts to speak for clients.
#[derive(Debug, PartialEq, Serialize)]
struct Proxies {
    #[serde(skip_serializing_if = "is_zero")]
    trusted: Vec<TrustedProxy>,
}

/// A trusted proxy.
#[derive(Debug, PartialEq, Serialize)]
struct TrustedProxy {
    key: String,
}

impl Varz {
    /// The answer as of `now`.
    pub fn new(
        facts: &ServerFacts,
        counters: Counters,
        usage: Usage,
        http_requests: BTreeMap<&'static str, u64>,
        jetstream: Option<&JetStreamSnapshot>,
        now: Timestamp,
    ) -> Self {
        let facts = facts.clone();
        Varz {
            server_id: facts.server_id,
            server_name: facts.server_name,
            version: facts.version,
            proto: PROTO,
            git_commit: facts.git_commit,
            go: facts.compiler,
            host: facts.host,
            port: facts.port,
            auth_required: facts.auth_required,
            tls_required: facts.tls_required,
            tls_verify: facts.tls_verify,
            tls_ocsp_peer_verify: facts.tls_ocsp_peer_verify,
            ip: facts.ip,
            connect_urls: facts.connect_urls,
            ws_connect_urls: facts.ws_connect_urls,
            max_connections: facts.max_connections,
            max_subscriptions: facts.max_subscriptions,
            ping_interval: Nanos(facts.ping_interval),
            ping_max: facts.ping_max,
            http_host: facts.http_host,
            http_port: facts.http_port,
            http_base_path: facts.http_base_path,
            https_port: facts.https_port,
            auth_timeout: Float(facts.auth_timeout.as_secs_f64()),
            max_control_line: facts.max_control_line,
            max_payload: facts.max_payload,
            max_pending: facts.max_pending,
            cluster: facts.cluster,
            gateway: facts.gateway,
            leaf: facts.leafnode,
            mqtt: facts.mqtt,
            websocket: facts.websocket,
            jetstream: JetStreamSection::new(jetstream),
            tls_timeout: Float(facts.tls_timeout.as_secs_f64()),
            write_deadline: Nanos(facts.write_deadline),
            write_timeout: facts.write_timeout,
            start: Time(facts.start),
            now: Time(now),
            uptime: uptime(now.since(facts.start)),
            mem: usage.memory_bytes,
            cores: facts.cores,
            gomaxprocs: facts.worker_threads,
            gomemlimit: facts.memory_limit,
            cpu: Float(usage.cpu_percent),
            connections: counters.connections,
            total_connections: counters.total_connections,
            routes: counters.routes,
            remotes: counters.remotes,
            leafnodes: counters.leafnodes,
            in_msgs: counters.received.msgs,
            in_bytes: counters.received.bytes,
            in_client_msgs: counters.received_from_clients.msgs,
            in_client_bytes: counters.received_from_clients.bytes,
            out_msgs: counters.sent.msgs,
            out_bytes: counters.sent.bytes,
            out_client_msgs: counters.sent_to_clients.msgs,
            out_client_bytes: counters.sent_to_clients.bytes,
            slow_consumers: counters.slow_consumers.total(),
            stale_connections: counters.stale_connections.total(),
            stalled_clients: counters.stalled_clients,
            subscriptions: counters.subscriptions,
            http_req_stats: http_requests,
            config_load_time: Time(facts.config_load_time),
            config_digest: facts.config_digest,
            tags: facts.tags,
            metadata: facts.metadata,
            feature_flags: facts.feature_flags,
            trusted_operators_jwt: facts.trusted_operators_jwt,
            trusted_operators_claim: facts.trusted_operators_claim,
            system_account: facts.system_account,
            pinned_account_fails: counters.pinned_account_fails,
            ocsp_peer_cache: counters.ocsp_cache,
            slow_consumer_stats: counters.slow_consumers,
            stale_connection_stats: counters.stale_connections,
            disk_io_wait_stats: counters.disk_waits,
            proxies: facts.proxies.map(|keys| Proxies {
                trusted: keys.into_iter().map(|key| TrustedProxy { key }).collect(),
            }),
            tls_cert_not_after: facts.tls_cert_not_after.map(Time),
        }
    }
}

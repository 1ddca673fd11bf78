//! The sections of `/varz` that describe listeners and links.
//!
//! Separate from `varz` because `server` fills them in from its options. A section that
//! is not configured is the default value and shows as `{}`.
//!
//! Invariant: names, order and omission are those of the published format; a field with
//! its zero value is left out.

use serde::Serialize;

use super::go_format::{Float, Nanos, Time, is_zero};

/// `cluster`: links within the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ClusterSection {
    /// The name of the cluster.
    #[serde(skip_serializing_if = "is_zero")]
    pub name: String,
    /// The listening host.
    #[serde(skip_serializing_if = "is_zero")]
    pub addr: String,
    /// The listening port.
    #[serde(skip_serializing_if = "is_zero")]
    pub cluster_port: i64,
    /// Seconds to log in.
    #[serde(skip_serializing_if = "is_zero")]
    pub auth_timeout: Float,
    /// Configured routes as `host:port`.
    #[serde(skip_serializing_if = "is_zero")]
    pub urls: Vec<String>,
    /// Seconds for a TLS handshake.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_timeout: Float,
    /// Links use TLS.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_required: bool,
    /// Both ends present certificates.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_verify: bool,
    /// Connections per route.
    #[serde(skip_serializing_if = "is_zero")]
    pub pool_size: i64,
    /// Time for one write.
    #[serde(skip_serializing_if = "is_zero")]
    pub write_deadline: Nanos,
    /// The policy when a write takes too long.
    #[serde(skip_serializing_if = "is_zero")]
    pub write_timeout: String,
    /// When the certificate expires.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_cert_not_after: Option<Time>,
}

/// `gateway`: links between clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GatewaySection {
    /// The name of this cluster.
    #[serde(skip_serializing_if = "is_zero")]
    pub name: String,
    /// The listening host.
    #[serde(skip_serializing_if = "is_zero")]
    pub host: String,
    /// The listening port.
    #[serde(skip_serializing_if = "is_zero")]
    pub port: i64,
    /// Seconds to log in.
    #[serde(skip_serializing_if = "is_zero")]
    pub auth_timeout: Float,
    /// Seconds for a TLS handshake.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_timeout: Float,
    /// Links use TLS.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_required: bool,
    /// Both ends present certificates.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_verify: bool,
    /// The address told to others.
    #[serde(skip_serializing_if = "is_zero")]
    pub advertise: String,
    /// How often a discovered gateway is tried again.
    #[serde(skip_serializing_if = "is_zero")]
    pub connect_retries: i64,
    /// Configured remotes.
    #[serde(skip_serializing_if = "is_zero")]
    pub gateways: Vec<RemoteGateway>,
    /// Only configured clusters may connect.
    #[serde(skip_serializing_if = "is_zero")]
    pub reject_unknown: bool,
    /// Time for one write.
    #[serde(skip_serializing_if = "is_zero")]
    pub write_deadline: Nanos,
    /// The policy when a write takes too long.
    #[serde(skip_serializing_if = "is_zero")]
    pub write_timeout: String,
    /// When the certificate expires.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_cert_not_after: Option<Time>,
}

/// A configured remote cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RemoteGateway {
    /// The name of the cluster.
    pub name: String,
    /// Seconds for a TLS handshake.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_timeout: Float,
    /// Known addresses as `host:port`.
    #[serde(skip_serializing_if = "is_zero")]
    pub urls: Vec<String>,
}

/// `leaf`: leafnodes, accepted and dialled.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LeafnodeSection {
    /// The listening host.
    #[serde(skip_serializing_if = "is_zero")]
    pub host: String,
    /// The listening port.
    #[serde(skip_serializing_if = "is_zero")]
    pub port: i64,
    /// Seconds to log in.
    #[serde(skip_serializing_if = "is_zero")]
    pub auth_timeout: Float,
    /// Seconds for a TLS handshake.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_timeout: Float,
    /// Links use TLS.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_required: bool,
    /// Leafnodes have to present a certificate.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_verify: bool,
    /// Configured hubs.
    #[serde(skip_serializing_if = "is_zero")]
    pub remotes: Vec<RemoteLeafnode>,
    /// Revocation of certificates is checked.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_ocsp_peer_verify: bool,
    /// Time for one write.
    #[serde(skip_serializing_if = "is_zero")]
    pub write_deadline: Nanos,
    /// The policy when a write takes too long.
    #[serde(skip_serializing_if = "is_zero")]
    pub write_timeout: String,
    /// When the certificate expires.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_cert_not_after: Option<Time>,
}

/// A configured hub.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RemoteLeafnode {
    /// The account bound here.
    #[serde(skip_serializing_if = "is_zero")]
    pub local_account: String,
    /// Seconds for a TLS handshake.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_timeout: Float,
    /// Addresses as `host:port`.
    #[serde(skip_serializing_if = "is_zero")]
    pub urls: Vec<String>,
    /// Subjects that do not cross.
    #[serde(skip_serializing_if = "is_zero")]
    pub deny: Option<DenyRules>,
    /// Revocation of certificates is checked.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_ocsp_peer_verify: bool,
}

/// Subjects that do not cross a leafnode link.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DenyRules {
    /// Never sent to the hub.
    #[serde(skip_serializing_if = "is_zero")]
    pub exports: Vec<String>,
    /// Never taken from the hub.
    #[serde(skip_serializing_if = "is_zero")]
    pub imports: Vec<String>,
}

/// `mqtt`: the MQTT listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MqttSection {
    /// The listening host.
    #[serde(skip_serializing_if = "is_zero")]
    pub host: String,
    /// The listening port.
    #[serde(skip_serializing_if = "is_zero")]
    pub port: i64,
    /// The user of those who do not log in.
    #[serde(skip_serializing_if = "is_zero")]
    pub no_auth_user: String,
    /// Seconds to log in.
    #[serde(skip_serializing_if = "is_zero")]
    pub auth_timeout: Float,
    /// The certificate names the user.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_map: bool,
    /// Seconds for a TLS handshake.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_timeout: Float,
    /// Accepted certificates.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_pinned_certs: Vec<String>,
    /// The JetStream domain used.
    #[serde(skip_serializing_if = "is_zero")]
    pub js_domain: String,
    /// Time before a message is sent again.
    #[serde(skip_serializing_if = "is_zero")]
    pub ack_wait: Nanos,
    /// Messages in flight at most.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_ack_pending: u16,
    /// Revocation of certificates is checked.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_ocsp_peer_verify: bool,
    /// When the certificate expires.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_cert_not_after: Option<Time>,
}

/// `websocket`: the WebSocket listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WebsocketSection {
    /// The listening host.
    #[serde(skip_serializing_if = "is_zero")]
    pub host: String,
    /// The listening port.
    #[serde(skip_serializing_if = "is_zero")]
    pub port: i64,
    /// The address told to clients.
    #[serde(skip_serializing_if = "is_zero")]
    pub advertise: String,
    /// The user of those who do not log in.
    #[serde(skip_serializing_if = "is_zero")]
    pub no_auth_user: String,
    /// The cookie that carries a token.
    #[serde(skip_serializing_if = "is_zero")]
    pub jwt_cookie: String,
    /// Time for the upgrade.
    #[serde(skip_serializing_if = "is_zero")]
    pub handshake_timeout: Nanos,
    /// Seconds to log in.
    #[serde(skip_serializing_if = "is_zero")]
    pub auth_timeout: Float,
    /// The listener goes without TLS.
    #[serde(skip_serializing_if = "is_zero")]
    pub no_tls: bool,
    /// The certificate names the user.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_map: bool,
    /// Accepted certificates.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_pinned_certs: Vec<String>,
    /// The origin has to be this host.
    #[serde(skip_serializing_if = "is_zero")]
    pub same_origin: bool,
    /// Accepted origins.
    #[serde(skip_serializing_if = "is_zero")]
    pub allowed_origins: Vec<String>,
    /// Messages may be compressed.
    #[serde(skip_serializing_if = "is_zero")]
    pub compression: bool,
    /// Revocation of certificates is checked.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_ocsp_peer_verify: bool,
    /// When the certificate expires.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_cert_not_after: Option<Time>,
}

/// `ocsp_peer_cache`: the cache of revocation answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OcspCache {
    /// Where it is kept.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_type: String,
    /// Answers found.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_hits: u64,
    /// Answers not found.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_misses: u64,
    /// Answers kept.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_responses: u64,
    /// Of these: revoked.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_revoked_responses: u64,
    /// Of these: good.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_good_responses: u64,
    /// Of these: unknown.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_unknown_responses: u64,
}

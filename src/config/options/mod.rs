//! Options: the typed, validated configuration, one file per section.
//!
//! Separate from the value tree because components want numbers, durations and names, not
//! text: `server` hands each component the section it needs. Each section file holds its
//! type with the defaults, a table of its keys (`KEYS`), and what makes it invalid.
//!
//! ```text
//! value tree ─► KEYS of each section ─► Options ─► validate ─► Options or every error
//! ```
//!
//! Invariants: every key of the reference stands in exactly one table; an unknown key is an
//! error; all errors are collected; nothing is accepted and silently ignored (`unbuilt`
//! refuses to start with what this release does not do). `Debug` shows no secret.
//! Absent: no file is read, so certificates, credentials and JWTs are only paths here.

pub mod accounts;
pub mod authorization;
pub mod cluster;
pub mod compression;
pub mod endpoint;
pub mod gateway;
pub mod jetstream;
pub mod leafnodes;
pub mod limits;
pub mod listen;
pub mod logging;
pub mod monitoring;
pub mod mqtt;
pub mod ocsp;
pub mod operator;
pub mod positions;
pub mod proxies;
pub mod secret;
pub mod streaming;
pub mod tls;
pub mod url;
pub mod websocket;

/// The whole configuration of a server. `Options::default()` is that of an empty file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The client listener and the identity of the server.
    pub listen: listen::Listen,
    /// TLS of the client listener. Default: none.
    pub tls: Option<tls::Tls>,
    /// Who may connect.
    pub authorization: authorization::Authorization,
    /// Accounts, server-wide mappings and the system account.
    pub accounts: accounts::Accounts,
    /// Limits and timers.
    pub limits: limits::Limits,
    /// Monitoring and profiling listeners.
    pub monitoring: monitoring::Monitoring,
    /// Logging.
    pub logging: logging::Logging,
    /// Streams.
    pub jetstream: jetstream::JetStream,
    /// Routes. Default: none.
    pub cluster: Option<cluster::Cluster>,
    /// Links to other clusters. Default: none.
    pub gateway: Option<gateway::Gateway>,
    /// Links from and to leafnodes. Default: none.
    pub leafnodes: Option<leafnodes::Leafnodes>,
    /// The WebSocket listener. Default: none.
    pub websocket: Option<websocket::Websocket>,
    /// The MQTT listener. Default: none.
    pub mqtt: Option<mqtt::Mqtt>,
    /// Operator mode.
    pub operator: operator::Operator,
    /// OCSP stapling. Default: none.
    pub ocsp: Option<ocsp::Ocsp>,
    /// The cache of OCSP answers about peers. Default: none.
    pub ocsp_cache: Option<ocsp::OcspCache>,
    /// Proxies that may speak for clients. Default: none.
    pub proxies: Option<proxies::Proxies>,
    /// The older streaming protocol. Default: none.
    pub streaming: Option<streaming::Streaming>,
    /// Where keys stood in the file; no part of equality.
    pub positions: positions::Positions,
}

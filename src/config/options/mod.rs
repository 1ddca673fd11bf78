//! Options: the typed, validated configuration, one file per section.
//!
//! Separate from the value tree because components want numbers, durations and names, not
//! text: `server` hands each component the section it needs. Each section file holds its
//! type with the defaults, a table of its keys (`KEYS`), and what makes it invalid.
//!
//! ```text
//! value tree ─► from_map: KEYS of each section ─► Options ─► flags ─► validate ─► refuse_unbuilt
//! ```
//!
//! `from_map` finds what is wrong with a file by itself. What is wrong between sections
//! (`validate`) is asked after the command line had its say, because a flag may supply what
//! the file lacks. A start also asks `refuse_unbuilt`, and logs `start_warnings`.
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
mod exports;
pub mod gateway;
pub mod jetstream;
mod key;
pub mod leafnodes;
pub mod limits;
pub mod listen;
pub mod logging;
mod mappings;
pub mod monitoring;
pub mod mqtt;
pub mod ocsp;
pub mod operator;
pub mod positions;
pub mod proxies;
mod public_key;
mod reader;
pub mod reference;
pub mod secret;
pub mod streaming;
pub mod tls;
mod unbuilt;
pub mod url;
mod users;
mod validate;
pub mod websocket;

use crate::config::error::ConfigError;
use crate::config::value::{Entry, Map};
use key::{Key, Reload::*, key};
use reader::Reader;

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

/// Blocks that stand on their own at the top of the file.
#[rustfmt::skip]
const TOP_KEYS: &[Key<Options>] = &[
    key("tls", "tls", "none", Part, "{ cert_file: /tls/tls.crt, key_file: /tls/tls.key }",
        "TLS of the client listener and of HTTPS monitoring.",
        |o, v, r| r.tls(v, &mut o.tls, tls::TlsUse::Plain)),
    key("cluster", "map", "none", Part, "{ name: east }",
        "Routes to the other servers of the cluster. Not in this release.",
        |o, v, r| r.presence(v, &mut o.cluster, cluster::KEYS)),
    key("gateway", "map", "none", Part, "{ name: east }",
        "Links to other clusters. Not in this release.",
        |o, v, r| r.presence(v, &mut o.gateway, gateway::KEYS)),
    key("leafnodes|leaf", "map", "none", Part, "{ port: 7422 }",
        "Links from and to leafnodes. Not in this release.",
        |o, v, r| r.presence(v, &mut o.leafnodes, leafnodes::KEYS)),
    key("websocket|ws", "map", "none", Part, "{ port: 8080, no_tls: true }",
        "Clients over WebSocket. Not in this release.",
        |o, v, r| r.presence(v, &mut o.websocket, websocket::KEYS)),
    key("mqtt", "map", "none", Part, "{ port: 1883 }",
        "Clients that speak MQTT. Not in this release.",
        |o, v, r| r.presence(v, &mut o.mqtt, mqtt::KEYS)),
    key("ocsp", "boolean or map", "none", Yes, "true",
        "OCSP stapling. Not in this release.",
        |o, v, r| r.ocsp(v, &mut o.ocsp)),
    key("ocsp_cache", "boolean or map", "none", Yes, "true",
        "The cache of OCSP answers about peers. Not in this release.",
        |o, v, r| r.ocsp_cache(v, &mut o.ocsp_cache)),
    key("proxies", "{ trusted }", "none", Yes, "{ trusted: [] }",
        "Proxies that may speak for clients. Not in this release.",
        |o, v, r| r.presence(v, &mut o.proxies, proxies::KEYS)),
    key("streaming", "map", "none", No, "{ cluster_id: prod }",
        "The older streaming protocol. Not in this release.",
        |o, v, r| r.presence(v, &mut o.streaming, streaming::KEYS)),
];

impl Options {
    /// Reads a value tree. Gives the options with what is doubtful about them, or everything
    /// that is wrong.
    pub fn from_map(map: &Map) -> Result<(Options, Vec<ConfigError>), Vec<ConfigError>> {
        let mut options = Options::default();
        let mut reader = Reader::default();
        for entry in &map.entries {
            if !options.read_entry(entry, &mut reader) {
                reader.unknown(entry);
            }
        }
        accounts::check_duplicate_users(&mut reader, &options);
        options.positions = reader.positions;
        if reader.errors.is_empty() {
            Ok((options, reader.warnings))
        } else {
            Err(reader.errors)
        }
    }

    /// Everything that is wrong between sections. To be asked after flags are applied.
    pub fn validate(&self) -> Vec<ConfigError> {
        validate::validate(self)
    }

    /// What this release does not do, one error for each place that asks for it. Empty: the
    /// server may start.
    pub fn refuse_unbuilt(&self) -> Vec<ConfigError> {
        unbuilt::refuse(self)
    }

    /// What an operator should know about a configuration that does start.
    pub fn start_warnings(&self) -> Vec<ConfigError> {
        validate::warnings::warnings(self)
    }

    fn read_entry(&mut self, entry: &Entry, r: &mut Reader) -> bool {
        r.try_entry(entry, &mut self.listen, listen::KEYS)
            || r.try_entry(entry, &mut self.limits, limits::KEYS)
            || r.try_entry(entry, &mut self.logging, logging::KEYS)
            || r.try_entry(entry, &mut self.monitoring, monitoring::KEYS)
            || r.try_entry(entry, &mut self.authorization, authorization::TOP_KEYS)
            || r.try_entry(entry, &mut self.accounts, accounts::TOP_KEYS)
            || r.try_entry(entry, &mut self.operator, operator::KEYS)
            || r.try_entry(entry, &mut self.jetstream, jetstream::TOP_KEYS)
            || r.try_entry(entry, self, TOP_KEYS)
    }
}

#[cfg(test)]
mod tests;

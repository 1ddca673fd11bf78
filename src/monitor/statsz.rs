//! STATSZ: the figures a server publishes every few seconds and on request.
//!
//! Invariant: figures by kind are shown only when one of them is not zero.

use serde::Serialize;

use super::go_format::{Float, Time, is_zero};
use super::server_info::ServerInfo;
use super::source::{ByKind, Source, Traffic};
use super::streams::JetStreamSection;

/// The message: who, and what.
#[derive(Debug, Serialize)]
pub struct Statsz {
    server: ServerInfo,
    statsz: ServerStats,
}

/// The figures.
#[derive(Debug, Serialize)]
struct ServerStats {
    start: Time,
    mem: u64,
    cores: u64,
    cpu: Float,
    connections: u64,
    total_connections: u64,
    active_accounts: u64,
    subscriptions: u64,
    sent: Traffic,
    sent_to_clients: Traffic,
    received: Traffic,
    received_from_clients: Traffic,
    slow_consumers: u64,
    #[serde(skip_serializing_if = "is_zero")]
    slow_consumer_stats: ByKind,
    #[serde(skip_serializing_if = "is_zero")]
    stale_connections: u64,
    #[serde(skip_serializing_if = "is_zero")]
    stale_connection_stats: ByKind,
    #[serde(skip_serializing_if = "is_zero")]
    stalled_clients: u64,
    #[serde(skip_serializing_if = "is_zero")]
    active_servers: u64,
    #[serde(skip_serializing_if = "is_zero")]
    jetstream: JetStreamSection,
    #[serde(skip_serializing_if = "is_zero")]
    gomemlimit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    gomaxprocs: u64,
}

impl Statsz {
    /// The figures of now, said by `server`.
    pub fn new(source: &dyn Source, server: ServerInfo) -> Self {
        let (facts, counters, usage) = (source.facts(), source.counters(), source.usage());
        Statsz {
            server,
            statsz: ServerStats {
                start: Time(facts.start),
                mem: usage.memory_bytes,
                cores: facts.cores,
                cpu: Float(usage.cpu_percent),
                connections: counters.connections,
                total_connections: counters.total_connections,
                active_accounts: counters.active_accounts,
                subscriptions: counters.subscriptions,
                sent: counters.sent,
                sent_to_clients: counters.sent_to_clients,
                received: counters.received,
                received_from_clients: counters.received_from_clients,
                slow_consumers: counters.slow_consumers.total(),
                slow_consumer_stats: counters.slow_consumers,
                stale_connections: counters.stale_connections.total(),
                stale_connection_stats: counters.stale_connections,
                stalled_clients: counters.stalled_clients,
                active_servers: counters.active_servers,
                jetstream: JetStreamSection::without_directory(source.jetstream().as_ref()),
                gomemlimit: facts.memory_limit,
                gomaxprocs: facts.worker_threads,
            },
        }
    }
}

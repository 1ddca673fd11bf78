//! `/jsz`: JetStream.
//!
//! This server has no JetStream yet and says so: `disabled`, every figure zero. A server
//! that runs without JetStream answers the same.

use serde::Serialize;

use super::go_format::Time;
use super::source::Source;

/// Only a leader was asked, and there is none here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("filtered response: not leader")]
pub struct NotLeader;

/// The text for requests that need JetStream.
pub const NOT_ENABLED: &str = "jetstream not enabled";

/// The answer.
#[derive(Debug, Serialize)]
pub struct Jsz {
    memory: u64,
    storage: u64,
    reserved_memory: u64,
    reserved_storage: u64,
    accounts: u64,
    ha_assets: u64,
    api: ApiStats,
    server_id: String,
    now: Time,
    disabled: bool,
    config: Config,
    streams: u64,
    consumers: u64,
    messages: u64,
    bytes: u64,
    total: u64,
}

/// Requests to the API.
#[derive(Debug, Serialize)]
struct ApiStats {
    level: u64,
    total: u64,
    errors: u64,
}

/// Limits of the server.
#[derive(Debug, Serialize)]
struct Config {
    max_memory: u64,
    max_storage: u64,
}

impl Jsz {
    /// The answer as of now; only from a leader if `leader_only`.
    pub fn new(source: &dyn Source, leader_only: bool) -> Result<Self, NotLeader> {
        if leader_only {
            return Err(NotLeader);
        }
        Ok(Jsz {
            memory: 0,
            storage: 0,
            reserved_memory: 0,
            reserved_storage: 0,
            accounts: 0,
            ha_assets: 0,
            api: ApiStats {
                level: 0,
                total: 0,
                errors: 0,
            },
            server_id: source.facts().server_id.clone(),
            now: Time(source.now()),
            disabled: true,
            config: Config {
                max_memory: 0,
                max_storage: 0,
            },
            streams: 0,
            consumers: 0,
            messages: 0,
            bytes: 0,
            total: 0,
        })
    }
}

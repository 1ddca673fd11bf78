//! `server`: who speaks, in every event and in the envelope of every answer.
//!
//! Separate because tools tell servers apart by it. `seq` numbers what a server says, so
//! that a reader sees gaps.

use std::collections::BTreeMap;

use serde::Serialize;

use super::go_format::{Time, is_zero};
use super::source::ServerFacts;
use crate::clock::Timestamp;

/// The bit of `flags` for JetStream. The others announce what is spoken between servers.
const JETSTREAM_FLAG: u64 = 1;

/// The speaker.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerInfo {
    name: String,
    host: String,
    id: String,
    #[serde(skip_serializing_if = "is_zero")]
    cluster: String,
    #[serde(skip_serializing_if = "is_zero")]
    domain: String,
    ver: String,
    #[serde(skip_serializing_if = "is_zero")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_zero")]
    feature_flags: BTreeMap<String, bool>,
    jetstream: bool,
    flags: u64,
    seq: u64,
    time: Time,
}

impl ServerInfo {
    /// This server, saying its `seq`-th word at `now`.
    pub fn new(facts: &ServerFacts, seq: u64, now: Timestamp) -> Self {
        ServerInfo {
            name: facts.server_name.clone(),
            host: facts.host.clone(),
            id: facts.server_id.clone(),
            cluster: facts.cluster_name.clone(),
            domain: facts.domain.clone(),
            ver: facts.version.clone(),
            tags: facts.tags.clone(),
            metadata: facts.metadata.clone(),
            feature_flags: facts.feature_flags.clone(),
            jetstream: facts.jetstream,
            flags: if facts.jetstream { JETSTREAM_FLAG } else { 0 },
            seq,
            time: Time(now),
        }
    }

    /// The id of the server.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The answer to `IDZ`: the bare identity, without an envelope.
#[derive(Debug, Serialize)]
pub struct Idz {
    name: String,
    host: String,
    id: String,
}

impl Idz {
    /// This server.
    pub fn new(facts: &ServerFacts) -> Self {
        Idz {
            name: facts.server_name.clone(),
            host: facts.host.clone(),
            id: facts.server_id.clone(),
        }
    }
}

//! What is shown of an account: the API's own type.
//!
//! Separate because the API, monitoring and the system account show the same. Keys, order
//! and what is left out when empty are the wire's (jetstream spec §5.2). Absent: where the
//! figures come from; `usage` has the reserved ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::consumer::metadata::API_LEVEL;

/// An account's use of streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountInfo {
    /// What is used, and may be.
    #[serde(flatten)]
    pub tier: Tier,
    /// Where its API is, if not everywhere.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// What was asked of the API.
    pub api: Api,
    /// By replicas, of an account that is limited so.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tiers: BTreeMap<String, Tier>,
}

/// What is used, and may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the wire")]
pub struct Tier {
    pub memory: u64,
    pub storage: u64,
    pub reserved_memory: u64,
    pub reserved_storage: u64,
    pub streams: u64,
    pub consumers: u64,
    pub limits: Limits,
}

/// What may be used; -1: as much as there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the wire")]
pub struct Limits {
    pub max_memory: i64,
    pub max_storage: i64,
    pub max_streams: i64,
    pub max_consumers: i64,
    pub max_ack_pending: i64,
    pub memory_max_stream_bytes: i64,
    pub storage_max_stream_bytes: i64,
    pub max_bytes_required: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_memory: -1,
            max_storage: -1,
            max_streams: -1,
            max_consumers: -1,
            max_ack_pending: -1,
            memory_max_stream_bytes: -1,
            storage_max_stream_bytes: -1,
            max_bytes_required: false,
        }
    }
}

/// What was asked of the API, and its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the wire")]
pub struct Api {
    pub level: u32,
    pub total: u64,
    pub errors: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub inflight: u64,
}

impl Default for Api {
    fn default() -> Self {
        Api {
            level: API_LEVEL,
            total: 0,
            errors: 0,
            inflight: 0,
        }
    }
}

fn is_zero(figure: &u64) -> bool {
    *figure == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_error::json;

    #[test]
    fn captured_answers_are_written_as_they_were() {
        let captured = r#"{"memory":0,"storage":428,"reserved_memory":600000,"reserved_storage":1400000,"streams":3,"consumers":0,"limits":{"max_memory":1000000,"max_storage":2000000,"max_streams":3,"max_consumers":5,"max_ack_pending":50,"memory_max_stream_bytes":300000,"storage_max_stream_bytes":1500000,"max_bytes_required":true},"api":{"level":5,"total":18,"errors":13}}"#;
        let info: AccountInfo = serde_json::from_str(captured).expect("an answer");
        assert_eq!(json::text(&info), captured);
        let unlimited = json::text(&AccountInfo::default());
        assert!(unlimited.contains(r#""max_memory":-1"#) && unlimited.contains(r#""level":1"#));
    }
}

//! What is shown of a stream: the API's and monitoring's own types.
//!
//! Separate because several answers and pages show the same. Keys, order and what is left
//! out when empty are the wire's (jetstream spec §2.7); the tests read captured answers and
//! write them again byte for byte. Absent: where the figures come from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::config::{Config, External, SubjectTransform};
use crate::api_error::ApiError;
use crate::api_error::json::time::Time;

/// A stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the wire")]
pub struct Info {
    /// With the server's own metadata added, but in lists.
    pub config: Config,
    pub created: Time,
    pub state: State,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// A server alone says only who leads, and only when asked for one stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Origin>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Origin>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternates: Vec<Alternate>,
    /// When this was so.
    pub ts: Time,
}

/// The figures of a stream's messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the wire")]
pub struct State {
    pub messages: u64,
    pub bytes: u64,
    pub first_seq: u64,
    pub first_ts: Time,
    pub last_seq: u64,
    pub last_ts: Time,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_subjects: u64,
    /// Messages on each; one page of those asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subjects: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_deleted: u64,
    /// If asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
    pub consumer_count: u64,
}

/// What should be there and cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the wire")]
pub struct Lost {
    pub msgs: Vec<u64>,
    pub bytes: u64,
}

/// How far a mirror or source is behind its origin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the wire")]
pub struct Origin {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
    /// Messages.
    pub lag: u64,
    /// The last sequence taken there; sources only.
    #[serde(skip_serializing_if = "is_zero")]
    pub seq: u64,
    /// Nanoseconds since something came; -1: never did.
    pub active: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ApiError>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filter_subject: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_transforms: Vec<SubjectTransform>,
}

impl Origin {
    /// The same, before anything was heard of it.
    #[must_use]
    pub fn unheard(self) -> Origin {
        Origin {
            lag: 0,
            seq: 0,
            active: -1,
            error: None,
            ..self
        }
    }
}

/// Another stream with the same messages: a mirror, or the origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the wire")]
pub struct Alternate {
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    pub cluster: String,
}

/// Which servers carry a stream; a consumer is where its stream is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the wire")]
pub struct Cluster {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub raft_group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub leader: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_since: Option<Time>,
    #[serde(skip_serializing_if = "is_false")]
    pub system_account: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub traffic_account: String,
    /// But the leader.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<Replica>,
}

/// A server that follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the wire")]
pub struct Replica {
    pub name: String,
    pub current: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub offline: bool,
    /// Nanoseconds since it was heard of.
    pub active: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub lag: u64,
    pub peer: String,
}

fn is_zero(figure: &u64) -> bool {
    *figure == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_error::json;

    fn check(captured: &str) {
        let info: Info = serde_json::from_str(captured).expect("an answer");
        assert_eq!(json::text(&info), captured);
    }

    #[test]
    fn captured_answers_are_written_as_they_were() {
        check(
            r#"{"config":{"name":"S","subjects":["s.\u003e"],"retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"max_msgs_per_subject":-1,"max_msg_size":-1,"discard":"old","storage":"file","num_replicas":1,"duplicate_window":120000000000,"compression":"none","allow_direct":false,"mirror_direct":false,"sealed":false,"deny_delete":false,"deny_purge":false,"allow_rollup_hdrs":false,"consumer_limits":{},"allow_msg_ttl":false,"metadata":{"_nats.level":"5","_nats.req.level":"0","_nats.ver":"2.15.1"}},"created":"2026-11-21T12:30:44.89356404Z","state":{"messages":5,"bytes":190,"first_seq":1,"first_ts":"2026-11-21T12:30:44.894602734Z","last_seq":6,"last_ts":"2026-11-21T12:30:44.895098778Z","num_subjects":3,"subjects":{"s.0":2,"s.1":2,"s.2":1},"num_deleted":1,"deleted":[3],"consumer_count":0},"cluster":{"leader":"peer"},"ts":"2026-11-21T12:30:45.399356109Z"}"#,
        );
        check(
            r#"{"config":{"name":"Q","retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"max_msgs_per_subject":-1,"max_msg_size":-1,"discard":"old","storage":"file","num_replicas":1,"sources":[{"name":"S","subject_transforms":[{"src":"s.0","dest":"q.0"}]},{"name":"NOPE"}],"compression":"none","allow_direct":false,"mirror_direct":false,"sealed":false,"deny_delete":false,"deny_purge":false,"allow_rollup_hdrs":false,"consumer_limits":{},"allow_msg_ttl":false,"metadata":{"_nats.level":"5","_nats.req.level":"0","_nats.ver":"2.15.1"}},"created":"2026-11-21T12:30:44.89632593Z","state":{"messages":0,"bytes":0,"first_seq":0,"first_ts":"0001-01-01T00:00:00Z","last_seq":0,"last_ts":"0001-01-01T00:00:00Z","consumer_count":0},"sources":[{"name":"NOPE","lag":0,"active":-1,"error":{"code":404,"err_code":10059,"description":"stream not found"}},{"name":"S","lag":0,"seq":4,"active":312257418,"subject_transforms":[{"src":"s.0","dest":"q.0"}]}],"ts":"2026-11-21T12:30:45.400045586Z"}"#,
        );
        check(
            r#"{"config":{"name":"ALL","description":"d","subjects":["all"],"retention":"limits","max_consumers":1,"max_msgs":2,"max_bytes":3,"max_age":1000000000,"max_msgs_per_subject":5,"max_msg_size":6,"discard":"new","storage":"memory","num_replicas":1,"no_ack":true,"duplicate_window":1000000000,"placement":{"cluster":"c","tags":["t"]},"compression":"s2","first_seq":7,"subject_transform":{"src":"all","dest":"b"},"republish":{"src":"b","dest":"c","headers_only":true},"allow_direct":true,"mirror_direct":false,"discard_new_per_subject":true,"sealed":false,"deny_delete":true,"deny_purge":false,"allow_rollup_hdrs":true,"consumer_limits":{"inactive_threshold":5,"max_ack_pending":6},"allow_msg_ttl":true,"subject_delete_marker_ttl":1000000000,"allow_atomic":true,"allow_msg_schedules":true,"persist_mode":"async","allow_batched":true,"metadata":{"a":"b"}},"created":"2026-11-21T12:31:49.765837307Z","state":{"messages":0,"bytes":0,"first_seq":7,"first_ts":"0001-01-01T00:00:00Z","last_seq":6,"last_ts":"0001-01-01T00:00:00Z","consumer_count":0},"ts":"2026-11-21T12:31:49.765886789Z"}"#,
        );
    }
}

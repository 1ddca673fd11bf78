//! What a stream is configured to do: the API's own type.
//!
//! Separate because a request, an answer, a log entry and a rule all speak of the same
//! type. Field names, order and what is left out when empty are the wire's (jetstream spec
//! §2.1). Durations are nanoseconds, times are RFC 3339.
//!
//! Invariant: a stored configuration is normalised, that is, it has passed `validate`.
//! Absent: rules (`validate`); which fields a request may have (`crate::api_error::json`
//! refuses unknown ones, a reader of stored bytes ignores them).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api_error::ApiError;
use crate::api_error::json;
use crate::clock::Timestamp;
use crate::consumer;

/// What removes messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retention {
    /// Limits only.
    #[default]
    Limits,
    /// Every interested consumer has acknowledged.
    Interest,
    /// One consumer has acknowledged.
    WorkQueue,
}

/// What gives way when a limit is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Discard {
    /// The oldest messages.
    #[default]
    Old,
    /// The new message.
    New,
}

/// Where messages live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// On the disk.
    #[default]
    File,
    /// In memory.
    Memory,
}

/// Whether message blocks are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// They are not.
    #[default]
    None,
    /// Asked for; blocks are stored plain for now.
    S2,
}

/// How far an acknowledgement waits for the disk. Accepted and echoed; we always wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersistMode {
    /// Synced.
    #[default]
    #[serde(alias = "")]
    Default,
    /// Asked for less.
    Async,
}

/// A mapping of subjects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename = "SubjectTransformConfig")]
#[allow(missing_docs, reason = "the wire's fields")]
pub struct SubjectTransform {
    pub src: String,
    pub dest: String,
}

/// What is published again once it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename = "RePublish")]
#[allow(missing_docs, reason = "the wire's fields")]
pub struct Republish {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub src: String,
    pub dest: String,
    #[serde(skip_serializing_if = "is_default")]
    pub headers_only: bool,
}

/// Which servers may carry the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the wire's fields")]
pub struct Placement {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub preferred: String,
}

/// Where another account's or domain's API is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename = "ExternalStream")]
#[allow(missing_docs, reason = "the wire's fields")]
pub struct External {
    pub api: String,
    pub deliver: String,
}

/// A consumer made by the user that a mirror or source reads from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename = "StreamConsumerSource")]
#[allow(missing_docs, reason = "the wire's fields")]
pub struct SourceConsumer {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deliver_subject: String,
}

/// A stream to copy from (jetstream spec §2.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the wire's fields")]
pub struct StreamSource {
    pub name: String,
    #[serde(skip_serializing_if = "is_default")]
    pub opt_start_seq: u64,
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "json::field::time"
    )]
    pub opt_start_time: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filter_subject: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "transforms")]
    pub subject_transforms: Vec<SubjectTransform>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<SourceConsumer>,
}

/// What consumers get when they ask for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename = "StreamConsumerLimits")]
#[allow(missing_docs, reason = "the wire's fields")]
pub struct ConsumerLimits {
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "json::field::duration"
    )]
    pub inactive_threshold: i64,
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "json::field::int"
    )]
    pub max_ack_pending: i64,
}

/// A stream's configuration, normalised once it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename = "StreamConfig")]
#[allow(
    missing_docs,
    reason = "the fields are those of the wire: jetstream spec §2.1"
)]
pub struct Config {
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    pub retention: Retention,
    #[serde(deserialize_with = "json::field::int")]
    pub max_consumers: i64,
    pub max_msgs: i64,
    pub max_bytes: i64,
    #[serde(deserialize_with = "json::field::duration")]
    pub max_age: i64,
    pub max_msgs_per_subject: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub max_msg_size: i32,
    pub discard: Discard,
    pub storage: Storage,
    #[serde(deserialize_with = "json::field::int")]
    pub num_replicas: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub no_ack: bool,
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "json::field::duration"
    )]
    pub duplicate_window: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<StreamSource>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "sources")]
    pub sources: Vec<StreamSource>,
    pub compression: Compression,
    #[serde(skip_serializing_if = "is_default")]
    pub first_seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_transform: Option<SubjectTransform>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub republish: Option<Republish>,
    pub allow_direct: bool,
    pub mirror_direct: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub discard_new_per_subject: bool,
    pub sealed: bool,
    pub deny_delete: bool,
    pub deny_purge: bool,
    pub allow_rollup_hdrs: bool,
    pub consumer_limits: ConsumerLimits,
    pub allow_msg_ttl: bool,
    #[serde(
        skip_serializing_if = "is_default",
        deserialize_with = "json::field::duration"
    )]
    pub subject_delete_marker_ttl: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub allow_msg_counter: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub allow_atomic: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub allow_msg_schedules: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub persist_mode: PersistMode,
    #[serde(skip_serializing_if = "is_default")]
    pub allow_batched: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Config {
    /// Reads the body of a create or update request: a configuration, and whether the
    /// client is pedantic.
    ///
    /// # Errors
    /// `invalid JSON: ...` (10025).
    pub fn from_request(body: &[u8], strict: bool) -> Result<(Config, bool), ApiError> {
        json::parse_with_switch(body, "StreamConfigRequest", "pedantic", strict)
    }

    /// How old a message may get; none: as old as it likes.
    pub fn age_max(&self) -> Option<Duration> {
        duration(self.max_age)
    }

    /// How long message ids are remembered; none: not at all.
    pub fn dedup_window(&self) -> Option<Duration> {
        duration(self.duplicate_window)
    }

    /// How long a marker of a subject's end lives; none: there are no markers.
    pub fn delete_marker_ttl(&self) -> Option<Duration> {
        duration(self.subject_delete_marker_ttl)
    }

    /// The limits, where -1 and 0 are none.
    pub fn msgs_max(&self) -> Option<u64> {
        positive(self.max_msgs)
    }

    /// As [`Config::msgs_max`].
    pub fn bytes_max(&self) -> Option<u64> {
        positive(self.max_bytes)
    }

    /// As [`Config::msgs_max`].
    pub fn msgs_per_subject_max(&self) -> Option<u64> {
        positive(self.max_msgs_per_subject)
    }

    /// As [`Config::msgs_max`]; headers and body together.
    pub fn msg_size_max(&self) -> Option<u64> {
        positive(self.max_msg_size.into())
    }

    /// As [`Config::msgs_max`].
    pub fn consumers_max(&self) -> Option<u64> {
        positive(self.max_consumers)
    }

    /// What the rules of its consumers need to know.
    pub fn seen_by_consumers(&self) -> consumer::validate::facts::Stream<'_> {
        consumer::validate::facts::Stream {
            subjects: &self.subjects,
            is_work_queue: self.retention == Retention::WorkQueue,
            is_interest: self.retention == Retention::Interest,
            replicas: self.num_replicas,
            consumers_max: self.consumers_max(),
            ack_pending_limit: self.consumer_limits.max_ack_pending,
            inactive_threshold_limit: self.consumer_limits.inactive_threshold,
        }
    }

    /// The streams it copies from: its mirror's origin, or its sources.
    pub fn origins(&self) -> impl Iterator<Item = &StreamSource> {
        self.mirror.iter().chain(&self.sources)
    }
}

impl StreamSource {
    /// The moment to start from, if one is set.
    pub fn start_time(&self) -> Option<Timestamp> {
        self.opt_start_time.as_deref().and_then(json::time::moment)
    }
}

fn duration(nanos: i64) -> Option<Duration> {
    positive(nanos).map(Duration::from_nanos)
}

fn positive(limit: i64) -> Option<u64> {
    u64::try_from(limit).ok().filter(|limit| *limit > 0)
}

fn transforms<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<SubjectTransform>, D::Error> {
    json::field::called(deserializer, "[]server.SubjectTransformConfig")
}

fn sources<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<StreamSource>, D::Error> {
    json::field::called(deserializer, "[]*server.StreamSource")
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

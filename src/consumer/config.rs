//! What a consumer is configured to do: the API's own type.
//!
//! Separate because a request, an answer, a log entry and a rule all speak of the same
//! type. Field names, order and what is left out when empty are the wire's (jetstream spec
//! §4.1). Durations are nanoseconds, times are RFC 3339.
//!
//! Invariant: a stored configuration is normalised, that is, it has passed `validate`.
//! Absent: rules (`validate`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api_error::ApiError;
use crate::api_error::json;
use crate::clock::Timestamp;
use crate::subject::filters::Filters;

/// Which message comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliverPolicy {
    /// Every message there is.
    #[default]
    #[serde(alias = "undefined")]
    All,
    /// The last one.
    Last,
    /// Only what comes after creation.
    New,
    /// From `opt_start_seq` on.
    ByStartSequence,
    /// From `opt_start_time` on.
    ByStartTime,
    /// The last of each subject, then what comes.
    LastPerSubject,
}

/// What acknowledges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AckPolicy {
    /// Nothing needs to be acknowledged.
    #[default]
    None,
    /// An acknowledgement stands for everything before it too.
    All,
    /// Every message by itself.
    Explicit,
    /// The replies to flow control (ADR-60).
    FlowControl,
}

/// How fast old messages are played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayPolicy {
    /// As fast as possible.
    #[default]
    #[serde(rename = "instant")]
    AtOnce,
    /// With the pauses they were published with.
    Original,
}

/// How pull requests compete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriorityPolicy {
    /// In turn.
    #[default]
    None,
    /// Served only when enough is waiting.
    Overflow,
    /// One client at a time.
    PinnedClient,
    /// By the number in the request.
    Prioritized,
}

/// A consumer's configuration, normalised once it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename = "ConsumerConfig")]
#[allow(
    missing_docs,
    reason = "the fields are those of the wire: jetstream spec §4.1"
)]
pub struct Config {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub durable_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub deliver_policy: DeliverPolicy,
    #[serde(skip_serializing_if = "is_zero")]
    pub opt_start_seq: u64,
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "json::field::time"
    )]
    pub opt_start_time: Option<String>,
    pub ack_policy: AckPolicy,
    #[serde(
        skip_serializing_if = "is_zero_i64",
        deserialize_with = "json::field::duration"
    )]
    pub ack_wait: i64,
    #[serde(
        skip_serializing_if = "is_zero_i64",
        deserialize_with = "json::field::int"
    )]
    pub max_deliver: i64,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "json::field::durations"
    )]
    pub backoff: Vec<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filter_subject: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filter_subjects: Vec<String>,
    pub replay_policy: ReplayPolicy,
    #[serde(skip_serializing_if = "is_zero")]
    pub rate_limit_bps: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sample_freq: String,
    #[serde(
        skip_serializing_if = "is_zero_i64",
        deserialize_with = "json::field::int"
    )]
    pub max_waiting: i64,
    #[serde(
        skip_serializing_if = "is_zero_i64",
        deserialize_with = "json::field::int"
    )]
    pub max_ack_pending: i64,
    #[serde(skip_serializing_if = "is_false")]
    pub flow_control: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub headers_only: bool,
    #[serde(
        skip_serializing_if = "is_zero_i64",
        deserialize_with = "json::field::int"
    )]
    pub max_batch: i64,
    #[serde(
        skip_serializing_if = "is_zero_i64",
        deserialize_with = "json::field::duration"
    )]
    pub max_expires: i64,
    #[serde(
        skip_serializing_if = "is_zero_i64",
        deserialize_with = "json::field::int"
    )]
    pub max_bytes: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deliver_subject: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deliver_group: String,
    #[serde(
        skip_serializing_if = "is_zero_i64",
        deserialize_with = "json::field::duration"
    )]
    pub idle_heartbeat: i64,
    #[serde(
        skip_serializing_if = "is_zero_i64",
        deserialize_with = "json::field::duration"
    )]
    pub inactive_threshold: i64,
    #[serde(deserialize_with = "json::field::int")]
    pub num_replicas: i64,
    #[serde(skip_serializing_if = "is_false")]
    pub mem_storage: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub direct: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub sourcing: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "json::field::time"
    )]
    pub pause_until: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub priority_groups: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub priority_policy: PriorityPolicy,
    #[serde(
        skip_serializing_if = "is_zero_i64",
        deserialize_with = "json::field::duration"
    )]
    pub priority_timeout: i64,
}

impl Config {
    /// Messages are sent to a subject without being asked for.
    pub fn is_push(&self) -> bool {
        !self.deliver_subject.is_empty()
    }

    /// It survives its users.
    pub fn is_durable(&self) -> bool {
        !self.durable_name.is_empty()
    }

    /// Which of the stream's messages it is about.
    pub fn filters(&self) -> Filters {
        match self.filter_subject.is_empty() {
            true => Filters::new(&self.filter_subjects),
            false => Filters::new([&self.filter_subject]),
        }
    }

    /// The name it has or asks for; empty if the server is to give it one.
    pub fn asked_name(&self) -> &str {
        match self.durable_name.is_empty() {
            true => &self.name,
            false => &self.durable_name,
        }
    }

    /// How long a delivery may stay unacknowledged.
    pub fn ack_wait(&self) -> Duration {
        nanos(self.ack_wait)
    }

    /// How long the delivery with this count (from 1) may stay unacknowledged.
    pub fn ack_wait_of(&self, count: u64) -> Duration {
        let index = usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
        match self.backoff.get(index).or(self.backoff.last()) {
            Some(wait) => nanos(*wait),
            None => self.ack_wait(),
        }
    }

    /// How long it lives without users; none: forever.
    pub fn inactive_threshold(&self) -> Option<Duration> {
        Some(nanos(self.inactive_threshold)).filter(|threshold| !threshold.is_zero())
    }

    /// How often an idle push consumer says that it lives; none: never.
    pub fn idle_heartbeat(&self) -> Option<Duration> {
        Some(nanos(self.idle_heartbeat)).filter(|interval| !interval.is_zero())
    }

    /// How long a pull request may ask to wait; none: as long as it likes.
    pub fn expires_max(&self) -> Option<Duration> {
        Some(nanos(self.max_expires)).filter(|longest| !longest.is_zero())
    }

    /// The moment to start from, if one is set.
    pub fn start_time(&self) -> Option<Timestamp> {
        self.opt_start_time.as_deref().and_then(json::time::moment)
    }

    /// The moment until which nothing is delivered, if one is set.
    pub fn paused_until(&self) -> Option<Timestamp> {
        self.pause_until.as_deref().and_then(json::time::moment)
    }

    /// Whether it is paused at this moment.
    pub fn is_paused(&self, now: Timestamp) -> bool {
        self.paused_until().is_some_and(|until| until > now)
    }

    /// The percentage of acknowledgements that are sampled; none if the text is no such thing.
    pub fn sample_percent(&self) -> Option<u32> {
        match self
            .sample_freq
            .strip_suffix('%')
            .unwrap_or(&self.sample_freq)
        {
            "" => Some(0),
            number => number.parse().ok(),
        }
    }
}

/// What a create request wants if the consumer is there, or is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is made, or updated.
    #[default]
    #[serde(rename = "")]
    CreateOrUpdate,
    /// It must not be there, or be the same.
    Create,
    /// It must be there.
    Update,
}

/// The body of a create request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CreateRequest {
    /// Whose consumer.
    pub stream_name: String,
    /// What it is to do.
    pub config: Config,
    /// What if it is there.
    pub action: Action,
    /// The client wants to be told instead of being corrected.
    #[serde(skip_serializing_if = "is_false")]
    pub pedantic: bool,
}

impl CreateRequest {
    /// Reads the body of a create request.
    ///
    /// # Errors
    /// `invalid JSON: ...` (10025).
    pub fn from_request(body: &[u8], strict: bool) -> Result<CreateRequest, ApiError> {
        json::parse(body, "CreateConsumerRequest", strict)
    }
}

/// Nanoseconds as a duration; negative ones are none.
fn nanos(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_zero_i64(value: &i64) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

//! What is shown of a consumer: the API's and monitoring's own types.
//!
//! Separate because several answers and pages show the same. Keys, order and what is left
//! out when empty are the wire's (jetstream spec §4.9); the tests read captured answers and
//! write them again byte for byte. Absent: where the figures come from.

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::validate::rules::is_group_name;
use crate::api_error::json::time::Time;
use crate::api_error::json::{self, field};
use crate::api_error::{ApiError, table};

/// A consumer. `C` is what is shown about the servers that carry it, and a type of the
/// stream's room.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "C: Deserialize<'de> + Default"))]
#[allow(missing_docs, reason = "the fields are those of the wire")]
pub struct Info<C = ()> {
    pub stream_name: String,
    pub name: String,
    pub created: Time,
    /// With the server's own metadata added, but in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,
    pub delivered: Position,
    pub ack_floor: Position,
    pub num_ack_pending: u64,
    pub num_redelivered: u64,
    pub num_waiting: u64,
    pub num_pending: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<C>,
    #[serde(skip_serializing_if = "is_false")]
    pub push_bound: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub paused: bool,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub pause_remaining: i64,
    /// When this was so.
    pub ts: Time,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub priority_groups: Vec<PriorityGroup>,
}

/// A position in both counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the wire")]
pub struct Position {
    pub consumer_seq: u64,
    pub stream_seq: u64,
    /// When it was last moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_active: Option<Time>,
}

/// Who holds a priority group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the wire")]
pub struct PriorityGroup {
    pub group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pinned_client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned_ts: Option<Time>,
}

/// For a page of consumers, or of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PageRequest {
    /// How many to leave out; negative: none.
    #[serde(deserialize_with = "field::int")]
    pub offset: i64,
}

impl PageRequest {
    /// Reads a body; an empty one asks for the first page.
    ///
    /// # Errors
    /// `invalid JSON: ...` (10025).
    pub fn from_request(body: &[u8], strict: bool) -> Result<Self, ApiError> {
        json::parse(body, "JSApiConsumersRequest", strict)
    }
}

/// To pause a consumer, or to end its pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PauseRequest {
    /// Until when; none, or a time gone by: no more.
    pub pause_until: Time,
}

impl PauseRequest {
    /// Reads a body; an empty one ends the pause.
    ///
    /// # Errors
    /// `invalid JSON: ...` (10025).
    pub fn from_request(body: &[u8], strict: bool) -> Result<Self, ApiError> {
        json::parse(body, "JSApiConsumerPauseRequest", strict)
    }
}

/// What a pause has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PauseAnswer {
    /// Nothing is delivered.
    pub paused: bool,
    /// Until then.
    pub pause_until: Time,
    /// Nanoseconds until then.
    #[serde(skip_serializing_if = "is_zero")]
    pub pause_remaining: i64,
}

/// To start anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResetRequest {
    /// With this one; 0: behind the ack floor.
    pub seq: u64,
}

impl ResetRequest {
    /// Reads a body; an empty one starts behind the ack floor. Unknown fields are no matter.
    ///
    /// # Errors
    /// `invalid JSON: ...` (10025).
    pub fn from_request(body: &[u8]) -> Result<Self, ApiError> {
        json::parse(body, "JSApiConsumerResetRequest", false)
    }
}

/// To take a priority group from who holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnpinRequest {
    /// The group.
    pub group: String,
}

impl UnpinRequest {
    /// Reads a body. Unknown fields are no matter.
    ///
    /// # Errors
    /// `invalid JSON: ...` (10025), also without a group; a name that is none (10162).
    pub fn from_request(body: &[u8]) -> Result<Self, ApiError> {
        let invalid = |text| ApiError::of(&table::INVALID_JSON).with("{err}", text);
        if body.is_empty() {
            return Err(invalid("unexpected end of JSON input"));
        }
        let request: Self = json::parse(body, "JSApiConsumerUnpinRequest", false)?;
        match request.group.as_str() {
            "" => Err(invalid("consumer group not specified")),
            group if is_group_name(group) => Ok(request),
            _ => Err(ApiError::of(&table::CONSUMER_INVALID_GROUP_NAME)),
        }
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(nanos: &i64) -> bool {
    *nanos == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Serialize + for<'de> Deserialize<'de>>(captured: &str) {
        let read: T = serde_json::from_str(captured).expect("an answer");
        assert_eq!(json::text(&read), captured);
    }

    #[test]
    fn captured_answers_are_written_as_they_were() {
        check::<Info>(
            r#"{"stream_name":"S","name":"d","created":"2026-11-21T12:30:45.403256973Z","config":{"durable_name":"d","name":"d","deliver_policy":"all","ack_policy":"explicit","ack_wait":30000000000,"max_deliver":-1,"replay_policy":"instant","max_waiting":512,"max_ack_pending":1000,"num_replicas":0,"metadata":{"_nats.level":"5","_nats.req.level":"1","_nats.ver":"2.15.1"},"pause_until":"2030-01-01T00:00:00Z"},"delivered":{"consumer_seq":0,"stream_seq":0},"ack_floor":{"consumer_seq":0,"stream_seq":0},"num_ack_pending":0,"num_redelivered":0,"num_waiting":0,"num_pending":4,"paused":true,"pause_remaining":98191754590439671,"ts":"2026-11-21T12:30:45.409559233Z"}"#,
        );
        check::<Info>(
            r#"{"stream_name":"S","name":"p","created":"2026-11-21T12:30:45.404562768Z","config":{"durable_name":"p","name":"p","deliver_policy":"all","ack_policy":"explicit","ack_wait":30000000000,"max_deliver":-1,"replay_policy":"instant","max_ack_pending":1000,"deliver_subject":"push.x","num_replicas":0,"metadata":{"_nats.level":"5","_nats.req.level":"0","_nats.ver":"2.15.1"}},"delivered":{"consumer_seq":4,"stream_seq":6,"last_active":"2026-11-21T12:30:45.404865183Z"},"ack_floor":{"consumer_seq":0,"stream_seq":0},"num_ack_pending":4,"num_redelivered":0,"num_waiting":0,"num_pending":0,"push_bound":true,"ts":"2026-11-21T12:30:45.411204253Z"}"#,
        );
        check::<Info>(
            r#"{"stream_name":"S","name":"g","created":"2026-11-21T12:30:45.405197226Z","config":{"name":"g","deliver_policy":"all","ack_policy":"none","max_deliver":-1,"replay_policy":"instant","max_waiting":512,"inactive_threshold":5000000000,"num_replicas":0,"metadata":{"_nats.level":"5","_nats.req.level":"1","_nats.ver":"2.15.1"},"priority_groups":["a"],"priority_policy":"pinned_client","priority_timeout":120000000000},"delivered":{"consumer_seq":0,"stream_seq":0},"ack_floor":{"consumer_seq":0,"stream_seq":0},"num_ack_pending":0,"num_redelivered":0,"num_waiting":0,"num_pending":4,"ts":"2026-11-21T12:30:45.411363111Z","priority_groups":[{"group":"a","pinned_ts":"0001-01-01T00:00:00Z"}]}"#,
        );
        check::<Info>(
            r#"{"stream_name":"ALL","name":"z","created":"2026-11-21T12:31:49.76718256Z","config":{"name":"z","description":"d","deliver_policy":"by_start_sequence","opt_start_seq":5,"ack_policy":"explicit","ack_wait":1000000000,"max_deliver":5,"backoff":[1000000000],"filter_subject":"b","replay_policy":"original","rate_limit_bps":5,"sample_freq":"5%","max_ack_pending":3,"flow_control":true,"headers_only":true,"max_batch":1,"max_expires":1000000000,"max_bytes":5,"deliver_subject":"dd","deliver_group":"g","idle_heartbeat":1000000000,"inactive_threshold":5,"num_replicas":1,"mem_storage":true,"metadata":{"a":"b"},"pause_until":"2030-01-01T00:00:00Z"},"delivered":{"consumer_seq":0,"stream_seq":6},"ack_floor":{"consumer_seq":0,"stream_seq":6},"num_ack_pending":0,"num_redelivered":0,"num_waiting":0,"num_pending":0,"ts":"2026-11-21T12:31:49.767252161Z"}"#,
        );
        check::<PauseAnswer>(r#"{"paused":false,"pause_until":"0001-01-01T00:00:00Z"}"#);
        check::<PauseAnswer>(
            r#"{"paused":true,"pause_until":"2030-01-01T00:00:00Z","pause_remaining":98191754590637161}"#,
        );
    }

    #[test]
    fn requests_are_read_and_refused_by_name() {
        let until = |text: &str| PauseRequest::from_request(text.as_bytes(), true);
        assert_eq!(until("").unwrap().pause_until, Time(None));
        assert!(
            until(r#"{"pause_until":"2030-01-01T00:00:00Z"}"#)
                .unwrap()
                .pause_until
                .0
                .is_some()
        );
        assert_eq!(
            until(r#"{"pause_until":5}"#).unwrap_err().description,
            "invalid JSON: json: cannot unmarshal number into Go struct field JSApiConsumerPauseRequest.pause_until of type time.Time"
        );
        assert_eq!(
            ResetRequest::from_request(br#"{"seq":2,"x":1}"#)
                .unwrap()
                .seq,
            2
        );
        assert!(PageRequest::from_request(br#"{"x":1}"#, true).is_err());
        let unpin = |body: &str| UnpinRequest::from_request(body.as_bytes());
        assert_eq!(unpin(r#"{"group":"g","x":1}"#).unwrap().group, "g");
        for (body, err_code) in [("", 10025), ("{}", 10025), (r#"{"group":"a b"}"#, 10162)] {
            assert_eq!(unpin(body).unwrap_err().err_code, err_code, "{body}");
        }
    }
}

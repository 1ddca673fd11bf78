//! Events that streams and consumers tell the world (jetstream spec §6).
//!
//! Separate because they are a contract of their own: subject, type and fields of each
//! stand here, next to each other.
//!
//! Invariants: an advisory is made only when somebody listens; it never delays what it
//! tells of. Absent: when something happens; the machines and the API say so.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::replica::Replica;
use crate::api_error::json::time::Time;
use crate::clock::Timestamp;
use crate::nuid::Nuid;
use crate::pubsub::accounts::Account;
use crate::pubsub::internal;

/// What happened, with its own fields.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "the fields are the wire's: jetstream spec §6")]
pub enum Advisory {
    /// A stream was made, changed or deleted.
    StreamAction { stream: String, action: Action },
    /// A consumer was made or deleted.
    ConsumerAction {
        stream: String,
        consumer: String,
        action: Action,
    },
    /// A consumer pauses or goes on.
    ConsumerPause {
        stream: String,
        consumer: String,
        paused: bool,
        pause_until: Time,
    },
    /// A message was delivered as often as it may be.
    MaxDeliver {
        stream: String,
        consumer: String,
        stream_seq: u64,
        deliveries: u64,
    },
    /// A client did not take a message.
    Naked {
        stream: String,
        consumer: String,
        consumer_seq: u64,
        stream_seq: u64,
        deliveries: u64,
    },
    /// A message is not delivered any more.
    Terminated {
        stream: String,
        consumer: String,
        consumer_seq: u64,
        stream_seq: u64,
        deliveries: u64,
        #[serde(skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// A sampled acknowledgement.
    Acked {
        stream: String,
        consumer: String,
        consumer_seq: u64,
        stream_seq: u64,
        ack_time: i64,
        deliveries: u64,
    },
    /// Somebody asked the API something.
    ApiAudit {
        server: String,
        client: Value,
        subject: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        request: String,
        response: String,
    },
    /// The queue of the API was full and has been emptied.
    ApiLimitReached { server: String, dropped: u64 },
}

/// What was done to a stream or consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Made.
    Create,
    /// Given another configuration.
    Modify,
    /// Deleted.
    Delete,
}

impl Action {
    fn token(self) -> &'static str {
        match self {
            Action::Create => "CREATED",
            Action::Modify => "UPDATED",
            Action::Delete => "DELETED",
        }
    }
}

impl Advisory {
    /// Where it is published.
    pub fn subject(&self) -> String {
        let consumer_event = |event: &str, stream: &str, consumer: &str| {
            format!("$JS.EVENT.ADVISORY.CONSUMER.{event}.{stream}.{consumer}")
        };
        match self {
            Advisory::StreamAction { stream, action } => {
                format!("$JS.EVENT.ADVISORY.STREAM.{}.{stream}", action.token())
            }
            Advisory::ConsumerAction {
                stream,
                consumer,
                action,
            } => consumer_event(action.token(), stream, consumer),
            Advisory::ConsumerPause {
                stream, consumer, ..
            } => consumer_event("PAUSE", stream, consumer),
            Advisory::MaxDeliver {
                stream, consumer, ..
            } => consumer_event("MAX_DELIVERIES", stream, consumer),
            Advisory::Naked {
                stream, consumer, ..
            } => consumer_event("MSG_NAKED", stream, consumer),
            Advisory::Terminated {
                stream, consumer, ..
            } => consumer_event("MSG_TERMINATED", stream, consumer),
            Advisory::Acked {
                stream, consumer, ..
            } => {
                format!("$JS.EVENT.METRIC.CONSUMER.ACK.{stream}.{consumer}")
            }
            Advisory::ApiAudit { .. } => "$JS.EVENT.ADVISORY.API".to_owned(),
            Advisory::ApiLimitReached { .. } => "$JS.EVENT.ADVISORY.API.LIMIT_REACHED".to_owned(),
        }
    }

    /// The name of its schema.
    pub fn schema(&self) -> &'static str {
        match self {
            Advisory::StreamAction { .. } => "io.nats.jetstream.advisory.v1.stream_action",
            Advisory::ConsumerAction { .. } => "io.nats.jetstream.advisory.v1.consumer_action",
            Advisory::ConsumerPause { .. } => "io.nats.jetstream.advisory.v1.consumer_pause",
            Advisory::MaxDeliver { .. } => "io.nats.jetstream.advisory.v1.max_deliver",
            Advisory::Naked { .. } => "io.nats.jetstream.advisory.v1.nak",
            Advisory::Terminated { .. } => "io.nats.jetstream.advisory.v1.terminated",
            Advisory::Acked { .. } => "io.nats.jetstream.metric.v1.consumer_ack",
            Advisory::ApiAudit { .. } => "io.nats.jetstream.advisory.v1.api_audit",
            Advisory::ApiLimitReached { .. } => "io.nats.jetstream.advisory.v1.api_limit_reached",
        }
    }

    /// The whole event as JSON.
    pub fn to_json(&self, id: &str, now: Timestamp, domain: Option<&str>) -> Vec<u8> {
        let mut event = Map::new();
        event.insert("type".to_owned(), self.schema().into());
        event.insert("id".to_owned(), id.into());
        event.insert("timestamp".to_owned(), now.to_rfc3339().into());
        if let Ok(Value::Object(fields)) = serde_json::to_value(self) {
            event.extend(fields);
        }
        if let Some(domain) = domain {
            event.insert("domain".to_owned(), domain.into());
        }
        Value::Object(event).to_string().into_bytes()
    }

    /// Publishes it in `account`, if anybody listens there.
    pub fn publish(
        &self,
        account: &Arc<Account>,
        ids: &mut Nuid,
        now: Timestamp,
        domain: Option<&str>,
    ) {
        let subject = self.subject();
        if account.interest.has_interest(subject.as_bytes()) {
            let event = self.to_json(&ids.next_id(), now, domain);
            internal::publish(account, &subject, "", None, &event);
        }
    }
}

/// How many of a hundred acknowledgements of a consumer are told.
pub fn sample_percent(replica: &Replica, consumer: &str) -> u64 {
    let text = replica.group.with(|machine| {
        let (consumer, _) = machine.consumer_and_store(consumer)?;
        Some(consumer.config().sample_freq.clone())
    });
    let text = text.unwrap_or_default();
    text.trim_end_matches('%').trim().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_subject_type_and_fields() {
        let check = |advisory: Advisory, subject: &str, json: &str| {
            assert_eq!(advisory.subject(), subject);
            let event = advisory.to_json("ID", Timestamp::from_unix_nanos(1), None);
            assert_eq!(String::from_utf8(event).unwrap(), json);
        };
        check(
            Advisory::StreamAction {
                stream: "S".to_owned(),
                action: Action::Modify,
            },
            "$JS.EVENT.ADVISORY.STREAM.UPDATED.S",
            r#"{"type":"io.nats.jetstream.advisory.v1.stream_action","id":"ID","timestamp":"1970-01-01T00:00:00.000000001Z","stream":"S","action":"modify"}"#,
        );
        check(
            Advisory::Terminated {
                stream: "S".to_owned(),
                consumer: "C".to_owned(),
                consumer_seq: 1,
                stream_seq: 2,
                deliveries: 3,
                reason: String::new(),
            },
            "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.S.C",
            r#"{"type":"io.nats.jetstream.advisory.v1.terminated","id":"ID","timestamp":"1970-01-01T00:00:00.000000001Z","stream":"S","consumer":"C","consumer_seq":1,"stream_seq":2,"deliveries":3}"#,
        );
    }
}

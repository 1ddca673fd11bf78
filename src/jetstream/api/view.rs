//! Streams and consumers as the API shows them.
//!
//! Separate because several answers, and monitoring, show the same (jetstream spec §2.7,
//! §4.9). Field order is that of the peers.

use std::ops::ControlFlow;

use serde_json::{Map, Value, json};

use super::{fields, to_value};
use crate::clock::{self, Timestamp};
use crate::consumer::config::Config as ConsumerConfig;
use crate::consumer::metadata;
use crate::jetstream::replica::Replica;
use crate::store::State;
use crate::store::message::Seq;
use crate::stream::config::Config;
use crate::stream::requests::SUBJECTS_PER_PAGE;
use crate::subject::filters::Filters;

/// The time of nothing.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// Sequences of messages that cannot be read are listed up to so many.
const LOST_SHOWN_MAX: usize = 1024;

/// How much of a stream is shown.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// The sequences that were deleted.
    pub deleted: bool,
    /// Subjects that match, from this offset on.
    pub subjects: Option<(String, usize)>,
    /// The server's name; shown as the leader.
    pub leader: Option<String>,
}

/// A stream. The second value is how many subjects match, if they were asked for.
pub fn stream(
    replica: &mut Replica,
    version: &str,
    details: &Details,
) -> (Map<String, Value>, usize) {
    let created = replica.handle.created;
    let consumers = replica
        .handle
        .figures
        .consumers
        .load(std::sync::atomic::Ordering::Relaxed);
    let (config, state, total) = replica.group.with(|machine| {
        let config = shown_config(machine.config(), version);
        let mut state = shown_state(&machine.state(), consumers);
        let mut total = 0;
        if let Some((filter, offset)) = &details.subjects {
            let (subjects, count) = shown_subjects(machine.store(), filter, *offset);
            total = count;
            if !subjects.is_empty() {
                state.insert("subjects".to_owned(), Value::Object(subjects));
            }
        }
        if details.deleted {
            let mut deleted = Vec::new();
            machine.store().deleted(&mut |seq| {
                deleted.push(Value::from(seq.0));
                ControlFlow::Continue(())
            });
            if !deleted.is_empty() {
                state.insert("deleted".to_owned(), deleted.into());
            }
        }
        let lost = machine.store().lost();
        if !lost.is_empty() {
            let all = lost.iter().flat_map(|(a, b)| a.0..=b.0);
            let msgs: Vec<u64> = all.take(LOST_SHOWN_MAX).collect();
            state.insert("lost".to_owned(), json!({ "msgs": msgs, "bytes": 0 }));
        }
        // The peers' order: the count of consumers is last.
        let count = state.shift_remove("consumer_count").unwrap_or_default();
        state.insert("consumer_count".to_owned(), count);
        (config, state, total)
    });
    let mut shown = Map::new();
    shown.insert("config".to_owned(), config);
    shown.insert("created".to_owned(), created.to_rfc3339().into());
    shown.insert("state".to_owned(), Value::Object(state));
    if let Some(leader) = &details.leader {
        shown.insert("cluster".to_owned(), json!({ "leader": leader }));
    }
    crate::jetstream::origin::show(replica, &mut shown);
    shown.insert("ts".to_owned(), clock::now().to_rfc3339().into());
    (shown, total)
}

/// A stream's configuration with what the server adds to its metadata.
pub fn shown_config(config: &Config, version: &str) -> Value {
    let metadata = metadata::shown(config.metadata.clone(), version);
    to_value(&Config {
        metadata,
        ..config.clone()
    })
}

/// The figures of a store.
fn shown_state(state: &State, consumers: u64) -> Map<String, Value> {
    let time = |time: Timestamp| match time.unix_nanos() {
        0 => ZERO_TIME.to_owned(),
        _ => time.to_rfc3339(),
    };
    // A stream that never had a message shows no first sequence.
    let first = match state.last_seq {
        Seq::NONE if state.first_seq <= Seq(1) => Seq::NONE,
        _ => state.first_seq,
    };
    let mut shown = fields(&json!({
        "messages": state.messages,
        "bytes": state.bytes,
        "first_seq": first.0,
        "first_ts": time(state.first_time),
        "last_seq": state.last_seq.0,
        "last_ts": time(state.last_time),
    }));
    if state.subjects > 0 {
        shown.insert("num_subjects".to_owned(), state.subjects.into());
    }
    if state.deleted() > 0 {
        shown.insert("num_deleted".to_owned(), state.deleted().into());
    }
    shown.insert("consumer_count".to_owned(), consumers.into());
    shown
}

/// One page of subjects with their counts, and how many there are.
fn shown_subjects(
    store: &mut dyn crate::store::MsgStore,
    filter: &str,
    offset: usize,
) -> (Map<String, Value>, usize) {
    let mut page = Map::new();
    let mut total = 0;
    let visited = store.subjects(&Filters::new([filter]), &mut |subject, state| {
        if total >= offset && page.len() < SUBJECTS_PER_PAGE {
            let subject = String::from_utf8_lossy(subject).into_owned();
            page.insert(subject, state.messages.into());
        }
        total += 1;
        ControlFlow::Continue(())
    });
    if let Err(error) = visited {
        tracing::error!(err = %error, "list subjects");
    }
    (page, total)
}

/// A consumer; none if it is not there.
pub fn consumer(
    replica: &mut Replica,
    name: &str,
    version: &str,
    leader: Option<&str>,
) -> Option<Map<String, Value>> {
    let now = clock::now();
    let (waiting, is_bound) = replica
        .deliveries
        .dispatcher(name)
        .map_or((0, false), |d| (d.num_waiting(), d.is_push_bound()));
    let stream = replica.handle.name.to_string();
    let mut shown = replica.group.with(|machine| {
        let (consumer, _) = machine.consumer_and_store(name)?;
        let position = |position: crate::consumer::state::Position| {
            let mut shown = fields(&json!({
                "consumer_seq": position.consumer,
                "stream_seq": position.stream.0,
            }));
            if let Some(last) = position.at {
                shown.insert("last_active".to_owned(), last.to_rfc3339().into());
            }
            Value::Object(shown)
        };
        let state = consumer.state();
        let config = ConsumerConfig {
            metadata: metadata::shown(consumer.config().metadata.clone(), version),
            pause_until: consumer.paused_until().map(Timestamp::to_rfc3339),
            ..consumer.config().clone()
        };
        let mut shown = Map::new();
        shown.insert("stream_name".to_owned(), stream.into());
        shown.insert("name".to_owned(), name.into());
        shown.insert("created".to_owned(), consumer.created().to_rfc3339().into());
        shown.insert("config".to_owned(), to_value(&config));
        shown.insert("delivered".to_owned(), position(state.delivered()));
        shown.insert("ack_floor".to_owned(), position(state.ack_floor()));
        shown.insert(
            "num_ack_pending".to_owned(),
            consumer.num_ack_pending().into(),
        );
        shown.insert(
            "num_redelivered".to_owned(),
            consumer.num_redelivered().into(),
        );
        shown.insert("num_waiting".to_owned(), waiting.into());
        shown.insert("num_pending".to_owned(), consumer.num_pending().into());
        if let Some(leader) = leader {
            shown.insert("cluster".to_owned(), json!({ "leader": leader }));
        }
        if is_bound {
            shown.insert("push_bound".to_owned(), true.into());
        }
        if let Some(until) = consumer.paused_until().filter(|until| *until > now) {
            shown.insert("paused".to_owned(), true.into());
            let left = u64::try_from(until.since(now).as_nanos()).unwrap_or(u64::MAX);
            shown.insert("pause_remaining".to_owned(), left.into());
        }
        Some(shown)
    })?;
    shown.insert("ts".to_owned(), now.to_rfc3339().into());
    Some(shown)
}

/// The fields that an error of this kind carries beside the error, as the peers do.
pub fn empty(kind: &str) -> Map<String, Value> {
    match kind {
        "stream_names_response" | "stream_list_response" => {
            fields(&json!({ "total": 0, "offset": 0, "limit": 0, "streams": null }))
        }
        "consumer_names_response" | "consumer_list_response" => {
            fields(&json!({ "total": 0, "offset": 0, "limit": 0, "consumers": null }))
        }
        _ => Map::new(),
    }
}

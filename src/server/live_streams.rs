//! JetStream as monitoring sees it: the streams' half of `live`.
//!
//! Separate because a part of it is asked of the streams' own threads. A stream that does
//! not answer in time is left out: monitoring is for the hard times.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::consumer::metadata::API_LEVEL;
use crate::jetstream::JetStream;
use crate::jetstream::api::view;
use crate::jetstream::handle::StreamHandle;
use crate::jetstream::health;
use crate::jetstream::replica::Replica;
use crate::monitor::go_format::Nanos;
use crate::monitor::streams::{
    AccountStreams, JetStreamConfig, JetStreamLimits, JetStreamSnapshot, Problem, StreamDetails,
    StreamSnapshot, Wanted,
};
use crate::stream::config::Storage;

/// How long one stream may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(1);
/// What the API adds to metadata, and monitoring does not show.
const ADDED: [&str; 2] = ["_nats.ver", "_nats.level"];

/// The figures of now; `configured` is what the configuration says.
pub(super) fn snapshot(
    jetstream: &JetStream,
    configured: &crate::config::options::jetstream::JetStream,
) -> JetStreamSnapshot {
    let limits = *jetstream.limits.read();
    let shown = |limit: Option<u64>| limit.map_or(0, |l| i64::try_from(l).unwrap_or(i64::MAX));
    let mut accounts: Vec<_> = jetstream.streams.accounts().iter().map(account).collect();
    accounts.sort_by(|a, b| a.name.cmp(&b.name));
    JetStreamSnapshot {
        config: JetStreamConfig {
            max_memory: limits.memory_bytes_max,
            max_storage: limits.storage_bytes_max,
            store_dir: jetstream.options.store_dir.clone(),
            sync_interval: Nanos(configured.sync_interval),
            sync_always: configured.sync_always,
            compress_ok: true,
            unique_tag: configured.unique_tag.clone().unwrap_or_default(),
            strict: configured.strict,
        },
        limits: JetStreamLimits {
            max_request_batch: shown(limits.request_batch_max),
            max_ack_pending: shown(limits.ack_pending_max),
            max_ha_assets: configured.limits.max_ha_assets.unwrap_or(0),
            max_duplicate_window: Nanos(limits.dedup_window_max.unwrap_or_default()),
        },
        api_level: u64::from(API_LEVEL),
        accounts,
        problems: jetstream.problems().into_iter().map(problem).collect(),
    }
}

fn problem(problem: health::Problem) -> Problem {
    let health::Problem {
        account,
        stream,
        text,
        is_down,
    } = problem;
    let error = match (stream.is_empty(), is_down) {
        (true, _) => format!("JetStream: {text}"),
        (false, false) => format!("JetStream stream '{account} > {stream}' is damaged: {text}"),
        (false, true) if text.is_empty() => {
            format!("JetStream stream '{account} > {stream}' could not be recovered")
        }
        (false, true) => {
            format!("JetStream stream '{account} > {stream}' could not be recovered: {text}")
        }
    };
    Problem {
        account,
        stream,
        error,
        is_down,
    }
}

fn account(site: &std::sync::Arc<crate::jetstream::account::AccountStreams>) -> AccountStreams {
    let (memory, storage) = site.usage.bytes();
    let limits = *site.limits.read();
    AccountStreams {
        name: site.account.name.to_string(),
        memory,
        storage,
        memory_max: limits.memory_bytes_max,
        storage_max: limits.storage_bytes_max,
        api_total: site.usage.api_total.load(Ordering::Relaxed),
        api_errors: site.usage.api_errors.load(Ordering::Relaxed),
        streams: site.streams().iter().map(|handle| stream(handle)).collect(),
    }
}

fn stream(handle: &StreamHandle) -> StreamSnapshot {
    let config = handle.config();
    let (messages, bytes) = handle.usage();
    StreamSnapshot {
        name: handle.name.to_string(),
        in_memory: config.storage == Storage::Memory,
        reserved: config.bytes_max().unwrap_or(0),
        messages,
        bytes,
        consumers: handle.usage_of_consumers(),
    }
}

/// What streams say of themselves.
pub(super) async fn details(jetstream: &JetStream, wanted: &Wanted) -> StreamDetails {
    let leader = jetstream.options.server_name.clone();
    let version = jetstream.options.version;
    let (config, consumers) = (wanted.config, wanted.consumers);
    let mut all = StreamDetails::new();
    for name in &wanted.accounts {
        let Some(site) = jetstream.streams.account(name) else {
            continue;
        };
        let mut said = Vec::new();
        for handle in site.streams() {
            let leader = leader.clone();
            let read = handle.read(move |replica| {
                let names = match consumers {
                    true => replica.handle.consumer_names(),
                    false => Vec::new(),
                };
                detail(replica, version, leader, config, &names)
            });
            match tokio::time::timeout(PATIENCE, read).await {
                Ok(Ok(detail)) => said.push(detail),
                Ok(Err(_)) => {}
                Err(_) => tracing::warn!(stream = &*handle.name, "a stream does not answer"),
            }
        }
        all.insert(name.clone(), said);
    }
    all
}

/// One stream in the order of the published format.
fn detail(
    replica: &mut Replica,
    version: &str,
    leader: String,
    config: bool,
    consumers: &[String],
) -> Map<String, Value> {
    let asked = view::Details {
        leader: Some(leader),
        ..view::Details::default()
    };
    let (mut shown, _) = view::stream(replica, version, &asked);
    let mut detail = Map::new();
    detail.insert("name".to_owned(), replica.handle.name.to_string().into());
    for key in ["created", "cluster", "config", "state"] {
        let value = shown.shift_remove(key);
        if let Some(mut value) = value.filter(|_| config || key != "config") {
            if key == "config" {
                take_additions(&mut value);
            }
            detail.insert(key.to_owned(), value);
        }
    }
    let consumers: Vec<Value> = consumers
        .iter()
        .filter_map(|name| consumer(replica, name, version, config))
        .collect();
    if !consumers.is_empty() {
        detail.insert("consumer_detail".to_owned(), consumers.into());
    }
    for key in ["mirror", "sources"] {
        if let Some(value) = shown.shift_remove(key) {
            detail.insert(key.to_owned(), value);
        }
    }
    detail
}

fn consumer(replica: &mut Replica, name: &str, version: &str, config: bool) -> Option<Value> {
    let mut shown = view::consumer(replica, name, version, None)?;
    if config {
        shown.get_mut("config").map(take_additions);
    } else {
        shown.shift_remove("config");
    }
    Some(Value::Object(shown))
}

/// Takes what the API adds out of a configuration.
fn take_additions(config: &mut Value) {
    let Some(Value::Object(metadata)) = config.get_mut("metadata") else {
        return;
    };
    for key in ADDED {
        metadata.shift_remove(key);
    }
    if metadata.is_empty()
        && let Value::Object(config) = config
    {
        config.shift_remove("metadata");
    }
}

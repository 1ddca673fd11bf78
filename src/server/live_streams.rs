//! JetStream as monitoring sees it: the streams' half of `live`.
//!
//! Separate because a part of it is asked of the streams' own threads. A stream that does
//! not answer in time is left out: monitoring is for the hard times.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::api_error::json::time::Time;
use crate::consumer::info::Info as ConsumerInfo;
use crate::consumer::metadata::API_LEVEL;
use crate::jetstream::JetStream;
use crate::jetstream::handle::StreamHandle;
use crate::jetstream::health;
use crate::jetstream::info::{self, Details};
use crate::jetstream::replica::Replica;
use crate::monitor::go_format::Nanos;
use crate::monitor::streams::{
    AccountStreams, Disk, JetStreamConfig, JetStreamLimits, JetStreamSnapshot, Problem,
    StreamDetails, StreamSnapshot, Wanted,
};
use crate::stream::config::{Config, Storage};
use crate::stream::info::{Cluster, Info, Origin, State};

/// How long one stream may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(1);

/// One stream in the order of the published format.
#[derive(Serialize)]
struct Detail {
    name: String,
    created: Time,
    cluster: Cluster,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Config>,
    state: State,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    consumer_detail: Vec<ConsumerInfo<Cluster>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror: Option<Origin>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<Origin>,
}

/// The figures of now; `configured` is what the configuration says.
pub(super) fn snapshot(
    jetstream: &JetStream,
    configured: &crate::config::options::jetstream::JetStream,
) -> JetStreamSnapshot {
    let limits = *jetstream.limits.read();
    let space = jetstream.streams.space();
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
        disk: Disk {
            level: space.level(),
            total: space.figures().total,
            available: space.figures().available,
        },
        log_segments: jetstream.streams.log_segments(),
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
                detail(replica, &leader, config, &names)
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

/// What one stream says, as JSON.
fn detail(
    replica: &mut Replica,
    leader: &str,
    config: bool,
    consumers: &[String],
) -> Map<String, Value> {
    let (info, _) = info::stream(replica, &Details::default());
    let Info {
        created,
        state,
        mirror,
        sources,
        ..
    } = info;
    let consumers = consumers.iter().filter_map(|name| {
        let mut info = info::consumer(replica, name)?;
        info.config = info.config.filter(|_| config);
        Some(info)
    });
    let detail = Detail {
        consumer_detail: consumers.collect(),
        name: replica.handle.name.to_string(),
        created,
        cluster: info::led_by(leader),
        config: config.then_some(info.config),
        state,
        mirror,
        sources,
    };
    // A struct always serialises as an object.
    match serde_json::to_value(&detail) {
        Ok(Value::Object(detail)) => detail,
        _ => Map::new(),
    }
}

//! `INFO`: what the account uses and may use (jetstream spec §5.2).

use std::sync::atomic::Ordering;

use super::Context;
use super::answer::{Answer, Fields};
use crate::account::limits::JetStreamLimits;
use crate::meta::account_info::{AccountInfo, Api, Limits, Tier};
use crate::stream::config::Storage;

/// Answers `INFO`.
pub fn info(context: &Context<'_>) -> Answer {
    let site = context.site;
    let (memory, storage) = site.usage.bytes();
    let (mut streams, mut consumers) = (0, 0);
    let (mut reserved_memory, mut reserved_storage) = (0, 0);
    for handle in site.streams() {
        streams += 1;
        consumers += handle.figures.consumers.load(Ordering::Relaxed);
        let config = handle.config();
        let reserved = config.bytes_max().unwrap_or(0);
        match config.storage {
            Storage::File => reserved_storage += reserved,
            Storage::Memory => reserved_memory += reserved,
        }
    }
    let limits = *site.limits.read();
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    Ok(Fields::of(&AccountInfo {
        tier: Tier {
            memory,
            storage,
            reserved_memory,
            reserved_storage,
            streams,
            consumers,
            limits: shown(&limits),
        },
        api: Api {
            total: read(&site.usage.api_total),
            errors: read(&site.usage.api_errors),
            ..Api::default()
        },
        ..AccountInfo::default()
    }))
}

/// Limits as the wire has them: -1 is none.
fn shown(limits: &JetStreamLimits) -> Limits {
    let or_none =
        |limit: Option<u64>| limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    Limits {
        max_memory: or_none(limits.memory_bytes_max),
        max_storage: or_none(limits.storage_bytes_max),
        max_streams: or_none(limits.streams_max),
        max_consumers: or_none(limits.consumers_max),
        max_ack_pending: or_none(limits.ack_pending_max),
        memory_max_stream_bytes: or_none(limits.memory_stream_bytes_max),
        storage_max_stream_bytes: or_none(limits.storage_stream_bytes_max),
        max_bytes_required: limits.bytes_max_required,
    }
}

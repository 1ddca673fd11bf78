//! What a stream may copy from: a mirror's origin, sources, and no circle of them.

use std::collections::BTreeSet;

use super::normalise::is_asset_name;
use super::subjects::check_destination;
use super::{Streams, invalid, pedantic_error};
use crate::api_error::table::{self, Row};
use crate::api_error::{ApiError, table::STREAM_CREATE};
use crate::stream::config::{Config, External, StreamSource};
use crate::subject::tokens::{is_valid_filter, is_valid_publish};
use crate::subject::wildcard::overlaps;

/// Our own API, which is no other's.
const API: &str = "$JS.API";

/// The errors that mirrors and sources have each of their own.
struct Errors {
    name: &'static Row,
    consumer: &'static Row,
    filter_and_transforms: &'static Row,
    transform_source: &'static Row,
    transform_destination: &'static Row,
    overlap: &'static Row,
    message_size: &'static Row,
    /// In a text about the filter.
    what: &'static str,
}

const MIRROR: Errors = Errors {
    name: &table::MIRROR_INVALID_STREAM_NAME,
    consumer: &table::MIRROR_DURABLE_CONSUMER_CFG_INVALID,
    filter_and_transforms: &table::MIRROR_MULTIPLE_FILTERS_NOT_ALLOWED,
    transform_source: &table::MIRROR_INVALID_SUBJECT_FILTER,
    transform_destination: &table::MIRROR_INVALID_TRANSFORM_DESTINATION,
    overlap: &table::MIRROR_OVERLAPPING_SUBJECT_FILTERS,
    message_size: &table::MIRROR_MAX_MESSAGE_SIZE_TOO_BIG,
    what: "mirror",
};

const SOURCE: Errors = Errors {
    name: &table::SOURCE_INVALID_STREAM_NAME,
    consumer: &table::SOURCE_DURABLE_CONSUMER_CFG_INVALID,
    filter_and_transforms: &table::SOURCE_MULTIPLE_FILTERS_NOT_ALLOWED,
    transform_source: &table::SOURCE_INVALID_SUBJECT_FILTER,
    transform_destination: &table::SOURCE_INVALID_TRANSFORM_DESTINATION,
    overlap: &table::SOURCE_OVERLAPPING_SUBJECT_FILTERS,
    message_size: &table::SOURCE_MAX_MESSAGE_SIZE_TOO_BIG,
    what: "source:",
};

pub(super) fn check(
    config: &mut Config,
    pedantic: bool,
    streams: &dyn Streams,
) -> Result<(), ApiError> {
    check_mirror(config, pedantic, streams)?;
    check_sources(config, streams)?;
    if closes_circle(config, streams) {
        return Err(invalid("detected cycle"));
    }
    Ok(())
}

fn check_mirror(
    config: &mut Config,
    pedantic: bool,
    streams: &dyn Streams,
) -> Result<(), ApiError> {
    let Some(mirror) = &config.mirror else {
        return Ok(());
    };
    let excluded: [(bool, &Row); 7] = [
        (config.first_seq > 0, &table::MIRROR_WITH_FIRST_SEQ),
        (!config.subjects.is_empty(), &table::MIRROR_WITH_SUBJECTS),
        (!config.sources.is_empty(), &table::MIRROR_WITH_SOURCES),
        (config.allow_msg_counter, &table::MIRROR_WITH_COUNTERS),
        (config.allow_atomic, &table::MIRROR_WITH_ATOMIC_PUBLISH),
        (config.allow_batched, &table::MIRROR_WITH_BATCH_PUBLISH),
        (
            config.allow_msg_schedules,
            &table::MIRROR_WITH_MSG_SCHEDULES,
        ),
    ];
    if let Some((_, row)) = excluded.iter().find(|(is_there, _)| *is_there) {
        return Err(ApiError::of(row));
    }
    check_origin(mirror, config.max_msg_size, &MIRROR, streams)?;
    let origin = streams.stream(&mirror.name);
    if let (Some(origin), None) = (origin, &mirror.external) {
        if pedantic && origin.allow_direct != config.mirror_direct {
            return Err(pedantic_error(
                "origin stream has direct get set, mirror has it disabled",
            ));
        }
        config.mirror_direct = origin.allow_direct;
    }
    Ok(())
}

fn check_sources(config: &Config, streams: &dyn Streams) -> Result<(), ApiError> {
    if config.allow_msg_schedules && !config.sources.is_empty() {
        return Err(ApiError::of(&table::SOURCE_WITH_MSG_SCHEDULES));
    }
    let mut seen = BTreeSet::new();
    let mut consumers = BTreeSet::new();
    for source in &config.sources {
        check_origin(source, config.max_msg_size, &SOURCE, streams)?;
        let api = source.external.as_ref().map(|external| &external.api);
        let transforms: Vec<_> = source
            .subject_transforms
            .iter()
            .map(|transform| (&transform.src, &transform.dest))
            .collect();
        let consumer = source.consumer.as_ref().map(|consumer| &consumer.name);
        let key = (
            &source.name,
            api,
            consumer,
            &source.filter_subject,
            transforms,
        );
        if !seen.insert(key) {
            return Err(ApiError::of(&table::SOURCE_DUPLICATE_DETECTED));
        }
        if consumer.is_some() && !consumers.insert((&source.name, api, consumer)) {
            return Err(ApiError::of(
                &table::SOURCE_DURABLE_CONSUMER_DUPLICATE_DETECTED,
            ));
        }
    }
    Ok(())
}

/// What holds for every origin.
fn check_origin(
    origin: &StreamSource,
    size_max: i32,
    errors: &Errors,
    streams: &dyn Streams,
) -> Result<(), ApiError> {
    let refuse = |row: &Row| Err(ApiError::of(row));
    if !is_asset_name(&origin.name) || origin.name.contains(['/', '\\']) {
        return refuse(errors.name);
    }
    if let Some(external) = &origin.external {
        check_external(external)?;
    }
    if let Some(consumer) = &origin.consumer {
        let is_valid = is_asset_name(&consumer.name)
            && is_valid_filter(&consumer.deliver_subject)
            && is_valid_publish(consumer.deliver_subject.as_bytes())
            && origin.opt_start_seq == 0
            && origin.opt_start_time.is_none()
            && origin.filter_subject.is_empty();
        if !is_valid {
            return refuse(errors.consumer);
        }
    }
    let filter = &origin.filter_subject;
    if !filter.is_empty() {
        if !origin.subject_transforms.is_empty() {
            return refuse(errors.filter_and_transforms);
        }
        if !is_valid_filter(filter) {
            let what = errors.what;
            let text = format!("subject filter '{filter}' for the {what} invalid subject");
            return Err(ApiError::of(&STREAM_CREATE).with("{err}", text));
        }
    }
    check_transforms(origin, errors)?;
    let theirs = streams
        .stream(&origin.name)
        .map_or(-1, |stream| stream.max_msg_size);
    if origin.external.is_none() && size_max > 0 && theirs > size_max {
        return refuse(errors.message_size);
    }
    Ok(())
}

/// Where another account's or domain's API may be, and where it may deliver to.
fn check_external(external: &External) -> Result<(), ApiError> {
    let is_subject = |text: &str| is_valid_filter(text) && is_valid_publish(text.as_bytes());
    let External { api, deliver } = external;
    if !deliver.is_empty() && !is_subject(deliver) {
        let error = ApiError::of(&table::STREAM_INVALID_EXTERNAL_DELIVERY_SUBJ);
        return Err(error.with("{prefix}", deliver));
    }
    if !api.is_empty() && !is_subject(api) {
        return Err(invalid(format!(
            "stream external api prefix {api:?} must be a valid subject without wildcards"
        )));
    }
    if api == API {
        let error = ApiError::of(&table::STREAM_EXTERNAL_API_OVERLAP);
        return Err(error.with("{subject}", API).with("{prefix}", api));
    }
    Ok(())
}

fn check_transforms(origin: &StreamSource, errors: &Errors) -> Result<(), ApiError> {
    let mut rest = origin.subject_transforms.as_slice();
    for transform in rest {
        if !transform.src.is_empty() && !is_valid_filter(&transform.src) {
            let text = format!("invalid subject {}", transform.src);
            return Err(ApiError::of(errors.transform_source).with("{err}", text));
        }
        check_destination(&transform.src, &transform.dest)
            .map_err(|error| ApiError::of(errors.transform_destination).with("{err}", error))?;
    }
    while let Some((transform, others)) = rest.split_first() {
        let meets = |other: &str| overlaps(transform.src.as_bytes(), other.as_bytes());
        if others.iter().any(|other| meets(&other.src)) {
            return Err(ApiError::of(errors.overlap));
        }
        rest = others;
    }
    Ok(())
}

/// Whether the stream would copy, by way of others, from itself. A source that takes some
/// subjects only is no such way: its circle may be none.
fn closes_circle(config: &Config, streams: &dyn Streams) -> bool {
    let mut open: Vec<&str> = origins(config).collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if name == config.name {
            return true;
        }
        if seen.insert(name)
            && let Some(stream) = streams.stream(name)
        {
            open.extend(origins(stream));
        }
    }
    false
}

fn origins(config: &Config) -> impl Iterator<Item = &str> {
    let whole = config
        .sources
        .iter()
        .filter(|source| source.filter_subject.is_empty());
    let all = config.mirror.iter().chain(whole);
    all.filter(|origin| origin.external.is_none())
        .map(|origin| origin.name.as_str())
}

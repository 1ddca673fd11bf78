//! Rules about one configuration and its stream.

use std::num::IntErrorKind;
use std::time::Duration;

use super::facts::{Limits, Stream};
use super::invalid;
use crate::api_error::table::{self, Row};
use crate::api_error::{ApiError, duration};
use crate::consumer::config::{AckPolicy, Config, DeliverPolicy, PriorityPolicy};
use crate::consumer::metadata;
use crate::subject::tokens::{is_literal, is_valid_filter};
use crate::subject::wildcard::{covers, overlaps};

const NAME_MAX: usize = 255;
const DESCRIPTION_MAX: usize = 4096;
const HEARTBEAT_MIN: i64 = 100_000_000;
const EXPIRES_MIN: i64 = 1_000_000;
const GROUP_NAME_MAX: usize = 16;

/// Whether a priority group may have this name.
pub fn is_group_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_=-".contains(&byte);
    !name.is_empty() && name.len() <= GROUP_NAME_MAX && name.bytes().all(is_allowed)
}

pub(super) fn check(config: &Config, stream: &Stream<'_>, limits: &Limits) -> Result<(), ApiError> {
    check_texts(config)?;
    check_replicas(config, stream, limits)?;
    check_start(config)?;
    check_filters(config)?;
    check_acks(config)?;
    check_sampling(&config.sample_freq)?;
    match config.is_push() {
        true => check_push(config, stream)?,
        false => check_pull(config, limits)?,
    }
    if config.direct && config.is_durable() {
        return refuse(&table::CONSUMER_DIRECT_REQUIRES_EPHEMERAL);
    }
    check_groups(config)?;
    check_limits(config, stream, limits)
}

fn refuse(row: &Row) -> Result<(), ApiError> {
    Err(ApiError::of(row))
}

fn check_texts(config: &Config) -> Result<(), ApiError> {
    let name = &config.name;
    if config.durable_name.contains(['.', '*', '>']) {
        return refuse(&table::CONSUMER_BAD_DURABLE_NAME);
    }
    if name.contains([' ', '\t', '\r', '\n', '\u{c}', '.', '*', '>', '\\', '/']) {
        return Err(invalid(
            r"consumer name can not contain '.', '*', '>', '\', '/'",
        ));
    }
    if name.len() > NAME_MAX {
        return Err(ApiError::of(&table::CONSUMER_NAME_TOO_LONG).with("{max}", NAME_MAX));
    }
    if config.description.len() > DESCRIPTION_MAX {
        let error = ApiError::of(&table::CONSUMER_DESCRIPTION_TOO_LONG);
        return Err(error.with("{max}", DESCRIPTION_MAX));
    }
    if metadata::is_too_long(&config.metadata) {
        return Err(ApiError::of(&table::CONSUMER_METADATA_LENGTH).with("{limit}", "128KB"));
    }
    Ok(())
}

fn check_replicas(config: &Config, stream: &Stream<'_>, limits: &Limits) -> Result<(), ApiError> {
    match config.num_replicas {
        ..=-1 => refuse(&table::REPLICAS_COUNT_CANNOT_BE_NEGATIVE),
        0 => Ok(()),
        2.. if !limits.clustered => refuse(&table::STREAM_REPLICAS_NOT_SUPPORTED),
        replicas if replicas > stream.replicas => refuse(&table::CONSUMER_REPLICAS_EXCEEDS_STREAM),
        replicas if replicas != stream.replicas && (stream.is_interest || stream.is_work_queue) => {
            refuse(&table::CONSUMER_REPLICAS_SHOULD_MATCH_STREAM)
        }
        _ => Ok(()),
    }
}

/// The policy and where to start fit together.
fn check_start(config: &Config) -> Result<(), ApiError> {
    let (policy, needs_seq, needs_time) = match config.deliver_policy {
        DeliverPolicy::All => ("all", false, false),
        DeliverPolicy::Last => ("last", false, false),
        DeliverPolicy::New => ("new", false, false),
        DeliverPolicy::LastPerSubject => ("last per subject", false, false),
        DeliverPolicy::ByStartSequence => ("by start sequence", true, false),
        DeliverPolicy::ByStartTime => ("by start time", false, true),
    };
    let has_seq = config.opt_start_seq > 0;
    let has_time = config.opt_start_time.is_some();
    let problem = if needs_seq && !has_seq {
        "start sequence is not set"
    } else if needs_time && !has_time {
        "start time is not set"
    } else if needs_time && has_seq {
        // The peers' words.
        "start start sequence is also set"
    } else if has_seq && !needs_seq {
        "start sequence is also set"
    } else if has_time && !needs_time {
        "start time is also set"
    } else if config.deliver_policy == DeliverPolicy::LastPerSubject
        && config.filter_subject.is_empty()
        && config.filter_subjects.is_empty()
    {
        "filter subject is not set"
    } else {
        return Ok(());
    };
    let text = format!("consumer delivery policy is deliver {policy}, but optional {problem}");
    Err(ApiError::of(&table::CONSUMER_INVALID_POLICY).with("{err}", text))
}

fn check_filters(config: &Config) -> Result<(), ApiError> {
    let filters = &config.filter_subjects;
    if !config.filter_subject.is_empty() && !filters.is_empty() {
        return refuse(&table::CONSUMER_DUPLICATE_FILTER_SUBJECTS);
    }
    if filters.iter().any(String::is_empty) {
        return refuse(&table::CONSUMER_EMPTY_FILTER);
    }
    let mut all = filters.iter().chain([&config.filter_subject]);
    if all.any(|filter| !filter.is_empty() && !is_valid_filter(filter)) {
        return Err(invalid("invalid subject"));
    }
    let within = |a: &String, b: &String| covers(a.as_bytes(), b.as_bytes());
    let mut rest = filters.as_slice();
    while let Some((filter, others)) = rest.split_first() {
        if others
            .iter()
            .any(|other| within(filter, other) || within(other, filter))
        {
            return refuse(&table::CONSUMER_OVERLAPPING_SUBJECT_FILTERS);
        }
        rest = others;
    }
    Ok(())
}

fn check_acks(config: &Config) -> Result<(), ApiError> {
    if config.ack_policy == AckPolicy::FlowControl {
        if config.max_ack_pending <= 0 {
            return refuse(&table::CONSUMER_ACK_FC_REQUIRES_MAX_ACK_PENDING);
        }
        if config.ack_wait != 0 || !config.backoff.is_empty() {
            return refuse(&table::CONSUMER_ACK_FC_REQUIRES_NO_ACK_WAIT);
        }
        if config.max_deliver > 0 {
            return refuse(&table::CONSUMER_ACK_FC_REQUIRES_NO_MAX_DELIVER);
        }
    }
    let tries = i64::try_from(config.backoff.len()).unwrap_or(i64::MAX);
    if config.max_deliver > 0 && config.max_deliver < tries {
        return refuse(&table::CONSUMER_MAX_DELIVER_BACKOFF);
    }
    Ok(())
}

/// A percentage, with or without its sign.
fn check_sampling(text: &str) -> Result<(), ApiError> {
    let number = text.strip_suffix('%').unwrap_or(text);
    if text.is_empty() {
        return Ok(());
    }
    let problem = match number.parse::<i64>() {
        Ok(0..) => return Ok(()),
        Ok(_) => "<nil>".to_owned(),
        Err(error) => {
            let what = match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            format!("strconv.Atoi: parsing {number:?}: {what}")
        }
    };
    Err(ApiError::of(&table::CONSUMER_INVALID_SAMPLING).with("{err}", problem))
}

fn check_push(config: &Config, stream: &Stream<'_>) -> Result<(), ApiError> {
    let subject = config.deliver_subject.as_bytes();
    if !is_literal(subject) {
        return refuse(&table::CONSUMER_DELIVER_TO_WILDCARDS);
    }
    if !is_valid_filter(&config.deliver_subject) {
        return refuse(&table::CONSUMER_INVALID_DELIVER_SUBJECT);
    }
    if stream
        .subjects
        .iter()
        .any(|captured| overlaps(captured.as_bytes(), subject))
    {
        return refuse(&table::CONSUMER_DELIVER_CYCLE);
    }
    if config.max_waiting != 0 {
        return refuse(&table::CONSUMER_PUSH_MAX_WAITING);
    }
    if config.max_ack_pending > 0 && config.ack_policy == AckPolicy::None {
        return refuse(&table::CONSUMER_MAX_PENDING_ACK_POLICY_REQUIRED);
    }
    if (1..HEARTBEAT_MIN).contains(&config.idle_heartbeat) {
        return refuse(&table::CONSUMER_SMALL_HEARTBEAT);
    }
    if config.flow_control && config.idle_heartbeat == 0 {
        return refuse(&table::CONSUMER_WITH_FLOW_CONTROL_NEEDS_HEARTBEATS);
    }
    Ok(())
}

fn check_pull(config: &Config, limits: &Limits) -> Result<(), ApiError> {
    if config.rate_limit_bps > 0 {
        return refuse(&table::CONSUMER_PULL_WITH_RATE_LIMIT);
    }
    if config.idle_heartbeat > 0 {
        return refuse(&table::CONSUMER_HB_REQUIRES_PUSH);
    }
    if config.flow_control {
        return refuse(&table::CONSUMER_FC_REQUIRES_PUSH);
    }
    if (1..EXPIRES_MIN).contains(&config.max_expires) {
        return refuse(&table::CONSUMER_MAX_REQUEST_EXPIRES_TOO_SMALL);
    }
    let batch = u64::try_from(config.max_batch).unwrap_or(0);
    if let Some(max) = limits.request_batch_max.filter(|max| batch > *max) {
        return Err(ApiError::of(&table::CONSUMER_MAX_REQUEST_BATCH_EXCEEDED).with("{limit}", max));
    }
    if config.direct {
        return refuse(&table::CONSUMER_DIRECT_REQUIRES_PUSH);
    }
    Ok(())
}

fn check_groups(config: &Config) -> Result<(), ApiError> {
    let groups = &config.priority_groups;
    if config.priority_policy == PriorityPolicy::None {
        if !groups.is_empty() {
            return refuse(&table::CONSUMER_PRIORITY_GROUP_WITH_POLICY_NONE);
        }
        if config.priority_timeout != 0 {
            return refuse(&table::CONSUMER_PINNED_TTL_WITHOUT_PRIORITY_POLICY_NONE);
        }
        return Ok(());
    }
    if config.is_push() {
        return refuse(&table::CONSUMER_PUSH_WITH_PRIORITY_GROUP);
    }
    if groups.is_empty() {
        return refuse(&table::CONSUMER_PRIORITY_POLICY_WITHOUT_GROUP);
    }
    for group in groups {
        if group.is_empty() {
            return refuse(&table::CONSUMER_EMPTY_GROUP_NAME);
        }
        if !is_group_name(group) {
            return refuse(&table::CONSUMER_INVALID_GROUP_NAME);
        }
    }
    Ok(())
}

fn check_limits(config: &Config, stream: &Stream<'_>, limits: &Limits) -> Result<(), ApiError> {
    let of_stream = Some(stream.ack_pending_limit).filter(|limit| *limit > 0);
    let lowest = of_stream.into_iter().chain(limits.ack_pending_max()).min();
    if let Some(max) = lowest.filter(|max| config.max_ack_pending > *max) {
        return Err(ApiError::of(&table::CONSUMER_MAX_PENDING_ACK_EXCESS).with("{limit}", max));
    }
    let max = stream.inactive_threshold_limit;
    if max > 0 && config.inactive_threshold > max {
        let max = Duration::from_nanos(max.unsigned_abs());
        let error = ApiError::of(&table::CONSUMER_INACTIVE_THRESHOLD_EXCESS);
        return Err(error.with("{limit}", duration::text(max)));
    }
    Ok(())
}

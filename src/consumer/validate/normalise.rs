//! Defaults: what a consumer has that did not say so.

use super::facts::{Limits, Stream};
use super::{invalid, pedantic_error};
use crate::api_error::{ApiError, table};
use crate::consumer::config::{AckPolicy, Config, PriorityPolicy};
use crate::consumer::metadata;

const ACK_WAIT: i64 = 30_000_000_000;
const ACK_PENDING: i64 = 1000;
const WAITING: i64 = 512;
const INACTIVE_THRESHOLD: i64 = 5_000_000_000;
const FLOW_CONTROL_HEARTBEAT: i64 = 1_000_000_000;
const PINNED_TTL: i64 = 120_000_000_000;

pub(super) fn normalise(
    mut config: Config,
    pedantic: bool,
    stream: &Stream<'_>,
    limits: &Limits,
) -> Result<Config, ApiError> {
    if !config.durable_name.is_empty() {
        config.name.clone_from(&config.durable_name);
    }
    unlimited("max_deliver", &mut config.max_deliver, 0, pedantic)?;
    unlimited("max_ack_pending", &mut config.max_ack_pending, -1, pedantic)?;
    for (name, value) in [
        ("max_waiting", &mut config.max_waiting),
        ("max_batch", &mut config.max_batch),
        ("max_expires", &mut config.max_expires),
        ("max_bytes", &mut config.max_bytes),
        ("idle_heartbeat", &mut config.idle_heartbeat),
        ("inactive_threshold", &mut config.inactive_threshold),
        ("priority_timeout", &mut config.priority_timeout),
    ] {
        not_negative(name, value, pedantic)?;
    }
    set_ack_wait(&mut config, pedantic)?;
    if config.ack_policy == AckPolicy::FlowControl {
        set_flow_control(&mut config, pedantic)?;
    }
    if !config.is_push() && config.max_waiting == 0 {
        config.max_waiting = WAITING;
    }
    set_ack_pending(&mut config, pedantic, stream, limits)?;
    set_inactive_threshold(&mut config, pedantic, stream)?;
    set_batch(&mut config, pedantic, limits)?;
    if config.priority_policy == PriorityPolicy::PinnedClient && config.priority_timeout == 0 {
        config.priority_timeout = PINNED_TTL;
    }
    let level = required_level(&config);
    metadata::set_required_level(&mut config.metadata, level);
    Ok(config)
}

/// Below -1 is -1, and so is everything from 0 down to it if `zero` is 0.
fn unlimited(name: &str, value: &mut i64, zero: i64, pedantic: bool) -> Result<(), ApiError> {
    if *value < -1 && pedantic {
        return Err(pedantic_error(&format!("{name} must be set to -1")));
    }
    if *value < -1 || (-1..=zero).contains(value) {
        *value = -1;
    }
    Ok(())
}

fn not_negative(name: &str, value: &mut i64, pedantic: bool) -> Result<(), ApiError> {
    if *value < 0 && pedantic {
        return Err(pedantic_error(&format!("{name} must not be negative")));
    }
    *value = (*value).max(0);
    Ok(())
}

fn set_ack_wait(config: &mut Config, pedantic: bool) -> Result<(), ApiError> {
    if config.ack_wait < 0 {
        return Err(ApiError::of(&table::CONSUMER_ACK_WAIT_NEGATIVE));
    }
    if config.backoff.iter().any(|wait| *wait < 0) {
        return Err(ApiError::of(&table::CONSUMER_BACK_OFF_NEGATIVE));
    }
    let waits = matches!(config.ack_policy, AckPolicy::Explicit | AckPolicy::All);
    match config.backoff.first() {
        // The first try's wait is the ack wait; this policy is refused both below.
        Some(first) if config.ack_policy != AckPolicy::FlowControl => {
            if pedantic && *first != config.ack_wait {
                return Err(pedantic_error(
                    "first backoff value has to equal batch AckWait",
                ));
            }
            config.ack_wait = *first;
        }
        _ if waits && config.ack_wait == 0 => config.ack_wait = ACK_WAIT,
        _ => {}
    }
    Ok(())
}

/// The policy that acknowledges by flow control brings it along.
fn set_flow_control(config: &mut Config, pedantic: bool) -> Result<(), ApiError> {
    if !config.is_push() {
        return Err(ApiError::of(&table::CONSUMER_ACK_FC_REQUIRES_PUSH));
    }
    if pedantic && !config.flow_control {
        return Err(ApiError::of(&table::CONSUMER_ACK_FC_REQUIRES_FC));
    }
    if pedantic && config.idle_heartbeat != FLOW_CONTROL_HEARTBEAT {
        return Err(invalid("flow control ack policy heartbeat needs to be 1s"));
    }
    config.flow_control = true;
    config.idle_heartbeat = FLOW_CONTROL_HEARTBEAT;
    Ok(())
}

fn set_ack_pending(
    config: &mut Config,
    pedantic: bool,
    stream: &Stream<'_>,
    limits: &Limits,
) -> Result<(), ApiError> {
    if config.max_ack_pending != 0 {
        return Ok(());
    }
    if stream.ack_pending_limit > 0 {
        if pedantic {
            return Err(pedantic_error(
                "max_ack_pending must be set if it's configured in stream limits",
            ));
        }
        config.max_ack_pending = stream.ack_pending_limit;
    } else if config.ack_policy != AckPolicy::None {
        config.max_ack_pending = limits
            .ack_pending_max()
            .map_or(ACK_PENDING, |max| max.min(ACK_PENDING));
    }
    Ok(())
}

fn set_inactive_threshold(
    config: &mut Config,
    pedantic: bool,
    stream: &Stream<'_>,
) -> Result<(), ApiError> {
    if config.inactive_threshold != 0 {
        return Ok(());
    }
    if stream.inactive_threshold_limit > 0 {
        if pedantic {
            return Err(pedantic_error(
                "inactive_threshold must be set if it's configured in stream limits",
            ));
        }
        config.inactive_threshold = stream.inactive_threshold_limit;
    } else if !config.is_durable() {
        config.inactive_threshold = INACTIVE_THRESHOLD;
    }
    Ok(())
}

fn set_batch(config: &mut Config, pedantic: bool, limits: &Limits) -> Result<(), ApiError> {
    if config.is_push() || config.max_batch != 0 {
        return Ok(());
    }
    if let Some(max) = limits.request_batch_max {
        if pedantic {
            return Err(pedantic_error(
                "max_request_batch must be set if it's JetStream limits are set",
            ));
        }
        config.max_batch = i64::try_from(max).unwrap_or(i64::MAX);
    }
    Ok(())
}

/// The level of the API that the consumer needs.
pub fn required_level(config: &Config) -> u32 {
    if config.ack_policy == AckPolicy::FlowControl {
        4
    } else if config.pause_until.is_some()
        || config.priority_policy != PriorityPolicy::None
        || !config.priority_groups.is_empty()
    {
        1
    } else {
        0
    }
}

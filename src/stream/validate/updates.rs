//! What may change in a stream that is there.

use super::invalid;
use crate::api_error::{ApiError, table};
use crate::consumer;
use crate::stream::config::{Config, Discard, Retention};

/// What must not be, from the old one to the new, and the text about it.
type Rule = (fn(&Config, &Config) -> bool, &'static str);

#[rustfmt::skip]
const RULES: &[Rule] = &[
    (|old, new| old.name != new.name,
        "stream configuration name must match original"),
    (|old, new| old.storage != new.storage,
        "stream configuration update can not change storage type"),
    (|old, new| old.retention != new.retention
            && [old.retention, new.retention].contains(&Retention::WorkQueue),
        "stream configuration update can not change retention policy to/from workqueue"),
    (|old, new| old.sealed && !new.sealed,
        "stream configuration update can not unseal a sealed stream"),
    (|old, new| old.deny_delete && !new.deny_delete,
        "stream configuration update can not cancel deny message deletes"),
    (|old, new| old.deny_purge && !new.deny_purge,
        "stream configuration update can not cancel deny purge"),
    (|old, new| old.allow_msg_ttl && !new.allow_msg_ttl,
        "message TTL status can not be disabled"),
    (|old, new| old.allow_msg_counter != new.allow_msg_counter,
        "stream configuration update can not change message counter setting"),
    (|old, new| old.allow_msg_schedules && !new.allow_msg_schedules,
        "message schedules can not be disabled"),
    (|old, new| old.persist_mode != new.persist_mode,
        "stream configuration update can not change persist mode"),
];

pub(super) fn check(
    current: &Config,
    mut config: Config,
    consumers: &[&consumer::config::Config],
) -> Result<Config, ApiError> {
    if let Some((_, text)) = RULES
        .iter()
        .find(|(is_broken, _)| is_broken(current, &config))
    {
        return Err(invalid(text));
    }
    // A mirror may only become a stream of its own.
    if config.mirror.is_some() && config.mirror != current.mirror {
        return Err(ApiError::of(&table::STREAM_MIRROR_NOT_UPDATABLE));
    }
    check_consumers(current, &config, consumers)?;
    if config.sealed {
        config.max_age = 0;
        config.discard = Discard::New;
        config.deny_delete = true;
        config.deny_purge = true;
        config.allow_rollup_hdrs = false;
    }
    Ok(config)
}

/// Limits on consumers are not lowered below those that are there.
fn check_consumers(
    current: &Config,
    config: &Config,
    consumers: &[&consumer::config::Config],
) -> Result<(), ApiError> {
    let limits = config.consumer_limits;
    if limits == current.consumer_limits {
        return Ok(());
    }
    let exceeds = |limit: i64, value: i64| limit > 0 && value > limit;
    let violating: Vec<&str> = consumers
        .iter()
        .filter(|consumer| {
            exceeds(limits.max_ack_pending, consumer.max_ack_pending)
                || exceeds(limits.inactive_threshold, consumer.inactive_threshold)
        })
        .map(|consumer| consumer.asked_name())
        .collect();
    if violating.is_empty() {
        return Ok(());
    }
    let text = format!(
        "change to limits violates consumers: {}",
        violating.join(", ")
    );
    Err(ApiError::of(&table::STREAM_UPDATE).with("{err}", text))
}

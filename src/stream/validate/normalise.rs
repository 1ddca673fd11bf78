//! Defaults: what a stream has that did not say so.

use super::limits::Limits;
use super::{invalid, pedantic_error};
use crate::api_error::{ApiError, duration, table};
use crate::consumer::metadata;
use crate::stream::config::{Config, PersistMode, Placement};

const DEDUP_WINDOW: i64 = 120_000_000_000;
const WINDOW_MIN: i64 = 100_000_000;
const MARKER_TTL_MIN: i64 = 1_000_000_000;
const NAME_MAX: usize = 255;
const DESCRIPTION_MAX: usize = 4096;
const REPLICAS_MAX: i64 = 5;

pub(super) fn normalise(
    mut config: Config,
    pedantic: bool,
    limits: &Limits,
) -> Result<Config, ApiError> {
    check_texts(&config)?;
    if config.num_replicas == 0 {
        config.num_replicas = 1;
    }
    if config.num_replicas > REPLICAS_MAX {
        return Err(invalid(format!("maximum replicas is {REPLICAS_MAX}")));
    }
    if config.num_replicas < 0 {
        return Err(ApiError::of(&table::REPLICAS_COUNT_CANNOT_BE_NEGATIVE));
    }
    unlimited("max_msgs", &mut config.max_msgs, pedantic)?;
    unlimited(
        "max_msgs_per_subject",
        &mut config.max_msgs_per_subject,
        pedantic,
    )?;
    unlimited("max_bytes", &mut config.max_bytes, pedantic)?;
    let mut size = i64::from(config.max_msg_size);
    unlimited("max_msg_size", &mut size, pedantic)?;
    // `unlimited` leaves positive values alone.
    config.max_msg_size = i32::try_from(size).unwrap_or(-1);
    unlimited("max_consumers", &mut config.max_consumers, pedantic)?;
    set_windows(&mut config, pedantic, limits)?;
    set_markers(&mut config, pedantic)?;
    if config.allow_msg_schedules {
        config.allow_rollup_hdrs = true;
    }
    if let Some(placement) = &config.placement {
        if !placement.preferred.is_empty() {
            return Err(invalid("preferred server not permitted in placement"));
        }
        if *placement == Placement::default() {
            config.placement = None;
        }
    }
    let level = required_level(&config);
    metadata::set_required_level(&mut config.metadata, level);
    if metadata::is_too_long(&config.metadata) {
        let max = metadata::BYTES_MAX;
        return Err(invalid(format!(
            "stream metadata exceeds maximum size of {max} bytes"
        )));
    }
    Ok(config)
}

fn check_texts(config: &Config) -> Result<(), ApiError> {
    if !is_asset_name(&config.name) {
        return Err(invalid(
            r"stream name is required and can not contain '.', '*', '>', '\', '/'",
        ));
    }
    if config.name.contains(['/', '\\']) {
        return Err(ApiError::of(&table::STREAM_NAME_CONTAINS_PATH_SEPARATORS));
    }
    if config.name.len() > NAME_MAX {
        return Err(invalid(format!(
            "stream name is too long, maximum allowed is {NAME_MAX}"
        )));
    }
    if config.description.len() > DESCRIPTION_MAX {
        return Err(invalid(format!(
            "stream description is too long, maximum allowed is {DESCRIPTION_MAX}"
        )));
    }
    Ok(())
}

/// Whether a stream may be called so, path separators aside.
pub(super) fn is_asset_name(name: &str) -> bool {
    !name.is_empty() && !name.contains([' ', '\t', '\r', '\n', '\u{c}', '.', '*', '>'])
}

fn unlimited(name: &str, limit: &mut i64, pedantic: bool) -> Result<(), ApiError> {
    if *limit < -1 && pedantic {
        return Err(pedantic_error(&format!("{name} must be set to -1")));
    }
    if *limit <= 0 {
        *limit = -1;
    }
    Ok(())
}

fn set_windows(config: &mut Config, pedantic: bool, limits: &Limits) -> Result<(), ApiError> {
    let max = limits
        .dedup_window_max
        .map(|max| i64::try_from(max.as_nanos()).unwrap_or(i64::MAX));
    if config.duplicate_window == 0 && config.mirror.is_none() && config.sources.is_empty() {
        let mut window = DEDUP_WINDOW;
        if config.max_age > 0 && config.max_age < window {
            if pedantic {
                return Err(pedantic_error(
                    "duplicate window cannot be bigger than max age",
                ));
            }
            window = config.max_age;
        }
        if let Some(max) = max.filter(|max| *max < window) {
            if pedantic {
                return Err(pedantic_error(
                    "duplicate window limits are higher than current limits",
                ));
            }
            window = max;
        }
        config.duplicate_window = window;
    }
    match config.max_age {
        ..=-1 => return Err(invalid("max age can not be negative")),
        1..WINDOW_MIN => return Err(invalid("max age needs to be >= 100ms")),
        _ => {}
    }
    match config.duplicate_window {
        ..=-1 => Err(invalid("duplicates window can not be negative")),
        window if config.max_age != 0 && window > config.max_age => {
            Err(invalid("duplicates window can not be larger then max age"))
        }
        1..WINDOW_MIN => Err(invalid("duplicates window needs to be >= 100ms")),
        window if max.is_some_and(|max| window > max) => {
            let max = duration::text(limits.dedup_window_max.unwrap_or_default());
            Err(invalid(format!(
                "duplicates window can not be larger then server limit of {max}"
            )))
        }
        _ => Ok(()),
    }
}

/// Markers of a subject's end need message TTLs, rollups and the right to purge.
fn set_markers(config: &mut Config, pedantic: bool) -> Result<(), ApiError> {
    match config.subject_delete_marker_ttl {
        0 => return Ok(()),
        ..=-1 => return Err(invalid("subject delete marker TTL must not be negative")),
        _ if config.mirror.is_some() => {
            return Err(invalid("subject delete markers forbidden on mirrors"));
        }
        1..MARKER_TTL_MIN => {
            return Err(invalid(
                "subject delete marker TTL must be at least 1 second",
            ));
        }
        _ => {}
    }
    if pedantic {
        let missing = match (config.allow_msg_ttl, config.allow_rollup_hdrs) {
            (false, _) => "message TTLs",
            (true, false) => "roll-ups",
            (true, true) => return Ok(()),
        };
        return Err(invalid(format!(
            "subject delete marker cannot be set if {missing} are disabled"
        )));
    }
    config.allow_msg_ttl = true;
    config.allow_rollup_hdrs = true;
    config.deny_purge = false;
    Ok(())
}

/// The level of the API that the stream needs.
fn required_level(config: &Config) -> u32 {
    if config.allow_batched {
        4
    } else if config.allow_msg_counter
        || config.allow_atomic
        || config.allow_msg_schedules
        || config.persist_mode == PersistMode::Async
    {
        2
    } else if config.allow_msg_ttl || config.subject_delete_marker_ttl > 0 {
        1
    } else {
        0
    }
}

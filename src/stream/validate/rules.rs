//! Rules about fields of one configuration that must fit together.

use super::invalid;
use crate::api_error::ApiError;
use crate::stream::config::{Config, Discard, PersistMode, Retention, Storage};

/// What must not be, and the text about it.
type Rule = (fn(&Config) -> bool, &'static str);

#[rustfmt::skip]
const RULES: &[Rule] = &[
    (|c| c.deny_purge && c.allow_rollup_hdrs,
        "roll-ups require the purge permission"),
    (|c| c.allow_msg_counter && c.discard == Discard::New,
        "counter stream cannot use discard new"),
    (|c| c.allow_msg_counter && c.allow_msg_ttl,
        "counter stream cannot use message TTLs"),
    (|c| c.allow_msg_counter && c.allow_msg_schedules,
        "counter stream cannot use message schedules"),
    (|c| c.allow_msg_counter && c.retention != Retention::Limits,
        "counter stream can only use limits retention"),
    (|c| c.discard_new_per_subject && c.discard != Discard::New,
        "discard new per subject requires discard new policy to be set"),
    (|c| c.discard_new_per_subject && c.max_msgs_per_subject <= 0,
        "discard new per subject requires max msgs per subject > 0"),
    (|c| c.allow_msg_schedules && c.discard == Discard::New,
        "message scheduling cannot use discard new"),
    (|c| c.persist_mode == PersistMode::Async && c.storage != Storage::File,
        "async persist mode is only supported on file storage"),
    (|c| c.persist_mode == PersistMode::Async && c.num_replicas > 1,
        "async persist mode is not supported on replicated streams"),
    (|c| c.persist_mode == PersistMode::Async && c.allow_atomic,
        "async persist mode is not supported with atomic batch publish"),
];

pub(super) fn check(config: &Config) -> Result<(), ApiError> {
    match RULES.iter().find(|(is_broken, _)| is_broken(config)) {
        Some((_, text)) => Err(invalid(text)),
        None => Ok(()),
    }
}

//! What a stream may ask for by the contract, but is not done in this release.
//!
//! Separate, and one table, so that nothing is accepted and silently ignored. Building a
//! part ends with deleting its row.

use super::invalid;
use crate::api_error::ApiError;
use crate::stream::config::Config;

/// Whether it is asked for, and what is said about it.
type Row = (fn(&Config) -> bool, &'static str);

#[rustfmt::skip]
const UNBUILT: &[Row] = &[
    (|c| c.allow_atomic,
        "allow_atomic: atomic batches are not part of this release"),
    (|c| c.allow_batched,
        "allow_batched: fast batches are not part of this release"),
    (|c| c.allow_msg_schedules,
        "allow_msg_schedules: scheduled messages are not part of this release"),
    (|c| c.allow_msg_counter,
        "allow_msg_counter: counters are not part of this release"),
    (|c| c.origins().any(|origin| origin.external.is_some()),
        "external: origins in other accounts or domains are not part of this release"),
];

pub(super) fn refuse(config: &Config) -> Result<(), ApiError> {
    match UNBUILT
        .iter()
        .find(|(is_asked_for, _)| is_asked_for(config))
    {
        Some((_, text)) => Err(invalid(text)),
        None => Ok(()),
    }
}

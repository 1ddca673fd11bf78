//! What a consumer may ask for by the contract, but is not done in this release.
//!
//! Separate, and one table, so that nothing is accepted and silently ignored. Building a
//! part ends with deleting its row.

use crate::api_error::{ApiError, table};
use crate::consumer::config::{Config, PriorityPolicy};

/// Whether it is asked for, and what is said about it.
type Row = (fn(&Config) -> bool, &'static str);

#[rustfmt::skip]
const UNBUILT: &[Row] = &[
    (|c| c.priority_policy == PriorityPolicy::PinnedClient,
        "priority_policy: pinned clients are not part of this release"),
    (|c| c.priority_policy == PriorityPolicy::Prioritized,
        "priority_policy: prioritized requests are not part of this release"),
];

pub(super) fn refuse(config: &Config) -> Result<(), ApiError> {
    match UNBUILT
        .iter()
        .find(|(is_asked_for, _)| is_asked_for(config))
    {
        Some((_, text)) => Err(ApiError::of(&table::CONSUMER_CREATE).with("{err}", text)),
        None => Ok(()),
    }
}

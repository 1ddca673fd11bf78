//! Which configurations a stream may have: normalisation and rules at creation and update.
//!
//! Separate because it is the API's contract with people: every default, every text and
//! every code is one that tools know, and the table in `cases.jsonl` holds requests with the
//! answers of the peers. A request passes in this order:
//!
//! ```text
//!   normalise (defaults; a pedantic client is told instead of corrected)
//!     ─► own rules ─► origins (mirror, sources, cycles) ─► subjects ─► what may change
//!     ─► not built yet ─► limits of server and account ─► subjects of other streams
//! ```
//!
//! Invariants: pure; what comes out passes again unchanged; nothing that is not built is
//! accepted and silently ignored. Absent: names in request subjects and which server
//! carries the stream.

pub mod limits;
mod normalise;
mod origins;
mod rules;
mod subjects;
mod unbuilt;
mod updates;

use std::collections::BTreeMap;

use super::config::Config;
use crate::api_error::{ApiError, table};
use crate::consumer;
use limits::Limits;

/// The account's streams, as the rules about other streams need them.
pub trait Streams {
    /// The configuration of the stream with this name.
    fn stream(&self, name: &str) -> Option<&Config>;

    /// Visits those that may capture something this filter matches, and perhaps others.
    fn near(&self, filter: &str, visit: &mut dyn FnMut(&Config));
}

impl Streams for BTreeMap<String, Config> {
    fn stream(&self, name: &str) -> Option<&Config> {
        self.get(name)
    }

    fn near(&self, _: &str, visit: &mut dyn FnMut(&Config)) {
        self.values().for_each(visit);
    }
}

/// The configuration that a create request results in. If there is a stream of this name
/// it is the same one, and creating it is answered as if it were new.
///
/// # Errors
/// The API's answer; [`table::STREAM_NAME_EXIST`] if there is a different one.
pub fn create(
    requested: Config,
    pedantic: bool,
    limits: &Limits,
    streams: &dyn Streams,
) -> Result<Config, ApiError> {
    if requested.sealed {
        return Err(invalid("stream configuration for create can not be sealed"));
    }
    if requested.mirror_direct && requested.mirror.is_none() {
        return Err(invalid("stream has no mirror but does have mirror direct"));
    }
    let config = check(requested, pedantic, limits, streams)?;
    unbuilt::refuse(&config)?;
    if let Some(current) = streams.stream(&config.name) {
        return match is_same(current, &config) {
            true => Ok(current.clone()),
            false => Err(ApiError::of(&table::STREAM_NAME_EXIST)),
        };
    }
    limits.check(&config, None)?;
    subjects::check_overlap(&config, streams)?;
    Ok(config)
}

/// The configuration that an update request results in. `consumers` are the stream's.
///
/// # Errors
/// The API's answer.
pub fn update(
    current: &Config,
    requested: Config,
    pedantic: bool,
    limits: &Limits,
    streams: &dyn Streams,
    consumers: &[&consumer::config::Config],
) -> Result<Config, ApiError> {
    let requested = check(requested, pedantic, limits, streams)?;
    let config = updates::check(current, requested, consumers)?;
    unbuilt::refuse(&config)?;
    limits.check(&config, Some(current))?;
    subjects::check_overlap(&config, streams)?;
    Ok(config)
}

/// What must still hold when a validated configuration is applied after others were: no two
/// streams of an account capture the same message.
///
/// # Errors
/// [`table::STREAM_SUBJECT_OVERLAP`].
pub fn check_again(config: &Config, streams: &dyn Streams) -> Result<(), ApiError> {
    subjects::check_overlap(config, streams)
}

/// Whether two configurations are the same but for what the server wrote itself.
pub fn is_same(a: &Config, b: &Config) -> bool {
    let without = |config: &Config| Config {
        metadata: BTreeMap::new(),
        ..config.clone()
    };
    consumer::metadata::is_same(&a.metadata, &b.metadata) && without(a) == without(b)
}

/// Everything that does not depend on what there is under this name.
///
/// # Errors
/// The API's answer.
pub fn check(
    requested: Config,
    pedantic: bool,
    limits: &Limits,
    streams: &dyn Streams,
) -> Result<Config, ApiError> {
    let mut config = normalise::normalise(requested, pedantic, limits)?;
    rules::check(&config)?;
    origins::check(&mut config, pedantic, streams)?;
    subjects::check(&mut config, pedantic)?;
    Ok(config)
}

/// The error that most rules have, with their text.
fn invalid(text: impl std::fmt::Display) -> ApiError {
    ApiError::of(&table::STREAM_INVALID_CONFIG).with("{err}", text)
}

/// What a pedantic client is told instead of being corrected.
fn pedantic_error(text: &str) -> ApiError {
    ApiError::of(&table::PEDANTIC).with("{err}", text)
}

#[cfg(test)]
mod tests;

//! Which configurations a consumer may have: normalisation and rules at creation and update.
//!
//! Separate because it is the API's contract with people: every default, every text and
//! every code is one that tools know, and the table in `cases.jsonl` holds requests with the
//! answers of the peers. A request passes in this order:
//!
//! ```text
//!   normalise (defaults; a pedantic client is told instead of corrected)
//!     ─► own rules ─► what the stream asks for ─► not built yet
//!     ─► creation: limits, work queue        update: what may change, work queue
//! ```
//!
//! Invariants: pure; what comes out passes again unchanged; nothing that is not built is
//! accepted and silently ignored. Absent: names and filters in request subjects, whether a
//! push consumer's old subject still has interest (10013), and generated names.

pub mod facts;
pub mod normalise;
pub mod rules;
mod unbuilt;
mod updates;
mod work_queue;

use std::collections::BTreeMap;

use super::config::{Action, Config, CreateRequest};
use super::metadata;
use crate::api_error::{ApiError, table};
use facts::{Consumers, Limits, Stream};

/// What a create request comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Put {
    /// There is no such consumer: this one is made.
    Create(Config),
    /// There is: it gets this configuration.
    Update(Config),
    /// There is, and it is as asked for.
    Same(Config),
}

/// What a create request comes to; which consumer it is about is told by the names in its
/// configuration (an empty name is a new consumer).
///
/// # Errors
/// The API's answer.
pub fn put(
    request: CreateRequest,
    stream: &Stream<'_>,
    consumers: &dyn Consumers,
    limits: &Limits,
) -> Result<Put, ApiError> {
    let name = request.config.asked_name();
    let Some(current) = consumers.consumer(name).filter(|_| !name.is_empty()) else {
        if request.action == Action::Update {
            return Err(ApiError::of(&table::CONSUMER_DOES_NOT_EXIST));
        }
        return create(request.config, request.pedantic, stream, consumers, limits)
            .map(Put::Create);
    };
    if request.action == Action::Create {
        let asked = check(request.config.clone(), request.pedantic, stream, limits)?;
        let asked = Config {
            pause_until: current.pause_until.clone(),
            durable_name: current.durable_name.clone(),
            ..asked
        };
        return match is_same(current, &asked) {
            true => Ok(Put::Same(current.clone())),
            false => Err(ApiError::of(&table::CONSUMER_ALREADY_EXISTS)),
        };
    }
    let updated = update(
        current,
        request.config,
        request.pedantic,
        stream,
        consumers,
        limits,
    )?;
    if is_same(current, &updated) {
        return Ok(Put::Same(current.clone()));
    }
    Ok(Put::Update(updated))
}

/// The configuration that creating a consumer results in.
///
/// # Errors
/// The API's answer.
pub fn create(
    requested: Config,
    pedantic: bool,
    stream: &Stream<'_>,
    consumers: &dyn Consumers,
    limits: &Limits,
) -> Result<Config, ApiError> {
    let config = check(requested, pedantic, stream, limits)?;
    unbuilt::refuse(&config)?;
    if !config.direct {
        // The account's limit too is one for each stream, as the peers have it.
        let max = [stream.consumers_max, limits.consumers_max];
        let max = max.into_iter().flatten().min();
        if max.is_some_and(|max| consumers.counted() >= max) {
            return Err(ApiError::of(&table::MAXIMUM_CONSUMERS_LIMIT));
        }
    }
    work_queue::check(&config, stream, consumers)?;
    Ok(config)
}

/// The configuration that updating a consumer results in. A pause stays as it is.
///
/// # Errors
/// The API's answer.
pub fn update(
    current: &Config,
    requested: Config,
    pedantic: bool,
    stream: &Stream<'_>,
    consumers: &dyn Consumers,
    limits: &Limits,
) -> Result<Config, ApiError> {
    if requested.durable_name != current.durable_name {
        // What is asked for has to make sense as it stands, too.
        check(requested.clone(), pedantic, stream, limits)?;
    }
    let requested = Config {
        pause_until: current.pause_until.clone(),
        // Whoever names a durable is not obliged to say again that it is one.
        durable_name: current.durable_name.clone(),
        ..requested
    };
    let config = check(requested, pedantic, stream, limits)?;
    updates::check(current, &config)?;
    unbuilt::refuse(&config)?;
    work_queue::check(&config, stream, consumers)?;
    Ok(config)
}

/// Whether two configurations are the same but for what the server wrote itself.
pub fn is_same(a: &Config, b: &Config) -> bool {
    let without = |config: &Config| Config {
        metadata: BTreeMap::new(),
        ..config.clone()
    };
    metadata::is_same(&a.metadata, &b.metadata) && without(a) == without(b)
}

/// Everything that does not depend on other consumers.
fn check(
    requested: Config,
    pedantic: bool,
    stream: &Stream<'_>,
    limits: &Limits,
) -> Result<Config, ApiError> {
    let config = normalise::normalise(requested, pedantic, stream, limits)?;
    rules::check(&config, stream, limits)?;
    Ok(config)
}

/// The error that rules without one of their own have, with their text.
fn invalid(text: impl std::fmt::Display) -> ApiError {
    ApiError::of(&table::STREAM_INVALID_CONFIG).with("{err}", text)
}

/// What a pedantic client is told instead of being corrected.
fn pedantic_error(text: &str) -> ApiError {
    ApiError::of(&table::PEDANTIC).with("{err}", text)
}

#[cfg(test)]
mod tests;

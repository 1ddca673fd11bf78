//! What a stream may capture, transform and republish.

use super::{Streams, invalid, pedantic_error};
use crate::api_error::{ApiError, table};
use crate::stream::config::Config;
use crate::subject::tokens::is_valid_filter;
use crate::subject::transform::Transform;
use crate::subject::wildcard::{covers, overlaps};

const ALL: &str = ">";
/// Captured only by a stream that acknowledges nothing, but for what lies below the other.
const API: [&str; 3] = ["$JS.>", "$JSC.>", "$NRG.>"];
const API_EVENTS: &str = "$JS.EVENT.>";
const SYSTEM: &str = "$SYS.>";
const SYSTEM_ACCOUNT: &str = "$SYS.ACCOUNT.>";

/// Sets the subject that a stream has by its name, and checks all of them.
pub(super) fn check(config: &mut Config, pedantic: bool) -> Result<(), ApiError> {
    if config.subjects.is_empty() && config.mirror.is_none() && config.sources.is_empty() {
        config.subjects.push(config.name.clone());
    }
    for subject in &config.subjects {
        check_captured(subject, config)?;
    }
    let mut rest = config.subjects.as_slice();
    while let Some((subject, others)) = rest.split_first() {
        let overlapping = |other: &&String| overlaps(subject.as_bytes(), other.as_bytes());
        if let Some(other) = others.iter().find(overlapping) {
            return Err(invalid(format!(
                "subject \"{subject}\" overlaps with \"{other}\""
            )));
        }
        rest = others;
    }
    check_transform(config)?;
    check_republish(config, pedantic)
}

fn check_captured(subject: &str, config: &Config) -> Result<(), ApiError> {
    if !is_valid_filter(subject) {
        return Err(invalid("invalid subject"));
    }
    if subject == ALL {
        if !config.no_ack {
            return Err(invalid("capturing all subjects requires no-ack to be true"));
        }
        if config.num_replicas > 1 {
            return Err(invalid("capturing all subjects requires replicas of 1"));
        }
        return Ok(());
    }
    let subject = subject.as_bytes();
    let meets = |filter: &str| overlaps(subject, filter.as_bytes());
    let within = |filter: &str| covers(filter.as_bytes(), subject);
    if config.no_ack {
        return Ok(());
    }
    if API.into_iter().any(meets) && !within(API_EVENTS) {
        return Err(invalid(
            "subjects that overlap with jetstream api require no-ack to be true",
        ));
    }
    if meets(SYSTEM) && !within(SYSTEM_ACCOUNT) {
        return Err(invalid(
            "subjects that overlap with system api require no-ack to be true",
        ));
    }
    Ok(())
}

fn check_transform(config: &Config) -> Result<(), ApiError> {
    let Some(transform) = &config.subject_transform else {
        return Ok(());
    };
    if !transform.src.is_empty() && !is_valid_filter(&transform.src) {
        let text = format!("invalid subject {}", transform.src);
        return Err(ApiError::of(&table::STREAM_TRANSFORM_INVALID_SOURCE).with("{err}", text));
    }
    check_destination(&transform.src, &transform.dest).map_err(|error| {
        ApiError::of(&table::STREAM_TRANSFORM_INVALID_DESTINATION).with("{err}", error)
    })
}

/// Whether subjects can be transformed so; no destination leaves them as they are.
pub(super) fn check_destination(
    source: &str,
    destination: &str,
) -> Result<(), crate::subject::transform::TransformError> {
    match destination {
        "" => Ok(()),
        _ => Transform::mapping(source, destination).map(|_| ()),
    }
}

fn check_republish(config: &mut Config, pedantic: bool) -> Result<(), ApiError> {
    let Some(republish) = &mut config.republish else {
        return Ok(());
    };
    if republish.src.is_empty() {
        if pedantic {
            return Err(pedantic_error("republish source can not be empty"));
        }
        ALL.clone_into(&mut republish.src);
    }
    // Everything to where it came from is a circle, unless it is stored elsewhere: then it
    // means what is stored.
    if let (ALL, ALL, [subject], Some(transform)) = (
        republish.src.as_str(),
        republish.dest.as_str(),
        config.subjects.as_slice(),
        &config.subject_transform,
    ) && transform.src == *subject
    {
        if pedantic {
            return Err(pedantic_error(
                "implicit republish based on subject transform",
            ));
        }
        republish.src.clone_from(&transform.dest);
        republish.dest.clone_from(&transform.dest);
    }
    let into_itself = |subject: &String| overlaps(republish.dest.as_bytes(), subject.as_bytes());
    if config.subjects.iter().any(into_itself) {
        return Err(invalid(
            "stream configuration for republish destination forms a cycle",
        ));
    }
    check_destination(&republish.src, &republish.dest).map_err(|_| {
        invalid(format!(
            "stream configuration for republish with transform from '{}' to '{}' not valid",
            republish.src, republish.dest
        ))
    })
}

/// No two streams of an account capture the same message.
pub(super) fn check_overlap(config: &Config, streams: &dyn Streams) -> Result<(), ApiError> {
    let mut is_taken = false;
    for ours in &config.subjects {
        let meets = |theirs: &String| overlaps(ours.as_bytes(), theirs.as_bytes());
        streams.near(ours, &mut |other| {
            is_taken |= other.name != config.name && other.subjects.iter().any(meets);
        });
    }
    match is_taken {
        true => Err(ApiError::of(&table::STREAM_SUBJECT_OVERLAP)),
        false => Ok(()),
    }
}

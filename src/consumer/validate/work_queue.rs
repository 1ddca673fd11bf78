//! Rules of work queues: every message is for one consumer.
//!
//! They hold at updates too, where the peers let a consumer drop its filter beside others.

use super::facts::{Consumers, Stream};
use crate::api_error::ApiError;
use crate::api_error::table::{self, Row};
use crate::consumer::config::{AckPolicy, Config, DeliverPolicy};
use crate::subject::wildcard::overlaps;

/// Direct consumers, which serve mirrors and sources, are free of them.
pub(super) fn check(
    config: &Config,
    stream: &Stream<'_>,
    consumers: &dyn Consumers,
) -> Result<(), ApiError> {
    let refuse = |row: &Row| Err(ApiError::of(row));
    if !stream.is_work_queue || config.direct {
        return Ok(());
    }
    match config.ack_policy {
        AckPolicy::Explicit | AckPolicy::FlowControl => {}
        AckPolicy::None if !config.is_push() => return refuse(&table::CONSUMER_PULL_REQUIRES_ACK),
        _ => return refuse(&table::CONSUMER_WORKQUEUE_REQUIRES_EXPLICIT_ACK),
    }
    let ours = filters(config);
    let mut others = 0_usize;
    let mut meets = false;
    consumers.each(&mut |name, other| {
        if name == config.name || other.direct {
            return;
        }
        others += 1;
        let theirs = filters(other);
        meets |= theirs.is_empty()
            || ours
                .iter()
                .any(|ours| theirs.iter().any(|theirs| overlaps(ours, theirs)));
    });
    if ours.is_empty() && others > 0 {
        return refuse(&table::CONSUMER_WORKQUEUE_MULTIPLE_UNFILTERED);
    }
    if meets {
        return refuse(&table::CONSUMER_WORKQUEUE_CONSUMER_NOT_UNIQUE);
    }
    if config.deliver_policy != DeliverPolicy::All {
        return refuse(&table::CONSUMER_WORKQUEUE_CONSUMER_NOT_DELIVER_ALL);
    }
    Ok(())
}

/// None if it takes everything.
fn filters(config: &Config) -> Vec<&[u8]> {
    let all = config
        .filter_subjects
        .iter()
        .chain([&config.filter_subject]);
    all.filter(|filter| !filter.is_empty())
        .map(String::as_bytes)
        .collect()
}

//! The consumer through which an origin is read.
//!
//! Separate because two kinds of origins want two kinds: one that keeps its messages is
//! read by a passing consumer, behind the last copy; one that drops what is acknowledged
//! by a consumer that lasts, under the same name after every break, so that nothing is
//! dropped meanwhile that was not copied.

use std::time::Duration;

use super::super::handle::short_hash;
use super::STALL;
use crate::consumer::config::{AckPolicy, Config as ConsumerConfig, DeliverPolicy};
use crate::store::message::Seq;
use crate::stream::config::{Config, Retention, StreamSource};

/// A sign of life from the origin so often.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// An origin that wants acknowledgements waits so long for somebody to read it again.
const FORSAKEN: Duration = Duration::from_secs(300);
/// Unacknowledged messages at an origin that wants acknowledgements.
const ACK_PENDING: i64 = 4096;

/// The consumer through which an origin is read.
pub(super) fn consumer_config(
    source: &StreamSource,
    name: &str,
    deliver: &str,
    position: Option<Seq>,
    origin: &Config,
) -> ConsumerConfig {
    let heartbeat = i64::try_from(HEARTBEAT.as_nanos()).unwrap_or(i64::MAX);
    let stall = i64::try_from(STALL.as_nanos()).unwrap_or(i64::MAX);
    let forsaken = i64::try_from(FORSAKEN.as_nanos()).unwrap_or(i64::MAX);
    let wants_acks = wants_acks(origin);
    let mut config = ConsumerConfig {
        name: name.to_owned(),
        durable_name: if wants_acks { name } else { "" }.to_owned(),
        deliver_subject: deliver.to_owned(),
        ack_policy: match wants_acks {
            true => AckPolicy::Explicit,
            false => AckPolicy::None,
        },
        ack_wait: 30_000_000_000,
        max_deliver: -1,
        max_ack_pending: if wants_acks { ACK_PENDING } else { 0 },
        flow_control: true,
        idle_heartbeat: heartbeat,
        inactive_threshold: if wants_acks { forsaken } else { stall },
        mem_storage: !wants_acks,
        num_replicas: 1,
        direct: true,
        filter_subject: source.filter_subject.clone(),
        ..ConsumerConfig::default()
    };
    let filters = source
        .subject_transforms
        .iter()
        .map(|transform| &transform.src);
    let filters: Vec<String> = filters.filter(|src| !src.is_empty()).cloned().collect();
    match &filters[..] {
        [] => {}
        [only] => config.filter_subject.clone_from(only),
        _ => config.filter_subjects = filters,
    }
    match position {
        Some(seq) => {
            config.deliver_policy = DeliverPolicy::ByStartSequence;
            config.opt_start_seq = seq.next().0;
        }
        None if source.opt_start_seq > 0 => {
            config.deliver_policy = DeliverPolicy::ByStartSequence;
            config.opt_start_seq = source.opt_start_seq;
        }
        None if source.opt_start_time.is_some() => {
            config.deliver_policy = DeliverPolicy::ByStartTime;
            config.opt_start_time.clone_from(&source.opt_start_time);
        }
        None => {}
    }
    config
}

/// Whether an origin drops what is acknowledged.
pub(super) fn wants_acks(origin: &Config) -> bool {
    origin.retention != Retention::Limits
}

/// The name of the consumer through which `own` reads an origin that wants
/// acknowledgements: the same after every break, so that nothing is dropped meanwhile.
pub(super) fn lasting_name(own: &str, key: &str) -> String {
    let kind = match key.starts_with("mirror ") {
        true => "MIRROR",
        false => "SRC",
    };
    format!("JS_{kind}_{}", short_hash(&format!("{own} {key}")))
}

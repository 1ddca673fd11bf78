//! A stream or consumer as it is now, in the types that the wire has for it.
//!
//! Separate because several answers of the API, and monitoring, show the same: here the
//! figures are gathered on the stream's own thread, `stream::info` and `consumer::info` say
//! what they look like. Absent: what only some answers add (pages, who leads).

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use super::origin;
use super::replica::Replica;
use crate::api_error::json::time::Time;
use crate::clock::{self, Timestamp};
use crate::consumer::config::{Config as ConsumerConfig, PriorityPolicy};
use crate::consumer::info::{Info as ConsumerInfo, Position, PriorityGroup};
use crate::consumer::metadata;
use crate::consumer::state::Position as Moved;
use crate::store::message::Seq;
use crate::store::{MsgStore, State as Figures};
use crate::stream::config::Config;
use crate::stream::info::{Cluster, Info, Lost, State};
use crate::stream::requests::SUBJECTS_PER_PAGE;
use crate::subject::filters::Filters;

/// Lost sequences that are shown.
const LOST_MAX: usize = 1024;

/// How much of a stream is shown.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// The sequences that were deleted.
    pub deleted: bool,
    /// Subjects that match, from this offset on.
    pub subjects: Option<(String, usize)>,
}

/// A stream. The second value is how many subjects match, if they were asked for.
pub fn stream(replica: &mut Replica, details: &Details) -> (Info, usize) {
    let consumers = replica.handle.figures.consumers.load(Ordering::Relaxed);
    let (config, state, total) = replica.group.with(|machine| {
        let mut state = State {
            consumer_count: consumers,
            ..state(&machine.state())
        };
        let mut total = 0;
        if let Some((filter, offset)) = &details.subjects {
            (state.subjects, total) = subjects(machine.store(), filter, *offset);
        }
        if details.deleted {
            machine.store().deleted(&mut |seq| {
                state.deleted.push(seq.0);
                ControlFlow::Continue(())
            });
        }
        state.lost = lost(machine.store());
        (Config::clone(machine.config()), state, total)
    });
    let (mirror, sources) = origin::shown::shown(replica);
    let info = Info {
        config,
        created: replica.handle.created.into(),
        state,
        mirror,
        sources,
        ts: clock::now().into(),
        ..Info::default()
    };
    (info, total)
}

/// A stream's configuration with what the server adds to its metadata.
#[must_use]
pub fn with_version(config: Config, version: &str) -> Config {
    let metadata = metadata::shown(config.metadata, version);
    Config { metadata, ..config }
}

/// Who leads: of a server that runs alone that is all there is to say.
pub fn led_by(server: &str) -> Cluster {
    Cluster {
        leader: server.to_owned(),
        ..Cluster::default()
    }
}

/// The figures of a store.
fn state(state: &Figures) -> State {
    let time = |time: Timestamp| Time(Some(time).filter(|time| time.unix_nanos() != 0));
    // A stream that never had a message shows no first sequence.
    let first = match state.last_seq {
        Seq::NONE if state.first_seq <= Seq(1) => Seq::NONE,
        _ => state.first_seq,
    };
    State {
        messages: state.messages,
        bytes: state.bytes,
        first_seq: first.0,
        first_ts: time(state.first_time),
        last_seq: state.last_seq.0,
        last_ts: time(state.last_time),
        num_subjects: state.subjects,
        num_deleted: state.deleted(),
        ..State::default()
    }
}

fn lost(store: &dyn MsgStore) -> Option<Lost> {
    let lost = store.lost();
    let seqs = lost.iter().flat_map(|(first, last)| first.0..=last.0);
    let msgs: Vec<u64> = seqs.take(LOST_MAX).collect();
    (!msgs.is_empty()).then_some(Lost { msgs, bytes: 0 })
}

/// One page of subjects with their counts, and how many there are.
fn subjects(
    store: &mut dyn MsgStore,
    filter: &str,
    offset: usize,
) -> (BTreeMap<String, u64>, usize) {
    let mut page = BTreeMap::new();
    let mut total = 0;
    let visited = store.subjects(&Filters::new([filter]), &mut |subject, state| {
        if total >= offset && page.len() < SUBJECTS_PER_PAGE {
            let subject = String::from_utf8_lossy(subject).into_owned();
            page.insert(subject, state.messages);
        }
        total += 1;
        ControlFlow::Continue(())
    });
    if let Err(error) = visited {
        tracing::error!(err = %error, "list subjects");
    }
    (page, total)
}

/// A consumer, without the server's own metadata; none if it is not there.
pub fn consumer(replica: &mut Replica, name: &str) -> Option<ConsumerInfo<Cluster>> {
    let now = clock::now();
    let dispatcher = replica.deliveries.dispatcher(name);
    let (waiting, push_bound) =
        dispatcher.map_or((0, false), |d| (d.num_waiting() as u64, d.is_push_bound()));
    let stream_name = replica.handle.name.to_string();
    replica.group.with(|machine| {
        let (consumer, _) = machine.consumer_and_store(name)?;
        let until = consumer.paused_until();
        let left = until.filter(|until| *until > now);
        let left = left.map(|until| i64::try_from(until.since(now).as_nanos()).unwrap_or(i64::MAX));
        let config = consumer.config();
        let groups = match config.priority_policy {
            PriorityPolicy::None => &[],
            _ => config.priority_groups.get(..1).unwrap_or_default(),
        };
        Some(ConsumerInfo {
            stream_name,
            name: name.to_owned(),
            created: consumer.created().into(),
            config: Some(ConsumerConfig {
                pause_until: until.map(Timestamp::to_rfc3339),
                ..config.clone()
            }),
            delivered: position(consumer.state().delivered()),
            ack_floor: position(consumer.state().ack_floor()),
            num_ack_pending: consumer.num_ack_pending(),
            num_redelivered: consumer.num_redelivered(),
            num_waiting: waiting,
            num_pending: consumer.num_pending(),
            push_bound,
            paused: left.is_some(),
            pause_remaining: left.unwrap_or(0),
            ts: now.into(),
            priority_groups: groups.iter().map(|group| unpinned(group)).collect(),
            ..ConsumerInfo::default()
        })
    })
}

/// A consumer as answers about it alone show it.
pub fn consumer_with_version(
    replica: &mut Replica,
    name: &str,
    version: &str,
) -> Option<ConsumerInfo<Cluster>> {
    let mut info = consumer(replica, name)?;
    if let Some(config) = &mut info.config {
        config.metadata = metadata::shown(std::mem::take(&mut config.metadata), version);
    }
    Some(info)
}

/// A priority group; nobody holds one in this release.
fn unpinned(group: &str) -> PriorityGroup {
    PriorityGroup {
        group: group.to_owned(),
        pinned_ts: Some(Time(None)),
        ..PriorityGroup::default()
    }
}

fn position(moved: Moved) -> Position {
    Position {
        consumer_seq: moved.consumer,
        stream_seq: moved.stream.0,
        last_active: moved.at.map(Time::from),
    }
}

//! What a stream's info says about its origins.

use super::super::replica::Replica;
use super::Feed;
use crate::clock::{self, Timestamp};
use crate::stream::info;

/// What is copied from, for the stream's info: its mirror's origin, or its sources.
pub fn shown(replica: &Replica) -> (Option<info::Origin>, Vec<info::Origin>) {
    let Some(origin) = replica.origin.as_deref() else {
        return (None, Vec::new());
    };
    let now = clock::now();
    let mut feeds = origin.feeds.iter();
    if origin.is_mirror {
        return (feeds.next().map(|feed| feed.shown(now, 0)), Vec::new());
    }
    let sources = (0..).zip(feeds).map(|(number, feed)| {
        let last = replica.group.with(|machine| {
            let position = machine.origins().position(number);
            position.map_or(0, |position| position.seq.0)
        });
        feed.shown(now, last)
    });
    (None, sources.collect())
}

impl Feed {
    /// `last` is the last sequence that was copied from a source.
    fn shown(&self, now: Timestamp, last: u64) -> info::Origin {
        let nanos = |at| i64::try_from(now.since(at).as_nanos()).unwrap_or(i64::MAX);
        info::Origin {
            name: self.source.name.clone(),
            external: self.source.external.clone(),
            lag: self.lag,
            seq: last,
            active: self.active_at.map_or(-1, nanos),
            error: self.error.clone(),
            filter_subject: self.source.filter_subject.clone(),
            subject_transforms: self.source.subject_transforms.clone(),
        }
    }
}

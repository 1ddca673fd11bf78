//! What a stream's info says about its origins.

use serde_json::{Map, Value, json};

use super::super::replica::Replica;
use super::Feed;
use crate::clock;

/// Shows what is copied from, in a stream's info.
pub fn show(replica: &Replica, shown: &mut Map<String, Value>) {
    let Some(origin) = replica.origin.as_deref() else {
        return;
    };
    let now = clock::now();
    let position = |index: usize| {
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let position = replica
            .group
            .with(|machine| machine.origins().position(number).cloned());
        position.filter(|_| !origin.is_mirror)
    };
    let show_one = |(index, feed): (usize, &Feed)| {
        let mut one = Map::new();
        one.insert("name".to_owned(), feed.source.name.clone().into());
        one.insert("lag".to_owned(), feed.lag.into());
        let active = feed.active_at.map_or(-1, |at| {
            i64::try_from(now.since(at).as_nanos()).unwrap_or(i64::MAX)
        });
        one.insert("active".to_owned(), active.into());
        if let Some(position) = position(index) {
            one.insert("seq".to_owned(), position.seq.0.into());
        }
        if let Some(error) = &feed.error {
            one.insert("error".to_owned(), json!(error));
        }
        if !feed.source.filter_subject.is_empty() {
            one.insert(
                "filter_subject".to_owned(),
                feed.source.filter_subject.clone().into(),
            );
        }
        if !feed.source.subject_transforms.is_empty() {
            let transforms = json!(feed.source.subject_transforms);
            one.insert("subject_transforms".to_owned(), transforms);
        }
        Value::Object(one)
    };
    if origin.is_mirror {
        if let Some(feed) = origin.feeds.first() {
            shown.insert("mirror".to_owned(), show_one((0, feed)));
        }
    } else {
        let feeds: Vec<Value> = origin.feeds.iter().enumerate().map(show_one).collect();
        shown.insert("sources".to_owned(), feeds.into());
    }
}

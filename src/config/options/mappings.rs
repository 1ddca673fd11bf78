//! `mappings`: what is published under one subject goes out under others, by weight.
//!
//! Separate because it stands at the top level and in each account. Weights are checked here;
//! whether a destination can be transformed is found when accounts are built.

use super::key::{Key, Reload::*, key};
use super::reader::{Item, Reader};
use super::users;
use crate::account::mapping::{Destination, MappingSpec};
use crate::config::value::Value;

/// The keys of a destination.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct DestinationBlock {
    subject: String,
    weight: Option<u8>,
    cluster: Option<String>,
}

#[rustfmt::skip]
pub(super) const DESTINATION_KEYS: &[Key<DestinationBlock>] = &[
    key("destination|dest", "subject", "needed", Yes, "bar",
        "A subject, with transform functions.",
        |d, v, r| r.text(v, &mut d.subject)),
    key("weight", "0 to 100 or \"N%\"", "needed", Yes, "50",
        "Percent of messages that go there.",
        |d, v, r| weight(v, r, &mut d.weight)),
    key("cluster", "string", "every cluster", Yes, "east",
        "Only on servers of this cluster.",
        |d, v, r| r.text(v, &mut d.cluster)),
];

impl Reader {
    /// Mappings by source, in file order.
    pub fn mappings(&mut self, v: Item<'_>, into: &mut Vec<MappingSpec>) {
        let mut all = Vec::new();
        self.each_entry(v, |r, entry| {
            let source = entry.key;
            if !users::is_filter(source) {
                r.error(entry, format!("Subject {source:?} is not a valid subject"));
            }
            let destinations = destinations(entry, r);
            check_weights(entry, r, &destinations);
            all.push(MappingSpec {
                source: source.to_owned(),
                destinations,
            });
        });
        *into = all;
    }
}

fn destinations(v: Item<'_>, r: &mut Reader) -> Vec<Destination> {
    let mut all = Vec::new();
    match &v.node.value {
        Value::String(subject) => all.push(Destination {
            subject: subject.clone(),
            weight: 100,
            cluster: None,
        }),
        Value::Array(_) | Value::Map(_) => {
            r.one_or_more(v, |r, element| all.extend(destination(element, r)));
        }
        _ => r.error(v, "Expected an entry for the mapping destination"),
    }
    all
}

fn destination(v: Item<'_>, r: &mut Reader) -> Option<Destination> {
    let mut block = DestinationBlock::default();
    if !r.block(v, &mut block, DESTINATION_KEYS) {
        return None;
    }
    if block.subject.is_empty() {
        r.error(v, "Missing destination of a mapping");
        return None;
    }
    if block.weight.is_none() {
        r.error(
            v,
            format!("Missing weight for mapping destination {:?}", block.subject),
        );
    }
    Some(Destination {
        subject: block.subject,
        weight: block.weight.unwrap_or(0),
        cluster: block.cluster,
    })
}

fn weight(v: Item<'_>, r: &mut Reader, into: &mut Option<u8>) {
    match r.percent(v) {
        Some(percent @ 0..=100) => *into = u8::try_from(percent).ok(),
        Some(percent) => {
            r.error(
                v,
                format!("Invalid weight {percent} for mapping destination"),
            );
        }
        None => r.error(v, "Invalid weight for mapping destination"),
    }
    // The error is told once: a wrong weight is not a missing one too.
    into.get_or_insert(0);
}

/// No destination twice, and no more than 100 percent, in each cluster.
fn check_weights(v: Item<'_>, r: &mut Reader, destinations: &[Destination]) {
    let source = v.key;
    for (index, destination) in destinations.iter().enumerate() {
        let before = destinations.get(..index).unwrap_or_default();
        let same_cluster = before.iter().filter(|d| d.cluster == destination.cluster);
        let mut total = u32::from(destination.weight);
        let mut is_twice = false;
        for other in same_cluster {
            total += u32::from(other.weight);
            is_twice |= other.subject == destination.subject;
        }
        if is_twice {
            let subject = &destination.subject;
            let message =
                format!("Error adding mapping for {source:?} : duplicate entry for {subject:?}");
            return r.error(v, message);
        }
        if total > 100 {
            let message =
                format!("Error adding mapping for {source:?} : total weight needs to be <= 100");
            return r.error(v, message);
        }
    }
}

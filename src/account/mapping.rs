//! Subject mappings: what is published under one subject goes out under another.
//!
//! Separate from transforms, which say how a subject is changed: a mapping says which
//! transform, by weight and by cluster (spec core §3.4). The first mapping whose source
//! matches decides. What the weights leave of the whole goes to the original subject, unless
//! the source is itself a destination: then it is lost.
//!
//! Invariant: the sums of weights grow along a choice and end at the whole or below. Absent:
//! no generator; the caller hands random numbers in.

use std::collections::{BTreeMap, HashSet};

use crate::subject::tokens::is_valid_filter;
use crate::subject::transform::{RandomBelow, Transform, TransformError};
use crate::subject::wildcard::covers;

/// All messages, in percent.
const WHOLE: u8 = 100;

/// A mapping as configured (spec core §3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingSpec {
    /// The filter that published subjects are held against.
    pub source: String,
    /// Where they go, by weight.
    pub destinations: Vec<Destination>,
}

/// One destination of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// A subject with transform functions.
    pub subject: String,
    /// Percent of messages, 0 to 100.
    pub weight: u8,
    /// Only on servers of this cluster.
    pub cluster: Option<String>,
}

/// Why a mapping is refused. The texts are those the peers show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The source is no filter.
    #[error("Subject {0:?} is not a valid subject")]
    InvalidSource(String),
    /// A destination stands there twice.
    #[error("Error adding mapping for {from:?} : duplicate entry for {to:?}")]
    Duplicate {
        /// The source.
        from: String,
        /// The destination.
        to: String,
    },
    /// A weight is above 100.
    #[error("Error adding mapping for {0:?} : individual weights need to be <= 100")]
    IndividualWeight(String),
    /// The weights for a cluster, or for the rest, add up to more than 100.
    #[error("Error adding mapping for {0:?} : total weight needs to be <= 100")]
    TotalWeight(String),
    /// A destination does not fit the source.
    #[error("Error adding mapping for {from:?} to {to:?} : {error}")]
    Destination {
        /// The source.
        from: String,
        /// The destination.
        to: String,
        /// What is wrong.
        #[source]
        error: TransformError,
    },
}

/// What becomes of a published subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// It stays what it is.
    Unchanged,
    /// It goes out as this.
    To(Vec<u8>),
    /// The message is dropped: the weights leave it a part of the way to nowhere.
    Dropped,
}

/// The mappings of an account, compiled.
#[derive(Clone, Debug, Default)]
pub struct Mappings(Vec<Mapping>);

#[derive(Clone, Debug)]
struct Mapping {
    source: String,
    general: Choice,
    /// What replaces `general` on servers of a cluster.
    by_cluster: BTreeMap<String, Choice>,
}

/// Destinations, each with the sum of its own and all earlier weights.
#[derive(Clone, Debug, Default)]
struct Choice(Vec<(u8, Target)>);

#[derive(Clone, Debug)]
enum Target {
    Same,
    Transform(Transform),
}

impl Mappings {
    /// Compiles mappings in order; a second one of the same source replaces the first.
    pub fn compile(specs: &[MappingSpec]) -> Result<Self, MappingError> {
        let mut mappings: Vec<Mapping> = Vec::new();
        for spec in specs {
            let mapping = Mapping::compile(spec)?;
            match mappings.iter_mut().find(|old| old.source == mapping.source) {
                Some(old) => *old = mapping,
                None => mappings.push(mapping),
            }
        }
        Ok(Mappings(mappings))
    }

    /// Nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sources in order: interest that leafnodes are told about.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|mapping| mapping.source.as_str())
    }

    /// Every source with its destinations as `(subject, weight, cluster)`, for showing: the
    /// weights add up from destination to destination.
    pub fn shown(&self) -> impl Iterator<Item = (&str, Vec<(String, u8, String)>)> {
        self.0.iter().map(|mapping| {
            let general = mapping.general.shown(&mapping.source, "");
            let clusters = mapping.by_cluster.iter();
            let by_cluster =
                clusters.flat_map(|(name, choice)| choice.shown(&mapping.source, name));
            (
                mapping.source.as_str(),
                general.into_iter().chain(by_cluster).collect(),
            )
        })
    }

    /// Maps a published subject on a server of `cluster`. The first mapping whose source
    /// matches decides; its outcome is not mapped again.
    pub fn map(&self, subject: &[u8], cluster: Option<&str>, random: RandomBelow<'_>) -> Mapped {
        let mapping = self
            .0
            .iter()
            .find(|mapping| covers(mapping.source.as_bytes(), subject));
        let Some(mapping) = mapping else {
            return Mapped::Unchanged;
        };
        match mapping.choice(cluster).draw(random) {
            None => Mapped::Dropped,
            Some(Target::Same) => Mapped::Unchanged,
            Some(Target::Transform(transform)) => match transform.apply(subject, random) {
                Some(mapped) if mapped != subject => Mapped::To(mapped),
                _ => Mapped::Unchanged,
            },
        }
    }
}

impl Choice {
    fn shown(&self, source: &str, cluster: &str) -> Vec<(String, u8, String)> {
        let row = |(weight, target): &(u8, Target)| {
            let subject = match target {
                Target::Same => source,
                Target::Transform(transform) => transform.destination(),
            };
            (subject.to_owned(), *weight, cluster.to_owned())
        };
        self.0.iter().map(row).collect()
    }
}

impl Mapping {
    fn compile(spec: &MappingSpec) -> Result<Self, MappingError> {
        let source = &spec.source;
        if !is_valid_filter(source) {
            return Err(MappingError::InvalidSource(source.clone()));
        }
        let mut seen = HashSet::new();
        let mut general = Vec::new();
        let mut by_cluster: BTreeMap<String, Vec<(u8, Target)>> = BTreeMap::new();
        for destination in &spec.destinations {
            let to = &destination.subject;
            if !seen.insert(to) {
                return Err(MappingError::Duplicate {
                    from: source.clone(),
                    to: to.clone(),
                });
            }
            if destination.weight > WHOLE {
                return Err(MappingError::IndividualWeight(source.clone()));
            }
            let transform =
                Transform::mapping(source, to).map_err(|error| MappingError::Destination {
                    from: source.clone(),
                    to: to.clone(),
                    error,
                })?;
            let group = match &destination.cluster {
                None => &mut general,
                Some(cluster) => by_cluster.entry(cluster.clone()).or_default(),
            };
            group.push((destination.weight, Target::Transform(transform)));
        }
        let loses_rest = seen.contains(source);
        let choice = |group| {
            Choice::new(group, loses_rest).ok_or_else(|| MappingError::TotalWeight(source.clone()))
        };
        Ok(Mapping {
            source: source.clone(),
            general: choice(general)?,
            by_cluster: by_cluster
                .into_iter()
                .map(|(cluster, group)| Ok((cluster, choice(group)?)))
                .collect::<Result<_, MappingError>>()?,
        })
    }

    fn choice(&self, cluster: Option<&str>) -> &Choice {
        cluster
            .and_then(|cluster| self.by_cluster.get(cluster))
            .unwrap_or(&self.general)
    }
}

impl Choice {
    /// Adds the weights up, and the original subject for what they leave of the whole,
    /// unless the rest is to be lost. `None` if they are more than the whole.
    fn new(group: Vec<(u8, Target)>, loses_rest: bool) -> Option<Self> {
        let mut sum: u8 = 0;
        let mut choices = Vec::with_capacity(group.len() + 1);
        for (weight, target) in group {
            sum = sum.checked_add(weight).filter(|sum| *sum <= WHOLE)?;
            choices.push((sum, target));
        }
        if sum < WHOLE && !loses_rest {
            choices.push((WHOLE, Target::Same));
        }
        Some(Choice(choices))
    }

    fn draw(&self, random: RandomBelow<'_>) -> Option<&Target> {
        if let [(WHOLE, target)] = self.0.as_slice() {
            return Some(target);
        }
        let drawn = random(u64::from(WHOLE));
        let hit = self.0.iter().find(|(sum, _)| drawn < u64::from(*sum));
        hit.map(|(_, target)| target)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(source: &str, destinations: &[(&str, u8, Option<&str>)]) -> MappingSpec {
        let destination = |&(subject, weight, cluster): &(&str, u8, Option<&str>)| Destination {
            subject: subject.to_owned(),
            weight,
            cluster: cluster.map(str::to_owned),
        };
        MappingSpec {
            source: source.to_owned(),
            destinations: destinations.iter().map(destination).collect(),
        }
    }

    /// How often each outcome comes up over the hundred draws.
    fn tally(spec: MappingSpec, subject: &str, cluster: Option<&str>) -> BTreeMap<String, u32> {
        let mappings = Mappings::compile(&[spec]).unwrap();
        let mut tally = BTreeMap::new();
        for drawn in 0..100 {
            let outcome = match mappings.map(subject.as_bytes(), cluster, &mut |_| drawn) {
                Mapped::Unchanged => "=".to_owned(),
                Mapped::Dropped => "-".to_owned(),
                Mapped::To(subject) => String::from_utf8(subject).unwrap(),
            };
            *tally.entry(outcome).or_default() += 1;
        }
        tally
    }

    fn check(spec: MappingSpec, subject: &str, cluster: Option<&str>, expected: &[(&str, u32)]) {
        let expected: BTreeMap<String, u32> = expected
            .iter()
            .map(|(outcome, times)| ((*outcome).to_owned(), *times))
            .collect();
        assert_eq!(tally(spec.clone(), subject, cluster), expected, "{spec:?}");
    }

    #[test]
    fn the_rest_of_the_weight_goes_to_the_original() {
        check(
            spec("foo", &[("bar", 100, None)]),
            "foo",
            None,
            &[("bar", 100)],
        );
        check(
            spec("foo", &[("bar", 100, None)]),
            "baz",
            None,
            &[("=", 100)],
        );
        check(
            spec("foo", &[("bar", 20, None), ("baz", 30, None)]),
            "foo",
            None,
            &[("bar", 20), ("baz", 30), ("=", 50)],
        );
        check(spec("foo", &[("bar", 0, None)]), "foo", None, &[("=", 100)]);
        check(spec("foo", &[]), "foo", None, &[("=", 100)]);
    }

    #[test]
    fn the_rest_is_lost_if_the_source_is_listed() {
        check(
            spec("foo", &[("foo", 50, None), ("bar", 20, None)]),
            "foo",
            None,
            &[("=", 50), ("bar", 20), ("-", 30)],
        );
    }

    #[test]
    fn destinations_of_the_cluster_replace_the_others() {
        let spec = spec(
            "foo.*",
            &[
                ("all.$1", 100, None),
                ("east.$1", 40, Some("east")),
                ("west.$1", 100, Some("west")),
            ],
        );
        check(spec.clone(), "foo.a", None, &[("all.a", 100)]);
        check(spec.clone(), "foo.a", Some("north"), &[("all.a", 100)]);
        check(spec.clone(), "foo.a", Some("west"), &[("west.a", 100)]);
        check(spec, "foo.a", Some("east"), &[("east.a", 40), ("=", 60)]);
    }

    #[test]
    fn the_first_match_wins_and_equal_sources_replace_each_other() {
        let compile = |sources: &[(&str, &str)]| {
            let specs: Vec<_> = sources
                .iter()
                .map(|(from, to)| spec(from, &[(to, 100, None)]))
                .collect();
            Mappings::compile(&specs).unwrap()
        };
        let mappings = compile(&[("foo.*", "first"), ("foo.a", "second"), ("foo.*", "third")]);
        let mapped = mappings.map(b"foo.a", None, &mut |_| 0);
        assert_eq!(mapped, Mapped::To(b"third".to_vec()));
        assert_eq!(mappings.sources().collect::<Vec<_>>(), ["foo.*", "foo.a"]);
    }

    #[test]
    fn what_does_not_fit_is_refused_as_peers_do() {
        let check = |spec: MappingSpec, text: &str| {
            assert_eq!(Mappings::compile(&[spec]).unwrap_err().to_string(), text);
        };
        check(
            spec("foo", &[("bar", 60, None), ("baz", 50, None)]),
            "Error adding mapping for \"foo\" : total weight needs to be <= 100",
        );
        check(
            spec("foo", &[("bar", 60, None), ("bar", 10, None)]),
            "Error adding mapping for \"foo\" : duplicate entry for \"bar\"",
        );
        check(
            spec("foo..x", &[]),
            "Subject \"foo..x\" is not a valid subject",
        );
        check(
            spec("foo.*", &[("bar.*", 100, None)]),
            "Error adding mapping for \"foo.*\" to \"bar.*\" : invalid subject",
        );
        check(
            spec("foo", &[("bar..x", 100, None)]),
            "Error adding mapping for \"foo\" to \"bar..x\" : invalid mapping destination: invalid transform",
        );
    }

    proptest! {
        #[test]
        fn weights_are_shares(weights in proptest::collection::vec(0u8..=40, 0..5), lossy: bool) {
            let names: Vec<String> = (0..weights.len()).map(|n| format!("to{n}")).collect();
            let mut destinations: Vec<(&str, u8, Option<&str>)> =
                names.iter().zip(&weights).map(|(name, w)| (name.as_str(), *w, None)).collect();
            if lossy {
                destinations.push(("foo", 0, None));
            }
            let spec = spec("foo", &destinations);
            let total: u32 = weights.iter().map(|w| u32::from(*w)).sum();
            if total > 100 {
                prop_assert_eq!(
                    Mappings::compile(&[spec]).unwrap_err(),
                    MappingError::TotalWeight("foo".to_owned())
                );
                return Ok(());
            }
            let tally = tally(spec, "foo", None);
            for (name, weight) in names.iter().zip(&weights) {
                prop_assert_eq!(tally.get(name).copied().unwrap_or(0), u32::from(*weight));
            }
            let rest = if lossy { "-" } else { "=" };
            prop_assert_eq!(tally.get(rest).copied().unwrap_or(0), 100 - total);
        }
    }
}

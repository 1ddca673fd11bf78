//! Imports: streams and services an account takes from another.
//!
//! Separate from `pubsub`, which carries the messages: here an import becomes a filter here,
//! a filter there and the map between them. A service's requests go from here to there, a
//! stream's messages from there to here; subscriptions to a stream go back.
//!
//! Invariant: the maps of an import lead there and back again, for every subject of its
//! filters. Absent: whether the import is allowed (`export`), replies, queue groups.

use std::time::Duration;

use super::export::{LatencySpec, ResponseKind};
use super::intersection::intersection;
use crate::subject::tokens::{is_literal, is_valid_subscribe};
use crate::subject::transform::{Transform, TransformError, number_wildcards};

/// An import as configured (spec core §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportSpec {
    /// A stream or a service.
    pub kind: ImportKind,
    /// The exporting account.
    pub account: String,
    /// The exported subject, or a subset of it.
    pub subject: String,
    /// The subject it has here (`to`), with `$1` or `{{wildcard(1)}}`; `None`: the same.
    pub to: Option<String>,
    /// Tracing may cross (streams).
    pub allow_trace: bool,
}

/// What is imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportKind {
    /// Messages of the exporter appear here.
    Stream {
        /// Put before the subject; not together with `to`.
        prefix: Option<String>,
    },
    /// Requests published here reach the exporter.
    Service {
        /// Tell the exporter who asks.
        share: bool,
    },
}

/// What subjects are called on the other side of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectMap {
    /// The same.
    Same,
    /// One subject, whatever it was.
    Fixed(String),
    /// A subject with the same wildcards, perhaps in another order.
    Transform(Transform),
}

impl SubjectMap {
    /// The subject on the other side; `None` if this one is not taken.
    pub fn apply(&self, subject: &[u8]) -> Option<Vec<u8>> {
        match self {
            SubjectMap::Same => Some(subject.to_vec()),
            SubjectMap::Fixed(to) => Some(to.clone().into_bytes()),
            // Transforms of imports call nothing random.
            SubjectMap::Transform(transform) => transform.apply(subject, &mut |_| 0),
        }
    }
}

/// A service taken from another account, compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceImport {
    /// The filter of the subjects that requests are published to here.
    pub local: String,
    /// The account that answers.
    pub exporter: String,
    /// The subject or filter there.
    pub remote: String,
    /// From a subject here to the subject there.
    pub map: SubjectMap,
    /// The exporter learns who asks.
    pub share: bool,
    /// How many messages make up a response.
    pub response: ResponseKind,
    /// How long a reply is waited for.
    pub response_threshold: Duration,
    /// Latency measurements that the exporter wants.
    pub latency: Option<LatencySpec>,
    /// Tracing may cross into the exporting account.
    pub allow_trace: bool,
}

/// A stream taken from another account, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamImport {
    /// The account the messages come from.
    pub exporter: String,
    /// The filter of the subjects there.
    pub remote: String,
    /// The filter of the subjects here.
    pub local: String,
    /// From a subject there to the subject here.
    pub map: SubjectMap,
    /// From a filter here to the filter there.
    back: SubjectMap,
    /// Tracing may cross.
    pub allow_trace: bool,
}

impl StreamImport {
    /// What a subscription to `filter` here has to subscribe to in the exporting account;
    /// `None` if nothing of this import can reach it.
    pub fn shadow(&self, filter: &[u8]) -> Option<Vec<u8>> {
        let narrowed = intersection(filter, self.local.as_bytes())?;
        self.back.apply(&narrowed)
    }
}

/// Why an import cannot be compiled. The texts are those the peers show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// A local subject is none.
    #[error("sublist: invalid subject")]
    InvalidSubject,
    /// `to` does not fit the subject.
    #[error(
        "failed to create mapping transform for {kind} import subject from {from:?} to {to:?}: {error}"
    )]
    Transform {
        /// `service` or `stream`.
        kind: &'static str,
        /// Where messages come from: the local subject of a service, the remote of a stream.
        from: String,
        /// Where they go.
        to: String,
        /// What is wrong.
        #[source]
        error: TransformError,
    },
    /// A prefix has wildcards.
    #[error("stream import prefix can not contain wildcard tokens")]
    WildcardPrefix,
}

/// Compiles the way of a service's requests: the local filter and the map to the remote.
pub fn service_map(remote: &str, to: Option<&str>) -> Result<(String, SubjectMap), ImportError> {
    let local = to.unwrap_or(remote);
    let way = if local == remote {
        (local.to_owned(), SubjectMap::Same)
    } else if is_literal(remote.as_bytes()) {
        (local.to_owned(), SubjectMap::Fixed(remote.to_owned()))
    } else {
        // Made backwards, so that wildcards have numbers on the local side only.
        let (_, back) = there_and_back(remote, local).map_err(|error| ImportError::Transform {
            kind: "service",
            from: local.to_owned(),
            to: remote.to_owned(),
            error,
        })?;
        (back.source().to_owned(), SubjectMap::Transform(back))
    };
    if !is_valid_subscribe(way.0.as_bytes()) || !is_valid_subscribe(remote.as_bytes()) {
        return Err(ImportError::InvalidSubject);
    }
    Ok(way)
}

/// Compiles a stream import.
pub fn stream_import(spec: &ImportSpec, prefix: Option<&str>) -> Result<StreamImport, ImportError> {
    let remote = &spec.subject;
    let local = match prefix {
        None => spec.to.as_ref().unwrap_or(remote).clone(),
        Some(prefix) if !is_literal(prefix.as_bytes()) => return Err(ImportError::WildcardPrefix),
        Some(prefix) => format!("{}.{remote}", prefix.strip_suffix('.').unwrap_or(prefix)),
    };
    let (local, map, back) = if local == *remote {
        (local, SubjectMap::Same, SubjectMap::Same)
    } else if is_literal(remote.as_bytes()) {
        let map = SubjectMap::Fixed(local.clone());
        (local, map, SubjectMap::Fixed(remote.clone()))
    } else {
        let (map, back) =
            there_and_back(remote, &local).map_err(|error| ImportError::Transform {
                kind: "stream",
                from: remote.clone(),
                to: local.clone(),
                error,
            })?;
        let local = back.source().to_owned();
        (
            local,
            SubjectMap::Transform(map),
            SubjectMap::Transform(back),
        )
    };
    Ok(StreamImport {
        exporter: spec.account.clone(),
        remote: remote.clone(),
        local,
        map,
        back,
        allow_trace: spec.allow_trace,
    })
}

/// A transform and its reverse.
fn there_and_back(source: &str, to: &str) -> Result<(Transform, Transform), TransformError> {
    let there = Transform::strict(source, &number_wildcards(to))?;
    let back = there.reverse().ok_or(TransformError::InvalidSubject)?;
    Ok((there, back))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(subject: &str, to: Option<&str>, prefix: Option<&str>) -> StreamImport {
        let spec = ImportSpec {
            kind: ImportKind::Stream { prefix: None },
            account: "B".to_owned(),
            subject: subject.to_owned(),
            to: to.map(str::to_owned),
            allow_trace: false,
        };
        stream_import(&spec, prefix).unwrap()
    }

    #[test]
    fn requests_get_the_remote_subject() {
        let check = |remote: &str, to: Option<&str>, local: &str, rows: &[(&str, Option<&str>)]| {
            let (filter, map) = service_map(remote, to).unwrap();
            assert_eq!(filter, local);
            for (here, there) in rows {
                let found = map.apply(here.as_bytes());
                assert_eq!(found.as_deref(), there.map(str::as_bytes), "{here}");
            }
        };
        check("foo", None, "foo", &[("foo", Some("foo"))]);
        check("foo", Some("bar"), "bar", &[("bar", Some("foo"))]);
        check("foo", Some("x.*"), "x.*", &[("x.a", Some("foo"))]);
        check(
            "foo.*",
            Some("x.*"),
            "x.*",
            &[("x.a", Some("foo.a")), ("y.a", None)],
        );
        check(
            "foo.*.*",
            Some("x.$2.$1"),
            "x.*.*",
            &[("x.a.b", Some("foo.b.a"))],
        );
        check(
            "foo.*",
            Some("x.{{wildcard(1)}}"),
            "x.*",
            &[("x.a", Some("foo.a"))],
        );
        check("foo.>", Some("x.>"), "x.>", &[("x.a.b", Some("foo.a.b"))]);
    }

    #[test]
    fn services_that_do_not_fit_are_refused_as_peers_do() {
        let check = |remote, to, text: &str| {
            let error = service_map(remote, Some(to)).unwrap_err();
            assert_eq!(error.to_string(), text);
        };
        check(
            "foo.*",
            "x",
            "failed to create mapping transform for service import subject from \"x\" to \"foo.*\": invalid mapping destination: not using all of the token wildcard(s) in x",
        );
        check(
            "foo.*",
            "x.>",
            "failed to create mapping transform for service import subject from \"x.>\" to \"foo.*\": invalid subject",
        );
        check("foo", "x..y", "sublist: invalid subject");
    }

    #[test]
    fn messages_get_the_local_subject_and_subscriptions_the_remote_filter() {
        let check = |import: &StreamImport,
                     local,
                     message: (&str, &str),
                     shadows: &[(&str, Option<&str>)]| {
            assert_eq!(import.local, local);
            let found = import.map.apply(message.0.as_bytes());
            assert_eq!(found.as_deref(), Some(message.1.as_bytes()));
            for (filter, shadow) in shadows {
                let found = import.shadow(filter.as_bytes());
                assert_eq!(found.as_deref(), shadow.map(str::as_bytes), "{filter}");
            }
        };
        check(
            &stream("foo.>", None, None),
            "foo.>",
            ("foo.a", "foo.a"),
            &[
                ("foo.*", Some("foo.*")),
                (">", Some("foo.>")),
                ("bar", None),
            ],
        );
        check(
            &stream("foo.*", None, Some("p.q.")),
            "p.q.foo.*",
            ("foo.a", "p.q.foo.a"),
            &[
                ("p.>", Some("foo.*")),
                ("p.q.foo.b", Some("foo.b")),
                ("foo.a", None),
            ],
        );
        check(
            &stream("foo.*.*", Some("$2.x.$1"), None),
            "*.x.*",
            ("foo.a.b", "b.x.a"),
            &[("b.x.*", Some("foo.*.b")), ("b.y.*", None)],
        );
        check(
            &stream("foo", Some("bar"), None),
            "bar",
            ("foo", "bar"),
            &[("*", Some("foo")), ("foo", None)],
        );
    }

    #[test]
    fn prefixes_are_literal() {
        let spec = ImportSpec {
            kind: ImportKind::Stream { prefix: None },
            account: "B".to_owned(),
            subject: "foo".to_owned(),
            to: None,
            allow_trace: false,
        };
        for prefix in ["x.*", "x.>"] {
            let found = stream_import(&spec, Some(prefix));
            assert_eq!(found, Err(ImportError::WildcardPrefix));
        }
    }
}

//! Exports: streams and services an account offers to others.
//!
//! Separate from `import`, for an export stands whether anybody uses it or not: here is what
//! may be offered, and through which export an account may import a subject.
//!
//! Absent: activation tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::subject::tokens::is_valid_publish;
use crate::subject::wildcard::covers;

/// An export as configured (spec core §3.2).
#[derive(Clone, Debug, PartialEq)]
pub struct ExportSpec {
    /// A stream of messages or a service that answers.
    pub kind: ExportKind,
    /// The exported subject; wildcards allowed.
    pub subject: String,
    /// Accounts that may import it; `None`: everybody.
    pub accounts: Option<Vec<String>>,
    /// 1-based index of the `*` token that must equal the importing account; 0: none.
    pub account_token_position: usize,
}

/// The two things an account can export.
#[derive(Clone, Debug, PartialEq)]
pub enum ExportKind {
    /// Messages flow from exporter to importer.
    Stream,
    /// Requests flow to the exporter, replies to the importer.
    Service {
        /// How many messages make up a response.
        response: ResponseKind,
        /// How long a reply mapping lives without an answer. Default 2 minutes.
        response_threshold: Option<Duration>,
        /// Latency measurements, if asked for.
        latency: Option<LatencySpec>,
        /// Tracing may cross into the exporting account.
        allow_trace: bool,
    },
}

/// How many messages a service answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseKind {
    /// One message.
    #[default]
    Singleton,
    /// Many; an empty one ends it.
    Stream,
    /// One in several pieces; an empty one ends it.
    Chunked,
}

/// Where and how often service latency is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencySpec {
    /// Where measurements are published, in the exporter's account.
    pub subject: String,
    /// Percent of requests, 1 to 100; 0: those with tracing headers.
    pub sampling: u8,
}

/// How long a reply to a service import is waited for if the export does not say.
pub const RESPONSE_THRESHOLD: Duration = Duration::from_secs(120);

/// Why an export is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// An account it names does not exist.
    #[error("{account:?} account not defined for {kind} export")]
    UnknownAccount {
        /// The account.
        account: String,
        /// `service` or `stream`.
        kind: &'static str,
    },
    /// The account token is not a `*` of the subject.
    #[error(
        "Error adding {kind} export {subject:?}: account token position {position} is no wildcard"
    )]
    TokenPosition {
        /// `service` or `stream`.
        kind: &'static str,
        /// The exported subject.
        subject: String,
        /// The position, from 1.
        position: usize,
    },
    /// Latency cannot be published there: no subject for publishing, or itself a service.
    #[error(
        "Error adding service latency sampling for {service:?} on subject {subject:?}: invalid publish subject"
    )]
    LatencySubject {
        /// The exported subject.
        service: String,
        /// Where measurements should go.
        subject: String,
    },
    /// Latency is for services that answer with one message.
    #[error(
        "Error adding service latency sampling for {service:?} on subject {subject:?}: bad service response type"
    )]
    LatencyResponse {
        /// The exported subject.
        service: String,
        /// Where measurements should go.
        subject: String,
    },
}

impl ExportKind {
    /// `service` or `stream`, as texts name it.
    pub fn name(&self) -> &'static str {
        match self {
            ExportKind::Stream => "stream",
            ExportKind::Service { .. } => "service",
        }
    }
}

impl ExportSpec {
    /// Checks an export against the exports of its account and the accounts there are.
    fn check(&self, all: &[ExportSpec], accounts: &dyn Fn(&str) -> bool) -> Vec<ExportError> {
        let mut errors = Vec::new();
        let kind = self.kind.name();
        for account in self
            .accounts
            .iter()
            .flatten()
            .filter(|name| !accounts(name))
        {
            errors.push(ExportError::UnknownAccount {
                account: account.clone(),
                kind,
            });
        }
        if let Some(index) = self.account_token_position.checked_sub(1)
            && self.subject.split('.').nth(index) != Some("*")
        {
            errors.push(ExportError::TokenPosition {
                kind,
                subject: self.subject.clone(),
                position: self.account_token_position,
            });
        }
        if let ExportKind::Service {
            response,
            latency: Some(latency),
            ..
        } = &self.kind
        {
            let (service, subject) = (self.subject.clone(), latency.subject.clone());
            let is_service = |export: &ExportSpec| {
                export.kind.name() == kind
                    && covers(export.subject.as_bytes(), latency.subject.as_bytes())
            };
            if *response != ResponseKind::Singleton {
                errors.push(ExportError::LatencyResponse { service, subject });
            } else if !is_valid_publish(latency.subject.as_bytes()) || all.iter().any(is_service) {
                errors.push(ExportError::LatencySubject { service, subject });
            }
        }
        errors
    }
}

/// Checks the exports of one account.
pub fn check(exports: &[ExportSpec], accounts: &dyn Fn(&str) -> bool) -> Vec<ExportError> {
    let check = |export: &ExportSpec| export.check(exports, accounts);
    exports.iter().flat_map(check).collect()
}

/// The export of that kind (`service` or `stream`) through which `importer` may import
/// `subject`; `None` if there is none.
///
/// The export of exactly this subject decides alone. Else the most specific exports that
/// cover it decide: one of them has to admit the importer. Several exports of one subject
/// are one export to the accounts of all their lists; the last one says the rest.
pub fn find<'a>(
    exports: &'a [ExportSpec],
    kind: &str,
    subject: &str,
    importer: &str,
) -> Option<&'a ExportSpec> {
    let mut by_subject: BTreeMap<&str, Vec<&ExportSpec>> = BTreeMap::new();
    for export in exports.iter().filter(|export| export.kind.name() == kind) {
        if covers(export.subject.as_bytes(), subject.as_bytes()) {
            by_subject.entry(&export.subject).or_default().push(export);
        }
    }
    if let Some(same) = by_subject.get(subject) {
        return admitting(same, importer, subject);
    }
    let is_narrowest = |filter: &str| {
        let is_narrower =
            |other: &&str| *other != filter && covers(filter.as_bytes(), other.as_bytes());
        !by_subject.keys().any(is_narrower)
    };
    by_subject
        .iter()
        .filter(|(filter, _)| is_narrowest(filter))
        .find_map(|(_, same)| admitting(same, importer, subject))
}

/// The last of the exports of one subject, if together they admit `importer`.
fn admitting<'a>(same: &[&'a ExportSpec], importer: &str, subject: &str) -> Option<&'a ExportSpec> {
    let last = same.last()?;
    let is_admitted = match last.account_token_position.checked_sub(1) {
        // The token alone decides, whatever the lists of accounts say.
        Some(index) => subject.split('.').nth(index) == Some(importer),
        None => {
            let mut listed = same
                .iter()
                .flat_map(|export| export.accounts.iter().flatten());
            let is_public = listed.clone().next().is_none();
            is_public || listed.any(|account| account == importer)
        }
    };
    is_admitted.then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(subject: &str, accounts: &[&str], account_token_position: usize) -> ExportSpec {
        let accounts: Vec<String> = accounts.iter().map(|name| (*name).to_owned()).collect();
        ExportSpec {
            kind: ExportKind::Stream,
            subject: subject.to_owned(),
            accounts: (!accounts.is_empty()).then_some(accounts),
            account_token_position,
        }
    }

    fn service(subject: &str, response: ResponseKind, latency: Option<&str>) -> ExportSpec {
        ExportSpec {
            kind: ExportKind::Service {
                response,
                response_threshold: None,
                latency: latency.map(|subject| LatencySpec {
                    subject: subject.to_owned(),
                    sampling: 100,
                }),
                allow_trace: false,
            },
            ..stream(subject, &[], 0)
        }
    }

    fn check_find(exports: &[ExportSpec], subject: &str, importer: &str, expected: Option<&str>) {
        let found = find(exports, "stream", subject, importer);
        let found = found.map(|export| export.subject.as_str());
        assert_eq!(found, expected, "{importer} imports {subject}");
    }

    #[test]
    fn an_import_needs_an_export_that_covers_it() {
        let exports = [
            stream("foo.>", &[], 0),
            service("bar", ResponseKind::Stream, None),
        ];
        check_find(&exports, "foo.a", "A", Some("foo.>"));
        check_find(&exports, "foo.>", "A", Some("foo.>"));
        check_find(&exports, "foo", "A", None);
        check_find(&exports, ">", "A", None);
        check_find(&exports, "bar", "A", None);
        assert!(find(&exports, "service", "bar", "A").is_some());
    }

    #[test]
    fn private_exports_admit_their_accounts() {
        let exports = [stream("foo", &["A", "C"], 0)];
        check_find(&exports, "foo", "A", Some("foo"));
        check_find(&exports, "foo", "B", None);
    }

    #[test]
    fn the_exact_then_the_most_specific_export_decides() {
        let exports = [
            stream(">", &[], 0),
            stream("foo.>", &["C"], 0),
            stream("foo.*", &["A"], 0),
            stream("foo.x", &["B"], 0),
        ];
        check_find(&exports, "foo.x", "A", None);
        check_find(&exports, "foo.x", "B", Some("foo.x"));
        check_find(&exports, "foo.y", "A", Some("foo.*"));
        check_find(&exports, "foo.y", "C", None);
        check_find(&exports, "foo.y.z", "C", Some("foo.>"));
        check_find(&exports, "bar", "A", Some(">"));
    }

    #[test]
    fn exports_of_one_subject_are_one_export() {
        let private = [
            stream("foo.*", &["C"], 0),
            stream("foo.*", &[], 0),
            stream("foo.*", &["A"], 0),
        ];
        for subject in ["foo.*", "foo.a"] {
            check_find(&private, subject, "A", Some("foo.*"));
            check_find(&private, subject, "C", Some("foo.*"));
            check_find(&private, subject, "B", None);
        }
    }

    #[test]
    fn the_account_token_has_to_be_the_importer() {
        let exports = [stream("*.foo", &[], 1)];
        check_find(&exports, "A.foo", "A", Some("*.foo"));
        check_find(&exports, "A.foo", "B", None);
        check_find(&exports, "*.foo", "A", None);
    }

    #[test]
    fn what_cannot_be_exported_is_refused() {
        let check = |exports: &[ExportSpec], texts: &[&str]| {
            let errors = super::check(exports, &|name| name == "A");
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(errors, texts);
        };
        check(&[stream("foo", &["A"], 0)], &[]);
        check(
            &[stream("foo", &["A", "C"], 0)],
            &["\"C\" account not defined for stream export"],
        );
        for (subject, position) in [("foo.*", 1), ("foo.*", 3), ("foo.>", 2)] {
            let text = format!(
                "Error adding stream export {subject:?}: account token position {position} is no wildcard"
            );
            check(&[stream(subject, &[], position)], &[&text]);
        }
        for latency in ["lat.*", "l..at", "foo.a"] {
            let text = format!(
                "Error adding service latency sampling for \"foo.*\" on subject {latency:?}: invalid publish subject"
            );
            check(
                &[service("foo.*", ResponseKind::Singleton, Some(latency))],
                &[&text],
            );
        }
        check(
            &[service("foo", ResponseKind::Chunked, Some("lat"))],
            &[
                "Error adding service latency sampling for \"foo\" on subject \"lat\": bad service response type",
            ],
        );
        check(&[service("foo", ResponseKind::Singleton, Some("lat"))], &[]);
    }
}

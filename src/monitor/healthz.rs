//! `/healthz`: may clients come?
//!
//! Separate because a readiness probe depends on it: the listeners have to be open (spec
//! core §10, 24), and with JetStream every stream has to run.
//!
//! Invariants: the HTTP status says the same as the body; with `details` errors are a
//! list, without they are one text.

use serde::Serialize;

use super::go_format::is_zero;
use super::source::Source;
use super::streams::{JetStreamSnapshot, Problem};

/// What a caller may ask for. All of JetStream changes nothing without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthzOptions {
    /// Check this account.
    pub account: String,
    /// Check this stream of the account.
    pub stream: String,
    /// Check this consumer of the stream.
    pub consumer: String,
    /// Streams do not matter: only whether JetStream is on.
    pub server_only: bool,
    /// Errors as a list.
    pub details: bool,
}

/// The answer.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Healthz {
    status: &'static str,
    /// Left out over HTTP, where the response itself has it.
    #[serde(skip_serializing_if = "is_zero")]
    status_code: u16,
    #[serde(skip_serializing_if = "is_zero")]
    error: String,
    #[serde(skip_serializing_if = "is_zero")]
    errors: Vec<HealthError>,
    /// How full the disk of streams is, while they take no messages because of it. It makes
    /// nothing unhealthy: who is to free it must get in.
    #[serde(skip_serializing_if = "is_zero")]
    disk: &'static str,
}

/// One thing that is wrong.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct HealthError {
    #[serde(rename = "type")]
    kind: ErrorKind,
    #[serde(skip_serializing_if = "is_zero")]
    account: String,
    #[serde(skip_serializing_if = "is_zero")]
    stream: String,
    #[serde(skip_serializing_if = "is_zero")]
    consumer: String,
    error: String,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
enum ErrorKind {
    #[default]
    #[serde(rename = "CONNECTION")]
    Connection,
    #[serde(rename = "BAD_REQUEST")]
    BadRequest,
    #[serde(rename = "JETSTREAM")]
    JetStream,
    #[serde(rename = "ACCOUNT")]
    Account,
    #[serde(rename = "STREAM")]
    Stream,
    #[serde(rename = "CONSUMER")]
    Consumer,
}

impl Healthz {
    /// Answers `options`.
    pub fn new(source: &dyn Source, options: &HealthzOptions) -> Self {
        let missing = |what: &str, checked: &str| {
            let text = format!("\"{what}\" must not be empty when checking {checked} health");
            Self::unhealthy(400, ErrorKind::BadRequest, text, options.details)
        };
        if options.account.is_empty() && !options.stream.is_empty() {
            return missing("account", "stream");
        }
        if options.stream.is_empty() && !options.consumer.is_empty() {
            return missing("stream", "consumer");
        }
        if let Err(text) = source.ready() {
            return Self::unhealthy(500, ErrorKind::Connection, text, options.details);
        }
        let jetstream = source.jetstream();
        let disk = jetstream.as_ref().and_then(|found| found.disk.if_full());
        let disk = disk.map_or("", |disk| disk.level.name());
        let jetstream = jetstream.filter(|_| !options.server_only);
        match jetstream.and_then(|streams| problem_of_streams(source, &streams, options)) {
            Some((status_code, problem)) => Self::unavailable(status_code, problem, options),
            None => Healthz {
                status: "ok",
                status_code: 200,
                error: String::new(),
                errors: Vec::new(),
                disk,
            },
        }
    }

    /// A part is not there, or does not run.
    fn unavailable(status_code: u16, problem: HealthError, options: &HealthzOptions) -> Self {
        let mut health = Self::unhealthy(status_code, problem.kind, String::new(), options.details);
        if options.details {
            health.errors = vec![problem];
        } else {
            health.status = "unavailable";
            health.error = problem.error;
        }
        health
    }

    fn unhealthy(status_code: u16, kind: ErrorKind, text: String, details: bool) -> Self {
        let (error, errors) = if details {
            (
                String::new(),
                vec![HealthError {
                    kind,
                    error: text,
                    ..HealthError::default()
                }],
            )
        } else {
            (text, Vec::new())
        };
        Healthz {
            status: "error",
            status_code,
            error,
            errors,
            disk: "",
        }
    }

    /// The HTTP status, and the body to go with it.
    pub fn into_http(self) -> (u16, Self) {
        let status_code = self.status_code;
        let body = Healthz {
            status_code: 0,
            ..self
        };
        (status_code, body)
    }

    /// What is wrong, for the log; `None` when healthy.
    pub fn problem(&self) -> Option<&str> {
        let first = self.errors.first().map(|error| error.error.as_str());
        first.or(Some(self.error.as_str()).filter(|error| !error.is_empty()))
    }
}

/// What is wrong with what `options` ask about, or with any stream, and its status.
fn problem_of_streams(
    source: &dyn Source,
    snapshot: &JetStreamSnapshot,
    options: &HealthzOptions,
) -> Option<(u16, HealthError)> {
    let (account, stream, consumer) = (&options.account, &options.stream, &options.consumer);
    let is_asked = |problem: &&Problem| {
        (account.is_empty() || *account == problem.account)
            && (stream.is_empty() || *stream == problem.stream)
    };
    if let Some(problem) = snapshot.problems.iter().find(is_asked) {
        let kind = match problem.stream.is_empty() {
            true => ErrorKind::JetStream,
            false => ErrorKind::Stream,
        };
        let problem = HealthError {
            kind,
            account: problem.account.clone(),
            stream: problem.stream.clone(),
            consumer: String::new(),
            error: problem.error.clone(),
        };
        return Some((503, problem));
    }
    if account.is_empty() {
        return None;
    }
    let missing = |kind, stream: &str, consumer: &str, error| {
        let problem = HealthError {
            kind,
            account: account.clone(),
            stream: stream.to_owned(),
            consumer: consumer.to_owned(),
            error,
        };
        Some((404, problem))
    };
    let Some(found) = snapshot.accounts.iter().find(|a| a.name == *account) else {
        let error = format!("JetStream account {account:?} not found");
        return missing(ErrorKind::Account, "", "", error);
    };
    if stream.is_empty() {
        return None;
    }
    if !found.streams.iter().any(|s| s.name == *stream) {
        let error = format!("JetStream stream {stream:?} not found on account {account:?}");
        return missing(ErrorKind::Stream, stream, "", error);
    }
    if !consumer.is_empty() && !source.has_consumer(account, stream, consumer) {
        let error = format!(
            "JetStream consumer {consumer:?} not found for stream {stream:?} on account {account:?}"
        );
        return missing(ErrorKind::Consumer, stream, consumer, error);
    }
    None
}

//! `/healthz`: may clients come?
//!
//! Separate because a readiness probe depends on it: without JetStream the only question
//! is whether the listeners are open (spec core §10, 24).
//!
//! Invariants: the HTTP status says the same as the body; with `details` errors are a
//! list, without they are one text.

use serde::Serialize;

use super::go_format::is_zero;
use super::source::Source;

/// What a caller may ask for. The JetStream switches change nothing without JetStream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthzOptions {
    /// Check this account.
    pub account: String,
    /// Check this stream of the account.
    pub stream: String,
    /// Check this consumer of the stream.
    pub consumer: String,
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
}

/// One thing that is wrong.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct HealthError {
    #[serde(rename = "type")]
    kind: ErrorKind,
    error: String,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum ErrorKind {
    #[serde(rename = "CONNECTION")]
    Connection,
    #[serde(rename = "BAD_REQUEST")]
    BadRequest,
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
        match source.ready() {
            Ok(()) => Healthz {
                status: "ok",
                status_code: 200,
                error: String::new(),
                errors: Vec::new(),
            },
            Err(text) => Self::unhealthy(500, ErrorKind::Connection, text, options.details),
        }
    }

    fn unhealthy(status_code: u16, kind: ErrorKind, text: String, details: bool) -> Self {
        let (error, errors) = if details {
            (String::new(), vec![HealthError { kind, error: text }])
        } else {
            (text, Vec::new())
        };
        Healthz {
            status: "error",
            status_code,
            error,
            errors,
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

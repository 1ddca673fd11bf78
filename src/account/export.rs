//! Exports: streams and services an account offers to others.

use std::time::Duration;

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

//! Imports: streams and services an account takes from another.

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

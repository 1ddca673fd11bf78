//! Telemetry: log lines in the format NATS users parse, the table of metrics, and the
//! figures of this process.
//!
//! Everything logs through `tracing`; [`install`] sends what it collects to standard
//! error or a file, and the [`Handle`] it returns changes level, format and file while
//! the server runs.
//!
//! Conventions of events, beside the standard field names:
//! - a field `link` (text, see `connection`) stands before the message, `link - message`;
//! - other fields follow the message as ` key=value`;
//! - an ERROR event with target [`FATAL`] prints as `FTL`;
//! - TRACE is for protocol lines only, see [`protocol_trace`]; DEBUG and TRACE are
//!   switched independently, as `-D` and `-V` are.
//!
//! Invariants: one event is one line and one write; no byte of a message breaks a line;
//! a line that cannot be written is counted and stops nothing. Secrets are the business
//! of who logs. Absent: syslog.

pub mod destination;
pub mod layer;
pub mod log_file;
pub mod log_format;
pub mod metrics;
pub mod panics;
pub mod process;
pub mod protocol_trace;
pub mod rate_limit;

use std::sync::Arc;

use tracing_subscriber::layer::SubscriberExt;

use crate::telemetry::layer::{LogLayer, Shared};
use crate::vfs::{self, Vfs};

/// Target of events that print as `FTL`: the server ends, or a task panicked.
pub const FATAL: &str = "natter::fatal";

/// What is logged, how and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Log DEBUG events.
    pub debug: bool,
    /// Log TRACE events: protocol lines.
    pub trace: bool,
    /// Trace the system account too; means nothing without `trace`.
    pub trace_verbose: bool,
    /// Trace headers but not what follows them; means nothing without `trace`.
    pub trace_headers: bool,
    /// Bytes of a traced payload that are shown; 0 for all.
    pub traced_bytes_max: usize,
    /// Begin lines with the time.
    pub logtime: bool,
    /// That time in UTC, not local time.
    pub logtime_utc: bool,
    /// The log file; standard error without one.
    pub file: Option<FileSettings>,
}

/// A log file and how it rotates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// Its path.
    pub path: String,
    /// A file larger than this is set aside; 0 for never.
    pub bytes_max: u64,
    /// Files that are kept, the one in use included; 0 for all.
    pub files_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            debug: false,
            trace: false,
            trace_verbose: false,
            trace_headers: false,
            traced_bytes_max: 0,
            logtime: true,
            logtime_utc: false,
            file: None,
        }
    }
}

/// Why logging does not begin.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The log file cannot be opened.
    #[error(transparent)]
    Open(#[from] vfs::Error),
    /// Something in this process logs already.
    #[error("logging is set up already")]
    Again,
}

/// Begins logging for the whole process, panics included.
///
/// # Errors
/// When the file cannot be opened, or on a second call.
pub fn install(settings: &Settings, vfs: Arc<dyn Vfs>) -> Result<Handle, InstallError> {
    let (layer, handle) = LogLayer::new(settings, vfs)?;
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| InstallError::Again)?;
    panics::log_panics();
    Ok(handle)
}

/// Changes logging while the server runs. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Makes everything as `settings` say. With an error nothing has changed.
    ///
    /// # Errors
    /// When the log file cannot be opened.
    pub fn apply(&self, settings: &Settings) -> Result<(), vfs::Error> {
        self.shared.apply(settings)?;
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// Opens the log file anew, after another program has moved it away, and says so.
    pub fn reopen(&self) {
        match self.shared.reopen() {
            Ok(true) => tracing::info!("File log re-opened"),
            Ok(false) => tracing::info!("File log re-open ignored, not a file logger"),
            Err(err) => tracing::error!("File log re-open: {err}"),
        }
    }

    /// Lines that could not be written since the start.
    pub fn lines_lost(&self) -> u64 {
        self.shared.lines_lost()
    }
}

//! Where lines go: standard error or a log file.
//!
//! Invariant: a line goes out in one piece, in one write; what does not go out is
//! reported as not written and never tried again.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use crate::telemetry::FileSettings;
use crate::telemetry::log_file::LogFile;
use crate::vfs::{Error, Vfs};

/// Where lines go.
pub enum Destination {
    /// Standard error.
    Stderr {
        /// A person is looking: colour the labels.
        colour: bool,
    },
    /// A log file.
    File(LogFile),
}

impl Destination {
    /// Opens what `file` says; standard error if it says nothing.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(vfs: Arc<dyn Vfs>, file: Option<&FileSettings>) -> Result<Destination, Error> {
        Ok(match file {
            Some(settings) => Destination::File(LogFile::open(vfs, settings)?),
            None => Destination::Stderr {
                colour: io::stderr().is_terminal(),
            },
        })
    }

    /// Whether labels are coloured.
    pub fn colour(&self) -> bool {
        matches!(self, Destination::Stderr { colour: true })
    }

    /// Writes one line; false if it did not go out.
    pub fn append(&mut self, line: &str) -> bool {
        match self {
            Destination::Stderr { .. } => io::stderr().write_all(line.as_bytes()).is_ok(),
            Destination::File(file) => file.append(line).is_ok(),
        }
    }
}

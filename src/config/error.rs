//! What is wrong with a configuration, and where.

use std::fmt;

use super::value::Position;

/// One thing wrong (or doubtful) in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where; `None` for flags and for checks that concern no one place.
    pub position: Option<Position>,
    /// What, naming the key; lowercase, no full stop.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.position {
            Some(position) => write!(f, "{position}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

//! A text that must not be shown: a password, a token, a key.
//!
//! Separate so that `Debug` of a whole `Options` is safe to log.
//!
//! Invariant: only `expose` gives the text away. Absent: no `Display`, no wiping of memory.

use std::fmt;

/// A secret text; `Debug` prints `[REDACTED]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text that must not be shown.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text itself, for the one place that compares or sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_a_secret() {
        assert_eq!(
            format!("{:?}", Some(Secret::new("s3cr3t"))),
            "Some([REDACTED])"
        );
    }
}

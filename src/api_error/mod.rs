//! The JetStream API's errors: codes as data.
//!
//! Separate, and on the ground floor, because what validates (`stream`, `consumer`), what
//! decides (`meta`) and what answers must mean the same by an error: the codes and texts
//! are a contract that clients and scripts read. `table` holds the rows; [`ApiError`] is one
//! of them with its placeholders filled, and serialises as the `error` object of an answer.
//!
//! ```text
//!   ApiError::of(&table::SEQUENCE_NOT_FOUND).with("{seq}", 7)
//!     ──► {"code":400,"err_code":10043,"description":"sequence 7 not found"}
//! ```
//!
//! Invariants: every error comes from a row, or was read from an answer; rows never change
//! (`golden.csv` is the second copy that a test compares). Absent: which error when.

pub mod duration;
pub mod json;
pub mod table;

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use table::Row;

/// An answer's `error` object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{description} ({err_code})")]
#[serde(default)]
pub struct ApiError {
    /// As in HTTP; written by the row.
    pub code: u16,
    /// Which error it is; 0 (and left out) in answers that have none.
    #[serde(skip_serializing_if = "is_zero")]
    pub err_code: u16,
    /// For people, and for scripts that know the text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl ApiError {
    /// The error of a row, placeholders as they are.
    pub fn of(row: &Row) -> Self {
        ApiError {
            code: row.code,
            err_code: row.err_code,
            description: row.description.to_owned(),
        }
    }

    /// Fills a placeholder, named with its braces: `.with("{seq}", 7)`. Of several, the
    /// last in the text is filled first, so that no value is taken for a placeholder.
    #[must_use]
    pub fn with(mut self, placeholder: &str, value: impl Display) -> Self {
        debug_assert!(
            self.description.contains(placeholder),
            "{placeholder} is a placeholder of {:?}",
            self.description
        );
        self.description = self
            .description
            .replacen(placeholder, &value.to_string(), 1);
        self
    }

    /// Whether this is the error of a row, whatever its placeholders say.
    pub fn is(&self, row: &Row) -> bool {
        self.err_code == row.err_code
    }
}

fn is_zero(code: &u16) -> bool {
    *code == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `code,err_code,...` lines; a description with a comma is quoted, none has a quote.
    fn golden() -> Vec<(u16, u16, &'static str, &'static str)> {
        let rows = include_str!("golden.csv").lines().skip(1);
        rows.map(|line| {
            let mut cells = line.splitn(4, ',');
            let mut cell = || cells.next().unwrap();
            let err_code = cell().parse().unwrap();
            let code = cell().parse().unwrap();
            (code, err_code, cell(), cell().trim_matches('"'))
        })
        .collect()
    }

    #[test]
    fn no_row_has_changed() {
        let rows: Vec<_> = table::ALL
            .iter()
            .map(|row| (row.code, row.err_code, row.name, row.description))
            .collect();
        assert_eq!(rows, golden());
    }

    #[test]
    fn codes_ascend_and_none_is_used_twice() {
        assert!(
            table::ALL
                .windows(2)
                .all(|pair| pair[0].err_code < pair[1].err_code)
        );
    }

    #[test]
    fn placeholders_are_filled() {
        let check = |error: ApiError, text: &str| assert_eq!(error.description, text);
        check(
            ApiError::of(&table::SEQUENCE_NOT_FOUND).with("{seq}", 7),
            "sequence 7 not found",
        );
        check(
            ApiError::of(&table::STREAM_EXTERNAL_API_OVERLAP)
                .with("{subject}", "{prefix}")
                .with("{prefix}", "{subject}"),
            "stream external api prefix {subject} must not overlap with {prefix}",
        );
        check(
            ApiError::of(&table::STREAM_INVALID_CONFIG).with("{err}", "detected cycle"),
            "detected cycle",
        );
    }

    #[test]
    fn an_error_serialises_as_the_wire_has_it() {
        let check = |error: ApiError, text: &str| {
            assert_eq!(serde_json::to_string(&error).unwrap(), text);
            assert_eq!(serde_json::from_str::<ApiError>(text).unwrap(), error);
        };
        check(
            ApiError::of(&table::STREAM_NOT_FOUND),
            r#"{"code":404,"err_code":10059,"description":"stream not found"}"#,
        );
        check(
            ApiError {
                code: 500,
                ..ApiError::default()
            },
            r#"{"code":500}"#,
        );
    }
}

//! What the API answers: an envelope around the fields of some type.
//!
//! Separate because every answer has the same beginning, and because what an error carries
//! beside the error is a table of its own: clients of the peers get a type's fields also
//! when nothing is in them.
//!
//! ```text
//!   {"type":"io.nats.jetstream.api.v1.<kind>" , "error":{…} , fields…}
//! ```
//!
//! Invariant: fields stand in the order of their types, which is the wire's.

use serde::Serialize;

use crate::api_error::{ApiError, json};

/// What a handler has to say.
pub type Answer = Result<Fields, ApiError>;

/// The fields of one or more structs as JSON, without the braces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(String);

impl Fields {
    /// The fields of `shown`, which serialises as an object.
    pub fn of(shown: &impl Serialize) -> Fields {
        let text = json::text(shown);
        let inside = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        Fields(inside.unwrap_or_default().to_owned())
    }

    /// These fields, then those of `shown`.
    #[must_use]
    pub fn and(mut self, shown: &impl Serialize) -> Fields {
        let Fields(more) = Fields::of(shown);
        if !self.0.is_empty() && !more.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(&more);
        self
    }
}

/// `success`: it was done.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Success {
    success: bool,
}

/// An answer that says no more than that it was done.
pub fn success() -> Fields {
    Fields::of(&Success { success: true })
}

/// An answer as text.
pub fn text(kind: &str, answer: &Answer) -> String {
    let (error, fields) = match answer {
        Ok(Fields(fields)) => (String::new(), fields.as_str()),
        Err(error) => (
            format!(",\"error\":{}", json::text(error)),
            beside_error(kind),
        ),
    };
    let comma = if fields.is_empty() { "" } else { "," };
    format!("{{\"type\":\"io.nats.jetstream.api.v1.{kind}\"{error}{comma}{fields}}}")
}

/// The fields that an error of this kind carries beside the error.
fn beside_error(kind: &str) -> &'static str {
    match kind {
        "stream_info_response" => r#""total":0,"offset":0,"limit":0"#,
        "stream_names_response" => r#""total":0,"offset":0,"limit":0,"streams":null"#,
        "stream_list_response" => r#""total":0,"offset":0,"limit":0,"streams":[]"#,
        "consumer_names_response" | "consumer_list_response" => {
            r#""total":0,"offset":0,"limit":0,"consumers":[]"#
        }
        "stream_purge_response" => r#""purged":0"#,
        "consumer_pause_response" => r#""paused":false,"pause_until":"0001-01-01T00:00:00Z""#,
        "consumer_reset_response" => r#""reset_seq":0"#,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_error::table;
    use crate::stream::requests::Page;

    #[test]
    fn fields_follow_the_envelope() {
        let check = |kind: &str, answer: Answer, expected: &str| {
            assert_eq!(text(kind, &answer), expected);
        };
        check(
            "stream_delete_response",
            Ok(success()),
            r#"{"type":"io.nats.jetstream.api.v1.stream_delete_response","success":true}"#,
        );
        check(
            "x",
            Ok(Fields::of(&Page::new(3, 1, 2)).and(&serde_json::json!({"streams": ["a>"]}))),
            r#"{"type":"io.nats.jetstream.api.v1.x","total":3,"offset":1,"limit":2,"streams":["a\u003e"]}"#,
        );
        check(
            "x",
            Ok(Fields::default().and(&())),
            r#"{"type":"io.nats.jetstream.api.v1.x"}"#,
        );
        check(
            "stream_purge_response",
            Err(ApiError::of(&table::STREAM_SEALED)),
            r#"{"type":"io.nats.jetstream.api.v1.stream_purge_response","error":{"code":400,"err_code":10109,"description":"invalid operation on sealed stream"},"purged":0}"#,
        );
    }
}

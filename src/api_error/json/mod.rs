//! Requests of the API as text: read strictly, and refused in the words clients know.
//!
//! Separate from the configurations it reads because the rules are the wire's, not theirs:
//! an unknown field is an error that names it, field names match without case, `null` is
//! "not said", a later field wins, a body may be several objects one after the other, and
//! what is wrong is said as `invalid JSON: json: cannot unmarshal string into Go struct
//! field StreamConfigRequest.max_msgs of type int64`. Scripts and people read these texts.
//!
//! ```text
//!   bytes ── syntax: where a value ends, what is wrong at which offset
//!         ── value: serde's data model over such values, with the path for the texts
//!         ── field: which words a field's type has in the texts (int, time.Duration, ...)
//! ```
//!
//! Invariants: no bytes make it panic; it recurses no deeper than `syntax::DEPTH_MAX` and
//! holds at most the members of the objects on the way to one value. Absent: what a request
//! means.

pub mod field;
mod quote;
mod syntax;
pub mod time;
mod value;

use std::fmt::Write as _;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ApiError;
use super::table::INVALID_JSON;
use value::Root;

/// Reads a request into a struct, which the texts call `name`.
///
/// # Errors
/// `invalid JSON: ...` (10025). Unknown fields are errors if `strict`.
pub fn parse<T: DeserializeOwned>(
    text: &[u8],
    name: &'static str,
    strict: bool,
) -> Result<T, ApiError> {
    Root::read(text, name, strict)
        .and_then(|root| T::deserialize(root))
        .map_err(|error| invalid(&error, strict))
}

/// Reads a request that is a struct and one switch beside the struct's own fields.
///
/// # Errors
/// As [`parse`].
pub fn parse_with_switch<T: DeserializeOwned>(
    text: &[u8],
    name: &'static str,
    switch: &'static str,
    strict: bool,
) -> Result<(T, bool), ApiError> {
    let invalid = |error| invalid(&error, strict);
    let mut root = Root::read(text, name, strict).map_err(invalid)?;
    let on = root.take_switch(switch).map_err(invalid)?;
    Ok((T::deserialize(root).map_err(invalid)?, on))
}

/// The text of an answer: compact, with `<`, `>`, `&` and the separators of lines and
/// paragraphs escaped as the peers do.
pub fn text<T: Serialize + ?Sized>(answer: &T) -> String {
    let plain = serde_json::to_string(answer).unwrap_or_default();
    if !plain.contains(ESCAPED) {
        return plain;
    }
    // Outside of strings none of these occur.
    let mut text = String::with_capacity(plain.len() + 32);
    for c in plain.chars() {
        match ESCAPED.contains(&c) {
            true => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            false => text.push(c),
        }
    }
    text
}

const ESCAPED: [char; 5] = ['<', '>', '&', '\u{2028}', '\u{2029}'];

/// Read without strictness, what is wrong is said in fewer words.
fn invalid(error: &value::Error, strict: bool) -> ApiError {
    let text = error.to_string();
    let text = match strict {
        true => &text,
        false if text == syntax::END => "unexpected end of JSON input",
        false => &text[..text.find(" at offset ").unwrap_or(text.len())],
    };
    ApiError::of(&INVALID_JSON).with("{err}", text)
}

#[cfg(test)]
mod tests;

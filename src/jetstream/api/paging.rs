//! Lists in pages.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Context;
use crate::api_error::{ApiError, json};

/// What a request for a list says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Paging {
    /// Where the page begins.
    pub offset: i64,
    /// Only streams that capture something of it; empty: all.
    pub subject: String,
}

impl Paging {
    /// Reads the body, if there is one.
    ///
    /// # Errors
    /// `invalid JSON: ...` (10025).
    pub fn read(context: &Context<'_>, name: &'static str) -> Result<Paging, ApiError> {
        let body = context.body().trim_ascii();
        match body.first() {
            Some(b'{' | b'[') => json::parse(body, name, context.strict()),
            _ => Ok(Paging::default()),
        }
    }

    /// Where the page of `limit` begins among `total`.
    pub fn offset(&self, total: usize) -> usize {
        usize::try_from(self.offset).unwrap_or(0).min(total)
    }
}

/// The fields that every page has.
pub fn page(total: usize, offset: usize, limit: usize) -> Map<String, Value> {
    Map::from_iter([
        ("total".to_owned(), total.into()),
        ("offset".to_owned(), offset.into()),
        ("limit".to_owned(), limit.into()),
    ])
}

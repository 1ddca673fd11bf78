//! The words that the texts have for the types of fields, for `#[serde(deserialize_with)]`.
//!
//! Separate because a reader of plain JSON must not notice: a stored configuration is read
//! by any deserializer, and only the one of the API looks at the words.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Visitor};

/// A number called `int`.
pub fn int<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    called(deserializer, "int")
}

/// Nanoseconds, called `time.Duration`.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    called(deserializer, "time.Duration")
}

/// A list of nanoseconds.
pub fn durations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    called(deserializer, "[]time.Duration")
}

/// A time (RFC 3339), kept as text in its normal form; see [`super::time`].
pub fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    called(deserializer, "time.Time")
}

/// Whatever it is, under the name the texts have for it.
///
/// # Errors
/// The deserializer's.
pub fn called<'de, D, T>(deserializer: D, name: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_newtype_struct(name, Inner(PhantomData))
}

struct Inner<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Inner<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}

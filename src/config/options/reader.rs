//! Reading values of the tree into typed fields, collecting every error on the way.
//!
//! Separate because each section needs the same few forms: a text, a number in the range of
//! its field, a duration, a list, a block. A method takes the value and the field it belongs
//! to; what is wrong leaves the field as it was and adds an error with its place.
//!
//! Invariant: reading never stops at an error. The reader knows where it is (`path`), so
//! that positions of blocks can be asked for later.

use std::time::Duration;

use super::key::Key;
use super::positions::Positions;
use super::secret::Secret;
use crate::config::error::ConfigError;
use crate::config::units::{self, UnitError};
use crate::config::value::{Entry, Map, Node, Position, Value};

/// A value, the key it belongs to and where errors about it point.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// The key as written.
    pub key: &'a str,
    /// Where the key stands; for an element of a list, where the element stands.
    pub position: &'a Position,
    /// The value.
    pub node: &'a Node,
    /// Some `$key` refers to it: it may be no setting at all.
    pub is_variable: bool,
}

impl<'a> Item<'a> {
    /// The item of a map's entry.
    pub fn of(entry: &'a Entry) -> Self {
        Item {
            key: &entry.key,
            position: &entry.position,
            node: &entry.node,
            is_variable: entry.used_as_variable,
        }
    }
}

/// What reading produces besides the fields.
#[derive(Default)]
pub struct Reader {
    /// Everything that is wrong.
    pub errors: Vec<ConfigError>,
    /// Everything that is doubtful.
    pub warnings: Vec<ConfigError>,
    /// Where keys stood.
    pub positions: Positions,
    path: Vec<String>,
}

/// An integer field and its range.
pub trait FromInteger: Sized {
    /// The value in the field's type, if it fits.
    fn from_integer(value: i64) -> Option<Self>;
}

macro_rules! from_integer {
    ($($t:ty),*) => {$(
        impl FromInteger for $t {
            fn from_integer(value: i64) -> Option<Self> {
                <$t>::try_from(value).ok()
            }
        }
    )*};
}
from_integer!(i64, u64, i32, u32, u16, u8);

impl<T: FromInteger> FromInteger for Option<T> {
    fn from_integer(value: i64) -> Option<Self> {
        T::from_integer(value).map(Some)
    }
}

impl Reader {
    /// Adds an error about an item.
    pub fn error(&mut self, v: Item<'_>, message: impl Into<String>) {
        self.errors.push(ConfigError {
            position: Some(v.position.clone()),
            message: message.into(),
        });
    }

    /// Adds a warning about an item.
    pub fn warn(&mut self, v: Item<'_>, message: impl Into<String>) {
        self.warnings.push(ConfigError {
            position: Some(v.position.clone()),
            message: message.into(),
        });
    }

    /// Adds the error of a value of the wrong form.
    pub fn expected(&mut self, v: Item<'_>, form: &str) {
        let got = kind(&v.node.value);
        self.error(v, format!("{:?}: expected {form}, got {got}", v.key));
    }

    /// Adds the error of a key that is in no table, unless it serves as a variable.
    pub fn unknown(&mut self, entry: &Entry) {
        if !entry.used_as_variable {
            self.error(Item::of(entry), format!("unknown field {:?}", entry.key));
        }
    }

    /// Reads an entry by its row in the table, if it has one.
    pub fn try_entry<T>(&mut self, entry: &Entry, into: &mut T, keys: &[Key<T>]) -> bool {
        let Some(key) = keys.iter().find(|key| key.is_named(&entry.key)) else {
            return false;
        };
        self.within(key.name(), &entry.position, |r| {
            (key.read)(into, Item::of(entry), r);
        });
        true
    }

    /// Reads every entry of a map by its row; a key without one is an error.
    pub fn map<T>(&mut self, map: &Map, into: &mut T, keys: &[Key<T>]) {
        for entry in &map.entries {
            if !self.try_entry(entry, into, keys) {
                self.unknown(entry);
            }
        }
    }

    /// Reads a block, by its table. Says whether the value was a block at all.
    pub fn block<T>(&mut self, v: Item<'_>, into: &mut T, keys: &[Key<T>]) -> bool {
        match &v.node.value {
            Value::Map(map) => {
                self.map(map, into, keys);
                true
            }
            _ => {
                self.expected(v, "a map");
                false
            }
        }
    }

    /// Reads a block whose presence is what turns something on.
    pub fn presence<T: Default>(&mut self, v: Item<'_>, into: &mut Option<T>, keys: &[Key<T>]) {
        let mut block = T::default();
        if self.block(v, &mut block, keys) {
            *into = Some(block);
        }
    }

    /// Does something one step further down the path, and remembers where that is.
    pub fn within<R>(
        &mut self,
        part: &str,
        position: &Position,
        read: impl FnOnce(&mut Self) -> R,
    ) -> R {
        self.path.push(part.to_owned());
        self.positions.insert(&self.path, position);
        let result = read(self);
        self.path.pop();
        result
    }

    /// The entries of a map, as written, each within its own step of the path.
    pub fn each_entry(&mut self, v: Item<'_>, mut read: impl FnMut(&mut Self, Item<'_>)) {
        let Value::Map(map) = &v.node.value else {
            return self.expected(v, "a map");
        };
        for entry in &map.entries {
            self.within(&entry.key, &entry.position, |r| read(r, Item::of(entry)));
        }
    }

    /// The elements of an array, each within its own step of the path.
    pub fn each_element(&mut self, v: Item<'_>, mut read: impl FnMut(&mut Self, Item<'_>)) {
        let Value::Array(nodes) = &v.node.value else {
            return self.expected(v, "an array");
        };
        for (index, node) in nodes.iter().enumerate() {
            let item = Item {
                key: v.key,
                position: &node.position,
                node,
                is_variable: false,
            };
            self.within(&index.to_string(), &node.position, |r| read(r, item));
        }
    }

    /// The elements of an array, or the one value that stands instead of it.
    pub fn one_or_more(&mut self, v: Item<'_>, mut read: impl FnMut(&mut Self, Item<'_>)) {
        match &v.node.value {
            Value::Array(_) => self.each_element(v, read),
            _ => read(self, v),
        }
    }

    /// A text.
    pub fn text<D: From<String>>(&mut self, v: Item<'_>, into: &mut D) {
        match &v.node.value {
            Value::String(text) => *into = D::from(text.clone()),
            _ => self.expected(v, "a string"),
        }
    }

    /// A text that must not be shown.
    pub fn secret<D: From<Secret>>(&mut self, v: Item<'_>, into: &mut D) {
        match &v.node.value {
            Value::String(text) => *into = D::from(Secret::new(text.clone())),
            _ => self.expected(v, "a string"),
        }
    }

    /// A text, or several in an array.
    pub fn texts(&mut self, v: Item<'_>, into: &mut Vec<String>) {
        let mut all = Vec::new();
        self.one_or_more(v, |r, element| {
            let mut text = String::new();
            r.text(element, &mut text);
            all.push(text);
        });
        *into = all;
    }

    /// Texts by name, in file order.
    pub fn named_texts<D: From<String>>(&mut self, v: Item<'_>, into: &mut Vec<(String, D)>) {
        let mut all = Vec::new();
        self.each_entry(v, |r, entry| {
            if let Value::String(text) = &entry.node.value {
                all.push((entry.key.to_owned(), D::from(text.clone())));
            } else {
                r.expected(entry, "a string");
            }
        });
        *into = all;
    }

    /// `true` or `false`.
    pub fn flag<D: From<bool>>(&mut self, v: Item<'_>, into: &mut D) {
        match v.node.value {
            Value::Bool(flag) => *into = D::from(flag),
            _ => self.expected(v, "true or false"),
        }
    }

    /// A whole number in the range of the field.
    pub fn number<D: FromInteger>(&mut self, v: Item<'_>, into: &mut D) {
        match v.node.value {
            Value::Integer(number) => match D::from_integer(number) {
                Some(value) => *into = value,
                None if number < 0 => {
                    self.error(v, format!("{} value can not be negative", v.key));
                }
                None => self.error(v, format!("{} value is too big", v.key)),
            },
            _ => self.expected(v, "an integer"),
        }
    }

    /// A whole number of which 0 means the default.
    pub fn number_or_default<D: FromInteger>(&mut self, v: Item<'_>, into: &mut D) {
        if v.node.value != Value::Integer(0) {
            self.number(v, into);
        }
    }

    /// A whole number of which every negative one means 0, the key's word for none.
    pub fn number_or_none<D: FromInteger>(&mut self, v: Item<'_>, into: &mut D) {
        match (&v.node.value, D::from_integer(0)) {
            (Value::Integer(number), Some(none)) if *number < 0 => *into = none,
            _ => self.number(v, into),
        }
    }

    /// A whole number of which -1 (any negative one) means unlimited.
    pub fn unlimited(&mut self, v: Item<'_>, into: &mut Option<u64>) {
        match v.node.value {
            Value::Integer(number) => *into = u64::try_from(number).ok(),
            _ => self.expected(v, "an integer"),
        }
    }

    /// A whole number, or a text with a size suffix; -1 as it is.
    pub fn size(&mut self, v: Item<'_>, into: &mut Option<i64>) {
        match &v.node.value {
            Value::Integer(number) => *into = Some(*number),
            Value::String(text) => match units::integer(text) {
                Ok(number) => *into = Some(number),
                Err(_) => self.error(
                    v,
                    format!("expected a parseable size for {:?}, got {text}", v.key),
                ),
            },
            _ => self.expected(v, "a size"),
        }
    }

    /// A duration: text, or a number of seconds, which deserves a warning.
    pub fn duration<D: From<Duration>>(&mut self, v: Item<'_>, into: &mut D) {
        match units::duration(&v.node.value) {
            Ok(duration) => {
                if duration.bare_number {
                    let key = v.key;
                    self.warn(
                        v,
                        format!(
                            "invalid use of field {key:?}: {key} should be converted to a duration"
                        ),
                    );
                }
                if duration.nanoseconds < 0 {
                    self.error(v, format!("{} can not be negative", v.key));
                } else {
                    *into = D::from(duration.clamped());
                }
            }
            Err(error) => self.bad_duration(v, &error),
        }
    }

    /// A duration of which 0 means the default.
    pub fn duration_or_default(&mut self, v: Item<'_>, into: &mut Duration) {
        let before = *into;
        self.duration(v, into);
        if into.is_zero() {
            *into = before;
        }
    }

    /// A duration that must be text: a number is an error.
    pub fn duration_text(&mut self, v: Item<'_>, into: &mut Duration) {
        match v.node.value {
            Value::String(_) => self.duration(v, into),
            _ => self.expected(v, "a duration such as \"2m\""),
        }
    }

    /// A number of seconds, with or without a fraction, or a duration; 0 means the default.
    pub fn seconds<D: From<Duration>>(&mut self, v: Item<'_>, into: &mut D) {
        let mut duration = Duration::ZERO;
        let seconds = match v.node.value {
            Value::Integer(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
            Value::Float(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            _ => {
                self.duration(v, &mut duration);
                Some(duration)
            }
        };
        match seconds {
            Some(Duration::ZERO) => {}
            Some(seconds) => *into = D::from(seconds),
            None => self.error(v, format!("{} can not be negative", v.key)),
        }
    }

    /// A whole number, or a text with one and perhaps a `%`; the caller says what is wrong.
    pub fn percent(&mut self, v: Item<'_>) -> Option<i64> {
        match &v.node.value {
            Value::Integer(number) => Some(*number),
            Value::String(text) => text.trim().trim_end_matches('%').parse().ok(),
            _ => None,
        }
    }

    /// One of a few words, in any case.
    pub fn word<D: Clone>(&mut self, v: Item<'_>, into: &mut D, words: &[(&str, D)], wrong: &str) {
        match &v.node.value {
            Value::String(text) => match words.iter().find(|(w, _)| w.eq_ignore_ascii_case(text)) {
                Some((_, value)) => *into = value.clone(),
                None => self.error(v, wrong.replace("{}", text)),
            },
            _ => self.expected(v, "a string"),
        }
    }

    fn bad_duration(&mut self, v: Item<'_>, error: &UnitError) {
        match error {
            UnitError::WrongType => self.expected(v, "a duration such as \"2m\""),
            _ => self.error(v, format!("error parsing {}: {error}", v.key)),
        }
    }
}

/// The form of a value, as an error names it.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a number with a fraction",
        Value::Bool(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "an array",
        Value::Map(_) => "a map",
    }
}

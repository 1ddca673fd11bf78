//! serde's data model over JSON text whose syntax was checked, with the path for the texts.
//!
//! Separate from `syntax` because this half knows types: a value is decoded by what the
//! struct wants, and a mismatch is said with both and the path to the field.
//!
//! Invariants: `null` is the type's zero (and an error only for an enum); of several
//! fields with the same name the last counts; nothing is decoded that is not asked for.

use std::fmt;

use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::quote::quoted;
use super::syntax::{skip_space, skip_string, skip_value, unescape};
use super::time;

/// What is wrong, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Error(message.to_string())
    }
}

type Member<'t> = (String, &'t [u8]);

/// All objects of a body, taken as one.
pub struct Root<'t> {
    name: &'static str,
    strict: bool,
    members: Vec<Member<'t>>,
}

impl<'t> Root<'t> {
    /// Checks the syntax of a body and takes its objects apart.
    pub fn read(text: &'t [u8], name: &'static str, strict: bool) -> Result<Self, Error> {
        let mut root = Root {
            name,
            strict,
            members: Vec::new(),
        };
        let mut at = skip_space(text, 0);
        while at < text.len() {
            let end = skip_value(text, at, 0).map_err(Error)?;
            let raw = text.get(at..end).unwrap_or_default();
            match kind(raw) {
                "object" => root.members.extend(members(raw)),
                "null" => {}
                _ => {
                    let path = Path::Root(name);
                    return Err(Value::new(raw, &path, strict).mismatch(&format!("server.{name}")));
                }
            }
            at = skip_space(text, end);
        }
        Ok(root)
    }

    /// Takes a field out that is a bool; false if it is not there.
    pub fn take_switch(&mut self, field: &'static str) -> Result<bool, Error> {
        let is_it = |(key, _): &Member<'_>| key.eq_ignore_ascii_case(field);
        let root = Path::Root(self.name);
        let path = Path::Field(&root, field);
        let mut on = false;
        for (_, raw) in self.members.iter().filter(|member| is_it(member)) {
            on = serde::Deserialize::deserialize(Value::new(raw, &path, self.strict))?;
        }
        self.members.retain(|member| !is_it(member));
        Ok(on)
    }
}

impl<'de> Deserializer<'de> for Root<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_struct("", &[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let path = Path::Root(self.name);
        visitor.visit_map(Fields::new(self.members, fields, &path, self.strict)?)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Where a value is.
enum Path<'p> {
    Root(&'static str),
    Field(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root(name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Index(parent, index) => write!(f, "{parent}.{index}"),
        }
    }
}

/// One value, where it is, and what its type is called if that is not what serde asks for.
struct Value<'t, 'p> {
    raw: &'t [u8],
    path: &'p Path<'p>,
    strict: bool,
    called: Option<&'static str>,
}

/// What a checked value is, by its first byte.
fn kind(raw: &[u8]) -> &'static str {
    match raw.first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        Some(b'n') | None => "null",
        Some(_) => "number",
    }
}

/// What is between a string's quotes, as text.
fn text_of(raw: &[u8]) -> String {
    let inner = raw.get(1..raw.len().saturating_sub(1));
    unescape(inner.unwrap_or_default())
}

/// The members of a checked object, in order.
fn members(raw: &[u8]) -> Vec<Member<'_>> {
    let mut members = Vec::new();
    let mut at = skip_space(raw, 1);
    while raw.get(at) == Some(&b'"') {
        let Ok(key_end) = skip_string(raw, at + 1) else {
            break;
        };
        let key = text_of(raw.get(at..key_end).unwrap_or_default());
        let start = skip_space(raw, skip_space(raw, key_end) + 1);
        let Ok(end) = skip_value(raw, start, 0) else {
            break;
        };
        members.push((key, raw.get(start..end).unwrap_or_default()));
        at = skip_space(raw, skip_space(raw, end) + 1);
    }
    members
}

macro_rules! numbers {
    ($($method:ident $visit:ident $number:ty, $called:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if kind(self.raw) == "null" {
                return visitor.$visit(0);
            }
            let text = std::str::from_utf8(self.raw).unwrap_or_default();
            match text.parse::<$number>() {
                Ok(number) if kind(self.raw) == "number" => visitor.$visit(number),
                _ if kind(self.raw) == "number" => {
                    Err(self.mismatch_as(&format!("number {text}"), $called))
                }
                _ => Err(self.mismatch($called)),
            }
        }
    )*};
}

impl<'t, 'p> Value<'t, 'p> {
    fn new(raw: &'t [u8], path: &'p Path<'p>, strict: bool) -> Self {
        Value {
            raw,
            path,
            strict,
            called: None,
        }
    }

    fn mismatch(&self, wanted: &str) -> Error {
        self.mismatch_as(kind(self.raw), wanted)
    }

    fn mismatch_as(&self, what: &str, wanted: &str) -> Error {
        let wanted = self.called.unwrap_or(wanted);
        let place = match self.path {
            Path::Root(_) => "Go value".to_owned(),
            Path::Field(..) => format!("Go struct field {}", self.path),
            Path::Index(..) => self.path.to_string(),
        };
        Error(format!(
            "json: cannot unmarshal {what} into {place} of type {wanted}"
        ))
    }

    /// An enum's name that it does not know.
    fn unknown_variant(&self, name: &str) -> Error {
        let raw = String::from_utf8_lossy(self.raw);
        Error(match (name, kind(self.raw)) {
            ("Compression", "string" | "null") => "unknown compression algorithm".to_owned(),
            ("Compression", what) => {
                format!("json: cannot unmarshal {what} into Go value of type string")
            }
            ("PriorityPolicy", _) => format!("unknown priority policy: {raw}"),
            ("Action", _) => format!("unknown consumer action: {raw}"),
            _ => format!("can not unmarshal {}", quoted(&raw)),
        })
    }

    fn string(&self) -> Result<String, Error> {
        match (kind(self.raw), self.called) {
            ("string", Some("time.Time")) => {
                let (normal, _) = time::parse(&text_of(self.raw)).map_err(Error)?;
                Ok(normal)
            }
            ("string", _) => Ok(text_of(self.raw)),
            ("null", _) => Ok(String::new()),
            _ => Err(self.mismatch("string")),
        }
    }
}

impl<'de> Deserializer<'de> for Value<'_, '_> {
    type Error = Error;

    numbers! {
        deserialize_i8 visit_i8 i8, "int8";
        deserialize_i16 visit_i16 i16, "int16";
        deserialize_i32 visit_i32 i32, "int32";
        deserialize_i64 visit_i64 i64, "int64";
        deserialize_u8 visit_u8 u8, "uint8";
        deserialize_u16 visit_u16 u16, "uint16";
        deserialize_u32 visit_u32 u32, "uint32";
        deserialize_u64 visit_u64 u64, "uint64";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match kind(self.raw) {
            "object" => self.deserialize_map(visitor),
            "array" => self.deserialize_seq(visitor),
            "string" => self.deserialize_string(visitor),
            "bool" => self.deserialize_bool(visitor),
            "number" => self.deserialize_i64(visitor),
            _ => visitor.visit_unit(),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.raw {
            b"true" => visitor.visit_bool(true),
            b"false" | b"null" => visitor.visit_bool(false),
            _ => Err(self.mismatch("bool")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.string()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.string()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match kind(self.raw) {
            "null" => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(Value {
            called: Some(name),
            ..self
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match kind(self.raw) {
            "array" => visitor.visit_seq(Elements {
                raw: self.raw,
                at: skip_space(self.raw, 1),
                index: 0,
                path: self.path,
                strict: self.strict,
                // `[]int` is a list of `int`, and so on.
                called: self.called.and_then(|name| name.strip_prefix("[]")),
            }),
            "null" => {
                visitor.visit_seq(serde::de::value::SeqDeserializer::new(std::iter::empty::<
                    StrDeserializer<'_, Error>,
                >()))
            }
            _ => Err(self.mismatch("[]string")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match kind(self.raw) {
            "object" => visitor.visit_map(Entries {
                members: members(self.raw).into_iter(),
                current: None,
                path: self.path,
                strict: self.strict,
            }),
            "null" => visitor.visit_map(nothing()),
            _ => Err(self.mismatch("map[string]string")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match kind(self.raw) {
            "object" => {
                let members = members(self.raw);
                visitor.visit_map(Fields::new(members, fields, self.path, self.strict)?)
            }
            "null" => visitor.visit_map(nothing()),
            _ => Err(Value {
                called: None,
                ..self
            }
            .mismatch(&format!("server.{name}"))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if kind(self.raw) != "string" {
            return Err(self.unknown_variant(name));
        }
        let text = text_of(self.raw);
        let variant: StrDeserializer<'_, Error> = text.as_str().into_deserializer();
        visitor
            .visit_enum(variant)
            .map_err(|_| self.unknown_variant(name))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

fn nothing<'de>() -> impl MapAccess<'de, Error = Error> {
    MapDeserializer::new(std::iter::empty::<(&'static str, &'static str)>())
}

/// The fields of a struct, under their declared names, each once.
struct Fields<'t, 'p> {
    fields: std::vec::IntoIter<(&'static str, &'t [u8])>,
    current: Option<(&'static str, &'t [u8])>,
    path: &'p Path<'p>,
    strict: bool,
}

impl<'t, 'p> Fields<'t, 'p> {
    fn new(
        members: Vec<Member<'t>>,
        declared: &'static [&'static str],
        path: &'p Path<'p>,
        strict: bool,
    ) -> Result<Self, Error> {
        let mut fields: Vec<(&'static str, &'t [u8])> = Vec::new();
        for (key, raw) in members {
            let exact = declared.iter().find(|name| **name == key);
            let name = exact.or_else(|| declared.iter().find(|n| n.eq_ignore_ascii_case(&key)));
            match name {
                Some(name) => {
                    fields.retain(|(earlier, _)| earlier != name);
                    fields.push((name, raw));
                }
                None if strict => {
                    return Err(Error(format!("json: unknown field {}", quoted(&key))));
                }
                None => {}
            }
        }
        Ok(Fields {
            fields: fields.into_iter(),
            current: None,
            path,
            strict,
        })
    }
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.current = self.fields.next();
        match self.current {
            None => Ok(None),
            Some((name, _)) => {
                let name: StrDeserializer<'_, Error> = name.into_deserializer();
                seed.deserialize(name).map(Some)
            }
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let (name, raw) = self.current.take().unwrap_or(("", b"null"));
        let path = Path::Field(self.path, name);
        seed.deserialize(Value::new(raw, &path, self.strict))
    }
}

/// The entries of a map.
struct Entries<'t, 'p> {
    members: std::vec::IntoIter<Member<'t>>,
    current: Option<Member<'t>>,
    path: &'p Path<'p>,
    strict: bool,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.current = self.members.next();
        match &self.current {
            None => Ok(None),
            Some((key, _)) => {
                let key: StrDeserializer<'_, Error> = key.as_str().into_deserializer();
                seed.deserialize(key).map(Some)
            }
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let (key, raw) = self.current.take().unwrap_or((String::new(), b"null"));
        let path = Path::Field(self.path, &key);
        seed.deserialize(Value::new(raw, &path, self.strict))
    }
}

/// The elements of an array.
struct Elements<'t, 'p> {
    raw: &'t [u8],
    at: usize,
    index: usize,
    path: &'p Path<'p>,
    strict: bool,
    called: Option<&'static str>,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if matches!(self.raw.get(self.at), None | Some(b']')) {
            return Ok(None);
        }
        let end = skip_value(self.raw, self.at, 0).map_err(Error)?;
        let raw = self.raw.get(self.at..end).unwrap_or_default();
        let path = Path::Index(self.path, self.index);
        self.at = skip_space(self.raw, skip_space(self.raw, end) + 1);
        self.index += 1;
        let value = Value {
            called: self.called,
            ..Value::new(raw, &path, self.strict)
        };
        seed.deserialize(value).map(Some)
    }
}

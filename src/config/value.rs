//! The value tree: what a configuration file says, each value with its position.

use std::fmt;
use std::sync::Arc;

/// Where a key or value stands in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file as it was named; `-` for text that came from no file.
    pub file: Arc<str>,
    /// 1-based line.
    pub line: u32,
    /// 1-based column, in characters.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Position {
    /// The place of what was never in a file: made by a program.
    pub fn nowhere() -> Self {
        Position {
            file: "-".into(),
            line: 0,
            column: 0,
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value itself.
    pub value: Value,
    /// Where it begins.
    pub position: Position,
}

/// A configuration value (spec core §4.1).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Quoted, raw, block or bare text.
    String(String),
    /// An integer, its size suffix multiplied in.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// `true/false/yes/no/on/off`.
    Bool(bool),
    /// `2006-01-02T15:04:05Z`, as nanoseconds since the Unix epoch.
    Datetime(i64),
    /// `[a, b]`.
    Array(Vec<Node>),
    /// `{ key: value }`.
    Map(Map),
}

/// A map in file order. A repeated key keeps its last value (and that one's position).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    /// The entries; keys compare without case.
    pub entries: Vec<Entry>,
}

/// One key of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key as written.
    pub key: String,
    /// Where the key stands.
    pub position: Position,
    /// Its value.
    pub node: Node,
    /// Some `$key` refers to it: an unknown key is then no error.
    pub used_as_variable: bool,
}

impl Map {
    /// The entry of that key, in any case.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|e| e.key.eq_ignore_ascii_case(key))
    }

    /// Adds a key made by a program; one spelled just so gets the new value.
    pub fn set(&mut self, key: impl Into<String>, value: Value) {
        let (key, position) = (key.into(), Position::nowhere());
        let node = Node {
            value,
            position: position.clone(),
        };
        match self.entries.iter_mut().find(|e| e.key == key) {
            Some(entry) => entry.node = node,
            None => self.entries.push(Entry {
                key,
                position,
                node,
                used_as_variable: false,
            }),
        }
    }
}

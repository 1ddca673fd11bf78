//! Parser: tokens to the value tree, variables and includes resolved.
//!
//! Separate from the lexer because it knows scopes and files and no characters.
//! [`parse`] is the one way in. It is pure: the environment and the included
//! files come in as arguments.
//!
//! A variable is looked up by its exact name among the keys already finished in
//! the open maps, innermost first, then in the environment, whose text is read as
//! a value. An included file is read on its own — it sees none of the variables
//! around it — and its keys are put where the `include` stands.
//!
//! Invariants: any text gives a tree or errors, never a panic; no tree is deeper
//! than `DEPTH_MAX`; files, includes and copied variables are bounded in number
//! and in bytes. Faults of meaning (a variable not found, a number too large) are
//! collected; a fault of form ends its file, for nothing after it can be trusted.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::ConfigError;
use super::include::{self, Loader};
use super::lexer::{Lexer, NEST_MAX, Place, Token, TokenKind};
use super::value::{Entry, Map, Node, Position, Value};

/// How long one file may be.
pub const FILE_BYTES_MAX: usize = 16 << 20;
/// How long all texts of one configuration may be together.
pub const TOTAL_BYTES_MAX: usize = 64 << 20;
/// How deep included files and environment values may lead to further ones.
pub const SOURCES_DEEP_MAX: usize = 16;
/// How many included files and environment values one configuration may read.
pub const SOURCES_MAX: usize = 10_000;
/// How much may be copied by variables, in bytes as [`weigh`] counts them.
const COPIED_BYTES_MAX: usize = 64 << 20;
/// How deep the tree may be. Text alone reaches no more than this.
pub const DEPTH_MAX: usize = NEST_MAX + 1;
/// How many errors are collected before reading stops.
const ERRORS_MAX: usize = 50;

/// Bare words that begin so are bcrypt hashes and not variables.
const BCRYPT_PREFIX: &str = "2a$";

/// Reads a configuration.
///
/// `file` is its name for positions and for the directory its includes are
/// relative to; `-` for text that came from no file. `env` looks up the
/// environment. Returns every error found, in the order of reading.
pub fn parse(
    text: &str,
    file: &str,
    env: &dyn Fn(&str) -> Option<String>,
    loader: &dyn Loader,
) -> Result<Map, Vec<ConfigError>> {
    let mut session = Session {
        env,
        loader,
        errors: Vec::new(),
        open_files: Vec::new(),
        open_variables: Vec::new(),
        sources: 0,
        bytes: 0,
        copied: 0,
        exhausted: false,
    };
    let map = session.file(text, file);
    match map {
        Some(map) if session.errors.is_empty() => Ok(map),
        _ => Err(session.errors),
    }
}

/// What one call of [`parse`] shares among all texts it reads.
struct Session<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    loader: &'a dyn Loader,
    errors: Vec<ConfigError>,
    /// The file being read and those that led to it.
    open_files: Vec<String>,
    /// The environment variables being read.
    open_variables: Vec<String>,
    sources: usize,
    bytes: usize,
    copied: usize,
    /// A limit of the whole was passed; nothing more is read.
    exhausted: bool,
}

/// One text being read.
struct Reader<'s, 'a, 't> {
    session: &'s mut Session<'a>,
    lexer: Lexer<'t>,
    file: Arc<str>,
    /// Open maps and arrays; the first is the text's own map.
    scopes: Vec<Scope>,
}

/// A map or array whose end has not been seen.
struct Scope {
    /// Where it begins.
    position: Position,
    contents: Contents,
}

enum Contents {
    Map {
        map: Map,
        /// Where in `map` a key stands.
        index: HashMap<String, usize>,
        /// The key whose value is being read.
        key: Option<(String, Position)>,
    },
    Array(Vec<Node>),
}

/// What a variable stands for.
enum Lookup {
    Found(Value),
    Missing,
    /// It was found and cannot be used; the error has been noted.
    Broken,
}

impl Session<'_> {
    fn file(&mut self, text: &str, file: &str) -> Option<Map> {
        self.open_files.push(file.to_owned());
        let map = self.text(text, file);
        self.open_files.pop();
        map
    }

    /// Reads one text; `None` when a fault of form ended it.
    fn text(&mut self, text: &str, file: &str) -> Option<Map> {
        let file: Arc<str> = file.into();
        let start = position(&file, Place { line: 1, column: 1 });
        self.bytes = self.bytes.saturating_add(text.len());
        if text.len() > FILE_BYTES_MAX || self.bytes > TOTAL_BYTES_MAX {
            self.exhaust(&start, "the configuration is too large");
            return None;
        }
        if let Some(at) = text.find('\0') {
            let before = &text[..at];
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            let place = Place {
                line: u32::try_from(line).unwrap_or(u32::MAX),
                column: u32::try_from(column).unwrap_or(u32::MAX),
            };
            self.error(&position(&file, place), "unexpected NUL character");
            return None;
        }
        Reader {
            session: self,
            lexer: Lexer::new(text),
            file,
            scopes: vec![Scope {
                position: start,
                contents: Contents::empty_map(),
            }],
        }
        .run()
    }

    fn error(&mut self, position: &Position, message: impl Into<String>) {
        self.errors.push(ConfigError {
            position: Some(position.clone()),
            message: message.into(),
        });
    }

    fn exhaust(&mut self, position: &Position, message: &str) {
        self.error(position, message);
        self.exhausted = true;
    }

    /// Counts one more file or environment value; false when it is one too many.
    fn admit_source(&mut self, position: &Position) -> bool {
        self.sources += 1;
        let deep = self.open_files.len() + self.open_variables.len();
        let admitted = deep <= SOURCES_DEEP_MAX && self.sources <= SOURCES_MAX;
        if !admitted {
            self.exhaust(position, "too many includes or variables within another");
        }
        admitted
    }
}

impl Reader<'_, '_, '_> {
    fn run(mut self) -> Option<Map> {
        loop {
            let token = match self.lexer.next_token() {
                Ok(token) => token,
                Err(err) => {
                    let at = position(&self.file, err.place);
                    self.session.error(&at, err.message);
                    return None;
                }
            };
            if token.kind == TokenKind::End {
                break;
            }
            self.take(token);
            if self.session.exhausted || self.session.errors.len() >= ERRORS_MAX {
                return None;
            }
        }
        // Only braces around the whole text may be left open, and they make no scope.
        match self.scopes.into_iter().next()?.contents {
            Contents::Map { map, .. } => Some(map),
            Contents::Array(_) => None,
        }
    }

    fn take(&mut self, token: Token) {
        let at = position(&self.file, token.place);
        let value = match token.kind {
            TokenKind::Key(name) => {
                if let Some(Contents::Map { key, .. }) = self.innermost() {
                    *key = Some((name, at));
                }
                return;
            }
            TokenKind::MapStart => return self.open(at, Contents::empty_map()),
            TokenKind::ArrayStart => return self.open(at, Contents::Array(Vec::new())),
            TokenKind::MapEnd | TokenKind::ArrayEnd => return self.close(),
            TokenKind::Include(path) => return self.include(&path, &at),
            TokenKind::End => return,
            TokenKind::String(text) => Value::String(text),
            TokenKind::Integer(number) => Value::Integer(number),
            TokenKind::Float(number) => Value::Float(number),
            TokenKind::Bool(yes) => Value::Bool(yes),
            TokenKind::Datetime(nanoseconds) => Value::Datetime(nanoseconds),
            TokenKind::Invalid(message) => {
                self.session.error(&at, message);
                Value::Bool(false)
            }
            TokenKind::Variable(name) => self.variable(&name, &at),
        };
        self.put(Node {
            value,
            position: at,
        });
    }

    fn innermost(&mut self) -> Option<&mut Contents> {
        self.scopes.last_mut().map(|scope| &mut scope.contents)
    }

    fn open(&mut self, position: Position, contents: Contents) {
        self.scopes.push(Scope { position, contents });
    }

    fn close(&mut self) {
        // The lexer gives an end only for a start, so the text's own map stays.
        let Some(scope) = self.scopes.pop() else {
            return;
        };
        let value = match scope.contents {
            Contents::Map { map, .. } => Value::Map(map),
            Contents::Array(nodes) => Value::Array(nodes),
        };
        self.put(Node {
            value,
            position: scope.position,
        });
    }

    /// Puts a finished value into what encloses it.
    fn put(&mut self, node: Node) {
        match self.innermost() {
            Some(Contents::Array(nodes)) => nodes.push(node),
            Some(Contents::Map { map, index, key }) => {
                if let Some((key, position)) = key.take() {
                    let entry = Entry {
                        key,
                        position,
                        node,
                        used_as_variable: false,
                    };
                    insert(map, index, entry);
                }
            }
            None => {}
        }
    }

    fn include(&mut self, path: &str, at: &Position) {
        let full = include::resolve(&self.file, path);
        if self.session.open_files.contains(&full) {
            let message = format!("include cycle: file '{full}' includes itself");
            return self.session.error(at, message);
        }
        if !self.session.admit_source(at) {
            return;
        }
        let text = match self.session.loader.load(&full) {
            Ok(text) => text,
            Err(err) => {
                let message = format!("error parsing include file '{path}', open {full}: {err}");
                return self.session.error(at, message);
            }
        };
        let Some(included) = self.session.file(&text, &full) else {
            return;
        };
        for entry in included.entries {
            if self.too_deep(&entry.node.value) {
                let message = format!("nested deeper than {DEPTH_MAX} levels");
                return self.session.error(at, message);
            }
            if let Some(Contents::Map { map, index, .. }) = self.innermost() {
                insert(map, index, entry);
            }
        }
    }

    /// The value of a variable; errors are noted and give a placeholder.
    fn variable(&mut self, name: &str, at: &Position) -> Value {
        match self.lookup(name, at) {
            Lookup::Found(value) => {
                if !self.too_deep(&value) {
                    return value;
                }
                let message = format!("nested deeper than {DEPTH_MAX} levels");
                self.session.error(at, message);
            }
            Lookup::Missing => {
                let line = at.line;
                let message =
                    format!("variable reference for '{name}' on line {line} can not be found");
                self.session.error(at, message);
            }
            Lookup::Broken => {}
        }
        Value::Bool(false)
    }

    fn lookup(&mut self, name: &str, at: &Position) -> Lookup {
        if name.starts_with(BCRYPT_PREFIX) {
            return Lookup::Found(Value::String(format!("${name}")));
        }
        for scope in self.scopes.iter_mut().rev() {
            let Contents::Map { map, index, .. } = &mut scope.contents else {
                continue;
            };
            let Some(entry) = index.get(name).and_then(|at| map.entries.get_mut(*at)) else {
                continue;
            };
            entry.used_as_variable = true;
            let copied = self.session.copied.saturating_add(weigh(&entry.node.value));
            self.session.copied = copied;
            if copied > COPIED_BYTES_MAX {
                self.session
                    .exhaust(at, "variables make the configuration too large");
                return Lookup::Broken;
            }
            return Lookup::Found(entry.node.value.clone());
        }
        self.environment(name, at)
    }

    /// Reads a variable of the environment as if its text stood in a file.
    fn environment(&mut self, name: &str, at: &Position) -> Lookup {
        const KEY: &str = "value";
        let line = at.line;
        if self.session.open_variables.iter().any(|open| open == name) {
            let message = format!(
                "variable reference for '{name}' on line {line} could not be parsed: \
                 variable reference cycle for '{name}'"
            );
            self.session.error(at, message);
            return Lookup::Broken;
        }
        let Some(text) = (self.session.env)(name) else {
            return Lookup::Missing;
        };
        if !self.session.admit_source(at) {
            return Lookup::Broken;
        }
        self.session.open_variables.push(name.to_owned());
        let map = self
            .session
            .text(&format!("{KEY}={text}"), &format!("${name}"));
        self.session.open_variables.pop();
        let found = map.and_then(|map| map.entries.into_iter().find(|entry| entry.key == KEY));
        match found {
            Some(entry) => Lookup::Found(entry.node.value),
            None => Lookup::Broken,
        }
    }

    /// Whether this value would make the tree too deep where reading stands.
    fn too_deep(&self, value: &Value) -> bool {
        self.scopes.len() + depth(value) > DEPTH_MAX
    }
}

impl Contents {
    fn empty_map() -> Self {
        Contents::Map {
            map: Map::default(),
            index: HashMap::new(),
            key: None,
        }
    }
}

/// Adds an entry, in place of one whose key is the same to the letter.
fn insert(map: &mut Map, index: &mut HashMap<String, usize>, entry: Entry) {
    let known = index.get(&entry.key).copied();
    match known.and_then(|at| map.entries.get_mut(at)) {
        Some(earlier) => *earlier = entry,
        None => {
            index.insert(entry.key.clone(), map.entries.len());
            map.entries.push(entry);
        }
    }
}

fn position(file: &Arc<str>, place: Place) -> Position {
    Position {
        file: file.clone(),
        line: place.line,
        column: place.column,
    }
}

/// About how many bytes a copy of the value takes.
fn weigh(value: &Value) -> usize {
    let own = size_of::<Entry>();
    own + match value {
        Value::String(text) => text.len(),
        Value::Array(nodes) => nodes.iter().map(|node| weigh(&node.value)).sum(),
        Value::Map(map) => {
            let weigh_entry = |entry: &Entry| entry.key.len() + weigh(&entry.node.value);
            map.entries.iter().map(weigh_entry).sum()
        }
        _ => 0,
    }
}

/// How many maps and arrays stand in each other at most; 0 for a plain value.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(nodes) => 1 + nodes.iter().map(|n| depth(&n.value)).max().unwrap_or(0),
        Value::Map(map) => {
            let deepest = map.entries.iter().map(|e| depth(&e.node.value)).max();
            1 + deepest.unwrap_or(0)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests;

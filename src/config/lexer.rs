//! Lexer: configuration text to tokens, each with its line and column.
//!
//! Separate from the parser because all that is odd about the language is in its
//! characters: which of them end a bare word depends on what the word began with
//! and on what encloses it. The parser sees keys, values and brackets only.
//!
//! One state says what may come next; a stack says what encloses it:
//!
//! ```text
//! Item ─key─► Separator ─► Value ─► AfterValue ─► Item
//! Item ─`include`─► Path ──────────► AfterValue
//! ```
//!
//! Invariants: every call of `next_token` consumes text, ends, or fails; after a
//! failure no more tokens are asked for; at most `NEST_MAX` brackets are open.
//! Text that nats-server accepts gives the tokens nats-server sees, except where
//! it would lose or change what was written without a word, which is an error here:
//! a lone quote at the end, a key without value in a map, a `/` before a key in a
//! map, a suffix such as `kbb`, a number that does not fit with its suffix, escapes
//! that make no UTF-8, NUL; and dates that do not fit, before 1677 and after 2262.

mod value;

/// How deep maps, arrays and blocks may nest.
pub const NEST_MAX: usize = 100;

/// What was read, and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What was read.
    pub kind: TokenKind,
    /// Where it begins.
    pub place: Place,
}

/// A line and a column, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// 1-based line.
    pub line: u32,
    /// 1-based column.
    pub column: u32,
}

/// The words of the language.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenKind {
    /// A key; its value or a `MapStart` or `ArrayStart` follows.
    Key(String),
    /// `{` after a key or in an array.
    MapStart,
    /// The matching `}`.
    MapEnd,
    /// `[`.
    ArrayStart,
    /// The matching `]`.
    ArrayEnd,
    /// Quoted, block or bare text, escapes resolved.
    String(String),
    /// An integer, its suffix multiplied in.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// A bare word that means true or false.
    Bool(bool),
    /// Nanoseconds since the Unix epoch.
    Datetime(i64),
    /// `$name`, without the `$`.
    Variable(String),
    /// The path after `include`, where a key would stand.
    Include(String),
    /// Stands for a value that cannot be; reading may go on after it.
    Invalid(String),
    /// The text ends. Asked again, the lexer says so again.
    End,
}

/// Why no further token can be made of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LexError {
    /// Where the trouble is.
    pub place: Place,
    /// What it is.
    pub message: String,
}

/// Reads tokens from a text.
pub struct Lexer<'a> {
    rest: &'a str,
    place: Place,
    state: State,
    enclosing: Vec<Enclosing>,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A key, an array's element, or the end of what encloses it.
    Item,
    /// Perhaps `=` or `:`, then a value.
    Separator,
    /// A value.
    Value,
    /// The path of an `include`.
    Path,
    /// What divides a value from the next item.
    AfterValue,
    /// What may follow a block's `}` inside of another block.
    AfterBlock,
}

/// What is open. Nothing open is the top of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Enclosing {
    /// Braces around top-level keys; they make no map.
    Block,
    Map,
    Array,
}

type Step = Result<Option<TokenKind>, LexError>;

impl<'a> Lexer<'a> {
    /// Reads from the beginning of `text`.
    pub fn new(text: &'a str) -> Self {
        Lexer {
            rest: text,
            place: Place { line: 1, column: 1 },
            state: State::Item,
            enclosing: Vec::new(),
        }
    }

    /// The next token. MUST NOT be called again after an error.
    pub fn next_token(&mut self) -> Result<Token, LexError> {
        loop {
            self.skip_before_token();
            let place = self.place;
            let step = match self.state {
                State::Item => self.item(),
                State::Separator => self.separator(),
                State::Value => self.value(),
                State::Path => self.path(),
                State::AfterValue => self.after_value(),
                State::AfterBlock => self.after_block(),
            }?;
            if let Some(kind) = step {
                return Ok(Token { kind, place });
            }
        }
    }

    /// Skips what is blank in this state. New lines divide items, so they count
    /// as blank only where nothing is there to be divided.
    fn skip_before_token(&mut self) {
        match self.state {
            State::Item | State::Separator => self.skip(char::is_whitespace),
            // `include` has eaten no line end yet: one here is an error.
            State::Value | State::Path | State::AfterValue => self.skip(is_blank),
            State::AfterBlock => self.skip(|c| is_blank(c) || is_line_end(c)),
        }
    }

    fn item(&mut self) -> Step {
        let enclosing = self.enclosing.last().copied();
        let Some(c) = self.peek() else {
            return match enclosing {
                None | Some(Enclosing::Block) => Ok(Some(TokenKind::End)),
                Some(Enclosing::Map) => Err(self.error("unexpected end of file in a map")),
                Some(Enclosing::Array) => Err(self.error("unexpected end of file in an array")),
            };
        };
        if self.skip_comment() {
            return Ok(None);
        }
        match (c, enclosing) {
            ('/', _) => Err(self.error("unexpected '/': a comment begins with '//' or '#'")),
            (']', Some(Enclosing::Array)) => self.close(TokenKind::ArrayEnd),
            (',', Some(Enclosing::Array)) => Err(self.error("unexpected ',' in an array")),
            (_, Some(Enclosing::Array)) => {
                self.state = State::Value;
                Ok(None)
            }
            ('}', Some(Enclosing::Map)) => self.close(TokenKind::MapEnd),
            (']', Some(Enclosing::Map)) => Err(self.error("unexpected ']' in a map")),
            ('{', None | Some(Enclosing::Block)) => {
                self.open(Enclosing::Block)?;
                self.state = State::Item;
                Ok(None)
            }
            ('}', Some(Enclosing::Block)) => {
                self.close_block();
                Ok(None)
            }
            _ => self.key(c),
        }
    }

    fn key(&mut self, first: char) -> Step {
        match first {
            '=' | ':' => Err(self.error(format!("unexpected key separator '{first}'"))),
            '"' | '\'' => {
                self.bump();
                let key = self.take_until(first, "a quoted key")?;
                self.state = State::Separator;
                Ok(Some(TokenKind::Key(key)))
            }
            _ => {
                // The first character is part of the key whatever it is.
                let end = self.rest[first.len_utf8()..]
                    .find(|c: char| c.is_whitespace() || is_key_separator(c))
                    .map_or(self.rest.len(), |at| at + first.len_utf8());
                let key = self.take(end);
                if key == "}" && self.rest.trim().is_empty() {
                    // JSON pasted without its opening brace.
                    return Ok(Some(TokenKind::End));
                }
                let at_space = self.peek().is_some_and(char::is_whitespace);
                if at_space && key.eq_ignore_ascii_case("include") {
                    self.state = State::Path;
                    return Ok(None);
                }
                self.state = State::Separator;
                Ok(Some(TokenKind::Key(key)))
            }
        }
    }

    /// What stands between a key and its value.
    fn separator(&mut self) -> Step {
        let in_map = self.enclosing.last() == Some(&Enclosing::Map);
        if self.peek().is_some_and(is_key_separator) {
            self.bump();
            if in_map {
                self.skip(char::is_whitespace);
            } else {
                self.skip(is_blank);
            }
        } else if self.peek().is_none() && !in_map {
            return Err(self.error("expected a value but the file ends"));
        }
        match self.peek() {
            Some(c @ (',' | '}')) if in_map => {
                Err(self.error(format!("expected a value in a map but found '{c}'")))
            }
            _ => {
                self.state = State::Value;
                Ok(None)
            }
        }
    }

    /// Ends the value: `kind` is the token, what divides values comes next.
    fn give(&mut self, kind: TokenKind) -> Step {
        self.state = State::AfterValue;
        Ok(Some(kind))
    }

    fn path(&mut self) -> Step {
        let Some(c) = self.peek() else {
            self.state = State::AfterValue;
            return Ok(Some(TokenKind::Include(String::new())));
        };
        let path = match c {
            '\'' | '"' => {
                self.bump();
                self.take_until(c, "a quoted include")?
            }
            '[' | '{' | '(' | '-' | '\\' | '\n' | '\r' | '0'..='9' => {
                let found = c.escape_default();
                let message = format!("expected the path of an include but found '{found}'");
                return Err(self.error(message));
            }
            _ => {
                let ends = |c| is_blank(c) || is_line_end(c) || matches!(c, ';' | '}' | '\'');
                let end = self.rest.find(ends).unwrap_or(self.rest.len());
                let path = self.take(end);
                if self.peek() == Some('\'') {
                    self.bump();
                }
                path
            }
        };
        self.give(TokenKind::Include(path))
    }

    fn after_value(&mut self) -> Step {
        let enclosing = self.enclosing.last().copied();
        if self.skip_comment() {
            return Ok(None);
        }
        let c = self.peek();
        let ended = match (c, enclosing) {
            // A lone slash is nothing at the top, and divides values elsewhere.
            (Some('/'), None | Some(Enclosing::Block)) => {
                self.bump();
                return Ok(None);
            }
            (None, None) => true,
            (None, Some(_)) => false,
            (Some(']'), Some(Enclosing::Array)) => return self.close(TokenKind::ArrayEnd),
            (Some('}'), Some(Enclosing::Map)) => return self.close(TokenKind::MapEnd),
            (Some('}'), Some(Enclosing::Block)) => {
                self.close_block();
                return Ok(None);
            }
            (Some(c), None) => is_line_end(c) || matches!(c, ',' | ';' | '}'),
            (Some(c), Some(Enclosing::Block)) => is_line_end(c) || matches!(c, ',' | ';'),
            (Some(c), Some(Enclosing::Map)) => is_line_end(c) || matches!(c, ',' | ';' | '/'),
            (Some(c), Some(Enclosing::Array)) => is_line_end(c) || matches!(c, ',' | '/'),
        };
        if ended {
            self.bump();
            self.state = State::Item;
            return Ok(None);
        }
        let expected = match enclosing {
            None => "a new line, a comment or the end of the file",
            Some(Enclosing::Block | Enclosing::Map) => "a new line, ',' or '}'",
            Some(Enclosing::Array) => "a new line, ',' or ']'",
        };
        let found = c.map_or("the file ends".into(), |c| {
            format!("found '{}'", c.escape_default())
        });
        Err(self.error(format!("expected {expected} after a value but {found}")))
    }

    fn after_block(&mut self) -> Step {
        if self.skip_comment() {
            self.state = State::Item;
            return Ok(None);
        }
        match self.peek() {
            Some(',' | ';') => {
                self.bump();
                self.state = State::Item;
            }
            Some('/') => {
                self.bump();
            }
            Some('}') => self.close_block(),
            _ => return Err(self.error("expected '}' after a block")),
        }
        Ok(None)
    }

    fn open(&mut self, enclosing: Enclosing) -> Result<(), LexError> {
        if self.enclosing.len() >= NEST_MAX {
            return Err(self.error(format!("nested deeper than {NEST_MAX} levels")));
        }
        self.bump();
        self.enclosing.push(enclosing);
        Ok(())
    }

    fn close(&mut self, kind: TokenKind) -> Step {
        self.bump();
        self.enclosing.pop();
        self.give(kind)
    }

    fn close_block(&mut self) {
        self.bump();
        self.enclosing.pop();
        self.state = match self.enclosing.last() {
            Some(_) => State::AfterBlock,
            None => State::Item,
        };
    }

    /// Skips a comment, if one begins here, up to the end of its line.
    fn skip_comment(&mut self) -> bool {
        let begins = self.rest.starts_with('#') || self.rest.starts_with("//");
        if begins {
            self.skip(|c| !is_line_end(c));
        }
        begins
    }

    fn take_until(&mut self, quote: char, what: &str) -> Result<String, LexError> {
        let Some(end) = self.rest.find(quote) else {
            return Err(self.error(format!("unexpected end of file in {what}")));
        };
        let text = self.take(end);
        self.bump();
        Ok(text)
    }

    fn skip(&mut self, blank: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&blank) {
            self.bump();
        }
    }

    /// Consumes that many bytes; MUST end on a character.
    fn take(&mut self, bytes: usize) -> String {
        let text = self.rest[..bytes].to_owned();
        for _ in text.chars() {
            self.bump();
        }
        text
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            self.place.line = self.place.line.saturating_add(1);
            self.place.column = 1;
        } else {
            self.place.column = self.place.column.saturating_add(1);
        }
        Some(c)
    }

    fn error(&self, message: impl Into<String>) -> LexError {
        at(self.place, message)
    }
}

fn at(place: Place, message: impl Into<String>) -> LexError {
    LexError {
        place,
        message: message.into(),
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

fn is_key_separator(c: char) -> bool {
    matches!(c, '=' | ':')
}

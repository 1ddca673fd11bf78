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
//! it would lose what was written without a word (a lone quote at the end, a key
//! without value in a map, a suffix such as `kbb`): that is an error here.

use super::units;

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

    fn value(&mut self) -> Step {
        let Some(c) = self.peek() else {
            return self.bare();
        };
        match c {
            '{' => {
                self.open(Enclosing::Map)?;
                self.state = State::Item;
                Ok(Some(TokenKind::MapStart))
            }
            '[' => {
                self.open(Enclosing::Array)?;
                self.state = State::Item;
                Ok(Some(TokenKind::ArrayStart))
            }
            '\'' => {
                self.bump();
                let text = self.take_until('\'', "a quoted string")?;
                self.give(TokenKind::String(text))
            }
            '"' => self.double_quoted(),
            '(' => self.block_string(),
            '-' => self.negative(),
            '0'..='9' => self.number_or_word(),
            '.' => Err(self.error("a number must begin with a digit")),
            '\n' | '\r' => Err(self.error("expected a value but found a new line")),
            _ => self.bare(),
        }
    }

    /// Ends the value: `kind` is the token, what divides values comes next.
    fn give(&mut self, kind: TokenKind) -> Step {
        self.state = State::AfterValue;
        Ok(Some(kind))
    }

    fn double_quoted(&mut self) -> Step {
        let begin = self.place;
        self.bump();
        let mut text = Vec::new();
        loop {
            let run = self.rest.find(['"', '\\']).unwrap_or(self.rest.len());
            text.extend_from_slice(self.take(run).as_bytes());
            match self.peek() {
                Some('"') => {
                    self.bump();
                    let kind = utf8(text);
                    return self.give(kind);
                }
                Some(_) => self.escape(&mut text)?,
                None => return Err(at(begin, "unexpected end of file in a quoted string")),
            }
        }
    }

    /// A word without quotes: everything up to white space or what may follow a
    /// value. A single quote ends it too, and makes it a string whatever it says.
    fn bare(&mut self) -> Step {
        self.word_from(String::new())
    }

    /// The rest of a word; one that began like a number is a string for certain.
    fn word_from(&mut self, begun: String) -> Step {
        let mut plain = begun.is_empty();
        let mut text = begun.into_bytes();
        loop {
            let run = self.rest.find(ends_word).unwrap_or(self.rest.len());
            text.extend_from_slice(self.take(run).as_bytes());
            match self.peek() {
                Some('\\') => {
                    plain = false;
                    self.escape(&mut text)?;
                }
                Some('\'') => {
                    self.bump();
                    let kind = utf8(text);
                    return self.give(kind);
                }
                _ => break,
            }
        }
        let kind = match utf8(text) {
            TokenKind::String(word) if plain => word_meaning(word),
            kind => kind,
        };
        self.give(kind)
    }

    /// Resolves one escape; the text stands at the backslash.
    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), LexError> {
        let begin = self.place;
        self.bump();
        let byte = match self.bump() {
            Some('t') => b'\t',
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some(c @ ('"' | '\\')) => c as u8,
            Some('x') => {
                let digits = self.rest.get(..2).unwrap_or_default();
                let all_hex = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                let Some(byte) = u8::from_str_radix(digits, 16).ok().filter(|_| all_hex) else {
                    return Err(at(begin, "expected two hexadecimal digits after '\\x'"));
                };
                self.take(2);
                byte
            }
            _ => {
                let message = "invalid escape: only \\xHH, \\t, \\n, \\r, \\\" and \\\\ are known";
                return Err(at(begin, message));
            }
        };
        text.push(byte);
        Ok(())
    }

    /// `(` … `)`, closed by a `)` alone on its line. At the very end of the file
    /// nats-server keeps the closing `)` in the text; so does this.
    fn block_string(&mut self) -> Step {
        let begin = self.place;
        self.bump();
        let mut from = 0;
        while let Some(found) = self.rest[from..].find("\n)") {
            let close = from + found + 1;
            let after = &self.rest[close + 1..];
            if after.is_empty() || after.starts_with('\n') {
                let end = if after.is_empty() { close + 1 } else { close };
                let text = self.take(end);
                if self.peek() == Some(')') {
                    self.bump();
                }
                return self.give(TokenKind::String(text));
            }
            from = close;
        }
        Err(at(begin, "unexpected end of file in a block string"))
    }

    fn negative(&mut self) -> Step {
        let digits = 1 + digits_len(&self.rest[1..]);
        if digits == 1 {
            return Err(self.error("expected a digit after '-'"));
        }
        match self.rest[digits..].chars().next() {
            Some('.') => self.fraction(digits),
            Some(c) if is_suffix(c) => self.suffixed(digits),
            _ => {
                let text = self.take(digits);
                self.integer(&text)
            }
        }
    }

    /// What begins with a digit: a number, a date, an address or a word.
    fn number_or_word(&mut self) -> Step {
        let digits = digits_len(self.rest);
        match self.rest[digits..].chars().next() {
            Some('-') if digits == 4 => self.datetime(),
            Some('-') => Err(self.error("a date must be written as 2006-01-02T15:04:05Z")),
            Some('.') => self.fraction(digits),
            Some(c) if is_suffix(c) => self.suffixed(digits),
            Some(c) if !ends_number(c) => {
                // The character after the digits belongs to the word even if it
                // would end one: `[12]` opens an array with the word `12]`.
                let word = self.take(digits + c.len_utf8());
                self.word_from(word)
            }
            _ => {
                let text = self.take(digits);
                self.integer(&text)
            }
        }
    }

    /// Digits and one of `kmgtpe`: an integer if nothing but `b` and `i` follows.
    fn suffixed(&mut self, digits: usize) -> Step {
        let tail = &self.rest[digits + 1..];
        let more = tail
            .find(|c| !matches!(c, 'b' | 'B' | 'i' | 'I'))
            .unwrap_or(tail.len());
        let text = self.take(digits + 1 + more);
        if self.peek().is_none_or(ends_number) {
            self.integer(&text)
        } else {
            self.word_from(text)
        }
    }

    fn integer(&mut self, text: &str) -> Step {
        let kind = match units::integer(text) {
            Ok(number) => TokenKind::Integer(number),
            Err(err) => TokenKind::Invalid(err.to_string()),
        };
        self.give(kind)
    }

    /// Digits and a point: a number, or an address if a second point follows.
    fn fraction(&mut self, digits: usize) -> Step {
        let more = digits_len(&self.rest[digits + 1..]);
        if more == 0 {
            return Err(self.error("a number must have a digit after its '.'"));
        }
        let end = digits + 1 + more;
        if self.rest[end..].starts_with('.') {
            let tail = &self.rest[end..];
            let more = tail
                .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':' | '-')))
                .unwrap_or(tail.len());
            let address = self.take(end + more);
            return self.give(TokenKind::String(address));
        }
        let text = self.take(end);
        let kind = match text.parse::<f64>() {
            Ok(number) if number.is_finite() => TokenKind::Float(number),
            _ => TokenKind::Invalid(format!("float '{text}' is out of the range")),
        };
        self.give(kind)
    }

    fn datetime(&mut self) -> Step {
        const SHAPE: &[u8] = b"0000-00-00T00:00:00Z";
        let text = self.rest.get(..SHAPE.len()).unwrap_or_default();
        let fits = text.len() == SHAPE.len()
            && text.bytes().zip(SHAPE).all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                _ => byte == *shape,
            });
        if !fits {
            return Err(self.error("a date must be written as 2006-01-02T15:04:05Z"));
        }
        let text = self.take(SHAPE.len());
        let kind = match units::datetime(&text) {
            Some(nanoseconds) => TokenKind::Datetime(nanoseconds),
            None => TokenKind::Invalid(format!("there is no such date as '{text}'")),
        };
        self.give(kind)
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

/// What a bare word without escapes says.
fn word_meaning(word: String) -> TokenKind {
    if let Some(name) = word.strip_prefix('$') {
        return TokenKind::Variable(name.to_owned());
    }
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => TokenKind::Bool(true),
        "false" | "no" | "off" => TokenKind::Bool(false),
        _ => TokenKind::String(word),
    }
}

fn utf8(text: Vec<u8>) -> TokenKind {
    match String::from_utf8(text) {
        Ok(text) => TokenKind::String(text),
        Err(_) => TokenKind::Invalid("the escapes make a text that is not UTF-8".into()),
    }
}

fn digits_len(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len())
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

fn is_suffix(c: char) -> bool {
    matches!(c.to_ascii_lowercase(), 'k' | 'm' | 'g' | 't' | 'p' | 'e')
}

/// Ends a number. `]` does not: see `number_or_word`.
fn ends_number(c: char) -> bool {
    is_blank(c) || is_line_end(c) || matches!(c, '}' | ';' | ',')
}

/// Ends a run of a bare word; an escape and a quote are dealt with there.
fn ends_word(c: char) -> bool {
    is_blank(c) || is_line_end(c) || matches!(c, ';' | ',' | ']' | '}' | '\\' | '\'')
}

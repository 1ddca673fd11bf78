//! Values: what stands after a key or in an array, up to its last character.
//!
//! Separate from the states of the lexer because here, and only here, the first
//! character decides what the next ones mean: the same `m` ends a number in `2m`
//! and makes a word of `1m30s`, and a number eats a `]` that a word leaves alone.

use super::{Enclosing, LexError, Lexer, State, Step, TokenKind, at, is_blank, is_line_end};
use crate::config::units;

impl Lexer<'_> {
    /// The value that begins here.
    pub(super) fn value(&mut self) -> Step {
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

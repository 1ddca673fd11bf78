//! JSON text: where a value ends, and what is wrong with it at which offset.
//!
//! Separate because a body is checked as a whole before anything in it is taken, and what
//! is taken later trusts that: [`skip_value`] is the check and the way to step over a value.
//!
//! Invariants: `end <= text.len()`; recursion ends at [`DEPTH_MAX`].

use super::quote::quoted_char;

/// How deep arrays and objects may nest; no request of the API comes near.
pub const DEPTH_MAX: usize = 128;

/// What is wrong with a text that ends too early.
pub const END: &str = "unexpected EOF";

/// The first position at or after `at` that is no white space.
pub fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// The position behind the value that begins at `at` (no white space before it).
///
/// # Errors
/// What is wrong, in words.
pub fn skip_value(text: &[u8], at: usize, depth: usize) -> Result<usize, String> {
    if depth > DEPTH_MAX {
        return Err("exceeded max depth".to_owned());
    }
    match text.get(at) {
        None => Err(eof()),
        Some(b'{') => skip_object(text, at + 1, depth),
        Some(b'[') => skip_array(text, at + 1, depth),
        Some(b'"') => skip_string(text, at + 1),
        Some(b't') => skip_literal(text, at, "true"),
        Some(b'f') => skip_literal(text, at, "false"),
        Some(b'n') => skip_literal(text, at, "null"),
        Some(b'-' | b'0'..=b'9') => skip_number(text, at),
        Some(_) => Err(unexpected(text, at, "looking for beginning of value")),
    }
}

fn skip_object(text: &[u8], at: usize, depth: usize) -> Result<usize, String> {
    let mut at = skip_space(text, at);
    if text.get(at) == Some(&b'}') {
        return Ok(at + 1);
    }
    loop {
        expect(text, at, b'"', "looking for beginning of object key string")?;
        at = skip_space(text, skip_string(text, at + 1)?);
        expect(text, at, b':', "after object key")?;
        at = skip_value(text, skip_space(text, at + 1), depth + 1)?;
        at = skip_space(text, at);
        match text.get(at) {
            Some(b'}') => return Ok(at + 1),
            _ => expect(text, at, b',', "after object key:value pair")?,
        }
        at = skip_space(text, at + 1);
    }
}

fn skip_array(text: &[u8], at: usize, depth: usize) -> Result<usize, String> {
    let mut at = skip_space(text, at);
    if text.get(at) == Some(&b']') {
        return Ok(at + 1);
    }
    loop {
        at = skip_space(text, skip_value(text, at, depth + 1)?);
        match text.get(at) {
            Some(b']') => return Ok(at + 1),
            _ => expect(text, at, b',', "after array element")?,
        }
        at = skip_space(text, at + 1);
    }
}

/// `at` is behind the opening quote.
pub fn skip_string(text: &[u8], mut at: usize) -> Result<usize, String> {
    loop {
        match text.get(at) {
            None => return Err(eof()),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = skip_escape(text, at)?,
            Some(0..0x20) => return Err(unexpected(text, at, "in string")),
            Some(_) => at += 1,
        }
    }
}

fn skip_escape(text: &[u8], at: usize) -> Result<usize, String> {
    let length = match text.get(at + 1) {
        None => return Err(eof()),
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => return Ok(at + 2),
        Some(b'u') => 6,
        Some(_) => 2,
    };
    let sequence = text.get(at..at + length).ok_or_else(eof)?;
    if length == 6 && sequence[2..].iter().all(u8::is_ascii_hexdigit) {
        return Ok(at + 6);
    }
    Err(format!(
        "invalid escape sequence `{}` in string at offset {}",
        String::from_utf8_lossy(sequence),
        at + length
    ))
}

fn skip_literal(text: &[u8], at: usize, literal: &str) -> Result<usize, String> {
    for (offset, expected) in literal.bytes().enumerate() {
        let what = format!(
            "in literal {literal} (expecting '{}')",
            char::from(expected)
        );
        expect(text, at + offset, expected, &what)?;
    }
    Ok(at + literal.len())
}

fn skip_number(text: &[u8], mut at: usize) -> Result<usize, String> {
    if text.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match text.get(at) {
        Some(b'0') => at + 1,
        _ => skip_digits(text, at)?,
    };
    if text.get(at) == Some(&b'.') {
        at = skip_digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = text.get(at) {
            at += 1;
        }
        at = skip_digits(text, at)?;
    }
    Ok(at)
}

/// At least one digit.
fn skip_digits(text: &[u8], start: usize) -> Result<usize, String> {
    let mut at = start;
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    match (at == start, text.get(at)) {
        (false, _) => Ok(at),
        (true, None) => Err(eof()),
        (true, Some(_)) => Err(unexpected(text, at, "in numeric literal")),
    }
}

fn expect(text: &[u8], at: usize, byte: u8, otherwise: &str) -> Result<(), String> {
    match text.get(at) {
        Some(there) if *there == byte => Ok(()),
        Some(_) => Err(unexpected(text, at, otherwise)),
        None => Err(eof()),
    }
}

fn eof() -> String {
    END.to_owned()
}

fn unexpected(text: &[u8], at: usize, place: &str) -> String {
    let (c, length) = char_at(text, at);
    let offset = at + length;
    format!(
        "invalid character {} {place} at offset {offset}",
        quoted_char(c)
    )
}

/// The character that begins there and its length; broken UTF-8 is one replacement a byte.
fn char_at(text: &[u8], at: usize) -> (char, usize) {
    let rest = text.get(at..).unwrap_or_default();
    let longest = rest.get(..4).unwrap_or(rest);
    let valid = match std::str::from_utf8(longest) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&longest[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(c) => (c, c.len_utf8()),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

/// The text of a string whose syntax was checked; `inner` is what is between its quotes.
/// What is no Unicode becomes U+FFFD.
pub fn unescape(inner: &[u8]) -> String {
    let mut out = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(byte) = inner.get(at) {
        if *byte != b'\\' {
            out.push(*byte);
            at += 1;
            continue;
        }
        let plain = match inner.get(at + 1) {
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let (c, length) = unicode_escape(inner, at);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += length;
                continue;
            }
            Some(other) => *other,
            None => break,
        };
        out.push(plain);
        at += 2;
    }
    match String::from_utf8(out) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// The character of `\uXXXX`, or of two of them that are a pair, and its length in bytes.
fn unicode_escape(inner: &[u8], at: usize) -> (char, usize) {
    let unit = |at: usize| {
        let digits = inner.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(at).unwrap_or(0xFFFD);
    if let (0xD800..0xDC00, Some(second @ 0xDC00..0xE000)) = (first, unit(at + 6)) {
        let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
            12,
        );
    }
    (
        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
        6,
    )
}

//! Protocol trace: the lines of `-V` that NATS users know.
//!
//! `<<- [PUB foo 5]` came in, `->> [MSG foo 1 5]` went out, `<-> [DELSUB 1]` happened
//! inside; `MSG_PAYLOAD: ["hello"]` follows with the bytes as Go quotes them.
//!
//! Pure functions of bytes, and three switches that every thread reads with one relaxed
//! load: whoever has a line asks [`trace_enabled`] first and logs the text with
//! `tracing::trace!` and the field `link`.
//!
//! Invariants: secrets of CONNECT are replaced before anything else is done with it; a
//! payload's line is bounded by [`Limit::bytes_max`] if there is one.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use memchr::memmem;

use crate::telemetry::Settings;

// The one piece of global state beside metrics: handing three switches to every line of
// every front would cost more than they are worth.
static TRACE: AtomicBool = AtomicBool::new(false);
static TRACE_SYSTEM: AtomicBool = AtomicBool::new(false);
static HEADERS_ONLY: AtomicBool = AtomicBool::new(false);
static BYTES_MAX: AtomicUsize = AtomicUsize::new(0);

/// Whether protocol lines are logged.
#[inline]
pub fn trace_enabled() -> bool {
    TRACE.load(Ordering::Relaxed)
}

/// Whether protocol lines of the system account are logged.
#[inline]
pub fn trace_system_enabled() -> bool {
    TRACE_SYSTEM.load(Ordering::Relaxed)
}

/// How much of a payload is shown now.
pub fn limit() -> Limit {
    Limit {
        bytes_max: BYTES_MAX.load(Ordering::Relaxed),
        headers_only: HEADERS_ONLY.load(Ordering::Relaxed),
    }
}

/// Sets the switches; done with the rest of the settings.
pub(super) fn configure(settings: &Settings) {
    let order = Ordering::Relaxed;
    BYTES_MAX.store(settings.traced_bytes_max, order);
    HEADERS_ONLY.store(settings.trace_headers, order);
    TRACE_SYSTEM.store(settings.trace && settings.trace_verbose, order);
    TRACE.store(settings.trace, order);
}

/// Which way an operation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the peer.
    In,
    /// To the peer.
    Out,
    /// Neither: the server did it.
    Within,
}

impl Direction {
    fn arrow(self) -> &'static str {
        match self {
            Direction::In => "<<-",
            Direction::Out => "->>",
            Direction::Within => "<->",
        }
    }
}

/// How much of a payload is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Bytes; 0 for all.
    pub bytes_max: usize,
    /// The headers, without the empty line that ends them, and nothing after them.
    pub headers_only: bool,
}

/// The line of an operation: `<<- [PUB foo 5]`. The arguments are those of the wire,
/// without the line's end; secrets of CONNECT are replaced.
pub fn operation(direction: Direction, name: &str, arguments: &[u8]) -> String {
    let arrow = direction.arrow();
    let arguments = match name {
        "CONNECT" => without_secrets(arguments),
        _ => String::from_utf8_lossy(arguments).into_owned(),
    };
    match arguments.is_empty() {
        true => format!("{arrow} [{name}]"),
        false => format!("{arrow} [{name} {arguments}]"),
    }
}

/// The line of a payload: `<<- MSG_PAYLOAD: ["hello"]`. `header_bytes` of it are headers.
/// None where nothing is to be shown.
pub fn payload(
    direction: Direction,
    payload: &[u8],
    header_bytes: usize,
    limit: Limit,
) -> Option<String> {
    let shown = match limit.headers_only {
        false => payload,
        true => {
            let headers = payload.get(..header_bytes).unwrap_or(payload);
            &headers[..memmem::find(headers, b"\r\n\r\n")?]
        }
    };
    let mut line = format!("{} MSG_PAYLOAD: [\"", direction.arrow());
    match shown.get(..limit.bytes_max) {
        Some(part) if limit.bytes_max > 0 && part.len() < shown.len() => {
            append_quoted(&mut line, part);
            line.push_str("...");
        }
        _ => append_quoted(&mut line, shown),
    }
    line.push_str("\"]");
    Some(line)
}

/// Bytes as Go's `%q` shows them.
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    append_quoted(&mut out, bytes);
    out.push('"');
    out
}

/// Appends bytes as Go's `%q` shows them, without the quotes around.
pub fn append_quoted(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            append_quoted_char(out, c);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
}

fn append_quoted_char(out: &mut String, c: char) {
    // Writing to a String does not fail.
    let _ = match c {
        '"' => write!(out, "\\\""),
        '\\' => write!(out, "\\\\"),
        '\x07' => write!(out, "\\a"),
        '\x08' => write!(out, "\\b"),
        '\x0c' => write!(out, "\\f"),
        '\n' => write!(out, "\\n"),
        '\r' => write!(out, "\\r"),
        '\t' => write!(out, "\\t"),
        '\x0b' => write!(out, "\\v"),
        c if c.is_ascii_control() => write!(out, "\\x{:02x}", u32::from(c)),
        c if c.is_ascii() || is_printable(c) => write!(out, "{c}"),
        c if u32::from(c) < 0x10000 => write!(out, "\\u{:04x}", u32::from(c)),
        c => write!(out, "\\U{:08x}", u32::from(c)),
    };
}

/// Whether a character that is not ASCII can be seen, as Rust's own tables say. They
/// escape a combining mark only where a text begins with it, hence the letter before.
fn is_printable(c: char) -> bool {
    let mut text = [b'a', 0, 0, 0, 0];
    let end = 1 + c.encode_utf8(&mut text[1..]).len();
    let text = std::str::from_utf8(&text[..end]).unwrap_or_default();
    text.escape_debug().count() == 2
}

/// Keys of CONNECT whose values let somebody else in.
const SECRET_KEYS: [&str; 5] = ["pass", "auth_token", "jwt", "sig", "proxy_sig"];

/// CONNECT's JSON with the values of secret keys replaced by `[REDACTED]`. Works on
/// anything that resembles JSON, since what does not parse is traced too.
pub fn without_secrets(json: &[u8]) -> String {
    let text = String::from_utf8_lossy(json);
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(quote) = rest.find('"') {
        let end = string_end(&rest[quote..]) + quote;
        let key = rest[quote + 1..end].trim_end_matches('"');
        let after = rest[end..].trim_start();
        let value = after.strip_prefix(':').map(str::trim_start);
        let Some(value) = value.filter(|_| is_secret(key)) else {
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        };
        let value_from = rest.len() - value.len();
        out.push_str(&rest[..value_from]);
        out.push_str("\"[REDACTED]\"");
        rest = &value[value_end(value)..];
    }
    out.push_str(rest);
    out
}

/// A key as Go compares it, without regard to case. One with escapes may be any.
fn is_secret(key: &str) -> bool {
    let mut secrets = SECRET_KEYS.iter();
    key.contains('\\') || secrets.any(|secret| key.eq_ignore_ascii_case(secret))
}

/// The length of the string that `text` begins with, quotes included.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the value that `text` begins with.
fn value_end(text: &str) -> usize {
    match text.starts_with('"') {
        true => string_end(text),
        false => text.find([',', '}']).unwrap_or(text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn operations_stand_in_brackets_behind_an_arrow() {
        for (direction, name, arguments, expected) in [
            (Direction::In, "PING", "", "<<- [PING]"),
            (Direction::In, "PUB", "foo reply 5", "<<- [PUB foo reply 5]"),
            (Direction::Out, "MSG", "foo 1 5", "->> [MSG foo 1 5]"),
            (Direction::Within, "DELSUB", "1", "<-> [DELSUB 1]"),
            (
                Direction::In,
                "CONNECT",
                r#"{"pass":"secret"}"#,
                r#"<<- [CONNECT {"pass":"[REDACTED]"}]"#,
            ),
        ] {
            assert_eq!(operation(direction, name, arguments.as_bytes()), expected);
        }
    }

    fn check_payload(bytes: &[u8], header_bytes: usize, limit: Limit, expected: Option<&str>) {
        let line = payload(Direction::In, bytes, header_bytes, limit);
        let expected = expected.map(|text| format!("<<- MSG_PAYLOAD: [{text}]"));
        assert_eq!(line, expected);
    }

    // Expected texts below are those of nats-server 2.15.1.

    #[test]
    fn payloads_are_quoted_as_by_go() {
        for (bytes, expected) in [
            (&b"he\x7f\"l"[..], r#""he\x7f\"l""#),
            (b"he\x00\\l", r#""he\x00\\l""#),
            (b"\r\n\t\x0b\x07\x08\x0c\x1b", r#""\r\n\t\v\a\b\f\x1b""#),
            (b"\xff\xfea", r#""\xff\xfea""#),
            (
                "é\u{a0}\u{301}世\u{200b}😀".as_bytes(),
                "\"é\\u00a0\u{301}世\\u200b😀\"",
            ),
            ("\u{e0001}".as_bytes(), r#""\U000e0001""#),
            (b"", r#""""#),
        ] {
            check_payload(bytes, 0, Limit::default(), Some(expected));
        }
    }

    #[test]
    fn long_payloads_are_cut() {
        let limit = Limit {
            bytes_max: 4,
            headers_only: false,
        };
        check_payload(b"\r\n\t\x0b", 0, limit, Some(r#""\r\n\t\v""#));
        check_payload(b"he\x7f\"l", 0, limit, Some(r#""he\x7f\"...""#));
        check_payload("éé\u{a0}".as_bytes(), 0, limit, Some(r#""éé...""#));
        check_payload("aéé".as_bytes(), 0, limit, Some(r#""aé\xc3...""#));
    }

    #[test]
    fn of_headers_alone_the_payload_is_not_shown() {
        let limit = Limit {
            bytes_max: 0,
            headers_only: true,
        };
        let message = b"NATS/1.0\r\nA:b\r\n\r\nhi";
        check_payload(message, 17, limit, Some(r#""NATS/1.0\r\nA:b""#));
        check_payload(b"hi", 0, limit, None);
        check_payload(b"x\r\n\r\ny", 0, limit, None);
        check_payload(message, 99, limit, Some(r#""NATS/1.0\r\nA:b""#));
        let short = Limit {
            bytes_max: 4,
            ..limit
        };
        check_payload(message, 17, short, Some(r#""NATS...""#));
    }

    #[test]
    fn secrets_of_connect_are_replaced() {
        for (json, expected) in [
            (
                r#"{"pass":"s","user":"a","auth_token":"t"}"#,
                r#"{"pass":"[REDACTED]","user":"a","auth_token":"[REDACTED]"}"#,
            ),
            (
                r#"{ "PASS" : "s\"}x" , "name":"pass" }"#,
                r#"{ "PASS" : "[REDACTED]" , "name":"pass" }"#,
            ),
            (r#"{"pass":12,"a":1}"#, r#"{"pass":"[REDACTED]","a":1}"#),
            (r#"{"p\u0061ss":"s"}"#, r#"{"p\u0061ss":"[REDACTED]"}"#),
            (
                r#"{"jwt":"ey","sig":"x"#,
                r#"{"jwt":"[REDACTED]","sig":"[REDACTED]""#,
            ),
            (r#"{"pass""#, r#"{"pass""#),
            ("", ""),
        ] {
            assert_eq!(without_secrets(json.as_bytes()), expected);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_a_line(bytes in any::<Vec<u8>>(), header_bytes in 0usize..9, bytes_max in 0usize..9, headers_only: bool) {
            let limit = Limit { bytes_max, headers_only };
            if let Some(line) = payload(Direction::Out, &bytes, header_bytes, limit) {
                prop_assert!(!line.contains(char::is_control));
            }
            let _ = operation(Direction::In, "CONNECT", &bytes);
        }

        #[test]
        fn a_secret_does_not_get_through(before in "[{},: \"a]{0,6}", secret in "[A-Z]{8}") {
            let before: String = before.replace('"', "");
            let json = format!("{{\"a\":1{before},\"pass\":\"{secret}\"}}");
            prop_assert!(!without_secrets(json.as_bytes()).contains(&secret));
        }
    }
}

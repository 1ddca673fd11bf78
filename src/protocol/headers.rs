//! Header blocks: `NATS/1.0` and what follows.
//!
//! The broker carries headers as opaque bytes; it reads or adds a field only where the
//! protocol asks it to. Lookups are exact in case (spec core §1.2).

/// The version line without its end.
const VERSION: &[u8] = b"NATS/1.0";

/// The first value of `key`, trimmed of blanks; `None` if it is absent.
pub fn find<'a>(block: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    lines(block).find_map(|line| {
        let rest = line.strip_prefix(key)?.strip_prefix(b":")?;
        Some(rest.trim_ascii())
    })
}

/// The fields in their order: name, and value trimmed of blanks.
pub fn fields(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines(block).filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

/// The fields' lines, without the version line.
fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block
        .split(|byte| *byte == b'\n')
        .skip(1)
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
}

/// Appends to `out` the block with one field set; a `block` of `None` makes a new one.
/// Other fields keep their order and bytes; earlier values of `key` are dropped, in whatever
/// case they are written: a reader that ignores case must not find a forged one.
pub fn with_field(out: &mut Vec<u8>, block: Option<&[u8]>, key: &[u8], value: &[u8]) {
    let first = block.and_then(|b| b.split(|byte| *byte == b'\n').next());
    let first = first.map_or(VERSION, |line| line.strip_suffix(b"\r").unwrap_or(line));
    out.extend_from_slice(first);
    out.extend_from_slice(b"\r\n");
    for line in block.into_iter().flat_map(lines) {
        if !is_field(line, key) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(key);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n\r\n");
}

/// The block without a field, in whatever case it is written; empty if no other is left.
pub fn without(block: &[u8], key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(block.len());
    out.extend_from_slice(VERSION);
    out.extend_from_slice(b"\r\n");
    let empty = out.len();
    for line in lines(block).filter(|line| !is_field(line, key)) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    if out.len() == empty {
        return Vec::new();
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn is_field(line: &[u8], key: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    name.len() < line.len() && name.trim_ascii().eq_ignore_ascii_case(key)
}

/// Appends the block of a 503: nobody listens on `subject`.
pub fn no_responders(out: &mut Vec<u8>, subject: &[u8]) {
    out.extend_from_slice(b"NATS/1.0 503\r\nNats-Subject: ");
    out.extend_from_slice(subject);
    out.extend_from_slice(b"\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_field_by_its_exact_name() {
        let block = b"NATS/1.0\r\nAb: x\r\nA:  one \r\nA: two\r\n\r\n";
        let check = |key: &str, expected: Option<&str>| {
            assert_eq!(
                find(block, key.as_bytes()),
                expected.map(str::as_bytes),
                "{key}"
            );
        };
        check("A", Some("one"));
        check("Ab", Some("x"));
        check("a", None);
        check("NATS/1.0", None);
    }

    #[test]
    fn shows_the_fields_in_their_order() {
        let block = b"NATS/1.0 503\r\nA:  one \r\nno field\r\nB: x:y\r\nA:\r\n\r\nC: 1";
        let found: Vec<(&[u8], &[u8])> = fields(block).collect();
        assert_eq!(
            found,
            [
                (&b"A"[..], &b"one"[..]),
                (&b"B"[..], &b"x:y"[..]),
                (&b"A"[..], &b""[..])
            ]
        );
    }

    #[test]
    fn sets_a_field_and_keeps_the_others() {
        let check = |block: Option<&str>, expected: &str| {
            let mut out = Vec::new();
            with_field(&mut out, block.map(str::as_bytes), b"K", b"v");
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check(None, "NATS/1.0\r\nK: v\r\n\r\n");
        check(
            Some("NATS/1.0 503\r\nA: 1\r\nK: old\r\nk : forged\r\nK2: 2\r\n\r\n"),
            "NATS/1.0 503\r\nA: 1\r\nK2: 2\r\nK: v\r\n\r\n",
        );
    }

    #[test]
    fn no_responders_is_as_long_as_published() {
        let mut out = Vec::new();
        no_responders(&mut out, b"foo");
        assert_eq!(out.len(), 32 + 3);
        assert_eq!(find(&out, b"Nats-Subject"), Some(&b"foo"[..]));
    }
}

//! Tokens: how a subject falls apart at its dots, and which texts are subjects.
//!
//! Separate because every reader of subjects needs the same answer to "is this a
//! wildcard": `*` and `>` are wildcards only as whole tokens, so `foo*` and `fo>o`
//! are literal text.
//!
//! Three strictnesses exist on the wire and are kept apart here: what `SUB` accepts
//! (`is_valid_subscribe`), what a pedantic client may publish to
//! (`is_valid_publish`), and what a configuration may name (`is_valid_filter`).
//!
//! Invariant: no function here rejects a byte for its value except `is_valid_filter`,
//! which rejects white space. Absent: limits on length or depth; they belong to the
//! connection that reads the subject.

/// What separates two tokens.
pub const SEPARATOR: u8 = b'.';
/// The token that matches any one token.
pub const STAR: &[u8] = b"*";
/// The last token that matches one or more tokens.
pub const TAIL: &[u8] = b">";

/// The tokens of `subject`, empty ones included; the empty subject has one empty token.
pub fn split(subject: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    subject.split(|byte| *byte == SEPARATOR)
}

/// The first token and what follows its separator; `None` after the last token.
pub fn split_first(subject: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(SEPARATOR, subject) {
        Some(at) => (&subject[..at], Some(&subject[at + 1..])),
        None => (subject, None),
    }
}

/// The number of tokens.
pub fn count(subject: &[u8]) -> usize {
    1 + memchr::memchr_iter(SEPARATOR, subject).count()
}

/// Whether `token` is `*` or `>`.
pub fn is_wildcard(token: &[u8]) -> bool {
    token == STAR || token == TAIL
}

/// Whether `subject` has no empty token. A subject with one matches nothing.
pub fn has_no_empty_token(subject: &[u8]) -> bool {
    let mut after_separator = true;
    for byte in subject {
        let separator = *byte == SEPARATOR;
        if separator && after_separator {
            return false;
        }
        after_separator = separator;
    }
    !after_separator
}

/// Whether no token is a wildcard, so that the subject stands for itself only.
pub fn is_literal(subject: &[u8]) -> bool {
    memchr::memchr2(STAR[0], TAIL[0], subject).is_none() || !split(subject).any(is_wildcard)
}

/// Whether `SUB` accepts `subject`: no empty token, and `>` only at the end.
pub fn is_valid_subscribe(subject: &[u8]) -> bool {
    if !has_no_empty_token(subject) {
        return false;
    }
    let mut tokens = split(subject);
    // Stops behind the first `>`; a token after it spoils the subject.
    !tokens.any(|token| token == TAIL) || tokens.next().is_none()
}

/// Whether a pedantic client may publish to `subject`: valid and without wildcards.
pub fn is_valid_publish(subject: &[u8]) -> bool {
    has_no_empty_token(subject) && is_literal(subject)
}

/// Whether a configuration may name `subject` as a filter: what `SUB` accepts, and no
/// white space (space, tab, carriage return, line feed, form feed).
pub fn is_valid_filter(subject: &str) -> bool {
    let white = |byte: u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0c);
    !subject.bytes().any(white) && is_valid_subscribe(subject.as_bytes())
}

/// Whether `subject` is one that messages may have, without white space: what monitoring
/// takes for a literal subject.
pub fn is_plain(subject: &str) -> bool {
    is_valid_filter(subject) && is_literal(subject.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_subjects_have_no_wildcards_gaps_or_white_space() {
        for (subject, expected) in [
            ("foo", true),
            ("foo.bar", true),
            ("foo.*x", true),
            ("", false),
            ("foo.*", false),
            ("foo.>", false),
            ("foo..bar", false),
            ("foo.", false),
            ("foo bar", false),
        ] {
            assert_eq!(is_plain(subject), expected, "{subject:?}");
        }
    }

    #[test]
    fn each_strictness_accepts_what_it_says() {
        // subject, subscribe, publish, filter
        let table: &[(&str, bool, bool, bool)] = &[
            ("foo", true, true, true),
            ("foo.bar.baz", true, true, true),
            ("*", true, false, true),
            (">", true, false, true),
            ("foo.*.baz", true, false, true),
            ("foo.>", true, false, true),
            ("foo.*.>", true, false, true),
            ("foo*", true, true, true),
            ("*bar.fo>o.>>.**", true, true, true),
            ("foo.>.bar", false, false, false),
            (">.bar", false, false, false),
            (">.>", false, false, false),
            ("", false, false, false),
            (".", false, false, false),
            (".foo", false, false, false),
            ("foo.", false, false, false),
            ("foo..bar", false, false, false),
            ("fo o", true, true, false),
            ("fo\to.*", true, false, false),
            ("foo\u{c}", true, true, false),
            ("fö.ö", true, true, true),
        ];
        for (subject, subscribe, publish, filter) in table {
            let bytes = subject.as_bytes();
            assert_eq!(is_valid_subscribe(bytes), *subscribe, "SUB {subject:?}");
            assert_eq!(is_valid_publish(bytes), *publish, "PUB {subject:?}");
            assert_eq!(is_valid_filter(subject), *filter, "filter {subject:?}");
        }
    }

    #[test]
    fn any_byte_is_legal_in_a_token() {
        let all: Vec<u8> = (0..=255).filter(|byte| *byte != SEPARATOR).collect();
        assert!(is_valid_subscribe(&all) && is_valid_publish(&all));
    }

    #[test]
    fn splitting_keeps_empty_tokens() {
        let tokens: Vec<&[u8]> = split(b"a..b.").collect();
        assert_eq!(tokens, [&b"a"[..], b"", b"b", b""]);
        assert_eq!(split_first(b"a.b.c"), (&b"a"[..], Some(&b"b.c"[..])));
        assert_eq!(split_first(b"a"), (&b"a"[..], None));
        assert_eq!(split_first(b"a."), (&b"a"[..], Some(&b""[..])));
        assert_eq!((count(b"a"), count(b"a.b.c")), (1, 3));
    }
}

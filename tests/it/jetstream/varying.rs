//! What is another's at every run, replaced by a word: `record.py` does the same.

/// Keys whose string is replaced, and by what.
const STRINGS: [(&str, &str); 6] = [
    ("_nats.ver", "<version>"),
    ("_nats.level", "<level>"),
    ("server_id", "<server_id>"),
    ("id", "<id>"),
    ("now", "<now>"),
    ("store_dir", "<store_dir>"),
];
/// Keys whose number is replaced, if it is not negative, and by what.
const NUMBERS: [(&str, &str); 3] = [
    ("level", "<level>"),
    ("active", "<nanos>"),
    ("pause_remaining", "<nanos>"),
];

/// A text with the words.
pub fn normalised(text: &str) -> String {
    let mut text = without_times(text);
    for (key, word) in STRINGS {
        text = replaced(&text, key, word, |value| {
            let inside = value.strip_prefix('"')?;
            inside.find('"').map(|end| end + 2)
        });
    }
    for (key, word) in NUMBERS {
        text = replaced(&text, key, word, |value| {
            let end = value.find(|c: char| !c.is_ascii_digit());
            end.filter(|end| *end > 0)
        });
    }
    text.replace('\n', "\\n").replace('\r', "\\r")
}

/// Replaces the values of a key, which end where `end` says, by a quoted word.
fn replaced(text: &str, key: &str, word: &str, end: impl Fn(&str) -> Option<usize>) -> String {
    let key = format!("\"{key}\":");
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, value)) = rest.split_once(&key) {
        out.push_str(before);
        out.push_str(&key);
        rest = value;
        if let Some(end) = end(value) {
            out.push_str(&format!("\"{word}\""));
            rest = &value[end..];
        }
    }
    out + rest
}

/// Replaces times of our days by `<time>`.
fn without_times(text: &str) -> String {
    const SHAPE: &str = "20Yd-dd-ddTdd:dd:dd";
    let fits = |text: &[u8]| {
        text.len() >= SHAPE.len()
            && SHAPE.bytes().zip(text).all(|(shape, byte)| match shape {
                b'Y' => matches!(byte, b'2' | b'3'),
                b'd' => byte.is_ascii_digit(),
                shape => shape == *byte,
            })
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("20") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if !fits(rest.as_bytes()) {
            out.push_str("20");
            rest = &rest[2..];
            continue;
        }
        let behind =
            rest[SHAPE.len()..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
        match behind.strip_prefix('Z') {
            Some(behind) => {
                out.push_str("<time>");
                rest = behind;
            }
            None => {
                out.push_str("20");
                rest = &rest[2..];
            }
        }
    }
    out + rest
}

#[test]
fn what_varies_is_replaced_and_nothing_else() {
    let check = |text: &str, expected: &str| assert_eq!(normalised(text), expected);
    check(
        r#"{"ts":"2026-11-21T12:30:45.399356109Z","never":"0001-01-01T00:00:00Z","far":"2040-01-01T00:00:00Z"}"#,
        r#"{"ts":"<time>","never":"0001-01-01T00:00:00Z","far":"2040-01-01T00:00:00Z"}"#,
    );
    check(
        r#"{"_nats.ver":"2.15.1","_nats.level":"5","level":1,"active":-1}"#,
        r#"{"_nats.ver":"<version>","_nats.level":"<level>","level":"<level>","active":-1}"#,
    );
    check(
        r#"{"active":2026,"x":20}"#,
        r#"{"active":"<nanos>","x":20}"#,
    );
}

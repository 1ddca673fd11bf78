//! What is different on purpose, and the shape in which INFO is compared.

/// Values that are another's at every start or on every machine; the transcripts have
/// `<key>` in their place. Presence and order are compared.
const CHANGING: [&str; 9] = [
    "server_id",
    "version",
    "git_commit",
    "go",
    "port",
    "client_id",
    "nonce",
    "xkey",
    "api_lvl",
];

/// Fields of INFO that nats-server has and we do not, with the reason.
const ABSENT: [(&str, &str); 2] = [
    ("git_commit", "a release is named by its version alone"),
    (
        "xkey",
        "encrypted auth callout is not built: a key would promise it",
    ),
];

/// Answers that are other than those of nats-server: scenario, its lines, ours, why.
pub const OTHERWISE: [(&str, &str, &str, &str); 2] = [
    (
        "pub with a size of leading zeros",
        "a< MSG foo 1 0000002\n",
        "a< MSG foo 1 2\n",
        "sizes are written in their shortest form, not repeated",
    ),
    (
        "a stream of another account",
        "b< MSG from.s.z 1 1\nb< 3\n",
        "",
        "UNSUB with a count holds for imported streams too",
    ),
];

/// A scenario's text with our answers in the place of theirs.
pub fn apply(name: &str, text: &str) -> String {
    let mut text = text.to_owned();
    for (_, theirs, ours, _) in OTHERWISE.iter().filter(|row| row.0 == name) {
        assert!(
            text.contains(theirs),
            "{name}: {theirs:?} is not said any more"
        );
        text = text.replace(theirs, ours);
    }
    text
}

/// An INFO line as transcripts have it, without what is absent on purpose.
pub fn normalised(line: &str) -> String {
    let mut line = line.to_owned();
    for key in CHANGING {
        line = replace_value(&line, key, &format!("\"<{key}>\""));
    }
    for key in ["connect_urls", "ws_connect_urls"] {
        line = replace_value(&line, key, &format!("[\"<{key}>\"]"));
    }
    if let Some(at) = line.find("\"server_name\":\"N") {
        let value = &line[at + "\"server_name\":\"".len()..];
        let end = value.find('"').unwrap_or(0);
        if end == 56 {
            line = replace_value(&line, "server_name", "\"<server_id>\"");
        }
    }
    for (key, _) in ABSENT {
        line = replace_value(&line, key, "");
        line = line.replace(&format!(",\"{key}\":"), "");
    }
    line
}

/// Replaces the value of `key`: a string, a list or a number.
fn replace_value(line: &str, key: &str, with: &str) -> String {
    let start = format!("\"{key}\":");
    let Some(at) = line.find(&start) else {
        return line.to_owned();
    };
    let from = at + start.len();
    let value = &line[from..];
    let len = match value.as_bytes().first() {
        Some(b'"') => value[1..].find('"').map_or(value.len(), |end| end + 2),
        Some(b'[') => value.find(']').map_or(value.len(), |end| end + 1),
        _ => value.find([',', '}']).unwrap_or(value.len()),
    };
    format!("{}{with}{}", &line[..from], &value[len..])
}

#[test]
fn info_is_compared_without_what_changes() {
    let line = "INFO {\"server_id\":\"NA\",\"port\":1,\"api_lvl\":5,\"xkey\":\"X\"} \r\n";
    let expected =
        "INFO {\"server_id\":\"<server_id>\",\"port\":\"<port>\",\"api_lvl\":\"<api_lvl>\"} \r\n";
    assert_eq!(normalised(line), expected);
    assert_eq!(normalised(expected), expected);
}

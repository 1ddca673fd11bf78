//! What is different on purpose: what we say otherwise than the peer, and why.
//!
//! `differences.txt` has, by scenario, requests with our answers, in the form of a
//! transcript, and words that stand in the place of others. A line that begins with `#`
//! says why for everything up to the next such line.
//!
//! ```text
//! == name            the scenario
//! # why
//! swap theirs        in all answers of the scenario
//! with ours
//! + A: b             this request, with these headers,
//! > subject body     ...
//! < answer           is answered so
//! ```

const TEXT: &str = include_str!("differences.txt");

/// A scenario's text with our answers in the place of theirs.
pub fn apply(name: &str, text: &str) -> String {
    let mut text = text.to_owned();
    let blocks = TEXT.split("\n== ").skip(1);
    for block in blocks {
        let (scenario, rows) = block.split_once('\n').unwrap_or((block, ""));
        if scenario == name {
            text = apply_rows(name, &text, rows);
        }
    }
    text
}

fn apply_rows(name: &str, text: &str, rows: &str) -> String {
    let mut text = text.to_owned();
    let mut lines = rows
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .peekable();
    while let Some(line) = lines.next() {
        if let Some(theirs) = line.strip_prefix("swap ") {
            let ours = lines.next().and_then(|line| line.strip_prefix("with"));
            let ours = ours.expect("swap is followed by with").trim_start();
            assert!(text.contains(theirs), "{name}: nobody says {theirs:?}");
            text = text.replace(theirs, ours);
            continue;
        }
        let mut request = format!("\n{line}");
        let mut is_complete = line.starts_with('>');
        let mut answers = String::new();
        while let Some(next) = lines.peek() {
            match next.starts_with('<') {
                true => answers.push_str(&format!("\n{next}")),
                false if is_complete => break,
                false => {
                    is_complete = next.starts_with('>');
                    request.push_str(&format!("\n{next}"));
                }
            }
            lines.next();
        }
        text = answered(name, &text, &request, &answers);
    }
    text
}

/// Replaces the answers to a request.
fn answered(name: &str, text: &str, request: &str, answers: &str) -> String {
    let start = format!("{request}\n");
    let (before, after) = text
        .split_once(&start)
        .unwrap_or_else(|| panic!("{name}: nobody asks {request}"));
    let mut rest = after;
    while rest.starts_with('<') {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    format!("{before}{request}{answers}\n{rest}")
}

#[test]
fn answers_and_words_are_replaced() {
    let text = "\n> a 1\n< x\n< y\n> b\n+ H: 1\n> a 1\n< z\n";
    let rows = "# why\n> b\n< new\n+ H: 1\n> a 1\n< other\nswap y\nwith yy\n";
    assert_eq!(
        apply_rows("n", text, rows),
        "\n> a 1\n< x\n< yy\n> b\n< new\n+ H: 1\n> a 1\n< other\n"
    );
}

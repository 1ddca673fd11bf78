//! A transcript as steps.

use std::collections::VecDeque;

use super::differences;

/// One scenario.
pub struct Script {
    pub name: String,
    pub conf: String,
    pub steps: Vec<Step>,
}

/// One thing that happens. Connections have one-letter names.
#[derive(Debug, PartialEq)]
pub enum Step {
    Open {
        name: char,
        shown: bool,
    },
    /// Sent in one write, or byte by byte.
    Send {
        name: char,
        bytes: Vec<u8>,
        bytewise: bool,
    },
    /// Comes back.
    Expect {
        name: char,
        bytes: Vec<u8>,
    },
    Closed {
        name: char,
        reason: String,
    },
    HangUp(char),
}

impl Script {
    /// All scenarios of a file.
    pub fn parse(text: &str) -> Vec<Script> {
        let mut blocks = text.split("\n== ");
        blocks.next();
        blocks.map(Script::parse_one).collect()
    }

    fn parse_one(block: &str) -> Script {
        let (name, text) = block.split_once('\n').unwrap_or((block, ""));
        let text = differences::apply(name, &format!("{text}\n"));
        let mut script = Script {
            name: name.to_owned(),
            conf: String::new(),
            steps: Vec::new(),
        };
        // Lines that follow each other are one write.
        let mut joins = false;
        for line in text.split('\n') {
            if let Some(conf) = line.strip_prefix("conf ") {
                script.conf.push_str(conf);
                script.conf.push('\n');
            } else if let Some(step) = step(line) {
                match (script.steps.last_mut(), step) {
                    (
                        Some(Step::Send { name, bytes, .. }),
                        Step::Send {
                            name: same,
                            bytes: more,
                            ..
                        },
                    ) if joins && *name == same => bytes.extend(more),
                    (_, step) => script.steps.push(step),
                }
                joins = true;
                continue;
            }
            joins = false;
        }
        script
    }
}

fn step(line: &str) -> Option<Step> {
    let words: VecDeque<&str> = line.split(' ').collect();
    let name = |at: usize| words.get(at).and_then(|word| word.chars().next());
    match words[0] {
        "open" => {
            let shown = words.get(2) == Some(&"shown");
            return Some(Step::Open {
                name: name(1)?,
                shown,
            });
        }
        "hangup" => return Some(Step::HangUp(name(1)?)),
        "slow" | "" => return None,
        _ => {}
    }
    let name = name(0)?;
    let after = &line[1..];
    if let Some(reason) = after.strip_prefix(" closed ") {
        return Some(Step::Closed {
            name,
            reason: reason.to_owned(),
        });
    }
    let (how, text) = after.split_once(' ').unwrap_or((after, ""));
    let mut bytes = unescape(text);
    if !matches!(how, ">>" | "<<") {
        bytes.extend(b"\r\n");
    }
    match how {
        ">" | ">>" => Some(Step::Send {
            name,
            bytes,
            bytewise: false,
        }),
        "/" => Some(Step::Send {
            name,
            bytes,
            bytewise: true,
        }),
        "<" | "<<" => Some(Step::Expect { name, bytes }),
        _ => panic!("no step: {line}"),
    }
}

/// Undoes the escapes of a transcript.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend(before.bytes());
        let mut taken = 1;
        match after.as_bytes()[0] {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'x' => {
                taken = 3;
                out.push(u8::from_str_radix(&after[1..3], 16).expect("two hex digits"));
            }
            b'{' => {
                let end = after.find('}').expect("a repetition ends");
                let (piece, count) = after[1..end].rsplit_once('*').expect("text*count");
                out.extend(unescape(piece).repeat(count.parse().expect("a count")));
                taken = end + 1;
            }
            other => out.push(other),
        }
        rest = &after[taken..];
    }
    out.extend(rest.bytes());
    out
}

#[test]
fn escapes_are_undone() {
    assert_eq!(unescape(r"a\r\n\x41\\\{ab*2}\{\x20*3}"), b"a\r\nA\\abab   ");
}

#[test]
fn lines_that_follow_each_other_are_one_write() {
    let scripts = Script::parse(
        "# x\n\n== one\nconf a: b\nopen a\na> PING\na/ X\n\na>> Y\na< PONG\na closed Z\n",
    );
    let send = |bytes: &[u8]| Step::Send {
        name: 'a',
        bytes: bytes.to_vec(),
        bytewise: false,
    };
    let expected = [
        Step::Open {
            name: 'a',
            shown: false,
        },
        send(b"PING\r\nX\r\n"),
        send(b"Y"),
        Step::Expect {
            name: 'a',
            bytes: b"PONG\r\n".to_vec(),
        },
        Step::Closed {
            name: 'a',
            reason: "Z".to_owned(),
        },
    ];
    assert_eq!(scripts[0].steps, expected);
    assert_eq!(
        (scripts[0].name.as_str(), scripts[0].conf.as_str()),
        ("one", "a: b\n")
    );
}

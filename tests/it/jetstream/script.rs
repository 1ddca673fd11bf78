//! A transcript as steps.

use super::differences;

/// One scenario.
pub struct Script {
    pub name: String,
    pub conf: String,
    pub steps: Vec<Step>,
}

/// One thing that is done, and what came of it.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Who does what follows.
    As(String),
    /// A request; it is repeated until the answers are those expected if `retry`.
    Request {
        subject: String,
        body: String,
        headers: String,
        /// What the reply subject ends with.
        suffix: String,
        retry: bool,
        answers: Vec<String>,
    },
    /// A message without a reply subject.
    Publish {
        subject: String,
        body: String,
        headers: String,
    },
    /// A subscription.
    Listen(String),
    /// What subscriptions got since.
    Heard(Vec<String>),
    /// A page of monitoring.
    Get {
        path: String,
        retry: bool,
        answer: String,
    },
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
        let text = differences::apply(name, &format!("\n{text}\n"));
        let mut script = Script {
            name: name.to_owned(),
            conf: String::new(),
            steps: Vec::new(),
        };
        let mut pending = Vec::new();
        let mut waited = false;
        let mut reply = String::new();
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "" | "#" => {}
                "conf" => script.conf = format!("{}{rest}\n", script.conf),
                "+" => pending.push(expanded(rest)),
                "reply" => rest.clone_into(&mut reply),
                "wait" => waited = true,
                "<" | "*" | "=" => answered(script.steps.last_mut(), word, rest),
                _ => {
                    let headers = pending.join("\r\n");
                    let mut step = step(word, rest, headers, waited);
                    if let Step::Request { suffix, .. } = &mut step {
                        *suffix = std::mem::take(&mut reply);
                    }
                    script.steps.push(step);
                    pending.clear();
                    waited = false;
                }
            }
        }
        script
    }
}

fn step(word: &str, rest: &str, headers: String, retry: bool) -> Step {
    let (subject, body) = rest.split_once(' ').unwrap_or((rest, ""));
    let (subject, body) = (expanded(subject), expanded(body));
    match word {
        "as" => Step::As(rest.to_owned()),
        ">" | ">>" => Step::Request {
            subject,
            body,
            headers,
            suffix: String::new(),
            retry,
            answers: Vec::new(),
        },
        "publish" => Step::Publish {
            subject,
            body,
            headers,
        },
        "listen" => Step::Listen(rest.to_owned()),
        "heard" => Step::Heard(Vec::new()),
        "get" => Step::Get {
            path: rest.to_owned(),
            retry,
            answer: String::new(),
        },
        _ => panic!("no step: {word} {rest}"),
    }
}

fn answered(step: Option<&mut Step>, word: &str, text: &str) {
    match (word, step) {
        ("<", Some(Step::Request { answers, .. })) => answers.push(text.to_owned()),
        ("*", Some(Step::Heard(heard))) => heard.push(text.to_owned()),
        ("=", Some(Step::Get { answer, .. })) => text.clone_into(answer),
        (_, step) => panic!("no answer to {step:?}: {text}"),
    }
}

/// Undoes `\{piece*count}`.
fn expanded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\{") {
        out.push_str(before);
        let (inside, behind) = after.split_once('}').expect("a repetition ends");
        let (piece, count) = inside.rsplit_once('*').expect("piece*count");
        out.push_str(&piece.repeat(count.parse().expect("a count")));
        rest = behind;
    }
    out + rest
}

#[test]
fn repetitions_are_expanded() {
    assert_eq!(expanded(r#"{"a":"\{xy*2}\n"}"#), r#"{"a":"xyxy\n"}"#);
}

#[test]
fn answers_belong_to_what_was_done_before_them() {
    let scripts = Script::parse(
        "# x\n\n== one\nconf a: b\n+ A: b\n+ C: d\nreply .x\n> s.t {\"x\": 1}\n< (503)\nheard\n* a b\nwait 2\nget /x\n= 200 {}\n",
    );
    let text = |text: &str| text.to_owned();
    let expected = [
        Step::Request {
            subject: text("s.t"),
            body: text("{\"x\": 1}"),
            headers: text("A: b\r\nC: d"),
            suffix: text(".x"),
            retry: false,
            answers: vec![text("(503)")],
        },
        Step::Heard(vec![text("a b")]),
        Step::Get {
            path: text("/x"),
            retry: true,
            answer: text("200 {}"),
        },
    ];
    assert_eq!(scripts[0].steps, expected);
    assert_eq!(scripts[0].conf, "a: b\n");
}

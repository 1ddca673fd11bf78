//! Plays a transcript to a server in this process.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::{Value, json};

use super::script::{Script, Step};
use super::varying::normalised;
use crate::monitor_world::{Client, PATIENCE, Received, World};

const BASE: &str = r#"
server_name: golden
listen: "127.0.0.1:-1"
http: "127.0.0.1:-1"
"#;
const JETSTREAM: &str = "jetstream { store_dir: '@DIR/data', max_mem: 64MB, max_file: 64MB }\n";

/// Plays one scenario; the differences if there are any.
pub fn play(script: &Script) -> Result<(), String> {
    let dir = tempfile::tempdir().expect("a directory");
    let mut conf = format!("{BASE}{}", script.conf);
    let own = conf.split("accounts").next().unwrap_or_default();
    if !own.contains("jetstream") {
        conf.push_str(JETSTREAM);
    }
    let path = dir.path().to_str().expect("a path");
    let mut player = Player {
        world: World::start(&conf.replace("@DIR", path)),
        clients: HashMap::new(),
        user: String::new(),
    };
    let mut wrong = Vec::new();
    for step in &script.steps {
        if let Err(difference) = player.step(step) {
            wrong.push(difference);
        }
    }
    for (user, client) in &mut player.clients {
        let late = client.take(0);
        if !late.is_empty() {
            wrong.push(format!("{user:?} got at the end: {late:?}"));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n")),
    }
}

struct Player {
    world: World,
    clients: HashMap<String, Ear>,
    user: String,
}

/// A client, and what it got and nobody asked for yet.
struct Ear {
    client: Client,
    heard: Vec<String>,
}

impl Ear {
    /// What was heard: as many as expected, and what came besides.
    fn take(&mut self, expected: usize) -> Vec<String> {
        while self.heard.len() < expected {
            let Some(message) = self.client.next_message() else {
                break;
            };
            self.heard.push(shown_with_subject(&message));
        }
        for message in self.client.arrived() {
            self.heard.push(shown_with_subject(&message));
        }
        std::mem::take(&mut self.heard)
    }

    fn answers(&mut self, reply: &str, count: usize) -> Vec<String> {
        let mut answers = Vec::new();
        while answers.len() < count {
            let Some(message) = self.client.next_message() else {
                break;
            };
            match message.subject == reply {
                true => answers.push(shown(&message)),
                false => self.heard.push(shown_with_subject(&message)),
            }
        }
        answers
    }
}

impl Player {
    fn ear(&mut self) -> &mut Ear {
        let world = &self.world;
        let connect = match self.user.as_str() {
            "" => json!({}),
            user => json!({"user": user, "pass": user}),
        };
        self.clients.entry(self.user.clone()).or_insert_with(|| {
            let client = world.client(&connect);
            let heard = Vec::new();
            Ear { client, heard }
        })
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::As(user) => self.user.clone_from(user),
            Step::Listen(subject) => {
                let client = &mut self.ear().client;
                client.send(&format!("SUB {subject} heard\r\n"));
                client.flush();
            }
            Step::Publish {
                subject,
                body,
                headers,
            } => self.ear().client.tell(subject, body, headers),
            Step::Heard(expected) => {
                let heard = self.ear().take(expected.len());
                return compare("heard", expected, &heard);
            }
            Step::Request {
                subject,
                body,
                headers,
                suffix,
                retry,
                answers,
            } => {
                let ear = self.ear();
                let ask = || {
                    let client = &mut ear.client;
                    let reply = client.ask_with(subject, body, headers, suffix);
                    ear.answers(&reply, answers.len())
                };
                return until(*retry, &format!("> {subject} {body}"), answers, ask);
            }
            Step::Get {
                path,
                retry,
                answer,
            } => {
                let world = &self.world;
                let ask = || vec![page(world, path)];
                let expected = std::slice::from_ref(answer);
                return until(*retry, &format!("get {path}"), expected, ask);
            }
        }
        Ok(())
    }
}

/// Asks once, or until the answers are those expected.
fn until(
    retry: bool,
    what: &str,
    expected: &[String],
    mut ask: impl FnMut() -> Vec<String>,
) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = compare(what, expected, &ask());
        if told.is_ok() || !retry || Instant::now() > deadline {
            return told;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn compare(what: &str, expected: &[String], told: &[String]) -> Result<(), String> {
    if expected == told {
        return Ok(());
    }
    let mut text = format!("{what}\n");
    for line in expected {
        text.push_str(&format!("  - {line}\n"));
    }
    for line in told {
        text.push_str(&format!("  + {line}\n"));
    }
    Err(text)
}

/// A page of monitoring on one line.
fn page(world: &World, path: &str) -> String {
    let answer = world.get(path);
    let body = match serde_json::from_str::<Value>(&answer.body) {
        Ok(mut value) => {
            hide_counts(&mut value);
            value.to_string()
        }
        Err(_) => answer.body,
    };
    normalised(&format!("{} {body}", answer.status))
}

/// How often the server asks itself is its own business.
fn hide_counts(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("errors") && fields.contains_key("total") {
                for key in ["total", "errors"] {
                    fields[key] = "<count>".into();
                }
            }
            fields.values_mut().for_each(hide_counts);
        }
        Value::Array(list) => list.iter_mut().for_each(hide_counts),
        _ => {}
    }
}

/// A message as a transcript has it.
fn shown(message: &Received) -> String {
    let body = String::from_utf8_lossy(&message.body);
    let block = message.headers.strip_prefix("NATS/1.0");
    let text = match block {
        None => body.into_owned(),
        Some(block) => {
            let lines: Vec<&str> = block.trim().split("\r\n").map(str::trim).collect();
            format!("({}) {body}", lines.join(" | "))
        }
    };
    normalised(&text).trim_end().to_owned()
}

fn shown_with_subject(message: &Received) -> String {
    let text = format!("{} {}", message.subject, shown(message));
    text.trim_end().to_owned()
}

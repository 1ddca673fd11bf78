//! What a stream does, in words: one command a line, and what becomes of it.
//!
//! ```text
//!   [t=SECONDS] COMMAND WORDS key=value … -> answer[; effect …]
//! ```

mod copies;
mod interest;
mod limits;
mod publishing;

use super::*;
use crate::consumer::command::Command as ConsumerCommand;
use crate::consumer::config::{AckPolicy, Config as ConsumerConfig, DeliverPolicy};
use crate::store::memory::MemoryStore;
use crate::stream::command::Copy;
use crate::stream::outcome::{Answer, Effect};

const SECOND: i64 = 1_000_000_000;

struct Line<'a> {
    words: Vec<&'a str>,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Line<'a> {
    fn new(text: &'a str) -> Self {
        let (pairs, words): (Vec<_>, Vec<_>) =
            text.split_whitespace().partition(|word| word.contains('='));
        let pairs = pairs
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .collect();
        Line { words, pairs }
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        let mut pairs = self.pairs.iter();
        pairs
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    }

    fn number(&self, at: usize) -> u64 {
        self.words[at].parse().unwrap()
    }

    fn seq(&self, at: usize) -> Seq {
        Seq(self.number(at))
    }

    /// The headers are the pairs that begin with a capital.
    fn headers(&self) -> Bytes {
        let capital = |(name, _): &&(&str, &str)| name.starts_with(char::is_uppercase);
        let fields: Vec<_> = self.pairs.iter().filter(capital).copied().collect();
        headers(&fields)
    }

    fn payload(&self) -> Bytes {
        let size = self.get("size").map_or(0, |size| size.parse().unwrap());
        Bytes::from(vec![b'x'; size])
    }

    fn bytes(&self, at: usize) -> Bytes {
        Bytes::copy_from_slice(self.words[at].as_bytes())
    }

    fn command(&self) -> Command {
        let consumer = |command| Command::Consumer {
            name: self.words[1].to_owned(),
            command,
        };
        match self.words[0] {
            "publish" => Command::Publish(Publish::new(
                &self.bytes(1),
                &self.headers(),
                &self.payload(),
            )),
            "copy" => Command::Copy(Box::new(Copy {
                source: u32::try_from(self.number(1)).unwrap(),
                generation: self.get("of").map(|of| of.parse().unwrap()),
                after: self.get("after").map(|after| Seq(after.parse().unwrap())),
                origin_seq: self.seq(2),
                origin_time: millis(7),
                subject: self.bytes(3),
                headers: self.headers(),
                payload: self.payload(),
            })),
            "tick" => Command::Tick,
            "purge" => Command::Purge {
                filter: Bytes::copy_from_slice(self.get("filter").unwrap_or("").as_bytes()),
                below: self.get("below").map(|below| Seq(below.parse().unwrap())),
                keep: self.get("keep").map_or(0, |keep| keep.parse().unwrap()),
            },
            "delete" => Command::Delete {
                seq: self.seq(1),
                erase: false,
            },
            "put" => Command::PutConsumer {
                name: self.words[1].to_owned(),
                config: Box::new(self.consumer_config()),
            },
            "drop" => Command::DeleteConsumer {
                name: self.words[1].to_owned(),
            },
            "deliver" => consumer(ConsumerCommand::Deliver(
                (2..self.words.len()).map(|at| self.seq(at)).collect(),
            )),
            "ack" => consumer(ConsumerCommand::Ack(
                (2..self.words.len()).map(|at| self.seq(at)).collect(),
            )),
            "exhaust" => consumer(ConsumerCommand::Exhausted(self.seq(2))),
            "term" => consumer(ConsumerCommand::Terminate {
                seq: self.seq(2),
                reason: String::new(),
            }),
            "reset" => consumer(ConsumerCommand::Reset(Some(self.seq(2)))),
            other => panic!("no command {other}"),
        }
    }

    fn consumer_config(&self) -> ConsumerConfig {
        ConsumerConfig {
            durable_name: self.words[1].to_owned(),
            filter_subject: self.get("filter").unwrap_or("").to_owned(),
            deliver_policy: match self.get("from") {
                Some("new") => DeliverPolicy::New,
                _ => DeliverPolicy::All,
            },
            ack_policy: match self.get("ack") {
                Some("none") => AckPolicy::None,
                Some("all") => AckPolicy::All,
                _ => AckPolicy::Explicit,
            },
            direct: self.get("direct").is_some(),
            max_deliver: self
                .get("max_deliver")
                .map_or(-1, |max| max.parse().unwrap()),
            max_ack_pending: -1,
            ..ConsumerConfig::default()
        }
    }
}

fn render(outcome: &Outcome) -> String {
    let mut text = match &outcome.answer {
        Answer::Nothing => "nothing".to_owned(),
        Answer::Stored(seq) => format!("stored {seq}"),
        Answer::Skipped(seq) => format!("skipped {seq}"),
        Answer::Duplicate(seq) => format!("duplicate {seq}"),
        Answer::Refused(error) => {
            let error = error.to_api_error();
            format!("{} {}", error.err_code, error.description)
        }
        Answer::Ticked => "ticked".to_owned(),
        Answer::Configured => "configured".to_owned(),
        Answer::Purged(messages) => format!("purged {messages}"),
        Answer::Deleted(was_there) => format!("deleted {was_there}"),
        Answer::ConsumerPut { created: true } => "created".to_owned(),
        Answer::ConsumerPut { created: false } => "updated".to_owned(),
        Answer::ConsumerDeleted(was_there) => format!("deleted {was_there}"),
        Answer::Consumer(outcome) if outcome.changed => "changed".to_owned(),
        Answer::Consumer(_) => "unchanged".to_owned(),
        Answer::NoConsumer => "no consumer".to_owned(),
    };
    for effect in &outcome.effects {
        text += &match effect {
            Effect::Republish(stored) => {
                format!("; republish {} after {}", stored.seq, stored.previous)
            }
            Effect::Terminated {
                consumer,
                delivery,
                cause,
            } => format!(
                "; {consumer} loses {} {}x@{}: {cause:?}",
                delivery.stream_seq, delivery.count, delivery.consumer_seq
            ),
        };
    }
    if outcome.removed > 0 {
        text += &format!("; {} gone", outcome.removed);
    }
    text
}

fn seqs(machine: &mut Machine) -> String {
    let seqs: Vec<String> = messages(machine)
        .iter()
        .map(|m| m.seq.to_string())
        .collect();
    seqs.join(" ")
}

/// Runs a script; `holds` lists the sequences there, `headers` shows those of a message.
fn run(config: Config, script: &str) -> Machine {
    let mut machine = Machine::new(config, Box::new(MemoryStore::new()), millis(0)).unwrap();
    go_on(&mut machine, script);
    machine
}

fn go_on(machine: &mut Machine, script: &str) {
    let mut now = machine.now();
    for text in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (asked, expected) = text.split_once("->").unwrap_or((text, ""));
        let line = Line::new(asked);
        if let Some(seconds) = line.get("t") {
            let seconds: f64 = seconds.parse().unwrap();
            #[allow(clippy::cast_possible_truncation, reason = "small numbers")]
            let nanos = (seconds * SECOND as f64) as i64;
            now = Timestamp::from_unix_nanos(nanos);
        }
        let actual = match line.words[0] {
            "holds" => seqs(machine),
            "first" => machine.state().first_seq.to_string(),
            "headers" => {
                let message = machine.store().get(line.seq(1)).unwrap().unwrap();
                String::from_utf8_lossy(&message.headers[10..]).replace("\r\n", " ")
            }
            "deadline" => machine.next_deadline().map_or("none".to_owned(), |at| {
                (at.unix_nanos() as f64 / SECOND as f64).to_string()
            }),
            _ => render(&machine.apply(now, line.command()).unwrap()),
        };
        assert_eq!(actual.trim(), expected.trim(), "{text}");
    }
}

fn check(config: Config, script: &str) {
    run(config, script);
}

/// Machine and the same from its snapshot.
fn twins(mut machine: Machine) -> [Machine; 2] {
    let state = machine.encode_state(Bytes::new()).into();
    let mut store = MemoryStore::new();
    for message in messages(&mut machine) {
        crate::store::MsgStore::append(&mut store, message.as_ref()).unwrap();
    }
    let (restored, _) = Machine::restore(&state, Box::new(store)).unwrap();
    [machine, restored]
}

#[test]
fn a_damaged_state_is_refused() {
    let mut machine = run(
        config(),
        r"
        put c                     -> created
        publish s.a Nats-Msg-Id=1 -> stored 1
        deliver c 1               -> changed
    ",
    );
    let state = machine.encode_state(Bytes::new());
    for cut in 0..state.len() {
        let cut = Bytes::copy_from_slice(&state[..cut]);
        let _ = Machine::restore(&cut, Box::new(MemoryStore::new()));
    }
    let garbage = Bytes::from_static(b"\xff\xff");
    assert!(Machine::restore(&garbage, Box::new(MemoryStore::new())).is_err());
    go_on(&mut machine, "holds -> 1");
}

//! The machine against the model, against itself, and in words.

mod histories;
mod scripts;

use bytes::Bytes;

use super::command::{Command, Publish};
use super::config::Config;
use super::fake_store::FakeStore;
use super::machine::Machine;
use super::outcome::Outcome;
use crate::clock::Timestamp;
use crate::state_machine::StateMachine as _;
use crate::store::message::{Message, Seq};

fn millis(millis: i64) -> Timestamp {
    Timestamp::from_unix_nanos(millis * 1_000_000)
}

fn config() -> Config {
    Config {
        name: "S".to_owned(),
        subjects: vec!["s.>".to_owned()],
        max_msgs: -1,
        max_bytes: -1,
        max_msgs_per_subject: -1,
        max_msg_size: -1,
        duplicate_window: 10_000_000_000,
        ..Config::default()
    }
}

fn headers(fields: &[(&str, &str)]) -> Bytes {
    if fields.is_empty() {
        return Bytes::new();
    }
    let mut block = "NATS/1.0\r\n".to_owned();
    for (name, value) in fields {
        block += &format!("{name}: {value}\r\n");
    }
    block += "\r\n";
    block.into()
}

fn publish(subject: &str, fields: &[(&str, &str)], payload: &str) -> Command {
    Command::Publish(Publish::new(
        subject.as_bytes(),
        &headers(fields),
        payload.as_bytes(),
    ))
}

fn messages(machine: &mut Machine) -> Vec<Message> {
    let mut all = Vec::new();
    let every = crate::subject::filters::Filters::all();
    let mut each = |message: crate::store::message::MessageRef<'_>| {
        all.push(message.into());
        std::ops::ControlFlow::Continue(())
    };
    machine.store().scan(Seq(1), &every, &mut each).unwrap();
    all
}

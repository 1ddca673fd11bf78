//! The little language of the tables.
//!
//! A line is `t=<seconds>  <step>; <step> -> <what clients see>, …`; what is seen is
//! [`super::world::show`]'s lines. Steps: `store <subject> [bytes]`, `rm <seq>`,
//! `pull <reply> [<body>]`, `ack|nak|wpi|term|nxt <seq> [rest]`, `up`, `down`,
//! `gone <reply> [imported]`, `close <why>`,
//! `flow <subject>`, `reset [<seq>]`, `pause <seconds>`, `leader`, `info`, `tick`.

use super::world::{SECOND, World, at, show};
use crate::consumer::command::Command;
use crate::consumer::config::Config;
use crate::consumer::dispatch::{Answer, Closed};
use crate::store::memory::MemoryStore;
use crate::store::message::Seq;

/// Plays a script and compares what is seen, line by line: it is the same whether messages
/// are sent ahead of the log or not, as long as the log takes everything.
pub fn check(config: Config, script: &str) {
    check_from(config, &[], script);
}

/// The same, with messages on these subjects stored before the consumer is made.
pub fn check_from(config: Config, stored: &[&str], script: &str) {
    let store = || {
        let mut before = World::new(Config::default(), MemoryStore::new());
        for subject in stored {
            before.store(subject, b"x");
        }
        before.store
    };
    play(&mut World::new(config.clone(), store()), script);
    play(&mut World::sending_ahead(config, store()), script);
}

fn play(world: &mut World, script: &str) {
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (steps, expected) = line.split_once("->").unwrap_or((line, ""));
        let (time, steps) = steps
            .trim()
            .strip_prefix("t=")
            .and_then(|rest| rest.split_once(' '))
            .unwrap_or_else(|| panic!("no time in {line}"));
        let seconds: f64 = time.parse().expect("a time in seconds");
        #[allow(clippy::cast_possible_truncation, reason = "a table's small number")]
        let now = (seconds * SECOND as f64) as i64;
        world.now = at(now);
        let mut seen = Vec::new();
        for each in steps.split(';') {
            step(world, each.trim(), &mut seen);
        }
        assert_eq!(seen.join(", "), expected.trim(), "{line}");
    }
}

fn step(world: &mut World, step: &str, seen: &mut Vec<String>) {
    let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
    let rest = rest.trim();
    let (first, tail) = rest.split_once(' ').unwrap_or((rest, ""));
    let seq = first.parse().map(Seq).unwrap_or_default();
    match verb {
        "store" => {
            let size = tail.parse().unwrap_or(1);
            world.store(first, &vec![b'x'; size]);
        }
        "rm" => {
            world.remove(seq);
        }
        "pull" => {
            let actions = world.pull(first, tail);
            seen.extend(actions.iter().map(show));
        }
        "ack" | "nak" | "wpi" | "term" | "nxt" => {
            let kind = match verb {
                "ack" => "+ACK",
                "nak" => "-NAK",
                "wpi" => "+WPI",
                "term" => "+TERM",
                _ => "+NXT",
            };
            let payload = format!("{kind} {tail}");
            let (acked, actions) = world.ack(seq, payload.trim(), "r");
            seen.extend(actions.iter().map(show));
            match acked.answer {
                Answer::None => {}
                Answer::Now => seen.push("ok!".to_owned()),
                Answer::Applied => seen.push("ok".to_owned()),
            }
        }
        "up" => world.dispatcher.on_interest(world.now, true),
        "down" => world.dispatcher.on_interest(world.now, false),
        "gone" => {
            let mut actions = Vec::new();
            world
                .dispatcher
                .on_interest_lost(first.as_bytes(), tail == "imported", &mut actions);
            seen.extend(actions.iter().map(show));
        }
        "close" => {
            let why = match first {
                "deleted" => Closed::Deleted,
                "leadership" => Closed::LeadershipChange,
                _ => Closed::Shutdown,
            };
            let mut actions = Vec::new();
            world.dispatcher.close(why, &mut actions);
            seen.extend(actions.iter().map(show));
        }
        "flow" => {
            let headers = tail.replace('|', "\r\n");
            let command = world.dispatcher.on_flow_reply(
                &world.consumer,
                first.as_bytes(),
                headers.as_bytes(),
            );
            world.log.extend(command);
        }
        "reset" => world
            .log
            .push_back(Command::Reset((seq != Seq::NONE).then_some(seq))),
        "pause" => {
            let until = first
                .parse::<i64>()
                .ok()
                .map(|seconds| at(seconds * SECOND));
            world.log.push_back(Command::Pause(until));
        }
        "leader" => world.change_leader(),
        "info" => {
            let (consumer, state) = (&world.consumer, world.consumer.state());
            seen.push(format!(
                "d={}/{} f={}/{} ap={} rd={} p={} w={}",
                state.delivered().consumer,
                state.delivered().stream,
                state.ack_floor().consumer,
                state.ack_floor().stream,
                consumer.num_ack_pending(),
                consumer.num_redelivered(),
                consumer.num_pending(),
                world.dispatcher.num_waiting()
            ));
            return;
        }
        "tick" => {}
        _ => panic!("unknown step: {step}"),
    }
    let told = world.settle();
    seen.extend(told.iter().map(show));
}

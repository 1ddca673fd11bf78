//! Generated histories: machine and model agree after every command, and a machine restored
//! from a checkpoint goes on as the one that wrote it.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::*;
use crate::consumer::command::Command as ConsumerCommand;
use crate::consumer::config::{AckPolicy, Config as ConsumerConfig, DeliverPolicy};
use crate::store::memory::MemoryStore;
use crate::store::message::MessageRef;
use crate::stream::command::Copy;
use crate::stream::config::{Discard, Retention, StreamSource};
use crate::stream::fake_store::Kept;
use crate::stream::model::Model;
use crate::subject::filters::Filters;

/// Picks from a number, so that a history is a list of numbers and cheap to make and shrink.
struct Picks(u64);

impl Picks {
    fn below(&mut self, end: u64) -> u64 {
        let pick = self.0 % end;
        self.0 /= end;
        pick
    }

    fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == of - 1
    }

    fn of<T: Copied>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

trait Copied: std::marker::Copy {}
impl<T: std::marker::Copy> Copied for T {}

fn some_config(number: u64) -> Config {
    let mut picks = Picks(number);
    let mut config = Config {
        max_msgs: picks.of(&[-1, -1, 1, 3, 5]),
        max_bytes: picks.of(&[-1, -1, 60, 150]),
        max_msgs_per_subject: picks.of(&[-1, -1, 1, 2]),
        max_msg_size: picks.of(&[-1, -1, -1, 70]),
        max_age: picks.of(&[0, 0, 2_000_000_000, 5_000_000_000]),
        duplicate_window: picks.of(&[0, 3_000_000_000, 3_000_000_000]),
        first_seq: picks.of(&[0, 0, 0, 5]),
        deny_purge: picks.one_in(8),
        allow_rollup_hdrs: picks.below(2) == 1,
        allow_msg_ttl: picks.below(2) == 1,
        subject_delete_marker_ttl: picks.of(&[0, 0, 1_000_000_000, 2_000_000_000]),
        ..config()
    };
    if picks.below(2) == 1 {
        config.discard = Discard::New;
        config.discard_new_per_subject = picks.below(2) == 1 && config.max_msgs_per_subject > 0;
    }
    let origin = |name: &str| StreamSource {
        name: name.to_owned(),
        ..StreamSource::default()
    };
    config.retention = picks.of(&[
        Retention::Limits,
        Retention::Limits,
        Retention::Interest,
        Retention::WorkQueue,
    ]);
    match picks.below(6) {
        0 => config.mirror = Some(origin("M")),
        1 | 2 => config.sources = vec![origin("A"), origin("B")],
        _ => {}
    }
    if config.mirror.is_some() {
        config.subject_delete_marker_ttl = 0;
    }
    config
}

fn reconfigured(config: &Config, picks: &mut Picks) -> Config {
    Config {
        max_msgs: picks.of(&[-1, 2, 4]),
        max_bytes: picks.of(&[-1, 100]),
        max_msgs_per_subject: picks.of(&[-1, 1, 2]),
        max_age: picks.of(&[0, 1_000_000_000]),
        duplicate_window: picks.of(&[0, 1_000_000_000, 9_000_000_000]),
        discard_new_per_subject: false,
        sealed: picks.one_in(6),
        sources: match picks.below(3) {
            0 => config.sources.iter().rev().cloned().collect(),
            1 => config.sources.iter().skip(1).cloned().collect(),
            _ => config.sources.clone(),
        },
        ..config.clone()
    }
}

fn some_headers(picks: &mut Picks, last: Seq) -> Bytes {
    let mut fields = Vec::new();
    let near = |picks: &mut Picks| (last.0 + picks.below(3)).saturating_sub(1).to_string();
    for _ in 0..picks.of(&[0, 0, 1, 1, 2, 3]) {
        let id = picks.of(&["1", "2", "3"]).to_owned();
        let field = match picks.below(10) {
            0..=2 => ("Nats-Msg-Id", id),
            3 => ("Nats-Expected-Last-Msg-Id", id),
            4 => ("Nats-Expected-Last-Sequence", near(picks)),
            5 => ("Nats-Expected-Last-Subject-Sequence", near(picks)),
            6 => {
                let on = picks.of(&["s.*", "s.a", "s.>"]).to_owned();
                fields.push(("Nats-Expected-Last-Subject-Sequence-Subject", on));
                ("Nats-Expected-Last-Subject-Sequence", near(picks))
            }
            7 => (
                "Nats-Rollup",
                picks.of(&["sub", "ALL", "sub", "other"]).to_owned(),
            ),
            8 => (
                "Nats-TTL",
                picks.of(&["1", "2s", "never", "3", "0"]).to_owned(),
            ),
            _ => match picks.below(3) {
                0 => ("Nats-Expected-Stream", picks.of(&["S", "T"]).to_owned()),
                1 => ("KV-Operation", "PURGE".to_owned()),
                _ => ("Other", id),
            },
        };
        fields.push(field);
    }
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, &**v)).collect();
    headers(&fields)
}

fn some_consumer_command(picks: &mut Picks, config: &Config, last: Seq) -> Command {
    // The consumers of a work queue share no messages.
    let (name, filter) = match config.retention {
        Retention::WorkQueue => picks.of(&[("c0", "s.a"), ("c1", "s.b")]),
        _ => (
            picks.of(&["c0", "c1", "c2"]),
            picks.of(&["s.a", "s.b", "s.*", ""]),
        ),
    };
    let name = name.to_owned();
    let near = |picks: &mut Picks| Seq((last.0 + 1).saturating_sub(picks.below(6)).max(1));
    let command = match picks.below(8) {
        0 | 1 => {
            let config = Box::new(ConsumerConfig {
                durable_name: name.clone(),
                filter_subject: filter.to_owned(),
                deliver_policy: match config.retention {
                    Retention::WorkQueue => DeliverPolicy::All,
                    _ => picks.of(&[DeliverPolicy::All, DeliverPolicy::New]),
                },
                // It stays as it is for a name, as it has to.
                ack_policy: match &*name {
                    "c2" => AckPolicy::None,
                    _ => AckPolicy::Explicit,
                },
                max_deliver: -1,
                max_ack_pending: -1,
                ..ConsumerConfig::default()
            });
            return Command::PutConsumer { name, config };
        }
        2 if picks.below(2) == 0 => return Command::DeleteConsumer { name },
        2..=4 => {
            let from = near(picks);
            ConsumerCommand::Deliver((from.0..=last.0).map(Seq).collect())
        }
        _ => ConsumerCommand::Ack((0..=picks.below(2)).map(|_| near(picks)).collect()),
    };
    Command::Consumer { name, command }
}

fn some_command(number: u64, now: Timestamp, config: &Config, last: Seq) -> Command {
    let mut picks = Picks(number);
    if picks.below(3) == 0 {
        return some_consumer_command(&mut picks, config, last);
    }
    let copies = config.mirror.is_some() || !config.sources.is_empty();
    let subject = Bytes::from(picks.of(&["s.a", "s.a", "s.b", "s.c.d"]));
    let payload = Bytes::from(picks.of(&["", "x", "0123456789", "01234567890123456789"]));
    match picks.below(16) {
        0..=8 if copies && picks.below(3) > 0 => {
            let id = [("Nats-Msg-Id", picks.of(&["1", "2", "3"]))];
            Command::Copy(Box::new(Copy {
                source: u32::try_from(picks.below(3)).unwrap(),
                generation: None,
                after: None,
                origin_seq: Seq((last.0 + picks.below(5)).saturating_sub(1).max(1)),
                origin_time: now,
                subject,
                headers: headers(&id[..picks.of(&[0, 0, 1])]),
                payload,
            }))
        }
        0..=8 if config.mirror.is_none() => {
            let headers = some_headers(&mut picks, last);
            Command::Publish(Publish::new(&subject, &headers, &payload))
        }
        9 => Command::Purge {
            filter: Bytes::from(picks.of(&["", "s.a", "s.*", ">"])),
            below: picks
                .of(&[None, Some(0), Some(2)])
                .map(|back| Seq((last.0 + 2).saturating_sub(back))),
            keep: picks.of(&[0, 0, 1, 2]),
        },
        10 | 11 => Command::Delete {
            seq: Seq(last.0.saturating_sub(picks.below(4)).max(1)),
            erase: picks.below(2) == 1,
        },
        12 => Command::Configure(Box::new(reconfigured(config, &mut picks))),
        _ => Command::Tick,
    }
}

/// A machine over a store whose checkpoints the test can look at.
struct World {
    machine: Machine,
    kept: Kept,
}

impl World {
    fn new(config: Config) -> Self {
        let store = FakeStore::default();
        let kept = store.kept.clone();
        let machine = Machine::new(config, Box::new(store), millis(0)).unwrap();
        World { machine, kept }
    }

    fn checkpoint(&mut self) -> (FakeStore, Bytes) {
        let position = Bytes::from_static(b"here");
        let checkpoint = self.machine.checkpoint(position).unwrap();
        checkpoint.complete().unwrap();
        let (mut store, state) = self.kept.lock().unwrap().take().unwrap();
        store.kept = Kept::default();
        (store, state.into())
    }

    fn restored(&mut self) -> World {
        let (store, state) = self.checkpoint();
        let kept = store.kept.clone();
        let (machine, position) = Machine::restore(&state, Box::new(store)).unwrap();
        assert_eq!(position, "here");
        World { machine, kept }
    }
}

/// A command as an entry of a log has it.
fn entry(command: &Command) -> Bytes {
    let mut bytes = Vec::new();
    Machine::encode(std::slice::from_ref(command), &mut bytes);
    bytes.into()
}

fn apply_entry(machine: &mut Machine, now: Timestamp, entry: &Bytes) -> Outcome {
    let mut commands = Machine::decode(entry).unwrap();
    assert_eq!(commands.len(), 1);
    machine.apply(now, commands.remove(0)).unwrap()
}

/// Whether the machine has exactly the messages of the model.
fn holds(machine: &mut Machine, model: &Model) -> bool {
    let mut expected = model.messages();
    let mut equal = true;
    let mut each = |message: MessageRef<'_>| {
        equal &= expected
            .next()
            .is_some_and(|other| other.as_ref() == message);
        ControlFlow::Continue(())
    };
    let all = Filters::all();
    machine.store().scan(Seq(1), &all, &mut each).unwrap();
    equal && expected.next().is_none()
}

fn pending(machine: &Machine) -> Vec<(String, u64, u64)> {
    let figures = machine.consumers().iter().map(|member| {
        let consumer = &member.consumer;
        let pending = consumer.num_ack_pending();
        (member.name.clone(), consumer.num_pending(), pending)
    });
    figures.collect()
}

/// One machine over a memory store; one over another store that reads the log and is often
/// restored from its checkpoint; one that reads the whole log at the end; and the model.
fn check(config: u64, history: &[u64]) {
    let config = some_config(config);
    let mut model = Model::new(config.clone());
    let memory = || Box::new(MemoryStore::new());
    let mut machine = Machine::new(config.clone(), memory(), millis(0)).unwrap();
    let mut replica = World::new(config.clone());
    let mut log = Vec::new();
    let (mut time, mut ticked) = (0, 0);
    for (step, number) in history.iter().enumerate() {
        let mut picks = Picks(*number);
        time += picks.of(&[0, 1, 100, 700, 1000, 3000]);
        let now = millis(time);
        let command = some_command(picks.0, now, &model.config, model.last);
        log.push((now, entry(&command)));
        let outcome = machine.apply(now, command.clone()).unwrap();
        let again = apply_entry(&mut replica.machine, now, &log[step].1);
        let said = || format!("step {step} at {time} ms: {command:?}");
        assert_eq!(outcome, again, "{}", said());
        if let Some(answer) = model.apply(now, command.clone()) {
            assert_eq!(outcome.answer, answer, "{}", said());
        }
        if !holds(&mut machine, &model) {
            let expected: Vec<_> = model.messages().collect();
            panic!("{}: {:?} not {expected:?}", said(), messages(&mut machine));
        }
        let state = machine.state();
        let figures = (pending(&machine), state.last_seq, state.bytes);
        let expected = (model.pending(), model.last, model.bytes());
        assert_eq!(figures, expected, "{}", said());
        if command == Command::Tick {
            ticked = time;
        }
        if let Some(due) = model.due() {
            let latest = due.max(millis(ticked + 250));
            let deadline = machine.next_deadline();
            let in_time = deadline.is_some_and(|deadline| deadline <= latest);
            assert!(in_time, "{}: {deadline:?} after {latest:?}", said());
        }
        if number % 7 == 0 {
            replica = replica.restored();
        }
    }
    let mut reader = Machine::new(config, memory(), millis(0)).unwrap();
    for (now, entry) in &log {
        apply_entry(&mut reader, *now, entry);
    }
    let position = Bytes::from_static(b"here");
    let state = machine.encode_state(position.clone());
    for other in [&mut replica.machine, &mut reader] {
        assert!(holds(other, &model), "every replica holds the same");
        assert_eq!(other.encode_state(position.clone()), state);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn the_machine_does_what_the_model_says(
        config: u64,
        history in prop::collection::vec(any::<u64>(), 1..16),
    ) {
        check(config, &history);
    }
}

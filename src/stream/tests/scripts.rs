//! What a stream does, in words: one command a line, and what becomes of it.
//!
//! ```text
//!   [t=SECONDS] COMMAND WORDS key=value … -> answer[; effect …]
//! ```

use super::*;
use crate::consumer::command::Command as ConsumerCommand;
use crate::consumer::config::{AckPolicy, Config as ConsumerConfig, DeliverPolicy};
use crate::store::memory::MemoryStore;
use crate::stream::command::Copy;
use crate::stream::config::{Discard, Republish, Retention, StreamSource};
use crate::stream::outcome::{Answer, Effect};
use crate::stream::retention::TICK_MAX;
use crate::stream::sweep::SWEEP_MAX;

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
            "publish" => Command::Publish(Publish {
                subject: self.bytes(1),
                headers: self.headers(),
                payload: self.payload(),
            }),
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

#[test]
fn a_retry_is_a_duplicate_before_it_is_a_wrong_sequence() {
    check(
        config(),
        r"
        t=0 publish s.a Nats-Msg-Id=1 Nats-Expected-Last-Sequence=0 -> stored 1
        t=1 publish s.a Nats-Msg-Id=1 Nats-Expected-Last-Sequence=0 -> duplicate 1
        t=1 delete 1                                                -> deleted true; 1 gone
        t=9.9 publish s.a Nats-Msg-Id=1                             -> duplicate 1
        t=10 publish s.a Nats-Msg-Id=1                              -> stored 2
    ",
    );
}

#[test]
fn expectations_are_compared_with_what_is_there() {
    check(
        config(),
        r"
        publish s.a                                                  -> stored 1
        publish s.b Nats-Msg-Id=b                                    -> stored 2
        publish s.a Nats-Expected-Last-Sequence=1                    -> 10071 wrong last sequence: 2
        publish s.a Nats-Expected-Last-Sequence=abc                  -> 10071 wrong last sequence: 2
        publish s.a Nats-Expected-Last-Sequence=18446744073709551615 -> 10071 wrong last sequence: 2
        publish s.a Nats-Expected-Last-Sequence=                     -> stored 3
        publish s.a Nats-Expected-Last-Subject-Sequence=1            -> 10071 wrong last sequence: 3
        publish s.c Nats-Expected-Last-Subject-Sequence=0            -> stored 4
        publish s.c Nats-Expected-Last-Subject-Sequence=2 Nats-Expected-Last-Subject-Sequence-Subject=s.b -> stored 5
        publish s.c Nats-Expected-Last-Subject-Sequence=3 Nats-Expected-Last-Subject-Sequence-Subject=s.* -> 10071 wrong last sequence: 5
        publish s.c Nats-Expected-Last-Subject-Sequence-Subject=s.*  -> 10193 missing sequence for expected last sequence per subject
        publish s.a Nats-Expected-Stream=T                           -> 10060 expected stream does not match
        publish s.a Nats-Expected-Last-Msg-Id=b                      -> 10070 wrong last msg ID:
        publish s.a Nats-Msg-Id=x Nats-Expected-Stream=S             -> stored 6
        publish s.a Nats-Expected-Last-Msg-Id=y                      -> 10070 wrong last msg ID: x
        publish s.a Nats-Expected-Last-Msg-Id=x                      -> stored 7
    ",
    );
}

#[test]
fn what_is_not_built_or_not_allowed_is_refused() {
    check(
        config(),
        r#"
        publish s.a Nats-Incr=1        -> 10168 message counters is disabled
        publish s.a Nats-Batch-Id=1    -> 10174 atomic publish is disabled
        publish s.a Nats-Schedule=@at  -> 10188 message schedules is disabled
        publish s.a Nats-Stream-Source=x -> 10227 message stream source header is not allowed
        publish s.a Nats-TTL=5         -> 10166 per-message TTL is disabled
        publish s.a Nats-Rollup=sub    -> 10111 rollup not permitted
        holds                          ->
    "#,
    );
    let allowing = Config {
        allow_msg_ttl: true,
        allow_rollup_hdrs: true,
        ..config()
    };
    check(
        allowing,
        r#"
        publish s.a Nats-TTL=bad       -> 10165 invalid per-message TTL
        publish s.a Nats-Rollup=Bad    -> 10111 rollup value invalid: "bad"
        publish s.a Nats-Rollup=ALL    -> stored 1
    "#,
    );
    let sealed = Config {
        sealed: true,
        ..config()
    };
    check(
        sealed,
        "publish s.a Nats-Msg-Id=1 -> 10109 invalid operation on sealed stream",
    );
}

#[test]
fn sizes_are_limited() {
    let small = Config {
        max_msg_size: 40,
        ..config()
    };
    check(
        small,
        r"
        publish s.a size=41      -> 10054 message size exceeds maximum allowed
        publish s.a size=40      -> stored 1
        publish s.a A=1 size=22  -> stored 2
        publish s.a A=1 size=24  -> 10054 message size exceeds maximum allowed
    ",
    );
    let long = "x".repeat(70_000);
    check(
        config(),
        &format!("publish s.a A={long} -> 10097 header size exceeds maximum allowed of 64k"),
    );
    let record = "publish s.a size=33554432";
    check(config(), &format!("{record} -> 10077 message too large"));
}

#[test]
fn old_messages_make_room() {
    let limited = Config {
        max_msgs: 3,
        max_msgs_per_subject: 2,
        ..config()
    };
    check(
        limited,
        r"
        publish s.a -> stored 1
        publish s.a -> stored 2
        publish s.a -> stored 3; 1 gone
        publish s.b -> stored 4
        publish s.c -> stored 5; 1 gone
        holds       -> 3 4 5
    ",
    );
    let bytes = Config {
        max_bytes: 60,
        ..config()
    };
    check(
        bytes,
        r"
        publish s.a size=1  -> stored 1
        publish s.a size=1  -> stored 2
        publish s.a size=1  -> stored 3
        publish s.a size=20 -> stored 4; 2 gone
        publish s.a size=99 -> stored 5; 3 gone
        first               -> 6
    ",
    );
}

#[test]
fn new_messages_are_refused_unless_they_replace() {
    let full = Config {
        discard: Discard::New,
        max_msgs: 2,
        max_msgs_per_subject: 1,
        allow_rollup_hdrs: true,
        ..config()
    };
    check(
        full.clone(),
        r"
        publish s.x                  -> stored 1
        publish s.y                  -> stored 2
        publish s.z                  -> 10077 maximum messages exceeded
        publish s.z Nats-Rollup=all  -> 10077 maximum messages exceeded
        publish s.x                  -> stored 3; 1 gone
    ",
    );
    let bytes = Config {
        max_msgs: -1,
        max_bytes: 58,
        ..full.clone()
    };
    check(
        bytes,
        r"
        publish s.x size=10 -> stored 1
        publish s.y size=10 -> stored 2
        publish s.x size=11 -> 10077 maximum bytes exceeded
        publish s.x size=10 -> stored 3; 1 gone
        publish s.x size=9  -> stored 4; 1 gone
        publish s.x size=11 -> 10077 maximum bytes exceeded
    ",
    );
    let per_subject = Config {
        discard_new_per_subject: true,
        ..full
    };
    check(
        per_subject,
        r"
        publish s.x                 -> stored 1
        publish s.x                 -> 10077 maximum messages per subject exceeded
        publish s.x Nats-Rollup=sub -> stored 2; 1 gone
    ",
    );
}

#[test]
fn purges_keep_what_they_are_to_keep() {
    let script = "publish s.a -> stored 1
        publish s.b -> stored 2
        publish s.a -> stored 3
        publish s.c.d -> stored 4
        ";
    let check = |rest: &str| check(config(), &format!("{script}{rest}"));
    check("purge -> purged 4; 4 gone\n first -> 5\n purge -> purged 0");
    check("purge below=3 -> purged 2; 2 gone\n holds -> 3 4");
    check("purge keep=1 -> purged 3; 3 gone\n holds -> 4");
    check("purge filter=s.* -> purged 3; 3 gone\n holds -> 4\n first -> 4");
    check("purge filter=s.* keep=1 -> purged 2; 2 gone\n holds -> 3 4");
    check("purge filter=s.a below=3 -> purged 1; 1 gone\n holds -> 2 3 4");
    check("purge keep=9 -> purged 0\n holds -> 1 2 3 4");
    check("purge below=9 -> purged 4; 4 gone\n first -> 9\n publish s.a -> stored 9");
    check(
        "purge below=18446744073709551615 -> purged 4; 4 gone\n publish s.a -> stored 9223372036854775807\n publish s.a -> stored 9223372036854775808",
    );
}

#[test]
fn age_removes_all_but_what_never_ages() {
    let aging = Config {
        max_age: 5 * SECOND,
        allow_msg_ttl: true,
        ..config()
    };
    check(
        aging,
        r"
        t=1 publish s.a                -> stored 1
        t=1 publish s.a Nats-TTL=never -> stored 2
        t=2 publish s.a                -> stored 3
        t=3 publish s.a Nats-TTL=1     -> stored 4
        deadline                       -> 4
        t=4 tick                       -> ticked; 1 gone
        deadline                       -> 6
        t=6.5 tick                     -> ticked; 1 gone
        holds                          -> 2 3
        deadline                       -> 7
        t=6.9 tick                     -> ticked
        deadline                       -> 7.15
        t=7.15 tick                    -> ticked; 1 gone
        holds                          -> 2
        deadline                       -> none
        t=20 publish s.a               -> stored 5
        t=30 tick                      -> ticked; 1 gone
        holds                          -> 2
    ",
    );
}

#[test]
fn one_tick_does_not_do_everything() {
    let aging = Config {
        max_age: SECOND,
        ..config()
    };
    let mut machine = run(aging, "");
    for _ in 0..TICK_MAX + 5 {
        machine.apply(millis(1), publish("s.a", &[], "")).unwrap();
    }
    go_on(
        &mut machine,
        "t=2 tick -> ticked; 10000 gone
         deadline -> 2
         t=2 tick -> ticked; 5 gone
         deadline -> none",
    );
}

#[test]
fn the_last_message_of_a_subject_leaves_a_marker() {
    let marking = Config {
        max_age: 5 * SECOND,
        allow_msg_ttl: true,
        allow_rollup_hdrs: true,
        subject_delete_marker_ttl: 90 * SECOND,
        ..config()
    };
    check(
        marking,
        r"
        t=0 publish s.a                     -> stored 1
        t=0 publish s.a Nats-TTL=2s X=y     -> stored 2
        headers 2                           -> X: y Nats-TTL: 90
        t=0 publish s.b KV-Operation=PURGE  -> stored 3
        t=0 publish s.c KV-Operation=DEL    -> stored 4
        t=0 publish s.d Nats-TTL=never      -> stored 5
        t=5 tick                            -> ticked; 4 gone
        holds                               -> 5 6 7
        headers 6                           -> Nats-Marker-Reason: MaxAge Nats-TTL: 1m30s Nats-Rollup: sub
        t=10 tick                           -> ticked; 2 gone
        holds                               -> 5
    ",
    );
}

#[test]
fn a_lifetime_is_not_raised_where_a_subject_has_one_message() {
    let single = Config {
        max_msgs_per_subject: 1,
        allow_msg_ttl: true,
        subject_delete_marker_ttl: 60 * SECOND,
        ..config()
    };
    check(
        single,
        r"
        t=0 publish s.a Nats-TTL=2 -> stored 1
        t=1 publish s.a Nats-TTL=2 -> stored 2; 1 gone
        t=2 tick                   -> ticked
        t=3 tick                   -> ticked; 1 gone
        headers 3                  -> Nats-Marker-Reason: MaxAge Nats-TTL: 1m0s Nats-Rollup: sub
        t=63 tick                  -> ticked; 1 gone
        holds                      ->
        deadline                   -> none
    ",
    );
}

fn interest() -> Config {
    Config {
        retention: Retention::Interest,
        ..config()
    }
}

#[test]
fn an_interest_stream_holds_what_somebody_needs() {
    check(
        interest(),
        r"
        publish s.a Nats-Msg-Id=1    -> skipped 1
        publish s.a Nats-Msg-Id=1    -> duplicate 1
        put c filter=s.a             -> created
        put d                        -> created
        put n ack=none               -> created
        publish s.a                  -> stored 2
        publish s.b                  -> stored 3
        deliver c 2                  -> changed
        deliver d 2 3                -> changed
        ack c 2                      -> changed
        ack d 2                      -> changed
        holds                        -> 2 3
        deliver n 2                  -> changed; 1 gone
        put e from=new               -> created
        deliver n 3                  -> changed
        ack d 3                      -> changed; 1 gone
        publish s.a                  -> stored 4
        publish s.b                  -> stored 5
        drop n                       -> deleted true
        drop e                       -> deleted true
        drop d                       -> deleted true; 1 gone
        holds                        -> 4
        put c filter=s.b             -> updated; 1 gone
        publish s.a                  -> skipped 6
        publish s.b                  -> stored 7
        drop c                       -> deleted true; 1 gone
        first                        -> 8
        ack c 7                      -> no consumer
    ",
    );
}

#[test]
fn what_was_given_up_stays_until_it_is_removed() {
    check(
        interest(),
        r"
        put c max_deliver=1 -> created
        publish s.a         -> stored 1
        publish s.a         -> stored 2
        deliver c 1 2       -> changed
        exhaust c 1         -> changed
        term c 2            -> changed; 1 gone
        holds               -> 1
        ack c 1             -> changed; 1 gone
    ",
    );
}

#[test]
fn a_jump_forward_gives_up_what_it_jumps_over() {
    check(
        interest(),
        r"
        put c       -> created
        publish s.a -> stored 1
        publish s.a -> stored 2
        reset c 2   -> changed; 1 gone
        holds       -> 2
    ",
    );
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
fn a_large_stream_is_looked_through_in_pieces() {
    let many = SWEEP_MAX + SWEEP_MAX + 5;
    let check = |before: &str, change: &str, pieces: &[usize], left: &str| {
        let mut machine = run(interest(), before);
        for _ in 0..many {
            machine.apply(millis(0), publish("s.a", &[], "")).unwrap();
        }
        machine.apply(millis(0), publish("s.b", &[], "")).unwrap();
        let gone = |machine: &mut Machine| {
            let before = machine.state().messages;
            machine.apply(millis(0), Command::Tick).unwrap();
            before - machine.state().messages
        };
        go_on(&mut machine, change);
        // What is stored meanwhile does not count.
        go_on(&mut machine, "publish s.b -> stored 8199");
        for mut machine in twins(machine) {
            for piece in pieces {
                assert_eq!(machine.next_deadline(), Some(millis(0)), "{change}");
                assert_eq!(gone(&mut machine), *piece as u64, "{change}");
            }
            assert_eq!(gone(&mut machine), 0, "{change}");
            go_on(&mut machine, left);
        }
    };
    check(
        "put c filter=s.a -> created\n put d filter=s.b -> created",
        "put c filter=s.b -> updated; 4096 gone",
        &[SWEEP_MAX, 5],
        "holds -> 8198 8199",
    );
    check(
        "put c filter=s.a -> created\n put d filter=s.b -> created",
        "drop c -> deleted true; 4096 gone",
        &[SWEEP_MAX, 5],
        "holds -> 8198 8199",
    );
    check(
        "put c -> created\n put d filter=s.b -> created",
        "reset c 8197 -> changed; 4096 gone",
        &[SWEEP_MAX, 4],
        "holds -> 8197 8198 8199",
    );
    // Each looks at all of it, one after the other.
    check(
        "put c filter=s.a -> created\n put d -> created",
        "drop d -> deleted true\n drop c -> deleted true\n put e filter=s.b -> created",
        &[SWEEP_MAX, SWEEP_MAX - 1, 6],
        "holds -> 8198 8199",
    );
}

#[test]
fn without_consumers_a_large_stream_is_emptied_in_pieces() {
    let mut machine = run(interest(), "put c -> created");
    for _ in 0..=SWEEP_MAX {
        machine.apply(millis(0), publish("s.a", &[], "")).unwrap();
    }
    for mut machine in twins(machine) {
        go_on(
            &mut machine,
            "drop c -> deleted true; 4096 gone
             deadline -> 0
             tick -> ticked; 1 gone
             deadline -> none
             first -> 4098",
        );
    }
}

#[test]
fn a_pending_message_under_a_former_filter_is_settled_when_it_goes() {
    let machine = run(
        config(),
        r"
        put c filter=s.a -> created
        publish s.a      -> stored 1
        deliver c 1      -> changed
        put c filter=s.b -> updated
        publish s.a      -> stored 2
    ",
    );
    for mut machine in twins(machine) {
        go_on(
            &mut machine,
            "delete 1 -> deleted true; c loses 1 1x@1: Deleted; 1 gone",
        );
        let consumer = &machine.consumers().get("c").unwrap().consumer;
        assert_eq!((consumer.num_ack_pending(), consumer.num_pending()), (0, 0));
    }
}

#[test]
fn a_work_queue_gives_each_message_once() {
    let queue = Config {
        retention: Retention::WorkQueue,
        ..config()
    };
    check(
        queue,
        r"
        publish s.a       -> stored 1
        put a filter=s.a  -> created
        put b filter=s.b  -> created
        publish s.b       -> stored 2
        publish s.a       -> stored 3
        deliver a 1 3     -> changed
        deliver b 2       -> changed
        ack a 3           -> changed; 1 gone
        ack a 3           -> unchanged
        term b 2          -> changed; 1 gone
        drop a            -> deleted true
        holds             -> 1
        put m direct=yes ack=none -> created
        put a filter=s.a  -> created
        deliver a 1       -> changed
        ack a 1           -> changed
        holds             -> 1
        deliver m 1       -> changed; 1 gone
        publish s.c       -> stored 4
        deliver m 4       -> changed
        holds             -> 4
        put n direct=yes filter=s.c -> created
        deliver n 4       -> changed
        ack n 4           -> changed; 1 gone
    ",
    );
}

#[test]
fn interest_may_begin_to_count_later() {
    let mut machine = run(
        config(),
        r"
        put c filter=s.a -> created
        publish s.a      -> stored 1
        publish s.b      -> stored 2
        publish s.a      -> stored 3
        deliver c 1      -> changed
        ack c 1          -> changed
        holds            -> 1 2 3
    ",
    );
    let configure = || Command::Configure(Box::new(interest()));
    let outcome = machine.apply(millis(0), configure()).unwrap();
    assert_eq!(render(&outcome), "configured; 1 gone");
    go_on(
        &mut machine,
        "holds -> 2 3\n drop c -> deleted true; 2 gone",
    );
    let mut machine = run(config(), "publish s.a -> stored 1");
    let outcome = machine.apply(millis(0), configure()).unwrap();
    assert_eq!(render(&outcome), "configured; 1 gone");
}

#[test]
fn the_leader_is_told_what_to_do() {
    let republishing = Config {
        republish: Some(Republish::default()),
        max_msgs: 2,
        ..config()
    };
    check(
        republishing,
        r"
        put c       -> created
        publish s.a -> stored 1; republish 1 after 0
        publish s.b -> stored 2; republish 2 after 0
        deliver c 1 2 -> changed
        publish s.a -> stored 3; republish 3 after 1; c loses 1 1x@1: Limits; 1 gone
        deliver c 2 -> changed
        purge       -> purged 2; c loses 2 2x@3: Purged; 2 gone
    ",
    );
}

#[test]
fn those_with_something_new_are_woken_once() {
    let mut machine = run(
        config(),
        "put a filter=s.a -> created\n put b filter=s.* -> created",
    );
    let local = ConsumerConfig {
        name: "l".to_owned(),
        filter_subject: "s.a".to_owned(),
        ..ConsumerConfig::default()
    };
    let put = |machine: &mut Machine| machine.put_local(millis(0), "l".to_owned(), local.clone());
    assert!(put(&mut machine).unwrap());
    let woken = |machine: &mut Machine| {
        let mut names = Vec::new();
        machine.drain_woken(|member| names.push(member.name.clone()));
        names.sort();
        names.join(" ")
    };
    assert_eq!(woken(&mut machine), "a b l");
    go_on(
        &mut machine,
        "publish s.b -> stored 1\n publish s.b -> stored 2",
    );
    assert_eq!(woken(&mut machine), "b");
    go_on(
        &mut machine,
        "publish s.a -> stored 3\n publish t -> stored 4",
    );
    assert_eq!(woken(&mut machine), "a b l");
    assert_eq!(woken(&mut machine), "");
    let deliver = ConsumerCommand::Deliver(vec![Seq(3)]);
    let outcome = machine
        .apply_local(millis(0), "l", deliver)
        .unwrap()
        .unwrap();
    assert_eq!(outcome.deliveries.len(), 1);
    assert_eq!(machine.local_consumers().len(), 1);
    assert!(!put(&mut machine).unwrap());
    assert!(machine.delete_local("l") && !machine.delete_local("l"));
}

#[test]
fn a_mirror_keeps_sequences_and_skips_gaps() {
    let mirror = Config {
        mirror: Some(StreamSource {
            name: "M".to_owned(),
            ..StreamSource::default()
        }),
        ..config()
    };
    let mut machine = run(
        mirror,
        r"
        copy 0 3 s.a Nats-Msg-Id=1 -> stored 3
        copy 0 3 s.a               -> nothing
        copy 0 2 s.a               -> nothing
        copy 0 7 s.b Nats-Msg-Id=1 -> stored 7
        copy 1 8 s.b               -> nothing
        holds                      -> 3 7
        purge                      -> purged 2; 2 gone
        copy 0 7 s.b               -> nothing
        copy 0 18446744073709551615 s.b -> nothing
    ",
    );
    assert_eq!(machine.origins().position(0).unwrap().seq, Seq(7));
    assert_eq!(machine.state().last_seq, Seq(7));
    go_on(&mut machine, "copy 0 9 s.b -> stored 9");
    assert_eq!(machine.state().first_time, millis(7));
}

#[test]
fn a_source_is_known_by_what_it_is() {
    let source = |name: &str| StreamSource {
        name: name.to_owned(),
        ..StreamSource::default()
    };
    let sourced = |names: &[&str]| Config {
        sources: names.iter().map(|name| source(name)).collect(),
        ..config()
    };
    let mut machine = run(
        sourced(&["A", "B"]),
        r"
        copy 0 5 s.a      -> stored 1
        copy 1 2 s.a      -> stored 2
        copy 0 5 s.a      -> nothing
        copy 2 9 s.a      -> nothing
        publish s.a       -> stored 3
        copy 0 6 s.a Nats-Msg-Id=1 -> stored 4
        copy 1 3 s.a Nats-Msg-Id=1 -> duplicate 4
        copy 1 3 s.a      -> nothing
    ",
    );
    for (names, positions) in [
        (&["B", "C", "A"][..], [Some(3), None, Some(6)]),
        (&["C"], [None, None, None]),
        (&["A", "C"], [Some(6), None, None]),
    ] {
        let configure = Command::Configure(Box::new(sourced(names)));
        machine.apply(millis(0), configure).unwrap();
        for (source, expected) in positions.into_iter().enumerate() {
            let source = u32::try_from(source).unwrap();
            let position = machine.origins().position(source).map(|p| p.seq.0);
            assert_eq!(position, expected, "{names:?} {source}");
        }
    }
}

#[test]
fn what_follows_a_copy_that_found_no_room_is_not_taken() {
    let full = Config {
        sources: vec![StreamSource::default()],
        max_bytes: 100,
        discard: Discard::New,
        ..config()
    };
    check(
        full,
        r"
        copy 0 1 s.a                  -> stored 1
        copy 0 2 s.a after=1 size=200 -> 10077 maximum bytes exceeded
        copy 0 3 s.a after=2          -> nothing
        copy 0 3 s.a                  -> stored 2
        copy 0 5 s.a after=3          -> stored 3
        copy 0 5 s.a after=3          -> nothing
        copy 0 7 s.a after=2          -> stored 4
    ",
    );
}

#[test]
fn a_copy_of_a_former_origin_is_nobodys() {
    let with = |names: &[&str], description: &str| Config {
        sources: names
            .iter()
            .map(|name| StreamSource {
                name: (*name).to_owned(),
                ..StreamSource::default()
            })
            .collect(),
        description: description.to_owned(),
        ..config()
    };
    let mut machine = run(with(&["A", "B"], ""), "copy 0 1 s.a of=0 -> stored 1");
    let mut configure = |names: &[&str], description: &str| {
        let configure = Command::Configure(Box::new(with(names, description)));
        machine.apply(millis(0), configure).unwrap();
        machine.origins().generation()
    };
    assert_eq!(configure(&["A", "B"], "more"), 0);
    assert_eq!(configure(&["B"], ""), 1);
    for mut machine in twins(machine) {
        go_on(
            &mut machine,
            "copy 0 2 s.a of=0 -> nothing
             copy 0 2 s.b of=1 -> stored 2",
        );
        let promoted = Command::Configure(Box::new(config()));
        machine.apply(millis(0), promoted).unwrap();
        go_on(&mut machine, "copy 0 3 s.b of=1 -> nothing");
    }
}

#[test]
fn an_origin_made_anew_is_copied_from_its_beginning() {
    let sourced = Config {
        sources: vec![StreamSource::default()],
        ..config()
    };
    let mut machine = run(sourced, "");
    let mut copy = |seq, identity: &str| {
        let value = format!("A {seq} > > s.a {identity}");
        let command = Command::Copy(Box::new(Copy {
            source: 0,
            generation: None,
            after: None,
            origin_seq: Seq(seq),
            origin_time: millis(0),
            subject: Bytes::from_static(b"s.a"),
            headers: headers(&[("Nats-Stream-Source", &value)]),
            payload: Bytes::new(),
        }));
        render(&machine.apply(millis(0), command).unwrap())
    };
    assert_eq!(copy(5, "one"), "stored 1");
    assert_eq!(copy(4, "one"), "nothing");
    assert_eq!(copy(1, "two"), "stored 2");
    assert_eq!(copy(1, "two"), "nothing");
    assert_eq!(copy(2, ""), "stored 3");
}

#[test]
fn a_smaller_limit_holds_at_once() {
    let mut machine = run(
        config(),
        r"
        publish s.a -> stored 1
        publish s.b -> stored 2
        publish s.a -> stored 3
        publish s.a -> stored 4
        publish s.b -> stored 5
    ",
    );
    let smaller = Config {
        max_msgs_per_subject: 2,
        max_msgs: 3,
        ..config()
    };
    let configure = Command::Configure(Box::new(smaller));
    let outcome = machine.apply(millis(0), configure).unwrap();
    assert_eq!(render(&outcome), "configured; 2 gone");
    go_on(&mut machine, "holds -> 3 4 5");
}

#[test]
fn the_first_sequence_is_as_configured() {
    let later = Config {
        first_seq: 10,
        ..config()
    };
    check(
        later,
        "first -> 10\n publish s.a Nats-Expected-Last-Sequence=9 -> stored 10",
    );
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

//! The same commands give the same bytes, from the beginning or from a snapshot.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;

use super::world::{SECOND, at, message, pull};
use crate::consumer::codec::{decode_command, encode_command};
use crate::consumer::command::Command;
use crate::consumer::config::{AckPolicy, Config, DeliverPolicy};
use crate::consumer::replica::Consumer;
use crate::pb::consumer as pb;
use crate::store::MsgStore;
use crate::store::memory::MemoryStore;
use crate::store::message::Seq;

/// What a stream tells a consumer.
#[derive(Clone, Debug)]
enum Input {
    Command(Command),
    Stored(u8),
    Removed(u64),
}

fn command() -> impl Strategy<Value = Command> {
    let seq = || (1..30_u64).prop_map(Seq);
    let time = || proptest::option::of((0..100_i64).prop_map(|s| at(s * SECOND)));
    prop_oneof![
        6 => proptest::collection::vec(seq(), 0..6).prop_map(Command::Deliver),
        3 => proptest::collection::vec(seq(), 0..4).prop_map(Command::Ack),
        2 => (seq(), time()).prop_map(|(seq, not_before)| Command::Nak { seq, not_before }),
        1 => seq().prop_map(Command::Progress),
        1 => (seq(), ".{0,5}").prop_map(|(seq, reason)| Command::Terminate { seq, reason }),
        1 => seq().prop_map(Command::Exhausted),
        1 => time().prop_map(Command::Pause),
        1 => proptest::option::of(seq()).prop_map(Command::Reset),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        3 => command().prop_map(Input::Command),
        2 => any::<u8>().prop_map(Input::Stored),
        1 => (1..30_u64).prop_map(Input::Removed),
    ]
}

struct Copy {
    consumer: Consumer,
    store: MemoryStore,
    step: i64,
}

impl Copy {
    fn new(config: Config) -> Copy {
        let mut store = MemoryStore::new();
        for seq in 1..8 {
            let subject = format!("s.{}", seq % 4);
            let stored = message(Seq(seq), at(0), &subject, b"");
            store.append(stored.as_ref()).expect("a memory store works");
        }
        let consumer = Consumer::create(at(0), config, &mut store).expect("a memory store works");
        Copy {
            consumer,
            store,
            step: 0,
        }
    }

    fn feed(&mut self, input: &Input) {
        self.step += 1;
        match input {
            Input::Command(command) => {
                let now = at(self.step);
                let applied = self.consumer.apply(now, command.clone(), &mut self.store);
                applied.expect("a memory store works");
            }
            Input::Stored(n) => {
                let seq = self.store.state().last_seq.next();
                let subject = format!("s.{}", n % 3);
                let stored = message(seq, at(self.step), &subject, b"");
                self.store
                    .append(stored.as_ref())
                    .expect("a memory store works");
                self.consumer.on_stored(seq, subject.as_bytes());
            }
            Input::Removed(seq) => {
                let removed = self.store.remove(Seq(*seq), false);
                if let Some(gone) = removed.expect("a memory store works") {
                    self.consumer.on_removed(Seq(*seq), &gone.subject);
                }
            }
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.consumer.encode(&mut bytes);
        bytes
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn three_copies_and_one_from_a_snapshot_agree(
        inputs in proptest::collection::vec(input(), 0..60),
        cut in 0..60_usize,
        policy in prop_oneof![Just(AckPolicy::Explicit), Just(AckPolicy::All), Just(AckPolicy::None)],
        listed: bool,
    ) {
        let config = Config {
            ack_policy: policy,
            max_ack_pending: 5,
            max_deliver: 3,
            filter_subject: "s.*".to_owned(),
            deliver_policy: if listed { DeliverPolicy::LastPerSubject } else { DeliverPolicy::All },
            ..pull()
        };
        let mut copies: Vec<Copy> = (0..3).map(|_| Copy::new(config.clone())).collect();
        for (index, input) in inputs.iter().enumerate() {
            if index == cut {
                let decoded = Consumer::decode(&copies[2].bytes()).expect("it was encoded");
                prop_assert_eq!(&decoded, &copies[2].consumer);
                copies[2].consumer = decoded;
            }
            for copy in &mut copies {
                copy.feed(input);
            }
        }
        prop_assert_eq!(copies[0].bytes(), copies[1].bytes());
        prop_assert_eq!(copies[0].bytes(), copies[2].bytes());
    }

    #[test]
    fn a_written_command_is_read(command in command()) {
        let bytes = encode_command(command.clone()).encode_to_vec();
        let read = pb::Command::decode(Bytes::from(bytes)).expect("it was encoded");
        prop_assert_eq!(decode_command(read).expect("it was encoded"), command);
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = Consumer::decode(&bytes);
        if let Ok(command) = pb::Command::decode(&*bytes) {
            let _ = decode_command(command);
        }
    }
}

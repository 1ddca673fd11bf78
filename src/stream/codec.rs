//! Commands of a stream as bytes in its log.
//!
//! Separate because the bytes outlive versions: the messages of
//! `proto/replicated/stream.proto` only ever gain fields, while our own types may change.
//!
//! Invariants: decoding copies no message: subjects, headers and payloads are slices of
//! the entry; what lacks something it cannot do without is an error, never a default.

mod publish;

use bytes::Bytes;
use prost::Message as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::command::{Command, Copy, Publish, kept, place_of};
use crate::clock::Timestamp;
use crate::consumer::codec::{decode_command, encode_command};
use crate::pb::stream as pb;
use crate::state_machine::DecodeError;
use crate::store::message::Seq;
use pb::command::Kind;

/// The field of `Commands` that holds the commands.
const COMMANDS: u32 = 1;

/// More than the keys and lengths around a message take.
const FRAME_BYTES: usize = 32;

/// Appends the commands of one entry.
pub fn encode(commands: &[Command], out: &mut Vec<u8>) {
    let bytes = |command: &Command| match command {
        Command::Publish(publish) => publish.parts().map(<[u8]>::len).iter().sum(),
        Command::Copy(copy) => copy.subject.len() + copy.headers.len() + copy.payload.len(),
        _ => FRAME_BYTES,
    };
    let sizes = commands.iter().map(|command| FRAME_BYTES + bytes(command));
    out.reserve(sizes.sum());
    for command in commands {
        if let Command::Publish(publish) = command {
            publish::encode(publish, out);
            continue;
        }
        let message = pb::Command {
            kind: Some(to_pb(command)),
        };
        prost::encoding::message::encode(COMMANDS, &message, out);
    }
}

/// The commands that were encoded to these bytes, with payloads that are slices of them:
/// less work than decoding, as it is known where each one is.
///
/// # Errors
/// As [`decode`], which takes what is not messages to publish only.
pub fn relocate(commands: Vec<Command>, bytes: &Bytes) -> Result<Vec<Command>, DecodeError> {
    match publish::relocate(commands, bytes) {
        Some(relocated) => Ok(relocated),
        None => decode(bytes),
    }
}

/// The inverse of [`encode`].
///
/// # Errors
/// When the bytes are no commands.
pub fn decode(bytes: &Bytes) -> Result<Vec<Command>, DecodeError> {
    let mut commands = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let Some((COMMANDS, place)) = publish::next_field(bytes, &mut at, bytes.len()) else {
            return decode_any(bytes);
        };
        commands.push(match publish::decode(bytes, place.clone()) {
            Some(publish) => Command::Publish(publish),
            None => {
                let command = pb::Command::decode(bytes.slice(place)).map_err(no_message)?;
                from_pb(command, bytes)?
            }
        });
    }
    Ok(commands)
}

/// The same for all that `pb` can read.
fn decode_any(bytes: &Bytes) -> Result<Vec<Command>, DecodeError> {
    let entry = pb::Commands::decode(bytes.clone()).map_err(no_message)?;
    let commands = entry.commands.into_iter();
    commands.map(|command| from_pb(command, bytes)).collect()
}

fn to_pb(command: &Command) -> Kind {
    match command {
        Command::Publish(publish) => Kind::Publish(pb::Publish {
            subject: kept(publish.subject(), publish.bytes()),
            headers: kept(publish.headers(), publish.bytes()),
            payload: kept(publish.payload(), publish.bytes()),
        }),
        Command::Copy(copy) => Kind::Copy(pb::Copy {
            source: copy.source,
            generation: copy.generation,
            after: copy.after.map(|seq| seq.0),
            origin_seq: copy.origin_seq.0,
            origin_time: copy.origin_time.unix_nanos(),
            subject: copy.subject.clone(),
            headers: copy.headers.clone(),
            payload: copy.payload.clone(),
        }),
        Command::Tick => Kind::Tick(pb::Tick {}),
        Command::Configure(config) => Kind::Configure(pb::Configure {
            config: to_json(config),
        }),
        Command::Purge {
            filter,
            below,
            keep,
        } => Kind::Purge(pb::Purge {
            filter: filter.clone(),
            below: below.map(|seq| seq.0),
            keep: *keep,
        }),
        Command::Delete { seq, erase } => Kind::Delete(pb::Delete {
            seq: seq.0,
            erase: *erase,
        }),
        Command::PutConsumer { name, config } => Kind::PutConsumer(pb::PutConsumer {
            name: name.clone(),
            config: to_json(config),
        }),
        Command::DeleteConsumer { name } => {
            Kind::DeleteConsumer(pb::DeleteConsumer { name: name.clone() })
        }
        Command::Consumer { name, command } => Kind::Consumer(pb::ConsumerCommand {
            name: name.clone(),
            command: Some(encode_command(command.clone())),
        }),
    }
}

fn from_pb(command: pb::Command, entry: &Bytes) -> Result<Command, DecodeError> {
    let kind = command.kind.ok_or_else(|| missing("kind of command"))?;
    Ok(match kind {
        Kind::Publish(publish) => {
            let subject = not_empty(publish.subject, "subject")?;
            Command::Publish(publish_of(
                entry,
                [&subject, &publish.headers, &publish.payload],
            ))
        }
        Kind::Copy(copy) => Command::Copy(Box::new(Copy {
            source: copy.source,
            generation: copy.generation,
            after: copy.after.map(Seq),
            origin_seq: seq(copy.origin_seq)?,
            origin_time: Timestamp::from_unix_nanos(copy.origin_time),
            subject: not_empty(copy.subject, "subject")?,
            headers: copy.headers,
            payload: copy.payload,
        })),
        Kind::Tick(pb::Tick {}) => Command::Tick,
        Kind::Configure(configure) => Command::Configure(from_json(&configure.config)?),
        Kind::Purge(purge) => Command::Purge {
            filter: purge.filter,
            below: purge.below.map(Seq),
            keep: purge.keep,
        },
        Kind::Delete(delete) => Command::Delete {
            seq: seq(delete.seq)?,
            erase: delete.erase,
        },
        Kind::PutConsumer(put) => Command::PutConsumer {
            name: name(put.name)?,
            config: from_json(&put.config)?,
        },
        Kind::DeleteConsumer(delete) => Command::DeleteConsumer {
            name: name(delete.name)?,
        },
        Kind::Consumer(command) => Command::Consumer {
            name: name(command.name)?,
            command: decode_command(
                command
                    .command
                    .ok_or_else(|| missing("consumer's command"))?,
            )?,
        },
    })
}

/// A message of these parts: slices of the entry, all but surely.
fn publish_of(entry: &Bytes, parts: [&Bytes; 3]) -> Publish {
    let [subject, headers, payload] = parts;
    let within = || {
        let place = |part: &Bytes| place_of(part, entry);
        let places = [place(subject)?, place(headers)?, place(payload)?];
        Publish::within(entry.clone(), places)
    };
    within().unwrap_or_else(|| Publish::new(subject, headers, payload))
}

/// A configuration as it lies in the log and in a snapshot.
pub(super) fn to_json(config: &impl Serialize) -> Bytes {
    let text = serde_json::to_vec(config);
    text.expect("a configuration has only text keys and finite numbers")
        .into()
}

/// The inverse of [`to_json`].
pub(super) fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(text).map_err(|err| DecodeError(format!("configuration: {err}")))
}

pub(super) fn no_message(err: prost::DecodeError) -> DecodeError {
    DecodeError(err.to_string())
}

pub(super) fn missing(what: &str) -> DecodeError {
    DecodeError(format!("missing {what}"))
}

fn seq(number: u64) -> Result<Seq, DecodeError> {
    match number {
        0 => Err(missing("sequence")),
        _ => Ok(Seq(number)),
    }
}

fn name(name: String) -> Result<String, DecodeError> {
    match name.is_empty() {
        true => Err(missing("name")),
        false => Ok(name),
    }
}

fn not_empty(bytes: Bytes, what: &str) -> Result<Bytes, DecodeError> {
    match bytes.is_empty() {
        true => Err(missing(what)),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::command::Command as ConsumerCommand;
    use crate::consumer::config::Config as ConsumerConfig;
    use crate::stream::config::Config;

    fn publish(payload: &'static [u8]) -> Command {
        Command::Publish(Publish::new(b"a.b", b"NATS/1.0\r\nA: 1\r\n\r\n", payload))
    }

    fn one_of_each() -> Vec<Command> {
        let time = Timestamp::from_unix_nanos(-5);
        let consumer = |command| Command::Consumer {
            name: "c".to_owned(),
            command,
        };
        vec![
            publish(b"payload"),
            publish(b""),
            Command::Copy(Box::new(Copy {
                source: 3,
                generation: Some(4),
                after: Some(Seq(8)),
                origin_seq: Seq(9),
                origin_time: time,
                subject: Bytes::from_static(b"x"),
                headers: Bytes::new(),
                payload: Bytes::from_static(b"y"),
            })),
            Command::Tick,
            Command::Configure(Box::new(Config {
                name: "S".to_owned(),
                subjects: vec!["a.>".to_owned()],
                max_msgs: 7,
                ..Config::default()
            })),
            Command::Purge {
                filter: Bytes::from_static(b"a.*"),
                below: Some(Seq(0)),
                keep: 2,
            },
            Command::Purge {
                filter: Bytes::new(),
                below: None,
                keep: 0,
            },
            Command::Delete {
                seq: Seq(4),
                erase: true,
            },
            Command::PutConsumer {
                name: "c".to_owned(),
                config: Box::new(ConsumerConfig {
                    durable_name: "c".to_owned(),
                    ..ConsumerConfig::default()
                }),
            },
            Command::DeleteConsumer {
                name: "c".to_owned(),
            },
            consumer(ConsumerCommand::Deliver(vec![Seq(1), Seq(5)])),
            consumer(ConsumerCommand::Deliver(vec![])),
            consumer(ConsumerCommand::Ack(vec![Seq(1), Seq(3)])),
            consumer(ConsumerCommand::Nak {
                seq: Seq(2),
                not_before: Some(time),
            }),
            consumer(ConsumerCommand::Nak {
                seq: Seq(2),
                not_before: None,
            }),
            consumer(ConsumerCommand::Progress(Seq(3))),
            consumer(ConsumerCommand::Terminate {
                seq: Seq(3),
                reason: "why".to_owned(),
            }),
            consumer(ConsumerCommand::Exhausted(Seq(3))),
            consumer(ConsumerCommand::Pause(Some(time))),
            consumer(ConsumerCommand::Pause(None)),
            consumer(ConsumerCommand::Reset(Some(Seq(1)))),
            consumer(ConsumerCommand::Reset(None)),
        ]
    }

    #[test]
    fn every_command_comes_back() {
        let commands = one_of_each();
        let mut bytes = Vec::new();
        encode(&commands, &mut bytes);
        assert_eq!(decode(&bytes.into()).unwrap(), commands);
    }

    #[test]
    fn a_publish_is_the_message_of_the_proto_file() {
        for (headers, payload) in [
            (&b""[..], &b""[..]),
            (b"H", b""),
            (b"", &[7; 127]),
            (&[8; 128], &[9; 70_000]),
        ] {
            let command = Command::Publish(Publish::new(b"a.b", headers, payload));
            let mut bytes = Vec::new();
            encode(std::slice::from_ref(&command), &mut bytes);
            let message = pb::Commands {
                commands: vec![pb::Command {
                    kind: Some(to_pb(&command)),
                }],
            };
            assert_eq!(bytes, message.encode_to_vec());
        }
    }

    #[test]
    fn no_commands_are_no_bytes() {
        let mut bytes = Vec::new();
        encode(&[], &mut bytes);
        assert!(bytes.is_empty());
        assert_eq!(decode(&Bytes::new()).unwrap(), []);
    }

    #[test]
    fn a_payload_is_a_slice_of_the_entry() {
        let mut bytes = Vec::new();
        encode(&vec![publish(b"payload"); 500], &mut bytes);
        let entry = Bytes::from(bytes);
        let commands = decode(&entry).unwrap();
        assert_eq!(commands.len(), 500);
        let range = entry.as_ptr_range();
        for command in &commands {
            let Command::Publish(publish) = command else {
                panic!("{command:?}")
            };
            for part in publish.parts() {
                assert!(range.contains(&part.as_ptr()));
            }
        }
    }

    #[test]
    fn messages_that_were_written_otherwise_are_read_as_well() {
        let field = |tag: u8, bytes: &[u8]| {
            let len = u8::try_from(bytes.len()).unwrap();
            [&[tag << 3 | 2, len], bytes].concat()
        };
        let [subject, other, headers, payload] = [(1, "s"), (1, "other"), (2, "H"), (3, "pay")]
            .map(|(tag, text)| field(tag, text.as_bytes()));
        let publish = |fields: &[&Vec<u8>]| {
            let fields: Vec<u8> = fields
                .iter()
                .flat_map(|field| field.iter())
                .copied()
                .collect();
            field(1, &fields)
        };
        let whole = Publish::new(b"s", b"H", b"pay");
        let number = vec![4 << 3, 7];
        for (command, expected) in [
            (publish(&[&payload, &headers, &subject]), whole.clone()),
            (
                publish(&[&other, &headers, &payload, &subject]),
                whole.clone(),
            ),
            (
                publish(&[&subject, &field(4, b"new"), &headers, &payload]),
                whole.clone(),
            ),
            (
                publish(&[&number, &subject, &headers, &payload]),
                whole.clone(),
            ),
            (
                [publish(&[&subject, &headers]), publish(&[&payload])].concat(),
                whole,
            ),
            (publish(&[&subject]), Publish::new(b"s", b"", b"")),
        ] {
            let entry = Bytes::from([field(1, &command), field(9, b"new")].concat());
            assert_eq!(
                decode(&entry).unwrap(),
                [Command::Publish(expected.clone())]
            );
            let entry = Bytes::from(field(1, &command));
            let commands = decode(&entry).unwrap();
            assert_eq!(commands, [Command::Publish(expected)]);
            let [Command::Publish(publish)] = &commands[..] else {
                panic!("{commands:?}")
            };
            assert_eq!(publish.bytes().as_ptr(), entry.as_ptr(), "not copied");
        }
    }

    #[test]
    fn what_lacks_something_is_refused() {
        let check = |kind: Option<Kind>| {
            let mut bytes = Vec::new();
            prost::encoding::message::encode(COMMANDS, &pb::Command { kind }, &mut bytes);
            decode(&bytes.into()).unwrap_err();
        };
        check(None);
        check(Some(Kind::Publish(pb::Publish::default())));
        check(Some(Kind::Copy(pb::Copy::default())));
        check(Some(Kind::Configure(pb::Configure::default())));
        check(Some(Kind::Delete(pb::Delete::default())));
        check(Some(Kind::DeleteConsumer(pb::DeleteConsumer::default())));
        check(Some(Kind::Consumer(pb::ConsumerCommand::default())));
    }

    #[test]
    fn commands_are_relocated_only_if_all_are_messages() {
        let mut bytes = Vec::new();
        encode(&one_of_each(), &mut bytes);
        let bytes = Bytes::from(bytes);
        assert_eq!(relocate(one_of_each(), &bytes).unwrap(), one_of_each());
        let other = vec![Command::Publish(Publish::new(b"longer", b"", b""))];
        assert_eq!(
            relocate(other, &bytes).unwrap(),
            one_of_each(),
            "by what is stored"
        );
    }

    proptest::proptest! {
        #[test]
        fn relocated_is_decoded(messages: Vec<(u8, Vec<u8>, Vec<u8>)>) {
            let publish = |(subject, headers, payload): (u8, Vec<u8>, Vec<u8>)| {
                let subject = format!("s.{subject}");
                Command::Publish(Publish::new(subject.as_bytes(), &headers, &payload))
            };
            let commands: Vec<Command> = messages.into_iter().map(publish).collect();
            let mut bytes = Vec::new();
            encode(&commands, &mut bytes);
            let bytes = Bytes::from(bytes);
            let decoded = decode(&bytes).unwrap();
            let relocated = relocate(commands, &bytes).unwrap();
            proptest::prop_assert_eq!(&relocated, &decoded);
            let within = bytes.as_ptr_range();
            for command in &relocated {
                let Command::Publish(publish) = command else { unreachable!() };
                let payload = publish.payload().as_ptr_range();
                proptest::prop_assert!(within.start <= payload.start && payload.end <= within.end);
            }
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            let bytes = bytes.into();
            proptest::prop_assert_eq!(decode(&bytes).ok(), decode_any(&bytes).ok());
        }

        #[test]
        fn damaged_commands_decode_or_are_refused(at: usize, with: u8) {
            let mut bytes = Vec::new();
            encode(&one_of_each(), &mut bytes);
            let at = at % bytes.len();
            bytes[at] = with;
            let bytes = bytes.into();
            // By hand or not.
            proptest::prop_assert_eq!(decode(&bytes).ok(), decode_any(&bytes).ok());
        }
    }
}

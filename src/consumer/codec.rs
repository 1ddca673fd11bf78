//! Between the consumer's types and its replicated bytes.
//!
//! Separate because bytes outlive versions: what is written here is read by every later
//! version. The configuration is kept as the API's own JSON.
//!
//! Invariants: decoding what was encoded gives the same; the same value gives the same
//! bytes; no bytes panic.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::command::Command;
use super::cursor::Cursor;
use super::replica::Consumer;
use super::state::{Pending, Position, State, Wait};
use crate::clock::Timestamp;
use crate::pb::consumer as pb;
use crate::state_machine::DecodeError;
use crate::store::message::Seq;

/// A command as it is written into the log.
pub fn encode_command(command: Command) -> pb::Command {
    use pb::command::Kind;
    let kind = match command {
        Command::Deliver(seqs) => Kind::Deliver(pb::Deliver {
            seqs: seqs.into_iter().map(|seq| seq.0).collect(),
        }),
        Command::Ack(seqs) => Kind::Ack(pb::Ack {
            seqs: seqs.into_iter().map(|seq| seq.0).collect(),
        }),
        Command::Nak { seq, not_before } => Kind::Nak(pb::Nak {
            seq: seq.0,
            not_before: not_before.map(Timestamp::unix_nanos),
        }),
        Command::Progress(seq) => Kind::Progress(seq.0),
        Command::Terminate { seq, reason } => Kind::Terminate(pb::Terminate { seq: seq.0, reason }),
        Command::Exhausted(seq) => Kind::Exhausted(seq.0),
        Command::Pause(until) => Kind::Pause(pb::Pause {
            until: until.map(Timestamp::unix_nanos),
        }),
        Command::Reset(seq) => Kind::Reset(pb::Reset {
            seq: seq.map(|seq| seq.0),
        }),
    };
    pb::Command { kind: Some(kind) }
}

/// The inverse of [`encode_command`].
///
/// # Errors
/// When there is no command in it, or one that this version does not know.
pub fn decode_command(command: pb::Command) -> Result<Command, DecodeError> {
    use pb::command::Kind;
    Ok(match command.kind.ok_or_else(|| missing("command"))? {
        Kind::Deliver(deliver) => Command::Deliver(deliver.seqs.into_iter().map(Seq).collect()),
        Kind::Ack(ack) => Command::Ack(ack.seqs.into_iter().map(Seq).collect()),
        Kind::Nak(nak) => Command::Nak {
            seq: Seq(nak.seq),
            not_before: nak.not_before.map(Timestamp::from_unix_nanos),
        },
        Kind::Progress(seq) => Command::Progress(Seq(seq)),
        Kind::Terminate(terminate) => Command::Terminate {
            seq: Seq(terminate.seq),
            reason: terminate.reason,
        },
        Kind::Exhausted(seq) => Command::Exhausted(Seq(seq)),
        Kind::Pause(pause) => Command::Pause(pause.until.map(Timestamp::from_unix_nanos)),
        Kind::Reset(reset) => Command::Reset(reset.seq.map(Seq)),
    })
}

pub(super) fn encode_consumer(consumer: &Consumer, out: &mut Vec<u8>) {
    let state = &consumer.state;
    let config = serde_json::to_vec(&consumer.config).expect("a configuration is plain JSON");
    let snapshot = pb::Consumer {
        config: config.into(),
        created: consumer.created.unix_nanos(),
        delivered: Some(encode_position(state.delivered())),
        ack_floor: Some(encode_position(state.ack_floor())),
        next: consumer.cursor.next().0,
        list: consumer.cursor.list().iter().map(|seq| seq.0).collect(),
        num_pending: consumer.num_pending,
        pending: state.pending().iter().map(encode_pending).collect(),
        exhausted: state.exhausted().iter().map(|seq| seq.0).collect(),
    };
    snapshot.encode(out).expect("a vector grows");
}

pub(super) fn decode_consumer(bytes: &[u8]) -> Result<Consumer, DecodeError> {
    let snapshot = pb::Consumer::decode(bytes).map_err(|error| DecodeError(error.to_string()))?;
    let config =
        serde_json::from_slice(&snapshot.config).map_err(|error| DecodeError(error.to_string()))?;
    let delivered = decode_position(snapshot.delivered, "delivered")?;
    let ack_floor = decode_position(snapshot.ack_floor, "ack floor")?;
    let pending = snapshot.pending.into_iter().map(decode_pending);
    let pending: BTreeMap<Seq, Pending> = pending.collect::<Result<_, _>>()?;
    let exhausted: BTreeSet<Seq> = snapshot.exhausted.into_iter().map(Seq).collect();
    Ok(Consumer::from_parts(
        config,
        Timestamp::from_unix_nanos(snapshot.created),
        Cursor::from_parts(
            snapshot.list.into_iter().map(Seq).collect(),
            Seq(snapshot.next),
        ),
        snapshot.num_pending,
        State::from_parts(delivered, ack_floor, pending, exhausted),
    ))
}

fn encode_position(position: Position) -> pb::Position {
    pb::Position {
        consumer: position.consumer,
        stream: position.stream.0,
        at: position.at.map(Timestamp::unix_nanos),
    }
}

fn decode_position(
    position: Option<pb::Position>,
    what: &'static str,
) -> Result<Position, DecodeError> {
    let position = position.ok_or_else(|| missing(what))?;
    Ok(Position {
        consumer: position.consumer,
        stream: Seq(position.stream),
        at: position.at.map(Timestamp::from_unix_nanos),
    })
}

fn encode_pending((seq, pending): (&Seq, &Pending)) -> pb::Pending {
    pb::Pending {
        seq: seq.0,
        first: pending.first,
        last: pending.last,
        count: pending.count,
        delivered: pending.delivered.unix_nanos(),
        wait: match pending.wait {
            Wait::Since(since) => Some(pb::pending::Wait::Since(since.unix_nanos())),
            Wait::Until(until) => Some(pb::pending::Wait::Until(until.unix_nanos())),
            Wait::Over => None,
        },
    }
}

fn decode_pending(pending: pb::Pending) -> Result<(Seq, Pending), DecodeError> {
    if pending.first == 0 || pending.seq == 0 {
        return Err(missing("sequence of a pending message"));
    }
    let decoded = Pending {
        first: pending.first,
        last: pending.last,
        count: pending.count,
        delivered: Timestamp::from_unix_nanos(pending.delivered),
        wait: match pending.wait {
            Some(pb::pending::Wait::Since(at)) => Wait::Since(Timestamp::from_unix_nanos(at)),
            Some(pb::pending::Wait::Until(at)) => Wait::Until(Timestamp::from_unix_nanos(at)),
            None => Wait::Over,
        },
    };
    Ok((Seq(pending.seq), decoded))
}

fn missing(what: &str) -> DecodeError {
    DecodeError(format!("consumer: {what} is missing"))
}

//! What clients send to consumers: acknowledgements, pull requests, replies to flow control.
//!
//! Separate from the deliveries because these are the questions, those the answers. Which
//! consumer is meant stands in the subject; what is said is the dispatcher's to read.
//!
//! Invariant: a message for a consumer that is not there is dropped; whether it is there
//! was asked before, on the publisher's thread.

use std::sync::Arc;

use super::delivery;
use super::incoming::Incoming;
use super::replica::Replica;
use super::subjects::Target;
use super::waiters::Waiter;
use crate::clock::Timestamp;
use crate::consumer::ack::AckSubject;
use crate::consumer::command::Command;
use crate::consumer::dispatch::Answer;
use bytes::Bytes;

/// A pull request.
pub fn on_pull(replica: &mut Replica, now: Timestamp, incoming: &Incoming) {
    let Some(Target::Pull { consumer, .. }) = Target::of(incoming.subject()) else {
        return;
    };
    if incoming.reply().is_empty() {
        return;
    }
    delivery::with_consumer(replica, now, consumer, |runtime, consumer, _, actions| {
        let reply = incoming.kept(incoming.reply());
        runtime.on_pull(now, consumer, reply, incoming.payload(), actions);
    });
}

/// Acknowledgements that came one after the other; leaves none. What goes to one consumer
/// and wants no answer is one command.
pub fn on_acks(replica: &mut Replica, now: Timestamp, incoming: &mut Vec<Incoming>) {
    let mut rest = &incoming[..];
    while let Some(first) = rest.first() {
        let Some(AckSubject { consumer: name, .. }) = AckSubject::parse(first.subject()) else {
            rest = &rest[1..];
            continue;
        };
        let mut decided = Vec::new();
        let mut count = 0;
        delivery::with_consumer(replica, now, name, |runtime, consumer, _, actions| {
            for incoming in rest {
                let ack = AckSubject::parse(incoming.subject());
                let Some(ack) = ack.filter(|ack| ack.consumer == name) else {
                    break;
                };
                let reply = incoming.kept(incoming.reply());
                let payload = incoming.payload();
                let acked = runtime.on_ack(now, consumer, &ack, payload, &reply, actions);
                count += 1;
                match (acked.answer, acked.command) {
                    (Answer::None, None) => {}
                    (Answer::None, Some(command)) => add(&mut decided, command),
                    (answer, command) => decided.push(Decided {
                        command,
                        reply: Some((answer, reply)),
                    }),
                }
            }
        });
        // At least the first one is read, whoever it was for.
        rest = &rest[count.max(1)..];
        for Decided { command, reply } in decided {
            let reply = match reply {
                Some((Answer::Now, reply)) => {
                    replica.outlet.publish(&reply, b"", b"", b"");
                    Bytes::new()
                }
                Some((_, reply)) => reply,
                None => Bytes::new(),
            };
            if let Some(command) = command {
                delivery::propose(replica, now, name, command, reply);
            }
        }
    }
    incoming.clear();
}

/// What one acknowledgement, or several, lead to.
struct Decided {
    command: Option<Command>,
    /// Where an answer is wanted, and when.
    reply: Option<(Answer, Bytes)>,
}

/// Adds a command that nobody waits for; acknowledgements to those before.
fn add(decided: &mut Vec<Decided>, command: Command) {
    let before = decided.last_mut().filter(|last| last.reply.is_none());
    match (before.and_then(|last| last.command.as_mut()), command) {
        (Some(Command::Ack(known)), Command::Ack(seqs)) => known.extend(seqs),
        (_, command) => decided.push(Decided {
            command: Some(command),
            reply: None,
        }),
    }
}

/// A reply to flow control.
pub fn on_flow_reply(replica: &mut Replica, now: Timestamp, incoming: &Incoming) {
    let Some(Target::FlowReply { consumer, .. }) = Target::of(incoming.subject()) else {
        return;
    };
    let mut command = None;
    delivery::with_consumer(replica, now, consumer, |runtime, consumer, _, _| {
        command = runtime.on_flow_reply(consumer, incoming.subject(), incoming.headers());
    });
    if let Some(command) = command {
        delivery::propose(replica, now, consumer, command, Bytes::new());
    }
}

/// The waiter of a consumer's command.
pub fn waiter(name: &Arc<str>, reply: Bytes, command: &Command) -> Waiter {
    Waiter::Consumer {
        name: Arc::clone(name),
        reply,
        is_delivery: matches!(command, Command::Deliver(_)),
    }
}

//! What clients send to consumers: acknowledgements, pull requests, replies to flow control.
//!
//! Separate from the deliveries because these are the questions, those the answers. Which
//! consumer is meant stands in the subject; what is said is the dispatcher's to read.
//!
//! Invariant: a message for a consumer that is not there is dropped; whether it is there
//! was asked before, on the publisher's thread.

use std::sync::Arc;

use super::delivery;
use super::mailbox::Incoming;
use super::replica::{Replica, Waiter};
use super::subjects::Target;
use crate::clock::Timestamp;
use crate::consumer::ack::AckSubject;
use crate::consumer::command::Command;
use crate::consumer::dispatch::Answer;
use bytes::Bytes;

/// A pull request.
pub fn on_pull(replica: &mut Replica, now: Timestamp, incoming: &Incoming) {
    let Some(Target::Pull { consumer, .. }) = Target::of(&incoming.subject) else {
        return;
    };
    if incoming.reply.is_empty() {
        return;
    }
    delivery::with_consumer(replica, now, consumer, |runtime, consumer, _, actions| {
        let reply = incoming.reply.clone();
        runtime.on_pull(now, consumer, reply, &incoming.payload, actions);
    });
}

/// An acknowledgement.
pub fn on_ack(replica: &mut Replica, now: Timestamp, incoming: &Incoming) {
    let Some(ack) = AckSubject::parse(&incoming.subject) else {
        return;
    };
    let mut acked = None;
    delivery::with_consumer(
        replica,
        now,
        ack.consumer,
        |runtime, consumer, _, actions| {
            let (payload, reply) = (&incoming.payload, &incoming.reply);
            acked = Some(runtime.on_ack(now, consumer, &ack, payload, reply, actions));
        },
    );
    let Some(acked) = acked else { return };
    let reply = match acked.answer {
        Answer::None => Bytes::new(),
        Answer::Applied => incoming.reply.clone(),
        Answer::Now => {
            replica.outlet.publish(&incoming.reply, b"", b"", b"");
            Bytes::new()
        }
    };
    if let Some(command) = acked.command {
        delivery::propose(replica, now, ack.consumer, command, reply);
    }
}

/// A reply to flow control.
pub fn on_flow_reply(replica: &mut Replica, now: Timestamp, incoming: &Incoming) {
    let Some(Target::FlowReply { consumer, .. }) = Target::of(&incoming.subject) else {
        return;
    };
    let mut command = None;
    delivery::with_consumer(replica, now, consumer, |runtime, consumer, _, _| {
        command = runtime.on_flow_reply(consumer, &incoming.subject, &incoming.headers);
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

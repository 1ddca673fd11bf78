//! What was stored is published again, under another subject.
//!
//! Separate because it is a feature of its own (jetstream spec §2.5): the leader does it
//! after the message was committed, and nobody is told if it goes nowhere.
//!
//! Invariant: with `headers_only` no payload leaves; the headers added here stand behind
//! those of the message.

use super::replica::Replica;
use super::status;
use crate::stream::outcome::Stored;

/// Publishes a stored message again, if the configuration covers its subject.
pub fn publish(replica: &mut Replica, stored: &Stored) {
    let Some((subject, headers_only)) = replica.republished(&stored.subject) else {
        return;
    };
    let mut block = match stored.headers.is_empty() {
        true => b"NATS/1.0\r\n".to_vec(),
        // Without the blank line that ends it.
        false => stored.headers[..stored.headers.len().saturating_sub(2)].to_vec(),
    };
    status::push(&mut block, "Nats-Stream", replica.handle.name.as_bytes());
    status::push(&mut block, "Nats-Subject", &stored.subject);
    let mut number = itoa::Buffer::new();
    status::push(
        &mut block,
        "Nats-Sequence",
        number.format(stored.seq.0).as_bytes(),
    );
    let time = stored.time.to_rfc3339();
    status::push(&mut block, "Nats-Time-Stamp", time.as_bytes());
    let previous = number.format(stored.previous.0);
    status::push(&mut block, "Nats-Last-Sequence", previous.as_bytes());
    let mut payload = &stored.payload[..];
    if headers_only {
        let size = number.format(payload.len());
        status::push(&mut block, "Nats-Msg-Size", size.as_bytes());
        payload = b"";
    }
    block.extend_from_slice(b"\r\n");
    replica.outlet.publish(&subject, b"", &block, payload);
}

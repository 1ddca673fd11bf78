//! What became of a consumer's command.

use crate::store::message::Seq;

/// What became of a command; for the leader to act on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The deliveries of [`super::command::Command::Deliver`] that took place: sequences
    /// that have gone meanwhile, or are acknowledged, are left out.
    pub deliveries: Vec<Delivery>,
    /// The command had an effect (an ack of a pending message, a nak of one, ...).
    pub changed: bool,
    /// Messages this consumer needs no more; the stream may drop them (interest, work queue).
    pub released: Vec<Seq>,
    /// Of an ack, nak or termination: the delivery it was about.
    pub settled: Option<Delivery>,
}

/// One delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The message.
    pub stream_seq: Seq,
    /// Counts the deliveries of this consumer, from 1.
    pub consumer_seq: u64,
    /// How often this message has been delivered, this time included.
    pub count: u64,
    /// When it was (first command's `now`), in Unix nanoseconds; for ack times.
    pub time_ns: i64,
}

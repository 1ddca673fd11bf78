//! What is replicated about a consumer.

use crate::clock::Timestamp;
use crate::store::message::Seq;

/// A change of one consumer, as a command in its stream's log.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// The leader is about to send these, in this order; the consumer sequence of each is
    /// the next one when it is applied.
    Deliver(Vec<Seq>),
    /// Acknowledged, one after the other; by the consumer's ack policy everything before
    /// each of them too.
    Ack(Vec<Seq>),
    /// Not taken: to be delivered again, not before `not_before` (none: at once).
    Nak {
        /// Which.
        seq: Seq,
        /// When at the earliest.
        not_before: Option<Timestamp>,
    },
    /// Being worked on: the ack wait begins anew.
    Progress(Seq),
    /// Never to be delivered again.
    Terminate {
        /// Which.
        seq: Seq,
        /// The client's words, for the advisory.
        reason: String,
    },
    /// Delivered as often as it may be; leaves the pending ones.
    Exhausted(Seq),
    /// No deliveries until then; none ends a pause.
    Pause(Option<Timestamp>),
    /// Starts anew at this sequence; none: behind the ack floor.
    Reset(Option<Seq>),
}

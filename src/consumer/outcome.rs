//! What became of a consumer's command.

use crate::store::message::Seq;

/// What became of a command; for the leader to act on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Which command it was.
    pub kind: Kind,
    /// The deliveries of [`super::command::Command::Deliver`] that took place: sequences
    /// that have gone meanwhile, or are acknowledged, are left out.
    pub deliveries: Vec<Delivery>,
    /// The command had an effect (an ack of a pending message, a nak of one, ...).
    pub changed: bool,
    /// Messages this consumer needs no more; the stream may drop them (interest, work queue).
    pub released: Vec<Seq>,
    /// Of acks, a nak, a termination or exhaustion: the deliveries it was about, as far as
    /// they were pending.
    pub settled: Vec<Delivery>,
}

impl Outcome {
    /// Nothing happened.
    pub fn nothing(kind: Kind) -> Self {
        Outcome {
            kind,
            ..Outcome::default()
        }
    }
}

/// Which command an outcome is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// [`super::command::Command::Deliver`].
    Deliver,
    /// [`super::command::Command::Ack`], with what was acknowledged.
    Ack(Vec<Seq>),
    /// [`super::command::Command::Nak`].
    Nak,
    /// [`super::command::Command::Progress`].
    #[default]
    Progress,
    /// [`super::command::Command::Terminate`], with the client's words.
    Terminate(String),
    /// [`super::command::Command::Exhausted`].
    Exhausted,
    /// [`super::command::Command::Pause`].
    Pause,
    /// [`super::command::Command::Reset`].
    Reset,
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
    /// When it was (the command's `now`), in Unix nanoseconds; for ack times.
    pub time_ns: i64,
    /// Matching messages not delivered yet, after this one; 0 in [`Outcome::settled`].
    pub pending: u64,
}

//! What became of a command, as data.
//!
//! Separate from the machine because its reader is the shell of the leader, which answers
//! publishers and carries the effects out; followers drop all of it.
//!
//! Invariants: an answer has everything the client is told; there are effects only where
//! something beside the answer is to be done, so a plain publish allocates none.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::consumer::outcome::Outcome as ConsumerOutcome;
use crate::store::message::Seq;

/// What became of a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// For whoever asked.
    pub answer: Answer,
    /// Messages that have gone, for whatever reason.
    pub removed: u64,
    /// What else the leader has to do, in this order.
    pub effects: Vec<Effect>,
}

/// The answer to one command.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Answer {
    /// Nothing was to be done: a copy that is here already, a command to a stream that is
    /// no mirror.
    #[default]
    Nothing,
    /// Published or copied.
    Stored(Seq),
    /// Published or copied to an interest stream that nobody is interested in: the sequence
    /// is used up, and acknowledged like any other.
    Skipped(Seq),
    /// The message id is known; nothing was stored.
    Duplicate(Seq),
    /// Not stored.
    Refused(PublishError),
    /// Of a tick: what was due has been done (more may be, see `Machine::next_deadline`).
    Ticked,
    /// The new configuration holds.
    Configured,
    /// So many messages have gone.
    Purged(u64),
    /// Whether the message was there.
    Deleted(bool),
    /// The consumer is there now.
    ConsumerPut {
        /// It was not before.
        created: bool,
    },
    /// Whether the consumer was there.
    ConsumerDeleted(bool),
    /// What the consumer says.
    Consumer(ConsumerOutcome),
    /// There is no consumer of that name (any more).
    NoConsumer,
}

/// Something for the leader to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The stream republishes, and this was stored.
    Republish(Box<Stored>),
    /// A message that was delivered and not acknowledged has gone: for an advisory.
    Terminated {
        /// Whose it was.
        consumer: String,
        /// The message.
        seq: Seq,
        /// Why it has gone.
        cause: Cause,
    },
}

/// A message just stored, as it was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its position.
    pub seq: Seq,
    /// Its time.
    pub time: Timestamp,
    /// The last one before on the same subject; none: 0.
    pub previous: Seq,
    /// Its subject.
    pub subject: Bytes,
    /// Its headers.
    pub headers: Bytes,
    /// Its body.
    pub payload: Bytes,
}

/// Why a message has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Limits, age or lifetime.
    Limits,
    /// Somebody deleted it, or purged or rolled up the stream.
    Deleted,
    /// Nobody needs it any more (interest, work queue).
    Consumed,
}

/// Which limit refuses a message in a stream that discards new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// `max_msgs`
    #[error("maximum messages exceeded")]
    Messages,
    /// `max_bytes`
    #[error("maximum bytes exceeded")]
    Bytes,
    /// `max_msgs_per_subject`
    #[error("maximum messages per subject exceeded")]
    MessagesPerSubject,
}

/// Why a publish was not stored. Each variant is a different answer to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum PublishError {
    #[error("stream is sealed")]
    Sealed,
    #[error("message size exceeds maximum allowed")]
    TooLarge,
    #[error("message too large")]
    RecordTooLarge,
    #[error("header size exceeds maximum allowed of 64k")]
    HeadersTooLarge,
    #[error("expected stream does not match")]
    WrongStream,
    #[error("wrong last sequence: {actual}")]
    WrongLastSeq { actual: Seq },
    #[error("missing sequence for expected last sequence per subject")]
    MissingSubjectSeq,
    #[error("wrong last msg ID: {actual}")]
    WrongLastMsgId { actual: String },
    #[error("per-message TTL is disabled")]
    TtlDisabled,
    #[error("invalid per-message TTL")]
    TtlInvalid,
    #[error("message header is reserved for sourced messages")]
    SourceHeader,
    #[error("message counters are disabled")]
    CountersDisabled,
    #[error("message schedules are disabled")]
    SchedulesDisabled,
    #[error("atomic publish is disabled")]
    AtomicDisabled,
    #[error("rollup not permitted")]
    RollupNotPermitted,
    #[error("rollup value invalid: {value:?}")]
    RollupInvalid { value: String },
    #[error("{0}")]
    Full(#[from] Full),
}

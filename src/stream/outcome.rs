//! What became of a command, as data.
//!
//! Separate from the machine because its reader is the shell of the leader, which answers
//! publishers and carries the effects out; followers drop all of it.
//!
//! Invariants: an answer has everything the client is told; there are effects only where
//! something beside the answer is to be done, so a plain publish allocates none.

use bytes::Bytes;

use crate::api_error::{ApiError, table};
use crate::clock::Timestamp;
use crate::consumer::outcome::{Delivery, Outcome as ConsumerOutcome};
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
    Consumer(Box<ConsumerOutcome>),
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
        /// Its last delivery to it.
        delivery: Delivery,
        /// Why it has gone.
        cause: Cause,
    },
}

impl Effect {
    /// The consumer it is about.
    pub fn consumer(&self) -> Option<&str> {
        match self {
            Effect::Republish(_) => None,
            Effect::Terminated { consumer, .. } => Some(consumer),
        }
    }
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
    /// Somebody deleted it.
    Deleted,
    /// Somebody purged or rolled up the stream.
    Purged,
    /// Nobody needs it any more (interest, work queue).
    Consumed,
}

/// Which limit refuses a message in a stream that discards new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// `max_msgs`
    Messages,
    /// `max_bytes`
    Bytes,
    /// `max_msgs_per_subject`
    MessagesPerSubject,
}

/// Why a publish was not stored. Each variant is a different answer to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// The stream takes nothing more.
    Sealed,
    /// Above `max_msg_size`.
    TooLarge,
    /// Above what one record may take.
    RecordTooLarge,
    /// The header block is.
    HeadersTooLarge,
    /// `Nats-Expected-Stream` names another.
    WrongStream,
    /// An expected sequence is not the last one, which is told.
    WrongLastSeq {
        /// The last sequence, of the stream or of the subject.
        actual: Seq,
    },
    /// A subject to expect a sequence on, but no sequence.
    MissingSubjectSeq,
    /// `Nats-Expected-Last-Msg-Id` is not the last one.
    WrongLastMsgId {
        /// The last one; empty if the last message had none.
        actual: String,
    },
    /// A lifetime, where the stream allows none.
    TtlDisabled,
    /// A lifetime that is none.
    TtlInvalid,
    /// A header that only copies from origins have.
    SourceHeader,
    /// A counter's increment, where there are no counters.
    CountersDisabled,
    /// A schedule, where there are none.
    SchedulesDisabled,
    /// Part of an atomic batch, where there are none.
    AtomicDisabled,
    /// A rollup, where the stream allows none.
    RollupNotPermitted,
    /// A rollup of something else than subject or stream.
    RollupInvalid {
        /// What it asks for, in lower case.
        value: String,
    },
    /// The stream is full and discards what is new.
    Full(Full),
}

impl PublishError {
    /// What the client is told.
    pub fn to_api_error(&self) -> ApiError {
        let failed = |row, err: &str| ApiError::of(row).with("{err}", err);
        match self {
            PublishError::Sealed => ApiError::of(&table::STREAM_SEALED),
            PublishError::TooLarge => ApiError::of(&table::STREAM_MESSAGE_EXCEEDS_MAXIMUM),
            PublishError::RecordTooLarge => {
                failed(&table::STREAM_STORE_FAILED, "message too large")
            }
            PublishError::HeadersTooLarge => ApiError::of(&table::STREAM_HEADER_EXCEEDS_MAXIMUM),
            PublishError::WrongStream => ApiError::of(&table::STREAM_NOT_MATCH),
            PublishError::WrongLastSeq { actual } => {
                ApiError::of(&table::STREAM_WRONG_LAST_SEQUENCE).with("{seq}", actual)
            }
            PublishError::MissingSubjectSeq => {
                ApiError::of(&table::STREAM_EXPECTED_LAST_SEQ_PER_SUBJECT_INVALID)
            }
            PublishError::WrongLastMsgId { actual } => {
                ApiError::of(&table::STREAM_WRONG_LAST_MSG_ID).with("{id}", actual)
            }
            PublishError::TtlDisabled => ApiError::of(&table::MESSAGE_TTL_DISABLED),
            PublishError::TtlInvalid => ApiError::of(&table::MESSAGE_TTL_INVALID),
            PublishError::SourceHeader => ApiError::of(&table::MESSAGE_SOURCE_HDR_NOT_ALLOWED),
            PublishError::CountersDisabled => ApiError::of(&table::MESSAGE_INCR_DISABLED),
            PublishError::SchedulesDisabled => ApiError::of(&table::MESSAGE_SCHEDULES_DISABLED),
            PublishError::AtomicDisabled => ApiError::of(&table::ATOMIC_PUBLISH_DISABLED),
            PublishError::RollupNotPermitted => {
                failed(&table::STREAM_ROLLUP_FAILED, "rollup not permitted")
            }
            PublishError::RollupInvalid { value } => failed(
                &table::STREAM_ROLLUP_FAILED,
                &format!("rollup value invalid: {value:?}"),
            ),
            PublishError::Full(full) => failed(
                &table::STREAM_STORE_FAILED,
                match full {
                    Full::Messages => "maximum messages exceeded",
                    Full::Bytes => "maximum bytes exceeded",
                    Full::MessagesPerSubject => "maximum messages per subject exceeded",
                },
            ),
        }
    }
}

impl From<Full> for PublishError {
    fn from(full: Full) -> Self {
        PublishError::Full(full)
    }
}

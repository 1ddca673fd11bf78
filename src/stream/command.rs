//! What is replicated about a stream.

use bytes::Bytes;

use super::config::Config as StreamConfig;
use crate::clock::Timestamp;
use crate::consumer;
use crate::store::message::Seq;

/// A change of one stream, as a command in its log.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// A message from a publisher; headers as received, subject after the transform.
    Publish(Publish),
    /// A message copied from a mirror's or source's origin.
    Copy(Box<Copy>),
    /// Time has passed: ages, TTLs and dedup windows up to the entry's `now` are due.
    Tick,
    /// A new configuration, validated by whoever proposes it.
    Configure(Box<StreamConfig>),
    /// Removes messages.
    Purge {
        /// Only matching ones; empty: all.
        filter: Bytes,
        /// Only below this sequence; none: all.
        below: Option<Seq>,
        /// But the last so many; 0: none is kept.
        keep: u64,
    },
    /// Removes one message.
    Delete {
        /// Which.
        seq: Seq,
        /// Its bytes go too.
        erase: bool,
    },
    /// Makes a consumer, or gives one another configuration (validated by whoever proposes).
    PutConsumer {
        /// Its name.
        name: String,
        /// Its configuration.
        config: Box<consumer::config::Config>,
    },
    /// Ends a consumer.
    DeleteConsumer {
        /// Its name.
        name: String,
    },
    /// Something about one consumer.
    Consumer {
        /// Its name.
        name: String,
        /// What.
        command: consumer::command::Command,
    },
}

/// A message from a publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Literal, after the stream's transform.
    pub subject: Bytes,
    /// The `NATS/1.0` block as received, without what the server strips; empty if none.
    pub headers: Bytes,
    /// The body.
    pub payload: Bytes,
}

/// A message copied from an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Which source of the configuration (0 for a mirror).
    pub source: u32,
    /// Of the configuration's origins, see `Origins::generation`: with others the copy is
    /// nobody's. None: of those there are.
    pub generation: Option<u64>,
    /// What was copied before: if the stream did not take that, it does not take this
    /// either. None: it does not matter.
    pub after: Option<Seq>,
    /// Its sequence there.
    pub origin_seq: Seq,
    /// Its time there (kept by a mirror).
    pub origin_time: Timestamp,
    /// Literal, after filters and transforms.
    pub subject: Bytes,
    /// With `Nats-Stream-Source` for a source.
    pub headers: Bytes,
    /// The body.
    pub payload: Bytes,
}

//! A stored message and its sequence.

use std::fmt;

use bytes::Bytes;

use crate::clock::Timestamp;

/// The position of a message in its stream; the first is 1, and 0 means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// No message.
    pub const NONE: Seq = Seq(0);
    /// Behind every message.
    pub const MAX: Seq = Seq(u64::MAX);

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Seq {
        Seq(self.0.saturating_add(1))
    }

    /// The one before this; none stays none.
    #[must_use]
    pub const fn prev(self) -> Seq {
        Seq(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message as it lies in a store, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRef<'a> {
    /// Its position.
    pub seq: Seq,
    /// When the leader took it.
    pub time: Timestamp,
    /// What it was published to, after the stream's transform. Literal.
    pub subject: &'a [u8],
    /// The `NATS/1.0` block with its blank line; empty if there is none.
    pub headers: &'a [u8],
    /// The body.
    pub payload: &'a [u8],
}

/// A message taken out of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its position.
    pub seq: Seq,
    /// When the leader took it.
    pub time: Timestamp,
    /// What it was published to, after the stream's transform. Literal.
    pub subject: Bytes,
    /// The `NATS/1.0` block with its blank line; empty if there is none.
    pub headers: Bytes,
    /// The body.
    pub payload: Bytes,
}

impl Message {
    /// The same, borrowed.
    pub fn as_ref(&self) -> MessageRef<'_> {
        MessageRef {
            seq: self.seq,
            time: self.time,
            subject: &self.subject,
            headers: &self.headers,
            payload: &self.payload,
        }
    }
}

impl From<MessageRef<'_>> for Message {
    fn from(message: MessageRef<'_>) -> Self {
        Message {
            seq: message.seq,
            time: message.time,
            subject: Bytes::copy_from_slice(message.subject),
            headers: Bytes::copy_from_slice(message.headers),
            payload: Bytes::copy_from_slice(message.payload),
        }
    }
}

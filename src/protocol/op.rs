//! Operations as data, borrowing from the buffer they were parsed from.

/// One operation of the client protocol (spec core §1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// `CONNECT {json}`.
    Connect(&'a [u8]),
    /// `PUB` or `HPUB`.
    Publish(Publish<'a>),
    /// `SUB <subject> [queue] <sid>`.
    Subscribe(Subscribe<'a>),
    /// `UNSUB <sid> [max]`; `max` 0 means at once.
    Unsubscribe {
        /// The client's name for the subscription.
        sid: &'a [u8],
        /// Deliveries since SUB after which the subscription ends; 0: now.
        max: u64,
    },
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
    /// `+OK`; carries nothing.
    Ok,
    /// `-ERR '<text>'`, from a client that gives up.
    Error(&'a [u8]),
    /// `INFO {json}`; clients may send it, nobody reads it.
    Info(&'a [u8]),
}

/// A message as published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The subject; any bytes but separators.
    pub subject: &'a [u8],
    /// The reply subject; empty if there is none.
    pub reply: &'a [u8],
    /// Bytes of `body` that are the header block; `None` for `PUB`.
    pub header_len: Option<usize>,
    /// Header block and payload, without the closing CRLF.
    pub body: &'a [u8],
}

/// A subscription as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// The subject filter; not validated yet.
    pub subject: &'a [u8],
    /// The queue group, if any.
    pub queue: Option<&'a [u8]>,
    /// The client's name for the subscription.
    pub sid: &'a [u8],
}

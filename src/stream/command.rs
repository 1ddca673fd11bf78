//! What is replicated about a stream.

use std::fmt;
use std::ops::Range;

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

/// A message from a publisher: its parts lie in one piece of memory, which is counted once.
#[derive(Clone)]
pub struct Publish {
    /// Everything, and perhaps more: an entry of the log.
    bytes: Bytes,
    subject: Part,
    headers: Part,
    payload: Part,
}

/// Where something lies: shorter than a range of `usize`, as there are many.
#[derive(Clone, Copy)]
struct Part {
    from: u32,
    to: u32,
}

impl Part {
    /// None if it is not a part of so many bytes.
    fn of(range: &Range<usize>, len: usize) -> Option<Part> {
        let part = Part {
            from: u32::try_from(range.start).ok()?,
            to: u32::try_from(range.end).ok()?,
        };
        (range.start <= range.end && range.end <= len).then_some(part)
    }

    fn in_bytes(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.from as usize..self.to as usize]
    }
}

impl Publish {
    /// Copies the parts together.
    ///
    /// # Panics
    /// With four gigabytes or more, which no client can send.
    pub fn new(subject: &[u8], headers: &[u8], payload: &[u8]) -> Publish {
        let bytes = Bytes::from([subject, headers, payload].concat());
        let (first, second) = (subject.len(), subject.len() + headers.len());
        let parts = [0..first, first..second, second..bytes.len()];
        Publish::within(bytes, parts).expect("a message has less than four gigabytes")
    }

    /// A message whose subject, headers and payload are these parts of `bytes`; none if they
    /// are not, or lie behind four gigabytes.
    pub fn within(bytes: Bytes, [subject, headers, payload]: [Range<usize>; 3]) -> Option<Publish> {
        Some(Publish {
            subject: Part::of(&subject, bytes.len())?,
            headers: Part::of(&headers, bytes.len())?,
            payload: Part::of(&payload, bytes.len())?,
            bytes,
        })
    }

    /// Literal, after the stream's transform.
    #[inline]
    pub fn subject(&self) -> &[u8] {
        self.subject.in_bytes(&self.bytes)
    }

    /// The `NATS/1.0` block as received, without what the server strips; empty if none.
    #[inline]
    pub fn headers(&self) -> &[u8] {
        self.headers.in_bytes(&self.bytes)
    }

    /// The body.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        self.payload.in_bytes(&self.bytes)
    }

    /// The three of them.
    #[inline]
    pub fn parts(&self) -> [&[u8]; 3] {
        [self.subject(), self.headers(), self.payload()]
    }

    /// What the parts lie in: who keeps one takes it as a slice of this, see [`kept`].
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Whatever its parts lie in.
impl PartialEq for Publish {
    fn eq(&self, other: &Publish) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Publish {}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [subject, headers, payload] = self.parts().map(<[u8]>::escape_ascii);
        f.debug_struct("Publish")
            .field("subject", &format_args!("\"{subject}\""))
            .field("headers", &format_args!("\"{headers}\""))
            .field("payload", &format_args!("\"{payload}\""))
            .finish()
    }
}

/// Where `part` lies in `bytes`, if it was taken out of them. What is empty lies anywhere.
pub fn place_of(part: &[u8], bytes: &[u8]) -> Option<Range<usize>> {
    if part.is_empty() {
        return Some(0..0);
    }
    let from = (part.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
    let to = from.checked_add(part.len())?;
    (to <= bytes.len()).then_some(from..to)
}

/// A part for keeps: without copying it, if it lies in `bytes`.
pub fn kept(part: &[u8], bytes: &Bytes) -> Bytes {
    match place_of(part, bytes) {
        Some(place) => bytes.slice(place),
        None => Bytes::copy_from_slice(part),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: &[u8] = b"NATS/1.0\r\n\r\n";

    fn check(publish: &Publish, parts: [&[u8]; 3]) {
        assert_eq!(publish.parts(), parts);
        let [subject, headers, payload] = parts;
        assert_eq!(publish.subject(), subject);
        assert_eq!(publish.headers(), headers);
        assert_eq!(publish.payload(), payload);
    }

    #[test]
    fn a_message_has_its_parts() {
        check(
            &Publish::new(b"a.b", HEADERS, b"body"),
            [b"a.b", HEADERS, b"body"],
        );
        check(&Publish::new(b"a.b", b"", b"body"), [b"a.b", b"", b"body"]);
        check(&Publish::new(b"a.b", HEADERS, b""), [b"a.b", HEADERS, b""]);
    }

    #[test]
    fn it_is_the_same_message_wherever_its_parts_lie() {
        let backwards = Bytes::from_static(b"..body-H-a.b..");
        let there = Publish::within(backwards, [9..12, 7..8, 2..6]).unwrap();
        check(&there, [b"a.b", b"H", b"body"]);
        assert_eq!(there, Publish::new(b"a.b", b"H", b"body"));
        for other in [
            Publish::new(b"a.bH", b"", b"body"),
            Publish::new(b"a.b", b"Hb", b"ody"),
            Publish::new(b"a.c", b"H", b"body"),
        ] {
            assert_ne!(there, other);
        }
        assert_eq!(
            format!("{there:?}"),
            r#"Publish { subject: "a.b", headers: "H", payload: "body" }"#
        );
    }

    #[test]
    fn an_empty_block_of_headers_may_lie_anywhere() {
        let bytes = Bytes::from_static(b"sp");
        for nowhere in [0..0, 1..1, 2..2] {
            let publish = Publish::within(bytes.clone(), [0..1, nowhere, 1..2]).unwrap();
            assert_eq!(publish, Publish::new(b"s", b"", b"p"));
        }
    }

    #[test]
    fn what_is_no_part_is_refused() {
        let within = |payload| {
            let bytes = Bytes::from_static(b"sp");
            Publish::within(bytes, [0..1, 0..0, payload])
        };
        assert!(within(1..2).is_some());
        #[allow(clippy::reversed_empty_ranges, reason = "it is no part")]
        let reversed = 2..1;
        for payload in [1..3, 3..3, reversed] {
            assert!(within(payload).is_none());
        }
    }

    #[test]
    fn a_part_is_kept_without_copying_it_if_that_can_be() {
        let publish = Publish::new(b"a", HEADERS, b"body");
        let payload = kept(publish.payload(), publish.bytes());
        assert_eq!(payload.as_ptr(), publish.payload().as_ptr());
        let copied = kept(HEADERS, publish.bytes());
        assert_eq!(
            (&copied[..], copied.as_ptr() == HEADERS.as_ptr()),
            (HEADERS, false)
        );
        assert_eq!(place_of(b"", HEADERS), Some(0..0));
        assert_eq!(place_of(&HEADERS[2..5], HEADERS), Some(2..5));
        assert_eq!(place_of(HEADERS, &HEADERS[1..]), None);
        assert_eq!(place_of(HEADERS, &HEADERS[..5]), None);
    }
}

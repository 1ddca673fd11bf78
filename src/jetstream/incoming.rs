//! A message that came for a stream, copied.
//!
//! Separate because it is what the mailbox and whoever reads it agree on: all parts in one
//! piece of memory, so that one reference is counted a message. What is published goes on
//! with that; whoever keeps a single part counts another.
//!
//! Invariant: the parts lie behind each other: where an answer goes, subject, headers, body.

use bytes::Bytes;

use crate::connection::id::ConnId;
use crate::stream::command::{Publish, kept};

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be stored.
    Publish,
    /// An acknowledgement, on `$JS.ACK.…`.
    Ack,
    /// A pull request, on `$JS.API.CONSUMER.MSG.NEXT.…`.
    Pull,
    /// A reply to flow control, on `$JS.FC.…`.
    FlowReply,
    /// `$JS.API.DIRECT.GET.…`.
    DirectGet,
    /// What a mirror's or source's origin sent.
    Copy,
}

impl Purpose {
    /// Nothing comes of it before the log has taken it.
    pub fn can_wait(self) -> bool {
        matches!(self, Purpose::Publish | Purpose::Ack | Purpose::Copy)
    }
}

/// A message, copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What it is for.
    pub purpose: Purpose,
    /// The link it came from.
    pub origin: ConnId,
    bytes: Bytes,
    /// Where the subject, the headers and the body begin.
    subject: u32,
    headers: u32,
    payload: u32,
}

impl Incoming {
    /// A message of these bytes, in which reply, subject and headers are so long; the rest
    /// is the body. None if they are not, or have four gigabytes.
    pub fn new(
        purpose: Purpose,
        origin: ConnId,
        bytes: Bytes,
        [reply, subject, headers]: [usize; 3],
    ) -> Option<Incoming> {
        let whole = u32::try_from(bytes.len()).ok()?;
        let begin = |before: u32, len: usize| {
            let end = before.checked_add(u32::try_from(len).ok()?)?;
            (end <= whole).then_some(end)
        };
        let subject_at = begin(0, reply)?;
        let headers_at = begin(subject_at, subject)?;
        let payload_at = begin(headers_at, headers)?;
        Some(Incoming {
            purpose,
            origin,
            bytes,
            subject: subject_at,
            headers: headers_at,
            payload: payload_at,
        })
    }

    /// Where an answer goes; empty: nowhere.
    pub fn reply(&self) -> &[u8] {
        &self.bytes[..self.subject as usize]
    }

    /// Where it was published to, after account mappings.
    pub fn subject(&self) -> &[u8] {
        &self.bytes[self.subject as usize..self.headers as usize]
    }

    /// The `NATS/1.0` block; empty: none.
    pub fn headers(&self) -> &[u8] {
        &self.bytes[self.headers as usize..self.payload as usize]
    }

    /// The body.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload as usize..]
    }

    /// One of its parts for keeps, not copied; costs a reference of its own.
    pub fn kept(&self, part: &[u8]) -> Bytes {
        match part.is_empty() {
            true => Bytes::new(),
            false => kept(part, &self.bytes),
        }
    }

    /// All of it; nothing is left in this one.
    pub fn take(&mut self) -> Incoming {
        Incoming {
            purpose: self.purpose,
            origin: self.origin,
            bytes: std::mem::take(&mut self.bytes),
            subject: std::mem::take(&mut self.subject),
            headers: std::mem::take(&mut self.headers),
            payload: std::mem::take(&mut self.payload),
        }
    }

    /// What is published with it, as it is; nothing is left in this one.
    pub fn take_publish(&mut self) -> Publish {
        let Incoming {
            bytes,
            subject,
            headers,
            payload,
            ..
        } = self.take();
        let [subject, headers, payload] = [subject, headers, payload].map(|at| at as usize);
        let parts = [subject..headers, headers..payload, payload..bytes.len()];
        Publish::within(bytes, parts).expect("they were parts all the time")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(text: &'static [u8], lens: [usize; 3]) -> Option<Incoming> {
        let bytes = Bytes::from_static(text);
        Incoming::new(Purpose::Publish, ConnId(7), bytes, lens)
    }

    fn parts(incoming: &Incoming) -> [&[u8]; 4] {
        [
            incoming.reply(),
            incoming.subject(),
            incoming.headers(),
            incoming.payload(),
        ]
    }

    #[test]
    fn parts_lie_behind_each_other() {
        let whole = incoming(b"replyaHHpay", [5, 1, 2]).unwrap();
        assert_eq!(parts(&whole), [&b"reply"[..], b"a", b"HH", b"pay"]);
        let little = incoming(b"a", [0, 1, 0]).unwrap();
        assert_eq!(parts(&little), [&b""[..], b"a", b"", b""]);
        for lens in [[12, 0, 0], [5, 7, 0], [5, 1, 6], [usize::MAX, 2, 0]] {
            assert_eq!(incoming(b"replyaHHpay", lens), None);
        }
    }

    #[test]
    fn what_is_published_is_not_copied() {
        let mut all = incoming(b"replyaHHpay", [5, 1, 2]).unwrap();
        let at = all.payload().as_ptr();
        let publish = all.take_publish();
        assert_eq!(publish, Publish::new(b"a", b"HH", b"pay"));
        assert_eq!(publish.payload().as_ptr(), at);
        assert_eq!(parts(&all), [b""; 4], "nothing is left");
    }

    #[test]
    fn a_part_is_kept_not_copied() {
        let mut all = incoming(b"replyaHHpay", [5, 1, 2]).unwrap();
        let kept = all.kept(all.headers());
        assert_eq!(
            (&kept[..], kept.as_ptr()),
            (&b"HH"[..], all.headers().as_ptr())
        );
        assert!(incoming(b"a", [0, 1, 0]).unwrap().kept(b"").is_empty());
        let taken = all.take();
        assert_eq!(taken.subject(), b"a");
        assert_eq!(parts(&all), [b""; 4], "nothing is left");
    }
}

//! What a subject under `$JS` is about.
//!
//! Separate because it is asked on the publisher's thread for every message to `$JS.>`,
//! and because the table of subjects is a contract (jetstream spec §1.4, §1.5, §1.7).
//!
//! Invariant: nothing is decided here but who is meant; whether it exists is asked later.

use crate::subject::tokens;

/// The prefix of API requests.
pub const API: &[u8] = b"$JS.API.";
/// The prefix of acknowledgements.
pub const ACK: &[u8] = b"$JS.ACK.";
/// The prefix of replies to flow control.
pub const FLOW: &[u8] = b"$JS.FC.";

/// Whom a message to `$JS.>` is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// An API request, by what follows the prefix.
    Api(&'a [u8]),
    /// A pull request to a consumer.
    Pull {
        /// The stream.
        stream: &'a [u8],
        /// The consumer.
        consumer: &'a [u8],
    },
    /// A read past the API; what follows the stream is the subject asked for.
    DirectGet {
        /// The stream.
        stream: &'a [u8],
        /// Empty: the body says what is wanted.
        subject: &'a [u8],
    },
    /// An acknowledgement.
    Ack {
        /// The stream.
        stream: &'a [u8],
        /// The consumer.
        consumer: &'a [u8],
    },
    /// A reply to flow control.
    FlowReply {
        /// The stream.
        stream: &'a [u8],
        /// The consumer.
        consumer: &'a [u8],
    },
}

impl<'a> Target<'a> {
    /// Whom `subject` is for; none if it is nobody's here.
    pub fn of(subject: &'a [u8]) -> Option<Target<'a>> {
        if let Some(rest) = subject.strip_prefix(ACK) {
            let (stream, consumer, _) = owner(rest, 7)?;
            return Some(Target::Ack { stream, consumer });
        }
        if let Some(rest) = subject.strip_prefix(FLOW) {
            let (stream, consumer, _) = owner(rest, 3)?;
            return Some(Target::FlowReply { stream, consumer });
        }
        let rest = subject.strip_prefix(API)?;
        if let Some(rest) = rest.strip_prefix(b"CONSUMER.MSG.NEXT.") {
            let (stream, consumer) = two(rest)?;
            return Some(Target::Pull { stream, consumer });
        }
        if let Some(rest) = rest.strip_prefix(b"DIRECT.GET.") {
            let (stream, subject) = tokens::split_first(rest);
            let subject = subject.unwrap_or_default();
            return Some(Target::DirectGet { stream, subject });
        }
        if rest == b"DIRECT.GET" {
            return None;
        }
        Some(Target::Api(rest))
    }
}

/// Exactly two tokens.
fn two(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = tokens::split_first(rest);
    let (second, rest) = tokens::split_first(rest?);
    rest.is_none().then_some((first, second))
}

/// Stream and consumer of an ack or flow-control subject: `count` tokens, or the longer
/// form that begins with domain and account hash.
fn owner(rest: &[u8], count: usize) -> Option<(&[u8], &[u8], &[u8])> {
    let found = tokens::count(rest);
    let mut rest = rest;
    if found >= count + 2 {
        for _ in 0..2 {
            rest = tokens::split_first(rest).1?;
        }
    } else if found != count {
        return None;
    }
    let (stream, rest) = tokens::split_first(rest);
    let (consumer, rest) = tokens::split_first(rest?);
    Some((stream, consumer, rest.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(subject: &str, expected: Option<Target<'_>>) {
        assert_eq!(Target::of(subject.as_bytes()), expected, "{subject}");
    }

    #[test]
    fn every_kind_of_subject_finds_its_owner() {
        check("$JS.API.INFO", Some(Target::Api(b"INFO")));
        check("$JS.API.STREAM.INFO.S", Some(Target::Api(b"STREAM.INFO.S")));
        let (stream, consumer) = (&b"S"[..], &b"C"[..]);
        check(
            "$JS.API.CONSUMER.MSG.NEXT.S.C",
            Some(Target::Pull { stream, consumer }),
        );
        check("$JS.API.CONSUMER.MSG.NEXT.S", None);
        check("$JS.API.DIRECT.GET", None);
        check("$JS.API.CONSUMER.MSG.NEXT.S.C.D", None);
        check(
            "$JS.API.DIRECT.GET.S",
            Some(Target::DirectGet {
                stream,
                subject: b"",
            }),
        );
        check(
            "$JS.API.DIRECT.GET.S.a.b",
            Some(Target::DirectGet {
                stream,
                subject: b"a.b",
            }),
        );
        check(
            "$JS.ACK.S.C.1.2.3.4.5",
            Some(Target::Ack { stream, consumer }),
        );
        check(
            "$JS.ACK._.hash.S.C.1.2.3.4.5",
            Some(Target::Ack { stream, consumer }),
        );
        check("$JS.ACK.S.C.1.2.3.4", None);
        check(
            "$JS.FC.S.C.abcd",
            Some(Target::FlowReply { stream, consumer }),
        );
        check(
            "$JS.FC._.hash.S.C.abcd",
            Some(Target::FlowReply { stream, consumer }),
        );
        check("foo", None);
    }
}

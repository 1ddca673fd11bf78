//! Acknowledgements on the wire: the `$JS.ACK` subject and what a payload means.
//!
//! Separate because both are texts that clients build and read. The subject comes in two
//! forms, and clients of both are served:
//!
//! ```text
//!   $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>
//!   $JS.ACK.<domain or _>.<account hash>.<stream>.<consumer>.<the same five>[.<more>]
//! ```
//!
//! Invariants: what [`write_subject`] writes, [`AckSubject::parse`] reads; no input panics.

use serde::Deserialize;

use super::outcome::Delivery;
use crate::clock::Timestamp;
use crate::store::message::Seq;

/// What every ack subject begins with.
pub const PREFIX: &[u8] = b"$JS.ACK.";

/// An ack subject, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckSubject<'a> {
    /// The stream's name.
    pub stream: &'a [u8],
    /// The consumer's name.
    pub consumer: &'a [u8],
    /// How often the message had been delivered.
    pub count: u64,
    /// The message.
    pub stream_seq: Seq,
    /// The delivery.
    pub consumer_seq: u64,
}

impl<'a> AckSubject<'a> {
    /// Takes a subject apart; none if it is no ack subject.
    pub fn parse(subject: &'a [u8]) -> Option<AckSubject<'a>> {
        let rest = subject.strip_prefix(PREFIX)?;
        let count = rest.split(|byte| *byte == b'.').count();
        let mut tokens = rest.split(|byte| *byte == b'.');
        match count {
            7 => {}
            9.. => {
                tokens.nth(1); // domain and account
            }
            _ => return None,
        }
        let parsed = AckSubject {
            stream: tokens.next()?,
            consumer: tokens.next()?,
            count: number(tokens.next()?)?,
            stream_seq: Seq(number(tokens.next()?)?),
            consumer_seq: number(tokens.next()?)?,
        };
        number(tokens.next()?)?;
        number(tokens.next()?)?;
        (parsed.stream_seq != Seq::NONE).then_some(parsed)
    }
}

/// `$JS.ACK.<stream>.<consumer>.`: the part of the subject that all deliveries share.
pub fn subject_prefix(stream: &str, consumer: &str) -> Vec<u8> {
    [PREFIX, stream.as_bytes(), b".", consumer.as_bytes(), b"."].concat()
}

/// Appends the ack subject of a delivery of a message stored at `time`.
pub fn write_subject(prefix: &[u8], delivery: &Delivery, time: Timestamp, out: &mut Vec<u8>) {
    out.extend_from_slice(prefix);
    let mut digits = itoa::Buffer::new();
    for number in [delivery.count, delivery.stream_seq.0, delivery.consumer_seq] {
        out.extend_from_slice(digits.format(number).as_bytes());
        out.push(b'.');
    }
    out.extend_from_slice(digits.format(time.unix_nanos()).as_bytes());
    out.push(b'.');
    out.extend_from_slice(digits.format(delivery.pending).as_bytes());
}

/// How long [`write_subject`]'s subject is.
pub(super) fn subject_len(prefix: usize, delivery: &Delivery, time: Timestamp) -> usize {
    let time = time.unix_nanos();
    let numbers = [
        delivery.count,
        delivery.stream_seq.0,
        delivery.consumer_seq,
        time.unsigned_abs(),
        delivery.pending,
    ];
    let digits = |number: u64| number.checked_ilog10().unwrap_or(0) as usize + 1;
    prefix + 4 + usize::from(time < 0) + numbers.into_iter().map(digits).sum::<usize>()
}

/// What the payload of an acknowledgement asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ack<'a> {
    /// Done.
    Done,
    /// Not taken; to come again after so many nanoseconds.
    Nak(Option<i64>),
    /// Being worked on.
    Progress,
    /// Never again, for that reason.
    Terminate(&'a str),
    /// Done, and this is the next pull request.
    Next(&'a [u8]),
    /// Nothing we know. It is answered, and means nothing.
    Unknown,
}

impl<'a> Ack<'a> {
    /// Reads a payload.
    pub fn parse(payload: &'a [u8]) -> Ack<'a> {
        match payload {
            b"" | b"+ACK" | b"+OK" => return Ack::Done,
            b"+WPI" => return Ack::Progress,
            _ => {}
        }
        if let Some(rest) = payload.strip_prefix(b"+NXT") {
            Ack::Next(rest)
        } else if let Some(rest) = payload.strip_prefix(b"-NAK") {
            Ack::Nak(delay(rest.trim_ascii()))
        } else if let Some(rest) = payload.strip_prefix(b"+TERM") {
            Ack::Terminate(std::str::from_utf8(rest.trim_ascii()).unwrap_or_default())
        } else {
            Ack::Unknown
        }
    }
}

/// The options a nak may carry.
#[derive(Deserialize)]
struct NakOptions {
    #[serde(default)]
    delay: i64,
}

/// The delay of a nak, in nanoseconds; what cannot be read is no delay.
fn delay(text: &[u8]) -> Option<i64> {
    match text.first()? {
        b'{' => serde_json::from_slice::<NakOptions>(text)
            .ok()
            .map(|options| options.delay),
        _ => go_duration(std::str::from_utf8(text).ok()?),
    }
}

/// A duration as Go writes it (`1.5s`, `2m30s`, `-1h`), in nanoseconds.
fn go_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut nanos = 0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|end| *end > 0)?;
        let value: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        nanos += value
            * match &rest[..unit_end] {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    let nanos = if negative { -nanos } else { nanos };
    #[allow(
        clippy::cast_possible_truncation,
        reason = "saturates; sub-ns is noise"
    )]
    (nanos.abs() < 9.2e18).then_some(nanos.round() as i64)
}

fn number(token: &[u8]) -> Option<u64> {
    if token.is_empty() || !token.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(token).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn payloads_mean_what_clients_mean() {
        let check = |payload: &str, expected: Ack<'_>| {
            assert_eq!(Ack::parse(payload.as_bytes()), expected, "{payload}");
        };
        check("", Ack::Done);
        check("+ACK", Ack::Done);
        check("+OK", Ack::Done);
        check("+ACK ", Ack::Unknown);
        check("+WPI", Ack::Progress);
        check("+WPI x", Ack::Unknown);
        check("-NAK", Ack::Nak(None));
        check(
            "-NAK {\"delay\": 5000000000}",
            Ack::Nak(Some(5_000_000_000)),
        );
        check("-NAK {\"delay\": \"x\"}", Ack::Nak(None));
        check("-NAK 1.5s", Ack::Nak(Some(1_500_000_000)));
        check("-NAK 2m30s", Ack::Nak(Some(150_000_000_000)));
        check("-NAK 10", Ack::Nak(None));
        check("-NAK 0", Ack::Nak(Some(0)));
        check("-NAK -1s", Ack::Nak(Some(-1_000_000_000)));
        check("-NAK soon", Ack::Nak(None));
        check("+TERM", Ack::Terminate(""));
        check("+TERM  too old ", Ack::Terminate("too old"));
        check("+NXT", Ack::Next(b""));
        check("+NXT {\"batch\":2}", Ack::Next(b" {\"batch\":2}"));
        check("hello", Ack::Unknown);
    }

    #[test]
    fn subjects_are_read_in_both_forms() {
        let check = |subject: &str, expected: Option<(u64, u64, u64)>| {
            let parsed = AckSubject::parse(subject.as_bytes());
            assert_eq!(
                parsed.map(|ack| (ack.count, ack.stream_seq.0, ack.consumer_seq)),
                expected,
                "{subject}"
            );
        };
        check("$JS.ACK.s.c.1.22.333.4444.5", Some((1, 22, 333)));
        check("$JS.ACK._.hash.s.c.1.22.333.4444.5", Some((1, 22, 333)));
        check(
            "$JS.ACK.hub.hash.s.c.1.22.333.4444.5.rnd",
            Some((1, 22, 333)),
        );
        check("$JS.ACK.s.c.1.0.333.4444.5", None);
        check("$JS.ACK.s.c.1.22.333.4444", None);
        check("$JS.ACK.s.c.1.22.333.4444.5.6", None);
        check("$JS.ACK.s.c.x.22.333.4444.5", None);
        check("$JS.ACK.s.c.1.99999999999999999999.333.4444.5", None);
        check("$JS.ACK.", None);
        check("foo", None);
    }

    proptest! {
        #[test]
        fn a_written_subject_is_read_and_measured(
            stream_seq in 1_u64.., consumer_seq: u64, count: u64, pending: u64, time in 0_i64..,
        ) {
            let delivery = Delivery {
                stream_seq: Seq(stream_seq), consumer_seq, count, time_ns: 0, pending,
            };
            let time = Timestamp::from_unix_nanos(time);
            let prefix = subject_prefix("orders", "worker");
            let mut subject = Vec::new();
            write_subject(&prefix, &delivery, time, &mut subject);
            prop_assert_eq!(subject.len(), subject_len(prefix.len(), &delivery, time));
            let parsed = AckSubject::parse(&subject).expect("it was written");
            prop_assert_eq!(parsed, AckSubject {
                stream: b"orders", consumer: b"worker", count, stream_seq: Seq(stream_seq), consumer_seq,
            });
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, tail in "-NAK [0-9.a-zµ{}\":+-]{0,12}") {
            let _ = AckSubject::parse(&bytes);
            let _ = Ack::parse(&bytes);
            let _ = Ack::parse(tail.as_bytes());
        }
    }
}

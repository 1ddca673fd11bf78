//! Lifetimes of single messages: `Nats-TTL`.
//!
//! Separate from `retention` because it has an index of its own: the store cannot find
//! messages by the end of their life.
//!
//! Invariants: every entry of the index is a message that is in the store, so the index is
//! no larger than the stream; a message leaves it with the message. Absent: what happens at
//! the end of a life (`retention`).

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;
use crate::pb::stream as pb;
use crate::state_machine::DecodeError;
use crate::store::message::Seq;

const SECOND: i64 = 1_000_000_000;

/// How long a message is to live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ttl {
    /// As long as the stream's limits let it.
    #[default]
    Unset,
    /// Whatever the stream's `max_age` says.
    Never,
    /// So long at most.
    Seconds(u64),
}

/// The value of `Nats-TTL` makes no sense.
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid;

impl Ttl {
    /// Reads the value of `Nats-TTL`: a Go duration of at least a second, a number of
    /// seconds, or `never`; empty is unset.
    ///
    /// # Errors
    /// When it is none of them, or less than a second.
    pub fn parse(value: &[u8]) -> Result<Ttl, Invalid> {
        if value.is_empty() {
            return Ok(Ttl::Unset);
        }
        if value.eq_ignore_ascii_case(b"never") {
            return Ok(Ttl::Never);
        }
        let text = std::str::from_utf8(value).map_err(|_| Invalid)?;
        let seconds = match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse().map_err(|_| Invalid)?,
            false => go_duration(text).ok_or(Invalid)? / SECOND.unsigned_abs(),
        };
        match seconds {
            0 => Err(Invalid),
            _ => Ok(Ttl::Seconds(seconds)),
        }
    }
}

/// A duration as Go writes it (`1h30m`, `1.5s`), in nanoseconds; negative ones are none.
fn go_duration(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let unit_len = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let unit: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: u64 = match whole {
            "" => 0,
            _ => whole.parse().ok()?,
        };
        total = total.checked_add(whole.checked_mul(unit)?)?;
        let mut scale = unit;
        for digit in fraction.bytes() {
            scale /= 10;
            total = total.checked_add(u64::from(digit - b'0') * scale)?;
        }
        rest = after;
    }
    i64::try_from(total).ok()?;
    Some(total)
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Writes a whole number of seconds as Go prints the duration: `1m30s`, `2h0m0s`.
pub fn go_seconds(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// The messages of a stream that have a lifetime.
#[derive(Debug, Default)]
pub struct Lifetimes {
    by_time: BTreeSet<(Timestamp, Seq)>,
    by_seq: BTreeMap<Seq, Timestamp>,
    never: BTreeSet<Seq>,
}

impl Lifetimes {
    /// A message was stored, taken at `time`.
    pub fn insert(&mut self, seq: Seq, time: Timestamp, ttl: Ttl) {
        match ttl {
            Ttl::Unset => {}
            Ttl::Never => {
                self.never.insert(seq);
            }
            Ttl::Seconds(seconds) => {
                let life = i64::try_from(seconds)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(SECOND);
                let end = Timestamp::from_unix_nanos(time.unix_nanos().saturating_add(life));
                self.by_time.insert((end, seq));
                self.by_seq.insert(seq, end);
            }
        }
    }

    /// A message has gone.
    pub fn remove(&mut self, seq: Seq) {
        if let Some(end) = self.by_seq.remove(&seq) {
            self.by_time.remove(&(end, seq));
        } else if !self.never.is_empty() {
            self.never.remove(&seq);
        }
    }

    /// The message whose life ended first, if one ended by `now`.
    pub fn due(&self, now: Timestamp) -> Option<Seq> {
        let (end, seq) = self.by_time.first()?;
        (*end <= now).then_some(*seq)
    }

    /// When the next life ends.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(end, _)| *end)
    }

    /// Whether age does nothing to the message.
    pub fn is_never(&self, seq: Seq) -> bool {
        self.never.contains(&seq)
    }

    /// Whether age does nothing to some message below `seq`.
    pub fn has_never_below(&self, seq: Seq) -> bool {
        self.never.first().is_some_and(|first| *first < seq)
    }

    /// The index for a snapshot.
    pub(super) fn to_pb(&self) -> pb::Lifetimes {
        pb::Lifetimes {
            never: self.never.iter().map(|seq| seq.0).collect(),
            times: self
                .by_time
                .iter()
                .map(|(end, _)| end.unix_nanos())
                .collect(),
            seqs: self.by_time.iter().map(|(_, seq)| seq.0).collect(),
        }
    }

    /// The inverse of [`Lifetimes::to_pb`].
    pub(super) fn from_pb(lifetimes: &pb::Lifetimes) -> Result<Self, DecodeError> {
        if lifetimes.times.len() != lifetimes.seqs.len() {
            return Err(DecodeError("columns of lifetimes differ".to_owned()));
        }
        let ends = || {
            let ends = lifetimes.times.iter().zip(&lifetimes.seqs);
            ends.map(|(end, seq)| (Timestamp::from_unix_nanos(*end), Seq(*seq)))
        };
        Ok(Lifetimes {
            by_time: ends().collect(),
            by_seq: ends().map(|(end, seq)| (seq, end)).collect(),
            never: lifetimes.never.iter().copied().map(Seq).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_read_as_written() {
        let check = |value: &str, expected| {
            assert_eq!(Ttl::parse(value.as_bytes()), expected, "{value:?}");
        };
        check("", Ok(Ttl::Unset));
        check("never", Ok(Ttl::Never));
        check("NEVER", Ok(Ttl::Never));
        check("1", Ok(Ttl::Seconds(1)));
        check("3600", Ok(Ttl::Seconds(3600)));
        check("1s", Ok(Ttl::Seconds(1)));
        check("1.9s", Ok(Ttl::Seconds(1)));
        check("1h1m1s", Ok(Ttl::Seconds(3661)));
        check("+2s", Ok(Ttl::Seconds(2)));
        check(".5m", Ok(Ttl::Seconds(30)));
        check("1000ms", Ok(Ttl::Seconds(1)));
        check("2000000µs", Ok(Ttl::Seconds(2)));
        for invalid in [
            "0",
            "500ms",
            "-1",
            "-1s",
            "1x",
            "s",
            ".s",
            "1.2.3s",
            "never ",
            "1 s",
            "99999999999999999999",
            "9999999999h",
            "\u{e4}",
            "1s-",
            "+",
        ] {
            check(invalid, Err(Invalid));
        }
        assert_eq!(Ttl::parse(b"\xff"), Err(Invalid));
    }

    #[test]
    fn seconds_are_written_as_go_does() {
        let check = |seconds, text: &str| assert_eq!(go_seconds(seconds), text);
        check(1, "1s");
        check(60, "1m0s");
        check(90, "1m30s");
        check(3600, "1h0m0s");
        check(90061, "25h1m1s");
    }

    #[test]
    fn what_has_gone_is_not_due() {
        let at = |seconds: i64| Timestamp::from_unix_nanos(seconds * SECOND);
        let mut lifetimes = Lifetimes::default();
        lifetimes.insert(Seq(1), at(0), Ttl::Seconds(5));
        lifetimes.insert(Seq(2), at(1), Ttl::Seconds(1));
        lifetimes.insert(Seq(3), at(1), Ttl::Never);
        lifetimes.insert(Seq(4), at(1), Ttl::Unset);
        lifetimes.insert(Seq(5), at(1), Ttl::Seconds(u64::MAX));
        assert_eq!(lifetimes.deadline(), Some(at(2)));
        assert_eq!(lifetimes.due(at(1)), None);
        assert_eq!(lifetimes.due(at(2)), Some(Seq(2)));
        let restored = Lifetimes::from_pb(&lifetimes.to_pb()).unwrap();
        assert_eq!(restored.to_pb(), lifetimes.to_pb());
        lifetimes.remove(Seq(2));
        assert_eq!(lifetimes.due(at(2)), None);
        assert_eq!(lifetimes.due(at(9)), Some(Seq(1)));
        assert!(lifetimes.is_never(Seq(3)) && lifetimes.has_never_below(Seq(4)));
        assert!(!lifetimes.has_never_below(Seq(3)));
        lifetimes.remove(Seq(3));
        assert!(!lifetimes.is_never(Seq(3)));
    }
}

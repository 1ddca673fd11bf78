//! The usual publication, read in one pass: `PUB <subject> [reply] <#bytes>`, single blanks,
//! CRLF, all of its body there.
//!
//! Nearly every operation of a busy link is one. What is read here stays in registers: put
//! together in memory word by word and taken out again two words at a time, it would wait
//! until the copy of the message before has left the processor's store buffer (measured at
//! 1 KiB: a tenth of all the time the server takes).
//!
//! Invariant: says nothing but what [`parse`](super::parse) would without it, and nothing at
//! all about what is unusual.

use crate::protocol::args;
use crate::protocol::limits::Limits;
use crate::protocol::op::Publish;

const VERB: &[u8] = b"PUB ";

/// A usual publication at the beginning of `buf`, and the bytes it takes.
#[inline(always)]
pub(super) fn publish<'a>(buf: &'a [u8], limits: &Limits) -> Option<(Publish<'a>, usize)> {
    if !buf.starts_with(VERB) {
        return None;
    }
    let subject_end = word(buf, VERB.len())?;
    if buf[subject_end] != b' ' {
        return None;
    }
    let second = subject_end + 1;
    let second_end = word(buf, second)?;
    let (reply, len, line_end) = if buf[second_end] == b' ' {
        let third = second_end + 1;
        let third_end = word(buf, third)?;
        (&buf[second..second_end], &buf[third..third_end], third_end)
    } else {
        (&buf[..0], &buf[second..second_end], second_end)
    };
    let after = line_end + 2;
    if buf.get(line_end..after) != Some(b"\r\n") || line_end - VERB.len() > limits.control_line_max
    {
        return None;
    }
    let end = after + args::size(len).filter(|len| *len <= limits.payload_max)?;
    if buf.get(end..end + 2) != Some(b"\r\n") {
        return None;
    }
    let publish = Publish {
        subject: &buf[VERB.len()..subject_end],
        reply,
        header_len: None,
        body: &buf[after..end],
    };
    Some((publish, end + 2))
}

/// Where the word that begins at `from` ends: the first blank or control character. `None` if
/// there is no word, or its end is not there.
#[inline(always)]
fn word(buf: &[u8], from: usize) -> Option<usize> {
    let len = buf[from..].iter().position(|byte| *byte <= b' ')?;
    (len > 0).then_some(from + len)
}

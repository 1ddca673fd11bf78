//! Bytes in, operations out: the client protocol, split anywhere.
//!
//! [`parse`] looks at the beginning of a buffer and answers with one operation, how much
//! more it needs, or why the connection cannot go on. It keeps no state: a caller that
//! got [`Step::Incomplete`] calls again with more bytes behind the same ones. Control
//! lines are short (`max_control_line`), so reading one again costs next to nothing, and
//! a body is only measured, never looked at.
//!
//! Invariants: an operation never depends on how its bytes were split; a line over the
//! limit and a message over the limit are refused before their bytes have arrived; a wrong
//! verb is refused at its first wrong byte.

use memchr::memchr;

use super::args::{self, ArgumentError};
use super::limits::Limits;
use super::op::{Op, Publish};

/// What the beginning of a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A whole operation and the bytes it took.
    Op(Op<'a>, usize),
    /// Not yet; at least this many bytes are needed in all (a lower bound).
    Incomplete(usize),
}

/// Why a connection cannot go on (spec core §1.1, §1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not a verb a client may use, or a body without its CRLF.
    #[error("unknown protocol operation")]
    UnknownOperation,
    /// Arguments that make no sense.
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    /// A control line over the limit.
    #[error("maximum control line exceeded")]
    ControlLine,
    /// A message over the limit.
    #[error("maximum payload violation: {0} bytes")]
    Payload(usize),
    /// `HPUB` where headers are off.
    #[error("message headers not supported")]
    Headers,
}

/// Bytes that are passed over in one line, at least.
const IGNORED_MAX: usize = 4096;

#[derive(Clone, Copy)]
enum Verb {
    Connect,
    Error,
    HeaderPublish,
    Info,
    Ok,
    Ping,
    Pong,
    Publish,
    Subscribe,
    Unsubscribe,
}

/// Every verb a client may send, and whether a blank must follow it.
const VERBS: [(&[u8], bool, Verb); 10] = [
    (b"PUB", true, Verb::Publish),
    (b"HPUB", true, Verb::HeaderPublish),
    (b"SUB", true, Verb::Subscribe),
    (b"UNSUB", true, Verb::Unsubscribe),
    (b"PING", false, Verb::Ping),
    (b"PONG", false, Verb::Pong),
    (b"CONNECT", false, Verb::Connect),
    (b"INFO", true, Verb::Info),
    (b"+OK", false, Verb::Ok),
    (b"-ERR", true, Verb::Error),
];

/// Recognises the verb at the beginning of `buf`; `None` while it may still become one.
fn verb(buf: &[u8]) -> Result<Option<(Verb, usize)>, ParseError> {
    if buf.starts_with(b"PUB ") {
        return Ok(Some((Verb::Publish, 3)));
    }
    for (name, needs_blank, verb) in VERBS {
        let seen = buf.len().min(name.len());
        if !buf[..seen].eq_ignore_ascii_case(&name[..seen]) {
            continue;
        }
        if seen < name.len() {
            return Ok(None);
        }
        return match buf.get(name.len()) {
            None => Ok(None),
            Some(b' ' | b'\t') => Ok(Some((verb, name.len()))),
            Some(_) if needs_blank => Err(ParseError::UnknownOperation),
            Some(_) => Ok(Some((verb, name.len()))),
        };
    }
    Err(ParseError::UnknownOperation)
}

/// Parses the operation at the beginning of `buf`, which must not be empty.
///
/// # Errors
/// [`ParseError`] when the connection has to be closed.
#[inline]
pub fn parse<'a>(buf: &'a [u8], limits: &Limits) -> Result<Step<'a>, ParseError> {
    match usual::publish(buf, limits) {
        Some((publish, len)) => Ok(Step::Op(Op::Publish(publish), len)),
        None => parse_any(buf, limits),
    }
}

#[inline(never)]
fn parse_any<'a>(buf: &'a [u8], limits: &Limits) -> Result<Step<'a>, ParseError> {
    let Some((verb, verb_len)) = verb(buf)? else {
        return Ok(Step::Incomplete(buf.len() + 1));
    };
    // What stands behind a verb without arguments is passed over, and blanks before the
    // arguments are none; neither may go on for ever.
    let ignored_max = limits.control_line_max.max(IGNORED_MAX);
    let (start, len_max) = match verb {
        Verb::Ping | Verb::Pong | Verb::Ok => (verb_len, ignored_max),
        _ => (
            verb_len + blanks(&buf[verb_len..], ignored_max)?,
            limits.control_line_max,
        ),
    };
    // One byte more for a CR that is no argument, one for the LF itself.
    let window = start + len_max + 2;
    let Some(newline) = memchr(b'\n', &buf[start..buf.len().min(window)]) else {
        if buf.len() >= window {
            return Err(ParseError::ControlLine);
        }
        return Ok(Step::Incomplete(buf.len() + 1));
    };
    let line_end = start + newline;
    let line = &buf[start..line_end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let after = line_end + 1;
    if line.len() > len_max {
        return Err(ParseError::ControlLine);
    }
    let op = match verb {
        Verb::HeaderPublish if !limits.headers => return Err(ParseError::Headers),
        Verb::Publish => return body(buf, after, args::publish(line)?, limits),
        Verb::HeaderPublish => return body(buf, after, args::header_publish(line)?, limits),
        Verb::Subscribe => Op::Subscribe(args::subscribe(line)?),
        Verb::Unsubscribe => {
            let (sid, max) = args::unsubscribe(line)?;
            Op::Unsubscribe { sid, max }
        }
        Verb::Ping => Op::Ping,
        Verb::Pong => Op::Pong,
        Verb::Ok => Op::Ok,
        Verb::Connect => Op::Connect(line.trim_ascii()),
        Verb::Info => Op::Info(line.trim_ascii()),
        Verb::Error => Op::Error(line.trim_ascii()),
    };
    Ok(Step::Op(op, after))
}

/// How many blanks `line` begins with.
fn blanks(line: &[u8], max: usize) -> Result<usize, ParseError> {
    let is_argument = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let count = line.iter().position(is_argument).unwrap_or(line.len());
    if count > max {
        return Err(ParseError::ControlLine);
    }
    Ok(count)
}

fn body<'a>(
    buf: &'a [u8],
    after: usize,
    args: args::PublishArgs<'a>,
    limits: &Limits,
) -> Result<Step<'a>, ParseError> {
    if args.total_len > limits.payload_max {
        return Err(ParseError::Payload(args.total_len));
    }
    let end = after + args.total_len;
    if buf.len() < end + 2 {
        let so_far = buf.get(end..).unwrap_or_default();
        if !b"\r\n".starts_with(so_far) {
            return Err(ParseError::UnknownOperation);
        }
        return Ok(Step::Incomplete(end + 2));
    }
    if &buf[end..end + 2] != b"\r\n" {
        return Err(ParseError::UnknownOperation);
    }
    let publish = Publish {
        subject: args.subject,
        reply: args.reply,
        header_len: args.header_len,
        body: &buf[after..end],
    };
    Ok(Step::Op(Op::Publish(publish), end + 2))
}

mod usual;

#[cfg(test)]
mod tests;

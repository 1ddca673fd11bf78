//! What a publisher hears: PubAcks and their errors as JSON.
//!
//! Separate and by hand because it is written for every message: the texts go into a
//! buffer that is used again (jetstream spec §3.1).
//!
//! Invariant: `domain` precedes `seq`, as clients of old expect, and a duplicate has the
//! blank that they have always seen; an error carries the stream and `seq` 0.

use super::consumers;
use super::replica::Replica;
use crate::api_error::{ApiError, table};
use crate::raft::error::ProposeError;
use crate::store::message::Seq;
use crate::stream::outcome::{Answer, Outcome};

/// Answers a publisher, unless it does not want that or the stream gives no answers.
pub fn answer(replica: &mut Replica, reply: &[u8], result: Result<Outcome, ProposeError>) {
    if reply.is_empty() || replica.is_silent() {
        return;
    }
    let mut text = std::mem::take(&mut replica.text);
    text.clear();
    let stream = &*replica.handle.name;
    let refuse = |text: &mut Vec<u8>, error: &ApiError| refused(text, stream, None, error);
    match result.map(|outcome| outcome.answer) {
        Ok(Answer::Stored(seq) | Answer::Skipped(seq)) => {
            stored(&mut text, stream, None, seq, false)
        }
        Ok(Answer::Duplicate(seq)) => stored(&mut text, stream, None, seq, true),
        Ok(Answer::Refused(error)) => refuse(&mut text, &error.to_api_error()),
        Err(ProposeError::NoSpace) => {
            refuse(&mut text, &ApiError::of(&table::INSUFFICIENT_RESOURCES))
        }
        Err(ProposeError::TooLarge) => refuse(&mut text, &consumers::too_large()),
        Err(error @ ProposeError::Damaged) => {
            let error = ApiError::of(&table::STREAM_STORE_FAILED).with("{err}", error);
            refuse(&mut text, &error);
        }
        // Nobody knows whether it was stored: silence makes the publisher ask again.
        Ok(_) | Err(_) => {}
    }
    if !text.is_empty() {
        replica.outlet.publish(reply, b"", b"", &text);
    }
    replica.text = text;
}

/// Tells a publisher that his message is not stored.
pub fn refuse(replica: &mut Replica, reply: &[u8], error: &ApiError) {
    if reply.is_empty() || replica.is_silent() {
        return;
    }
    let mut text = Vec::new();
    refused(&mut text, &replica.handle.name, None, error);
    replica.outlet.publish(reply, b"", b"", &text);
}

/// Writes the answer to a stored message, or to one that was stored before.
pub fn stored(out: &mut Vec<u8>, stream: &str, domain: Option<&str>, seq: Seq, duplicate: bool) {
    out.extend_from_slice(b"{\"stream\":\"");
    // Names of streams and domains have nothing that JSON escapes but control characters
    // and quotes, which is checked at the slow end.
    push_text(out, stream);
    if let Some(domain) = domain {
        out.extend_from_slice(b"\",\"domain\":\"");
        push_text(out, domain);
    }
    out.extend_from_slice(b"\",\"seq\":");
    out.extend_from_slice(itoa::Buffer::new().format(seq.0).as_bytes());
    if duplicate {
        out.extend_from_slice(b",\"duplicate\": true");
    }
    out.push(b'}');
}

/// Writes the answer to a message that was refused.
pub fn refused(out: &mut Vec<u8>, stream: &str, domain: Option<&str>, error: &ApiError) {
    let mut answer = serde_json::Map::new();
    let error = serde_json::to_value(error).unwrap_or_default();
    answer.insert("error".to_owned(), error);
    answer.insert("stream".to_owned(), stream.into());
    if let Some(domain) = domain {
        answer.insert("domain".to_owned(), domain.into());
    }
    answer.insert("seq".to_owned(), 0.into());
    // A map of plain values always serialises.
    let _ = serde_json::to_writer(out, &answer);
}

/// The text as the inside of a JSON string.
fn push_text(out: &mut Vec<u8>, text: &str) {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        return out.extend_from_slice(text.as_bytes());
    }
    let quoted = serde_json::Value::from(text).to_string();
    out.extend_from_slice(quoted.trim_matches('"').as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_error::table;

    fn check(write: impl FnOnce(&mut Vec<u8>), expected: &str) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn acks_are_the_wires_json() {
        check(
            |out| stored(out, "S", None, Seq(7), false),
            r#"{"stream":"S","seq":7}"#,
        );
        check(
            |out| stored(out, "S", Some("hub"), Seq(7), true),
            r#"{"stream":"S","domain":"hub","seq":7,"duplicate": true}"#,
        );
        check(
            |out| stored(out, "a\"b\\", None, Seq(1), false),
            r#"{"stream":"a\"b\\","seq":1}"#,
        );
        check(
            |out| {
                refused(
                    out,
                    "S",
                    None,
                    &ApiError::of(&table::STREAM_TOO_MANY_REQUESTS),
                )
            },
            r#"{"error":{"code":429,"err_code":10167,"description":"too many requests"},"stream":"S","seq":0}"#,
        );
    }
}

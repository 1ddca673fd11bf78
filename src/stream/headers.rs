//! What a publisher asks for in the headers of a message.
//!
//! Separate because the block is read once, front to back, whatever is asked; the checks
//! in `publish` then look at fields.
//!
//! Invariants: of a header that occurs twice the first counts; an empty value is as good as
//! none; names are exact in case. Absent: what the values mean.

use crate::protocol::headers;

/// How long a header block may be.
pub const BYTES_MAX: usize = 65_535;

/// Refuses a message that was stored recently.
pub const MSG_ID: &str = "Nats-Msg-Id";
/// What a message does to those before it.
pub const ROLLUP: &str = "Nats-Rollup";
/// How long the message lives.
pub const TTL: &str = "Nats-TTL";
/// Where a copied message comes from.
pub const STREAM_SOURCE: &str = "Nats-Stream-Source";
/// Why a subject delete marker is there.
pub const MARKER_REASON: &str = "Nats-Marker-Reason";
/// What a key-value client did.
pub const KV_OPERATION: &str = "KV-Operation";

/// The fields the server looks at, borrowed; empty if not there.
#[derive(Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the headers of jetstream spec §3.2")]
pub struct Fields<'a> {
    pub msg_id: &'a [u8],
    pub expected_stream: &'a [u8],
    pub expected_last_seq: &'a [u8],
    pub expected_last_subject_seq: &'a [u8],
    pub expected_last_subject_seq_subject: &'a [u8],
    pub expected_last_msg_id: &'a [u8],
    pub rollup: &'a [u8],
    pub ttl: &'a [u8],
    pub incr: &'a [u8],
    pub batch_id: &'a [u8],
    pub schedule: &'a [u8],
    pub stream_source: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Reads a header block; an empty one has nothing.
    #[inline] // it is large to return, and most messages have no headers
    pub fn read(block: &'a [u8]) -> Self {
        let mut fields = Fields::default();
        if !block.is_empty() {
            fields.find(block);
        }
        fields
    }

    fn find(&mut self, block: &'a [u8]) {
        let fields = self;
        for (name, value) in headers::fields(block) {
            let Some(name) = name.strip_prefix(b"Nats-") else {
                continue;
            };
            let field = match name {
                b"Msg-Id" => &mut fields.msg_id,
                b"Expected-Stream" => &mut fields.expected_stream,
                b"Expected-Last-Sequence" => &mut fields.expected_last_seq,
                b"Expected-Last-Subject-Sequence" => &mut fields.expected_last_subject_seq,
                b"Expected-Last-Subject-Sequence-Subject" => {
                    &mut fields.expected_last_subject_seq_subject
                }
                b"Expected-Last-Msg-Id" => &mut fields.expected_last_msg_id,
                b"Rollup" => &mut fields.rollup,
                b"TTL" => &mut fields.ttl,
                b"Incr" => &mut fields.incr,
                b"Batch-Id" => &mut fields.batch_id,
                b"Schedule" => &mut fields.schedule,
                b"Stream-Source" => &mut fields.stream_source,
                _ => continue,
            };
            if field.is_empty() {
                *field = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_their_order() {
        let check = |block: &str, expected: Fields<'_>| {
            assert_eq!(Fields::read(block.as_bytes()), expected, "{block:?}");
        };
        check("", Fields::default());
        check(
            "NATS/1.0\r\nNats-TTL: 5\r\nX: y\r\nNats-Msg-Id: a:b\r\nnats-rollup: sub\r\n\r\n",
            Fields {
                msg_id: b"a:b",
                ttl: b"5",
                ..Fields::default()
            },
        );
        check(
            "NATS/1.0\r\nNats-Msg-Id: first\r\nNats-Msg-Id: second\r\nNats-Rollup:\r\n\r\n",
            Fields {
                msg_id: b"first",
                ..Fields::default()
            },
        );
    }
}

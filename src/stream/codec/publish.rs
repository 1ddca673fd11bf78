//! Messages to publish as bytes: by hand, since most entries consist of them.
//!
//! Separate because it is fast and knows the wire: there is no message of `pb` in between,
//! and of an entry one reference is counted a message, not one for each of its parts.
//!
//! Invariant: the bytes are those that `pb` would write; what is read here is read as `pb`
//! would read it, and what it would not read, or read otherwise, is left to it.

use std::ops::Range;

use bytes::Bytes;
use prost::encoding::{
    WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint, key_len,
};

use super::{COMMANDS, FRAME_BYTES};
use crate::stream::command::{Command, Publish};

/// The field of `Command` that holds a `Publish`.
const PUBLISH: u32 = 1;

/// The fields of a message to publish that are written.
fn fields(publish: &Publish) -> impl Iterator<Item = (u32, &[u8])> + Clone {
    let fields = (1..).zip(publish.parts());
    fields.filter(|(_, part)| !part.is_empty())
}

/// The bytes of a field: its key, its length, and what it holds.
const fn field_len(tag: u32, len: usize) -> usize {
    key_len(tag) + encoded_len_varint(len as u64) + len
}

/// The bytes of the fields.
fn fields_len(publish: &Publish) -> usize {
    fields(publish)
        .map(|(tag, part)| field_len(tag, part.len()))
        .sum()
}

/// Appends a command.
pub fn encode(publish: &Publish, out: &mut Vec<u8>) {
    let len = fields_len(publish);
    let mut frame = Frame::default();
    frame.begin(COMMANDS, field_len(PUBLISH, len));
    frame.begin(PUBLISH, len);
    for (tag, part) in fields(publish) {
        frame.begin(tag, part.len());
        frame.leave(out);
        out.extend_from_slice(part);
    }
    frame.leave(out);
}

/// Keys and lengths that stand in front of the bytes of a field: put together here, so that
/// they are appended at once.
#[derive(Default)]
struct Frame {
    bytes: [u8; FRAME_BYTES],
    len: usize,
}

impl Frame {
    /// A field of so many bytes begins.
    fn begin(&mut self, tag: u32, len: usize) {
        let mut free = &mut self.bytes[self.len..];
        let before = free.len();
        encode_key(tag, WireType::LengthDelimited, &mut free);
        encode_varint(len as u64, &mut free);
        self.len += before - free.len();
    }

    /// Appends what was put together.
    fn leave(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[..self.len]);
        self.len = 0;
    }
}

/// The next field of what ends at `end`, and where what it holds lies; `at` moves behind it.
/// None if it has no length, or not that much is there.
pub fn next_field(entry: &[u8], at: &mut usize, end: usize) -> Option<(u32, Range<usize>)> {
    let mut rest = entry.get(*at..end)?;
    let (tag, wire_type) = decode_key(&mut rest).ok()?;
    if wire_type != WireType::LengthDelimited {
        return None;
    }
    let len = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
    if len > rest.len() {
        return None;
    }
    let from = end - rest.len();
    *at = from + len;
    Some((tag, from..*at))
}

/// The command that lies there, if it is a message to publish and nothing else.
pub fn decode(entry: &Bytes, command: Range<usize>) -> Option<Publish> {
    let mut at = command.start;
    let (PUBLISH, publish) = next_field(entry, &mut at, command.end)? else {
        return None;
    };
    if publish.end != command.end {
        return None;
    }
    let mut parts = [const { 0..0 }; 3];
    let mut at = publish.start;
    while at < publish.end {
        let (tag, place) = next_field(entry, &mut at, publish.end)?;
        // Of a field that is there twice, the last one counts.
        *parts.get_mut(tag.checked_sub(1)? as usize)? = place;
    }
    // Without a subject it is none.
    let has_subject = !parts[0].is_empty();
    has_subject.then(|| Publish::within(entry.clone(), parts))?
}

/// Makes the messages parts of the bytes that they were encoded to, as it is known where each
/// one is: less work than decoding. None if these cannot be the bytes, or there is something
/// else among the commands.
pub fn relocate(mut commands: Vec<Command>, bytes: &Bytes) -> Option<Vec<Command>> {
    let mut end = 0;
    for command in &commands {
        let Command::Publish(publish) = command else {
            return None;
        };
        end += field_len(COMMANDS, field_len(PUBLISH, fields_len(publish)));
    }
    if end != bytes.len() {
        return None;
    }
    let mut end = 0;
    for command in &mut commands {
        let Command::Publish(publish) = command else {
            return None;
        };
        end += field_len(COMMANDS, field_len(PUBLISH, fields_len(publish)));
        let [subject, headers, payload] = publish.parts().map(<[u8]>::len);
        // From behind: what is empty was not written.
        let mut until = end;
        let mut place = |tag, len| {
            let place = until - len..until;
            until -= if len > 0 { field_len(tag, len) } else { 0 };
            place
        };
        let (payload, headers, subject) = (place(3, payload), place(2, headers), place(1, subject));
        let relocated = Publish::within(bytes.clone(), [subject, headers, payload])?;
        debug_assert_eq!(relocated, *publish);
        *publish = relocated;
    }
    Some(commands)
}

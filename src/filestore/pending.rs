//! Messages that count already and are in no block yet.
//!
//! Separate because publishers wait for the figures, not for the block: a large message that
//! the log has is put into one when there is nothing more urgent to do, or when somebody wants
//! to look into blocks. Its payload stays a slice of its entry until then.
//!
//! Invariant: what waits is behind all that is in blocks, in order. Absent: blocks.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::store::message::{MessageRef, Seq};

/// Where the log has a payload: the segment, and its first byte there.
pub type Place = (u64, u64);

/// The messages that wait.
#[derive(Default)]
pub struct Pending {
    entries: VecDeque<Entry>,
    bytes: usize,
    held: usize,
}

/// Messages of one entry of the log.
struct Entry {
    bytes: Bytes,
    /// Subjects and headers, one after the other.
    heads: Vec<u8>,
    messages: VecDeque<Waiting>,
}

struct Waiting {
    seq: Seq,
    time: Timestamp,
    /// Where its subject, its headers and what is behind them begin.
    head: [usize; 3],
    /// Its payload in the entry.
    payload: [usize; 2],
    place: Place,
}

impl Pending {
    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of what waits, heads and payloads.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes of the entries that are held for it.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Keeps a message whose payload begins at `from` of the entry.
    pub fn push(&mut self, entry: &Bytes, from: usize, message: MessageRef<'_>, place: Place) {
        let same = |known: &Entry| known.bytes.as_ptr() == entry.as_ptr();
        if !self.entries.back().is_some_and(same) {
            self.held += entry.len();
            self.entries.push_back(Entry {
                bytes: entry.clone(),
                heads: Vec::new(),
                messages: VecDeque::new(),
            });
        }
        let Some(last) = self.entries.back_mut() else {
            return;
        };
        let subject = last.heads.len();
        last.heads.extend_from_slice(message.subject);
        let headers = last.heads.len();
        last.heads.extend_from_slice(message.headers);
        let one = Waiting {
            seq: message.seq,
            time: message.time,
            head: [subject, headers, last.heads.len()],
            payload: [from, from + message.payload.len()],
            place,
        };
        self.bytes += bytes(message);
        last.messages.push_back(one);
    }

    /// The first of them.
    pub fn first(&self) -> Option<(MessageRef<'_>, Place)> {
        self.iter().next()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (MessageRef<'_>, Place)> {
        let entries = self.entries.iter();
        entries.flat_map(|entry| entry.messages.iter().map(|one| one.of(entry)))
    }

    /// The first of them is in a block.
    pub fn pop(&mut self) {
        self.bytes -= self.first().map_or(0, |(message, _)| bytes(message));
        let Some(entry) = self.entries.front_mut() else {
            return;
        };
        entry.messages.pop_front();
        if entry.messages.is_empty() {
            self.held -= entry.bytes.len();
            self.entries.pop_front();
        }
    }
}

impl Waiting {
    fn of<'a>(&self, entry: &'a Entry) -> (MessageRef<'a>, Place) {
        let [subject, headers, end] = self.head;
        let [from, to] = self.payload;
        let message = MessageRef {
            seq: self.seq,
            time: self.time,
            subject: &entry.heads[subject..headers],
            headers: &entry.heads[headers..end],
            payload: &entry.bytes[from..to],
        };
        (message, self.place)
    }
}

/// What a message counts while it waits.
pub const fn bytes(message: MessageRef<'_>) -> usize {
    message.subject.len() + message.headers.len() + message.payload.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were_in_order() {
        let entries = [Bytes::from_static(b"..abc.de"), Bytes::from_static(b"fg")];
        let message = |seq, payload| MessageRef {
            seq: Seq(seq),
            time: Timestamp::from_unix_nanos(seq as i64),
            subject: b"s.1",
            headers: if seq == 2 { b"NATS/1.0" } else { b"" },
            payload,
        };
        let mut pending = Pending::default();
        assert!(pending.first().is_none());
        let all = [(0, 2, 5, 1), (0, 6, 8, 2), (1, 0, 2, 3)];
        for (entry, from, to, seq) in all {
            let entry = &entries[entry];
            pending.push(entry, from, message(seq, &entry[from..to]), (seq, 9));
        }
        assert_eq!((pending.bytes(), pending.held()), (3 * 3 + 8 + 7, 10));
        for (entry, from, to, seq) in all {
            let (found, place) = pending.first().expect("waits");
            let expected = message(seq, &entries[entry][from..to]);
            assert_eq!(found, expected);
            assert_eq!(place, (seq, 9));
            pending.pop();
        }
        assert!(pending.is_empty());
        assert_eq!((pending.bytes(), pending.held()), (0, 0));
        pending.pop();
    }
}

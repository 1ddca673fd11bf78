//! What lies in a block file, to the byte.
//!
//! Separate because these bytes outlive the program: every later version reads them.
//!
//! ```text
//!   block   magic 8 │ version u32 │ 0 u32 │ base sequence u64 │ 0 u32 │ crc32c of the 28 before
//!           record, record, …
//!   record  crc32c u32 of all behind it │ length u32 of the whole record │ sequence u64
//!           time i64 │ headers length u32 │ subject length u24 │ version u8
//!           subject │ headers │ payload
//! ```
//! All numbers are little endian. Nothing of the file's place or age is in it, so replicas
//! that appended the same messages have the same bytes.
//!
//! Invariant: a record that [`is_intact`] is returned as it was written.

use crate::clock::Timestamp;
use crate::store::message::{MessageRef, Seq};

/// Bytes before the first record.
pub const BLOCK_HEADER: usize = 32;
/// Bytes of a record before its subject.
pub const RECORD_HEADER: usize = 32;
/// The longest subject.
pub const SUBJECT_MAX: usize = (1 << 24) - 1;
/// The longest record.
pub const RECORD_MAX: usize = 1 << 30;

const MAGIC: &[u8; 8] = b"NATRBLK\n";
const BLOCK_VERSION: u32 = 1;
const RECORD_VERSION: u8 = 1;

/// What the beginning of a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Bytes of the whole record.
    pub len: usize,
    /// The message's sequence.
    pub seq: Seq,
    /// When it was taken.
    pub time: Timestamp,
    subject: usize,
    headers: usize,
}

/// The beginning of a block file.
pub fn block_header(base: Seq) -> [u8; BLOCK_HEADER] {
    let mut header = [0; BLOCK_HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&BLOCK_VERSION.to_le_bytes());
    header[16..24].copy_from_slice(&base.0.to_le_bytes());
    let crc = crc32c::crc32c(&header[..28]);
    header[28..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Whether this is how the file of a block begins that has all its records itself.
pub fn is_block(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Bytes of the record of such a message; none if it is larger than any record.
pub fn record_len(message: MessageRef<'_>) -> Option<usize> {
    let subject = message.subject.len();
    let sizes = [subject, message.headers.len(), message.payload.len()];
    let len = sizes
        .iter()
        .try_fold(RECORD_HEADER, |sum, size| sum.checked_add(*size))?;
    (subject <= SUBJECT_MAX && len <= RECORD_MAX).then_some(len)
}

/// Appends a record of [`record_len`] bytes.
pub fn put_record(out: &mut Vec<u8>, message: MessageRef<'_>, len: usize) {
    out.reserve(len);
    put_head(out, message, len);
    out.extend_from_slice(message.payload);
}

/// Appends such a record, but for its payload.
pub fn put_head(out: &mut Vec<u8>, message: MessageRef<'_>, len: usize) {
    let start = out.len();
    let mut header = [0; RECORD_HEADER];
    header[4..8].copy_from_slice(&(len as u32).to_le_bytes());
    header[8..16].copy_from_slice(&message.seq.0.to_le_bytes());
    header[16..24].copy_from_slice(&message.time.unix_nanos().to_le_bytes());
    header[24..28].copy_from_slice(&(message.headers.len() as u32).to_le_bytes());
    header[28..32].copy_from_slice(&(message.subject.len() as u32).to_le_bytes());
    header[31] = RECORD_VERSION;
    out.extend_from_slice(&header);
    out.extend_from_slice(message.subject);
    out.extend_from_slice(message.headers);
    let crc = crc32c::crc32c(&out[start + 4..]);
    let crc = crc32c::crc32c_append(crc, message.payload);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the beginning of a record; none if this cannot be one.
pub fn record_header(bytes: &[u8]) -> Option<RecordHeader> {
    let bytes: &[u8; RECORD_HEADER] = bytes.first_chunk()?;
    let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    let long = |at: usize| [word(at), word(at + 4)].concat().try_into().ok();
    let len = u32::from_le_bytes(word(4)) as usize;
    let headers = u32::from_le_bytes(word(24)) as usize;
    let subject = u32::from_le_bytes([bytes[28], bytes[29], bytes[30], 0]) as usize;
    let fits = len <= RECORD_MAX && len >= RECORD_HEADER + subject + headers;
    if !fits || bytes[31] != RECORD_VERSION {
        return None;
    }
    Some(RecordHeader {
        len,
        seq: Seq(u64::from_le_bytes(long(8)?)),
        time: Timestamp::from_unix_nanos(i64::from_le_bytes(long(16)?)),
        subject,
        headers,
    })
}

/// Whether the bytes of a whole record are those that were written.
pub fn is_intact(record: &[u8]) -> bool {
    match record.split_first_chunk::<4>() {
        Some((crc, rest)) => u32::from_le_bytes(*crc) == crc32c::crc32c(rest),
        None => false,
    }
}

impl RecordHeader {
    /// The message in the bytes of the whole record.
    pub fn message<'a>(&self, record: &'a [u8]) -> MessageRef<'a> {
        let (subject, rest) = record[RECORD_HEADER..].split_at(self.subject);
        let (headers, payload) = rest.split_at(self.headers);
        MessageRef {
            seq: self.seq,
            time: self.time,
            subject,
            headers,
            payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_come_back_and_no_bit_of_them_flips_unseen(
            seq in any::<u64>(), time in any::<i64>(),
            subject in prop::collection::vec(any::<u8>(), 0..40),
            headers in prop::collection::vec(any::<u8>(), 0..40),
            payload in prop::collection::vec(any::<u8>(), 0..80),
            flip in any::<prop::sample::Index>(),
        ) {
            let message = MessageRef {
                seq: Seq(seq), time: Timestamp::from_unix_nanos(time),
                subject: &subject, headers: &headers, payload: &payload,
            };
            let mut record = Vec::new();
            let len = record_len(message).unwrap();
            put_record(&mut record, message, len);
            prop_assert_eq!(record.len(), len);
            let header = record_header(&record).unwrap();
            prop_assert!(is_intact(&record));
            prop_assert_eq!(header.message(&record), message);
            let bit = flip.index(record.len() * 8);
            record[bit / 8] ^= 1 << (bit % 8);
            let seen = match record_header(&record) {
                Some(header) if header.len == record.len() => !is_intact(&record),
                _ => true,
            };
            prop_assert!(seen);
        }

        #[test]
        fn any_bytes_parse_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = record_header(&bytes);
            is_intact(&bytes);
        }
    }

    /// Every later version reads these.
    #[test]
    fn the_first_version_stays_readable() {
        let message = crate::store::contract::message(7, "a.b", "H", b"xyz");
        let mut record = Vec::new();
        put_record(&mut record, message, record_len(message).unwrap());
        let text = data_encoding::HEXLOWER.encode(&record);
        assert_eq!(
            text[8..],
            *"270000000700000000000000460000000000000001000000030000016\
              12e624878797a"
                .replace(' ', "")
        );
        assert!(is_intact(&record));
        let header = data_encoding::HEXLOWER.encode(&block_header(Seq(7))[..28]);
        assert_eq!(
            header,
            "4e415452424c4b0a01000000000000000700000000000000".to_owned() + "00000000"
        );
    }
}

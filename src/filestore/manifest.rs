//! The manifest: what a checkpoint knows, as one file.
//!
//! Separate because a store is what its last manifest says: which block files count and
//! how much of them, which messages are gone, what the machine remembers.
//!
//! ```text
//!   manifest-<number>   magic 8 │ version u32 │ crc32c u32 of the body │ body
//!   subjects-<number>   the same shape; only if the figures of subjects are too many to
//!                       stand in the manifest
//! ```
//! Numbers of the body are LEB128, times and hashes have fixed length.
//!
//! Invariants: a manifest that decodes is one that was encoded; the figures of subjects can
//! be computed again from the blocks, so losing them loses nothing.

use std::ops::ControlFlow;

use super::block::{Block, Facts};
use crate::clock::Timestamp;
use crate::sequence_set::{DecodeError, SequenceSet, put_number, take_number};
use crate::store::ledger::Ledger;
use crate::store::message::Seq;
use crate::store::subjects::{Figures, Subjects};
use crate::subject::filters::Filters;

const MANIFEST_MAGIC: &[u8; 8] = b"NATRMAN\n";
const SUBJECTS_MAGIC: &[u8; 8] = b"NATRSUB\n";
const VERSION: u32 = 1;
const HEAD: usize = 16;
/// A manifest or subject file is never larger.
pub const BYTES_MAX: u64 = 16 << 30;

/// What a checkpoint knows.
#[derive(Debug)]
pub struct Manifest {
    /// Which checkpoint; 0 is the store before any.
    pub number: u64,
    /// The books.
    pub ledger: Ledger,
    /// Messages that should be there but cannot be read.
    pub lost: SequenceSet,
    /// The blocks, ascending.
    pub blocks: Vec<Block>,
    /// What the machine remembers.
    pub machine: Vec<u8>,
    /// The figures of subjects; none if they have a file of their own.
    pub subjects: Option<Vec<u8>>,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Block").field(&self.facts).finish()
    }
}

impl Manifest {
    /// The store before any checkpoint.
    pub fn empty() -> Self {
        Manifest {
            number: 0,
            ledger: Ledger::default(),
            lost: SequenceSet::new(),
            blocks: Vec::new(),
            machine: Vec::new(),
            subjects: Some(encode_subjects(&Subjects::new())),
        }
    }

    /// The file's content.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; HEAD];
        put_number(&mut out, self.number);
        let state = &self.ledger.state;
        for number in [
            state.messages,
            state.bytes,
            state.first_seq.0,
            state.last_seq.0,
        ] {
            put_number(&mut out, number);
        }
        put_time(&mut out, state.first_time);
        put_time(&mut out, state.last_time);
        self.ledger.deleted.encode(&mut out);
        self.lost.encode(&mut out);
        put_number(&mut out, self.blocks.len() as u64);
        for block in &self.blocks {
            let facts = &block.facts;
            for number in [
                facts.base.0,
                facts.generation,
                facts.last.0,
                u64::from(facts.is_sealed),
                facts.len,
                facts.appended_bytes,
                facts.appended,
                facts.live,
                facts.live_bytes,
                facts.dead_bytes,
            ] {
                put_number(&mut out, number);
            }
            put_time(&mut out, facts.time_max);
            match block.hash.get() {
                Some(hash) => {
                    out.push(1);
                    out.extend_from_slice(hash);
                }
                None => out.push(0),
            }
        }
        put_bytes(&mut out, &self.machine);
        match &self.subjects {
            Some(subjects) => {
                out.push(1);
                put_bytes(&mut out, subjects);
            }
            None => out.push(0),
        }
        close(MANIFEST_MAGIC, &mut out);
        out
    }

    /// The inverse of [`Manifest::encode`].
    ///
    /// # Errors
    /// When the content is not a manifest, or not all of one.
    pub fn decode(content: &[u8]) -> Result<Self, DecodeError> {
        let mut bytes = open(MANIFEST_MAGIC, content)?;
        let bytes = &mut bytes;
        let number = take_number(bytes)?;
        let mut ledger = Ledger::default();
        let state = &mut ledger.state;
        state.messages = take_number(bytes)?;
        state.bytes = take_number(bytes)?;
        state.first_seq = Seq(take_number(bytes)?);
        state.last_seq = Seq(take_number(bytes)?);
        state.first_time = take_time(bytes)?;
        state.last_time = take_time(bytes)?;
        ledger.deleted = SequenceSet::decode(bytes)?;
        let lost = SequenceSet::decode(bytes)?;
        let mut blocks = Vec::new();
        for _ in 0..take_number(bytes)? {
            let base = Seq(take_number(bytes)?);
            let generation = take_number(bytes)?;
            let last = Seq(take_number(bytes)?);
            let is_sealed = take_number(bytes)? != 0;
            let facts = Facts {
                base,
                generation,
                last,
                is_sealed,
                len: take_number(bytes)?,
                appended_bytes: take_number(bytes)?,
                appended: take_number(bytes)?,
                live: take_number(bytes)?,
                live_bytes: take_number(bytes)?,
                dead_bytes: take_number(bytes)?,
                time_max: take_time(bytes)?,
            };
            let hash = match take::<1>(bytes)? {
                [0] => None,
                [_] => Some(take::<16>(bytes)?),
            };
            blocks.push(Block::known(facts, hash));
        }
        let machine = take_bytes(bytes)?.to_vec();
        let subjects = match take::<1>(bytes)? {
            [0] => None,
            [_] => Some(take_bytes(bytes)?.to_vec()),
        };
        Ok(Manifest {
            number,
            ledger,
            lost,
            blocks,
            machine,
            subjects,
        })
    }
}

/// The figures of all subjects as bytes: each subject as what it shares with the one before
/// and the rest.
pub fn encode_subjects(subjects: &Subjects) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, subjects.len());
    let mut before: Vec<u8> = Vec::new();
    let _ = subjects.walk(&Filters::all(), |subject, figures| {
        let pairs = before.iter().zip(subject);
        let shared = pairs.take_while(|(a, b)| a == b).count();
        put_number(&mut out, shared as u64);
        put_bytes(&mut out, &subject[shared..]);
        figures.encode(&mut out);
        before.truncate(shared);
        before.extend_from_slice(&subject[shared..]);
        ControlFlow::Continue(())
    });
    out
}

/// The inverse of [`encode_subjects`].
///
/// # Errors
/// When the bytes are not figures.
pub fn decode_subjects(mut bytes: &[u8]) -> Result<Subjects, DecodeError> {
    let bytes = &mut bytes;
    let mut subjects = Subjects::new();
    let mut subject: Vec<u8> = Vec::new();
    for _ in 0..take_number(bytes)? {
        let shared = usize::try_from(take_number(bytes)?).map_err(|_| DecodeError)?;
        if shared > subject.len() {
            return Err(DecodeError);
        }
        subject.truncate(shared);
        subject.extend_from_slice(take_bytes(bytes)?);
        subjects.restore(&subject, Figures::decode(bytes)?);
    }
    Ok(subjects)
}

/// The content of a file with the figures of subjects.
pub fn subjects_file(subjects: &[u8]) -> Vec<u8> {
    let mut out = vec![0; HEAD];
    out.extend_from_slice(subjects);
    close(SUBJECTS_MAGIC, &mut out);
    out
}

/// The figures in such a file.
///
/// # Errors
/// When the content is not such a file, or not all of one.
pub fn decode_subjects_file(content: &[u8]) -> Result<Subjects, DecodeError> {
    decode_subjects(open(SUBJECTS_MAGIC, content)?)
}

/// The name of a manifest file.
pub fn manifest_name(number: u64) -> String {
    format!("manifest-{number:016x}")
}

/// The name of a file with the figures of subjects.
pub fn subjects_name(number: u64) -> String {
    format!("subjects-{number:016x}")
}

/// The checkpoint's number in the name of one of its files: after `manifest-` or
/// `subjects-`.
pub fn parse_name(kind: &str, name: &str) -> Option<u64> {
    let number = name.strip_prefix(kind)?;
    let exact = number.len() == 16;
    u64::from_str_radix(number, 16).ok().filter(|_| exact)
}

/// Fills the head of a file in.
fn close(magic: &[u8; 8], out: &mut [u8]) {
    let crc = crc32c::crc32c(&out[HEAD..]);
    out[..8].copy_from_slice(magic);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[12..16].copy_from_slice(&crc.to_le_bytes());
}

/// The body of a file whose head is right.
fn open<'a>(magic: &[u8; 8], content: &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let (head, body) = content.split_first_chunk::<HEAD>().ok_or(DecodeError)?;
    let crc = crc32c::crc32c(body).to_le_bytes();
    let right = head[..8] == *magic && head[8..12] == VERSION.to_le_bytes() && head[12..] == crc;
    right.then_some(body).ok_or(DecodeError)
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let len = usize::try_from(take_number(bytes)?).map_err(|_| DecodeError)?;
    let (taken, rest) = bytes.split_at_checked(len).ok_or(DecodeError)?;
    *bytes = rest;
    Ok(taken)
}

fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    out.extend_from_slice(&time.unix_nanos().to_le_bytes());
}

fn take_time(bytes: &mut &[u8]) -> Result<Timestamp, DecodeError> {
    let nanos = i64::from_le_bytes(take::<8>(bytes)?);
    Ok(Timestamp::from_unix_nanos(nanos))
}

fn take<const LEN: usize>(bytes: &mut &[u8]) -> Result<[u8; LEN], DecodeError> {
    let (taken, rest) = bytes.split_first_chunk::<LEN>().ok_or(DecodeError)?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn manifest() -> Manifest {
        let mut manifest = Manifest::empty();
        manifest.number = 3;
        manifest
            .ledger
            .append(Seq(5), Timestamp::from_unix_nanos(-7), 40);
        manifest
            .ledger
            .append(Seq(9), Timestamp::from_unix_nanos(8), 50);
        manifest.lost.insert(9);
        let mut block = Block::new(Seq(5));
        block.appended(Seq(9), Timestamp::from_unix_nanos(8), 77, 50);
        block.hash.set([7; 16]).unwrap();
        manifest.blocks.push(block);
        manifest.blocks.push(Block::new(Seq(10)));
        manifest.machine = b"machine".to_vec();
        manifest
    }

    #[test]
    fn manifests_come_back_and_no_bit_flips_unseen() {
        let content = manifest().encode();
        let decoded = Manifest::decode(&content).unwrap();
        assert_eq!(format!("{decoded:?}"), format!("{:?}", manifest()));
        assert_eq!(decoded.blocks[0].hash.get(), Some(&[7; 16]));
        for bit in 0..content.len() * 8 {
            let mut flipped = content.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..content.len() {
            assert!(Manifest::decode(&content[..len]).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn figures_of_subjects_come_back() {
        let mut subjects = Subjects::new();
        for seq in 1..500u64 {
            subjects.append(format!("a.{}", seq % 90).as_bytes(), Seq(seq));
        }
        let bytes = encode_subjects(&subjects);
        let decoded = decode_subjects_file(&subjects_file(&bytes)).unwrap();
        assert_eq!(encode_subjects(&decoded), bytes);
        assert_eq!(decoded.len(), 90);
    }

    proptest! {
        #[test]
        fn any_body_decodes_or_is_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut content = vec![0; HEAD];
            content.extend(&body);
            close(MANIFEST_MAGIC, &mut content);
            let _ = Manifest::decode(&content);
            let _ = decode_subjects(&body);
        }
    }
}

//! The format of the log: records, packed into batches of pages.
//!
//! ```text
//!  segment file (preallocated, recycled)
//!  ├─ batch 17 ───────────────┬─ batch 18 ──┬─ batch 19 ─────────── … ┬─ zeros, or older batches
//!  │ page 0 │ page 1 │ page 2 │   page 0    │ page 0 │ page 1         │  under another salt
//!  └────────┴────────┴────────┴─────────────┴────────┴────────────────┴──
//!
//!  page 0   = page header 64 B (see `page`), batch head 48 B, records …
//!  page 1.. = page header 64 B, records …                    the last page is padded with zeros
//!
//!  batch head   0      8        10      12      16        20      24       32          36       40      48
//!               │magic │version │flags  │pages  │records  │bytes  │durable │previous   │reserved│oldest │
//!               │u64   │u16     │u16    │u32    │u32      │u32    │seq u64 │hash u32   │u32     │seq u64│
//!
//!  record       0        4      5         6        14        22       30       38
//!               │len u32 │kind  │present │group   │index    │term    │node    │ payload (len bytes) …
//!               │        │u8    │u8      │u64     │u64      │u64     │u64     │
//! ```
//!
//! *durable*: the batch before, which was synced when this one was written. *previous hash*:
//! [`BatchHash`] of that batch. *oldest*: batches below it no longer count. *bytes*: the
//! length of all records with their headers. *present*: whether index, term and node mean
//! something. Records may cross pages; a page's header says where the first record that
//! begins in it stands, so that records behind a damaged page are found.
//!
//! | kind | group | index, term, node | payload |
//! |---|---|---|---|
//! | append | yes | name of the entry | the entry |
//! | append by reference | yes | name of the entry | reserved: (block, offset, hash) |
//! | vote | yes | – | the vote |
//! | truncate after | yes | index, or absent: everything | – |
//! | purge | yes | name of the last purged entry | – |
//! | committed | yes | name, or absent | – |
//! | drop | yes | – | – |
//! | restart | yes | – | – : forget the group; what counts follows in this batch |
//! | accept damage | yes | – | – |
//! | directory | 0 | index 1: more groups than fit | who wrote what in the batch before |
//! | scar | 0 | index: a damaged batch; term 1: unknown losses | – |
//! | closed | 0 | – | – : nothing follows; closed in good order |
//!
//! Invariants: a batch counts whole or not at all; batch `n` is written only when `n - 1` is
//! synced, so anything of `n + 1` proves that `n` was whole once.

use std::mem;

use bytes::Bytes;

use crate::wal::page::{self, CONTENT, PAGE, Stamp, u32_at, u64_at};
use crate::wal::{GroupId, LogId};

/// The first bytes of a batch head.
const MAGIC: u64 = u64::from_le_bytes(*b"nattrwal");
/// The version of everything described here.
pub const VERSION: u16 = 1;
/// The bytes of a batch head.
const HEAD: usize = 48;
/// The bytes of a record before its payload.
pub const RECORD: usize = 38;
/// Where page 0 has room for records.
const FIRST_CONTENT: usize = CONTENT + HEAD;

/// A checksum over the checksums of a batch's pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchHash(pub u32);

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// An entry.
    Append = 1,
    /// An entry whose payload stands in a block; reserved.
    AppendByReference = 2,
    /// A vote.
    Vote = 3,
    /// The end is cut off.
    TruncateAfter = 4,
    /// The beginning is cut off.
    Purge = 5,
    /// How far is committed.
    Committed = 6,
    /// The group is gone.
    Drop = 7,
    /// The group begins anew with what follows.
    Restart = 8,
    /// The group's damage is settled.
    AcceptDamage = 9,
    /// Who wrote what in the batch before.
    Directory = 10,
    /// A damaged batch that was reported.
    Scar = 11,
    /// Closed in good order.
    Closed = 12,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        use Kind::*;
        let all = [
            Append,
            AppendByReference,
            Vote,
            TruncateAfter,
            Purge,
            Committed,
            Drop,
            Restart,
            AcceptDamage,
            Directory,
            Scar,
            Closed,
        ];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A record without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// Whose it is.
    pub group: GroupId,
    /// What it names.
    pub id: Option<LogId>,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is.
    pub header: Header,
    /// What it carries.
    pub payload: Bytes,
    /// Where the payload begins, from the beginning of the batch.
    pub position: u64,
}

/// What a batch says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub seq: u64,
    /// How many pages it has.
    pub pages: u32,
    /// How many records it has.
    pub records: u32,
    /// The length of the records.
    pub bytes: u32,
    /// The batch before, synced when this one was written.
    pub durable: u64,
    /// The hash of that batch.
    pub previous: BatchHash,
    /// The first batch that counts.
    pub oldest: u64,
}

/// Why a batch head is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// It is something else.
    NotAHead,
    /// It was written by a later version.
    Version(u16),
}

/// The pages that a batch with this many bytes of records takes, in bytes.
pub const fn footprint(bytes: usize) -> u64 {
    let beyond = bytes.saturating_sub(PAGE - FIRST_CONTENT);
    ((1 + beyond.div_ceil(PAGE - CONTENT)) * PAGE) as u64
}

/// The bytes of records that fit in this many bytes of pages.
pub const fn capacity(bytes: u64) -> usize {
    let pages = bytes as usize / PAGE;
    (pages * (PAGE - CONTENT)).saturating_sub(HEAD)
}

/// Builds one batch after the other in one buffer.
#[derive(Debug, Default)]
pub struct Encoder {
    /// The batch, from `start` on.
    buffer: Vec<u8>,
    /// So that the batch begins where a page of memory does, as direct writes want it;
    /// while the buffer grows this is by chance.
    start: usize,
    /// Whose pages these are; the number is that of the page being filled.
    stamp: Stamp,
    /// Where the first record that begins in that page begins, and in the first page.
    first_record: u16,
    first_record_of_head: u16,
    /// The checksums of the pages between the first one and that.
    crcs: Vec<u32>,
    records: u32,
    bytes: usize,
}

impl Encoder {
    /// Begins the batch `seq` of a segment with this salt.
    pub fn start(&mut self, salt: u64, seq: u64) {
        self.stamp = Stamp { salt, seq, page: 0 };
        self.crcs.clear();
        self.first_record = 0;
        self.buffer.clear();
        let start = self.buffer.as_ptr().align_offset(PAGE);
        self.start = if start < PAGE { start } else { 0 };
        self.buffer.resize(self.start, 0);
        self.records = 0;
        self.bytes = 0;
        self.page(FIRST_CONTENT);
    }

    /// The bytes of its pages so far.
    fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The length of the records so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// There is no record in it.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Adds a record; where its payload begins, from the beginning of the batch.
    pub fn push(&mut self, header: Header, payload: &[u8]) -> u64 {
        self.turn_page_if_full();
        let place = self.len() % PAGE;
        if self.first_record == 0 {
            self.first_record = place as u16;
        }
        let mut bytes = [0; RECORD];
        bytes[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes[4] = header.kind as u8;
        bytes[6..14].copy_from_slice(&header.group.0.to_le_bytes());
        if let Some(id) = header.id {
            bytes[5] = 1;
            bytes[14..22].copy_from_slice(&id.index.to_le_bytes());
            bytes[22..30].copy_from_slice(&id.term.to_le_bytes());
            bytes[30..38].copy_from_slice(&id.node.to_le_bytes());
        }
        self.put(&bytes);
        if !payload.is_empty() {
            self.turn_page_if_full();
        }
        let position = self.len() as u64;
        self.put(payload);
        self.records += 1;
        self.bytes += RECORD + payload.len();
        position
    }

    /// Ends the batch: its pages, whole and stamped, and its hash.
    /// `head` brings everything but the counts.
    pub fn seal(&mut self, head: Head) -> (&[u8], BatchHash) {
        let len = self.len().next_multiple_of(PAGE);
        self.buffer.resize(self.start + len, 0);
        self.seal_page();
        let first = &mut self.buffer[self.start..][..PAGE];
        let place = &mut first[CONTENT..FIRST_CONTENT];
        place[..8].copy_from_slice(&MAGIC.to_le_bytes());
        place[8..10].copy_from_slice(&VERSION.to_le_bytes());
        place[12..16].copy_from_slice(&((len / PAGE) as u32).to_le_bytes());
        place[16..20].copy_from_slice(&self.records.to_le_bytes());
        place[20..24].copy_from_slice(&(self.bytes as u32).to_le_bytes());
        place[24..32].copy_from_slice(&head.durable.to_le_bytes());
        place[32..36].copy_from_slice(&head.previous.0.to_le_bytes());
        place[40..48].copy_from_slice(&head.oldest.to_le_bytes());
        let stamp = Stamp {
            page: 0,
            ..self.stamp
        };
        let crc = page::seal(first, stamp, self.first_record_of_head);
        let hash = BatchHash::default().with(crc);
        let hash = self.crcs.iter().copied().fold(hash, BatchHash::with);
        (&self.buffer[self.start..], hash)
    }

    fn page(&mut self, content: usize) {
        self.buffer.resize(self.buffer.len() + content, 0);
    }

    /// The last page is full: while it is in the cache. The first one waits for its head.
    fn seal_page(&mut self) {
        let first_record = mem::take(&mut self.first_record);
        if self.stamp.page == 0 {
            self.first_record_of_head = first_record;
        } else if let Some(page) = self.buffer.last_chunk_mut::<PAGE>() {
            self.crcs.push(page::seal(page, self.stamp, first_record));
        }
        self.stamp.page += 1;
    }

    fn turn_page_if_full(&mut self) {
        if self.len().is_multiple_of(PAGE) {
            self.seal_page();
            self.page(CONTENT);
        }
    }

    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.turn_page_if_full();
            let room = PAGE - self.len() % PAGE;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
    }
}

impl BatchHash {
    /// The hash with one more page.
    pub fn with(self, crc: u32) -> BatchHash {
        BatchHash(crc32c::crc32c_append(self.0, &crc.to_le_bytes()))
    }
}

/// Reads the head from page 0 of a batch, opened.
///
/// # Errors
/// When it is no head, or one of a later version.
pub fn head(page: &[u8], seq: u64) -> Result<Head, HeadError> {
    let place = page
        .get(CONTENT..FIRST_CONTENT)
        .ok_or(HeadError::NotAHead)?;
    let (u32_at, u64_at) = (|at| u32_at(place, at), |at| u64_at(place, at));
    if u64_at(0) != MAGIC {
        return Err(HeadError::NotAHead);
    }
    let version = u16::from_le_bytes([place[8], place[9]]);
    if version != VERSION {
        return Err(HeadError::Version(version));
    }
    let head = Head {
        seq,
        pages: u32_at(12),
        records: u32_at(16),
        bytes: u32_at(20),
        durable: u64_at(24),
        previous: BatchHash(u32_at(32)),
        oldest: u64_at(40),
    };
    if head.pages == 0 || footprint(head.bytes as usize) != u64::from(head.pages) * PAGE as u64 {
        return Err(HeadError::NotAHead);
    }
    Ok(head)
}

/// The records of a batch, from its pages that are good (opened); those that touch a missing
/// page are left out.
pub fn records(pages: &[Option<&[u8]>]) -> Vec<Record> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < pages.len() {
        let run = pages[at..].iter().map_while(|page| *page);
        let run: Vec<&[u8]> = run.collect();
        if !run.is_empty() {
            parse_run(at, &run, &mut found);
        }
        at += run.len() + 1;
    }
    found
}

/// The records that lie wholly within neighbouring pages, of which the first is page `first`
/// of its batch.
fn parse_run(first: usize, run: &[&[u8]], found: &mut Vec<Record>) {
    let begins = |page: usize| {
        if page == 0 { FIRST_CONTENT } else { CONTENT }
    };
    // The content without page headers, and where each page's content begins in it.
    let mut stream = Vec::with_capacity(run.len() * PAGE);
    let mut starts = Vec::with_capacity(run.len());
    for (number, page) in run.iter().enumerate() {
        starts.push(stream.len());
        stream.extend_from_slice(page.get(begins(first + number)..).unwrap_or_default());
    }
    let stream = Bytes::from(stream);
    let Some(mut at) = run.iter().enumerate().find_map(|(number, page)| {
        let offset = page::first_record(page)?;
        Some(starts[number] + offset.checked_sub(begins(first + number))?)
    }) else {
        return;
    };
    while let Some(header) = stream.get(at..at + RECORD) {
        let Some(kind) = Kind::from_byte(header[4]) else {
            return; // the padding
        };
        let id = (header[5] != 0).then(|| LogId {
            index: u64_at(header, 14),
            term: u64_at(header, 22),
            node: u64_at(header, 30),
        });
        let from = at + RECORD;
        let to = from.saturating_add(u32_at(header, 0) as usize);
        if to > stream.len() {
            return;
        }
        let page = starts.partition_point(|start| *start <= from) - 1;
        let offset = (first + page) * PAGE + begins(first + page) + from - starts[page];
        found.push(Record {
            header: Header {
                kind,
                group: GroupId(u64_at(header, 6)),
                id,
            },
            payload: stream.slice(from..to),
            position: offset as u64,
        });
        at = to;
    }
}

#[cfg(test)]
mod tests;

//! Writes as records, and what a batch says of the one before it.
//!
//! Separate because the writer, the recovery and the rewriting of old groups all speak of
//! records, while callers speak of [`Write`]s.
//!
//! Invariant: [`cost`] is what [`push`] adds to a batch, to the byte. The directory of a
//! batch is a second copy of who wrote what: without it nobody could say what a damaged
//! batch has lost.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::wal::page::{PAGE, u64_at};
use crate::wal::record::{Encoder, Header, Kind, RECORD, Record};
use crate::wal::{GroupId, LogId, Write};

/// The bytes of a directory entry.
const ENTRY: usize = 28;
/// What every write is charged for its share of the next batch's directory.
const SHARE: usize = ENTRY + RECORD;
/// Damaged batches told of one by one; beyond, only that there are some.
pub const SCARS_MAX: usize = 16;

/// The bytes of records that the write takes.
pub fn cost(write: &Write) -> usize {
    match write {
        Write::Append { entries, .. } => {
            let payloads = entries.iter().map(|(_, payload)| RECORD + payload.len());
            payloads.sum()
        }
        Write::Vote { vote, .. } => RECORD + vote.len(),
        _ => RECORD,
    }
}

/// [`cost`], and the write's share of the next directory.
pub fn charge(write: &Write) -> usize {
    cost(write).saturating_add(SHARE)
}

/// Adds the write's records; the offsets of its entries' payloads go to `offsets`.
pub fn push(encoder: &mut Encoder, write: &Write, offsets: &mut Vec<u64>) {
    let group = write.group();
    let header = |kind, id| Header { kind, group, id };
    match write {
        Write::Append { entries, .. } => {
            for (id, payload) in entries {
                offsets.push(encoder.push(header(Kind::Append, Some(*id)), payload));
            }
        }
        Write::Vote { vote, .. } => {
            encoder.push(header(Kind::Vote, None), vote);
        }
        Write::TruncateAfter { index, .. } => {
            let id = index.map(|index| LogId {
                index,
                ..LogId::default()
            });
            encoder.push(header(Kind::TruncateAfter, id), &[]);
        }
        Write::Purge { up_to, .. } => {
            encoder.push(header(Kind::Purge, Some(*up_to)), &[]);
        }
        Write::Committed { log_id, .. } => {
            encoder.push(header(Kind::Committed, *log_id), &[]);
        }
        Write::DropGroup { .. } => {
            encoder.push(header(Kind::Drop, None), &[]);
        }
        Write::AcceptDamage { .. } => {
            encoder.push(header(Kind::AcceptDamage, None), &[]);
        }
    }
}

/// The write that a record of a group stands for; `None` for records of the log itself, and
/// for [`Kind::Restart`] and [`Kind::AppendByReference`].
pub fn write_of(record: &Record) -> Option<Write> {
    let Header { kind, group, id } = record.header;
    Some(match kind {
        Kind::Append => Write::Append {
            group,
            entries: vec![(id?, record.payload.clone())],
        },
        Kind::Vote => Write::Vote {
            group,
            vote: Bytes::copy_from_slice(&record.payload),
        },
        Kind::TruncateAfter => Write::TruncateAfter {
            group,
            index: id.map(|id| id.index),
        },
        Kind::Purge => Write::Purge { group, up_to: id? },
        Kind::Committed => Write::Committed { group, log_id: id },
        Kind::Drop => Write::DropGroup { group },
        Kind::AcceptDamage => Write::AcceptDamage { group },
        _ => return None,
    })
}

/// What one group has in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The first index of its entries.
    pub first: u64,
    /// The last index of its entries; below `first` if it has none.
    pub last: u64,
    /// A bit for each [`Kind`] it has.
    pub kinds: u16,
    /// How many records it has.
    pub records: u16,
}

impl Share {
    /// Whether it has a record of the kind.
    pub const fn has(&self, kind: Kind) -> bool {
        self.kinds & (1 << kind as u8) != 0
    }

    /// Whether it has records of other kinds.
    pub const fn has_others(&self, kinds: &[Kind]) -> bool {
        let mut others = self.kinds;
        let mut at = 0;
        while at < kinds.len() {
            others &= !(1 << kinds[at] as u8);
            at += 1;
        }
        others != 0
    }
}

/// Who has what in a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// The groups in it.
    pub groups: BTreeMap<GroupId, Share>,
    /// There are more, of which nothing is said.
    pub more: bool,
}

impl Directory {
    /// Notes a record.
    pub fn add(&mut self, header: Header) {
        use Kind::*;
        if matches!(header.kind, Directory | Scar | Closed) {
            return;
        }
        let share = self.groups.entry(header.group).or_insert(Share {
            first: u64::MAX,
            last: 0,
            kinds: 0,
            records: 0,
        });
        share.kinds |= 1 << header.kind as u8;
        share.records = share.records.saturating_add(1);
        if let (Append | AppendByReference, Some(id)) = (header.kind, header.id) {
            share.first = share.first.min(id.index);
            share.last = share.last.max(id.index);
        }
    }

    /// Notes all records of a write.
    pub fn add_write(&mut self, write: &Write) {
        let group = write.group();
        let mut add = |kind, id| self.add(Header { kind, group, id });
        match write {
            Write::Append { entries, .. } => {
                for (id, _) in entries {
                    add(Kind::Append, Some(*id));
                }
            }
            Write::Vote { .. } => add(Kind::Vote, None),
            Write::TruncateAfter { .. } => add(Kind::TruncateAfter, None),
            Write::Purge { .. } => add(Kind::Purge, None),
            Write::Committed { .. } => add(Kind::Committed, None),
            Write::DropGroup { .. } => add(Kind::Drop, None),
            Write::AcceptDamage { .. } => add(Kind::AcceptDamage, None),
        }
    }

    /// Leaves out what would take more than `slack` bytes of pages.
    pub fn limit(&mut self, slack: u64) {
        let pages = (slack / PAGE as u64).saturating_sub(1).max(1);
        let groups_max = (pages as usize * 4000 - RECORD) / ENTRY;
        while self.groups.len() > groups_max {
            self.groups.pop_last();
            self.more = true;
        }
    }

    /// The bytes of records that it takes.
    pub fn cost(&self) -> usize {
        if self.groups.is_empty() && !self.more {
            0
        } else {
            RECORD + ENTRY * self.groups.len()
        }
    }

    /// Adds it as a record, if there is anything to say.
    pub fn push(&self, encoder: &mut Encoder) {
        if self.cost() == 0 {
            return;
        }
        let mut bytes = Vec::with_capacity(self.cost());
        for (group, share) in &self.groups {
            bytes.extend_from_slice(&group.0.to_le_bytes());
            bytes.extend_from_slice(&share.first.to_le_bytes());
            bytes.extend_from_slice(&share.last.to_le_bytes());
            bytes.extend_from_slice(&share.kinds.to_le_bytes());
            bytes.extend_from_slice(&share.records.to_le_bytes());
        }
        let index = u64::from(self.more);
        let header = Header {
            kind: Kind::Directory,
            group: GroupId::default(),
            id: Some(LogId {
                index,
                ..LogId::default()
            }),
        };
        encoder.push(header, &bytes);
    }

    /// Reads it back.
    pub fn parse(record: &Record) -> Directory {
        let groups = record.payload.chunks_exact(ENTRY).map(|entry| {
            let share = Share {
                first: u64_at(entry, 8),
                last: u64_at(entry, 16),
                kinds: u16::from_le_bytes([entry[24], entry[25]]),
                records: u16::from_le_bytes([entry[26], entry[27]]),
            };
            (GroupId(u64_at(entry, 0)), share)
        });
        Directory {
            groups: groups.collect(),
            more: record.header.id.is_none_or(|id| id.index != 0),
        }
    }
}

/// A damaged batch that was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scar {
    /// The batch.
    pub seq: u64,
    /// Nobody can say what it lost.
    pub unknown: bool,
}

impl Scar {
    /// Adds it as a record.
    pub fn push(self, encoder: &mut Encoder) {
        let header = Header {
            kind: Kind::Scar,
            group: GroupId::default(),
            id: Some(LogId {
                index: self.seq,
                term: u64::from(self.unknown),
                node: 0,
            }),
        };
        encoder.push(header, &[]);
    }

    /// Reads it back.
    pub fn parse(record: &Record) -> Option<Scar> {
        let id = record.header.id?;
        Some(Scar {
            seq: id.index,
            unknown: id.term != 0,
        })
    }
}

/// The bytes at the end of a segment that planning leaves alone: for the directory of the
/// batch before, and for scars when a batch is copied.
pub fn slack(segment_bytes: u64) -> u64 {
    let page = PAGE as u64;
    let directory = (segment_bytes / page / 64).clamp(1, 16);
    (directory + 1) * page
}

//! What is in a segment: whole batches, and what is left of others.
//!
//! Separate from what follows from it (`recovery`): here one file is looked at, without
//! knowing the others.
//!
//! Invariants: found in the order of the file; a batch is whole only if every page of it is
//! good; nothing of an earlier life of the file is found.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use crate::vfs::File;
use crate::wal::error::Error;
use crate::wal::page::{self, Condition, PAGE, Stamp};
use crate::wal::record::{self, BatchHash, Head, HeadError, Record};

/// Bytes looked through at once.
const WINDOW: usize = 256 * PAGE;
/// Single sectors of a batch are looked for in so many pages: a batch of more has good pages,
/// unless much was lost. In as many pages of an earlier life some sector ends like one of
/// them by chance once in fifteen million segments.
const LOOSE_PAGES: usize = 8;

/// A batch, or what is left of it.
#[derive(Debug)]
pub struct Found {
    /// The segment.
    pub segment: u64,
    /// Where it begins; of a batch without a head, where it would.
    pub offset: u64,
    /// Its number.
    pub seq: u64,
    /// What it says of itself, if its head is whole.
    pub head: Option<Head>,
    /// Over its pages, if all are good.
    pub hash: BatchHash,
    /// All its pages are good.
    pub is_whole: bool,
    /// Some page was never written: its sync never finished, unless later batches are there.
    pub is_torn: bool,
    /// What can be read of it.
    pub records: Vec<Record>,
}

impl Found {
    /// Where it ends.
    pub fn end(&self) -> u64 {
        let pages = self.head.map_or(1, |head| head.pages);
        self.offset + u64::from(pages) * PAGE as u64
    }
}

/// Looks through one segment.
pub struct Scan<'a> {
    file: &'a dyn File,
    path: &'a Path,
    segment: u64,
    salt: u64,
    len: u64,
    at: u64,
    /// The last batch seen, in this segment or the one before.
    last: u64,
    /// It is not whole.
    is_broken: bool,
    is_first: bool,
    /// Found already, last first.
    later: Vec<Found>,
    /// From here on there is no good page.
    blank_from: u64,
    /// Records of batches before this one are left out.
    wanted_from: u64,
    /// What was read last.
    buffer: Vec<u8>,
}

/// What the heads of batches say, and where they end.
#[derive(Clone, Copy, Debug)]
pub struct Skimmed {
    /// The batch that the last whole one calls the oldest that counts.
    pub oldest: Option<u64>,
    /// From here on there is no good page; beyond the end of the file if that is not known.
    pub blank_from: u64,
}

impl<'a> Scan<'a> {
    /// Of this file, when batch `last` was the last one before it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn new(
        segment: u64,
        file: &'a dyn File,
        path: &'a Path,
        last: u64,
    ) -> Result<Scan<'a>, Error> {
        Ok(Scan {
            file,
            path,
            segment,
            salt: page::salt(segment),
            len: file.len()? / PAGE as u64 * PAGE as u64,
            at: 0,
            last,
            is_broken: false,
            is_first: true,
            later: Vec::new(),
            blank_from: u64::MAX,
            wanted_from: 0,
            buffer: Vec::new(),
        })
    }

    /// Spares the way through what is known to be blank, and the records of batches before
    /// `wanted_from`.
    #[must_use]
    pub fn knowing(mut self, blank_from: u64, wanted_from: u64) -> Scan<'a> {
        self.blank_from = blank_from;
        self.wanted_from = wanted_from;
        self
    }

    /// The batch that begins there, if it is whole.
    ///
    /// # Errors
    /// As [`Scan::next_batch`].
    pub fn whole_batch_at(mut self, offset: u64) -> Result<Option<Found>, Error> {
        self.at = offset;
        Ok(self.batch()?.filter(|found| found.is_whole))
    }

    /// What the batches say of what counts, without reading more of them than their heads
    /// as long as these follow one another.
    ///
    /// # Errors
    /// As [`Scan::next_batch`].
    pub fn skim(mut self) -> Result<Skimmed, Error> {
        let mut oldest = None;
        let mut end = None;
        while let Some((stamp, head)) = self.head()? {
            // A batch was written when the one before it was synced.
            oldest = end.map(|(_, _, oldest)| oldest);
            end = Some((self.at, self.is_first, head.oldest));
            self.is_first = false;
            self.last = stamp.seq;
            self.at += u64::from(head.pages) * PAGE as u64;
        }
        let blank_from = self.at;
        if self.is_blank()? {
            if let Some((at, is_first, claimed)) = end {
                (self.at, self.is_first) = (at, is_first);
                self.last -= 1;
                let found = self.batch()?;
                oldest = found
                    .filter(|found| found.is_whole)
                    .map_or(oldest, |_| Some(claimed));
            }
            return Ok(Skimmed { oldest, blank_from });
        }
        self.at = 0;
        self.is_first = true;
        self.last = 0;
        let mut oldest = None;
        while let Some(found) = self.next_batch()? {
            let head = found.head.filter(|_| found.is_whole);
            oldest = oldest.max(head.map(|head| head.oldest));
        }
        Ok(Skimmed {
            oldest,
            blank_from: u64::MAX,
        })
    }

    /// Whether no good page of another batch is here or behind.
    fn is_blank(&mut self) -> Result<bool, Error> {
        let mut at = self.at;
        while at < self.len {
            let bytes = WINDOW.min((self.len - at) as usize);
            if !self.read(at, bytes)? {
                break;
            }
            let mut pages = self.buffer.chunks_exact(PAGE);
            if pages.any(|page| self.stamp_of(page).is_some()) {
                return Ok(false);
            }
            at += bytes as u64;
        }
        Ok(true)
    }

    /// Which page of a batch behind the last one this is.
    fn stamp_of(&self, page: &[u8]) -> Option<Stamp> {
        let stamp = page::identify(page, self.salt)?;
        (self.is_first || stamp.seq > self.last).then_some(stamp)
    }

    /// The head of a batch that is here.
    fn head(&mut self) -> Result<Option<(Stamp, Head)>, Error> {
        if !self.read(self.at, PAGE)? {
            return Ok(None);
        }
        let Some(stamp) = self.stamp_of(&self.buffer).filter(|stamp| stamp.page == 0) else {
            return Ok(None);
        };
        page::open(&mut self.buffer);
        match record::head(&self.buffer, stamp.seq) {
            Ok(head) => Ok(Some((stamp, head))),
            Err(HeadError::NotAHead) => Ok(None),
            Err(HeadError::Version(version)) => Err(Error::Unusable {
                path: self.path.to_owned(),
                what: format!("written by a later version (format {version})"),
            }),
        }
    }

    /// The next batch, or what is left of one.
    ///
    /// # Errors
    /// When the disk refuses, or a later version wrote it.
    pub fn next_batch(&mut self) -> Result<Option<Found>, Error> {
        while self.later.is_empty() && self.at < self.len {
            match self.batch()? {
                Some(found) => self.later.push(found),
                None => self.look_ahead()?,
            }
        }
        let found = self.later.pop();
        if let Some(found) = &found {
            self.is_first = false;
            self.last = found.seq;
            self.is_broken = !found.is_whole;
        }
        Ok(found)
    }

    /// The batch whose head is here.
    fn batch(&mut self) -> Result<Option<Found>, Error> {
        let Some((stamp, head)) = self.head()? else {
            return Ok(None);
        };
        if !self.read(self.at, head.pages as usize * PAGE)? {
            return Ok(None);
        }
        let mut hash = BatchHash::default();
        let (mut is_whole, mut is_torn) = (true, false);
        let mut pages = Vec::with_capacity(head.pages as usize);
        for (number, page) in self.buffer.chunks_exact_mut(PAGE).enumerate() {
            let stamp = Stamp {
                page: number as u32,
                ..stamp
            };
            hash = hash.with(page::checksum(page));
            match page::examine(page, stamp) {
                Condition::Good => {
                    page::open(page);
                    pages.push(Some(&*page));
                    continue;
                }
                Condition::Rotten => {}
                Condition::Absent => is_torn = true,
            }
            is_whole = false;
            pages.push(None);
        }
        let found = Found {
            segment: self.segment,
            offset: self.at,
            seq: stamp.seq,
            head: Some(head),
            hash,
            is_whole,
            is_torn,
            records: match stamp.seq < self.wanted_from {
                true => Vec::new(),
                false => record::records(&pages),
            },
        };
        self.at = found.end();
        Ok(Some(found))
    }

    /// No head is here: finds what is left of batches up to the next head.
    fn look_ahead(&mut self) -> Result<(), Error> {
        let begin = self.at;
        let mut loose: BTreeMap<u64, BTreeMap<u64, (u32, Vec<u8>)>> = BTreeMap::new();
        let mut at = begin;
        'file: while at < self.len.min(self.blank_from) {
            let bytes = WINDOW.min((self.len - at) as usize);
            if !self.read(at, bytes)? {
                break;
            }
            for page in self.buffer.chunks_exact(PAGE) {
                if let Some(stamp) = self.stamp_of(page) {
                    let is_head = stamp.page == 0 && at > begin;
                    if is_head && self.is_head(page, stamp.seq) {
                        break 'file;
                    }
                    let mut page = page.to_vec();
                    page::open(&mut page);
                    let pages = loose.entry(stamp.seq).or_default();
                    pages.insert(at, (stamp.page, page));
                }
                at += PAGE as u64;
            }
        }
        if at >= self.blank_from {
            at = self.len;
        }
        self.at = at;
        let first = match self.read(begin, PAGE)? {
            true => std::mem::take(&mut self.buffer),
            false => Vec::new(),
        };
        let rotten = |seq| {
            let salt = self.salt;
            let stamp = Stamp { salt, seq, page: 0 };
            page::examine(&first, stamp) == Condition::Rotten
        };
        let next = self.last + 1;
        let seen = if rotten(next) {
            Some(next)
        } else {
            Some(self.last).filter(|last| self.is_first && *last > 0 && rotten(*last))
        };
        if let Some(seq) = seen {
            loose.entry(seq).or_default();
        }
        // A batch is written when the one before it is synced: one sector of it proves that
        // this one was there, though no page of either is good.
        for seq in next + u64::from(!self.is_broken)..=next + 1 {
            let is_proved = loose.range(seq..).next().is_some();
            if !is_proved && self.has_sector_of(seq, begin..at)? {
                loose.entry(seq).or_default();
            }
        }
        for (seq, pages) in loose.into_iter().rev() {
            let found = self.loose(begin, seq, &pages, seen == Some(seq));
            self.later.push(found);
        }
        Ok(())
    }

    /// Whether some sector at the beginning of `place` was written as part of this batch.
    fn has_sector_of(&mut self, seq: u64, place: Range<u64>) -> Result<bool, Error> {
        let bytes = ((place.end - place.start) as usize).min(LOOSE_PAGES * PAGE);
        if !self.read(place.start, bytes)? {
            return Ok(false);
        }
        let salt = self.salt;
        let has_end = |page: &[u8], stamp: Stamp| {
            page::sector_ends(page).any(|end| end == stamp.sector_end())
        };
        let mut pages = (0..).zip(self.buffer.chunks_exact(PAGE));
        // The first page of the batch is not before the place.
        Ok(pages.any(|(at, found)| (0..=at).any(|page| has_end(found, Stamp { salt, seq, page }))))
    }

    /// What can be made of the pages of a batch without a head.
    fn loose(
        &self,
        begin: u64,
        seq: u64,
        pages: &BTreeMap<u64, (u32, Vec<u8>)>,
        has_rotten_head: bool,
    ) -> Found {
        let mut run: Vec<Option<&[u8]>> = Vec::new();
        for (number, page) in pages.values() {
            let number = *number as usize;
            if number >= run.len() && number < (self.len / PAGE as u64) as usize {
                run.resize(number, None);
                run.push(Some(page));
            }
        }
        let base = pages
            .iter()
            .next()
            .map(|(at, (number, _))| at.saturating_sub(u64::from(*number) * PAGE as u64));
        Found {
            segment: self.segment,
            offset: base.unwrap_or(begin),
            seq,
            head: None,
            hash: BatchHash::default(),
            is_whole: false,
            is_torn: !has_rotten_head,
            records: record::records(&run),
        }
    }

    fn is_head(&self, page: &[u8], seq: u64) -> bool {
        let mut page = page.to_vec();
        page::open(&mut page);
        !matches!(record::head(&page, seq), Err(HeadError::NotAHead))
    }

    /// Whole pages, into the buffer; false beyond the end.
    fn read(&mut self, at: u64, bytes: usize) -> Result<bool, Error> {
        if at.saturating_add(bytes as u64) > self.len {
            return Ok(false);
        }
        self.buffer.resize(bytes, 0);
        Ok(self.file.read_at(at, &mut self.buffer)? == bytes)
    }
}

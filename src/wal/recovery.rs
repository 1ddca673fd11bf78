//! What a log holds after a restart: whole, torn, rotten or uncertain.
//!
//! ```text
//!   segments in order ─► batches ─► chain: n, n+1, n+2, …   every batch names the one before
//!        n whole, n+1 whole                    n counts
//!        n broken, something of n+1 there      n was synced once: rotten; what is readable counts,
//!                                              the directory in n+1 tells what is lost
//!        n broken, nothing behind, a page never written    torn: cut, nobody was told of it
//!        n broken, nothing behind, all pages written       uncertain: cut, and told
//!        n whole, nothing behind, not closed               written anew: it may never have been synced;
//!                                              in its own place if the disk has no room
//!        n in a later segment again                        the copy counts
//!        n missing, nothing behind, but noted (`tail`)     the end is gone: told
//! ```
//!
//! Separate because this is the only place that decides what bytes on a disk are worth.
//!
//! Invariants: what is reported is durable; nothing that was damaged is deleted or
//! overwritten before it was copied aside; recovering twice gives the same; damage that was
//! found stays known (a *scar*) until somebody accepts it. Absent: no repair: who has the
//! lost entries is a question to other servers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::vfs::{self, File, Vfs};
use crate::wal::batch::{self, Directory, SCARS_MAX, Scar};
use crate::wal::error::Error;
use crate::wal::index::{Index, Place};
use crate::wal::page;
use crate::wal::purge::Reclaim;
use crate::wal::record::{BatchHash, Encoder, Head, Kind};
use crate::wal::scan::{Found, Scan};
use crate::wal::segment::{Name, Pool, Segment};
use crate::wal::tail::{self, Tail};
use crate::wal::writer::Position;
use crate::wal::{Options, RecoveryReport};

/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;

/// What was found.
pub struct Recovered {
    chain: Chain,
    /// Files of the segments that have something.
    segments: BTreeMap<u64, Arc<dyn File>>,
    /// Files that hold nothing.
    free: Vec<u64>,
    /// The number of the next segment.
    next: u64,
    report: RecoveryReport,
}

/// Everything a writer starts with.
pub struct Started {
    /// What there is.
    pub index: Index,
    /// The files in use.
    pub segments: BTreeMap<u64, Arc<dyn File>>,
    /// Makes segments.
    pub pool: Pool,
    /// Where the next batch goes.
    pub position: Position,
    /// Frees segments.
    pub reclaim: Reclaim,
    /// A buffer.
    pub encoder: Encoder,
    /// What to tell.
    pub report: RecoveryReport,
}

/// Looks through the log in `dir`; changes nothing but names of files that hold nothing.
///
/// # Errors
/// When the disk refuses, or a later version wrote the log.
pub fn recover(vfs: &Arc<dyn Vfs>, dir: &Path, options: &Options) -> Result<Recovered, Error> {
    vfs.create_dir_all(dir)?;
    if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
        vfs.sync_dir(above)?; // segments are lost with a directory nobody finds
    }
    let names = vfs.list(dir)?;
    let names: Vec<Name> = names.iter().filter_map(|name| Name::parse(name)).collect();
    let next = names.iter().map(|name| name.number()).max().unwrap_or(0) + 1;
    let mut free = Vec::new();
    let mut files: BTreeMap<u64, (PathBuf, Arc<dyn File>)> = BTreeMap::new();
    for name in names {
        let path = name.path(dir);
        match name {
            Name::New(_) => vfs.remove(&path)?,
            Name::Free(number) => free.push(number),
            Name::Segment(number) => {
                let file = vfs.open(&path, vfs::MODE_PRIVATE)?;
                files.insert(number, (path, file));
            }
        }
    }
    let noted = tail::read(&**vfs, dir)?;
    let oldest = oldest_seq(&files)?;
    let mut chain = Chain::new(oldest, options.cache_bytes_max);
    let mut segments = BTreeMap::new();
    let mut unused = Vec::new();
    for (number, (path, file)) in files {
        let mut is_used = false;
        let mut scan = Scan::new(number, &*file, &path, chain.last_seq())?;
        while let Some(found) = scan.next_batch()? {
            if found.seq >= oldest {
                is_used = true;
                chain.add(found, &path)?;
            }
        }
        if is_used {
            segments.insert(number, file);
        } else {
            unused.push((number, path, file));
        }
    }
    let mut report = RecoveryReport::default();
    chain.finish(&mut report)?;
    if let Some(noted) = noted {
        let last = segments.last_key_value();
        let bytes = last.map(|(_, file)| file.len()).transpose()?;
        let is_short = bytes.is_some_and(|bytes| bytes < noted.segment_bytes);
        let last = last.map_or(0, |(number, _)| *number);
        chain.compare(noted, last, is_short, &mut report);
    }
    let mut suspects = Vec::new();
    if !chain.new_damage.is_empty() {
        // What is gone may have been in one of those that seem to hold nothing.
        for (number, _, file) in &unused {
            if !is_blank(&**file)? {
                suspects.push(*number);
            }
        }
    }
    quarantine(vfs, dir, options, &mut chain, &mut report, suspects)?;
    for (number, path, _) in unused {
        if !chain.kept.contains(&number) {
            vfs.rename(&path, &Name::Free(number).path(dir))?;
            free.push(number);
        }
    }
    Ok(Recovered {
        chain,
        segments,
        free,
        next,
        report,
    })
}

/// The first batch that counts, as the last segment says.
fn oldest_seq(files: &BTreeMap<u64, (PathBuf, Arc<dyn File>)>) -> Result<u64, Error> {
    for (number, (path, file)) in files.iter().rev() {
        let mut oldest = None;
        let mut scan = Scan::new(*number, &**file, path, 0)?;
        while let Some(found) = scan.next_batch()? {
            let head = found.head.filter(|_| found.is_whole);
            oldest = oldest.max(head.map(|head| head.oldest));
        }
        if let Some(oldest) = oldest {
            return Ok(oldest);
        }
    }
    Ok(1)
}

/// Copies the files in which damage was found, once.
fn quarantine(
    vfs: &Arc<dyn Vfs>,
    dir: &Path,
    options: &Options,
    chain: &mut Chain,
    report: &mut RecoveryReport,
    suspects: Vec<u64>,
) -> Result<(), Error> {
    let mut damaged = Vec::new();
    for name in vfs.list(dir)?.iter().filter_map(|name| Name::parse(name)) {
        let number = name.number();
        let mut places = chain.new_damage.values();
        let is_suspect = suspects.contains(&number);
        if name == Name::Segment(number)
            && (is_suspect || places.any(|new| new.segments.contains(&number)))
        {
            damaged.push(number);
        }
    }
    if damaged.is_empty() {
        return Ok(());
    }
    let aside = options.quarantine.clone();
    let aside = aside.unwrap_or_else(|| dir.join("quarantine"));
    vfs.create_dir_all(&aside)?;
    for number in damaged {
        let from = Name::Segment(number).path(dir);
        let to = aside.join(format!("wal-{number:020}"));
        match copy(&**vfs, &from, &to) {
            Ok(()) => report.quarantined.push(to),
            Err(err) => {
                tracing::warn!(%err, "write-ahead log: no copy of a damaged segment");
                chain.kept.insert(number);
            }
        }
    }
    vfs.sync_dir(&aside)?;
    Ok(())
}

/// Whether a file holds nothing but zeros.
fn is_blank(file: &dyn File) -> Result<bool, vfs::Error> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut at = 0;
    loop {
        let read = file.read_at(at, &mut buffer)?;
        if buffer[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
        at += read as u64;
    }
}

fn copy(vfs: &dyn Vfs, from: &Path, to: &Path) -> Result<(), vfs::Error> {
    let (from, to) = (
        vfs.open(from, vfs::MODE_PRIVATE)?,
        vfs.open(to, vfs::MODE_PRIVATE)?,
    );
    let mut buffer = vec![0; COPY_BYTES];
    let mut at = 0;
    loop {
        let read = from.read_at(at, &mut buffer)?;
        if read == 0 {
            return to.sync();
        }
        to.write_at(at, &buffer[..read])?;
        at += read as u64;
    }
}

/// Writes anew what may not be durable, and hands everything to a writer.
///
/// # Errors
/// When the disk refuses or is full.
pub fn start(
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    segment_bytes: u64,
    recovered: Recovered,
    options: &Options,
) -> Result<Started, Error> {
    let Recovered {
        mut chain,
        mut segments,
        free,
        next,
        mut report,
    } = recovered;
    let mut pool = Pool::new(vfs, dir, segment_bytes, next, free);
    let mut encoder = Encoder::default();
    let tail = chain.tail.take();
    let is_closed = |tail: &Found| {
        let kind = tail.records.last().map(|record| record.header.kind);
        kind == Some(Kind::Closed)
    };
    let is_clean = chain.new_damage.is_empty() && !chain.was_cut;
    let mut position = Position {
        segment: None,
        offset: 0,
        seq: chain.next_seq,
        previous: BatchHash::default(),
        directory: Directory::default(),
        is_closed: false,
    };
    match tail {
        Some(tail) if is_clean && is_closed(&tail) => {
            let number = tail.segment;
            let file = segments.get(&number).cloned();
            position.segment = file.map(|file| Segment { number, file });
            position.offset = tail.end();
            position.seq = tail.seq + 1;
            position.previous = tail.hash;
            position.is_closed = true;
            chain.apply(&tail)?;
        }
        tail => {
            report.unclean = tail.is_some() || !chain.new_damage.is_empty() || chain.was_cut;
            let room = match report.unclean {
                true => make_ready(&mut pool),
                false => Ok(()),
            };
            match (room, tail) {
                (Err(Error::NoSpace), Some(tail)) if is_clean => {
                    let file = segments.get(&tail.segment).cloned();
                    let file = file.ok_or(Error::NoSpace)?;
                    rewrite_in_place(tail, file, segment_bytes, &mut position, &mut chain)?;
                }
                (Err(err), _) => return Err(err),
                (Ok(()), tail) if tail.is_some() || !chain.new_damage.is_empty() => {
                    let copy = Copy {
                        tail,
                        scars: chain.scars(),
                    };
                    copy.write(&mut pool, &mut encoder, &mut position, &mut chain)?;
                }
                (Ok(()), _) => {}
            }
            if !is_clean {
                // What is lost is remembered by now: the log ends here.
                pool.note_tail(position.seq - 1, position.segment.as_ref())?;
            }
            if let Some(segment) = &position.segment {
                segments.insert(segment.number, Arc::clone(&segment.file));
            }
        }
    }
    chain.index.settle();
    for group in chain.index.groups() {
        if let Some(damage) = chain.index.state(group).damage {
            report.damaged.push((group, damage));
        }
    }
    let (used, unused): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (segments.into_iter()).partition(|(number, _)| chain.first_seq.contains_key(number));
    let segments = used;
    for number in unused.into_keys() {
        // What was copied from it, or cut off, is durable or told of by now.
        if !chain.kept.contains(&number) {
            pool.give_back(number)?;
        }
    }
    let reclaim = Reclaim::new(chain.first_seq, chain.oldest, options.rewrite_bytes_max);
    Ok(Started {
        index: chain.index,
        segments,
        pool,
        position,
        reclaim,
        encoder,
        report,
    })
}

fn make_ready(pool: &mut Pool) -> Result<(), Error> {
    while pool.ready.is_empty() {
        pool.step()?;
    }
    Ok(())
}

/// Writes the last batch where it is, so that the sync is about its pages whatever became of
/// them before. The bytes are the same: whatever a crash leaves of this is the batch.
fn rewrite_in_place(
    tail: Found,
    file: Arc<dyn File>,
    segment_bytes: u64,
    position: &mut Position,
    chain: &mut Chain,
) -> Result<(), Error> {
    let len = usize::try_from(tail.end() - tail.offset).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len];
    if file.read_at(tail.offset, &mut bytes)? < len {
        return Err(Error::NoSpace);
    }
    file.write_at(tail.offset, &bytes)?;
    file.sync()?;
    let mut directory = Directory::default();
    for record in &tail.records {
        directory.add(record.header);
    }
    directory.limit(batch::slack(segment_bytes));
    chain.apply(&tail)?;
    position.segment = Some(Segment {
        number: tail.segment,
        file,
    });
    position.offset = tail.end();
    position.seq = tail.seq + 1;
    position.previous = tail.hash;
    position.directory = directory;
    Ok(())
}

/// The last batch, to be written anew, and what is to be remembered of damage.
struct Copy {
    tail: Option<Found>,
    scars: Vec<Scar>,
}

impl Copy {
    fn write(
        self,
        pool: &mut Pool,
        encoder: &mut Encoder,
        position: &mut Position,
        chain: &mut Chain,
    ) -> Result<(), Error> {
        make_ready(pool)?;
        let segment = pool.ready.pop_front().ok_or(Error::NoSpace)?;
        encoder.start();
        if self.tail.is_none() {
            let told = chain.told.take();
            told.unwrap_or_default().push(encoder);
        }
        let mut directory = Directory::default();
        let mut found = self.tail.unwrap_or(Found {
            segment: 0,
            offset: 0,
            seq: position.seq,
            head: None,
            hash: BatchHash::default(),
            is_whole: true,
            is_torn: false,
            records: Vec::new(),
        });
        found.segment = segment.number;
        found.offset = 0;
        found
            .records
            .retain(|record| record.header.kind != Kind::Closed);
        for record in &mut found.records {
            record.position = encoder.push(record.header, &record.payload);
            directory.add(record.header);
        }
        for scar in &self.scars {
            scar.push(encoder);
        }
        let head = Head {
            seq: found.seq,
            durable: found.seq.saturating_sub(1),
            previous: found
                .head
                .map_or(BatchHash::default(), |head| head.previous),
            oldest: chain.oldest,
            ..Head::default()
        };
        let (bytes, hash) = encoder.seal(page::salt(segment.number), head);
        segment.file.write_at(0, bytes)?;
        segment.file.sync()?;
        position.offset = bytes.len() as u64;
        chain.apply(&found)?;
        for scar in self.scars {
            chain.note_scar(scar, segment.number);
        }
        directory.limit(batch::slack(pool.segment_bytes()));
        position.segment = Some(segment);
        position.seq = found.seq + 1;
        position.previous = hash;
        position.directory = directory;
        Ok(())
    }
}

/// What a batch says of the one before it. A whole batch that says nothing says that there
/// was nothing.
fn directory_in(found: &Found) -> Option<Directory> {
    let mut records = found.records.iter();
    let record = records.find(|record| record.header.kind == Kind::Directory);
    let directory = record.map(Directory::parse);
    directory.or_else(|| found.is_whole.then(Directory::default))
}

/// A damaged batch that was not known before.
#[derive(Clone, Debug)]
struct NewDamage {
    /// Where it was, or what is left of it: one of these.
    segments: RangeInclusive<u64>,
    unknown: bool,
}

impl NewDamage {
    /// Nothing says what it was.
    const fn unknown(segments: RangeInclusive<u64>) -> NewDamage {
        NewDamage {
            segments,
            unknown: true,
        }
    }
}

/// Batches in their order, applied one behind the other.
struct Chain {
    index: Index,
    /// The first batch that counts.
    oldest: u64,
    /// The last whole batch: not applied yet, because a copy of it may follow.
    tail: Option<Found>,
    /// What is left of batches behind it.
    broken: Vec<Found>,
    /// The first batch of each segment.
    first_seq: BTreeMap<u64, u64>,
    /// Damaged batches without a scar.
    new_damage: BTreeMap<u64, NewDamage>,
    /// Damaged segments of which there is no copy.
    kept: BTreeSet<u64>,
    /// Something was cut off at the end.
    was_cut: bool,
    /// What a batch that was cut off said of the one before it, which is damaged.
    told: Option<Directory>,
    /// The batch behind everything, also behind what is damaged.
    next_seq: u64,
    batches: u64,
}

impl Chain {
    fn new(oldest: u64, cache_bytes_max: usize) -> Chain {
        Chain {
            index: Index::new(cache_bytes_max),
            oldest,
            tail: None,
            broken: Vec::new(),
            first_seq: BTreeMap::new(),
            new_damage: BTreeMap::new(),
            kept: BTreeSet::new(),
            was_cut: false,
            told: None,
            next_seq: oldest,
            batches: 0,
        }
    }

    /// The last batch seen.
    fn last_seq(&self) -> u64 {
        let broken = self.broken.iter().map(|found| found.seq).max();
        let tail = self.tail.as_ref().map(|tail| tail.seq);
        broken.max(tail).unwrap_or(self.oldest.saturating_sub(1))
    }

    /// The next one in the order of the files.
    fn add(&mut self, found: Found, path: &Path) -> Result<(), Error> {
        if found
            .records
            .iter()
            .any(|record| record.header.kind == Kind::AppendByReference)
        {
            return Err(Error::Unusable {
                path: path.to_owned(),
                what: "entries by reference are of a later version".to_owned(),
            });
        }
        if !found.is_whole {
            self.broken.push(found);
            return Ok(());
        }
        self.batches += 1;
        let expected = self.tail.as_ref().map_or(self.oldest, |tail| tail.seq + 1);
        let previous = found.head.map(|head| head.previous);
        let follows = self
            .tail
            .as_ref()
            .is_none_or(|tail| Some(tail.hash) == previous);
        if found.seq > expected {
            self.lost(&found, expected)?;
        } else if found.seq == expected && follows {
            self.apply_tail()?;
        } else if found.seq == expected {
            // Not the batch that was there when this one was written.
            let unknown = NewDamage::unknown(self.segments_up_to(found.segment));
            self.new_damage.insert(expected - 1, unknown);
            self.apply_tail()?;
        } else if found.seq + 1 != expected {
            let unknown = NewDamage::unknown(found.segment..=found.segment);
            self.new_damage.insert(found.seq, unknown);
        }
        // What was broken in between was cut off when this one was written.
        self.broken.clear();
        self.tail = Some(found);
        Ok(())
    }

    /// From the last whole batch, or what is left of those behind it, to this segment.
    fn segments_up_to(&self, last: u64) -> RangeInclusive<u64> {
        let broken = self.broken.iter().map(|found| found.segment);
        let first = broken
            .chain(self.tail.as_ref().map(|tail| tail.segment))
            .min();
        first.unwrap_or(last).min(last)..=last
    }

    /// Batches from `first` up to `next` are damaged or missing.
    fn lost(&mut self, next: &Found, first: u64) -> Result<(), Error> {
        let segments = self.segments_up_to(next.segment);
        self.apply_tail()?;
        let mut broken = std::mem::take(&mut self.broken);
        broken.retain(|found| (first..next.seq).contains(&found.seq));
        // A gap of any length takes a bounded time: of what is further back nothing is known.
        for seq in first.max(next.seq.saturating_sub(SCARS_MAX as u64))..next.seq {
            let at = broken.iter().position(|found| found.seq == seq);
            let found = at.map(|at| broken.swap_remove(at));
            let told_by = if seq + 1 == next.seq {
                Some(next)
            } else {
                broken.iter().find(|found| found.seq == seq + 1)
            };
            let directory = told_by.and_then(directory_in);
            self.told.clone_from(&directory);
            let segment = found.as_ref().map_or(next.segment, |found| found.segment);
            let damage = NewDamage {
                segments: segments.clone(),
                unknown: directory.as_ref().is_none_or(|directory| directory.more),
            };
            self.new_damage.insert(seq, damage);
            self.salvage(found, directory, segment)?;
        }
        Ok(())
    }

    /// Applies what is left of a batch that was synced once, and notes what groups lost.
    fn salvage(
        &mut self,
        found: Option<Found>,
        directory: Option<Directory>,
        segment: u64,
    ) -> Result<(), Error> {
        let mut salvaged = Directory::default();
        if let Some(found) = &found {
            self.apply(found)?;
            for record in &found.records {
                salvaged.add(record.header);
            }
        }
        for (group, share) in directory.unwrap_or_default().groups {
            let left = salvaged.groups.get(&group);
            if left.is_some_and(|left| left.records == share.records) {
                continue;
            }
            if share.has(Kind::Append) {
                self.index.expect_entries(group, share.first, share.last);
            }
            let vote = share.has(Kind::Vote);
            let harmless = [Kind::Append, Kind::Vote, Kind::Purge, Kind::Committed];
            let unknown = share.has_others(&harmless);
            if vote || unknown || self.index.is_losing(group) {
                self.index.damage(group, vote, unknown, segment);
            }
        }
        Ok(())
    }

    fn apply_tail(&mut self) -> Result<(), Error> {
        match self.tail.take() {
            Some(tail) => self.apply(&tail),
            None => Ok(()),
        }
    }

    /// Applies a batch.
    fn apply(&mut self, found: &Found) -> Result<(), Error> {
        self.first_seq.entry(found.segment).or_insert(found.seq);
        self.next_seq = found.seq + 1;
        for record in &found.records {
            if let (Kind::Scar, Some(scar)) = (record.header.kind, Scar::parse(record)) {
                self.note_scar(scar, found.segment);
                continue;
            }
            let place = Place::Written {
                segment: found.segment,
                offset: found.offset + record.position,
            };
            self.index.replay(record, place, found.segment);
        }
        self.index.evict();
        Ok(())
    }

    /// Damage that was reported; all groups of that time are concerned if it is unknown.
    fn note_scar(&mut self, scar: Scar, segment: u64) {
        self.new_damage.remove(&scar.seq);
        if scar.unknown {
            for group in self.index.groups() {
                self.index.damage(group, true, true, segment);
            }
        }
    }

    /// Nothing follows: decides what the broken end is.
    fn finish(&mut self, report: &mut RecoveryReport) -> Result<(), Error> {
        report.batches = self.batches;
        let tail = self.tail.as_ref().map(|tail| tail.seq);
        let after = tail.map_or(self.oldest, |tail| tail + 1);
        self.next_seq = after;
        // The last batch is applied later; what it remembers is known now.
        for record in self.tail.iter().flat_map(|tail| &tail.records) {
            let is_scar = record.header.kind == Kind::Scar;
            if let Some(scar) = is_scar.then(|| Scar::parse(record)).flatten() {
                self.new_damage.remove(&scar.seq);
            }
        }
        let mut broken = std::mem::take(&mut self.broken);
        broken.retain(|found| found.seq >= after);
        broken.sort_by_key(|found| found.seq);
        let Some(last) = broken.pop() else {
            report.damage_unknown = self.new_damage.values().any(|new| new.unknown);
            return Ok(());
        };
        self.was_cut = true;
        if last.seq > after {
            // Something of a later batch proves that those before it were whole once.
            self.broken = broken;
            self.lost(&last, after)?;
            self.next_seq = last.seq;
        }
        if last.is_torn {
            report.torn = true;
        } else {
            let unknown = NewDamage::unknown(last.segment..=last.segment);
            self.new_damage.insert(last.seq, unknown);
        }
        report.damage_unknown = self.new_damage.values().any(|new| new.unknown);
        Ok(())
    }

    /// Holds the end that was found against the one that was noted.
    fn compare(&mut self, noted: Tail, last: u64, is_short: bool, report: &mut RecoveryReport) {
        if noted.seq < self.next_seq && !is_short {
            return;
        }
        self.was_cut = true;
        let seq = noted.seq.max(self.next_seq);
        let unknown = NewDamage::unknown(last..=last);
        self.new_damage.entry(seq).or_insert(unknown);
        report.torn = false;
        report.damage_unknown = true;
    }

    /// What to remember of new damage.
    fn scars(&self) -> Vec<Scar> {
        let mut scars: Vec<Scar> = (self.new_damage.iter())
            .map(|(seq, new)| Scar {
                seq: *seq,
                unknown: new.unknown,
            })
            .collect();
        if scars.len() > SCARS_MAX {
            scars.drain(..scars.len() - SCARS_MAX);
            scars[0].unknown = true;
        }
        scars
    }
}

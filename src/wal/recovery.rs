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
//!        n says that the log was closed, and is noted      nothing else is looked at, if what
//!                                                          counts is in its segment
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
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::vfs::{self, File, Vfs};
use crate::wal::batch::{self, Directory, Scar};
use crate::wal::chain::Chain;
use crate::wal::error::Error;
use crate::wal::index::Index;
use crate::wal::page;
use crate::wal::purge::Reclaim;
use crate::wal::record::{BatchHash, Encoder, Head, Kind};
use crate::wal::scan::{Found, Scan};
use crate::wal::segment::{Name, Pool, Segment};
use crate::wal::tail::{self, End};
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
    for name in &names {
        if name.starts_with('.') && name.ends_with(".tmp") {
            vfs.remove(&dir.join(name))?; // a note that was not finished
        }
    }
    let names: Vec<Name> = names.iter().filter_map(|name| Name::parse(name)).collect();
    let next = names.iter().map(|name| name.number()).max().unwrap_or(0) + 1;
    let mut free = Vec::new();
    let mut files = Files::new();
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
    let end = noted.and_then(|noted| noted.end);
    let closed = end.map(|end| closed(&files, end, options)).transpose()?;
    let (mut chain, used, noted) = match closed.flatten() {
        Some((chain, used)) => (chain, used, None),
        None => {
            let (chain, used) = search(&files, options)?;
            (chain, used, noted)
        }
    };
    let mut segments = BTreeMap::new();
    let mut unused = Vec::new();
    for (number, (path, file)) in files {
        if used.contains(&number) {
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

/// The files called segments, with their paths.
type Files = BTreeMap<u64, (PathBuf, Arc<dyn File>)>;

/// The batches of a log that was closed where its note says, and the segment that has them:
/// nothing of the others is read. `None` if more than one counts, or it is not as noted.
fn closed(
    files: &Files,
    end: End,
    options: &Options,
) -> Result<Option<(Chain, BTreeSet<u64>)>, Error> {
    let Some((path, file)) = files.get(&end.segment) else {
        return Ok(None);
    };
    let scan = || Scan::new(end.segment, &**file, path, 0);
    let last = scan()?.whole_batch_at(end.offset)?;
    let is_end = |found: &Found| found.seq == end.seq && is_closing(found);
    let head = last.filter(is_end).and_then(|found| found.head);
    let Some(oldest) = head.map(|head| head.oldest) else {
        return Ok(None);
    };
    let mut chain = Chain::new(oldest, options.cache_bytes_max);
    let mut scan = scan()?.knowing(u64::MAX, oldest);
    let mut is_first = true;
    while let Some(found) = scan.next_batch()? {
        if !found.is_whole || is_first && found.seq > oldest {
            return Ok(None);
        }
        is_first = false;
        let is_last = found.seq >= end.seq;
        if found.seq >= oldest {
            chain.add(found, path)?;
        }
        if is_last {
            let is_whole = chain.new_damage.is_empty() && chain.last_seq() == end.seq;
            return Ok(is_whole.then(|| (chain, BTreeSet::from([end.segment]))));
        }
    }
    Ok(None)
}

/// All batches that count, and the segments that have any.
fn search(files: &Files, options: &Options) -> Result<(Chain, BTreeSet<u64>), Error> {
    let mut blank_from = BTreeMap::new();
    let mut oldest = 1;
    for (number, (path, file)) in files.iter().rev() {
        let skimmed = Scan::new(*number, &**file, path, 0)?.skim()?;
        blank_from.insert(*number, skimmed.blank_from);
        if let Some(claimed) = skimmed.oldest {
            oldest = claimed; // the last segment knows
            break;
        }
    }
    let mut chain = Chain::new(oldest, options.cache_bytes_max);
    let mut used = BTreeSet::new();
    for (number, (path, file)) in files {
        let blank_from = blank_from.get(number).copied().unwrap_or(u64::MAX);
        let scan = Scan::new(*number, &**file, path, chain.last_seq())?;
        let mut scan = scan.knowing(blank_from, oldest);
        while let Some(found) = scan.next_batch()? {
            if found.seq >= oldest {
                used.insert(*number);
                chain.add(found, path)?;
            }
        }
    }
    Ok((chain, used))
}

/// Whether a batch says that the log was closed.
fn is_closing(found: &Found) -> bool {
    let kind = found.records.last().map(|record| record.header.kind);
    kind == Some(Kind::Closed)
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
    let is_clean = chain.new_damage.is_empty() && !chain.was_cut;
    let mut position = Position {
        segment: None,
        offset: 0,
        begin: 0,
        seq: chain.next_seq,
        previous: BatchHash::default(),
        directory: Directory::default(),
        is_closed: false,
    };
    match tail {
        Some(tail) if is_clean && is_closing(&tail) => {
            let number = tail.segment;
            let file = segments.get(&number).cloned();
            position.segment = file.map(|file| Segment { number, file });
            position.offset = tail.end();
            position.begin = tail.offset;
            position.seq = tail.seq + 1;
            position.previous = tail.hash;
            position.is_closed = true;
            chain.apply(&tail)?;
            // Something may be written behind it from now on.
            pool.note_tail(tail.seq - 1, position.segment.as_ref())?;
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
    position.begin = tail.offset;
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
        let seq = self.tail.as_ref().map_or(position.seq, |tail| tail.seq);
        encoder.start(page::salt(segment.number), seq);
        if self.tail.is_none() {
            let told = chain.told.take();
            told.unwrap_or_default().push(encoder);
        }
        let mut directory = Directory::default();
        let mut found = self.tail.unwrap_or(Found {
            segment: 0,
            offset: 0,
            seq,
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
        let (bytes, hash) = encoder.seal(head);
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

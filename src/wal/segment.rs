//! The files of the log: made ahead of need, filled with zeros, and used again.
//!
//! Separate because a sync is cheap only when it changes no metadata: the blocks of a
//! segment are allocated before its first batch, and written while the log has nothing else
//! to do.
//!
//! ```text
//!   00…12.new ──zeros──► 00…12.segment ──in use──► 00…12.free ──► 00…19.segment ──► …
//! ```
//!
//! Invariants: a number is never used twice, so what is left of an earlier life is under
//! another salt; a segment's name is on the disk before anything is written to it; making one
//! is done in small steps between batches; a file that somebody else has a name for is never
//! used again. Absent: what is in them.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::vfs::{self, File, Vfs};
use crate::wal::error::Error;
use crate::wal::page::PAGE;
use crate::wal::tail::{self, End, Tail};

/// Segments kept for later use; more are removed.
const FREE_MAX: usize = 4;
/// The zeros written in one step.
const STEP_BYTES: u64 = 1 << 20;
/// Allocated anew for each step they would be memory that nobody needs again.
static ZEROS: [u8; STEP_BYTES as usize] = [0; STEP_BYTES as usize];

/// A file of the log.
#[derive(Clone)]
pub struct Segment {
    /// Its number; the later, the higher.
    pub number: u64,
    /// The file.
    pub file: Arc<dyn File>,
}

/// What a name in the log's directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// May hold batches.
    Segment(u64),
    /// Holds nothing that counts.
    Free(u64),
    /// Not yet whole.
    New(u64),
}

impl Name {
    /// What this file name stands for.
    pub fn parse(name: &str) -> Option<Name> {
        let (number, kind) = name.split_once('.')?;
        let number = number.parse().ok().filter(|_| number.len() == 20)?;
        match kind {
            "segment" => Some(Name::Segment(number)),
            "free" => Some(Name::Free(number)),
            "new" => Some(Name::New(number)),
            _ => None,
        }
    }

    /// The number in it.
    pub const fn number(self) -> u64 {
        match self {
            Name::Segment(number) | Name::Free(number) | Name::New(number) => number,
        }
    }

    /// The file of that name.
    pub fn path(self, dir: &Path) -> PathBuf {
        let (number, kind) = match self {
            Name::Segment(number) => (number, "segment"),
            Name::Free(number) => (number, "free"),
            Name::New(number) => (number, "new"),
        };
        dir.join(format!("{number:020}.{kind}"))
    }
}

/// What came of a step.
#[derive(Debug)]
pub enum Step {
    /// More steps are needed.
    Going,
    /// Another segment is ready.
    Ready,
}

/// Makes segments and takes them back.
pub struct Pool {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    bytes: u64,
    next: u64,
    free: VecDeque<u64>,
    filling: Option<Filling>,
    /// Held while a segment gets another name.
    naming: Arc<Mutex<()>>,
    /// Whole, named and empty, in the order of use.
    pub ready: VecDeque<Segment>,
}

struct Filling {
    number: u64,
    file: Arc<dyn File>,
    done: u64,
}

impl Pool {
    /// A pool that makes segments of this size, from number `next` on. `free` are the
    /// numbers of files that hold nothing.
    pub fn new(vfs: Arc<dyn Vfs>, dir: PathBuf, bytes: u64, next: u64, free: Vec<u64>) -> Pool {
        Pool {
            vfs,
            dir,
            bytes,
            next,
            free: free.into(),
            filling: None,
            naming: Arc::default(),
            ready: VecDeque::new(),
        }
    }

    /// Does a little towards the next ready segment.
    ///
    /// # Errors
    /// [`Error::NoSpace`] when there is no room for another one; nothing is left behind
    /// then. Anything else means that the disk fails.
    pub fn step(&mut self) -> Result<Step, Error> {
        if self.filling.is_none() {
            if self.reuse()? {
                return Ok(Step::Ready);
            }
            self.begin()?;
        }
        let Some(filling) = &mut self.filling else {
            return Ok(Step::Going);
        };
        let zeros = &ZEROS[..STEP_BYTES.min(self.bytes - filling.done) as usize];
        if let Err(err) = filling.file.write_at(filling.done, zeros) {
            return Err(self.give_up(err));
        }
        filling.done += zeros.len() as u64;
        if let Err(err) = filling.file.sync() {
            return Err(self.give_up(err));
        }
        if filling.done < self.bytes {
            return Ok(Step::Going);
        }
        self.enter_filled()?;
        Ok(Step::Ready)
    }

    /// A segment is being filled.
    pub fn is_filling(&self) -> bool {
        self.filling.is_some()
    }

    /// Makes the next segment ready at once. What of it was not filled is allocated and reads
    /// as zeros: writing there costs more, once, than it would have.
    ///
    /// # Errors
    /// As [`Pool::step`].
    pub fn hurry(&mut self) -> Result<(), Error> {
        if self.filling.is_none() {
            if self.reuse()? {
                return Ok(());
            }
            self.begin()?;
        }
        if let Some(filling) = &self.filling
            && let Err(err) = filling.file.sync()
        {
            return Err(self.give_up(err));
        }
        self.enter_filled()
    }

    fn enter_filled(&mut self) -> Result<(), Error> {
        match self.filling.take() {
            Some(filling) => self.enter(Name::New(filling.number)),
            None => Ok(()),
        }
    }

    /// A segment holds nothing that counts any more.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn give_back(&mut self, number: u64) -> Result<(), Error> {
        let from = Name::Segment(number).path(&self.dir);
        let naming = Arc::clone(&self.naming);
        let _turn = naming.lock();
        if self.free.len() >= FREE_MAX || self.open(&from)?.names()? > 1 {
            self.vfs.remove(&from)?;
            return Ok(());
        }
        self.vfs
            .rename(&from, &Name::Free(number).path(&self.dir))?;
        self.free.push_back(number);
        Ok(())
    }

    /// Uses a free file again, if there is one of the right size.
    fn reuse(&mut self) -> Result<bool, Error> {
        while let Some(number) = self.free.pop_front() {
            let path = Name::Free(number).path(&self.dir);
            let file = self.open(&path)?;
            if file.len()? == self.bytes && file.names()? == 1 {
                self.enter(Name::Free(number))?;
                return Ok(true);
            }
            self.vfs.remove(&path)?;
        }
        Ok(false)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn File>, Error> {
        Ok(self.vfs.open(path, vfs::MODE_PRIVATE)?)
    }

    /// What lets others give a segment a name of theirs.
    pub fn linker(&self) -> Linker {
        Linker {
            vfs: Arc::clone(&self.vfs),
            dir: self.dir.clone(),
            naming: Arc::clone(&self.naming),
        }
    }

    fn begin(&mut self) -> Result<(), Error> {
        let number = self.next;
        self.next += 1;
        let path = Name::New(number).path(&self.dir);
        let file = self.vfs.open_direct(&path, vfs::MODE_PRIVATE);
        let file = file.map_err(no_space)?;
        let allocated = file.allocate(self.bytes);
        self.filling = Some(Filling {
            number,
            file,
            done: 0,
        });
        allocated.map_err(|err| self.give_up(err))
    }

    /// Removes what was begun.
    fn give_up(&mut self, err: vfs::Error) -> Error {
        let err = no_space(err);
        if let (Error::NoSpace, Some(filling)) = (&err, self.filling.take()) {
            // What stays behind is removed at the next start.
            let _ = self.vfs.remove(&Name::New(filling.number).path(&self.dir));
        }
        err
    }

    /// Gives a whole file the next number and makes that durable.
    fn enter(&mut self, from: Name) -> Result<(), Error> {
        let number = self.next;
        self.next += 1;
        let path = Name::Segment(number).path(&self.dir);
        self.vfs.rename(&from.path(&self.dir), &path)?;
        self.vfs.sync_dir(&self.dir)?;
        let file = self.vfs.open_direct(&path, vfs::MODE_PRIVATE)?;
        self.ready.push_back(Segment { number, file });
        Ok(())
    }

    /// Notes that the log has come to this batch, and in which segment it is, if that is
    /// known. Segments of a start with other options may have other sizes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn note_tail(&self, seq: u64, segment: Option<&Segment>) -> Result<(), Error> {
        self.note(seq, segment, None)
    }

    /// As [`Pool::note_tail`], of a log that was closed: this is its last batch.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn note_end(&self, seq: u64, segment: &Segment, offset: u64) -> Result<(), Error> {
        let end = End {
            segment: segment.number,
            offset,
            seq,
        };
        self.note(seq - 1, Some(segment), Some(end))
    }

    fn note(&self, seq: u64, segment: Option<&Segment>, end: Option<End>) -> Result<(), Error> {
        let len = segment.map(|segment| segment.file.len()).transpose()?;
        let tail = Tail {
            seq,
            segment_bytes: len.unwrap_or(0),
            end,
        };
        tail::write(&*self.vfs, &self.dir, tail)
    }

    /// The bytes of a segment.
    pub const fn segment_bytes(&self) -> u64 {
        self.bytes
    }
}

/// Gives segments in use a second name: the file stays as it is until that is removed,
/// whatever becomes of the log.
pub struct Linker {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    naming: Arc<Mutex<()>>,
}

impl Linker {
    /// Names a segment. Durable with the directory of the name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the log has let go of it; [`ErrorKind::AlreadyExists`];
    /// whatever keeps a disk from giving a file two names.
    pub fn link(&self, number: u64, to: &Path) -> Result<(), vfs::Error> {
        let _turn = self.naming.lock();
        self.vfs.link(&Name::Segment(number).path(&self.dir), to)
    }
}

/// Whole pages, and at least four.
pub fn usable_bytes(segment_bytes: u64) -> u64 {
    let page = PAGE as u64;
    (segment_bytes / page * page).max(4 * page)
}

fn no_space(err: vfs::Error) -> Error {
    match err.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::NoSpace,
        _ => err.into(),
    }
}

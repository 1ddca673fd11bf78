//! A disk in memory that loses power, rots, fails and fills up when a test says so.
//!
//! ```text
//!   names:  live ──sync_dir──► durable        what a running process sees is `live`;
//!   files:  live ──sync──────► durable        a power cut leaves `durable` and, of what was
//!                                             not synced, what a `Survival` lets through
//! ```
//!
//! Separate because a kill of a process keeps the page cache and so proves nothing about
//! syncs: here every call that changes something is counted and the power can fail before
//! or after each of them.
//!
//! Invariants: after a cut every call fails; a disk found after a cut shares nothing with
//! the one before; what a seed decides is decided again in the same way; pages of zeros take
//! no memory; copies of a disk share what neither changed since. Simplified: directories at
//! the top are mount points, durable at once; a rename is durable with the directory it leads
//! to, the old name's end too; the bytes of a file count by its length.

mod change;
mod file;
#[cfg(test)]
pub mod recording;
mod sparse;
mod survival;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::vfs::{AppendFile, Error, File, Lock, Space, Vfs};
use change::{Change, apply_dir, apply_name};
use file::{Appender, Handle, Locked};
use sparse::Sparse;
pub use survival::Survival;
use survival::survivors;

const PAGE: usize = 4096;
const SECTOR: usize = 512;

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Reading at a place.
    Read,
    /// Writing.
    Write,
    /// Syncing a file: what was to be synced is lost, and later syncs succeed.
    Sync,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct SimVfs {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    names: Arc<Names>,
    durable_names: Arc<Names>,
    dirs: Arc<BTreeSet<PathBuf>>,
    durable_dirs: Arc<BTreeSet<PathBuf>>,
    files: BTreeMap<u64, Content>,
    /// Unsynced changes of names and files, in order.
    unsynced: Vec<Change>,
    next_id: u64,
    /// Calls that change something.
    calls: u64,
    /// The power fails at this call: before it or after it.
    cut: Option<(u64, bool)>,
    is_off: bool,
    /// What fails at which call of its kind.
    faults: BTreeSet<(Fault, u64)>,
    counts: BTreeMap<Fault, u64>,
    /// All files together may have so many bytes.
    bytes_max: Option<u64>,
    locked: BTreeSet<PathBuf>,
    observer: Option<Observer>,
}

type Names = BTreeMap<PathBuf, u64>;

/// Gets a copy of the disk as it is before each call that changes something.
pub type Observer = Arc<dyn Fn(SimVfs) + Send + Sync>;

/// A file's bytes: as they are seen, and as they are on the disk.
#[derive(Clone, Default)]
struct Content {
    live: Arc<Sparse>,
    durable: Arc<Sparse>,
}

impl Disk {
    fn counts(&mut self, operation: &'static str, path: &Path) -> Result<bool, Error> {
        self.check_power(operation, path)?;
        if let Some(observer) = self.observer.clone() {
            observer(self.copy());
        }
        self.calls += 1;
        match self.cut {
            Some((call, is_after)) if call == self.calls => {
                self.is_off = true;
                if !is_after {
                    self.check_power(operation, path)?;
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn copy(&self) -> SimVfs {
        let copy = Disk {
            names: Arc::clone(&self.names),
            durable_names: Arc::clone(&self.durable_names),
            dirs: Arc::clone(&self.dirs),
            durable_dirs: Arc::clone(&self.durable_dirs),
            files: self.files.clone(),
            unsynced: self.unsynced.clone(),
            next_id: self.next_id,
            ..Disk::default()
        };
        SimVfs {
            disk: Arc::new(Mutex::new(copy)),
        }
    }

    fn check_power(&self, operation: &'static str, path: &Path) -> Result<(), Error> {
        if self.is_off {
            return Err(Error::new(operation, path, io::Error::other("power cut")));
        }
        Ok(())
    }

    /// The answer of a call that did its work: none if the power failed just behind it.
    fn answer(&self, operation: &'static str, path: &Path, is_cut: bool) -> Result<(), Error> {
        if is_cut {
            self.check_power(operation, path)?;
        }
        Ok(())
    }

    fn fault(&mut self, fault: Fault) -> Result<(), io::Error> {
        let count = self.counts.entry(fault).or_default();
        *count += 1;
        if self.faults.remove(&(fault, *count)) {
            return Err(io::Error::from_raw_os_error(5)); // EIO
        }
        Ok(())
    }

    fn used(&self) -> u64 {
        let ids: BTreeSet<&u64> = self.names.values().collect();
        let lens = ids.into_iter().filter_map(|id| self.files.get(id));
        lens.map(|content| content.live.len).sum()
    }

    /// Room for a file to grow to this length.
    fn room(&self, id: u64, len: u64) -> Result<(), io::Error> {
        let Some(bytes_max) = self.bytes_max else {
            return Ok(());
        };
        let old = self.files.get(&id).map_or(0, |content| content.live.len);
        if len > old && self.used() + len - old > bytes_max {
            return Err(io::Error::from_raw_os_error(28)); // ENOSPC
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        if let Some(content) = change.file().and_then(|id| self.files.get_mut(&id)) {
            Arc::make_mut(&mut content.live).apply(&change);
        }
        apply_name(&mut self.names, &change);
        apply_dir(&mut self.dirs, &change);
        self.unsynced.push(change);
    }

    fn sync(&mut self, chosen: impl Fn(&Change) -> bool) {
        let changes = std::mem::take(&mut self.unsynced);
        for change in changes {
            if chosen(&change) {
                self.persist(&change);
            } else {
                self.unsynced.push(change);
            }
        }
    }

    fn persist(&mut self, change: &Change) {
        if let Some(content) = change.file().and_then(|id| self.files.get_mut(&id)) {
            Arc::make_mut(&mut content.durable).apply(change);
        }
        apply_name(&mut self.durable_names, change);
        apply_dir(&mut self.durable_dirs, change);
    }

    /// Forgets what lies in a directory whose own name was lost.
    fn drop_unreachable(&mut self) {
        let dirs = Arc::clone(&self.durable_dirs);
        let is_reachable = |path: &Path| {
            let mut above = path.ancestors().skip(1);
            above.all(|dir| dir.parent().is_none() || dirs.contains(dir))
        };
        if !dirs.iter().all(|dir| is_reachable(dir)) {
            Arc::make_mut(&mut self.durable_dirs).retain(|dir| is_reachable(dir));
        }
        if !self.durable_names.keys().all(|path| is_reachable(path)) {
            Arc::make_mut(&mut self.durable_names).retain(|path, _| is_reachable(path));
        }
    }

    fn create(&mut self, path: &Path) -> u64 {
        if let Some(id) = self.names.get(path) {
            return *id;
        }
        self.next_id += 1;
        let id = self.next_id;
        self.files.insert(id, Content::default());
        let path = path.to_owned();
        self.change(Change::Name { path, id });
        id
    }

    fn parent_exists(&self, path: &Path) -> bool {
        path.parent().is_none_or(|dir| self.is_dir(dir))
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || path == Path::new("/") || self.dirs.contains(path)
    }
}

/// Nothing stands above these: they are there after every power cut.
fn is_top(path: &Path) -> bool {
    path.parent()
        .is_none_or(|above| above.as_os_str().is_empty() || above == Path::new("/"))
}

impl SimVfs {
    /// An empty disk without limits.
    pub fn new() -> SimVfs {
        SimVfs::default()
    }

    /// How many calls have changed something so far.
    pub fn calls(&self) -> u64 {
        self.disk.lock().calls
    }

    /// The power fails at this call, before it has done anything.
    pub fn cut_before(&self, call: u64) {
        self.disk.lock().cut = Some((call, false));
    }

    /// The power fails at this call, when it has done its work and before it says so.
    pub fn cut_after(&self, call: u64) {
        self.disk.lock().cut = Some((call, true));
    }

    /// The power fails now.
    pub fn cut(&self) {
        self.disk.lock().is_off = true;
    }

    /// From now on somebody watches: every state that a power cut can find is shown.
    pub fn observe(&self, observer: Observer) {
        self.disk.lock().observer = Some(observer);
    }

    /// Another disk in the same state, with nothing set to fail.
    pub fn copy(&self) -> SimVfs {
        self.disk.lock().copy()
    }

    /// The disk as it is found after a power cut now; without limits and faults.
    pub fn after_crash(&self, survival: Survival) -> SimVfs {
        let disk = self.disk.lock();
        let mut found = Disk {
            durable_names: Arc::clone(&disk.durable_names),
            durable_dirs: Arc::clone(&disk.durable_dirs),
            files: disk.files.clone(),
            next_id: disk.next_id,
            ..Disk::default()
        };
        for change in survivors(&disk.unsynced, survival) {
            found.persist(&change);
        }
        found.drop_unreachable();
        found.dirs = Arc::clone(&found.durable_dirs);
        found.names = Arc::clone(&found.durable_names);
        let named: BTreeSet<u64> = found.names.values().copied().collect();
        found.files.retain(|id, _| named.contains(id));
        for content in found.files.values_mut() {
            content.live = Arc::clone(&content.durable);
        }
        SimVfs {
            disk: Arc::new(Mutex::new(found)),
        }
    }

    /// The `count`-th call of this kind fails, counted from now.
    pub fn fail(&self, fault: Fault, count: u64) {
        let mut disk = self.disk.lock();
        let now = disk.counts.get(&fault).copied().unwrap_or_default();
        disk.faults.insert((fault, now + count));
    }

    /// How often files were read so far, at whatever place.
    pub fn reads(&self) -> u64 {
        let disk = self.disk.lock();
        disk.counts.get(&Fault::Read).copied().unwrap_or_default()
    }

    /// From now on all files together may have so many bytes.
    pub fn limit(&self, bytes_max: Option<u64>) {
        self.disk.lock().bytes_max = bytes_max;
    }

    /// The bytes of all files together.
    pub fn used(&self) -> u64 {
        self.disk.lock().used()
    }

    /// Flips a bit of a file, as rot does.
    pub fn flip(&self, path: &Path, offset: u64, bit: u32) {
        let mut disk = self.disk.lock();
        let Some(id) = disk.names.get(path).copied() else {
            return;
        };
        if let Some(content) = disk.files.get_mut(&id) {
            for sparse in [&mut content.live, &mut content.durable] {
                let sparse = Arc::make_mut(sparse);
                let mut byte = [0];
                if sparse.read(offset, &mut byte) == 1 {
                    sparse.write(offset, &[byte[0] ^ (1 << (bit % 8))]);
                }
            }
        }
    }

    /// Which parts of a file are not zero: the offsets of its pages.
    pub fn pages(&self, path: &Path) -> Vec<u64> {
        let disk = self.disk.lock();
        let content = disk.names.get(path).and_then(|id| disk.files.get(id));
        let pages = content.map(|content| content.live.pages.keys());
        let pages = pages.into_iter().flatten();
        pages.map(|number| number * PAGE as u64).collect()
    }

    fn handle(&self, id: u64, path: &Path) -> Handle {
        Handle {
            vfs: self.clone(),
            id,
            path: path.to_owned(),
        }
    }
}

fn not_found(operation: &'static str, path: &Path) -> Error {
    Error::new(operation, path, io::Error::from_raw_os_error(2)) // ENOENT
}

impl Vfs for SimVfs {
    fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, Error> {
        let disk = self.disk.lock();
        disk.check_power("read", path)?;
        let content = disk.names.get(path).and_then(|id| disk.files.get(id));
        let content = content.ok_or_else(|| not_found("open", path))?;
        if content.live.len > bytes_max {
            let cause = format!("larger than {bytes_max} bytes");
            let cause = io::Error::new(ErrorKind::FileTooLarge, cause);
            return Err(Error::new("read", path, cause));
        }
        let mut bytes = vec![0; content.live.len as usize];
        content.live.read(0, &mut bytes);
        Ok(bytes)
    }

    fn open_append(&self, path: &Path, mode: u32) -> Result<Box<dyn AppendFile>, Error> {
        let file = self.open(path, mode)?;
        let len = file.len()?;
        Ok(Box::new(Appender { file, len }))
    }

    fn write_atomically(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.tmp"));
        let written = (|| {
            let file = self.open(&temporary, mode)?;
            file.set_len(0)?;
            file.write_at(0, content)?;
            file.sync()?;
            self.rename(&temporary, path)
        })();
        written.map_err(|err| {
            // The first error is the one that matters.
            let _ = self.remove(&temporary);
            Error::new("write", path, err.into_cause())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        let mut disk = self.disk.lock();
        let is_cut = disk.counts("rename", from)?;
        let id = disk.names.get(from).copied();
        let id = id.ok_or_else(|| not_found("rename", from))?;
        if disk.is_dir(to) || !disk.parent_exists(to) {
            return Err(not_found("rename", from));
        }
        disk.change(Change::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
            id,
        });
        disk.answer("rename", from, is_cut)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<(), Error> {
        let mut disk = self.disk.lock();
        let is_cut = disk.counts("link", to)?;
        let id = disk.names.get(from).copied();
        let id = id.ok_or_else(|| not_found("link", to))?;
        if !disk.parent_exists(to) {
            return Err(not_found("link", to));
        }
        if disk.names.contains_key(to) || disk.is_dir(to) {
            let cause = io::Error::from_raw_os_error(17); // EEXIST
            return Err(Error::new("link", to, cause));
        }
        let path = to.to_owned();
        disk.change(Change::Name { path, id });
        disk.answer("link", to, is_cut)
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        let mut disk = self.disk.lock();
        let is_cut = disk.counts("remove", path)?;
        if !disk.names.contains_key(path) {
            return Err(not_found("remove", path));
        }
        let name = path.to_owned();
        disk.change(Change::Unname { path: name });
        disk.answer("remove", path, is_cut)
    }

    fn remove_dir(&self, path: &Path) -> Result<(), Error> {
        let mut disk = self.disk.lock();
        let is_cut = disk.counts("rmdir", path)?;
        if disk.dirs.contains(path) {
            let path = path.to_owned();
            disk.change(Change::Undir { path });
        }
        disk.answer("rmdir", path, is_cut)
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, Error> {
        let disk = self.disk.lock();
        disk.check_power("list", path)?;
        if !disk.is_dir(path) {
            return Err(not_found("list", path));
        }
        let all = disk.names.keys().chain(&*disk.dirs);
        let inside = all.filter(|name| name.parent() == Some(path));
        let names = inside.filter_map(|name| Some(name.file_name()?.to_str()?.to_owned()));
        let names: BTreeSet<String> = names.collect();
        Ok(names.into_iter().collect())
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), Error> {
        let mut disk = self.disk.lock();
        let is_cut = disk.counts("mkdir", path)?;
        for dir in path.ancestors() {
            if disk.names.contains_key(dir) {
                let cause = io::Error::from_raw_os_error(20); // ENOTDIR
                return Err(Error::new("mkdir", path, cause));
            }
        }
        let missing = |dir: &&Path| dir.parent().is_some() && !disk.dirs.contains(*dir);
        let missing: Vec<PathBuf> = (path.ancestors().filter(missing))
            .map(Path::to_owned)
            .collect();
        for path in missing.into_iter().rev() {
            let change = Change::Dir { path };
            if let Change::Dir { path } = &change
                && is_top(path)
            {
                apply_dir(&mut disk.durable_dirs, &change);
                apply_dir(&mut disk.dirs, &change);
            } else {
                disk.change(change);
            }
        }
        disk.answer("mkdir", path, is_cut)
    }

    fn open_direct(&self, path: &Path, mode: u32) -> Result<Arc<dyn File>, Error> {
        self.open(path, mode)
    }

    fn open(&self, path: &Path, _mode: u32) -> Result<Arc<dyn File>, Error> {
        let mut disk = self.disk.lock();
        if let Some(id) = disk.names.get(path).copied() {
            disk.check_power("open", path)?;
            return Ok(Arc::new(self.handle(id, path)));
        }
        let is_cut = disk.counts("open", path)?;
        if disk.is_dir(path) || !disk.parent_exists(path) {
            return Err(not_found("open", path));
        }
        let id = disk.create(path);
        disk.answer("open", path, is_cut)?;
        Ok(Arc::new(self.handle(id, path)))
    }

    fn sync_dir(&self, path: &Path) -> Result<(), Error> {
        let mut disk = self.disk.lock();
        let is_cut = disk.counts("sync", path)?;
        if !disk.is_dir(path) {
            return Err(not_found("sync", path));
        }
        disk.sync(|change| change.is_in(path));
        disk.answer("sync", path, is_cut)
    }

    fn space(&self, path: &Path) -> Result<Space, Error> {
        let disk = self.disk.lock();
        disk.check_power("statvfs", path)?;
        let total = disk.bytes_max.unwrap_or(1 << 40);
        Ok(Space {
            total,
            available: total.saturating_sub(disk.used()),
        })
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>, Error> {
        self.open(path, super::MODE_PRIVATE)?;
        let mut disk = self.disk.lock();
        if !disk.locked.insert(path.to_owned()) {
            let cause = io::Error::from_raw_os_error(11); // EWOULDBLOCK
            return Err(Error::new("lock", path, cause));
        }
        Ok(Box::new(Locked {
            vfs: self.clone(),
            path: path.to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests;

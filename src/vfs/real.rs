//! The files of the operating system.
//!
//! Invariants: a temporary file of [`Vfs::write_atomically`] stands beside its target
//! and is gone when the call returns; the new content is on the disk before the name
//! points at it.
#![allow(clippy::disallowed_methods, reason = "the one room that touches files")]

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{AppendFile, Error, File, Lock, MODE_PRIVATE, SYNC, Space, Vfs};

/// The files of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealVfs;

impl Vfs for RealVfs {
    fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, Error> {
        let file = fs::File::open(path).map_err(|cause| Error::new("open", path, cause))?;
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        // One more, so that the end is seen without growing.
        let mut content = Vec::with_capacity(len.min(bytes_max) as usize + 1);
        file.take(bytes_max.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|cause| Error::new("read", path, cause))?;
        if content.len() as u64 > bytes_max {
            let cause = format!("larger than {bytes_max} bytes");
            let cause = io::Error::new(io::ErrorKind::FileTooLarge, cause);
            return Err(Error::new("read", path, cause));
        }
        Ok(content)
    }

    fn open_append(&self, path: &Path, mode: u32) -> Result<Box<dyn AppendFile>, Error> {
        let open = |cause| Error::new("open", path, cause);
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(mode).open(path);
        let file = file.map_err(open)?;
        let len = file.metadata().map_err(open)?.len();
        let path = path.to_owned();
        Ok(Box::new(RealFile { file, path, len }))
    }

    fn write_atomically(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let write = |cause| Error::new("write", path, cause);
        let written = (|| {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(mode);
            let mut file = options.open(&temporary).map_err(write)?;
            file.write_all(content).map_err(write)?;
            let synced = file.sync_all();
            synced.map_err(|cause| Error::new(SYNC, path, cause))?;
            fs::rename(&temporary, path).map_err(write)
        })();
        written.inspect_err(|_| {
            // The first error is the one that matters; what is left may not even exist.
            let _ = fs::remove_file(&temporary);
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        fs::rename(from, to).map_err(|cause| Error::new("rename", from, cause))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<(), Error> {
        fs::hard_link(from, to).map_err(|cause| Error::new("link", to, cause))
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        fs::remove_file(path).map_err(|cause| Error::new("remove", path, cause))
    }

    fn remove_dir(&self, path: &Path) -> Result<(), Error> {
        fs::remove_dir(path).map_err(|cause| Error::new("rmdir", path, cause))
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, Error> {
        let list = |cause| Error::new("list", path, cause);
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(list)? {
            names.extend(entry.map_err(list)?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), Error> {
        fs::create_dir_all(path).map_err(|cause| Error::new("mkdir", path, cause))
    }

    fn open(&self, path: &Path, mode: u32) -> Result<Arc<dyn File>, Error> {
        Ok(Arc::new(open_random(path, mode, 0)?))
    }

    fn open_direct(&self, path: &Path, mode: u32) -> Result<Arc<dyn File>, Error> {
        let around = open_random(path, mode, 0)?;
        let flag = rustix::fs::OFlags::DIRECT.bits().cast_signed();
        Ok(match open_random(path, mode, flag) {
            Ok(direct) => Arc::new(DirectFile {
                around,
                direct: direct.file,
                page_aligned: Mutex::default(),
                is_refused: AtomicBool::new(false),
            }),
            // Not every file system has it.
            Err(_) => Arc::new(around),
        })
    }

    fn sync_dir(&self, path: &Path) -> Result<(), Error> {
        let dir = fs::File::open(path).map_err(|cause| Error::new("open", path, cause))?;
        let synced = dir.sync_all();
        synced.map_err(|cause| Error::new(SYNC, path, cause))
    }

    fn space(&self, path: &Path) -> Result<Space, Error> {
        let space =
            rustix::fs::statvfs(path).map_err(|cause| Error::new("statvfs", path, cause.into()))?;
        // Blocks that are kept for root, or for nobody, are no part of this disk.
        let used = space.f_blocks.saturating_sub(space.f_bfree);
        let blocks = used.saturating_add(space.f_bavail);
        Ok(Space {
            total: blocks.saturating_mul(space.f_frsize),
            available: space.f_bavail.saturating_mul(space.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>, Error> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let file = options.mode(MODE_PRIVATE).open(path);
        let file = file.map_err(|cause| Error::new("open", path, cause))?;
        let operation = rustix::fs::FlockOperation::NonBlockingLockExclusive;
        let locked = rustix::fs::flock(&file, operation);
        locked.map_err(|cause| Error::new("lock", path, cause.into()))?;
        Ok(Box::new(Locked(file)))
    }
}

/// Closing the file gives the lock back.
struct Locked(#[expect(dead_code, reason = "held for its lock")] fs::File);

impl Lock for Locked {}

fn open_random(path: &Path, mode: u32, flags: i32) -> Result<RandomFile, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.mode(mode).custom_flags(flags).open(path);
    let file = file.map_err(|cause| Error::new("open", path, cause))?;
    let path = path.to_owned();
    Ok(RandomFile { file, path })
}

/// A file read and written at any place.
struct RandomFile {
    file: fs::File,
    path: PathBuf,
}

impl RandomFile {
    fn error(&self, operation: &'static str) -> impl Fn(io::Error) -> Error {
        move |cause| Error::new(operation, &self.path, cause)
    }
}

impl File for RandomFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(self.error("read")(cause)),
            }
        }
        Ok(done)
    }

    fn will_read(&self, offset: u64, len: u64) {
        let advice = rustix::fs::Advice::WillNeed;
        // A hint: whoever reads finds out what is wrong.
        let _ = rustix::fs::fadvise(&self.file, offset, std::num::NonZeroU64::new(len), advice);
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all_at(bytes, offset);
        written.map_err(self.error("write"))
    }

    fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(self.error(SYNC))
    }

    fn len(&self) -> Result<u64, Error> {
        let metadata = self.file.metadata().map_err(self.error("stat"))?;
        Ok(metadata.len())
    }

    fn names(&self) -> Result<u64, Error> {
        let metadata = self.file.metadata().map_err(self.error("stat"))?;
        Ok(metadata.nlink())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.file.set_len(len).map_err(self.error("truncate"))
    }

    fn allocate(&self, len: u64) -> Result<(), Error> {
        let flags = rustix::fs::FallocateFlags::empty();
        let allocated = rustix::fs::fallocate(&self.file, flags, 0, len);
        allocated.map_err(|cause| self.error("allocate")(cause.into()))
    }
}

/// What direct writes begin at, and are a multiple of, in the file and in memory.
const DIRECT_BYTES: usize = 4096;
/// Written with one call.
const DIRECT_BYTES_MAX: usize = 1 << 20;

/// A file written past the system's memory, and read through it: both see the same bytes,
/// because a direct write drops from that memory what it replaces.
struct DirectFile {
    around: RandomFile,
    direct: fs::File,
    /// Where bytes are brought to a page's boundary; grows to what was written at once.
    page_aligned: Mutex<Vec<u8>>,
    /// The file system opened it so, but does not write so.
    is_refused: AtomicBool,
}

impl DirectFile {
    /// Writes whole pages; false if the file system does not do that.
    fn write_pages(&self, mut offset: u64, bytes: &[u8]) -> io::Result<bool> {
        if bytes.as_ptr().align_offset(DIRECT_BYTES) == 0 {
            return taken(self.direct.write_all_at(bytes, offset));
        }
        let mut memory = self.page_aligned.lock();
        for part in bytes.chunks(DIRECT_BYTES_MAX) {
            if memory.len() < part.len() + DIRECT_BYTES {
                *memory = vec![0; part.len() + DIRECT_BYTES];
            }
            let start = memory.as_ptr().align_offset(DIRECT_BYTES);
            let aligned = &mut memory[start..][..part.len()];
            aligned.copy_from_slice(part);
            if !taken(self.direct.write_all_at(aligned, offset))? {
                return Ok(false);
            }
            offset += part.len() as u64;
        }
        Ok(true)
    }
}

/// Whether a direct write was done, or refused because of being one.
fn taken(written: io::Result<()>) -> io::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::InvalidInput => Ok(false),
        Err(cause) => Err(cause),
    }
}

impl File for DirectFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        self.around.read_at(offset, buffer)
    }

    fn will_read(&self, offset: u64, len: u64) {
        self.around.will_read(offset, len);
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let is_paged =
            offset.is_multiple_of(DIRECT_BYTES as u64) && bytes.len().is_multiple_of(DIRECT_BYTES);
        if is_paged && !self.is_refused.load(Ordering::Relaxed) {
            let written = self.write_pages(offset, bytes);
            if written.map_err(self.around.error("write"))? {
                return Ok(());
            }
            self.is_refused.store(true, Ordering::Relaxed);
        }
        self.around.write_at(offset, bytes)
    }

    fn sync(&self) -> Result<(), Error> {
        self.around.sync()
    }

    fn len(&self) -> Result<u64, Error> {
        self.around.len()
    }

    fn names(&self) -> Result<u64, Error> {
        self.around.names()
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.around.set_len(len)
    }

    fn allocate(&self, len: u64) -> Result<(), Error> {
        self.around.allocate(len)
    }
}

struct RealFile {
    file: fs::File,
    path: PathBuf,
    /// The length when opened and what was appended since.
    len: u64,
}

impl AppendFile for RealFile {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all(bytes);
        written.map_err(|cause| Error::new("write", &self.path, cause))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        let synced = self.file.sync_data();
        synced.map_err(|cause| Error::new(SYNC, &self.path, cause))
    }

    fn len(&self) -> u64 {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs;

    fn check(result: Result<impl std::fmt::Debug, Error>, expected: &str) {
        assert_eq!(result.expect_err(expected).to_string(), expected);
    }

    #[test]
    fn it_keeps_the_contract() {
        let dir = tempfile::tempdir().unwrap();
        vfs::contract::run(&RealVfs, dir.path());
    }

    #[test]
    fn direct_and_other_writes_read_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let file = RealVfs.open_direct(&path, vfs::MODE_PRIVATE).unwrap();
        file.allocate(8 << 20).unwrap();
        let page = DIRECT_BYTES as u64;
        let mut expected = vec![0; 8 << 20];
        let mut read = expected.clone();
        for (fill, offset, len) in [
            (1, 0, 4096),
            (2, page, 3 << 20),
            (3, 5, 100),
            (4, page, 4096),
            (5, 2 * page, 4095),
            (6, 0, 2 << 20),
        ] {
            let bytes = vec![fill; len];
            file.write_at(offset, &bytes).unwrap();
            file.sync().unwrap();
            expected[offset as usize..][..len].copy_from_slice(&bytes);
            assert_eq!(file.read_at(0, &mut read).unwrap(), read.len());
            assert!(read == expected, "{fill}");
        }
    }

    #[test]
    fn appended_bytes_stay_behind_those_of_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for (text, len) in [("one ", 4), ("two", 7)] {
            let mut file = RealVfs.open_append(&path, vfs::MODE_GROUP).unwrap();
            file.append(text.as_bytes()).unwrap();
            file.sync().unwrap();
            assert_eq!(file.len(), len);
        }
        assert_eq!(RealVfs.read(&path, 7).unwrap(), b"one two");
    }

    #[test]
    fn atomic_writing_leaves_nothing_but_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        for content in ["1234", "5"] {
            let mode = vfs::MODE_PRIVATE;
            RealVfs
                .write_atomically(&path, content.as_bytes(), mode)
                .unwrap();
            assert_eq!(RealVfs.read(&path, 10).unwrap(), content.as_bytes());
        }
        assert_eq!(RealVfs.list(dir.path()).unwrap(), ["pid"]);
        let nowhere = dir.path().join("no").join("pid");
        let text = format!("write {}: no such file or directory", nowhere.display());
        check(RealVfs.write_atomically(&nowhere, b"", 0o600), &text);
        // A directory cannot be replaced: the temporary file goes away all the same.
        let taken = dir.path().join("taken");
        RealVfs.create_dir_all(&taken).unwrap();
        assert!(RealVfs.write_atomically(&taken, b"", 0o600).is_err());
        assert_eq!(RealVfs.list(dir.path()).unwrap(), ["pid", "taken"]);
    }

    #[test]
    fn a_larger_file_than_allowed_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big");
        RealVfs.write_atomically(&path, b"12345", 0o600).unwrap();
        assert_eq!(RealVfs.read(&path, 5).unwrap(), b"12345");
        let text = format!("read {}: larger than 4 bytes", path.display());
        check(RealVfs.read(&path, 4), &text);
    }

    #[test]
    fn files_without_a_length_are_read() {
        let vfs: &dyn Vfs = &RealVfs;
        let path = Path::new("/proc/self/comm");
        assert!(!vfs.read_text(path, 100).unwrap().is_empty());
    }

    #[test]
    fn text_is_utf8() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        RealVfs.write_atomically(&path, b"\xff", 0o600).unwrap();
        let vfs: &dyn Vfs = &RealVfs;
        let text = format!("read {}: not UTF-8", path.display());
        check(vfs.read_text(&path, 9), &text);
    }

    #[test]
    fn names_move_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        RealVfs.create_dir_all(&at("d/e")).unwrap();
        RealVfs.create_dir_all(&at("d/e")).unwrap();
        for name in ["b", "a"] {
            RealVfs.write_atomically(&at(name), b"", 0o600).unwrap();
        }
        RealVfs.rename(&at("b"), &at("c")).unwrap();
        assert_eq!(RealVfs.list(dir.path()).unwrap(), ["a", "c", "d"]);
        RealVfs.remove(&at("a")).unwrap();
        assert_eq!(RealVfs.list(dir.path()).unwrap(), ["c", "d"]);
        for result in [
            RealVfs.remove(&at("a")),
            RealVfs.rename(&at("a"), &at("b")),
            RealVfs.list(&at("a")).map(|_| ()),
            RealVfs.read(&at("a"), 1).map(|_| ()),
        ] {
            let error = result.expect_err("there is no `a`");
            assert_eq!(
                (error.kind(), error.path()),
                (io::ErrorKind::NotFound, at("a").as_path())
            );
        }
    }
}

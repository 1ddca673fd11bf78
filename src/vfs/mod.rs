//! Files: the one door to the disk.
//!
//! A seam: everything that touches a file takes a [`Vfs`], so that a test can hand in
//! one whose disk is full or loses writes. What the process really uses is
//! [`real::RealVfs`].
//!
//! Invariants: nothing else in the crate opens, lists, renames or removes files; no
//! read is larger than the caller allows; every error names the operation and the path.
//!
//! Absent: no buffering (a write is a write), no watching for changes.

#[cfg(any(test, feature = "testing"))]
pub mod contract;
pub mod real;
#[cfg(any(test, feature = "testing"))]
pub mod sim;
pub mod space;
pub mod watched;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Mode of files that only this user may read.
pub const MODE_PRIVATE: u32 = 0o600;
/// Mode of files that the group may read too, such as logs.
pub const MODE_GROUP: u32 = 0o640;
/// Mode of files that everybody may read.
pub const MODE_PUBLIC: u32 = 0o644;

/// What can be done with files. Calls block; none is interrupted half way but by a crash.
pub trait Vfs: Send + Sync {
    /// The whole content of the file, also of one whose length is not known before
    /// (`/proc`). An error if there are more than `bytes_max`.
    fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, Error>;

    /// Opens a file to append to; makes it, with `mode`, if there is none.
    fn open_append(&self, path: &Path, mode: u32) -> Result<Box<dyn AppendFile>, Error>;

    /// Replaces the file's content, or makes the file: a reader, and a crash, sees all
    /// of the old or all of the new.
    fn write_atomically(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), Error>;

    /// Gives the file another name, in place of what has that name.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), Error>;

    /// Gives the file a second name, on the same disk; it is there until all its names are
    /// removed. [`io::ErrorKind::AlreadyExists`] if the name is taken.
    fn link(&self, from: &Path, to: &Path) -> Result<(), Error>;

    /// Removes a file: this name of it.
    fn remove(&self, path: &Path) -> Result<(), Error>;

    /// Removes a directory, which must be empty.
    fn remove_dir(&self, path: &Path) -> Result<(), Error>;

    /// The names in a directory, sorted. Names that are not UTF-8 are left out.
    fn list(&self, path: &Path) -> Result<Vec<String>, Error>;

    /// Makes the directory and those above it; fine if it is there.
    fn create_dir_all(&self, path: &Path) -> Result<(), Error>;

    /// Opens a file to read and write at any place; makes it, with `mode`, if there is none.
    fn open(&self, path: &Path, mode: u32) -> Result<Arc<dyn File>, Error>;

    /// As [`Vfs::open`], for a file that is mostly written, in whole pages of 4 KiB, and
    /// synced after each write: these go past the system's memory where the disk can do
    /// that, which makes the sync shorter and leaves that memory to what is read.
    fn open_direct(&self, path: &Path, mode: u32) -> Result<Arc<dyn File>, Error>;

    /// Waits until the names in the directory are on the disk: files made, renamed and
    /// removed in it before.
    fn sync_dir(&self, path: &Path) -> Result<(), Error>;

    /// What the disk under the path has room for.
    fn space(&self, path: &Path) -> Result<Space, Error>;

    /// Takes the lock that this file stands for, made if there is none; held against other
    /// processes and other holders in this one until it is dropped, or the process ends.
    /// [`io::ErrorKind::WouldBlock`] if somebody has it. A disk without locks refuses.
    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>, Error> {
        Err(Error::new("lock", path, io::ErrorKind::Unsupported.into()))
    }
}

/// A lock that is held.
pub trait Lock: Send + Sync {}

/// The size of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// All of it that this process may use, in bytes.
    pub total: u64,
    /// What this process may still write, in bytes.
    pub available: u64,
}

/// A file read and written at any place, by many threads at once.
pub trait File: Send + Sync {
    /// Reads at `offset` until the buffer is full or the file ends; the bytes read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error>;

    /// This part will be read soon: a disk may fetch it meanwhile. Costs little, and nothing
    /// where that cannot be done.
    fn will_read(&self, _offset: u64, _len: u64) {}

    /// Writes all bytes at `offset`; the file grows if it must.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Waits until everything written is on the disk, with the metadata needed to read it.
    fn sync(&self) -> Result<(), Error>;

    /// The bytes in the file.
    fn len(&self) -> Result<u64, Error>;

    /// Cuts the file, or lets it grow by zeros.
    fn set_len(&self, len: u64) -> Result<(), Error>;

    /// Reserves blocks on the disk for the first `len` bytes, so that writing there needs
    /// no more room; the length grows to `len`.
    fn allocate(&self, len: u64) -> Result<(), Error>;

    /// How many names the file has.
    fn names(&self) -> Result<u64, Error>;

    /// The file holds nothing.
    fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }
}

impl dyn Vfs + '_ {
    /// The whole content of a text file.
    ///
    /// # Errors
    /// As [`Vfs::read`], and when the content is not UTF-8.
    pub fn read_text(&self, path: &Path, bytes_max: u64) -> Result<String, Error> {
        String::from_utf8(self.read(path, bytes_max)?).map_err(|_| {
            let not_text = io::Error::new(io::ErrorKind::InvalidData, "not UTF-8");
            Error::new("read", path, not_text)
        })
    }
}

/// A file that grows at its end.
pub trait AppendFile: Send {
    /// Writes all bytes at the end, with one call to the system unless that is cut short.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// Waits until everything appended is on the disk.
    fn sync(&mut self) -> Result<(), Error>;

    /// The bytes in the file, as far as this handle knows.
    fn len(&self) -> u64;

    /// The file holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What was tried, with which file, and why it did not work.
///
/// Prints as Go prints its `PathError` (`open a.conf: no such file or directory`),
/// because that text reaches people who look it up.
#[derive(Debug)]
pub struct Error {
    operation: &'static str,
    path: PathBuf,
    cause: io::Error,
}

impl Error {
    /// An error of `operation` on the file at `path`.
    pub fn new(operation: &'static str, path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        Error {
            operation,
            path,
            cause,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the system said, as [`cause_text`], without operation and path.
    pub fn into_cause(self) -> io::Error {
        io::Error::new(self.cause.kind(), cause_text(&self.cause))
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> io::ErrorKind {
        self.cause.kind()
    }

    /// The disk, or this user's share of it, has no room.
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self.kind(), StorageFull | QuotaExceeded)
    }

    /// Nobody knows any more what of the file is on the disk: what was written since the
    /// last sync may be lost, and the next sync would not say so.
    pub fn is_failed_sync(&self) -> bool {
        self.operation == SYNC && !self.is_full()
    }
}

/// The operation that [`Error::is_failed_sync`] is about.
const SYNC: &str = "sync";

/// Whether it was for want of room, however deep that lies in the error.
pub fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<Error>().is_some_and(Error::is_full) {
            return true;
        }
        next = error.source();
    }
    false
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "{} {path}: {}", self.operation, cause_text(&self.cause))
    }
}

impl std::error::Error for Error {}

/// The system's words for an error, in lower case and without its number.
pub fn cause_text(cause: &io::Error) -> String {
    let text = cause.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_operation_path_and_cause() {
        let error = Error::new(
            "open",
            Path::new("a/b"),
            io::Error::from_raw_os_error(2), // ENOENT
        );
        assert_eq!(error.to_string(), "open a/b: no such file or directory");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let error = Error::new("read", Path::new("x"), io::Error::other("too much"));
        assert_eq!(error.to_string(), "read x: too much");
    }
}

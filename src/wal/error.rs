//! Why the log did not do what it was asked.
//!
//! Invariant: an error of the disk while writing never comes out as a value: the process
//! ends (`Options::on_fatal`), because nobody can say any more what is durable.

use std::path::PathBuf;
use std::sync::Arc;

use crate::vfs;
use crate::wal::GroupId;

/// Why the log did not do what it was asked. Cheap to clone: one failure may answer many.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The disk has no room for another segment. Nothing was taken over; trying again later
    /// is right.
    #[error("no space left for the log")]
    NoSpace,
    /// A write that would not fit in an empty segment. Nothing was taken over.
    #[error("{bytes} bytes in one write, at most {bytes_max} fit")]
    TooLarge {
        /// What the write takes on the disk.
        bytes: u64,
        /// The room of one segment.
        bytes_max: u64,
    },
    /// Entries that would leave a hole or overwrite others: a fault of the caller.
    #[error("group {group}: entry {index} where {expected} comes next")]
    OutOfOrder {
        /// The group.
        group: GroupId,
        /// The index given.
        index: u64,
        /// The only index that fits.
        expected: u64,
    },
    /// The entry was there and cannot be read: rot.
    #[error("group {group}: entry {index} is damaged")]
    Damaged {
        /// The group.
        group: GroupId,
        /// The entry.
        index: u64,
    },
    /// The log was closed, or failed before.
    #[error("the log is closed")]
    Closed,
    /// Another process uses the directory.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// What is on the disk is nothing this version can work with.
    #[error("{}: {what}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(Arc<vfs::Error>),
}

impl Error {
    /// There was no room on the disk.
    pub fn is_full(&self) -> bool {
        match self {
            Error::NoSpace => true,
            Error::Disk(err) => err.is_full(),
            _ => false,
        }
    }
}

impl From<vfs::Error> for Error {
    fn from(error: vfs::Error) -> Self {
        Error::Disk(Arc::new(error))
    }
}

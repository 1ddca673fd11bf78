//! Open files and locks of the disk: each call is counted, and may be the last one.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::change::Change;
use super::sparse::is_zero;
use super::{Fault, SimVfs};
use crate::vfs::{AppendFile, Error, File, Lock};

/// A lock that is held.
pub(super) struct Locked {
    pub(super) vfs: SimVfs,
    pub(super) path: PathBuf,
}

impl Lock for Locked {}

impl Drop for Locked {
    fn drop(&mut self) {
        self.vfs.disk.lock().locked.remove(&self.path);
    }
}

/// An open file.
pub(super) struct Handle {
    pub(super) vfs: SimVfs,
    pub(super) id: u64,
    pub(super) path: PathBuf,
}

impl Handle {
    fn error(&self, operation: &'static str) -> impl Fn(io::Error) -> Error {
        move |cause| Error::new(operation, &self.path, cause)
    }
}

impl File for Handle {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut disk = self.vfs.disk.lock();
        disk.check_power("read", &self.path)?;
        disk.fault(Fault::Read).map_err(self.error("read"))?;
        let content = disk.files.get(&self.id);
        Ok(content.map_or(0, |content| content.live.read(offset, buffer)))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut disk = self.vfs.disk.lock();
        let is_cut = disk.counts("write", &self.path)?;
        disk.fault(Fault::Write).map_err(self.error("write"))?;
        let end = offset + bytes.len() as u64;
        disk.room(self.id, end).map_err(self.error("write"))?;
        let (id, len) = (self.id, bytes.len() as u64);
        if is_zero(bytes) {
            disk.change(Change::Zeros { id, offset, len });
        } else {
            let bytes = bytes.into();
            disk.change(Change::Write { id, offset, bytes });
        }
        disk.answer("write", &self.path, is_cut)
    }

    fn sync(&self) -> Result<(), Error> {
        let mut disk = self.vfs.disk.lock();
        let is_cut = disk.counts("sync", &self.path)?;
        if let Err(cause) = disk.fault(Fault::Sync) {
            // The pages count as clean from now on; what they held never arrives.
            disk.unsynced
                .retain(|change| change.file() != Some(self.id));
            return Err(self.error("sync")(cause));
        }
        disk.sync(|change| change.file() == Some(self.id));
        disk.answer("sync", &self.path, is_cut)
    }

    fn len(&self) -> Result<u64, Error> {
        let disk = self.vfs.disk.lock();
        disk.check_power("stat", &self.path)?;
        Ok(disk
            .files
            .get(&self.id)
            .map_or(0, |content| content.live.len))
    }

    fn names(&self) -> Result<u64, Error> {
        let disk = self.vfs.disk.lock();
        disk.check_power("stat", &self.path)?;
        let ids = disk.names.values();
        Ok(ids.filter(|id| **id == self.id).count() as u64)
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        let mut disk = self.vfs.disk.lock();
        let is_cut = disk.counts("truncate", &self.path)?;
        disk.room(self.id, len).map_err(self.error("truncate"))?;
        disk.change(Change::Len { id: self.id, len });
        disk.answer("truncate", &self.path, is_cut)
    }

    fn allocate(&self, len: u64) -> Result<(), Error> {
        let mut disk = self.vfs.disk.lock();
        let is_cut = disk.counts("allocate", &self.path)?;
        disk.room(self.id, len).map_err(self.error("allocate"))?;
        let old = disk
            .files
            .get(&self.id)
            .map_or(0, |content| content.live.len);
        if len > old {
            disk.change(Change::Len { id: self.id, len });
        }
        disk.answer("allocate", &self.path, is_cut)
    }
}

/// Appending is writing at the end.
pub(super) struct Appender {
    pub(super) file: Arc<dyn File>,
    pub(super) len: u64,
}

impl AppendFile for Appender {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let end = self.file.len()?;
        self.file.write_at(end, bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.file.sync()
    }

    fn len(&self) -> u64 {
        self.len
    }
}

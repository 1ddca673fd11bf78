//! Files of which somebody hears at once when the disk is full, or not to be trusted.
//!
//! Separate because both must be noticed wherever they happen, and be acted on in one
//! place: a full disk stops publishers, a disk that failed ends the process.
//!
//! Invariants: every error goes on to the caller as it came; a failed sync, or a write that
//! failed otherwise than for want of room, is told before the caller hears of it, so that
//! nobody can take what was written for durable. Absent: what is done then.

use std::path::Path;
use std::sync::Arc;

use super::{AppendFile, Error, File, Lock, Space, Vfs};

/// Who hears of it, on the thread it happens on; both must be quick.
pub trait Watch: Send + Sync {
    /// There is no room.
    fn full(&self, error: &Error);
    /// What was written may not be there, or cannot be.
    fn failed(&self, error: &Error);
}

/// The files of `below`, watched.
#[derive(Clone)]
pub struct Watched {
    below: Arc<dyn Vfs>,
    watch: Arc<dyn Watch>,
}

impl Watched {
    /// Watches what is done with the files of `below` from now on.
    pub fn new(below: Arc<dyn Vfs>, watch: Arc<dyn Watch>) -> Watched {
        Watched { below, watch }
    }
}

/// Tells of what went wrong with the disk itself.
fn tell<T>(watch: &dyn Watch, done: Result<T, Error>) -> Result<T, Error> {
    done.inspect_err(|error| {
        if error.is_full() {
            watch.full(error);
        } else if error.is_failed_sync() {
            watch.failed(error);
        }
    })
}

impl Watched {
    fn watched(&self, opened: Result<Arc<dyn File>, Error>) -> Result<Arc<dyn File>, Error> {
        let below = self.tell(opened)?;
        let watch = Arc::clone(&self.watch);
        Ok(Arc::new(WatchedFile { below, watch }))
    }

    fn tell<T>(&self, done: Result<T, Error>) -> Result<T, Error> {
        tell(&*self.watch, done)
    }
}

impl Vfs for Watched {
    fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, Error> {
        self.below.read(path, bytes_max)
    }

    fn open_append(&self, path: &Path, mode: u32) -> Result<Box<dyn AppendFile>, Error> {
        self.tell(self.below.open_append(path, mode))
    }

    fn write_atomically(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
        self.tell(self.below.write_atomically(path, content, mode))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.tell(self.below.rename(from, to))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.tell(self.below.link(from, to))
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        self.tell(self.below.remove(path))
    }

    fn remove_dir(&self, path: &Path) -> Result<(), Error> {
        self.tell(self.below.remove_dir(path))
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, Error> {
        self.below.list(path)
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), Error> {
        self.tell(self.below.create_dir_all(path))
    }

    fn open(&self, path: &Path, mode: u32) -> Result<Arc<dyn File>, Error> {
        self.watched(self.below.open(path, mode))
    }

    fn open_direct(&self, path: &Path, mode: u32) -> Result<Arc<dyn File>, Error> {
        self.watched(self.below.open_direct(path, mode))
    }

    fn sync_dir(&self, path: &Path) -> Result<(), Error> {
        self.tell(self.below.sync_dir(path))
    }

    fn space(&self, path: &Path) -> Result<Space, Error> {
        self.below.space(path)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>, Error> {
        self.below.lock(path)
    }
}

struct WatchedFile {
    below: Arc<dyn File>,
    watch: Arc<dyn Watch>,
}

impl WatchedFile {
    fn tell<T>(&self, done: Result<T, Error>) -> Result<T, Error> {
        tell(&*self.watch, done)
    }
}

impl File for WatchedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        self.below.read_at(offset, buffer)
    }

    fn will_read(&self, offset: u64, len: u64) {
        self.below.will_read(offset, len);
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.below
            .write_at(offset, bytes)
            .inspect_err(|error| match error.is_full() {
                true => self.watch.full(error),
                false => self.watch.failed(error),
            })
    }

    fn sync(&self) -> Result<(), Error> {
        self.tell(self.below.sync())
    }

    fn len(&self) -> Result<u64, Error> {
        self.below.len()
    }

    fn names(&self) -> Result<u64, Error> {
        self.below.names()
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.tell(self.below.set_len(len))
    }

    fn allocate(&self, len: u64) -> Result<(), Error> {
        self.tell(self.below.allocate(len))
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use parking_lot::Mutex;

    use super::*;
    use crate::vfs::sim::{Fault, SimVfs};
    use crate::vfs::{self, contract};

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Watch for Told {
        fn full(&self, error: &Error) {
            self.0.lock().push(format!("full: {error}"));
        }

        fn failed(&self, error: &Error) {
            self.0.lock().push(format!("failed: {error}"));
        }
    }

    fn watched() -> (SimVfs, Watched, Arc<Told>) {
        let (sim, told) = (SimVfs::new(), Arc::new(Told::default()));
        let watched = Watched::new(Arc::new(sim.clone()), Arc::clone(&told) as _);
        (sim, watched, told)
    }

    #[test]
    fn it_keeps_the_contract() {
        let dir = tempfile::tempdir().unwrap();
        let told = Arc::new(Told::default());
        let below = Arc::new(vfs::real::RealVfs);
        contract::run(&Watched::new(below, told.clone()), dir.path());
        assert_eq!(*told.0.lock(), [""; 0]);
    }

    #[test]
    fn a_failed_sync_and_a_failed_write_are_told() {
        for (fault, expected) in [
            (Fault::Sync, "failed: sync /d/f: "),
            (Fault::Write, "failed: write /d/f: "),
        ] {
            let (sim, vfs, told) = watched();
            vfs.create_dir_all(Path::new("/d")).unwrap();
            let file = vfs.open(Path::new("/d/f"), vfs::MODE_PRIVATE).unwrap();
            sim.fail(fault, 1);
            let _ = file.write_at(0, b"1").and_then(|()| file.sync());
            let told = told.0.lock();
            assert!(
                matches!(&told[..], [only] if only.starts_with(expected)),
                "{told:?}"
            );
        }
    }

    #[test]
    fn a_full_disk_is_told_and_no_failure() {
        let (sim, vfs, told) = watched();
        vfs.create_dir_all(Path::new("/d")).unwrap();
        let file = vfs.open(Path::new("/d/f"), vfs::MODE_PRIVATE).unwrap();
        sim.limit(Some(10));
        let error = file.write_at(0, &[1; 20]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let error = crate::state_machine::MachineError {
            what: "write",
            cause: Box::new(error),
        };
        assert!(vfs::is_full(&error));
        assert!(matches!(&told.0.lock()[..], [only] if only.starts_with("full: ")));
    }

    #[test]
    fn what_is_only_missing_is_told_to_nobody() {
        let (_, vfs, told) = watched();
        vfs.create_dir_all(Path::new("/d")).unwrap();
        assert!(vfs.remove(Path::new("/d/f")).is_err());
        assert!(vfs.read(Path::new("/d/f"), 1).is_err());
        assert_eq!(*told.0.lock(), [""; 0]);
    }
}

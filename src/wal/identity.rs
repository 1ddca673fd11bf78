//! Who this data directory is, and that only one process uses it.
//!
//! ```text
//!   identity, identity.copy:  │magic 8│version u32│cluster u64│node u64│crc32c u32│
//! ```
//!
//! Separate from the log because it is read before anything else: a node whose votes lie in
//! this directory must not come back under another name, nor another node under this one.
//!
//! Invariants: the identity is written once and never changed; one damaged copy is made good
//! from the other; if both are damaged nobody guesses. Absent: where ids come from.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crc32c::crc32c;

use crate::vfs::{self, Lock, Vfs};
use crate::wal::error::Error;
use crate::wal::page::{u32_at, u64_at};

const MAGIC: &[u8; 8] = b"nattrid\n";
const VERSION: u32 = 1;
const BYTES: usize = 32;
const NAMES: [&str; 2] = ["identity", "identity.copy"];

/// Who a data directory belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster; a server that is alone has one of its own.
    pub cluster: u64,
    /// The node, never given to another one.
    pub node: u64,
}

/// A data directory that nobody else uses as long as this lives.
pub struct DataDir {
    path: PathBuf,
    /// Who it is; `None` until [`DataDir::assign`].
    identity: Option<Identity>,
    /// Held, not used.
    _lock: Box<dyn Lock>,
}

impl DataDir {
    /// Locks the directory, made if there is none, and reads who it is.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it; [`Error::Unusable`] when there was an
    /// identity and no copy of it can be read.
    pub fn open(vfs: &dyn Vfs, path: &Path) -> Result<DataDir, Error> {
        vfs.create_dir_all(path)?;
        if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
            vfs.sync_dir(above)?;
        }
        let lock = vfs
            .lock(&path.join("lock"))
            .map_err(|err| match err.kind() {
                ErrorKind::WouldBlock => Error::InUse(path.to_owned()),
                _ => err.into(),
            })?;
        let copies = NAMES.map(|name| read(vfs, &path.join(name)));
        let [first, second] = copies;
        let (first, second) = (first?, second?);
        let identity = match (first, second) {
            (Copy::Good(a), Copy::Good(b)) if a != b => {
                return Err(unusable(path, "the two copies of the identity differ"));
            }
            (Copy::Good(identity), other) | (other, Copy::Good(identity)) => {
                if !matches!(other, Copy::Good(_)) {
                    tracing::warn!("data directory: one copy of the identity was made good");
                    write(vfs, path, identity)?;
                }
                Some(identity)
            }
            (Copy::Absent, Copy::Absent) => None,
            _ => return Err(unusable(path, "no copy of the identity can be read")),
        };
        Ok(DataDir {
            path: path.to_owned(),
            identity,
            _lock: lock,
        })
    }

    /// Who it is, if anybody.
    pub const fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Says who it is, once and for all.
    ///
    /// # Errors
    /// When it is somebody else, or the disk refuses.
    pub fn assign(&mut self, vfs: &dyn Vfs, identity: Identity) -> Result<(), Error> {
        match self.identity {
            Some(known) if known == identity => Ok(()),
            Some(_) => Err(unusable(&self.path, "it belongs to another node")),
            None => {
                write(vfs, &self.path, identity)?;
                self.identity = Some(identity);
                Ok(())
            }
        }
    }
}

enum Copy {
    Good(Identity),
    Damaged,
    Absent,
}

fn read(vfs: &dyn Vfs, path: &Path) -> Result<Copy, Error> {
    let bytes = match vfs.read(path, 4096) {
        Ok(bytes) => bytes,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Copy::Absent),
        Err(err) if err.kind() == ErrorKind::FileTooLarge => return Ok(Copy::Damaged),
        Err(err) => return Err(err.into()),
    };
    let is_good = bytes.len() == BYTES
        && bytes.starts_with(MAGIC)
        && crc32c(&bytes[..BYTES - 4]) == u32_at(&bytes, BYTES - 4);
    if !is_good {
        return Ok(Copy::Damaged);
    }
    let version = u32_at(&bytes, 8);
    if version != VERSION {
        let what = format!("written by a later version (format {version})");
        return Err(unusable(path, &what));
    }
    Ok(Copy::Good(Identity {
        cluster: u64_at(&bytes, 12),
        node: u64_at(&bytes, 20),
    }))
}

/// Writes both copies, one behind the other, and makes their names durable.
fn write(vfs: &dyn Vfs, dir: &Path, identity: Identity) -> Result<(), Error> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&identity.cluster.to_le_bytes());
    bytes.extend_from_slice(&identity.node.to_le_bytes());
    bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
    for name in NAMES {
        vfs.write_atomically(&dir.join(name), &bytes, vfs::MODE_PRIVATE)?;
        vfs.sync_dir(dir)?;
    }
    Ok(())
}

fn unusable(path: &Path, what: &str) -> Error {
    Error::Unusable {
        path: path.to_owned(),
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::sim::{SimVfs, Survival};

    const DIR: &str = "/data";
    const ME: Identity = Identity {
        cluster: 5,
        node: 7,
    };

    fn assigned() -> SimVfs {
        let vfs = SimVfs::new();
        let mut dir = DataDir::open(&vfs, Path::new(DIR)).unwrap();
        assert_eq!(dir.identity(), None);
        dir.assign(&vfs, ME).unwrap();
        dir.assign(&vfs, ME).unwrap();
        let other = Identity { node: 8, ..ME };
        assert!(matches!(
            dir.assign(&vfs, other),
            Err(Error::Unusable { .. })
        ));
        vfs.after_crash(Survival::Nothing)
    }

    fn found(vfs: &SimVfs) -> Option<Identity> {
        DataDir::open(vfs, Path::new(DIR)).unwrap().identity()
    }

    #[test]
    fn an_identity_stays() {
        let vfs = assigned();
        assert_eq!(found(&vfs), Some(ME));
        let held = DataDir::open(&vfs, Path::new(DIR)).unwrap();
        let refused = DataDir::open(&vfs, Path::new(DIR)).map(|_| ());
        assert!(matches!(refused, Err(Error::InUse(_))));
        drop(held);
        assert_eq!(found(&vfs), Some(ME));
    }

    #[test]
    fn one_copy_is_enough_and_made_good() {
        for damage in ["flip", "remove", "empty"] {
            let vfs = assigned();
            for name in NAMES {
                let path = Path::new(DIR).join(name);
                match damage {
                    "flip" => vfs.flip(&path, 20, 3),
                    "remove" => vfs.remove(&path).unwrap(),
                    _ => vfs.write_atomically(&path, b"", 0o600).unwrap(),
                }
                assert_eq!(found(&vfs), Some(ME), "{damage} {name}");
            }
        }
    }

    #[test]
    fn nobody_guesses() {
        for damage in [[true, true], [true, false], [false, true]] {
            let vfs = assigned();
            for (name, is_flipped) in NAMES.iter().zip(damage) {
                let path = Path::new(DIR).join(name);
                if is_flipped {
                    vfs.flip(&path, 20, 3);
                } else {
                    vfs.remove(&path).unwrap();
                }
            }
            let refused = DataDir::open(&vfs, Path::new(DIR)).map(|_| ());
            assert!(matches!(refused, Err(Error::Unusable { .. })), "{damage:?}");
        }
    }

    #[test]
    fn a_crash_while_it_is_written_leaves_all_or_nothing() {
        for call in 1..30 {
            for survival in Survival::all(call) {
                let vfs = SimVfs::new();
                vfs.create_dir_all(Path::new(DIR)).unwrap();
                vfs.cut_after(call);
                let is_assigned = DataDir::open(&vfs, Path::new(DIR))
                    .and_then(|mut dir| dir.assign(&vfs, ME))
                    .is_ok();
                let crashed = vfs.after_crash(survival);
                match DataDir::open(&crashed, Path::new(DIR)) {
                    Ok(dir) if is_assigned => assert_eq!(dir.identity(), Some(ME)),
                    Ok(dir) => assert!(dir.identity().is_none_or(|found| found == ME)),
                    Err(err) => panic!("call {call}, {survival:?}: {err}"),
                }
            }
        }
    }
}

//! What a call changes, of names and of files, until it is durable.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Names;
use super::sparse::Sparse;

/// One change. Those of a file are durable with its sync, the others with that of a directory.
#[derive(Clone)]
pub(super) enum Change {
    Dir {
        path: PathBuf,
    },
    Undir {
        path: PathBuf,
    },
    Name {
        path: PathBuf,
        id: u64,
    },
    Unname {
        path: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        id: u64,
    },
    Write {
        id: u64,
        offset: u64,
        bytes: Arc<[u8]>,
    },
    Zeros {
        id: u64,
        offset: u64,
        len: u64,
    },
    Len {
        id: u64,
        len: u64,
    },
}

impl Sparse {
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { offset, bytes, .. } => self.write(*offset, bytes),
            Change::Zeros { offset, len, .. } => self.zero(*offset, *len),
            Change::Len { len, .. } => self.set_len(*len),
            _ => {}
        }
    }
}

impl Change {
    pub(super) const fn file(&self) -> Option<u64> {
        match self {
            Change::Write { id, .. } | Change::Zeros { id, .. } | Change::Len { id, .. } => {
                Some(*id)
            }
            _ => None,
        }
    }

    /// The directory whose sync makes it durable.
    pub(super) fn is_in(&self, dir: &Path) -> bool {
        match self {
            Change::Dir { path }
            | Change::Undir { path }
            | Change::Name { path, .. }
            | Change::Unname { path }
            | Change::Rename { to: path, .. } => path.parent() == Some(dir),
            _ => false,
        }
    }

    /// The change in pieces that survive one by one.
    pub(super) fn pieces(&self, size: usize) -> Vec<Change> {
        let Change::Write { id, offset, bytes } = self else {
            return vec![self.clone()];
        };
        let mut pieces = Vec::new();
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let part = (size - (at % size as u64) as usize).min(bytes.len() - done);
            pieces.push(Change::Write {
                id: *id,
                offset: at,
                bytes: bytes[done..done + part].into(),
            });
            done += part;
        }
        pieces
    }
}

pub(super) fn apply_name(names: &mut Arc<Names>, change: &Change) {
    if change.file().is_some() {
        return;
    }
    let names = Arc::make_mut(names);
    match change {
        Change::Name { path, id } => {
            names.insert(path.clone(), *id);
        }
        Change::Unname { path } => {
            names.remove(path);
        }
        Change::Rename { from, to, id } => {
            if names.get(from) == Some(id) {
                names.remove(from);
            }
            names.insert(to.clone(), *id);
        }
        _ => {}
    }
}

pub(super) fn apply_dir(dirs: &mut Arc<BTreeSet<PathBuf>>, change: &Change) {
    match change {
        Change::Dir { path } => drop(Arc::make_mut(dirs).insert(path.clone())),
        Change::Undir { path } => drop(Arc::make_mut(dirs).remove(path)),
        _ => {}
    }
}

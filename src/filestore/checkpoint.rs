//! Making the store durable: the quick half beside the stream, the slow half elsewhere.
//!
//! Separate because this is the one place of the store that waits for the disk, and the
//! order in which it does is what a restart relies on:
//!
//! ```text
//!   0 once: the names of the directories
//!   1 files written since the last one are synced, and the directory that names them
//!   2 the figures of subjects, if they are many, and the directory; the manifest; the
//!     directory again
//!   3 files that neither this manifest nor the one before names are removed
//! ```
//! Invariants: a manifest names only what was synced before it; a failed sync is final:
//! after it nobody knows what is on the disk, so no later checkpoint of this store
//! succeeds; checkpoints complete in the order they began or not at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::FileStore;
use super::block::{Block, Hash, Hasher};
use super::manifest::{self, Manifest};
use super::stitched;
use crate::state_machine::{Checkpoint, MachineError};
use crate::store::error::Error;
use crate::store::subjects::Subjects;
use crate::vfs::{self, File, Vfs};

/// A file that was written to.
pub struct Dirty {
    /// The file.
    pub file: Arc<dyn File>,
    /// The checkpoint that will sync all that was written; none if it was written to since.
    pub captured: Option<u64>,
}

/// A file that the store uses no more.
#[derive(Clone, Debug)]
pub struct Retired {
    /// Its name.
    pub name: String,
    /// What it keeps.
    pub links: Vec<String>,
    /// The first checkpoint that does not name it.
    pub since: u64,
    /// It holds an erased message: it goes with that checkpoint, not one later.
    pub erase: bool,
}

/// What checkpoints under way share with the store.
#[derive(Debug, Default)]
pub struct Shared {
    /// Held by the checkpoint that is being completed.
    turn: Mutex<()>,
    /// Held for a moment only: the store looks at it too.
    progress: Mutex<Progress>,
}

/// How far checkpoints are.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The last durable one.
    pub completed: u64,
    /// The durable one before.
    pub before: u64,
    /// Numbers of manifests that may lie in the directory.
    pub manifests: Vec<u64>,
    failed: bool,
}

impl Shared {
    /// Begins where recovery found the store.
    pub fn new(progress: Progress) -> Self {
        Shared {
            turn: Mutex::default(),
            progress: Mutex::new(progress),
        }
    }
}

impl Progress {
    /// What recovery found; `manifests` ascend.
    pub fn recovered(completed: u64, before: u64, manifests: Vec<u64>) -> Self {
        Progress {
            completed,
            before,
            manifests,
            failed: false,
        }
    }

    /// Whether a retired file may go now.
    fn frees(&self, retired: &Retired) -> bool {
        retired.since <= self.before || (retired.erase && retired.since <= self.completed)
    }
}

impl FileStore {
    /// Forgets what durable checkpoints have taken care of.
    pub(super) fn forget_synced(&mut self) {
        let progress = self.shared.progress.lock().clone();
        self.retired.retain(|retired| !progress.frees(retired));
        let synced = |dirty: &Dirty| dirty.captured.is_some_and(|by| by <= progress.completed);
        self.dirty.retain(|dirty| !synced(dirty));
    }

    /// Files wait for the next checkpoint to go.
    pub(super) fn is_retiring(&self) -> bool {
        let progress = self.shared.progress.lock();
        self.retired.iter().any(|retired| !progress.frees(retired))
    }

    /// The quick half: writes the buffer out and notes what the manifest will say.
    pub(super) fn begin_checkpoint(
        &mut self,
        state: Vec<u8>,
    ) -> Result<Box<dyn Checkpoint>, Error> {
        self.put_all()?;
        self.compact()?;
        self.write_out()?;
        self.make_directory()?;
        self.buffer.shrink_to(0);
        self.forget_synced();
        self.number += 1;
        for dirty in &mut self.dirty {
            dirty.captured = Some(self.number);
        }
        let named = |block: &Block| Block {
            hash: Arc::clone(&block.hash),
            ..Block::known(block.facts.clone(), None)
        };
        let manifest = Manifest {
            number: self.number,
            ledger: self.ledger.clone(),
            lost: self.lost.clone(),
            blocks: self.blocks.iter().map(named).collect(),
            machine: state,
            subjects: None,
        };
        self.has_manifest = true;
        Ok(Box::new(Pending {
            vfs: Arc::clone(&self.vfs),
            dir: self.dir.clone(),
            shared: Arc::clone(&self.shared),
            manifest,
            subjects: self.subjects.clone(),
            inline_bytes_max: self.options.inline_bytes_max,
            dirty: self
                .dirty
                .iter()
                .map(|dirty| Arc::clone(&dirty.file))
                .collect(),
            retired: self.retired.clone(),
        }))
    }
}

/// A checkpoint that is not durable yet.
struct Pending {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    shared: Arc<Shared>,
    manifest: Manifest,
    subjects: Subjects,
    inline_bytes_max: usize,
    dirty: Vec<Arc<dyn File>>,
    retired: Vec<Retired>,
}

impl Checkpoint for Pending {
    fn complete(mut self: Box<Self>) -> Result<(), MachineError> {
        let shared = Arc::clone(&self.shared);
        let _turn = shared.turn.lock();
        let mut progress = shared.progress.lock().clone();
        if self.manifest.number <= progress.completed {
            return Ok(());
        }
        if progress.failed {
            return Err(failed("complete a checkpoint", "a sync failed before"));
        }
        if progress.completed == 0 {
            self.sync_dirs_above()?;
        }
        if let Err(error) = self.sync_blocks() {
            shared.progress.lock().failed = true;
            return Err(error);
        }
        self.write_manifest()?;
        progress.before = progress.completed;
        progress.completed = self.manifest.number;
        progress.manifests.push(self.manifest.number);
        let cleaned = self.clean(&mut progress);
        *shared.progress.lock() = progress;
        cleaned
    }
}

impl Pending {
    fn sync_blocks(&self) -> Result<(), MachineError> {
        for file in &self.dirty {
            file.sync().map_err(error("sync a block"))?;
        }
        if self.dirty.is_empty() {
            return Ok(());
        }
        self.sync_dir()
    }

    /// Makes sure that the directory is found again: until there is a checkpoint, the log
    /// has everything and nobody needs to wait for it. Above those nothing was made here.
    fn sync_dirs_above(&self) -> Result<(), MachineError> {
        for above in self.dir.ancestors().skip(1).take(2) {
            let is_named = !above.as_os_str().is_empty();
            let synced = is_named.then(|| self.vfs.sync_dir(above)).transpose();
            synced.map_err(error("sync the directories above a stream"))?;
        }
        Ok(())
    }

    fn sync_dir(&self) -> Result<(), MachineError> {
        let synced = self.vfs.sync_dir(&self.dir);
        synced.map_err(error("sync the directory of a stream"))
    }

    /// A failure here may be tried again: nothing names what was written.
    fn write_manifest(&mut self) -> Result<(), MachineError> {
        for block in &self.manifest.blocks {
            let is_new = block.facts.is_sealed && block.hash.get().is_none();
            if is_new && let Some(hash) = hash_file(&self.vfs, &block.path(&self.dir), block)? {
                // Somebody else can only have computed the same.
                let _ = block.hash.set(hash);
            }
        }
        let number = self.manifest.number;
        let write = |name: String, content: &[u8]| {
            let path = self.dir.join(name);
            let written = self.vfs.write_atomically(&path, content, vfs::MODE_PRIVATE);
            written.map_err(error("write a manifest"))
        };
        let subjects = manifest::encode_subjects(&self.subjects);
        if subjects.len() <= self.inline_bytes_max {
            self.manifest.subjects = Some(subjects);
        } else {
            let content = manifest::subjects_file(&subjects);
            write(manifest::subjects_name(number), &content)?;
            // A manifest found without them costs a walk through all messages.
            self.sync_dir()?;
        }
        write(manifest::manifest_name(number), &self.manifest.encode())?;
        self.sync_dir()
    }

    /// Removes what the last two manifests do not name.
    fn clean(&self, progress: &mut Progress) -> Result<(), MachineError> {
        let old = progress.manifests.len().saturating_sub(2);
        let old: Vec<u64> = progress.manifests.drain(..old).collect();
        let manifests = old.into_iter().flat_map(|number| {
            [
                manifest::manifest_name(number),
                manifest::subjects_name(number),
            ]
        });
        let retired = self
            .retired
            .iter()
            .filter(|retired| progress.frees(retired));
        let retired = retired.flat_map(|retired| [&retired.name].into_iter().chain(&retired.links));
        for name in manifests.chain(retired.cloned()) {
            match self.vfs.remove(&self.dir.join(name)) {
                // Not every checkpoint has a file of subjects, not every block reached one.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(error("remove an old file"))?,
            }
        }
        Ok(())
    }
}

/// The hash of a sealed block's file; none if it is not as long as it should be.
pub(super) fn hash_file(
    vfs: &Arc<dyn Vfs>,
    path: &Path,
    block: &Block,
) -> Result<Option<Hash>, MachineError> {
    if block.is_missing {
        return Ok(None);
    }
    // Damage is found by whoever reads the block; a manifest goes without the hash.
    let content = stitched::read(vfs, path, block.facts.len).map_err(error("read a block"))?;
    let Some(content) = content else {
        return Ok(None);
    };
    if content.len() as u64 != block.facts.len {
        return Ok(None);
    }
    let mut hasher = Hasher::default();
    hasher.write(&content);
    Ok(Some(hasher.finish()))
}

fn error(what: &'static str) -> impl Fn(vfs::Error) -> MachineError {
    move |cause| failed(what, cause)
}

fn failed(
    what: &'static str,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> MachineError {
    MachineError {
        what,
        cause: cause.into(),
    }
}

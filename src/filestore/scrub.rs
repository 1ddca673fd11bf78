//! Looking for damage before somebody needs what is damaged.
//!
//! Separate because nothing else reads what nobody asked for. One block is read at a time,
//! beside the store ([`Check::run`]); who asks for the next one decides how fast the whole
//! store comes round. The block that is still being appended to counts too: after a
//! checkpoint nobody else has what is in it.
//!
//! Invariant: what a check found of a block that was written anew, or went, meanwhile is
//! no news; a block with an end that found no room on the disk yet is not looked at.

use std::path::PathBuf;
use std::sync::Arc;

use super::block::{self, Block, Facts, Hash, Hasher, Part};
use super::{FileStore, disk, format, stitched};
use crate::store::damage::{Check, Checked};
use crate::store::error::Error;
use crate::store::message::Seq;
use crate::vfs::{File, Vfs};

/// What scrubbing one block showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrubbed {
    /// The block's first sequence.
    pub base: Seq,
    /// The block's last sequence.
    pub last: Seq,
    /// The hash of what should be there, to compare with other replicas.
    pub hash: Option<Hash>,
    /// Whether it is there.
    pub is_intact: bool,
}

/// A block to be read.
struct BlockCheck {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    /// Open if it is being appended to: then the file may be longer than it should.
    file: Option<Arc<dyn File>>,
    /// As of now; without what is not in the file yet.
    facts: Facts,
    hash: Option<Hash>,
}

impl FileStore {
    /// Reads the next block and compares it with what was written; none if the store is
    /// empty.
    ///
    /// # Errors
    /// When the disk refuses. Damage is no error here: it is told, and counted.
    pub fn scrub(&mut self) -> Result<Option<Scrubbed>, Error> {
        let next = match self.next_scrub()? {
            Some(next) => Some(next),
            None => self.next_scrub()?,
        };
        let Some(check) = next else {
            return Ok(None);
        };
        self.scrubbed(&check.run()?)
    }

    /// The next block to be read; none behind the last one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn next_scrub(&mut self) -> Result<Option<Box<dyn Check>>, Error> {
        self.put_all()?;
        self.flush()?;
        let from = self.scrubbed;
        let behind = |block: &Block| block.facts.base <= from;
        let mut turn = self.blocks.partition_point(behind)..self.blocks.len();
        // What found no room on the disk cannot be read there.
        let Some(at) = turn.find(|at| self.unwritten(*at).is_empty()) else {
            self.scrubbed = Seq::NONE;
            return Ok(None);
        };
        let block = &self.blocks[at];
        self.scrubbed = block.facts.base;
        let facts = block.facts.clone();
        let hash = block.hash.get().copied();
        let path = block.path(&self.dir);
        let is_last = at + 1 == self.blocks.len();
        let is_missing = block.is_missing;
        let mut file = None;
        if is_last && !is_missing {
            file = Some(self.file(at)?);
        }
        Ok(Some(Box::new(BlockCheck {
            vfs: Arc::clone(&self.vfs),
            path,
            file,
            facts,
            hash,
        })))
    }

    /// Takes note of what a block was found like; none if it is another by now.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn scrubbed(&mut self, checked: &Checked) -> Result<Option<Scrubbed>, Error> {
        let same = |block: &Block| {
            block.facts.base == checked.base && block.facts.generation == checked.generation
        };
        let Some(at) = self.blocks.iter().position(same) else {
            return Ok(None);
        };
        let known = self.damaged.len();
        if !checked.is_intact {
            // The records tell which messages are concerned.
            self.blocks[at].marks = None;
            self.look_through(at)?;
        } else if let Some(hash) = checked.hash {
            // Somebody else can only have computed the same.
            let _ = self.blocks[at].hash.set(hash);
        }
        let block = &self.blocks[at];
        let is_new = self.damaged.len() > known;
        Ok(Some(Scrubbed {
            base: block.facts.base,
            last: block.facts.last,
            hash: block.hash.get().copied(),
            is_intact: checked.is_intact && !is_new && block.holes.is_empty(),
        }))
    }
}

impl Check for BlockCheck {
    fn run(self: Box<Self>) -> Result<Checked, Error> {
        let len = self.facts.len;
        let bytes = match &self.file {
            Some(file) => {
                let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
                let read = file.read_at(0, &mut bytes).map_err(disk("read a block"))?;
                bytes.truncate(read);
                bytes
            }
            None => {
                let read = stitched::read(&self.vfs, &self.path, len);
                let bytes = read.map_err(disk("read a block"))?.unwrap_or_default();
                // Longer than it should be: not as it was written.
                if bytes.len() as u64 > len {
                    Vec::new()
                } else {
                    bytes
                }
            }
        };
        let is_complete = bytes.len() as u64 == len;
        let hash: Option<Hash> = (self.facts.is_sealed && is_complete).then(|| {
            let mut hasher = Hasher::default();
            hasher.write(&bytes);
            hasher.finish()
        });
        let is_intact = match (self.hash, hash) {
            (Some(written), Some(found)) => written == found,
            _ => is_complete && self.has_no_hole(&bytes),
        };
        Ok(Checked {
            base: self.facts.base,
            generation: self.facts.generation,
            hash: hash.filter(|_| is_intact),
            is_intact,
        })
    }
}

impl BlockCheck {
    fn has_no_hole(&self, bytes: &[u8]) -> bool {
        let mut is_whole = bytes.starts_with(&format::block_header(self.facts.base));
        block::parts(bytes, &self.facts, &mut |part| {
            is_whole &= matches!(part, Part::Record(..));
        });
        is_whole
    }
}

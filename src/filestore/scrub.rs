//! Looking for damage before somebody needs what is damaged.
//!
//! Separate because nothing else reads what nobody asked for. One call reads one sealed
//! block; who calls it decides how fast the whole store comes round.

use super::block::{Block, Hash};
use super::{FileStore, checkpoint};
use crate::store::error::Error;
use crate::store::message::Seq;

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

impl FileStore {
    /// Reads the next sealed block and compares it with what was written; none if no block
    /// is sealed.
    ///
    /// # Errors
    /// When the disk refuses. Damage is no error here: it is told, and counted.
    pub fn scrub(&mut self) -> Result<Option<Scrubbed>, Error> {
        let is_whole = |block: &Block| block.facts.is_sealed && block.unwritten.is_empty();
        let sealed = |at: &usize| is_whole(&self.blocks[*at]);
        let from = self.scrubbed;
        let behind = self
            .blocks
            .partition_point(|block| block.facts.base <= from);
        let mut turn = (behind..self.blocks.len()).chain(0..behind);
        let Some(at) = turn.find(sealed) else {
            return Ok(None);
        };
        let facts = &self.blocks[at].facts;
        let (base, last) = (facts.base, facts.last);
        self.scrubbed = base;
        let hash = self.blocks[at].hash.get().copied();
        let path = self.blocks[at].path(&self.dir);
        let now = checkpoint::hash_file(&*self.vfs, &path, &self.blocks[at]);
        let now = now.map_err(|failed| Error::Disk {
            what: failed.what,
            cause: failed.cause,
        })?;
        let same = now.is_some() && (hash.is_none() || hash == now);
        // The records tell which messages are concerned.
        let before = self.damaged.len();
        if !same || self.blocks[at].marks.is_none() {
            self.blocks[at].marks = None;
            self.look_through(at)?;
        }
        let is_intact = same && self.damaged.len() == before && self.blocks[at].holes.is_empty();
        Ok(Some(Scrubbed {
            base,
            last,
            hash,
            is_intact,
        }))
    }
}

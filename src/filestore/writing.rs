//! From the buffer to the files: when what was appended is written, where, and what of it
//! is not because the log keeps it.
//!
//! Separate because appending, checkpoints, scrub and rest all come here. Which files of
//! blocks are open is decided here too; one that is written anew is made by `compaction`.
//!
//! Invariants: a block's file holds its first bytes and memory the rest, nothing stands in
//! both; what found no room stays in memory and is tried again. Absent: waiting for the disk.

use std::sync::Arc;

use super::checkpoint::Dirty;
use super::stitched;
use super::{FileStore, OPEN_FILES_MAX, disk, manifest};
use crate::store::error::Error;
use crate::vfs::{self, File};

impl FileStore {
    /// Makes the store's directory, if there is none yet.
    pub(super) fn make_directory(&mut self) -> Result<(), Error> {
        if !self.has_directory {
            let made = self.vfs.create_dir_all(&self.dir);
            made.map_err(disk("make the directory of a stream"))?;
            self.has_directory = true;
        }
        Ok(())
    }

    /// Writes what was appended to its file. What finds no room stays in memory: the log
    /// has it too, and whoever watches the disk sees to it that no more comes.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        match self.write_out() {
            Err(error) if vfs::is_full(&error) => Ok(()),
            written => written,
        }
    }

    /// Writes what was appended to its file.
    pub(super) fn write_out(&mut self) -> Result<(), Error> {
        let held = if self.holds_blocks {
            self.blocks.len()
        } else {
            0
        };
        for at in 0..held {
            if self.blocks[at].unwritten.is_empty() {
                continue;
            }
            let bytes = std::mem::take(&mut self.blocks[at].unwritten);
            let written = self.write_end(at, &bytes);
            if written.is_err() {
                self.blocks[at].unwritten = bytes;
            } else {
                self.blocks[at].extents.clear();
            }
            written?;
        }
        self.holds_blocks = false;
        let Some(last) = self.blocks.len().checked_sub(1) else {
            return Ok(());
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        let written = self.write_end(last, &buffer);
        if written.is_ok() {
            if let Some(hasher) = &mut self.hasher {
                hasher.write(&buffer);
            }
            let block = &mut self.blocks[last];
            if block.extents.is_empty() {
                buffer.clear();
            } else {
                let start = block.facts.len - buffer.len() as u64;
                block.extents.clear();
                buffer = self.reader.keep(block, start, buffer);
            }
        }
        self.buffer = buffer;
        written
    }

    /// Writes the end of a block to its file.
    pub(super) fn write_end(&mut self, at: usize, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let file = self.file_to_write(at)?;
        let block = &self.blocks[at];
        let start = block.facts.len - bytes.len() as u64;
        let written = match &block.stitched {
            Some(stitched) => stitched.append(start, bytes, &block.extents),
            None => file.write_at(start, bytes),
        };
        written.map_err(disk("write a block"))?;
        self.note_dirty(&file);
        Ok(())
    }

    /// The file of a block, opened, in a directory that tells what it is.
    pub(super) fn file_to_write(&mut self, at: usize) -> Result<Arc<dyn File>, Error> {
        self.make_directory()?;
        if !self.has_manifest {
            // Tells at the next start that blocks without a checkpoint are no riddle: the
            // log has them. Not synced: without it they are moved aside, not deleted, and
            // its name is enough.
            let empty = manifest::Manifest::empty().encode();
            let path = self.dir.join(manifest::manifest_name(0));
            let file = self.vfs.open(&path, vfs::MODE_PRIVATE);
            let written = file.and_then(|file| file.write_at(0, &empty));
            written.map_err(disk("write the first manifest"))?;
            self.has_manifest = true;
        }
        self.file(at)
    }

    /// Writes what was appended to its file, if that is much.
    pub(super) fn flush_if_full(&mut self) -> Result<(), Error> {
        match self.buffer.len() >= self.options.buffer_bytes {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// The end of a block that is not in its file yet.
    pub(super) fn unwritten(&self, at: usize) -> &[u8] {
        match at + 1 == self.blocks.len() && self.blocks[at].unwritten.is_empty() {
            true => &self.buffer,
            false => &self.blocks[at].unwritten,
        }
    }

    pub(super) fn note_dirty(&mut self, file: &Arc<dyn File>) {
        let known = self
            .dirty
            .iter_mut()
            .find(|dirty| Arc::ptr_eq(&dirty.file, file));
        match known {
            Some(dirty) => dirty.captured = None,
            None => self.dirty.push(Dirty {
                file: Arc::clone(file),
                captured: None,
            }),
        }
    }

    /// The file of a block, opened.
    pub(super) fn file(&mut self, at: usize) -> Result<Arc<dyn File>, Error> {
        if let Some(file) = &self.blocks[at].file {
            return Ok(Arc::clone(file));
        }
        if self.open_files >= OPEN_FILES_MAX {
            self.close_files();
        }
        let block = &mut self.blocks[at];
        let path = block.path(&self.dir);
        let opened = match block.is_to_stitch {
            true => stitched::create(&self.vfs, &path),
            false => stitched::open(&self.vfs, &path),
        };
        let opened = opened.map_err(disk("open a block"))?;
        block.is_to_stitch = false;
        block.file = Some(Arc::clone(&opened.file));
        block.stitched = opened.stitched;
        self.open_files += 1;
        Ok(opened.file)
    }

    /// Closes all files but that of the last block, which is written to.
    pub(super) fn close_files(&mut self) {
        let last = self.blocks.len().saturating_sub(1);
        for block in self.blocks.iter_mut().take(last) {
            block.close();
        }
        self.open_files = 1;
    }

    /// Ends the last block: what follows goes into a new one.
    pub(super) fn seal(&mut self) -> Result<(), Error> {
        self.flush()?;
        // Without it the next checkpoint reads the file.
        let hasher = self.hasher.take().filter(|_| self.buffer.is_empty());
        if let Some(block) = self.blocks.back_mut() {
            block.facts.is_sealed = true;
            if let Some(hasher) = hasher {
                // Nobody has set it before: the block was not sealed.
                let _ = block.hash.set(hasher.finish());
            }
            if !self.buffer.is_empty() {
                block.unwritten = std::mem::take(&mut self.buffer);
                self.holds_blocks = true;
            }
        }
        self.drop_empty_blocks();
        Ok(())
    }
}

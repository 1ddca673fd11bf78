//! Opening a store: back to its last durable checkpoint.
//!
//! Separate because it is the only code that meets whatever a crash, a disk or a person
//! left in the directory.
//!
//! The newest manifest that is intact decides. Its last block is cut back to the length it
//! names; block files that it does not name were written after it, or are done with: the
//! log, or nobody, needs them. After a damaged manifest that is no longer sure, so then
//! whatever would be cut or removed is kept aside.
//!
//! Opening is in two steps, because only the log can tell whether it goes on where the
//! manifest ends: [`Opening::look`] reads, and whoever has the log compares; then
//! [`Opening::finish`] cuts and removes. A newer manifest may be gone without a trace, and
//! with it the only proof that the blocks behind this one are no leftovers.
//!
//! Invariants: nothing is changed before the log was asked; nothing is removed unless an
//! intact manifest proves it obsolete; a store with manifests of which none is intact does
//! not open; a file that is not there or too short is told of at once.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use super::block::{self, Block};
use super::checkpoint::{Progress, Retired, Shared};
use super::manifest::{self, BYTES_MAX, Manifest};
use super::pending::Pending;
use super::reader::Reader;
use super::recent::Recent;
use super::{FileStore, Health, Options, disk, stitched};
use crate::store::error::Error;
use crate::store::message::Seq;
use crate::store::subjects::Subjects;
use crate::vfs::Vfs;

/// What comes back beside the messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the machine gave to the checkpoint.
    pub state: Vec<u8>,
}

/// What lies in the directory.
#[derive(Debug, Default)]
struct Found {
    /// Numbers, descending.
    manifests: Vec<u64>,
    subjects: Vec<u64>,
    blocks: Vec<(Seq, u64)>,
    /// Segments of the log that blocks keep, by the names of these.
    links: BTreeMap<String, Vec<u64>>,
    temporary: Vec<String>,
    unknown: u64,
}

/// A store that was looked at and not changed.
pub struct Opening {
    store: FileStore,
    found: Found,
    /// The newest that is intact.
    manifest: Option<Manifest>,
    /// The one before.
    before: Option<Manifest>,
    /// Numbers of those that are intact, ascending.
    numbers: Vec<u64>,
    /// Names of those that are not.
    damaged: Vec<String>,
    is_sure: bool,
}

impl Opening {
    /// Looks at the store in a directory of its own, which is made with the first file.
    ///
    /// # Errors
    /// [`Error::Damaged`] if there was a checkpoint but none can be read any more: the
    /// replica needs another to copy from.
    pub fn look(vfs: Arc<dyn Vfs>, dir: PathBuf, options: Options) -> Result<Opening, Error> {
        let listed = Found::list(&*vfs, &dir)?;
        let has_directory = listed.is_some();
        let found = listed.unwrap_or_default();
        let mut store = FileStore {
            vfs,
            dir,
            options,
            ledger: crate::store::ledger::Ledger::default(),
            subjects: Subjects::new(),
            blocks: VecDeque::new(),
            buffer: Vec::new(),
            hasher: None,
            holds_blocks: false,
            log: None,
            pending: Pending::default(),
            reader: Reader::default(),
            recent: Recent::default(),
            cursor: super::Cursor::default(),
            lost: crate::sequence_set::SequenceSet::new(),
            number: 0,
            dirty: Vec::new(),
            retired: Vec::new(),
            shared: Arc::new(Shared::new(Progress::recovered(0, 0, vec![0]))),
            has_directory,
            has_manifest: false,
            damaged: std::collections::BTreeSet::new(),
            health: Health {
                unknown_files: found.unknown,
                ..Health::default()
            },
            scrubbed: Seq::NONE,
            open_files: 0,
        };
        let mut intact: Vec<Manifest> = Vec::new();
        let mut damaged = Vec::new();
        let mut is_sure = true;
        for number in &found.manifests {
            match store.read_manifest(*number)? {
                Some(manifest) => intact.push(manifest),
                None => {
                    let name = manifest::manifest_name(*number);
                    let file = store.dir.join(&name);
                    tracing::error!(file = %file.display(), "a manifest is damaged, a copy is kept");
                    store.copy_aside(&name)?;
                    damaged.push(name);
                    // One behind an intact one is no loss.
                    is_sure &= !intact.is_empty();
                }
            }
        }
        store.health.damaged_manifests = damaged.len() as u64;
        store.health.fell_back = !is_sure;
        if intact.is_empty() && !found.manifests.is_empty() {
            return Err(Error::Damaged {
                first: Seq(1),
                last: Seq::MAX,
            });
        }
        let numbers = intact.iter().rev().map(|manifest| manifest.number);
        let numbers = numbers.collect();
        let mut intact = intact.into_iter();
        Ok(Opening {
            store,
            found,
            manifest: intact.next(),
            before: intact.next(),
            numbers,
            damaged,
            is_sure,
        })
    }

    /// What the machine gave to the checkpoint that counts, if there was one.
    pub fn state(&self) -> Option<&[u8]> {
        let manifest = self.manifest.as_ref()?;
        (manifest.number > 0).then_some(&manifest.machine)
    }

    /// There are messages on the disk, in a checkpoint or not.
    pub fn has_blocks(&self) -> bool {
        !self.found.blocks.is_empty()
    }

    /// What would be cut or removed is kept aside: the log may not have all of it.
    pub fn keep_all(&mut self) {
        self.is_sure = false;
    }

    /// Opens the store: what the last durable checkpoint held is there; without a checkpoint
    /// it is empty.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(self) -> Result<(FileStore, Option<Restored>), Error> {
        let Opening {
            mut store,
            found,
            manifest,
            before,
            numbers,
            damaged,
            is_sure,
        } = self;
        for name in &found.temporary {
            store.remove_file(name)?;
        }
        let Some(manifest) = manifest else {
            // No checkpoint ever was; blocks without even the first manifest are a riddle.
            for (base, generation) in &found.blocks {
                store.move_aside(&block::name(*base, *generation))?;
            }
            for link in found.links.keys().flat_map(|block| found.links_of(block)) {
                store.move_link_aside(&link)?;
            }
            return Ok((store, None));
        };
        store.has_manifest = true;
        store.number = manifest.number;
        let Manifest {
            number,
            ledger,
            lost,
            blocks,
            machine,
            subjects,
        } = manifest;
        (store.ledger, store.lost) = (ledger, lost);
        let earlier = before.map(|manifest| (manifest.number, manifest.blocks));
        store.clear_leftovers(&found, &blocks, earlier.as_ref(), is_sure)?;
        store.blocks = blocks.into();
        store.find_files(&found);
        store.cut_last_block(is_sure)?;
        store.look_at_suspects()?;
        store.load_subjects(number, subjects)?;
        let before = earlier.as_ref().map_or(0, |(number, _)| *number);
        store.shared = Arc::new(Shared::new(Progress::recovered(number, before, numbers)));
        // Last: while it is there, the next start will not be sure either.
        for name in damaged {
            store.move_aside(&name)?;
        }
        let restored = (number > 0).then_some(Restored { state: machine });
        Ok((store, restored))
    }
}

impl FileStore {
    /// Opens the store in a directory of its own, sure that the log goes on where it ends.
    ///
    /// # Errors
    /// As [`Opening::look`] and [`Opening::finish`].
    pub fn open(
        vfs: Arc<dyn Vfs>,
        dir: PathBuf,
        options: Options,
    ) -> Result<(FileStore, Option<Restored>), Error> {
        Opening::look(vfs, dir, options)?.finish()
    }

    /// Finds out what is lost with files that are not there, end too early, or were found
    /// damaged before: of those there is a copy.
    fn look_at_suspects(&mut self) -> Result<(), Error> {
        let aside = match self.vfs.list(&self.options.quarantine) {
            Ok(names) => names,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(cause) => return Err(disk("list what was kept aside")(cause)),
        };
        for at in 0..self.blocks.len() {
            let name = self.name_aside(&self.blocks[at].name());
            let mut is_suspect = self.blocks[at].is_missing || aside.contains(&name);
            if !is_suspect {
                let file = self.file(at)?;
                let len = file.len().map_err(disk("look at a block"))?;
                is_suspect = len < self.blocks[at].facts.len;
            }
            if is_suspect {
                self.look_through(at)?;
            }
        }
        // There may be many streams that start and are not used.
        self.close_files();
        Ok(())
    }

    /// Of the first one only the name counts: a power cut may have left it without content.
    fn read_manifest(&self, number: u64) -> Result<Option<Manifest>, Error> {
        if number == 0 {
            // Says that there was no checkpoint by being there: it is written without a
            // sync, so what is in it may not have survived.
            return Ok(Some(Manifest::empty()));
        }
        let path = self.dir.join(manifest::manifest_name(number));
        let content = self.vfs.read(&path, BYTES_MAX);
        let content = content.map_err(disk("read a manifest"))?;
        let manifest = Manifest::decode(&content).ok();
        Ok(manifest.filter(|manifest| manifest.number == number))
    }

    /// Removes block files that no manifest names; those that only the earlier one names
    /// go with the next checkpoint.
    fn clear_leftovers(
        &mut self,
        found: &Found,
        named: &[Block],
        earlier: Option<&(u64, Vec<Block>)>,
        is_sure: bool,
    ) -> Result<(), Error> {
        let names = |blocks: &[Block], base: Seq, generation: u64| {
            let facts = blocks.iter().map(|block| &block.facts);
            let mut same = facts.filter(|facts| facts.base == base);
            same.any(|facts| facts.generation == generation)
        };
        let is_there = |base: Seq, generation: u64| found.blocks.contains(&(base, generation));
        for (base, generation) in &found.blocks {
            let name = block::name(*base, *generation);
            // In place of a file that is gone a later one of the same block may serve.
            let serves = named.iter().any(|block| {
                let facts = &block.facts;
                facts.base == *base && !is_there(*base, facts.generation)
            });
            if names(named, *base, *generation) || serves {
                continue;
            }
            if earlier.is_some_and(|(_, blocks)| names(blocks, *base, *generation)) {
                self.retired.push(Retired {
                    links: found.links_of(&name).collect(),
                    name,
                    since: self.number,
                    erase: false,
                });
            } else if is_sure {
                self.remove_file(&name)?;
            } else {
                self.move_aside(&name)?;
            }
        }
        for block in found.links.keys() {
            let is_retired = self.retired.iter().any(|retired| retired.name == *block);
            let is_needed = block::parse_name(block).is_some_and(|(base, generation)| {
                let is_there = is_there(base, generation);
                let serves = named.iter().any(|block| block.facts.base == base);
                names(named, base, generation) || is_there && serves
            });
            if is_retired || is_needed {
                continue;
            }
            for link in found.links_of(block) {
                match is_sure {
                    true => self.remove_file(&link)?,
                    false => self.move_link_aside(&link)?,
                }
            }
        }
        let last = found.manifests.first().copied().unwrap_or(0);
        for number in &found.subjects {
            if *number > last || !found.manifests.contains(number) {
                self.remove_file(&manifest::subjects_name(*number))?;
            }
        }
        Ok(())
    }

    /// Notes which named files are not there. After an erasure and a fall back a block may
    /// have been written anew since: that file has what is left.
    fn find_files(&mut self, found: &Found) {
        for block in &mut self.blocks {
            find_file(block, found);
            let links = found.links.get(&block.name());
            block.links = links.cloned().unwrap_or_default();
        }
    }

    /// Cuts the file of the last block back to what the manifest says.
    fn cut_last_block(&mut self, is_sure: bool) -> Result<(), Error> {
        for at in 0..self.blocks.len() {
            let is_last = at + 1 == self.blocks.len();
            if self.blocks[at].is_missing || !(is_last || self.blocks[at].is_replaced) {
                continue;
            }
            let file = self.file(at)?;
            let len = file.len().map_err(disk("look at a block"))?;
            if self.blocks[at].is_replaced {
                self.blocks[at].facts.len = len;
                self.blocks[at].facts.is_sealed = true;
            } else if len > self.blocks[at].facts.len {
                if !is_sure {
                    let name = self.blocks[at].name();
                    self.copy_aside(&name)?;
                }
                let cut = file.set_len(self.blocks[at].facts.len);
                cut.map_err(disk("cut a block"))?;
                self.note_dirty(&file);
            }
        }
        if let Some(block) = self.blocks.back_mut()
            && block.is_missing
        {
            // Nothing can be appended to a file that is not there.
            block.facts.is_sealed = true;
        }
        Ok(())
    }

    fn load_subjects(&mut self, number: u64, inline: Option<Vec<u8>>) -> Result<(), Error> {
        let name = manifest::subjects_name(number);
        let decoded = match inline {
            Some(inline) => manifest::decode_subjects(&inline).ok(),
            None => match self.vfs.read(&self.dir.join(&name), BYTES_MAX) {
                Ok(content) => {
                    let decoded = manifest::decode_subjects_file(&content).ok();
                    if decoded.is_none() {
                        self.copy_aside(&name)?;
                    }
                    decoded
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(cause) => return Err(disk("read the figures of subjects")(cause)),
            },
        };
        match decoded {
            Some(subjects) => self.subjects = subjects,
            None => {
                self.health.subjects_rebuilt = true;
                let mut subjects = Subjects::new();
                self.visit(Seq(1), &mut |message| {
                    subjects.append(message.subject, message.seq);
                    std::ops::ControlFlow::Continue(())
                })?;
                self.subjects = subjects;
            }
        }
        Ok(())
    }

    fn remove_file(&self, name: &str) -> Result<(), Error> {
        let removed = self.vfs.remove(&self.dir.join(name));
        removed.map_err(disk("remove an old file"))
    }
}

/// Notes whether the file of a block is there, or another generation of it.
fn find_file(block: &mut Block, found: &Found) {
    let facts = &mut block.facts;
    let same = found.blocks.iter().filter(|(base, _)| *base == facts.base);
    let mut generations = same.clone().map(|(_, generation)| *generation);
    if generations.any(|generation| generation == facts.generation) {
        return;
    }
    match same.map(|(_, generation)| *generation).max() {
        Some(generation) if generation > facts.generation => {
            facts.generation = generation;
            block.is_replaced = true;
        }
        _ => block.is_missing = true,
    }
}

/// Block and segment, if this is the name of a link of a block.
fn link_of_block(name: &str) -> Option<(String, u64)> {
    let (block, segment) = stitched::parse_link(name)?;
    block::parse_name(block).map(|_| (block.to_owned(), segment))
}

impl Found {
    /// The names under which a block keeps segments.
    fn links_of(&self, block: &str) -> impl Iterator<Item = String> {
        let known = self.links.get_key_value(block).into_iter();
        known.flat_map(|(block, segments)| {
            let link = |segment: &u64| stitched::link_name(block, *segment);
            segments.iter().map(link)
        })
    }

    /// None if there is no directory.
    fn list(vfs: &dyn Vfs, dir: &std::path::Path) -> Result<Option<Found>, Error> {
        let mut found = Found::default();
        let names = match vfs.list(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            names => names.map_err(disk("list the directory of a stream"))?,
        };
        for name in names {
            if let Some(number) = manifest::parse_name("manifest-", &name) {
                found.manifests.push(number);
            } else if let Some(number) = manifest::parse_name("subjects-", &name) {
                found.subjects.push(number);
            } else if let Some(block) = block::parse_name(&name) {
                found.blocks.push(block);
            } else if let Some((block, segment)) = link_of_block(&name) {
                found.links.entry(block).or_default().push(segment);
            } else if name.starts_with('.') && name.ends_with(".tmp") {
                found.temporary.push(name);
            } else {
                found.unknown += 1;
            }
        }
        found.manifests.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Some(found))
    }
}

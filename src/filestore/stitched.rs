//! A block file that leaves payloads where the log wrote them.
//!
//! Separate because everybody else sees a file of whole records: what stands here and what
//! stands in segments of the log is stitched together while it is read. A segment is kept
//! by a name of its own beside the block, `block-…-0.<segment>`, so nobody has to know who
//! else needs it.
//!
//! ```text
//!   file    piece, piece, …                   one for each time the store's buffer was written
//!   piece   magic 4 │ length of the body u32 │ place in the block u64 │ bytes it stands for u32
//!           crc32c of the body u32 │ crc32c u32 of the 24 before │ body
//!   body    number of extents, for each: bytes before it that are here │ its length │ segment
//!           │ offset in the segment; then the bytes that are here
//! ```
//! Numbers of the body are LEB128, all others little endian.
//!
//! Invariants: a piece is written once and names only what is synced and linked; what cannot
//! be read, here or in a segment, reads as zeros or in part, which no record's checksum takes
//! for it; a damaged piece takes no other with it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::sequence_set::{put_number, take_number};
use crate::vfs::{self, Error, File, Vfs};
use crate::wal::page;
use crate::wal::reader::{ReadError, Reader};

const MAGIC: &[u8; 4] = b"NTRP";
const HEAD: usize = 28;
/// Where the next intact piece is looked for behind a damaged one.
const SEARCH_BYTES: usize = 64 << 10;
/// Segments that are kept open: a block lies in one or two.
const READERS: usize = 2;

/// A part of a block that stands in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the block.
    pub at: u64,
    /// Its bytes.
    pub len: u32,
    /// The segment.
    pub segment: u64,
    /// Its first byte there.
    pub offset: u64,
}

/// A block file with parts in segments, as one file.
pub struct Stitched {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    file: Arc<dyn File>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Ascending.
    pieces: Vec<Piece>,
    /// Where the next one is written.
    end: u64,
    /// There is something behind `end`.
    has_rest: bool,
    /// The one that was read last.
    loaded: Option<(usize, Body)>,
    readers: Vec<Reader>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Where it begins in the block.
    start: u64,
    /// The bytes that it stands for.
    len: u64,
    /// Where its body is in the file.
    body_at: u64,
    body_len: u32,
    crc: u32,
}

/// A piece that was read.
#[derive(Default)]
struct Body {
    extents: Vec<Extent>,
    /// Where the bytes begin that are here.
    here_at: usize,
    bytes: Vec<u8>,
}

/// An opened block file, and how to append to it if that is by pieces.
pub struct Opened {
    /// The whole block.
    pub file: Arc<dyn File>,
    /// The same, if it is stitched.
    pub stitched: Option<Arc<Stitched>>,
}

/// Opens a block file, whatever it is; makes an empty plain one if there is none.
///
/// # Errors
/// When the disk refuses.
pub fn open(vfs: &Arc<dyn Vfs>, path: &Path) -> Result<Opened, Error> {
    let file = vfs.open(path, vfs::MODE_PRIVATE)?;
    let mut begin = [0; 8];
    let read = file.read_at(0, &mut begin)?;
    let is_plain = read == 0 || super::format::is_block(&begin[..read]);
    if is_plain {
        return Ok(Opened {
            file,
            stitched: None,
        });
    }
    let stitched = Stitched::new(vfs, path, Arc::clone(&file));
    let is_stitched = stitched.find_pieces()?;
    if !is_stitched {
        return Ok(Opened {
            file,
            stitched: None,
        });
    }
    Ok(stitched.opened())
}

/// Makes a block file that pieces are appended to; of an earlier one of that name nothing
/// stays.
///
/// # Errors
/// When the disk refuses.
pub fn create(vfs: &Arc<dyn Vfs>, path: &Path) -> Result<Opened, Error> {
    let file = vfs.open(path, vfs::MODE_PRIVATE)?;
    file.set_len(0)?;
    Ok(Stitched::new(vfs, path, file).opened())
}

/// The first `len` bytes of a block, or as many as there are, and one more if it is longer:
/// then it is not the block that was written. None if the file is not there.
///
/// # Errors
/// When the disk refuses.
pub fn read(vfs: &Arc<dyn Vfs>, path: &Path, len: u64) -> Result<Option<Vec<u8>>, Error> {
    if !exists(&**vfs, path)? {
        return Ok(None);
    }
    let file = open(vfs, path)?.file;
    let len = file.len()?.min(len.saturating_add(1));
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

fn exists(vfs: &dyn Vfs, path: &Path) -> Result<bool, Error> {
    match vfs.read(path, 0) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == ErrorKind::FileTooLarge => Ok(true),
        read => read.map(|_| true),
    }
}

/// The name under which a block keeps a segment.
pub fn link_name(block: &str, segment: u64) -> String {
    format!("{block}.{segment:020}")
}

/// The inverse of [`link_name`].
pub fn parse_link(name: &str) -> Option<(&str, u64)> {
    let (block, segment) = name.split_once('.')?;
    let number = segment.parse().ok()?;
    (link_name(block, number) == name).then_some((block, number))
}

impl Stitched {
    fn new(vfs: &Arc<dyn Vfs>, path: &Path, file: Arc<dyn File>) -> Stitched {
        Stitched {
            vfs: Arc::clone(vfs),
            path: path.to_owned(),
            file,
            state: Mutex::default(),
        }
    }

    fn opened(self) -> Opened {
        let stitched = Arc::new(self);
        Opened {
            file: Arc::clone(&stitched) as Arc<dyn File>,
            stitched: Some(stitched),
        }
    }

    /// Finds the pieces of the file; false if there is none.
    fn find_pieces(&self) -> Result<bool, Error> {
        let len = self.file.len()?;
        let mut state = self.state.lock();
        let mut at = 0;
        let mut next = 0;
        while at < len {
            let mut head = [0; HEAD];
            self.file.read_at(at, &mut head)?;
            let Some(piece) = parse_head(&head, at, next, len) else {
                match self.next_piece(at + 1, next, len)? {
                    Some(found) => at = found,
                    None => break,
                }
                continue;
            };
            at = piece.body_at + u64::from(piece.body_len);
            next = piece.start + piece.len;
            state.pieces.push(piece);
            state.end = at;
        }
        state.has_rest = state.end < len;
        Ok(!state.pieces.is_empty())
    }

    /// The next place from `at` on where an intact piece begins.
    fn next_piece(&self, mut at: u64, next: u64, len: u64) -> Result<Option<u64>, Error> {
        let mut bytes = vec![0; SEARCH_BYTES + HEAD];
        while at < len {
            let read = self.file.read_at(at, &mut bytes)?;
            let heads = bytes[..read].windows(HEAD).enumerate();
            let mut heads = heads.filter(|(_, head)| head.starts_with(MAGIC));
            let found = heads.find(|(from, head)| {
                let head = <&[u8; HEAD]>::try_from(*head);
                head.is_ok_and(|head| parse_head(head, at + *from as u64, next, len).is_some())
            });
            if let Some((from, _)) = found {
                return Ok(Some(at + from as u64));
            }
            at += SEARCH_BYTES as u64;
        }
        Ok(None)
    }

    /// Writes the next part of the block: `bytes` from `start` on, without what the extents
    /// say stands elsewhere.
    ///
    /// # Errors
    /// When the disk refuses; the piece is not there then.
    pub fn append(&self, start: u64, bytes: &[u8], extents: &[Extent]) -> Result<(), Error> {
        let mut here = Vec::new();
        let mut from = 0;
        for extent in extents {
            let extent_at = (extent.at - start) as usize;
            here.extend_from_slice(&bytes[from..extent_at]);
            from = extent_at + extent.len as usize;
        }
        here.extend_from_slice(&bytes[from..]);
        self.append_here(start, bytes.len() as u64, &here, extents)
    }

    /// As [`Stitched::append`], of `len` bytes; `here` is what of them stands nowhere else.
    ///
    /// # Errors
    /// When the disk refuses; the piece is not there then.
    pub fn append_here(
        &self,
        start: u64,
        len: u64,
        here: &[u8],
        extents: &[Extent],
    ) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.has_rest {
            self.file.set_len(state.end)?;
            state.has_rest = false;
        }
        let (content, piece) = encode(state.end, start, len, here, extents);
        state.has_rest = true;
        self.file.write_at(state.end, &content)?;
        state.has_rest = false;
        state.end += content.len() as u64;
        state.pieces.push(piece);
        Ok(())
    }

    /// Makes `state.loaded` the piece; what cannot be read is empty.
    fn load(&self, state: &mut State, number: usize) -> Result<(), Error> {
        if matches!(&state.loaded, Some((loaded, _)) if *loaded == number) {
            return Ok(());
        }
        let piece = state.pieces[number];
        let mut bytes = vec![0; piece.body_len as usize];
        let read = self.file.read_at(piece.body_at, &mut bytes)?;
        bytes.truncate(read);
        let is_intact = crc32c::crc32c(&bytes) == piece.crc;
        let body = is_intact.then(|| decode(bytes, &piece)).flatten();
        state.loaded = Some((number, body.unwrap_or_default()));
        Ok(())
    }

    /// Fills `into` with the part of a piece that begins at `from` in the block.
    fn read_piece(
        &self,
        state: &mut State,
        number: usize,
        from: u64,
        into: &mut [u8],
    ) -> Result<(), Error> {
        self.load(state, number)?;
        let start = state.pieces[number].start;
        let Some((_, body)) = state.loaded.take() else {
            return Ok(());
        };
        let filled = self.fill(&mut state.readers, start, &body, from, into);
        state.loaded = Some((number, body));
        filled
    }

    fn fill(
        &self,
        readers: &mut Vec<Reader>,
        start: u64,
        body: &Body,
        from: u64,
        into: &mut [u8],
    ) -> Result<(), Error> {
        into.fill(0);
        let end = from + into.len() as u64;
        let here = body.bytes.get(body.here_at..).unwrap_or_default();
        // How many bytes before `at` stand in segments.
        let mut elsewhere = 0;
        let mut at = start;
        let first = body
            .extents
            .partition_point(|extent| extent.at + u64::from(extent.len) <= from);
        if let Some(before) = first.checked_sub(1) {
            elsewhere = body.extents[..first]
                .iter()
                .map(|extent| u64::from(extent.len))
                .sum();
            at = body.extents[before].at + u64::from(body.extents[before].len);
        }
        let mut extents = body.extents[first..].iter();
        while at < end {
            let extent = extents.next();
            let gap_end = extent.map_or(u64::MAX, |extent| extent.at);
            let (copy_from, copy_to) = (at.max(from), gap_end.min(end));
            if copy_from < copy_to {
                let source = (copy_from - start - elsewhere) as usize;
                let target = (copy_from - from) as usize;
                let part = here.get(source..).unwrap_or_default();
                let len = part.len().min((copy_to - copy_from) as usize);
                into[target..target + len].copy_from_slice(&part[..len]);
            }
            let Some(extent) = extent else { break };
            let extent_end = extent.at + u64::from(extent.len);
            let (copy_from, copy_to) = (extent.at.max(from), extent_end.min(end));
            if copy_from < copy_to {
                let offset = page::content_after(extent.offset, copy_from - extent.at);
                let target = &mut into[(copy_from - from) as usize..(copy_to - from) as usize];
                self.read_segment(readers, extent.segment, offset, target)?;
            }
            elsewhere += u64::from(extent.len);
            at = extent_end;
        }
        Ok(())
    }

    /// Reads content of a segment; what is damaged or gone stays as it is.
    fn read_segment(
        &self,
        readers: &mut Vec<Reader>,
        segment: u64,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), Error> {
        let known = readers
            .iter()
            .position(|reader| reader.segment() == segment);
        let at = match known {
            Some(at) => at,
            None => {
                let name = self.path.file_name().unwrap_or_default().to_string_lossy();
                let path = self.path.with_file_name(link_name(&name, segment));
                // Opening would make it.
                if !exists(&*self.vfs, &path)? {
                    return Ok(());
                }
                if readers.len() >= READERS {
                    readers.remove(0);
                }
                readers.push(Reader::new(
                    segment,
                    self.vfs.open(&path, vfs::MODE_PRIVATE)?,
                ));
                readers.len() - 1
            }
        };
        match readers[at].read_into(offset, into) {
            // Half of it is no more than nothing: the record's checksum says so.
            Ok(()) | Err(ReadError::Changed) => Ok(()),
            Err(ReadError::Disk(error)) => Err(error),
        }
    }
}

impl File for Stitched {
    /// Whoever appends waits for one piece at most.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let len = self.state.lock().len();
        let count = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = count.min(buffer.len());
        let end = offset + count as u64;
        let mut at = offset;
        while at < end {
            let mut state = self.state.lock();
            let ends = |piece: &Piece| piece.start + piece.len <= at;
            let number = state.pieces.partition_point(ends);
            let Some(piece) = state.pieces.get(number).copied() else {
                break;
            };
            // What is before it stood in a damaged piece.
            let from = piece.start.clamp(at, end);
            let to = (piece.start + piece.len).min(end).max(from);
            let target = &mut buffer[(at - offset) as usize..(to - offset) as usize];
            let (gap, target) = target.split_at_mut((from - at) as usize);
            gap.fill(0);
            if !target.is_empty() {
                self.read_piece(&mut state, number, from, target)?;
            }
            at = to;
        }
        Ok((at - offset) as usize)
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> Result<(), Error> {
        Err(self.unsupported("write"))
    }

    fn sync(&self) -> Result<(), Error> {
        self.file.sync()
    }

    fn len(&self) -> Result<u64, Error> {
        Ok(self.state.lock().len())
    }

    /// Lets go of the pieces that reach beyond.
    fn set_len(&self, len: u64) -> Result<(), Error> {
        let mut state = self.state.lock();
        let kept = state
            .pieces
            .partition_point(|piece| piece.start + piece.len <= len);
        state.pieces.truncate(kept);
        state.loaded = None;
        let end = |piece: &Piece| piece.body_at + u64::from(piece.body_len);
        state.end = state.pieces.last().map_or(0, end);
        state.has_rest = true;
        self.file.set_len(state.end)?;
        state.has_rest = false;
        Ok(())
    }

    fn allocate(&self, _len: u64) -> Result<(), Error> {
        Err(self.unsupported("allocate"))
    }

    fn names(&self) -> Result<u64, Error> {
        self.file.names()
    }
}

impl Stitched {
    fn unsupported(&self, operation: &'static str) -> Error {
        Error::new(operation, &self.path, ErrorKind::Unsupported.into())
    }
}

impl State {
    fn len(&self) -> u64 {
        let last = self.pieces.last();
        last.map_or(0, |piece| piece.start + piece.len)
    }
}

/// A piece as bytes, and what is known of it when it is written at `at`.
fn encode(at: u64, start: u64, len: u64, here: &[u8], extents: &[Extent]) -> (Vec<u8>, Piece) {
    let mut out = vec![0; HEAD];
    put_number(&mut out, extents.len() as u64);
    let mut done = start;
    for extent in extents {
        for number in [
            extent.at - done,
            u64::from(extent.len),
            extent.segment,
            extent.offset,
        ] {
            put_number(&mut out, number);
        }
        done = extent.at + u64::from(extent.len);
    }
    out.extend_from_slice(here);
    let piece = Piece {
        start,
        len,
        body_at: at + HEAD as u64,
        body_len: (out.len() - HEAD) as u32,
        crc: crc32c::crc32c(&out[HEAD..]),
    };
    out[..4].copy_from_slice(MAGIC);
    out[4..8].copy_from_slice(&piece.body_len.to_le_bytes());
    out[8..16].copy_from_slice(&start.to_le_bytes());
    out[16..20].copy_from_slice(&(len as u32).to_le_bytes());
    out[20..24].copy_from_slice(&piece.crc.to_le_bytes());
    let crc = crc32c::crc32c(&out[..24]);
    out[24..HEAD].copy_from_slice(&crc.to_le_bytes());
    (out, piece)
}

/// The piece that begins at `at`; none if it is damaged, reaches beyond the file, or begins
/// before `next` in the block.
fn parse_head(head: &[u8; HEAD], at: u64, next: u64, file_len: u64) -> Option<Piece> {
    let word = |at: usize| page::u32_at(head, at);
    if !head.starts_with(MAGIC) || crc32c::crc32c(&head[..24]) != word(24) {
        return None;
    }
    let piece = Piece {
        start: page::u64_at(head, 8),
        len: u64::from(word(16)),
        body_at: at + HEAD as u64,
        body_len: word(4),
        crc: word(20),
    };
    let fits = piece.body_at + u64::from(piece.body_len) <= file_len;
    (fits && piece.start >= next && piece.len > 0).then_some(piece)
}

/// The body of a piece; none if it is not one.
fn decode(bytes: Vec<u8>, piece: &Piece) -> Option<Body> {
    let mut rest = bytes.as_slice();
    let count = take_number(&mut rest).ok()?;
    let mut extents = Vec::with_capacity(usize::try_from(count).ok()?.min(rest.len()));
    let mut done = piece.start;
    for _ in 0..count {
        let at = done.checked_add(take_number(&mut rest).ok()?)?;
        let extent = Extent {
            at,
            len: u32::try_from(take_number(&mut rest).ok()?).ok()?,
            segment: take_number(&mut rest).ok()?,
            offset: take_number(&mut rest).ok()?,
        };
        done = at.checked_add(u64::from(extent.len))?;
        extents.push(extent);
    }
    let here_at = bytes.len() - rest.len();
    Some(Body {
        extents,
        here_at,
        bytes,
    })
}

#[cfg(test)]
mod tests;

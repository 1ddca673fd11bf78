//! How far the log has come, in a file of its own.
//!
//! ```text
//!   tail:  │magic 8│version u32│batch u64│segment bytes u64│end │crc32c u32│
//!   end:   │segment u64│offset u64│batch u64│      zeros while the log is open
//! ```
//!
//! Separate because a log cannot tell from itself that its end is gone: without its last
//! segment, or with a part of it, it is a shorter log. It is written when the first batch of
//! a segment is synced, and when the log is closed: that is seldom, and every segment that
//! holds anything is witnessed. Nor can a log tell, but by being looked through to the last
//! page, that nothing is behind its end: when it was closed, the note says so.
//!
//! Invariants: the batch it names was synced before, so that a log that ends earlier has
//! lost something; an end is noted when the log was closed there, and taken back before
//! anything is written behind it; nothing depends on the note's being there.

use std::io::ErrorKind;
use std::path::Path;

use crc32c::crc32c;

use crate::vfs::{self, Vfs};
use crate::wal::error::Error;
use crate::wal::page::{u32_at, u64_at};

/// The file's name.
pub const NAME: &str = "tail";
const MAGIC: &[u8; 8] = b"nattrtl\n";
const VERSION: u32 = 2;
const BYTES: usize = 56;

/// How far the log has come at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// A batch that was synced and holds more than that the log was closed.
    pub seq: u64,
    /// The bytes of the segment that it is in; 0 if that is not known.
    pub segment_bytes: u64,
    /// Where the log was closed; none once it is open again.
    pub end: Option<End>,
}

/// The last batch of a log that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Its segment, counted from 1.
    pub segment: u64,
    /// Where in it the batch begins.
    pub offset: u64,
    /// Its number.
    pub seq: u64,
}

/// What the file says; none if it is not there or damaged.
///
/// # Errors
/// When the disk refuses.
pub fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Option<Tail>, Error> {
    let path = dir.join(NAME);
    let bytes = match vfs.read(&path, 4096) {
        Ok(bytes) => bytes,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        Err(err) if err.kind() == ErrorKind::FileTooLarge => Vec::new(),
        Err(err) => return Err(err.into()),
    };
    let is_good = bytes.len() == BYTES
        && bytes.starts_with(MAGIC)
        && crc32c(&bytes[..BYTES - 4]) == u32_at(&bytes, BYTES - 4)
        && u32_at(&bytes, 8) == VERSION;
    if !is_good {
        let file = path.display();
        tracing::warn!(%file, "write-ahead log: the note of its end is damaged, it is written anew");
        return Ok(None);
    }
    Ok(Some(Tail {
        seq: u64_at(&bytes, 12),
        segment_bytes: u64_at(&bytes, 20),
        end: Some(End {
            segment: u64_at(&bytes, 28),
            offset: u64_at(&bytes, 36),
            seq: u64_at(&bytes, 44),
        })
        .filter(|end| end.segment > 0),
    }))
}

/// Notes how far the log has come. A disk without room is no failure: the note before stays,
/// unless it says where the log ends.
///
/// # Errors
/// When the disk refuses.
pub fn write(vfs: &dyn Vfs, dir: &Path, tail: Tail) -> Result<(), Error> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&tail.seq.to_le_bytes());
    bytes.extend_from_slice(&tail.segment_bytes.to_le_bytes());
    let end = tail.end.map(|end| [end.segment, end.offset, end.seq]);
    for number in end.unwrap_or_default() {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
    let path = dir.join(NAME);
    let written = vfs.write_atomically(&path, &bytes, vfs::MODE_PRIVATE);
    let is_written = written.is_ok();
    match written.and_then(|()| vfs.sync_dir(dir)) {
        Err(err) if err.is_full() => {}
        written => return Ok(written?),
    }
    if is_written || read(vfs, dir)?.is_some_and(|before| before.end.is_some()) {
        vfs.remove(&path)?;
        vfs.sync_dir(dir)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::sim::SimVfs;

    const DIR: &str = "/wal";

    #[test]
    fn a_note_comes_back_and_damage_is_none() {
        let vfs = SimVfs::new();
        vfs.create_dir_all(Path::new(DIR)).unwrap();
        assert_eq!(read(&vfs, Path::new(DIR)).unwrap(), None);
        let tail = Tail {
            seq: 7,
            segment_bytes: 1 << 20,
            end: Some(End {
                segment: 3,
                offset: 4096,
                seq: 8,
            }),
        };
        write(&vfs, Path::new(DIR), tail).unwrap();
        assert_eq!(read(&vfs, Path::new(DIR)).unwrap(), Some(tail));
        let path = Path::new(DIR).join(NAME);
        for at in 0..BYTES as u64 {
            vfs.flip(&path, at, 1);
            assert_eq!(read(&vfs, Path::new(DIR)).unwrap(), None, "byte {at}");
            vfs.flip(&path, at, 1);
        }
        vfs.write_atomically(&path, b"", 0o600).unwrap();
        assert_eq!(read(&vfs, Path::new(DIR)).unwrap(), None);
    }
}

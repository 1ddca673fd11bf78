//! Pages: 4 KiB that say which batch they belong to, and whether all of them arrived.
//!
//! Separate because telling *torn* from *rotten* is decided here, by pure functions over one
//! page. A disk writes sectors of 512 bytes; a page of which only some sectors arrived was
//! never synced, a page of which all arrived and whose checksum is wrong has rotted. So the
//! last four bytes of every sector are a stamp made from segment, batch and page number, and
//! the bytes that belong there stand in the header.
//!
//! ```text
//!   0      4          8         16          24            26       32                 64
//!   │crc32c│page in   │segment  │batch seq  │first record │reserved│the 8 sectors'     │ content …
//!   │ u32  │batch u32 │salt u64 │u64        │offset u16   │        │true ends, 4 B each│
//!
//!   sector 0 …508│stamp│ sector 1 …1020│stamp│ … sector 7 …4092│stamp│
//! ```
//!
//! Invariants: the checksum covers everything behind it, stamps included; a page opens only
//! as the page it was sealed as. All numbers are little endian.

use crc32c::crc32c;

/// The bytes of a page.
pub const PAGE: usize = 4096;
/// Where a page's content begins.
pub const CONTENT: usize = 64;
/// What a disk writes whole.
const SECTOR: usize = 512;
const SECTORS: usize = PAGE / SECTOR;
/// Where the true ends of the sectors stand.
const ENDS: usize = 32;
/// A stamp that differs in no more bits has rotted; one that belongs to something else
/// differs in about 16.
const STAMP_BITS_WRONG_MAX: u32 = 4;

/// Which page it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The segment's salt.
    pub salt: u64,
    /// The batch.
    pub seq: u64,
    /// The page's place in the batch.
    pub page: u32,
}

/// What a page turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The page looked for, unharmed.
    Good,
    /// All its sectors were written as this page, and something changed since.
    Rotten,
    /// Some sector was never written as this page.
    Absent,
}

/// The salt of a segment: differs in about half of its bits from that of every other one.
pub const fn salt(segment: u64) -> u64 {
    mix(segment ^ 0x6e61_7474_6572_7761)
}

const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Stamp {
    /// What stands at the end of each sector.
    pub const fn sector_end(self) -> [u8; 4] {
        let mixed = mix(self.salt ^ mix(self.seq ^ mix(self.page as u64)));
        ((mixed >> 32) as u32).to_le_bytes()
    }
}

/// Reads a little-endian number; zeros beyond the end.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    if let Some(found) = bytes.get(at..at + 8) {
        number.copy_from_slice(found);
    }
    u64::from_le_bytes(number)
}

/// As [`u64_at`].
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    if let Some(found) = bytes.get(at..at + 4) {
        number.copy_from_slice(found);
    }
    u32::from_le_bytes(number)
}

/// Fills in the header of a page whose content is complete; its checksum.
/// `first_record` is where the first record that begins in this page begins, 0 if none does.
pub fn seal(page: &mut [u8], stamp: Stamp, first_record: u16) -> u32 {
    debug_assert_eq!(page.len(), PAGE);
    page[4..8].copy_from_slice(&stamp.page.to_le_bytes());
    page[8..16].copy_from_slice(&stamp.salt.to_le_bytes());
    page[16..24].copy_from_slice(&stamp.seq.to_le_bytes());
    page[24..26].copy_from_slice(&first_record.to_le_bytes());
    page[26..ENDS].fill(0);
    let end = stamp.sector_end();
    for sector in 0..SECTORS {
        let at = (sector + 1) * SECTOR - 4;
        page.copy_within(at..at + 4, ENDS + 4 * sector);
        page[at..at + 4].copy_from_slice(&end);
    }
    let crc = crc32c(&page[4..]);
    page[..4].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// Which page this is, if it is unharmed and of the segment with this salt.
pub fn identify(page: &[u8], salt: u64) -> Option<Stamp> {
    let stamp = Stamp {
        salt,
        seq: u64_at(page, 16),
        page: u32_at(page, 4),
    };
    let fits = page.len() == PAGE && u64_at(page, 8) == salt;
    (fits && checksum(page) == crc32c(&page[4..])).then_some(stamp)
}

/// Whether this is the page, and in what condition.
pub fn examine(page: &[u8], stamp: Stamp) -> Condition {
    if page.len() != PAGE {
        return Condition::Absent;
    }
    if identify(page, stamp.salt) == Some(stamp) {
        return Condition::Good;
    }
    let end = u32::from_le_bytes(stamp.sector_end());
    let written = (1..=SECTORS).all(|sector| {
        let found = u32_at(page, sector * SECTOR - 4);
        (found ^ end).count_ones() <= STAMP_BITS_WRONG_MAX
    });
    if written {
        Condition::Rotten
    } else {
        Condition::Absent
    }
}

/// What stands where the sectors of a page end, if it was sealed.
pub fn sector_ends(page: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    let sectors = page.chunks_exact(SECTOR);
    sectors.filter_map(|sector| sector.last_chunk().copied())
}

/// Puts the true ends of the sectors back: from here on the content is what was sealed.
pub fn open(page: &mut [u8]) {
    debug_assert_eq!(page.len(), PAGE);
    for sector in 0..SECTORS {
        let from = ENDS + 4 * sector;
        page.copy_within(from..from + 4, (sector + 1) * SECTOR - 4);
    }
}

/// The place of the byte of content that comes `bytes` behind the one at `offset`.
pub const fn content_after(offset: u64, bytes: u64) -> u64 {
    let page = PAGE as u64;
    let left = page - offset % page;
    if bytes < left {
        return offset + bytes;
    }
    let bytes = bytes - left;
    let content = page - CONTENT as u64;
    (offset / page + 1 + bytes / content) * page + CONTENT as u64 + bytes % content
}

/// The checksum a page claims.
pub fn checksum(page: &[u8]) -> u32 {
    u32_at(page, 0)
}

/// Where the first record that begins in the page begins; `None` if none does.
pub fn first_record(page: &[u8]) -> Option<usize> {
    let at = usize::from(u16::from_le_bytes([*page.get(24)?, *page.get(25)?]));
    (CONTENT..PAGE).contains(&at).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        salt: salt(7),
        seq: 12,
        page: 3,
    };

    fn content() -> Vec<u8> {
        (0..PAGE).map(|at| (at % 251) as u8).collect()
    }

    fn sealed() -> Vec<u8> {
        let mut page = content();
        seal(&mut page, STAMP, 100);
        page
    }

    #[test]
    fn a_sealed_page_opens_as_it_was() {
        let mut page = sealed();
        assert_eq!(examine(&page, STAMP), Condition::Good);
        assert_eq!(identify(&page, STAMP.salt), Some(STAMP));
        assert_eq!(first_record(&page), Some(100));
        open(&mut page);
        assert_eq!(page[CONTENT..], content()[CONTENT..]);
    }

    #[test]
    fn content_goes_on_behind_the_next_header() {
        let page = PAGE as u64;
        for (offset, bytes, expected) in [
            (100, 0, 100),
            (100, page - 101, page - 1),
            (100, page - 100, page + 64),
            (100, page - 100 + 4032, 2 * page + 64),
            (3 * page + 64, 4031, 4 * page - 1),
            (3 * page + 64, 2 * 4032 + 5, 5 * page + 69),
        ] {
            assert_eq!(content_after(offset, bytes), expected, "{offset} {bytes}");
        }
    }

    #[test]
    fn another_page_is_absent() {
        for other in [
            Stamp { seq: 13, ..STAMP },
            Stamp { page: 4, ..STAMP },
            Stamp {
                salt: salt(8),
                ..STAMP
            },
        ] {
            assert_eq!(examine(&sealed(), other), Condition::Absent);
        }
        assert_eq!(identify(&sealed(), salt(8)), None);
        assert_eq!(examine(&[0; PAGE], STAMP), Condition::Absent);
        assert_eq!(examine(&[], STAMP), Condition::Absent);
    }

    #[test]
    fn every_flipped_bit_is_rot() {
        for at in 0..PAGE {
            let mut page = sealed();
            page[at] ^= 1 << (at % 8);
            assert_eq!(examine(&page, STAMP), Condition::Rotten, "byte {at}");
            assert_eq!(identify(&page, STAMP.salt), None);
        }
    }

    #[test]
    fn every_missing_sector_is_torn() {
        for sector in 0..SECTORS {
            for old in [0, 0x55] {
                let mut page = sealed();
                page[sector * SECTOR..][..SECTOR].fill(old);
                assert_eq!(examine(&page, STAMP), Condition::Absent, "sector {sector}");
            }
        }
    }
}

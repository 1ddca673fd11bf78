//! What a power cut leaves of what was not synced.

use super::change::Change;
use super::{PAGE, SECTOR};
use crate::entropy::Random;

/// What of the unsynced changes is there after a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// Everything, as when only the process died.
    Everything,
    /// The first ones.
    Prefix(u64),
    /// Each one or not, by this seed: what was written later may be there alone.
    Some(u64),
    /// Each 4 KiB page of each write or not.
    SomePages(u64),
    /// Each 512-byte sector of each write or not.
    SomeSectors(u64),
    /// The first ones, and of the next one the first sectors.
    Torn(u64),
    /// Everything, but of the last write's last page only some sectors.
    TornLastPage(u64),
}

impl Survival {
    /// One of each kind.
    pub const fn all(seed: u64) -> [Survival; 8] {
        [
            Survival::Nothing,
            Survival::Everything,
            Survival::Prefix(seed),
            Survival::Some(seed),
            Survival::SomePages(seed),
            Survival::SomeSectors(seed),
            Survival::Torn(seed),
            Survival::TornLastPage(seed),
        ]
    }
}

/// The changes that are on the disk after all.
pub(super) fn survivors(changes: &[Change], survival: Survival) -> Vec<Change> {
    let seed = match survival {
        Survival::Nothing => return Vec::new(),
        Survival::Everything => return changes.to_vec(),
        Survival::Prefix(seed)
        | Survival::Some(seed)
        | Survival::SomePages(seed)
        | Survival::SomeSectors(seed)
        | Survival::Torn(seed)
        | Survival::TornLastPage(seed) => seed,
    };
    let mut random = Random::seeded(seed);
    let mut toss = |_: &Change| random.next_u64() & 1 == 0;
    match survival {
        Survival::Some(_) => changes
            .iter()
            .filter(|change| toss(change))
            .cloned()
            .collect(),
        Survival::SomePages(_) | Survival::SomeSectors(_) => {
            let size = match survival {
                Survival::SomePages(_) => PAGE,
                _ => SECTOR,
            };
            let pieces = changes.iter().flat_map(|change| change.pieces(size));
            pieces.filter(|change| toss(change)).collect()
        }
        Survival::TornLastPage(_) => {
            let mut kept = changes.to_vec();
            let is_write = |change: &Change| matches!(change, Change::Write { .. });
            if let Some(at) = kept.iter().rposition(is_write) {
                let last = kept.remove(at);
                let mut pages = last.pieces(PAGE);
                let page = pages.pop();
                let sectors = page.map(|page| page.pieces(SECTOR)).unwrap_or_default();
                pages.extend(sectors.into_iter().filter(|change| toss(change)));
                kept.splice(at..at, pages);
            }
            kept
        }
        _ => {
            let count = random.below(changes.len() as u64 + 1) as usize;
            let mut kept = changes[..count].to_vec();
            if let (Survival::Torn(_), Some(next)) = (survival, changes.get(count)) {
                let sectors = next.pieces(SECTOR);
                let count = random.below(sectors.len() as u64) as usize;
                kept.extend_from_slice(&sectors[..count]);
            }
            kept
        }
    }
}

//! How full the disk is, in levels that people and programs act on.
//!
//! ```text
//!        85 %          92 %             97 %
//!   ok ───┼── warn ──────┼── soft ────────┼── hard ──
//!         │ say so       │ no publishes   │ no entries from others either; acks, deletes
//!         │              │                │ and purges go on, from the reserve
//! ```
//!
//! Separate because levels are pure and the file that keeps the reserve is not: [`Levels`]
//! decides from figures, [`Reserve`] is the thin shell.
//!
//! Invariants: a level is left only when the disk is 2 % below where it was entered; the
//! reserve is given up before anything else fails and taken again only when all is well.
//! Absent: who asks, and how often.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::vfs::{Error, MODE_PRIVATE, Space, Vfs};

/// How full the disk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// There is room.
    #[default]
    Ok,
    /// Somebody should look.
    Warn,
    /// Nothing is published any more.
    Soft,
    /// Nothing but what frees space.
    Hard,
}

impl Level {
    /// Where it begins, in percent.
    const fn begin(self) -> u64 {
        match self {
            Level::Ok => 0,
            Level::Warn => 85,
            Level::Soft => 92,
            Level::Hard => 97,
        }
    }

    /// What logs and pages call it.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Soft => "soft",
            Level::Hard => "hard",
        }
    }
}

/// How far below its begin a level is left, in percent.
const HYSTERESIS: u64 = 2;
const LEVELS: [Level; 4] = [Level::Hard, Level::Soft, Level::Warn, Level::Ok];

/// The level, from one look to the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct Levels {
    level: Level,
}

impl Levels {
    /// The level as of the last look.
    pub const fn level(self) -> Level {
        self.level
    }

    /// Looks at new figures; the level if it is another one than before.
    pub fn look(&mut self, space: Space) -> Option<Level> {
        let old = self.level;
        self.level = next(old, space);
        (self.level != old).then_some(self.level)
    }
}

/// The highest level that is reached, or was and is not yet left.
fn next(old: Level, space: Space) -> Level {
    let used = u128::from(space.total.saturating_sub(space.available));
    let reaches = |percent: u64| used * 100 >= u128::from(space.total) * u128::from(percent);
    let holds = |level: &Level| {
        let begin = level.begin();
        let stays = *level <= old && reaches(begin.saturating_sub(HYSTERESIS));
        stays || reaches(begin)
    };
    // A disk that nobody knows the size of is not full.
    let found = LEVELS.into_iter().find(holds);
    found.filter(|_| space.total > 0).unwrap_or_default()
}

/// A file that takes up room so that there is some when it is needed.
pub struct Reserve {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    bytes: u64,
    is_held: bool,
}

impl Reserve {
    /// The reserve in this directory, as it was left; it is neither made nor given up yet.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn find(vfs: Arc<dyn Vfs>, dir: &Path, bytes: u64) -> Result<Reserve, Error> {
        let path = dir.join("reserve");
        let is_held = vfs.list(dir)?.iter().any(|name| name == "reserve");
        Ok(Reserve {
            vfs,
            path,
            bytes,
            is_held,
        })
    }

    /// Whether it takes up its room.
    pub const fn is_held(&self) -> bool {
        self.is_held
    }

    /// Follows the level: gives the room up when the disk is at its last percents, takes it
    /// when all is well. Not having it is no error.
    ///
    /// # Errors
    /// When the disk fails otherwise than by being full.
    pub fn follow(&mut self, level: Level) -> Result<(), Error> {
        match level {
            Level::Hard if self.is_held => self.give_up(),
            Level::Ok if !self.is_held => self.take(),
            _ => Ok(()),
        }
    }

    /// Frees the room now: a start on a full disk does this first.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn give_up(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.is_held) {
            self.vfs.remove(&self.path)?;
        }
        Ok(())
    }

    /// Whether the disk has room for `bytes` more now: takes them, and gives them back.
    ///
    /// # Errors
    /// When the disk fails otherwise than by being full.
    pub fn probe(&self, bytes: u64) -> Result<bool, Error> {
        let path = self.path.with_file_name("probe");
        let taken = match self.vfs.open(&path, MODE_PRIVATE) {
            Ok(file) => file.write_at(0, &vec![1; usize::try_from(bytes).unwrap_or(0)]),
            Err(err) => Err(err),
        };
        match self.vfs.remove(&path) {
            Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        match taken {
            Ok(()) => Ok(true),
            Err(err) if err.is_full() => Ok(false),
            Err(err) => Err(err),
        }
    }

    fn take(&mut self) -> Result<(), Error> {
        let file = self.vfs.open(&self.path, MODE_PRIVATE)?;
        match file.allocate(self.bytes) {
            Ok(()) => self.is_held = true,
            Err(err) => {
                self.vfs.remove(&self.path)?;
                if !err.is_full() {
                    return Err(err);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::sim::SimVfs;

    #[test]
    fn levels_are_left_two_percent_lower() {
        let mut levels = Levels::default();
        let steps = [
            (84, Level::Ok),
            (85, Level::Warn),
            (84, Level::Warn),
            (83, Level::Warn),
            (82, Level::Ok),
            (98, Level::Hard),
            (95, Level::Hard),
            (94, Level::Soft),
            (90, Level::Soft),
            (89, Level::Warn),
            (92, Level::Soft),
            (97, Level::Hard),
            (10, Level::Ok),
        ];
        for (used, expected) in steps {
            let before = levels.level();
            let space = Space {
                total: 1000,
                available: 1000 - used * 10,
            };
            let changed = levels.look(space);
            assert_eq!(levels.level(), expected, "at {used} %");
            assert_eq!(changed, (before != expected).then_some(expected));
        }
        assert_eq!(levels.look(Space::default()), None);
    }

    #[test]
    fn the_reserve_is_there_when_it_is_needed() {
        let vfs = SimVfs::new();
        vfs.limit(Some(1000));
        let (dir, shared) = (Path::new("/data"), Arc::new(vfs.clone()));
        vfs.create_dir_all(dir).unwrap();
        let mut reserve = Reserve::find(shared.clone(), dir, 600).unwrap();
        let mut follow = |level, used| {
            reserve.follow(level).unwrap();
            assert_eq!(vfs.used(), used, "{level:?}");
            assert_eq!(reserve.is_held(), used >= 600, "{level:?}");
        };
        for (level, used) in [
            (Level::Warn, 0),
            (Level::Ok, 600),
            (Level::Soft, 600),
            (Level::Hard, 0),
            (Level::Soft, 0),
            (Level::Ok, 600),
        ] {
            follow(level, used);
        }
        let mut found = Reserve::find(shared.clone(), dir, 600).unwrap();
        assert!(found.is_held());
        found.give_up().unwrap();
        found.give_up().unwrap();
        assert_eq!(vfs.used(), 0);
        // Too full to take it again: it goes on without.
        let mut reserve = Reserve::find(shared, dir, 2000).unwrap();
        reserve.follow(Level::Ok).unwrap();
        assert!(!reserve.is_held());
        assert_eq!(vfs.used(), 0);
    }
}

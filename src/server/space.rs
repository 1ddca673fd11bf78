//! The keeper of the disk: looks how full it is, and has the log and files freed.
//!
//! Separate because nobody else sees all of it: streams know whether they may grow, groups
//! know how to make checkpoints, and only the disk knows how much room there is.
//!
//! ```text
//!   any file: full ──► alarm ─┐                  ┌─► level: publishers wait from `soft` on
//!                             ├─► look at disk ──┼─► reserve: given up at `hard`
//!   time (0.25 s … 5 s) ──────┘                  └─► checkpoints: old segments and files go
//! ```
//!
//! Rules: the next look comes before a fast writer could fill what is left to the next
//! level; an alarm counts as `hard` until a probe finds room; the log holds at most
//! [`SEGMENTS_HELD_MAX`] segments for one group before that is asked for a checkpoint;
//! whatever is in no checkpoint gets into one within [`CHECKPOINT_EVERY`].
//!
//! Absent: refusing anything. Who stores asks [`Space`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock::{self, Monotonic};
use crate::raft::groups::Groups;
use crate::raft::space::Space;
use crate::tasks;
use crate::telemetry;
use crate::vfs::space::{Level, Levels, Reserve};
use crate::vfs::watched::Watch;
use crate::vfs::{self, Error, Vfs};

/// Between two looks at most.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// And at least.
const LOOK_MIN: Duration = Duration::from_millis(250);
/// Between an alarm and the next.
const ALARM_PAUSE: Duration = Duration::from_millis(100);
/// What is expected to be written in a second at most.
const WRITTEN_PER_SEC: u64 = 2 << 30;
/// Segments of the log that one group may hold.
pub(super) const SEGMENTS_HELD_MAX: u64 = 8;
/// Time in which what is only in the log gets into a checkpoint.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(15 * 60);
/// Groups are asked in so many parts of that time, so that not all write at once.
const CHECKPOINT_TURNS: u64 = 15;
/// Between two turns.
const TURN: Duration = Duration::from_secs(CHECKPOINT_EVERY.as_secs() / CHECKPOINT_TURNS);
/// What must be free again after an alarm.
const PROBE_BYTES: u64 = 1 << 20;
/// The largest reserve.
const RESERVE_MAX: u64 = 256 << 20;
/// The largest part of the disk that the reserve takes: small enough that giving it up at
/// `hard` does not lead below `soft`.
const RESERVE_PART: u64 = 16;

/// What happens when a file under the data directory cannot be written.
pub(super) struct Alarm {
    /// Where it is noted that there is no room.
    pub space: Arc<Space>,
    /// What happens when nobody knows any more what is on the disk.
    pub end: End,
}

/// What is called when the disk failed.
pub(super) type End = fn(&dyn std::fmt::Display);

impl Watch for Alarm {
    fn full(&self, _: &Error) {
        self.space.alarm();
    }

    fn failed(&self, error: &Error) {
        (self.end)(error);
    }
}

/// Ends the process: nobody knows any more what is on the disk, and what was acknowledged
/// before is found there by the next start.
pub(super) fn end(error: &dyn std::fmt::Display) -> ! {
    // Not in order: nothing more may be acknowledged, and the log must not say `closed`.
    tracing::error!(target: telemetry::FATAL, "the disk failed, the process ends: {error}");
    std::process::exit(1)
}

/// The size of the log's segments on a disk of this size: a part of a small one, and never
/// less than the largest message needs.
pub(super) fn segment_bytes(space: vfs::Space, payload_max: u64) -> u64 {
    let usual = crate::wal::Options::default().segment_bytes;
    let least = (4 << 20).max(payload_max * 2 + (2 << 20));
    match space.total {
        0 => usual,
        // The same from start to start, though the figure is not.
        total => (total / 64)
            .next_power_of_two()
            .clamp(least.min(usual), usual),
    }
}

/// The size of the reserve on a disk of this size.
fn reserve_bytes(space: vfs::Space) -> u64 {
    (space.total / RESERVE_PART).min(RESERVE_MAX)
}

/// Looks after one disk.
pub(super) struct Keeper {
    vfs: Arc<dyn Vfs>,
    directory: PathBuf,
    space: Arc<Space>,
    levels: Levels,
    reserve: Reserve,
    shown: Level,
    /// There was an alarm; whether the figures looked well then.
    surprised: Option<bool>,
}

impl Keeper {
    /// Looks at the disk before anything is opened on it. `vfs` is not watched: what the
    /// keeper tries alarms nobody.
    ///
    /// # Errors
    /// When the disk cannot be looked at.
    pub fn new(vfs: Arc<dyn Vfs>, directory: &Path, space: Arc<Space>) -> Result<Keeper, Error> {
        let now = vfs.space(directory)?;
        let reserve = Reserve::find(Arc::clone(&vfs), directory, reserve_bytes(now))?;
        let mut keeper = Keeper {
            vfs,
            directory: directory.to_owned(),
            space,
            levels: Levels::default(),
            reserve,
            shown: Level::Ok,
            surprised: None,
        };
        keeper.look();
        Ok(keeper)
    }

    /// Frees the reserve, for a start that found no room.
    pub fn give_up_reserve(&mut self) -> Result<bool, Error> {
        let was_held = self.reserve.is_held();
        self.reserve.give_up()?;
        Ok(was_held)
    }

    /// Looks after the disk until the task is aborted.
    pub fn start(self, groups: Groups) -> JoinHandle<()> {
        tasks::spawn(async move {
            let space = Arc::clone(&self.space);
            let mut keeper = self;
            let mut turns = Turns::new(clock::monotonic());
            loop {
                let pause = keeper.pause();
                tokio::select! {
                    () = space.alarmed() => {}
                    () = tokio::time::sleep(pause) => {}
                }
                let Some(looked) = slowly(keeper).await else {
                    return;
                };
                keeper = looked;
                keeper.free(&groups, &mut turns);
                // Whoever waits for room alarms again and again.
                tokio::time::sleep(ALARM_PAUSE).await;
            }
        })
    }

    /// Has what is old in the log and in files freed.
    fn free(&self, groups: &Groups, turns: &mut Turns) {
        let level = self.shown;
        let held_max = match level >= Level::Soft {
            true => 1,
            false => SEGMENTS_HELD_MAX,
        };
        let stay = groups.release_segments(held_max);
        if !stay.is_empty() && level >= Level::Warn {
            tracing::debug!(
                groups = stay.len(),
                "groups that do not run hold old segments"
            );
        }
        let turn = turns.next(clock::monotonic());
        let turn = turn.map(|turn| (turn, CHECKPOINT_TURNS));
        groups.checkpoint_some(turn, level >= Level::Warn);
    }

    /// One look: level, reserve, and a line in the log if something has changed.
    fn look(&mut self) {
        let space = match self.vfs.space(&self.directory) {
            Ok(space) => space,
            Err(err) => return tracing::warn!(%err, "the disk cannot be looked at"),
        };
        self.space.set_figures(space);
        self.levels.look(space);
        if self.space.is_alarmed() && self.has_room() {
            self.space.calm();
            self.surprised = None;
        }
        let level = match self.space.is_alarmed() {
            true => Level::Hard,
            false => self.levels.level(),
        };
        self.space.set_level(level);
        self.follow(level);
        self.tell(level, space);
    }

    /// After an alarm: whether there is room again. Where the figures said so all the time
    /// (a quota, inodes, blocks kept for root) only what can be written counts.
    fn has_room(&mut self) -> bool {
        let is_well = self.levels.level() < Level::Soft;
        let surprised = *self.surprised.get_or_insert(is_well);
        self.follow(Level::Hard);
        if !is_well || self.space.is_exhausted() || !self.probe() {
            return false;
        }
        if surprised {
            self.follow(Level::Ok);
            if !self.reserve.is_held() || !self.probe() {
                self.follow(Level::Hard);
                return false;
            }
        }
        true
    }

    fn probe(&self) -> bool {
        let found = self.reserve.probe(PROBE_BYTES);
        found.unwrap_or_else(|err| {
            tracing::warn!(%err, "the disk cannot be tried");
            false
        })
    }

    fn follow(&mut self, level: Level) {
        if let Err(err) = self.reserve.follow(level) {
            tracing::warn!(%err, "the reserve");
        }
    }

    fn tell(&mut self, level: Level, space: vfs::Space) {
        let before = std::mem::replace(&mut self.shown, level);
        if level == before {
            return;
        }
        let directory = self.directory.display();
        let available = space.available >> 20;
        let total = space.total >> 20;
        let name = level.name();
        match level {
            Level::Soft | Level::Hard => tracing::error!(
                "disk of {directory}: {name}, {available} of {total} MiB are free; file streams take no messages"
            ),
            Level::Warn => {
                tracing::warn!("disk of {directory}: {name}, {available} of {total} MiB are free")
            }
            Level::Ok => {
                tracing::info!("disk of {directory}: {name}, {available} of {total} MiB are free")
            }
        }
    }

    /// How long it may take until something can have changed.
    fn pause(&self) -> Duration {
        let space = self.space.figures();
        if self.shown >= Level::Soft {
            return LOOK_MIN * 2;
        }
        // From the fullest state that is still well: 92 % of all.
        let left = space.available.saturating_sub(space.total / 100 * 8);
        Duration::from_millis(left / (WRITTEN_PER_SEC / 1000)).clamp(LOOK_MIN, LOOK_MAX)
    }
}

/// Looks on a thread that may block: a disk that hangs must hold up nobody.
async fn slowly(mut keeper: Keeper) -> Option<Keeper> {
    let (tell, told) = oneshot::channel();
    tasks::run_slowly(move || {
        keeper.look();
        let _ = tell.send(keeper);
    });
    told.await.ok()
}

/// Whose turn it is for a checkpoint by time.
struct Turns {
    last: u64,
    at: Monotonic,
}

impl Turns {
    fn new(now: Monotonic) -> Turns {
        let at = now.plus(TURN);
        Turns { last: 0, at }
    }

    fn next(&mut self, now: Monotonic) -> Option<u64> {
        if now < self.at {
            return None;
        }
        self.at = now.plus(TURN);
        self.last += 1;
        Some(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::sim::SimVfs;

    const MIB: u64 = 1 << 20;

    fn keeper(vfs: &SimVfs, space: &Arc<Space>) -> Keeper {
        let dir = Path::new("/data");
        vfs.create_dir_all(dir).unwrap();
        Keeper::new(Arc::new(vfs.clone()), dir, Arc::clone(space)).unwrap()
    }

    /// Makes a file so large that so many percent of the disk are used.
    fn fill(vfs: &SimVfs, percent: u64) {
        let path = Path::new("/data/filler");
        let _ = vfs.remove(path);
        let total = vfs.space(path).unwrap().total;
        let file = vfs.open(path, vfs::MODE_PRIVATE).unwrap();
        let len = (total * percent / 100).saturating_sub(vfs.used());
        file.set_len(len).unwrap();
    }

    #[test]
    fn the_level_follows_the_disk_and_the_reserve_the_level() {
        let (vfs, space) = (SimVfs::new(), Arc::new(Space::default()));
        vfs.limit(Some(160 * MIB));
        let mut keeper = keeper(&vfs, &space);
        assert_eq!(vfs.used(), 10 * MIB, "the reserve");
        for (percent, level, held, closed) in [
            (50, Level::Ok, true, false),
            (86, Level::Warn, true, false),
            (93, Level::Soft, true, true),
            (98, Level::Hard, false, true),
            (91, Level::Soft, false, true),
            (89, Level::Warn, false, false),
            (50, Level::Ok, true, false),
        ] {
            fill(&vfs, percent);
            keeper.look();
            assert_eq!(space.level(), level, "{percent} %");
            assert_eq!(keeper.reserve.is_held(), held, "{percent} %");
            assert_eq!(space.is_closed(), closed, "{percent} %");
        }
    }

    #[test]
    fn an_alarm_holds_until_there_is_room() {
        let (vfs, space) = (SimVfs::new(), Arc::new(Space::default()));
        vfs.limit(Some(160 * MIB));
        let mut keeper = keeper(&vfs, &space);
        fill(&vfs, 100);
        space.alarm();
        keeper.look();
        assert!(space.is_closed() && !keeper.reserve.is_held());
        fill(&vfs, 99);
        keeper.look();
        assert!(space.is_alarmed());
        fill(&vfs, 88);
        let waiting = space.wait();
        keeper.look();
        assert!(space.is_alarmed(), "a log waits still");
        drop(waiting);
        keeper.look();
        assert!(!space.is_closed());
        assert_eq!(space.level(), Level::Warn);
    }

    #[test]
    fn figures_that_were_wrong_are_not_trusted() {
        let (vfs, space) = (SimVfs::new(), Arc::new(Space::default()));
        vfs.limit(Some(160 * MIB));
        let mut keeper = keeper(&vfs, &space);
        // Half of it seems free when somebody finds it full.
        fill(&vfs, 50);
        space.alarm();
        keeper.look();
        assert!(!space.is_closed(), "there is room for the reserve and more");
        assert!(keeper.reserve.is_held());
    }

    #[test]
    fn everybody_has_a_turn_within_the_time() {
        let start = Monotonic::from_nanos(7);
        let mut turns = Turns::new(start);
        let mut had = Vec::new();
        for second in 0..=CHECKPOINT_EVERY.as_secs() {
            let now = start.plus(Duration::from_secs(second));
            had.extend(turns.next(now).map(|turn| turn % CHECKPOINT_TURNS));
        }
        had.sort_unstable();
        assert_eq!(had, (0..CHECKPOINT_TURNS).collect::<Vec<u64>>());
    }

    #[test]
    fn segments_are_a_part_of_the_disk() {
        let check = |total: u64, payload_max: u64, expected: u64| {
            let space = vfs::Space {
                total,
                available: total,
            };
            assert_eq!(segment_bytes(space, payload_max), expected, "{total}");
        };
        check(0, MIB, 64 * MIB);
        check(1 << 40, MIB, 64 * MIB);
        check(1 << 30, MIB, 16 * MIB);
        check(64 * MIB, MIB, 4 * MIB);
        check(64 * MIB, 8 * MIB, 18 * MIB);
        check(64 * MIB, 64 * MIB, 64 * MIB);
    }
}

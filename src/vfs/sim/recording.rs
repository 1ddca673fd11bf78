//! Every state that a power cut can find while something runs, and the checks of them all.
//!
//! Separate because whoever keeps files is held to it in the same way: what runs is watched
//! before each call that changes the disk, which is also the state behind the call before,
//! and each state is then found again as each [`Survival`] leaves it.
//!
//! ```text
//!   runs ─► call 1 ─► call 2 ─► … ─► call n        Recording: n + 1 points, each with a mark
//!         ▲         ▲               ▲       ▲
//!         └ point ──┴── survivals ──┴───────┴──► a disk each ─► check
//! ```
//!
//! Invariants: the mark is taken with the state, so what it says was promised was promised
//! before; each survival is used. Absent: what is right; that is for the check.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

use super::{SimVfs, Survival};

/// Threads that check.
const THREADS: usize = 2;
/// When this is set, every survival is checked at every point.
const ALL: &str = "NATTER_ALL_CRASHES";

/// A state of the disk, and what was promised by then.
pub struct Point<T> {
    /// The disk.
    pub disk: SimVfs,
    /// Whatever the check wants to know.
    pub mark: T,
}

/// Watches a disk.
pub struct Recording<T>(Arc<Mutex<Vec<Point<T>>>>);

impl<T: Send + 'static> Recording<T> {
    /// Begins to watch. `mark` is asked with the disk's lock held: it must not touch it.
    pub fn begin(vfs: &SimVfs, mark: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let points = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&points);
        vfs.observe(Arc::new(move |disk| {
            let mark = mark();
            seen.lock().push(Point { disk, mark });
        }));
        Recording(points)
    }

    /// All states so far, and the one at the end.
    pub fn end(self, vfs: &SimVfs, mark: T) -> Vec<Point<T>> {
        let disk = vfs.copy();
        let mut points = std::mem::take(&mut *self.0.lock());
        points.push(Point { disk, mark });
        points
    }
}

/// How many of the survivals are checked at each point: all of them if the environment says
/// so, otherwise `few`, in turn.
pub fn effort(few: usize) -> usize {
    match env::var_os(ALL) {
        Some(_) => 8,
        None => few,
    }
}

/// Lets the power fail at every point, with so many survivals each, and checks what is
/// found; how many were checked. A check gets a number that differs between all of them.
pub fn each_crash<T: Sync>(
    points: &[Point<T>],
    survivals: usize,
    check: impl Fn(&SimVfs, &Point<T>, u64) + Sync,
) -> usize {
    let next = AtomicUsize::new(0);
    let checked = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed))
                    && let Some(point) = points.get(at)
                {
                    let all = Survival::all(at as u64);
                    // 3 and 8 share no divisor: all come in turn.
                    let chosen = (0..survivals).map(|which| all[(3 * at + which) % all.len()]);
                    for (which, survival) in chosen.enumerate() {
                        let _where = Where(at, survival);
                        let found = point.disk.after_crash(survival);
                        check(&found, point, (8 * at + which) as u64);
                        checked.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    checked.into_inner()
}

/// Says where a check failed.
struct Where(usize, Survival);

impl Drop for Where {
    fn drop(&mut self) {
        if thread::panicking() {
            let Where(at, survival) = self;
            eprintln!("a power cut before call {at}, survives: {survival:?}");
        }
    }
}

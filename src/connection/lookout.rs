//! Looking for more before going to sleep, where that lets work come sooner.
//!
//! Who wakes a thread on an idle core pays for it, and the thread runs only 5 to 40 us later,
//! by machine. A request and its reply pass four threads that sleep, and
//! do little else. A thread that has just read something may therefore look at its sockets for
//! a moment longer. That helps where a client waits for what it gets before it sends more, and
//! is a waste where messages come when they come; which of the two it is shows in trying only
//! (`Judge`). Figures: `docs/notes/2026-11-22-lookout.md`.
//!
//! Invariants: one thread of a process watches at a time, and none where there is one core; no
//! watch lasts longer than `WATCH_MAX`, none begins without a read since the last; who else
//! wants the core has it at once. A process without traffic never watches.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::clock::{self, Monotonic};
use crate::tasks;

/// Nobody watches longer without seeing anything.
const WATCH_MAX: Duration = Duration::from_micros(60);
/// A longer time between two turns of work counts as this: it says nothing of the pace.
const GAP_MAX: Duration = Duration::from_micros(200);
/// So many turns of work are judged together.
const ROUND: u32 = 32;
/// Who has not worked for so long does not keep the turn.
const IDLE_MIN: Duration = Duration::from_millis(100);
/// Rounds of a trial. Watching moves other threads to other cores, which takes a while.
const TRIAL_ROUNDS: u32 = 16;
/// Rounds after which what it is like without watching is looked at again.
const ROUNDS_MAX: u32 = 256;
/// Rounds without watching after a trial that failed: at first, and at most.
const REST_MIN: u32 = 8;
const REST_MAX: u32 = 1024;

/// Whose turn it is to watch: shared by the threads of a process.
pub struct Turn {
    is_taken: AtomicBool,
}

impl Turn {
    /// For a process that may use so many cores; with one it is never anybody's.
    pub fn new(cores: usize) -> Arc<Turn> {
        Arc::new(Turn {
            is_taken: AtomicBool::new(cores < 2),
        })
    }

    fn take(&self) -> bool {
        !self.is_taken.load(Ordering::Relaxed) && !self.is_taken.swap(true, Ordering::Relaxed)
    }

    fn give_back(&self) {
        self.is_taken.store(false, Ordering::Relaxed);
    }
}

/// Decides whether to watch, by the bytes that come in a second with it and without.
///
/// Counting bytes and not reads: who sleeps finds more messages in one read, and is no
/// slower for it.
#[derive(Default)]
struct Judge {
    last: Monotonic,
    turns: u32,
    bytes: u64,
    time: Duration,
    /// Bytes a second without watching: the best of the last rounds, so that a busy moment is
    /// not taken for a merit.
    baseline: u64,
    /// Rounds since it began to watch, or to rest.
    rounds: u32,
    is_watching: bool,
    /// How long the next rest is, in rounds.
    rest: u32,
}

impl Judge {
    /// A turn of work has ended, in which so many bytes were read.
    fn learn(&mut self, now: Monotonic, bytes: u64) {
        self.time += now.since(self.last).min(GAP_MAX);
        self.last = now;
        self.bytes += bytes;
        self.turns += 1;
        if self.turns < ROUND {
            return;
        }
        let nanos = u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX);
        let rate = self.bytes.saturating_mul(1_000_000_000) / nanos.max(1);
        (self.turns, self.bytes, self.time) = (0, 0, Duration::ZERO);
        self.rounds = self.rounds.saturating_add(1);
        if !self.is_watching {
            self.baseline = rate.max(self.baseline - self.baseline / 8);
            return;
        }
        let is_trial = self.rounds < TRIAL_ROUNDS;
        let wanted = if is_trial {
            self.baseline + self.baseline / 8
        } else {
            self.baseline + self.baseline / 4
        };
        if rate < wanted {
            self.rest(self.rest * 4);
        } else if self.rounds == ROUNDS_MAX {
            self.rest(0);
        }
    }

    fn rest(&mut self, rounds: u32) {
        self.is_watching = false;
        self.rest = rounds.clamp(REST_MIN, REST_MAX);
        self.rounds = 0;
        self.baseline = 0;
    }

    /// Whether a trial may begin.
    fn has_rested(&self) -> bool {
        !self.is_watching && self.rounds >= self.rest.max(REST_MIN)
    }

    fn begin(&mut self) {
        self.is_watching = true;
        self.rounds = 0;
        (self.turns, self.bytes, self.time) = (0, 0, Duration::ZERO);
    }
}

struct Lookout {
    turn: Arc<Turn>,
    has_turn: bool,
    /// Wakes the resident: a thread with a task that is ready does not sleep.
    resident: Waker,
    judge: Judge,
    /// Bytes since the thread last had nothing to do.
    bytes: u64,
    /// Since when it watches, if it does.
    since: Option<Monotonic>,
}

impl Lookout {
    /// The thread has nothing to do; true if it is to look once more.
    fn goes_on(&mut self, now: Monotonic) -> bool {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes > 0 {
            self.judge.learn(now, bytes);
            if self.judge.has_rested() && self.turn.take() {
                self.has_turn = true;
                self.judge.begin();
            } else if !self.judge.is_watching {
                self.give_back();
            }
            self.since = self.has_turn.then_some(now);
        }
        self.since.is_some_and(|since| now.since(since) < WATCH_MAX)
    }

    fn give_back(&mut self) {
        if std::mem::take(&mut self.has_turn) {
            self.turn.give_back();
        }
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.give_back();
    }
}

thread_local! {
    static LOOKOUT: RefCell<Option<Lookout>> = const { RefCell::new(None) };
}

/// Bytes have come to a link of this thread.
pub fn note_read(bytes: usize) {
    LOOKOUT.with_borrow_mut(|lookout| {
        if let Some(lookout) = lookout {
            lookout.bytes += bytes as u64;
        }
    });
}

/// To be called whenever this thread has nothing to do, before it sleeps: makes it look at
/// its sockets once more, or lets it sleep.
pub fn before_sleep() {
    LOOKOUT.with_borrow_mut(|lookout| {
        if let Some(lookout) = lookout
            && lookout.goes_on(clock::monotonic())
        {
            tasks::give_way();
            lookout.resident.wake_by_ref();
        }
    });
}

/// To be called now and then: a thread whose clients have gone leaves the turn to others.
pub fn rest(now: Monotonic) {
    LOOKOUT.with_borrow_mut(|lookout| {
        if let Some(lookout) = lookout
            && lookout.has_turn
            && now.since(lookout.judge.last) >= IDLE_MIN
        {
            lookout.judge.rest(0);
            lookout.since = None;
            lookout.give_back();
        }
    });
}

/// Lets the thread that this is polled on watch, when its turn comes; never ends.
pub async fn keep(turn: Arc<Turn>) {
    let _leaving = Leaving;
    poll_fn(|cx| {
        LOOKOUT.with_borrow_mut(|lookout| match lookout {
            Some(lookout) => lookout.resident.clone_from(cx.waker()),
            none => {
                *none = Some(Lookout {
                    turn: Arc::clone(&turn),
                    has_turn: false,
                    resident: cx.waker().clone(),
                    judge: Judge::default(),
                    bytes: 0,
                    since: None,
                });
            }
        });
        Poll::Pending
    })
    .await
}

/// Nobody watches here any more.
struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        drop(LOOKOUT.take());
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;
    use std::task::{Context, Wake};

    use super::*;

    /// A load: how long after one turn the next comes, with watching and without, in us.
    struct Load {
        asleep: u64,
        watching: u64,
    }

    /// Requests of a client that waits for each answer.
    const ANSWERS: Load = Load {
        asleep: 90,
        watching: 35,
    };

    /// Plays so many turns; of how many it watched for the next.
    fn play(judge: &mut Judge, now: &mut u64, load: &Load, turns: u32) -> u32 {
        let mut watched = 0;
        for _ in 0..turns {
            let gap = if judge.is_watching {
                load.watching
            } else {
                load.asleep
            };
            *now += gap * 1000;
            judge.learn(Monotonic::from_nanos(*now), 100);
            if judge.has_rested() {
                judge.begin();
            }
            watched += u32::from(judge.is_watching);
        }
        watched
    }

    #[test]
    fn who_answers_sooner_is_watched_for() {
        let (mut judge, mut now) = (Judge::default(), 0);
        let turns = 4 * ROUND * ROUNDS_MAX;
        let watched = play(&mut judge, &mut now, &ANSWERS, turns);
        assert!(watched > turns * 9 / 10, "{watched} of {turns}");
        assert!(watched < turns, "nor is the comparison forgotten");
    }

    #[test]
    fn who_comes_when_he_comes_is_hardly_watched_for() {
        for gap in [20, 50, 100, 5000] {
            let (mut judge, mut now) = (Judge::default(), 0);
            let load = Load {
                asleep: gap,
                watching: gap,
            };
            let first = play(&mut judge, &mut now, &load, 10_000);
            assert!((1..500).contains(&first), "{first} at {gap} us");
            let later = play(&mut judge, &mut now, &load, 100_000);
            assert!(later < 200, "{later} at {gap} us");
        }
    }

    #[test]
    fn a_little_sooner_is_not_worth_it() {
        let (mut judge, mut now) = (Judge::default(), 0);
        let load = Load {
            asleep: 90,
            watching: 75,
        };
        let watched = play(&mut judge, &mut now, &load, 100_000);
        assert!(watched < 5000, "{watched}");
    }

    #[test]
    fn a_load_that_changes_is_noticed_both_ways() {
        let (mut judge, mut now) = (Judge::default(), 0);
        let comes = Load {
            asleep: 100,
            watching: 100,
        };
        play(&mut judge, &mut now, &ANSWERS, 2000);
        assert!(judge.is_watching);
        play(&mut judge, &mut now, &comes, ROUND * 2);
        assert!(!judge.is_watching);
        play(&mut judge, &mut now, &comes, 100_000);
        play(
            &mut judge,
            &mut now,
            &ANSWERS,
            ROUND * (REST_MAX + TRIAL_ROUNDS),
        );
        assert!(judge.is_watching);
    }

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Count>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_watch_needs_a_turn_and_a_read_and_ends() {
        let turn = Turn::new(2);
        let wakes = Arc::new(Count(AtomicUsize::new(0)));
        let woken = || wakes.0.swap(0, Ordering::Relaxed) > 0;
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        {
            let mut keeping = pin!(keep(Arc::clone(&turn)));
            assert!(keeping.as_mut().poll(&mut cx).is_pending());
            assert!(turn.take(), "nobody has it yet");
            let work = || {
                note_read(1);
                before_sleep();
            };
            (0..ROUND * REST_MIN).for_each(|_| work());
            assert!(!woken(), "another thread watches");
            turn.give_back();
            work();
            assert!(woken(), "rested, and its turn");
            assert!(!turn.take());
            while {
                before_sleep();
                woken()
            } {}
            before_sleep();
            assert!(!woken(), "without another read it sleeps");
            work();
            assert!(woken());
            rest(clock::monotonic());
            assert!(!turn.take(), "it has just worked");
            rest(clock::monotonic().plus(IDLE_MIN));
            assert!(turn.take(), "its clients have gone");
            work();
            assert!(!woken());
            turn.give_back();
            (0..ROUND * REST_MIN).for_each(|_| work());
            assert!(woken() && !turn.take(), "and come again");
        }
        assert!(turn.take(), "given back by the one who left");
        note_read(1);
        before_sleep();
        assert!(!woken());
    }

    #[test]
    fn with_one_core_it_is_nobodys_turn() {
        assert!(!Turn::new(1).take());
    }
}

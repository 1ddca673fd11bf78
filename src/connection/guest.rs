//! Links that live with the one thread they work for.
//!
//! Separate from the driver because it only decides where. A publisher of a stream is read
//! by its shard and stored by the stream's thread; when it is the only one who has much for
//! that thread, both do the work of one, and wake each other for each batch. Then the link
//! moves in with its *host*, and home again when one of the two has other work.
//! Figures: `docs/notes/2026-11-23-guests.md`.
//!
//! ```text
//!   link's read ──► host's queue      Trail: how many of this read's messages, for whom
//!        │
//!        └─► Stay: of the last messages, how many for this host, and how many has it had
//!                  nearly all and most of them:  move in
//!                  less than half of either:     go home
//! ```
//!
//! Invariants: a link that has nothing for hosts keeps nothing here; a link moves once in
//! `WINDOW` of its messages at most, and one that sends nothing stays where it is. Absent: how
//! a link moves.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::tasks::Place;

/// Messages of a link that are judged together.
const WINDOW: u64 = 1024;

/// A thread that works for links and has room for one that works for it alone.
pub struct Host {
    place: Place,
    /// Messages it was given, by whomever.
    given: AtomicU64,
}

impl Host {
    /// It has taken up so many messages. Only for the thread itself.
    pub fn add(&self, msgs: usize) {
        let given = self.given.load(Ordering::Relaxed);
        self.given.store(given + msgs as u64, Ordering::Relaxed);
    }

    fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }
}

/// Whom the messages of this thread were for.
#[derive(Default)]
struct Trail {
    host: Option<Arc<Host>>,
    msgs: u64,
}

thread_local! {
    static HERE: RefCell<Option<Arc<Host>>> = const { RefCell::new(None) };
    static TRAIL: RefCell<Trail> = const { RefCell::new(Trail { host: None, msgs: 0 }) };
}

/// The host that the calling thread is; none where no tasks run.
pub fn host() -> Option<Arc<Host>> {
    HERE.with_borrow_mut(|here| {
        if here.is_none() {
            *here = Place::here().map(|place| {
                Arc::new(Host {
                    place,
                    given: AtomicU64::new(0),
                })
            });
        }
        here.clone()
    })
}

/// A message of this thread's was for `host`.
pub fn note(host: &Arc<Host>) {
    TRAIL.with_borrow_mut(|trail| match &trail.host {
        Some(last) if Arc::ptr_eq(last, host) => trail.msgs += 1,
        _ => {
            trail.host = Some(Arc::clone(host));
            trail.msgs = 1;
        }
    });
}

/// What this thread has noted until now is nobody's.
pub(super) fn forget() {
    TRAIL.with_borrow_mut(|trail| trail.msgs = 0);
}

/// What a link remembers of where its messages go.
pub(super) struct Stay {
    host: Arc<Host>,
    /// Where it came from, once it has moved in.
    home: Option<Place>,
    /// Messages of this window, those for the host, and what the host had when it began.
    msgs: u64,
    fed: u64,
    given: u64,
}

impl Stay {
    fn begin(host: Arc<Host>) -> Stay {
        Stay {
            given: host.given(),
            host,
            home: None,
            msgs: 0,
            fed: 0,
        }
    }

    /// After a read that brought `msgs` messages: where to go, if somewhere else.
    pub(super) fn after_read(stay: &mut Option<Box<Stay>>, msgs: u64) -> Option<Place> {
        TRAIL.with_borrow(|trail| {
            let fed = trail.msgs;
            if let Some(host) = trail.host.as_ref().filter(|_| fed > 0) {
                let is_of = |stay: &Stay| stay.home.is_some() || Arc::ptr_eq(&stay.host, host);
                if !stay.as_deref().is_some_and(is_of) {
                    *stay = Some(Box::new(Stay::begin(Arc::clone(host))));
                }
            }
            let stay = stay.as_deref_mut()?;
            let is_for_host = trail
                .host
                .as_ref()
                .is_some_and(|h| Arc::ptr_eq(h, &stay.host));
            stay.judge(msgs, if is_for_host { fed } else { 0 })
        })
    }

    fn judge(&mut self, msgs: u64, fed: u64) -> Option<Place> {
        self.msgs += msgs;
        self.fed += fed;
        if self.msgs < WINDOW {
            return None;
        }
        let given = self.host.given();
        let (msgs, fed) = (self.msgs, self.fed);
        let others = given - self.given;
        (self.msgs, self.fed, self.given) = (0, 0, given);
        if self.home.is_some() {
            let is_wanted = fed * 2 >= msgs && fed * 2 >= others;
            return if is_wanted { None } else { self.home.take() };
        }
        if fed * 16 < msgs * 15 || fed * 4 < others * 3 {
            return None;
        }
        self.home = Place::here();
        self.home.is_some().then(|| self.host.place.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link that plays: of each read so many messages, so many of them for the host, which
    /// has so many from others meanwhile.
    struct Play {
        host: Arc<Host>,
        stay: Option<Box<Stay>>,
    }

    impl Play {
        fn new() -> Play {
            Play {
                host: other_host(),
                stay: None,
            }
        }

        fn read(&mut self, msgs: u64, fed: usize, others: usize) -> bool {
            forget();
            for _ in 0..fed {
                note(&self.host);
            }
            self.host.add(fed + others);
            Stay::after_read(&mut self.stay, msgs).is_some()
        }

        /// How many of a few windows it moves after.
        fn moves(&mut self, fed: usize, others: usize) -> usize {
            let reads = 4 * WINDOW / 64;
            (0..reads).filter(|_| self.read(64, fed, others)).count()
        }
    }

    fn other_host() -> Arc<Host> {
        Arc::new(Host {
            place: Place::here().expect("a runtime"),
            given: AtomicU64::new(0),
        })
    }

    #[tokio::test]
    async fn who_works_for_one_host_alone_moves_in_and_stays() {
        let mut play = Play::new();
        assert_eq!(play.moves(64, 0), 1);
        assert_eq!(play.moves(64, 0), 0);
        assert_eq!(play.moves(33, 31), 0, "half is enough for a guest");
    }

    #[tokio::test]
    async fn who_has_other_work_or_company_does_not() {
        for (fed, others) in [(0, 0), (59, 0), (64, 32), (64, 640)] {
            let mut play = Play::new();
            assert_eq!(play.moves(fed, others), 0, "{fed} of 64 and {others}");
            assert_eq!(play.stay.is_some(), fed > 0);
        }
    }

    #[tokio::test]
    async fn a_guest_goes_home_when_it_or_its_host_has_other_work() {
        for (fed, others) in [(0, 0), (31, 0), (64, 65)] {
            let mut play = Play::new();
            assert_eq!(play.moves(64, 0), 1);
            assert!(play.moves(fed, others) > 0, "{fed} of 64 and {others}");
        }
    }

    #[tokio::test]
    async fn who_works_for_two_stays_with_none() {
        let mut play = Play::new();
        let hosts = [other_host(), other_host()];
        for at in 0..20 * WINDOW as usize {
            play.host = Arc::clone(&hosts[at % 2]);
            assert!(!play.read(64, 64, 0));
        }
        // A guest of one that turns to another is its guest no more.
        assert_eq!(play.moves(64, 0), 1);
        play.host = Arc::clone(&hosts[0]);
        assert!(play.moves(64, 0) > 0);
    }

    #[tokio::test]
    async fn what_was_noted_before_a_read_is_not_the_links() {
        let host = other_host();
        (0..2 * WINDOW).for_each(|_| note(&host));
        forget();
        let mut stay = None;
        assert!(Stay::after_read(&mut stay, 2 * WINDOW).is_none());
        assert!(stay.is_none());
    }
}

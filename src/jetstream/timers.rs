//! Time, as a stream sees it: one deadline, and what is due at it.
//!
//! Separate so that there is one place where time turns into commands: the machine's own
//! deadline becomes a proposed tick, those of consumers are their dispatchers' business.
//!
//! Invariants: a tick is proposed only when the machine wants one, and not again while one
//! is under way; a stream with nothing due has no timer.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::Sleep;

use super::replica::Replica;
use crate::clock::{self, Timestamp};
use crate::stream::command::Command;

/// A clock that was set may be far off: nobody sleeps longer than this at once.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// When something is due, if nothing else happens before.
pub fn next_deadline(replica: &Replica) -> Option<Timestamp> {
    let machine = match replica.is_ticking() {
        true => None,
        false => replica.machine_deadline(),
    };
    let others = [
        replica.held_until(),
        replica.gathers_until(),
        replica.deliveries.next_deadline(),
        replica.rest.deadline(),
        replica
            .origin
            .as_ref()
            .and_then(|origin| origin.next_deadline()),
    ];
    others.into_iter().flatten().chain(machine).min()
}

/// Waits for deadlines, with one timer that is set anew only for another deadline.
pub struct Timer {
    sleep: Pin<Box<Sleep>>,
    set_for: Option<Timestamp>,
}

impl Timer {
    /// A timer that nothing waits for yet.
    pub fn new() -> Timer {
        Timer {
            sleep: Box::pin(tokio::time::sleep(SLEEP_MAX)),
            set_for: None,
        }
    }

    /// Waits for a deadline, or about so long; for ever without one. Cancel-safe.
    pub async fn until(&mut self, deadline: Option<Timestamp>) {
        let Some(deadline) = deadline else {
            return std::future::pending().await;
        };
        if self.set_for != Some(deadline) {
            let left = deadline.since(clock::now()).min(SLEEP_MAX);
            self.sleep.set(tokio::time::sleep(left));
            self.set_for = Some(deadline);
        }
        self.sleep.as_mut().await;
        self.set_for = None;
    }
}

impl Default for Timer {
    fn default() -> Self {
        Timer::new()
    }
}

/// Does what is due.
pub fn on_time(replica: &mut Replica, now: Timestamp) {
    let is_due = replica
        .machine_deadline()
        .is_some_and(|deadline| deadline <= now);
    if is_due && !replica.is_ticking() {
        replica.note_ticking(true);
        let then = |replica: &mut Replica, _| replica.note_ticking(false);
        replica.submit_with(Command::Tick, Box::new(then));
    }
    super::delivery::on_time(replica, now);
    super::origin::on_time(replica, now);
    super::rest::on_time(replica, now);
}

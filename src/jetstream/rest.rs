//! Rest: a stream that nobody uses gives back what only makes it faster.
//!
//! Separate because most streams are idle most of the time, and what an idle one costs
//! decides how many there can be: no publisher, no buffers, no open file, no timer. The
//! machine stays, so whoever comes next finds it as it was.
//!
//! ```text
//!   used ── unused for a while ──► a checkpoint, if the log holds much ──► at rest
//!    ▲                                                                       │
//!    └──────────────── anything that comes: a message, a question, a deadline┘
//! ```
//!
//! Invariants: a stream at rest has no deadline of this; its log is short, so that a
//! restart need not apply much; rest is looked for once in a period, however much comes.

use super::replica::Replica;
use crate::clock::Timestamp;
use crate::raft::group::Group;
use crate::stream::machine::Machine;

/// A stream that was unused from one look to the next, in nanoseconds, goes to rest.
const PERIOD: i64 = 2_000_000_000;
/// A log with more than this is worth a checkpoint before.
const LOG_BYTES_MAX: u64 = 64 << 10;

/// Whether a stream rests, and when to look again.
#[derive(Debug, Default)]
pub struct Rest {
    used: bool,
    look_at: Option<Timestamp>,
    /// A checkpoint was asked for since the stream was used last.
    asked: bool,
}

impl Rest {
    /// The stream does something.
    pub fn note_use(&mut self, now: Timestamp) {
        self.used = true;
        self.asked = false;
        if self.look_at.is_none() {
            self.look_at = Some(next_look(now));
        }
    }

    /// When to look whether it is still used; none at rest.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.look_at
    }

    /// Everything was given back, and it was not used since.
    pub fn is_at_rest(&self) -> bool {
        self.look_at.is_none()
    }

    /// Whether it is time and nobody has used it since the last look.
    fn is_due(&mut self, now: Timestamp) -> bool {
        if self.look_at.is_none_or(|at| at > now) {
            return false;
        }
        let used = std::mem::take(&mut self.used);
        self.look_at = used.then(|| next_look(now));
        !used
    }
}

/// Whether a restart would have much to apply.
pub fn has_much(group: &Group<Machine>) -> bool {
    group.log_bytes() > LOG_BYTES_MAX
}

fn next_look(now: Timestamp) -> Timestamp {
    Timestamp::from_unix_nanos(now.unix_nanos().saturating_add(PERIOD))
}

/// Lets the stream rest if it is time.
pub fn on_time(replica: &mut Replica, now: Timestamp) {
    if !replica.rest.is_due(now) {
        return;
    }
    if replica.is_busy() {
        return replica.rest.note_use(now);
    }
    if has_much(&replica.group) && !std::mem::replace(&mut replica.rest.asked, true) {
        replica.group.checkpoint_soon();
        replica.rest.look_at = Some(next_look(now));
        return;
    }
    replica.give_back();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rest_comes_after_a_whole_period_without_use() {
        let at = |seconds: i64| Timestamp::from_unix_nanos(seconds * 1_000_000_000);
        let mut rest = Rest::default();
        assert!(rest.is_at_rest() && !rest.is_due(at(9)));
        rest.note_use(at(10));
        assert_eq!(rest.deadline(), Some(at(12)));
        rest.note_use(at(11));
        assert!(!rest.is_due(at(11)), "too early");
        assert!(!rest.is_due(at(12)), "it was used");
        assert_eq!(rest.deadline(), Some(at(14)));
        assert!(rest.is_due(at(14)));
        assert!(rest.is_at_rest());
    }
}

//! Pending replies of services that other accounts asked.
//!
//! A request that crosses accounts gets a reply subject of its own in the exporting account
//! (`_R_.<account>.<token>`); here stands where the answers go. One entry is forgotten with
//! its last answer, or when nobody answered in time.
//!
//! Invariant: at most [`PENDING_MAX`] entries; above that requests find no responder.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::accounts::Account;
use crate::account::export::ResponseKind;
use crate::clock::Monotonic;

/// Requests of other accounts that may wait for an answer of one account.
pub const PENDING_MAX: usize = 1 << 20;

/// Where the answers to one request go.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The account that asked.
    pub importer: Weak<Account>,
    /// The reply subject there.
    pub reply: Arc<[u8]>,
    /// How many answers to expect.
    pub response: ResponseKind,
    /// How long to wait for the next.
    pub threshold: Duration,
    /// The service as the importer calls it; for monitoring.
    pub service: Arc<str>,
    deadline: Monotonic,
}

impl Pending {
    /// A request asked at `now`.
    pub fn new(
        importer: &Arc<Account>,
        reply: &[u8],
        service: &str,
        response: ResponseKind,
        threshold: Duration,
        now: Monotonic,
    ) -> Self {
        Pending {
            importer: Arc::downgrade(importer),
            reply: reply.into(),
            response,
            threshold,
            service: service.into(),
            deadline: now.plus(threshold),
        }
    }
}

/// All pending replies of one account.
#[derive(Debug, Default)]
pub struct Replies {
    by_token: Mutex<HashMap<Box<[u8]>, Pending, RandomState>>,
}

impl Replies {
    /// Waits for answers under `token`; false if too many are waited for.
    pub fn insert(&self, token: &[u8], pending: Pending) -> bool {
        let mut by_token = self.by_token.lock();
        if by_token.len() >= PENDING_MAX {
            return false;
        }
        by_token.insert(token.into(), pending);
        true
    }

    /// An answer has come: where it goes. The last one ends the wait; `is_empty` says that
    /// it has no payload, which ends a stream of answers.
    pub fn answer(&self, token: &[u8], is_empty: bool, now: Monotonic) -> Option<Pending> {
        let mut by_token = self.by_token.lock();
        let pending = by_token.get_mut(token)?;
        if pending.deadline < now {
            by_token.remove(token);
            return None;
        }
        if pending.response == ResponseKind::Singleton || is_empty {
            return by_token.remove(token);
        }
        pending.deadline = now.plus(pending.threshold);
        Some(pending.clone())
    }

    /// Nobody answers: the request reached nobody.
    pub fn remove(&self, token: &[u8]) {
        self.by_token.lock().remove(token);
    }

    /// Forgets what was not answered in time.
    pub fn prune(&self, now: Monotonic) {
        let mut by_token = self.by_token.lock();
        by_token.retain(|_, pending| pending.deadline >= now);
        if by_token.is_empty() && by_token.capacity() > 1024 {
            by_token.shrink_to_fit();
        }
    }

    /// Requests that wait, as `(token, where to)`; for monitoring.
    pub fn all(&self) -> Vec<(Box<[u8]>, Pending)> {
        let by_token = self.by_token.lock();
        by_token
            .iter()
            .map(|(t, p)| (t.clone(), p.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(response: ResponseKind) -> Pending {
        let account = Account::new("A");
        Pending::new(
            &account,
            b"inbox",
            "svc",
            response,
            Duration::from_secs(2),
            Monotonic::default(),
        )
    }

    fn at(secs: u64) -> Monotonic {
        Monotonic::from_nanos(secs * 1_000_000_000)
    }

    #[test]
    fn a_single_answer_ends_the_wait() {
        let replies = Replies::default();
        assert!(replies.insert(b"t", pending(ResponseKind::Singleton)));
        assert!(replies.answer(b"t", false, at(1)).is_some());
        assert!(replies.answer(b"t", false, at(1)).is_none());
    }

    #[test]
    fn a_stream_ends_with_an_empty_answer_or_in_silence() {
        let replies = Replies::default();
        replies.insert(b"t", pending(ResponseKind::Stream));
        assert!(replies.answer(b"t", false, at(1)).is_some());
        // Each answer starts the time anew.
        assert!(replies.answer(b"t", false, at(3)).is_some());
        assert!(replies.answer(b"t", true, at(3)).is_some());
        assert!(replies.answer(b"t", false, at(3)).is_none());
        replies.insert(b"t", pending(ResponseKind::Stream));
        assert!(replies.answer(b"t", false, at(5)).is_none());
    }

    #[test]
    fn what_nobody_answers_is_forgotten() {
        let replies = Replies::default();
        replies.insert(b"t", pending(ResponseKind::Singleton));
        replies.prune(at(1));
        assert_eq!(replies.all().len(), 1);
        replies.prune(at(3));
        assert!(replies.all().is_empty());
    }
}

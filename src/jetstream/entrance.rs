//! How many requests to the API may be on their way at once.
//!
//! Separate because it is asked on the publishers' threads, and because it is the bound of
//! everything behind it: a request holds its place until it is answered. Requests that only
//! look are counted on their own, so that whoever lists everything all the time does not
//! keep others from making a stream.
//!
//! Invariants: never more requests wait or are answered than there are places; who finds
//! none hears nothing, as if it asked nobody, and the system account hears how many those
//! were.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How many places there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For requests that change something, or read messages.
    pub requests_max: usize,
    /// For requests that ask what there is.
    pub infos_max: usize,
}

/// A request's place; given back when it is dropped.
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

/// Counts who is in.
pub struct Entrance {
    requests: Arc<Semaphore>,
    infos: Arc<Semaphore>,
    refused: AtomicU64,
    refusal: Notify,
}

impl Entrance {
    /// Nobody is in yet.
    pub fn new(limits: Limits) -> Entrance {
        let places = |max: usize| Arc::new(Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS)));
        Entrance {
            requests: places(limits.requests_max),
            infos: places(limits.infos_max),
            refused: AtomicU64::new(0),
            refusal: Notify::new(),
        }
    }

    /// A place for a request with this subject, if there is one.
    pub fn enter(&self, subject: &str) -> Option<Place> {
        let places = if is_info(subject) {
            &self.infos
        } else {
            &self.requests
        };
        let permit = Arc::clone(places).try_acquire_owned();
        if permit.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            self.refusal.notify_one();
        }
        permit.ok().map(|permit| Place { _permit: permit })
    }

    /// Waits until somebody was refused; how many since the last time. Nothing is lost when
    /// this is dropped while it waits.
    pub async fn refused(&self) -> u64 {
        self.refusal.notified().await;
        self.refused.swap(0, Ordering::Relaxed)
    }
}

/// Whether a request only asks what there is.
fn is_info(subject: &str) -> bool {
    let rest = subject.strip_prefix("$JS.API.").unwrap_or_default();
    let mut tokens = rest.split('.');
    match tokens.next() {
        Some("INFO") => true,
        Some("STREAM" | "CONSUMER") => matches!(tokens.next(), Some("INFO" | "LIST" | "NAMES")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_until_it_is_given_back() {
        let entrance = Entrance::new(Limits {
            requests_max: 1,
            infos_max: 1,
        });
        let place = entrance.enter("$JS.API.STREAM.CREATE.S").expect("a place");
        assert!(entrance.enter("$JS.API.STREAM.DELETE.S").is_none());
        assert!(entrance.enter("$JS.API.STREAM.MSG.GET.S").is_none());
        let info = entrance
            .enter("$JS.API.STREAM.INFO.S")
            .expect("another kind");
        for subject in ["INFO", "CONSUMER.LIST.S", "STREAM.NAMES"] {
            let subject = format!("$JS.API.{subject}");
            assert!(entrance.enter(&subject).is_none(), "{subject}");
        }
        assert_eq!(entrance.refused.load(Ordering::Relaxed), 5);
        drop((place, info));
        assert!(entrance.enter("$JS.API.STREAM.DELETE.S").is_some());
        assert!(entrance.enter("$JS.API.INFO").is_some());
    }
}

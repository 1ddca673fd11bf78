//! Responses: which reply subjects a link may publish to because it was asked.
//!
//! Separate from `permissions` because this is state of a link, not of a user: each message
//! with a reply that is delivered to a link whose user has `allow_responses` opens its reply
//! subject for a number of messages and a time (spec core §2.2).
//!
//! Invariants: a reply subject stands here once, with the time of its latest delivery; at
//! most [`OPEN_MAX`] are open, beyond that the oldest close first. Absent: no clock, callers
//! pass `now`.

use std::collections::{HashMap, VecDeque};

use crate::auth::permissions::ResponsePermission;
use crate::clock::Monotonic;

/// The number of reply subjects that can be open at one link.
pub const OPEN_MAX: usize = 65_536;

/// The open reply subjects of one link.
#[derive(Debug)]
pub struct ResponseTable {
    permission: ResponsePermission,
    open: HashMap<Box<[u8]>, Open, foldhash::fast::RandomState>,
    /// Deliveries in order of time; an entry whose `generation` is not that of the open
    /// subject any more is stale and skipped.
    order: VecDeque<(Box<[u8]>, u64)>,
    generation: u64,
}

#[derive(Debug)]
struct Open {
    since: Monotonic,
    used: u64,
    generation: u64,
}

impl ResponseTable {
    /// A table without open subjects.
    pub fn new(permission: ResponsePermission) -> Self {
        ResponseTable {
            permission,
            open: HashMap::default(),
            order: VecDeque::new(),
            generation: 0,
        }
    }

    /// Opens `reply`, or opens it anew: the count and the time start over.
    pub fn on_deliver(&mut self, reply: &[u8], now: Monotonic) {
        if reply.is_empty() {
            return;
        }
        self.generation += 1;
        let generation = self.generation;
        let fresh = Open {
            since: now,
            used: 0,
            generation,
        };
        match self.open.get_mut(reply) {
            Some(open) => *open = fresh,
            None => {
                self.open.insert(reply.into(), fresh);
            }
        }
        self.order.push_back((reply.into(), generation));
        self.prune(now);
        self.bound();
    }

    /// Uses up one message of `subject`; false if it is not open, used up or too old.
    pub fn may_publish(&mut self, subject: &[u8], now: Monotonic) -> bool {
        let permission = self.permission;
        let Some(open) = self.open.get_mut(subject) else {
            return false;
        };
        open.used += 1;
        let used_up = u64::try_from(permission.max_msgs).is_ok_and(|max| open.used > max);
        if used_up || is_expired(permission, open.since, now) {
            self.open.remove(subject);
            return false;
        }
        true
    }

    /// Closes what is too old. Called on every delivery; call it also when a link is idle.
    pub fn prune(&mut self, now: Monotonic) {
        while let Some((subject, generation)) = self.order.front() {
            match self.open.get(subject) {
                Some(open) if open.generation == *generation => {
                    if !is_expired(self.permission, open.since, now) {
                        return;
                    }
                    self.open.remove(subject);
                }
                _ => {}
            }
            self.order.pop_front();
        }
    }

    /// The number of open reply subjects.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// No reply subject is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Holds the subjects and the queue of deliveries to [`OPEN_MAX`].
    fn bound(&mut self) {
        while self.open.len() > OPEN_MAX {
            let Some((subject, generation)) = self.order.pop_front() else {
                break;
            };
            if self.is_current(&subject, generation) {
                self.open.remove(&subject);
            }
        }
        // Stale entries pile up behind one that stays open; sweep them now and then.
        if self.order.len() > 2 * OPEN_MAX {
            let order = std::mem::take(&mut self.order);
            self.order = order
                .into_iter()
                .filter(|(subject, generation)| self.is_current(subject, *generation))
                .collect();
        }
    }

    fn is_current(&self, subject: &[u8], generation: u64) -> bool {
        self.open
            .get(subject)
            .is_some_and(|open| open.generation == generation)
    }
}

fn is_expired(permission: ResponsePermission, since: Monotonic, now: Monotonic) -> bool {
    permission
        .expires
        .is_some_and(|expires| now.since(since) > expires)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(secs: u64) -> Monotonic {
        Monotonic::from_nanos(secs * 1_000_000_000)
    }

    fn table(max_msgs: i64, expires_secs: Option<u64>) -> ResponseTable {
        ResponseTable::new(ResponsePermission {
            max_msgs,
            expires: expires_secs.map(Duration::from_secs),
        })
    }

    #[test]
    fn a_reply_may_be_answered_as_often_as_allowed() {
        let mut table = table(2, Some(120));
        assert!(!table.may_publish(b"r", at(0)));
        table.on_deliver(b"r", at(0));
        assert!(table.may_publish(b"r", at(1)));
        assert!(table.may_publish(b"r", at(2)));
        assert!(!table.may_publish(b"r", at(3)));
        assert!(table.is_empty());
    }

    #[test]
    fn a_negative_maximum_is_unlimited() {
        let mut table = table(-1, Some(1));
        table.on_deliver(b"r", at(0));
        assert!((0..100).all(|_| table.may_publish(b"r", at(1))));
        assert!(!table.may_publish(b"r", at(2)));
    }

    #[test]
    fn a_reply_closes_when_its_time_is_over() {
        let mut table = table(1, Some(2));
        table.on_deliver(b"a", at(0));
        table.on_deliver(b"b", at(0));
        assert!(table.may_publish(b"a", at(2)));
        assert!(!table.may_publish(b"b", at(3)));
    }

    #[test]
    fn a_second_request_on_the_same_reply_starts_over() {
        let mut table = table(1, Some(2));
        table.on_deliver(b"r", at(0));
        assert!(table.may_publish(b"r", at(1)));
        table.on_deliver(b"r", at(2));
        table.prune(at(3));
        assert!(table.may_publish(b"r", at(4)));
    }

    #[test]
    fn pruning_forgets_only_what_is_too_old() {
        let mut table = table(1, Some(10));
        for second in 0..20u64 {
            table.on_deliver(format!("r.{second}").as_bytes(), at(second));
        }
        assert_eq!(table.len(), 11);
        table.prune(at(25));
        assert_eq!(table.len(), 5);
        assert!(table.may_publish(b"r.15", at(25)));
    }

    #[test]
    fn the_oldest_closes_first_at_the_limit() {
        let mut table = table(-1, None);
        for n in 0..=OPEN_MAX {
            table.on_deliver(format!("r.{n}").as_bytes(), at(0));
        }
        assert_eq!(table.len(), OPEN_MAX);
        assert!(!table.may_publish(b"r.0", at(0)));
        assert!(table.may_publish(b"r.1", at(0)));
    }

    #[test]
    fn repeated_requests_do_not_grow_the_table() {
        let mut table = table(-1, None);
        table.on_deliver(b"first", at(0));
        for _ in 0..3 * OPEN_MAX {
            table.on_deliver(b"again", at(0));
        }
        assert_eq!(table.len(), 2);
        assert!(table.order.len() <= 2 * OPEN_MAX);
        assert!(table.may_publish(b"first", at(1)));
    }

    #[test]
    fn an_empty_reply_opens_nothing() {
        let mut table = table(1, None);
        table.on_deliver(b"", at(0));
        assert!(table.is_empty());
    }
}

//! Sort, offset and limit of long answers.
//!
//! Invariants: a page never has more entries than its limit; an offset beyond the end is an
//! empty page, not an error; connections of equal rank keep the order of their ids.

use std::cmp::Reverse;
use std::sync::Arc;

use super::source::ConnectionSnapshot;
use crate::clock::Timestamp;

/// Entries in one answer unless the caller asks for another number.
pub const LIMIT_DEFAULT: i64 = 1024;

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries to leave out at the front.
    pub offset: i64,
    /// Entries to show at most.
    pub limit: i64,
}

impl Page {
    /// The page asked for; a negative offset is none, a limit below one the default.
    pub fn new(offset: i64, limit: i64) -> Self {
        Page {
            offset: offset.max(0),
            limit: if limit <= 0 { LIMIT_DEFAULT } else { limit },
        }
    }

    /// Whether the entry with that index, counted from zero, is on this page.
    pub fn shows(self, index: usize) -> bool {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        index >= self.offset && index - self.offset < self.limit
    }

    /// The entries of `list` on this page.
    pub fn cut<T>(self, mut list: Vec<T>) -> Vec<T> {
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        list.drain(..offset.min(list.len()));
        list.truncate(limit);
        list
    }
}

/// The order of connections in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// By id, which is also the order of their start.
    #[default]
    Id,
    /// Most subscriptions first.
    Subscriptions,
    /// Most bytes waiting first.
    Pending,
    /// Most messages delivered first.
    MessagesTo,
    /// Most messages received first.
    MessagesFrom,
    /// Most bytes delivered first.
    BytesTo,
    /// Most bytes received first.
    BytesFrom,
    /// Latest activity first.
    Last,
    /// Longest idle first.
    Idle,
    /// Shortest life first.
    Uptime,
    /// Latest stop first; closed connections only.
    Stop,
    /// By the text of the reason; closed connections only.
    Reason,
    /// Slowest round trip first.
    RoundTrip,
}

impl SortBy {
    const NAMES: [(&'static str, SortBy); 15] = [
        ("", SortBy::Id),
        ("cid", SortBy::Id),
        ("start", SortBy::Id),
        ("subs", SortBy::Subscriptions),
        ("pending", SortBy::Pending),
        ("msgs_to", SortBy::MessagesTo),
        ("msgs_from", SortBy::MessagesFrom),
        ("bytes_to", SortBy::BytesTo),
        ("bytes_from", SortBy::BytesFrom),
        ("last", SortBy::Last),
        ("idle", SortBy::Idle),
        ("uptime", SortBy::Uptime),
        ("stop", SortBy::Stop),
        ("reason", SortBy::Reason),
        ("rtt", SortBy::RoundTrip),
    ];

    /// The order of that name; the empty name is the default order.
    pub fn parse(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, sort)| *sort)
    }

    /// Sorts connections, open ones as of `now`.
    pub fn sort(self, connections: &mut [Arc<ConnectionSnapshot>], now: Timestamp) {
        let life = |c: &Arc<ConnectionSnapshot>| c.stop.unwrap_or(now).since(c.start);
        connections.sort_by_key(|c| c.cid);
        match self {
            SortBy::Id => {}
            SortBy::Subscriptions => connections.sort_by_key(|c| Reverse(c.subscription_count)),
            SortBy::Pending => connections.sort_by_key(|c| Reverse(c.pending_bytes)),
            SortBy::MessagesTo => connections.sort_by_key(|c| Reverse(c.sent.msgs)),
            SortBy::MessagesFrom => connections.sort_by_key(|c| Reverse(c.received.msgs)),
            SortBy::BytesTo => connections.sort_by_key(|c| Reverse(c.sent.bytes)),
            SortBy::BytesFrom => connections.sort_by_key(|c| Reverse(c.received.bytes)),
            SortBy::Last => connections.sort_by_key(|c| Reverse(c.last_activity)),
            SortBy::Idle => connections.sort_by_key(|c| c.last_activity),
            SortBy::Uptime => connections.sort_by_key(life),
            SortBy::Stop => connections.sort_by_key(|c| Reverse(c.stop)),
            SortBy::Reason => connections.sort_by(|a, b| a.reason.cmp(&b.reason)),
            SortBy::RoundTrip => connections.sort_by_key(|c| Reverse(c.round_trip)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::source::Traffic;
    use super::*;

    #[test]
    fn page_never_leaves_its_list() {
        let check = |offset, limit, expected: &[i32]| {
            let page = Page::new(offset, limit);
            assert_eq!(page.cut(vec![1, 2, 3]), expected);
            let shown = (0..3).filter(|index| page.shows(*index)).count();
            assert_eq!(shown, expected.len());
        };
        check(0, 0, &[1, 2, 3]);
        check(-1, -1, &[1, 2, 3]);
        check(0, 2, &[1, 2]);
        check(1, 1, &[2]);
        check(3, 5, &[]);
        check(i64::MAX, i64::MAX, &[]);
    }

    #[test]
    fn every_order_of_its_name() {
        let connection = |cid: u64, rank: u64| ConnectionSnapshot {
            cid,
            subscription_count: rank,
            pending_bytes: rank,
            sent: Traffic::new(rank, rank),
            received: Traffic::new(rank, rank),
            start: Timestamp::from_unix_nanos(rank as i64),
            last_activity: Timestamp::from_unix_nanos(rank as i64),
            stop: Some(Timestamp::from_unix_nanos(10 * rank as i64)),
            reason: format!("reason {rank}"),
            round_trip: Duration::from_nanos(rank),
            ..ConnectionSnapshot::default()
        };
        let connection = |cid, rank| Arc::new(connection(cid, rank));
        let check = |name: &str, expected: [u64; 3]| {
            let mut list = vec![connection(3, 20), connection(1, 10), connection(2, 20)];
            let sort = SortBy::parse(name).expect("a known name");
            sort.sort(&mut list, Timestamp::from_unix_nanos(1000));
            assert_eq!(
                list.iter().map(|c| c.cid).collect::<Vec<_>>(),
                expected,
                "{name}"
            );
        };
        for name in ["", "cid", "start"] {
            check(name, [1, 2, 3]);
        }
        let largest_first = [
            "subs",
            "pending",
            "msgs_to",
            "msgs_from",
            "bytes_to",
            "bytes_from",
        ];
        for name in largest_first.into_iter().chain(["last", "stop", "rtt"]) {
            check(name, [2, 3, 1]);
        }
        for name in ["idle", "uptime", "reason"] {
            check(name, [1, 2, 3]);
        }
        assert_eq!(SortBy::parse("odd"), None);
        assert_eq!(SortBy::parse("CID"), None);
    }
}

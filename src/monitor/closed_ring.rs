//! The most recently closed connections, for `/connz?state=closed`.
//!
//! Separate because it is the one place where monitoring remembers: everything else is
//! computed when asked. The server pushes, [`Source::closed_connections`] copies.
//!
//! Invariants: `len() <= capacity`; the oldest leaves first; a capacity of zero remembers
//! nothing. Snapshots are shared, so a copy of the ring costs a pointer each.
//!
//! [`Source::closed_connections`]: super::source::Source::closed_connections

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::source::ConnectionSnapshot;

/// The ring (`max_closed_clients`, 10000 unless configured).
#[derive(Debug)]
pub struct ClosedRing {
    capacity: usize,
    closed: Mutex<VecDeque<Arc<ConnectionSnapshot>>>,
}

impl ClosedRing {
    /// A ring that remembers `capacity` connections.
    pub const fn new(capacity: usize) -> Self {
        ClosedRing {
            capacity,
            closed: Mutex::new(VecDeque::new()),
        }
    }

    /// Remembers a connection that has `stop` and `reason`; forgets the oldest if need be.
    pub fn push(&self, connection: ConnectionSnapshot) {
        debug_assert!(connection.stop.is_some(), "an open connection in the ring");
        if self.capacity == 0 {
            return;
        }
        let connection = Arc::new(connection);
        let mut closed = self.closed.lock();
        let forgotten = if closed.len() == self.capacity {
            closed.pop_front()
        } else {
            None
        };
        closed.push_back(connection);
        drop(closed);
        // A connection may have many subscriptions: they are freed without the lock.
        drop(forgotten);
    }

    /// What is remembered, oldest first.
    pub fn snapshots(&self) -> Vec<Arc<ConnectionSnapshot>> {
        self.closed.lock().iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn the_oldest_leaves_first() {
        let check = |capacity, expected: &[u64]| {
            let ring = ClosedRing::new(capacity);
            for cid in 1..=4 {
                ring.push(ConnectionSnapshot {
                    cid,
                    stop: Some(Timestamp::default()),
                    ..ConnectionSnapshot::default()
                });
            }
            let cids: Vec<_> = ring.snapshots().iter().map(|c| c.cid).collect();
            assert_eq!(cids, expected);
        };
        check(0, &[]);
        check(1, &[4]);
        check(3, &[2, 3, 4]);
        check(9, &[1, 2, 3, 4]);
    }
}

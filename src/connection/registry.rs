//! The links of a server, by number.
//!
//! Sharded so that connecting does not contend. It knows the worst offender when all links
//! together hold more than they may.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::close::CloseReason;
use super::id::ConnId;
use super::link::Link;
use super::pending::PendingTotal;

const SHARDS: usize = 16;

/// All links, each with what its front adds to it.
pub struct Registry<T> {
    shards: [Mutex<HashMap<ConnId, Arc<T>>>; SHARDS],
    last_id: AtomicU64,
}

/// A registered thing that has a link.
pub trait HasLink {
    /// Its link.
    fn link(&self) -> &Arc<Link>;
}

impl<T: HasLink> Registry<T> {
    /// An empty registry.
    pub fn new() -> Self {
        Registry {
            shards: std::array::from_fn(|_| Mutex::default()),
            last_id: AtomicU64::new(0),
        }
    }

    /// A number that was not used before.
    pub fn next_id(&self) -> ConnId {
        ConnId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn shard(&self, id: ConnId) -> &Mutex<HashMap<ConnId, Arc<T>>> {
        &self.shards[id.0 as usize % SHARDS]
    }

    /// Adds under the link's number.
    pub fn insert(&self, entry: Arc<T>) {
        let id = entry.link().id;
        self.shard(id).lock().insert(id, entry);
    }

    /// Takes out.
    pub fn remove(&self, id: ConnId) -> Option<Arc<T>> {
        self.shard(id).lock().remove(&id)
    }

    /// The entry of that number.
    pub fn get(&self, id: ConnId) -> Option<Arc<T>> {
        self.shard(id).lock().get(&id).cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries, in no order.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.shards
            .iter()
            .flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Cuts the links that hold most until the total is below its bound again. Returns
    /// how many were cut.
    pub fn cut_worst(&self, total: &PendingTotal) -> usize {
        if !total.is_exceeded() {
            return 0;
        }
        let mut entries: Vec<_> = self
            .all()
            .into_iter()
            .map(|entry| (entry.link().pending_bytes(), entry))
            .collect();
        entries.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let mut cut = 0;
        for (_, entry) in entries {
            if !total.is_exceeded() {
                break;
            }
            entry.link().close(CloseReason::SlowConsumerPendingBytes);
            cut += 1;
        }
        cut
    }
}

impl<T: HasLink> Default for Registry<T> {
    fn default() -> Self {
        Self::new()
    }
}

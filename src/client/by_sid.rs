//! A client's subscriptions by the name the client gave them.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::pubsub::subscription::Subscription;

/// Subscriptions by sid: one pointer each.
pub type SubscriptionsBySid = HashSet<BySid, RandomState>;

/// A subscription found by its sid.
#[derive(Debug)]
pub struct BySid(pub Arc<Subscription>);

impl Borrow<[u8]> for BySid {
    fn borrow(&self) -> &[u8] {
        self.0.sid()
    }
}

impl Hash for BySid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.sid().hash(state);
    }
}

impl PartialEq for BySid {
    fn eq(&self, other: &Self) -> bool {
        self.0.sid() == other.0.sid()
    }
}

impl Eq for BySid {}

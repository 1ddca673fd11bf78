//! What a mirror or source is copied from (skeleton).

use super::mailbox::Incoming;
use super::replica::Replica;
use crate::clock::Timestamp;

/// The leader's side of a mirror or of sources.
pub struct Origin {}

impl Origin {
    /// When something is due.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        None
    }
}

/// A stream begins, or has another configuration.
pub fn begin(_: &mut Replica, _: Timestamp) {}

/// A message from an origin.
pub fn on_copy(_: &mut Replica, _: Timestamp, _: Incoming) {}

/// Shows what is copied from, in a stream's info.
pub fn show(_: &Replica, _: &mut serde_json::Map<String, serde_json::Value>) {}

/// Does what is due.
pub fn on_time(_: &mut Replica, _: Timestamp) {}

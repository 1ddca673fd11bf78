//! Which pull requests may be served, when they compete by priority group.
//!
//! Separate because policies are added here. Only `overflow` decides anything; consumers
//! with the policies `pinned_client` and `prioritized` are refused at creation.

use super::config::{Config, PriorityPolicy};

/// What a pull request says about priority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Priority {
    /// The group it belongs to.
    pub group: String,
    /// Serve it only if so many messages wait to be delivered; 0: no matter.
    pub min_pending: i64,
    /// Serve it only if so many messages wait for acknowledgement; 0: no matter.
    pub min_ack_pending: i64,
    /// The pin it holds.
    pub id: String,
    /// Its place among others, 0 to 9.
    pub priority: i64,
}

impl Priority {
    /// What is wrong with it for this consumer, in the words that clients know.
    pub(super) fn refusal(&self, config: &Config) -> Option<&'static str> {
        let policy = config.priority_policy;
        if (self.min_pending != 0 || self.min_ack_pending != 0)
            && policy != PriorityPolicy::Overflow
        {
            return Some("Not a Overflow Priority consumer");
        }
        if !self.id.is_empty() && policy != PriorityPolicy::PinnedClient {
            return Some("Not a Pinned Client Priority consumer");
        }
        if !(0..=9).contains(&self.priority) {
            return Some("Priority must be between 0 and 9");
        }
        if policy == PriorityPolicy::None {
            return None;
        }
        if self.group.is_empty() {
            return Some("Priority Group missing");
        }
        if !config.priority_groups.contains(&self.group) {
            return Some("Invalid Priority Group");
        }
        None
    }

    /// Whether an overflow request may be served: one of its thresholds is reached, or it
    /// has none.
    pub(super) fn is_eligible(&self, pending: u64, ack_pending: u64) -> bool {
        let reached = |min: i64, actual: u64| min > 0 && min.unsigned_abs() <= actual;
        (self.min_pending <= 0 && self.min_ack_pending <= 0)
            || reached(self.min_pending, pending)
            || reached(self.min_ack_pending, ack_pending)
    }
}

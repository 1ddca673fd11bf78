//! What the rules need to know of the stream, its consumers, the account and the server.

use std::collections::BTreeMap;

use crate::consumer::config::Config;

/// What a consumer's rules need to know of its stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stream<'a> {
    /// What it captures.
    pub subjects: &'a [String],
    /// Every message is for one consumer.
    pub is_work_queue: bool,
    /// Messages go when all consumers are done with them.
    pub is_interest: bool,
    /// Its replicas.
    pub replicas: i64,
    /// How many consumers it may have.
    pub consumers_max: Option<u64>,
    /// What consumers get that ask for nothing, and the most they may ask for; 0: nothing.
    pub ack_pending_limit: i64,
    /// As [`Stream::ack_pending_limit`], in nanoseconds.
    pub inactive_threshold_limit: i64,
}

/// The stream's consumers.
pub trait Consumers {
    /// The configuration of the consumer with this name.
    fn consumer(&self, name: &str) -> Option<&Config>;

    /// Visits all of them.
    fn each(&self, visit: &mut dyn FnMut(&str, &Config));

    /// How many count against limits: all but the direct ones.
    fn counted(&self) -> u64 {
        let mut count = 0;
        self.each(&mut |_, config| count += u64::from(!config.direct));
        count
    }
}

impl Consumers for BTreeMap<String, Config> {
    fn consumer(&self, name: &str) -> Option<&Config> {
        self.get(name)
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &Config)) {
        self.iter().for_each(|(name, config)| visit(name, config));
    }
}

/// The limits of account and server, and what of them is used. `None` means unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// There are other servers to place replicas on.
    pub clustered: bool,
    /// Consumers of each stream, by the account.
    pub consumers_max: Option<u64>,
    /// Unacknowledged messages of one consumer, by the account.
    pub account_ack_pending_max: Option<u64>,
    /// Unacknowledged messages of one consumer, by the server.
    pub server_ack_pending_max: Option<u64>,
    /// Messages of one pull request, by the server.
    pub request_batch_max: Option<u64>,
}

impl Limits {
    /// The lower of the two limits of unacknowledged messages.
    pub(super) fn ack_pending_max(&self) -> Option<i64> {
        let limits = [self.account_ack_pending_max, self.server_ack_pending_max];
        let lowest = limits.into_iter().flatten().min()?;
        Some(i64::try_from(lowest).unwrap_or(i64::MAX))
    }
}

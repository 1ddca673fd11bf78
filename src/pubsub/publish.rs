//! The publish path: match, then deliver.

use std::sync::Arc;

use super::accounts::Account;
use super::match_cache::{MatchCache, Matches};
use super::message::{Batch, Encoded, Message};
use crate::entropy::Random;

/// What a link needs to publish: its cache, its batch, its chance.
pub struct Publisher {
    account: Arc<Account>,
    cache: MatchCache,
    encoded: Encoded,
    random: Random,
    /// What the current batch leaves to be done.
    pub batch: Batch,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Somebody received it.
    Delivered,
    /// Nobody did.
    NoReceiver,
    /// The publisher may not.
    Denied,
}

impl Publisher {
    /// A publisher into `account`.
    pub fn new(account: Arc<Account>, random: Random) -> Self {
        Publisher {
            account,
            cache: MatchCache::default(),
            encoded: Encoded::default(),
            random,
            batch: Batch::default(),
        }
    }

    /// The account it publishes into.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Publishes one message. `may_publish` is asked once per subject and remembered;
    /// with `permitted` the answer does not matter.
    pub fn publish(
        &mut self,
        message: &Message<'_>,
        permitted: bool,
        may_publish: impl FnOnce() -> bool,
    ) -> Published {
        let entry = self
            .cache
            .lookup(&self.account.interest, message.subject, may_publish);
        if !entry.allowed && !permitted {
            return Published::Denied;
        }
        let matches = &entry.matches;
        if matches.receivers() == 0 {
            return Published::NoReceiver;
        }
        self.encoded.begin(matches.receivers());
        let delivered = deliver(
            message,
            matches,
            &mut self.encoded,
            &mut self.batch,
            &mut self.random,
        );
        while let Some(subscription) = self.batch.next_finished() {
            self.account.unsubscribe(&subscription);
        }
        if delivered {
            Published::Delivered
        } else {
            Published::NoReceiver
        }
    }

    /// Forgets cached matches: permissions or account have changed.
    pub fn forget(&mut self) {
        self.cache.clear();
    }

    /// Gives memory back if nothing was published since the last call.
    pub fn rest(&mut self) {
        self.cache.clear_if_idle();
    }
}

/// Delivers to every plain subscription and to one member of each group.
fn deliver(
    message: &Message<'_>,
    matches: &Matches,
    encoded: &mut Encoded,
    batch: &mut Batch,
    random: &mut Random,
) -> bool {
    let mut delivered = false;
    for sub in &matches.plain {
        delivered |= sub.sink.deliver(message, encoded, sub, batch);
    }
    for group in &matches.groups {
        let members = &group.members;
        let start = random.below(members.len() as u64) as usize;
        let (before, from) = members.split_at(start);
        delivered |= from
            .iter()
            .chain(before)
            .any(|sub| sub.sink.deliver(message, encoded, sub, batch));
    }
    delivered
}

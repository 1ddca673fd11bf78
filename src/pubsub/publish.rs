//! The publish path: map, check, match, then deliver.

use std::sync::Arc;

use super::accounts::Account;
use super::deliver::deliver;
use super::match_cache::MatchCache;
use super::message::{Batch, Encoded, Message, Requester};
use crate::account::mapping::Mapped;
use crate::entropy::Random;

/// What a link needs to publish: its cache, its batch, its chance.
pub struct Publisher {
    account: Arc<Account>,
    /// The place of the cache among those of the account.
    cache_key: u64,
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
    /// A publisher into `account`; `requester` says who asks when a request crosses accounts.
    pub fn new(
        account: Arc<Account>,
        mut random: Random,
        requester: Option<Arc<dyn Requester>>,
    ) -> Self {
        let (cache_key, figures) = account.caches.join();
        Publisher {
            batch: Batch::new(Random::seeded(random.next_u64()), requester),
            account,
            cache_key,
            cache: MatchCache::new(figures),
            encoded: Encoded::default(),
            random,
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
        may_publish: impl Fn(&[u8]) -> bool,
    ) -> Published {
        self.publish_to(message.subject, message, permitted, may_publish)
    }

    /// As [`Publisher::publish`], to those who listen on `route`, whatever subject the
    /// message shows: a stored message keeps its own.
    pub fn publish_to(
        &mut self,
        route: &[u8],
        message: &Message<'_>,
        permitted: bool,
        may_publish: impl Fn(&[u8]) -> bool,
    ) -> Published {
        let entry = self
            .cache
            .lookup(&self.account.interest, route, || may_publish(route));
        if !entry.allowed && !permitted {
            return Published::Denied;
        }
        let matches = &entry.matches;
        if matches.receivers() == 0 {
            return Published::NoReceiver;
        }
        self.encoded.begin(matches.receivers());
        self.batch.note_work(matches.receivers());
        let delivered = deliver(
            message,
            matches,
            &mut self.encoded,
            &mut self.batch,
            &mut self.random,
        );
        self.encoded.end();
        self.batch.end_finished(&self.account);
        if delivered {
            Published::Delivered
        } else {
            Published::NoReceiver
        }
    }

    /// The permission concerns the subject as published, the receivers that of the mapping.
    /// What `subject` goes out as. Permissions and the rest are those of the answer.
    pub fn map(&mut self, subject: &[u8]) -> Mapped {
        if !self.account.has_mappings() {
            return Mapped::Unchanged;
        }
        let random = &mut self.random;
        let policy = self.account.policy();
        policy
            .mappings
            .map(subject, None, &mut |below| random.below(below))
    }

    /// Forgets cached matches: permissions or account have changed.
    pub fn forget(&mut self) {
        self.cache.clear();
    }

    /// Gives memory back if nothing was published since the last call.
    pub fn rest(&mut self) {
        self.cache.clear_if_idle();
        self.encoded = Encoded::default();
        self.batch.rest();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.account.caches.leave(self.cache_key);
    }
}

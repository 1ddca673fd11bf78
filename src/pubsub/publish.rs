//! The publish path: check, map, match, then deliver.

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
        Publisher {
            batch: Batch::new(Random::seeded(random.next_u64()), requester),
            account,
            cache: MatchCache::default(),
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
        if self.account.has_mappings() {
            return self.publish_mapped(message, permitted, may_publish);
        }
        self.publish_as_is(message, permitted, may_publish)
    }

    fn publish_as_is(
        &mut self,
        message: &Message<'_>,
        permitted: bool,
        may_publish: impl Fn(&[u8]) -> bool,
    ) -> Published {
        let entry = self
            .cache
            .lookup(&self.account.interest, message.subject, || {
                may_publish(message.subject)
            });
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
    fn publish_mapped(
        &mut self,
        message: &Message<'_>,
        permitted: bool,
        may_publish: impl Fn(&[u8]) -> bool,
    ) -> Published {
        if !permitted && !may_publish(message.subject) {
            return Published::Denied;
        }
        let policy = self.account.policy();
        let random = &mut self.random;
        match policy
            .mappings
            .map(message.subject, None, &mut |below| random.below(below))
        {
            Mapped::Unchanged => self.publish_as_is(message, true, may_publish),
            Mapped::Dropped => Published::NoReceiver,
            Mapped::To(subject) => {
                let mapped = Message {
                    subject: &subject,
                    ..*message
                };
                self.publish_as_is(&mapped, true, may_publish)
            }
        }
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

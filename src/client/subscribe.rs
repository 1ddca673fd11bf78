//! `SUB` and `UNSUB`: permission, limits, interest.

use std::sync::Arc;

use crate::auth::permissions;
use crate::client::by_sid::BySid;
use crate::client::session::ClientSession;
use crate::protocol::encode;
use crate::protocol::error::ClientError;
use crate::protocol::op::Subscribe;
use crate::pubsub::accounts::Account;
use crate::pubsub::subscription::{Sink, Subscription};
use crate::subject::{reserved, tokens};

impl ClientSession {
    /// Adds a subscription.
    pub(super) fn on_subscribe(&mut self, op: &Subscribe<'_>) {
        let user = Arc::clone(self.sink.user());
        let permission = user.permissions.can_subscribe(op.subject, op.queue);
        let refused_queue = op.queue.is_some_and(reserved::refuses_queue);
        if permission == permissions::Subscribe::Denied || refused_queue {
            let error = match op.queue {
                Some(queue) => ClientError::QueuePermission(op.subject, queue),
                None => ClientError::SubscribePermission(op.subject),
            };
            return self.warn_of(error, op.sid);
        }
        let tokens_max = self.options.subscription_tokens_max;
        if tokens_max.is_some_and(|max| tokens::count(op.subject) > max) {
            return self.warn_of(ClientError::TooManyTokens(op.subject), op.sid);
        }
        self.forget_ended();
        if self.is_full() {
            return self.warn(ClientError::MaximumSubscriptions);
        }
        if self.client.subscriptions.lock().contains(op.sid) {
            // A live sid is kept as it is, without an error (spec core §1.7).
            return self.reply_ok();
        }
        let sink: Arc<dyn Sink> = Arc::clone(&self.sink) as Arc<dyn Sink>;
        let is_filtered = permission == permissions::Subscribe::AllowedFiltered;
        let subscription = tokens::is_valid_subscribe(op.subject)
            .then(|| Subscription::new(op.subject, op.queue, op.sid, sink, is_filtered))
            .flatten();
        let Some(subscription) = subscription else {
            return self.warn(ClientError::InvalidSubject);
        };
        self.account()
            .subscribe(&subscription, &self.front.accounts);
        self.client.subscriptions.lock().insert(BySid(subscription));
        self.reply_ok();
    }

    fn is_full(&self) -> bool {
        let count = self.client.subscriptions.lock().len();
        let own_max = self.options.subscriptions_max;
        // The account's limit holds for each of its clients, not for all together.
        let account_max = self.account().limits().subscriptions_max;
        (own_max > 0 && count >= own_max) || account_max.is_some_and(|max| count as u64 >= max)
    }

    /// Ends a subscription now or after `max` deliveries.
    pub(super) fn on_unsubscribe(&mut self, sid: &[u8], max: u64) {
        self.forget_ended();
        let found = self
            .client
            .subscriptions
            .lock()
            .get(sid)
            .map(|found| Arc::clone(&found.0));
        if let Some(subscription) = found {
            // Locked: a delivery at the same time must see the limit or be counted by it.
            let ends_later = max > 0
                && self
                    .client
                    .link
                    .lock()
                    .is_some_and(|_locked| subscription.limit(max));
            if !ends_later {
                self.account().unsubscribe(&subscription);
                self.client.subscriptions.lock().remove(sid);
                self.trace_ended(sid);
            }
        }
        self.reply_ok();
    }

    /// Drops what had its last message.
    pub(super) fn forget_ended(&mut self) {
        let ended = self.sink.take_ended();
        if ended.is_empty() {
            return;
        }
        let mut subscriptions = self.client.subscriptions.lock();
        for subscription in ended {
            // Gone already, unless its last message came through an import.
            self.account().unsubscribe(&subscription);
            let sid = subscription.sid();
            if subscriptions
                .get(sid)
                .is_some_and(|s| Arc::ptr_eq(&s.0, &subscription))
            {
                subscriptions.remove(sid);
            }
        }
    }

    /// Ends every subscription.
    #[allow(
        clippy::mutable_key_type,
        reason = "the key is the sid, which never changes"
    )]
    pub(super) fn unsubscribe_all(&mut self) {
        if self.publisher.is_none() {
            return;
        }
        let account = Arc::clone(self.account());
        let all = std::mem::take(&mut *self.client.subscriptions.lock());
        for BySid(subscription) in all {
            account.unsubscribe(&subscription);
            self.trace_ended(subscription.sid());
        }
    }

    /// Makes a subscription anew under the present permissions, or tells the client that it
    /// was taken away.
    pub(super) fn renew(&mut self, old: &Arc<Subscription>, account: &Arc<Account>) {
        let user = Arc::clone(self.sink.user());
        let permission = user.permissions.can_subscribe(old.filter(), old.queue());
        account.unsubscribe(old);
        if permission == permissions::Subscribe::Denied {
            let text = String::from_utf8_lossy;
            let queue = old
                .queue()
                .map(|queue| format!(" using queue \"{}\"", text(queue)));
            tracing::info!(
                "Removed sub \"{}\"{} (sid \"{}\") for User \"{}\" - not authorized",
                text(old.filter()),
                queue.unwrap_or_default(),
                text(old.sid()),
                user.name
            );
            let removed = ClientError::PermissionRemoved(old.filter(), old.queue(), old.sid());
            return self.reply(&removed.line());
        }
        let sink: Arc<dyn Sink> = Arc::clone(&self.sink) as Arc<dyn Sink>;
        let is_filtered = permission == permissions::Subscribe::AllowedFiltered;
        let Some(renewed) =
            Subscription::new(old.filter(), old.queue(), old.sid(), sink, is_filtered)
        else {
            return;
        };
        renewed.continue_from(old);
        account.subscribe(&renewed, &self.front.accounts);
        self.client.subscriptions.lock().insert(BySid(renewed));
    }

    /// `+OK`, for who wants it.
    pub(super) fn reply_ok(&mut self) {
        if self.connect.verbose {
            self.trace_out("OK", "");
            self.reply(encode::OK);
        }
    }
}

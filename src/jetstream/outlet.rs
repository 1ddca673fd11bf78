//! How a stream speaks to its account: one publisher, flushed once a turn.
//!
//! Separate because a stream answers and delivers thousands of messages a turn, and each
//! costs a match and an encoding only: receivers are found through the publisher's cache
//! and written to once at the end, many by the threads they live on.
//!
//! Invariants: nothing published is left behind when the turn ends; an outlet that says
//! nothing has no publisher.

use std::sync::Arc;

use crate::connection::id::ConnId;
use crate::entropy::Random;
use crate::pubsub::accounts::Account;
use crate::pubsub::message::Message;
use crate::pubsub::publish::{Published, Publisher};
use crate::store::message::Message as StoredMessage;

/// A publisher of the server's own into one account.
pub struct Outlet {
    account: Arc<Account>,
    /// For publishers to come.
    random: Random,
    /// Made when there is something to say, and not kept while there is not.
    publisher: Option<Box<Publisher>>,
    /// Headers and payload behind each other; used again.
    body: Vec<u8>,
}

impl Outlet {
    /// An outlet into `account`.
    pub fn new(account: Arc<Account>, random: Random) -> Outlet {
        Outlet {
            account,
            random,
            publisher: None,
            body: Vec::new(),
        }
    }

    /// The account it speaks into.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Gives memory back: nothing was said for a while.
    pub fn rest(&mut self) {
        self.publisher = None;
        self.body = Vec::new();
    }

    /// Publishes a message; true if somebody received it. Empty `headers`: none.
    pub fn publish(
        &mut self,
        subject: &[u8],
        reply: &[u8],
        headers: &[u8],
        payload: &[u8],
    ) -> bool {
        let body = if headers.is_empty() {
            payload
        } else {
            self.body.clear();
            self.body.extend_from_slice(headers);
            self.body.extend_from_slice(payload);
            &self.body
        };
        let message = Message {
            subject,
            reply,
            header_len: (!headers.is_empty()).then_some(headers.len()),
            body,
            origin: ConnId::default(),
        };
        let publisher = publisher(&mut self.publisher, &self.account, &mut self.random);
        publisher.publish(&message, true, |_| true) == Published::Delivered
    }

    /// Delivers a stored message, under its own subject, to those who listen on `route`.
    pub fn deliver(&mut self, route: &[u8], reply: &[u8], stored: &StoredMessage) -> bool {
        let headers = &stored.headers[..];
        let body = if headers.is_empty() {
            &stored.payload[..]
        } else {
            self.body.clear();
            self.body.extend_from_slice(headers);
            self.body.extend_from_slice(&stored.payload);
            &self.body
        };
        let message = Message {
            subject: &stored.subject,
            reply,
            header_len: (!headers.is_empty()).then_some(headers.len()),
            body,
            origin: ConnId::default(),
        };
        let publisher = publisher(&mut self.publisher, &self.account, &mut self.random);
        let published = publisher.publish_to(route, &message, true, |_| true);
        published == Published::Delivered
    }

    /// Somebody listens there.
    pub fn has_interest(&self, subject: &[u8]) -> bool {
        self.account().interest.has_interest(subject)
    }

    /// Somebody listens there as a member of that queue group.
    pub fn has_member(&self, subject: &[u8], group: &[u8]) -> bool {
        let mut found = false;
        let interest = &self.account().interest;
        interest.walk(subject, |queue, _| found |= queue == Some(group));
        found
    }

    /// Writes out what was published since the last flush.
    pub fn flush(&mut self) {
        if let Some(publisher) = &mut self.publisher {
            publisher.batch.send_home();
        }
    }
}

/// The publisher; a new one if there is none.
fn publisher<'a>(
    publisher: &'a mut Option<Box<Publisher>>,
    account: &Arc<Account>,
    random: &mut Random,
) -> &'a mut Publisher {
    publisher.get_or_insert_with(|| {
        let random = Random::seeded(random.next_u64());
        Box::new(Publisher::new(Arc::clone(account), random, None))
    })
}

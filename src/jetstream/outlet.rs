//! How a stream speaks to its account: one publisher, flushed once a turn.
//!
//! Separate because a stream answers and delivers thousands of messages a turn, and each
//! costs a match and an encoding only: receivers are found through the publisher's cache
//! and written to once at the end.
//!
//! Invariant: nothing published is left unflushed when the turn ends.

use std::sync::Arc;

use crate::connection::id::ConnId;
use crate::entropy::Random;
use crate::pubsub::accounts::Account;
use crate::pubsub::message::Message;
use crate::pubsub::publish::{Published, Publisher};
use crate::store::message::Message as StoredMessage;

/// A publisher of the server's own into one account.
pub struct Outlet {
    publisher: Publisher,
    /// Headers and payload behind each other; used again.
    body: Vec<u8>,
}

impl Outlet {
    /// An outlet into `account`.
    pub fn new(account: Arc<Account>, random: Random) -> Outlet {
        Outlet {
            publisher: Publisher::new(account, random, None),
            body: Vec::new(),
        }
    }

    /// The account it speaks into.
    pub fn account(&self) -> &Arc<Account> {
        self.publisher.account()
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
        self.publisher.publish(&message, true, |_| true) == Published::Delivered
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
        let published = self.publisher.publish_to(route, &message, true, |_| true);
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
        self.publisher.batch.flush();
    }
}

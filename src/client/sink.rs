//! How a client receives: messages encoded into its link.
//!
//! One sink per CONNECT; every subscription of the client points to it. Publishers call it
//! from their own threads, so everything here is behind the link's lock or atomic.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::auth::responses::ResponseTable;
use crate::auth::users::User;
use crate::client::entry::Client;
use crate::client::trace;
use crate::clock;
use crate::connection::id::ConnId;
use crate::connection::link::{Appended, Link};
use crate::pubsub::message::{Batch, Encoded, Message};
use crate::pubsub::run::BODY_BYTES_MAX;
use crate::pubsub::subscription::{Count, Sink, Subscription};
use crate::telemetry::protocol_trace;

/// The receiving side of one client, as it said it wants to receive.
pub struct ClientSink {
    link: Arc<Link>,
    /// Whose it is, for the protocol trace.
    client: Weak<Client>,
    /// It understands `HMSG`.
    headers: bool,
    /// It wants its own messages back.
    echo: bool,
    /// A receiver that is behind loses messages instead of stalling publishers.
    drop_when_behind: bool,
    user: Arc<User>,
    /// Reply subjects it may answer, if its user has `allow_responses`.
    responses: Option<Mutex<ResponseTable>>,
    /// Subscriptions that had their last message and wait for the session to forget them.
    ended: Mutex<Vec<Arc<Subscription>>>,
}

/// How a client wants to receive.
#[derive(Clone, Copy, Debug)]
pub struct SinkOptions {
    /// It understands `HMSG`.
    pub headers: bool,
    /// It wants its own messages back.
    pub echo: bool,
    /// A receiver that is behind loses messages instead of stalling publishers.
    pub drop_when_behind: bool,
}

impl ClientSink {
    /// A sink that writes to the link of `client` on behalf of `user`.
    pub fn new(client: &Arc<Client>, user: Arc<User>, options: SinkOptions) -> Self {
        let responses = user.permissions.responses().map(ResponseTable::new);
        ClientSink {
            link: Arc::clone(&client.link),
            client: Arc::downgrade(client),
            headers: options.headers,
            echo: options.echo,
            drop_when_behind: options.drop_when_behind,
            responses: responses.map(Mutex::new),
            user,
            ended: Mutex::default(),
        }
    }

    /// Whose sink it is.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// Uses up one answer to `subject`, if the client was asked there.
    pub fn may_respond(&self, subject: &[u8]) -> bool {
        self.responses
            .as_ref()
            .is_some_and(|table| table.lock().may_publish(subject, clock::monotonic()))
    }

    /// Takes the subscriptions that had their last message.
    pub fn take_ended(&self) -> Vec<Arc<Subscription>> {
        std::mem::take(&mut *self.ended.lock())
    }

    /// Adds one that had its last message.
    pub fn end(&self, subscription: Arc<Subscription>) {
        self.ended.lock().push(subscription);
    }
}

impl ClientSink {
    /// Nothing has to be decided message by message.
    fn may_run(&self, message: &Message<'_>, subscription: &Subscription) -> bool {
        // A member of a queue group that is closed has to say so: another takes the message.
        message.body.len() <= BODY_BYTES_MAX
            && subscription.queue().is_none()
            && subscription.max() == 0
            && self.responses.is_none()
            && !self.drop_when_behind
            && !protocol_trace::trace_enabled()
    }

    fn add_to_run(
        &self,
        message: &Message<'_>,
        encoded: &mut Encoded,
        subscription: &Arc<Subscription>,
        batch: &mut Batch,
    ) {
        let body = if self.headers {
            message.body
        } else {
            message.payload()
        };
        let line = encoded.line(message, self.headers);
        let sid = subscription.sid();
        let is_full = batch
            .runs()
            .add(&self.link, subscription, body.len(), |out| {
                out.reserve(line.len_with(sid) + body.len() + 2);
                line.append(out, sid);
                out.extend_from_slice(body);
                out.extend_from_slice(b"\r\n");
            });
        if is_full {
            batch.commit();
        }
    }
}

impl Sink for ClientSink {
    fn deliver(
        &self,
        message: &Message<'_>,
        encoded: &mut Encoded,
        subscription: &Arc<Subscription>,
        batch: &mut Batch,
    ) -> bool {
        if message.origin == self.link.id && !self.echo {
            return false;
        }
        if subscription.is_filtered()
            && !self
                .user
                .permissions
                .may_deliver(message.subject, subscription.queue())
        {
            return false;
        }
        let alone = encoded.is_single();
        if alone && batch.runs().continues(subscription) && self.may_run(message, subscription) {
            self.add_to_run(message, encoded, subscription, batch);
            return true;
        }
        batch.commit();
        batch.runs().note(subscription, alone);
        let Some(mut locked) = self.link.lock() else {
            return false;
        };
        if self.drop_when_behind && locked.is_behind() {
            return false;
        }
        let count = subscription.count();
        if count == Count::Refused {
            return false;
        }
        let sid = subscription.sid();
        let body = if self.headers {
            message.body
        } else {
            message.payload()
        };
        let shared = if self.headers {
            encoded.shared(message).cloned()
        } else {
            None
        };
        let line = encoded.line(message, self.headers);
        let line_len = line.len_with(sid);
        if protocol_trace::trace_enabled()
            && let Some(client) = self.client.upgrade()
        {
            let mut text = Vec::with_capacity(line_len);
            line.append(&mut text, sid);
            let header_len = message.header_len.filter(|_| self.headers);
            trace::delivered(&client, &text, body, header_len);
        }
        if let Some(shared) = shared {
            locked.append(line_len, |out| line.append(out, sid));
            locked.append_shared(shared);
            locked.append(2, |out| out.extend_from_slice(b"\r\n"));
        } else {
            locked.append_message(line_len, |out| line.append(out, sid), body);
        }
        locked.count_delivered(1, body.len());
        let appended = locked.finish();
        if count == Count::Last {
            if let Some(client) = self.client.upgrade() {
                trace::ended(&client, sid, subscription.max());
            }
            batch.finish(Arc::clone(subscription));
            self.end(Arc::clone(subscription));
        }
        if let Some(table) = self
            .responses
            .as_ref()
            .filter(|_| !message.reply.is_empty())
        {
            table.lock().on_deliver(message.reply, clock::monotonic());
        }
        match appended {
            Appended::Nothing => {}
            Appended::FlushLater => batch.touch(&self.link),
            Appended::FlushNow => self.link.flush(),
            Appended::Behind if self.drop_when_behind => {}
            Appended::Behind => batch.note_behind(),
            Appended::Closed => return false,
        }
        true
    }

    fn on_last(&self, subscription: &Arc<Subscription>) {
        self.end(Arc::clone(subscription));
    }

    fn owner(&self) -> ConnId {
        self.link.id
    }
}

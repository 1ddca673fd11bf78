//! `PUB` and `HPUB`: limits, permissions, hand over.

use std::sync::Arc;

use crate::account::mapping::Mapped;
use crate::client::session::ClientSession;
use crate::protocol::encode;
use crate::protocol::error::ClientError;
use crate::protocol::headers;
use crate::protocol::op::Publish;
use crate::pubsub::message::Message;
use crate::pubsub::publish::Published;
use crate::subject::{reserved, tokens};

impl ClientSession {
    /// Publishes one message.
    pub(super) fn on_publish(&mut self, publish: &Publish<'_>) {
        if self.connect.pedantic && !tokens::is_valid_publish(publish.subject) {
            self.warn(ClientError::InvalidPublishSubject);
        }
        let mapped = self.publisher_mut().map(publish.subject);
        let subject = match &mapped {
            Mapped::To(subject) => subject,
            Mapped::Unchanged | Mapped::Dropped => publish.subject,
        };
        if !publish.reply.is_empty() && reserved::refuses_reply(publish.reply) {
            return self.warn(if self.may_publish(subject) {
                ClientError::ReplyPermission(publish.reply)
            } else {
                ClientError::PublishPermission(subject)
            });
        }
        let message = Message {
            subject,
            reply: publish.reply,
            header_len: publish.header_len,
            body: publish.body,
            origin: self.client.link.id,
        };
        // `+OK` comes before what the message brings about, so it has to be known first
        // whether the message may go out at all.
        let is_dropped = matches!(mapped, Mapped::Dropped);
        if self.connect.verbose || is_dropped {
            if !self.may_publish(subject) {
                return self.warn(ClientError::PublishPermission(subject));
            }
            self.reply_ok();
            if !is_dropped {
                self.publish(&message, true);
            }
            return;
        }
        if self.publish(&message, false) == Published::Denied {
            if self.sink.may_respond(subject) {
                self.publish(&message, true);
            } else {
                self.warn(ClientError::PublishPermission(subject));
            }
        }
    }

    fn may_publish(&self, subject: &[u8]) -> bool {
        is_permitted(&self.sink, self.is_system, subject) || self.sink.may_respond(subject)
    }

    /// Hands over; `permitted` skips the cached permission.
    fn publish(&mut self, message: &Message<'_>, permitted: bool) -> Published {
        let (sink, is_system) = (&self.sink, self.is_system);
        let publisher = self
            .publisher
            .as_mut()
            .expect("a session publishes after it was bound");
        let published = publisher.publish(message, permitted, |subject| {
            is_permitted(sink, is_system, subject)
        });
        if published == Published::NoReceiver
            && self.connect.no_responders
            && !message.reply.is_empty()
        {
            self.tell_no_responders(message);
        }
        published
    }

    /// The 503: only to the publisher, and only if it waits on a plain subscription.
    fn tell_no_responders(&mut self, message: &Message<'_>) {
        let own = self.client.link.id;
        let mut found = None;
        self.account().interest.walk(message.reply, |queue, sub| {
            if queue.is_none() && found.is_none() && sub.sink.owner() == own {
                found = Some(Arc::clone(sub));
            }
        });
        let Some(subscription) = found else { return };
        let mut block = Vec::with_capacity(64 + message.subject.len());
        headers::no_responders(&mut block, message.subject);
        let mut line = encode::MessageLine::default();
        line.set(message.reply, b"", Some(block.len()), block.len());
        let mut out = Vec::with_capacity(line.len_with(subscription.sid()) + block.len() + 2);
        line.append(&mut out, subscription.sid());
        out.extend_from_slice(&block);
        out.extend_from_slice(b"\r\n");
        self.reply(&out);
    }
}

fn is_permitted(sink: &super::sink::ClientSink, is_system: bool, subject: &[u8]) -> bool {
    !reserved::refuses_publish(subject, is_system) && sink.user().permissions.can_publish(subject)
}

//! Messages on their way into a stream.
//!
//! Separate because it is the one place where a subscription turns into commands: the sink
//! copies on the publisher's thread, the rest happens on the stream's own.
//!
//! Invariants: a message is copied once, unless it is changed (its subject by the stream's
//! transform, its headers by what only the server writes); the subject that is proposed is
//! final (the transform is applied here, because it may depend on chance); a full mailbox
//! answers 429 and forgets the message.

use std::sync::Arc;

use super::handle::StreamHandle;
use super::incoming::{Incoming, Purpose};
use super::replica::Replica;
use super::{acks, status};
use crate::api_error::{ApiError, table};
use crate::connection::id::ConnId;
use crate::protocol::headers;
use crate::pubsub::accounts::Account;
use crate::pubsub::internal;
use crate::pubsub::message::{Batch, Encoded, Message};
use crate::pubsub::subscription::{Sink, Subscription};
use crate::stream::command::Publish;

/// Only the server itself writes this header.
const REQUEST_INFO: &[u8] = b"Nats-Request-Info";

/// How a reply subject ends that carries the position in a fast batch.
const FAST_BATCH: &[u8] = b".$FI";

/// Takes messages for one stream.
struct IngestSink {
    handle: Arc<StreamHandle>,
    account: Arc<Account>,
}

impl Sink for IngestSink {
    fn deliver(
        &self,
        message: &Message<'_>,
        _: &mut Encoded,
        _: &Arc<Subscription>,
        _: &mut Batch,
    ) -> bool {
        if self.handle.mailbox.push(Purpose::Publish, message).is_err() && !message.reply.is_empty()
        {
            let error = ApiError::of(&table::STREAM_TOO_MANY_REQUESTS);
            let mut answer = Vec::new();
            acks::refused(&mut answer, &self.handle.name, None, &error);
            let headers = status::line("429 Too Many Requests");
            let reply = String::from_utf8_lossy(message.reply);
            internal::publish(&self.account, &reply, "", Some(&headers), &answer);
        }
        true
    }

    fn owner(&self) -> ConnId {
        ConnId::default()
    }
}

/// A subscription per subject of the stream, not yet inserted.
pub fn subscriptions(handle: &Arc<StreamHandle>, account: &Arc<Account>) -> Vec<Arc<Subscription>> {
    let sink: Arc<dyn Sink> = Arc::new(IngestSink {
        handle: Arc::clone(handle),
        account: Arc::clone(account),
    });
    let config = handle.config();
    let subscribe =
        |filter: &String| Subscription::new(filter.as_bytes(), None, b"", Arc::clone(&sink), false);
    config.subjects.iter().filter_map(subscribe).collect()
}

/// A publisher's message: to the log with it.
pub fn on_publish(replica: &mut Replica, incoming: &mut Incoming) {
    let transformed = replica.transformed(incoming.subject());
    let stripped = memchr::memmem::find(incoming.headers(), REQUEST_INFO)
        .map(|_| headers::without(incoming.headers(), REQUEST_INFO));
    let reply = incoming.reply();
    if reply.ends_with(FAST_BATCH) {
        return acks::refuse(
            replica,
            reply,
            &ApiError::of(&table::BATCH_PUBLISH_DISABLED),
        );
    }
    let subject = transformed.as_deref().unwrap_or(incoming.subject());
    let headers = stripped.as_deref().unwrap_or(incoming.headers());
    let payload = incoming.payload();
    if let Err(error) = replica.take_room([subject, headers, payload].map(<[u8]>::len)) {
        return acks::refuse(replica, reply, &error);
    }
    let is_changed = transformed.is_some() || stripped.is_some();
    let changed = is_changed.then(|| Publish::new(subject, headers, payload));
    replica.submit_publish(incoming, changed);
}

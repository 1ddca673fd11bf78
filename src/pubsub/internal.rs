//! The server's own subscriber and publisher.
//!
//! A handler runs on the publisher's thread, so it must be quick: it copies the message and
//! hands it to a task, or counts.

use std::sync::Arc;

use super::accounts::Account;
use super::deliver::deliver_in;
use super::message::{Batch, Encoded, Message};
use super::subscription::{Sink, Subscription};
use crate::connection::id::ConnId;

/// A handler of messages.
pub type Handler = dyn Fn(&Message<'_>, &mut Batch) -> bool + Send + Sync;

struct InternalSink {
    handler: Box<Handler>,
}

impl Sink for InternalSink {
    fn deliver(
        &self,
        message: &Message<'_>,
        _: &mut Encoded,
        _: &Arc<Subscription>,
        batch: &mut Batch,
    ) -> bool {
        (self.handler)(message, batch)
    }

    fn owner(&self) -> ConnId {
        ConnId::default()
    }
}

/// Subscribes the server itself. The handler's answer says whether it took the message.
pub fn subscribe(
    account: &Arc<Account>,
    filter: &str,
    handler: Box<Handler>,
) -> Option<Arc<Subscription>> {
    let sink = Arc::new(InternalSink { handler });
    let subscription = Subscription::new(filter.as_bytes(), None, b"", sink, false)?;
    account.interest.insert(&subscription);
    Some(subscription)
}

/// Publishes on behalf of the server; true if somebody received it.
pub fn publish(
    account: &Arc<Account>,
    subject: &str,
    reply: &str,
    headers: Option<&[u8]>,
    payload: &[u8],
) -> bool {
    let body = [headers.unwrap_or_default(), payload].concat();
    let message = Message {
        subject: subject.as_bytes(),
        reply: reply.as_bytes(),
        header_len: headers.map(<[u8]>::len),
        body: &body,
        origin: ConnId::default(),
    };
    let mut batch = Batch::default();
    let delivered = deliver_in(account, &message, &mut batch);
    batch.flush();
    delivered
}

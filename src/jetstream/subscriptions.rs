//! The subscriptions through which an account reaches its streams.
//!
//! Separate because the handlers run on the publishers' threads: they look a name up, copy
//! and go. Whether anybody takes a message decides whether its sender hears 503.
//!
//! Invariant: a message for a stream or consumer that is not there is not taken.

use std::sync::Arc;

use super::account::AccountStreams;
use super::api;
use super::handle::StreamHandle;
use super::incoming::Purpose;
use super::subjects::Target;
use crate::api_error::{ApiError, table};
use crate::pubsub::accounts::Account;
use crate::pubsub::internal;
use crate::pubsub::message::{Batch, Message};
use crate::pubsub::subscription::Subscription;
use crate::subject::wildcard::covers;

/// Where it is told what was asked.
const AUDIT: &[u8] = b"$JS.EVENT.ADVISORY.API";

/// A request to the API, copied.
#[derive(Clone, Debug)]
pub struct Request {
    /// The account it was asked in.
    pub account: Arc<str>,
    /// The whole subject.
    pub subject: String,
    /// Where the answer goes; empty: nowhere.
    pub reply: String,
    /// The `NATS/1.0` block; empty: none.
    pub headers: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
    /// Who asks, as JSON; empty unless somebody listens to what is asked.
    pub client: String,
}

/// Takes requests to the API; false: nobody is there any more.
pub type Queue = dyn Fn(Request) -> bool + Send + Sync;

/// Subscribes an account to everything under `$JS` that is for its streams.
pub fn subscribe(site: &Arc<AccountStreams>, api: &Arc<Queue>) -> Vec<Arc<Subscription>> {
    let subscribe = |filter| {
        let (weak, api) = (Arc::downgrade(site), Arc::clone(api));
        let handler = move |message: &Message<'_>, batch: &mut Batch| {
            let site = weak.upgrade();
            site.is_some_and(|site| take(&site, &*api, message, batch))
        };
        internal::subscribe(&site.account, filter, Box::new(handler))
    };
    ["$JS.API.>", "$JS.ACK.>", "$JS.FC.>"]
        .into_iter()
        .filter_map(subscribe)
        .collect()
}

/// Subscribes an account that may have no streams: it is told so, unless it has taken in
/// the API of another account.
pub fn subscribe_without(account: &Arc<Account>) -> Option<Arc<Subscription>> {
    let weak = Arc::downgrade(account);
    let handler = move |message: &Message<'_>, _: &mut _| {
        let Some(account) = weak.upgrade().filter(|_| !message.reply.is_empty()) else {
            return false;
        };
        let Some(Target::Api(request)) = Target::of(message.subject) else {
            return false;
        };
        let policy = account.policy();
        let mut imports = policy.service_imports.iter();
        if imports.any(|import| covers(import.local.as_bytes(), message.subject)) {
            // It asks the API of another account.
            return false;
        }
        let request = String::from_utf8_lossy(request);
        let error = ApiError::of(&table::NOT_ENABLED_FOR_ACCOUNT);
        let Some(answer) = api::refusal(&request, error) else {
            // It was heard; nobody has anything to say.
            return true;
        };
        let reply = String::from_utf8_lossy(message.reply);
        internal::publish(&account, &reply, "", None, answer.as_bytes());
        true
    };
    internal::subscribe(account, "$JS.API.>", Box::new(handler))
}

/// Takes one message; whether somebody did.
fn take(site: &AccountStreams, api: &Queue, message: &Message<'_>, batch: &Batch) -> bool {
    let Some(target) = Target::of(message.subject) else {
        return false;
    };
    match target {
        Target::Api(_) => api(request(site, message, batch)),
        Target::Pull { stream, consumer } => {
            push(site, stream, Some(consumer), Purpose::Pull, message)
        }
        // Who acknowledges what needs none is told that nobody listens.
        Target::Ack { stream, consumer } if !takes_acks(site, stream, consumer) => false,
        Target::Ack { stream, consumer } => {
            push(site, stream, Some(consumer), Purpose::Ack, message)
        }
        Target::FlowReply { stream, consumer } => {
            push(site, stream, Some(consumer), Purpose::FlowReply, message)
        }
        Target::DirectGet { stream, .. } => {
            let stream = find(site, stream).filter(|stream| stream.config().allow_direct);
            stream.is_some_and(|stream| stream.mailbox.push(Purpose::DirectGet, message).is_ok())
        }
    }
}

fn push(
    site: &AccountStreams,
    stream: &[u8],
    consumer: Option<&[u8]>,
    purpose: Purpose,
    message: &Message<'_>,
) -> bool {
    let known = |stream: &Arc<StreamHandle>| match consumer {
        None => true,
        Some(name) => std::str::from_utf8(name).is_ok_and(|name| stream.has_consumer(name)),
    };
    let Some(stream) = find(site, stream).filter(known) else {
        return false;
    };
    // What finds no room is lost; its sender asks, or acknowledges, again in time.
    let _ = stream.mailbox.push(purpose, message);
    true
}

fn takes_acks(site: &AccountStreams, stream: &[u8], consumer: &[u8]) -> bool {
    let consumer = std::str::from_utf8(consumer);
    find(site, stream).is_some_and(|stream| consumer.is_ok_and(|name| stream.takes_acks(name)))
}

fn find(site: &AccountStreams, name: &[u8]) -> Option<Arc<StreamHandle>> {
    site.stream(std::str::from_utf8(name).ok()?)
}

fn request(site: &AccountStreams, message: &Message<'_>, batch: &Batch) -> Request {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let is_audited = site.account.interest.has_interest(AUDIT);
    let client = is_audited.then(|| batch.request_info(&site.account, true));
    Request {
        account: Arc::clone(&site.account.name),
        subject: text(message.subject),
        reply: text(message.reply),
        headers: message.headers().unwrap_or_default().to_vec(),
        body: message.payload().to_vec(),
        client: client.unwrap_or_default(),
    }
}

//! Service imports: requests of one account that another answers.
//!
//! An import is a subscription of the importing account whose sink carries the request over:
//! it gets the subject and a reply subject of the exporting account and a header that says
//! who asks. The answer comes back through a wildcard subscription on `_R_.<account>.>`.
//!
//! Invariant: a request that reaches nobody leaves nothing behind and counts as not
//! delivered, so that the requester gets its 503.

use std::sync::{Arc, Weak};

use super::accounts::Account;
use super::deliver::deliver_in;
use super::message::{Batch, CROSSINGS_MAX, Encoded, Message};
use super::replies::Pending;
use super::subscription::{Sink, Subscription};
use crate::account::import::ServiceImport;
use crate::clock;
use crate::connection::id::ConnId;
use crate::nuid;

/// The header that says who asks (spec core §3.2).
pub const REQUEST_INFO: &[u8] = b"Nats-Request-Info";
/// Characters of the random tokens of a reply subject.
const TOKEN_LEN: usize = 8;

/// Carries requests of the importer to the exporter.
pub struct ServiceImportSink {
    import: Arc<ServiceImport>,
    importer: Weak<Account>,
    exporter: Weak<Account>,
}

impl ServiceImportSink {
    /// The subscription that makes `import` work in `importer`.
    pub fn subscription(
        import: &Arc<ServiceImport>,
        importer: &Arc<Account>,
        exporter: &Arc<Account>,
    ) -> Option<Arc<Subscription>> {
        let sink = ServiceImportSink {
            import: Arc::clone(import),
            importer: Arc::downgrade(importer),
            exporter: Arc::downgrade(exporter),
        };
        Subscription::new(import.local.as_bytes(), None, b"", Arc::new(sink), false)
    }
}

impl Sink for ServiceImportSink {
    fn deliver(
        &self,
        message: &Message<'_>,
        _: &mut Encoded,
        _: &Arc<Subscription>,
        batch: &mut Batch,
    ) -> bool {
        let (Some(importer), Some(exporter)) = (self.importer.upgrade(), self.exporter.upgrade())
        else {
            return false;
        };
        if batch.crossings() >= CROSSINGS_MAX {
            return false;
        }
        let Some(subject) = self.import.map.apply(message.subject) else {
            return false;
        };
        let mut reply = Vec::new();
        let mut token = String::new();
        if !message.reply.is_empty() {
            token = nuid::token(&mut batch.random, TOKEN_LEN);
            let pending = Pending::new(
                &importer,
                message.reply,
                &self.import.local,
                self.import.response,
                self.import.response_threshold,
                clock::monotonic(),
            );
            reply.extend_from_slice(exporter.reply_prefix());
            reply.extend_from_slice(token.as_bytes());
            if !exporter.replies.insert(token.as_bytes(), pending) {
                return false;
            }
        }
        let mut body = Vec::with_capacity(message.body.len() + 128);
        let info = batch.request_info(&importer, self.import.share);
        crate::protocol::headers::with_field(
            &mut body,
            message.headers(),
            REQUEST_INFO,
            info.as_bytes(),
        );
        let header_len = body.len();
        body.extend_from_slice(message.payload());
        let request = Message {
            subject: &subject,
            reply: &reply,
            header_len: Some(header_len),
            body: &body,
            origin: message.origin,
        };
        let delivered = batch.crossing(|batch| deliver_in(&exporter, &request, batch));
        if !delivered && !token.is_empty() {
            exporter.replies.remove(token.as_bytes());
        }
        delivered
    }

    fn owner(&self) -> ConnId {
        ConnId::default()
    }
}

/// Carries answers back to whoever asked.
pub struct ReplySink {
    /// The account that answers.
    exporter: Weak<Account>,
}

impl ReplySink {
    /// The subscription that receives all answers of `exporter`.
    pub fn subscription(exporter: &Arc<Account>) -> Option<Arc<Subscription>> {
        let filter = [exporter.reply_prefix(), b">"].concat();
        let sink = ReplySink {
            exporter: Arc::downgrade(exporter),
        };
        Subscription::new(&filter, None, b"", Arc::new(sink), false)
    }
}

impl Sink for ReplySink {
    fn deliver(
        &self,
        message: &Message<'_>,
        _: &mut Encoded,
        _: &Arc<Subscription>,
        batch: &mut Batch,
    ) -> bool {
        let Some(exporter) = self.exporter.upgrade() else {
            return false;
        };
        let Some(token) = message.subject.strip_prefix(exporter.reply_prefix()) else {
            return false;
        };
        if batch.crossings() >= CROSSINGS_MAX {
            return false;
        }
        let is_empty = message.payload().is_empty();
        let Some(pending) = exporter.replies.answer(token, is_empty, clock::monotonic()) else {
            return false;
        };
        let Some(importer) = pending.importer.upgrade() else {
            return false;
        };
        let answer = Message {
            subject: &pending.reply,
            ..*message
        };
        batch.crossing(|batch| deliver_in(&importer, &answer, batch))
    }

    fn owner(&self) -> ConnId {
        ConnId::default()
    }
}

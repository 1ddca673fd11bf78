//! Requests in the system account: subscribing, answering, acting.
//!
//! A request is copied by the publisher's thread and answered by one task. The queue is
//! bounded: when it is full a request is dropped, and whoever asked runs into his timeout.

use std::sync::{Arc, Weak};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Server;
use super::events::Events;
use crate::connection::close::CloseReason;
use crate::connection::id::ConnId;
use crate::monitor::Monitor;
use crate::monitor::request_subjects;
use crate::monitor::system_requests::{Control, Incoming};
use crate::monitor::user_info::Requester;
use crate::protocol::headers;
use crate::pubsub::internal;
use crate::tasks;

/// Requests that wait to be answered.
const QUEUE_MAX: usize = 4096;

/// A request, copied.
struct Request {
    subject: String,
    reply: String,
    accept_encoding: String,
    /// The connection that asks.
    asks: ConnId,
    body: Vec<u8>,
}

/// Subscribes to all requests and answers them until the task is aborted.
pub(super) fn answer_requests(
    server: &Arc<Server>,
    events: &Arc<Events>,
    monitor: &Arc<Monitor>,
) -> Option<JoinHandle<()>> {
    let system = Arc::clone(events.system()?);
    let (queue, mut requests) = mpsc::channel::<Request>(QUEUE_MAX);
    let server_id = monitor.source().facts().server_id.clone();
    for (filter, _) in request_subjects::subscriptions(&server_id) {
        let queue = queue.clone();
        internal::subscribe(
            &system,
            &filter,
            Box::new(move |message, _| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let block = message.headers().unwrap_or_default();
                let request = Request {
                    subject: text(message.subject),
                    reply: text(message.reply),
                    accept_encoding: headers::find(block, b"Accept-Encoding")
                        .map(text)
                        .unwrap_or_default(),
                    // The link it came from, also through imports; a header could be forged.
                    asks: message.origin,
                    body: message.payload().to_vec(),
                };
                queue.try_send(request).is_ok()
            }),
        );
    }
    let (server, events, monitor) = (
        Arc::downgrade(server),
        Arc::clone(events),
        Arc::clone(monitor),
    );
    Some(tasks::spawn(async move {
        while let Some(request) = requests.recv().await {
            let Some(strong) = server.upgrade() else {
                return;
            };
            let requester = requester(&strong, request.asks);
            let event_id = events.next_id();
            let incoming = Incoming {
                subject: &request.subject,
                reply: &request.reply,
                accept_encoding: &request.accept_encoding,
                body: &request.body,
                requester: requester.as_ref(),
                event_id: &event_id,
            };
            let control = Hands(server.clone());
            if let Some(answer) = monitor.answer(&incoming, &control).await {
                let headers = answer.headers.map(str::as_bytes);
                internal::publish(
                    &system,
                    &answer.subject,
                    "",
                    headers,
                    answer.body.as_bytes(),
                );
            }
        }
    }))
}

fn requester(server: &Server, id: ConnId) -> Option<Requester> {
    let details = server.front.clients.get(id)?.details();
    let account = details.account?.name.to_string();
    Some(Requester {
        user: details.shown_user,
        account_name: account.clone(),
        account,
        permissions: details.user.and_then(|user| user.permissions_spec.clone()),
        ..Requester::default()
    })
}

/// What requests may do to the server.
pub(super) struct Hands(pub(super) Weak<Server>);

impl Control for Hands {
    fn reload(&self) -> Result<(), String> {
        let server = self.0.upgrade().ok_or("the server is stopping")?;
        server.reload().map_err(|error| error.to_string())
    }

    fn kick(&self, cid: u64) -> bool {
        let client = self
            .0
            .upgrade()
            .and_then(|server| server.front.clients.get(ConnId(cid)));
        client.is_some_and(|client| {
            client.link.close(CloseReason::Kicked);
            true
        })
    }

    fn lame_duck(&self, cid: u64) -> bool {
        let Some(server) = self.0.upgrade() else {
            return false;
        };
        let Some(client) = server.front.clients.get(ConnId(cid)) else {
            return false;
        };
        let mut info = client.info(&server.front.info());
        info.ldm = true;
        info.connect_urls.clear();
        client.link.send(&info.line());
        true
    }
}

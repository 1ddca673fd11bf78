//! How a client receives: messages encoded into its link.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::connection::id::ConnId;
use crate::connection::link::{Appended, Link};
use crate::pubsub::message::{Batch, Behind, Encoded, Message};
use crate::pubsub::subscription::{Count, Sink, Subscription};

/// The receiving side of one client, as it said it wants to receive.
pub struct ClientSink {
    link: Arc<Link>,
    /// It understands `HMSG`.
    headers: bool,
    /// It wants its own messages back.
    echo: bool,
    /// Subscriptions that reached their limit and wait for the session to forget them.
    ended: Mutex<Vec<Box<[u8]>>>,
}

impl ClientSink {
    /// A sink that writes to `link`.
    pub fn new(link: Arc<Link>, headers: bool, echo: bool) -> Self {
        ClientSink {
            link,
            headers,
            echo,
            ended: Mutex::default(),
        }
    }
}

impl Sink for ClientSink {
    fn deliver(
        &self,
        message: &Message<'_>,
        encoded: &mut Encoded,
        subscription: &Subscription,
        batch: &mut Batch,
    ) -> bool {
        if message.origin == self.link.id && !self.echo {
            return false;
        }
        let Some(mut locked) = self.link.lock() else {
            return false;
        };
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
        if let Some(shared) = shared {
            locked.append(line_len, |out| line.append(out, sid));
            locked.append_shared(shared);
            locked.append(2, |out| out.extend_from_slice(b"\r\n"));
        } else {
            locked.append(line_len + body.len() + 2, |out| {
                out.reserve(line_len + body.len() + 2);
                line.append(out, sid);
                out.extend_from_slice(body);
                out.extend_from_slice(b"\r\n");
            });
        }
        locked.count_delivered(body.len());
        match locked.finish() {
            Appended::Nothing => {}
            Appended::FlushLater => batch.touch(&self.link),
            Appended::FlushNow => self.link.flush(),
            Appended::Closed => return false,
        }
        true
    }

    fn owner(&self) -> ConnId {
        self.link.id
    }
}

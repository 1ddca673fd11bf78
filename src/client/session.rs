//! One client's state: operations to handlers.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::client::sink::ClientSink;
use crate::clock::{self, Monotonic};
use crate::connection::close::CloseReason;
use crate::connection::driver::{Consumed, Next, Session};
use crate::connection::link::Link;
use crate::entropy::Random;
use crate::protocol::encode;
use crate::protocol::limits::Limits;
use crate::protocol::op::Op;
use crate::protocol::parser::{self, Step};
use crate::pubsub::accounts::Account;
use crate::pubsub::message::Message;
use crate::pubsub::publish::Publisher;
use crate::pubsub::subscription::Subscription;

/// One client.
pub struct ClientSession {
    link: Arc<Link>,
    limits: Limits,
    publisher: Publisher,
    sink: Arc<ClientSink>,
    subs: std::collections::HashMap<Box<[u8]>, Arc<Subscription>>,
}

impl ClientSession {
    /// x
    pub fn new(link: Arc<Link>, account: Arc<Account>) -> Self {
        ClientSession {
            limits: Limits::default(),
            publisher: Publisher::new(account, Random::from_system()),
            sink: Arc::new(ClientSink::new(Arc::clone(&link), true, true)),
            link,
            subs: Default::default(),
        }
    }
}

impl Session for ClientSession {
    fn on_data(&mut self, data: &[u8]) -> Consumed {
        let mut taken = 0;
        let mut need = 0;
        let (mut msgs, mut bytes) = (0, 0);
        while taken < data.len() {
            match parser::parse(&data[taken..], &self.limits) {
                Ok(Step::Incomplete(n)) => {
                    need = n;
                    break;
                }
                Ok(Step::Op(op, n)) => {
                    taken += n;
                    match op {
                        Op::Publish(p) => {
                            msgs += 1;
                            bytes += p.body.len() as u64;
                            let message = Message {
                                subject: p.subject,
                                reply: p.reply,
                                header_len: p.header_len,
                                body: p.body,
                                origin: self.link.id,
                            };
                            self.publisher.publish(&message, || true);
                        }
                        Op::Subscribe(s) => {
                            if let Some(sub) =
                                Subscription::new(s.subject, s.queue, s.sid, self.sink.clone())
                            {
                                self.publisher.account().interest.insert(&sub);
                                self.subs.insert(s.sid.into(), sub);
                            }
                        }
                        Op::Unsubscribe { sid, .. } => {
                            if let Some(sub) = self.subs.remove(sid) {
                                self.publisher.account().interest.remove(&sub);
                            }
                        }
                        Op::Ping => {
                            if let Some(mut l) = self.link.lock() {
                                l.append(6, |o| o.extend_from_slice(encode::PONG));
                                l.finish();
                                self.publisher.batch.touch(&self.link);
                            }
                        }
                        _ => {}
                    }
                }
                Err(_) => {
                    self.link.close(CloseReason::ProtocolViolation);
                    break;
                }
            }
        }
        self.link.received.add(msgs, bytes);
        self.publisher.batch.flush();
        Consumed {
            taken,
            need,
            next: Next::Read,
        }
    }

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn on_deadline(&mut self, _: Monotonic) {}

    fn next_deadline(&self) -> Monotonic {
        Monotonic::from_nanos(u64::MAX / 4)
    }

    fn on_close(&mut self, _: CloseReason) {
        for sub in self.subs.values() {
            self.publisher.account().interest.remove(sub);
        }
    }
}

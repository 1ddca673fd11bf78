//! Sending before the log has taken it.
//!
//! Separate because it is a promise of its own: a new message may go out while its delivery
//! is still being written, where one more delivery after a crash does no harm (raft spec
//! §7.2). Whoever limits deliveries counts each, and waits for the log.
//!
//! Invariants: a message is sent ahead only when its delivery is proposed; what is
//! acknowledged meanwhile is proposed behind that; a delivery that did not take place ends
//! this until another one has. Only new messages are sent ahead, and only alone: what comes
//! again keeps its place before them.

use super::{Action, Deliver, Dispatcher, flow_request};
use crate::clock::Timestamp;
use crate::consumer::config::AckPolicy;
use crate::consumer::outcome::Delivery;
use crate::consumer::replica::Consumer;
use crate::store::message::Seq;

/// What was sent ahead, and whether more may be.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Whoever calls wants it.
    allowed: bool,
    /// The last delivery that was proposed took place, as far as is known.
    trusted: bool,
    /// The last message sent ahead.
    last: Seq,
}

impl Ahead {
    pub(super) fn new(allowed: bool) -> Self {
        Ahead {
            allowed,
            trusted: true,
            last: Seq::NONE,
        }
    }

    /// The consumer starts anew: of what was sent before, nothing is waited for.
    pub(super) fn forget(&mut self) {
        self.last = Seq::NONE;
    }

    /// What became of a proposed delivery.
    pub(super) fn note(&mut self, took_place: bool) {
        self.trusted = took_place;
    }
}

impl Dispatcher {
    /// Sends what is about to be proposed, from `begin` of what is under way on, if that may
    /// be; whether it may.
    pub(super) fn send_ahead(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        begin: usize,
        actions: &mut Vec<Action>,
    ) -> bool {
        let may = self.ahead_of_log.allowed
            && self.ahead_of_log.trusted
            && consumer.deliveries_max().is_none()
            && consumer.config().ack_policy != AckPolicy::FlowControl;
        if !may || self.under_way.range(begin..).any(|one| !one.is_new) {
            return false;
        }
        let consumer_seq = consumer.state().delivered().consumer;
        let mut pending = self.unread(consumer) + (self.under_way.len() - begin) as u64;
        for (at, one) in self.under_way.iter_mut().enumerate().skip(begin) {
            pending = pending.saturating_sub(1);
            let Some(message) = one.message.take() else {
                continue;
            };
            one.sent = true;
            self.ahead_of_log.last = one.seq;
            let to = match (&self.push, one.pull) {
                (Some(push), _) => push.to.clone(),
                (None, Some(slot)) => self.pulls.reply(slot),
                (None, None) => continue,
            };
            let delivery = Delivery {
                stream_seq: one.seq,
                consumer_seq: consumer_seq + at as u64 + 1,
                count: 1,
                time_ns: now.unix_nanos(),
                pending,
            };
            actions.push(Action::Deliver(Deliver {
                to,
                message,
                delivery,
            }));
            if let Some(slot) = one.pull.take() {
                self.pulls.resolve(slot, one.size, true, actions);
            }
            if let Some(push) = &mut self.push
                && let Some(reply) = push.resolve(now, one.size, true, false)
            {
                actions.push(flow_request(push.to.clone(), reply));
            }
        }
        true
    }

    /// A message was sent, and its delivery is not applied yet.
    pub(super) fn is_sent_ahead(&self, consumer: &Consumer, seq: Seq) -> bool {
        seq <= self.ahead_of_log.last && consumer.cursor().is_ahead(seq)
    }
}

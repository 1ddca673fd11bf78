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

use super::{Action, Dispatcher};
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
    /// The last delivery that was proposed took place, all of it, as far as is known.
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
        let mut under_way = std::mem::take(&mut self.under_way);
        for (at, one) in under_way.iter_mut().enumerate().skip(begin) {
            pending = pending.saturating_sub(1);
            if one.message.is_none() {
                continue;
            }
            one.sent = true;
            self.ahead_of_log.last = one.seq;
            let delivery = Delivery {
                stream_seq: one.seq,
                consumer_seq: consumer_seq + at as u64 + 1,
                count: 1,
                time_ns: now.unix_nanos(),
                pending,
            };
            self.hand_over(now, one, Some(delivery), false, actions);
        }
        self.under_way = under_way;
        true
    }

    /// A message was sent, and its delivery is not applied yet.
    pub(super) fn is_sent_ahead(&self, consumer: &Consumer, seq: Seq) -> bool {
        seq <= self.ahead_of_log.last && consumer.cursor().is_ahead(seq)
    }
}

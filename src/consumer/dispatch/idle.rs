//! What happens when nothing happens: expiries, signs of life, the end of the unused.
//!
//! Separate because only time drives it.

use bytes::Bytes;

use super::{Action, Dispatcher, flow_request};
use crate::clock::Timestamp;
use crate::consumer::config::AckPolicy;
use crate::consumer::push::Push;
use crate::consumer::redelivery::{NEVER, due, later};
use crate::consumer::replica::Consumer;

impl Dispatcher {
    pub(super) fn sweep(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        nothing_left: bool,
        actions: &mut Vec<Action>,
    ) {
        let heartbeat = self.heartbeat(consumer);
        self.pulls.sweep(now, nothing_left, &heartbeat, actions);
    }

    pub(super) fn heartbeat(&self, consumer: &Consumer) -> Bytes {
        let delivered = consumer.state().delivered();
        // Seen to the end, there is nothing below what was looked at last.
        let stream = match self.new_under_way {
            0 => delivered.stream.max(self.ahead.prev()),
            _ => delivered.stream,
        };
        let mut headers = format!(
            "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: {}\r\nNats-Last-Stream: {}\r\n",
            delivered.consumer, stream
        )
        .into_bytes();
        if let Some(asked) = self.push.as_ref().and_then(Push::asked) {
            headers.extend_from_slice(b"Nats-Consumer-Stalled: ");
            headers.extend_from_slice(asked);
            headers.extend_from_slice(b"\r\n");
        }
        headers.extend_from_slice(b"\r\n");
        headers.into()
    }

    pub(super) fn beat(&mut self, now: Timestamp, consumer: &Consumer, actions: &mut Vec<Action>) {
        let Some(push) = &mut self.push else {
            return;
        };
        if !push.beat(now) {
            return;
        }
        let to = push.to.clone();
        let asks = consumer.config().ack_policy == AckPolicy::FlowControl
            && consumer.num_ack_pending() > 0;
        actions.push(Action::status(to.clone(), self.heartbeat(consumer)));
        if asks && let Some(reply) = self.push.as_mut().and_then(Push::ask) {
            actions.push(flow_request(to, reply));
        }
    }

    /// A pull consumer is used while requests wait or acknowledgements are awaited, a push
    /// consumer while somebody listens.
    pub(super) fn check_inactive(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        actions: &mut Vec<Action>,
    ) {
        let threshold = consumer.config().inactive_threshold;
        self.inactive_at = None;
        if threshold <= 0 || self.removed {
            return;
        }
        match &self.push {
            Some(push) if push.active => {
                self.active_at = now;
                return;
            }
            None if !self.pulls.is_empty() => return,
            _ => {}
        }
        let mut at = later(self.active_at, threshold);
        if at <= now && self.push.is_none() {
            let config = consumer.config();
            let pending = consumer.state().pending().values();
            let awaited = pending
                .map(|pending| due(config, pending))
                .filter(|due| *due != NEVER);
            at = awaited
                .max()
                .map_or(at, |last| at.max(later(last, threshold)));
        }
        if at <= now {
            self.removed = true;
            actions.push(Action::Remove);
        } else {
            self.inactive_at = Some(at);
        }
    }
}

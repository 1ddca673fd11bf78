//! What an applied command means for those outside: sends, statuses, advisories.
//!
//! Separate because it is the second half of every delivery: what was under way either
//! took place, and is sent, or did not, and whoever was to get it gets another.

use bytes::Bytes;

use super::{Action, Advisory, Deliver, Dispatcher, UnderWay, flow_request};
use crate::clock::Timestamp;
use crate::consumer::config::AckPolicy;
use crate::consumer::outcome::{Delivery, Kind, Outcome};
use crate::consumer::redelivery::due;
use crate::consumer::replica::Consumer;
use crate::consumer::state::Wait;
use crate::store::message::Seq;

impl Dispatcher {
    /// A command of this consumer was applied, whoever proposed it.
    pub fn on_applied(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        mut outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        match outcome.kind {
            Kind::Deliver => {
                self.on_delivered(now, consumer, &outcome.deliveries, actions);
                return;
            }
            Kind::Reset => {
                self.ahead_of_log.forget();
                self.rebuild(consumer);
            }
            Kind::Pause => {
                let paused = consumer.is_paused(now);
                self.paused_until = consumer.paused_until().filter(|_| paused);
                if outcome.changed {
                    let until = consumer.paused_until();
                    actions.push(Action::Advisory(Advisory::Pause { paused, until }));
                }
            }
            _ => {}
        }
        if let Kind::Ack(seqs) = &outcome.kind {
            for seq in seqs {
                self.acks_under_way.remove(seq);
            }
            let config = consumer.config();
            if self.samples && config.ack_policy == AckPolicy::Explicit {
                actions.extend(outcome.settled.into_iter().map(|delivery| {
                    let ack_time_ns = now.unix_nanos().saturating_sub(delivery.time_ns);
                    Action::Advisory(Advisory::Acked {
                        delivery,
                        ack_time_ns,
                    })
                }));
            }
            return;
        }
        // All others are about one.
        let Some(delivery) = outcome.settled.pop() else {
            return;
        };
        match outcome.kind {
            Kind::Nak => {
                actions.push(Action::Advisory(Advisory::Naked(delivery)));
                self.wait(consumer, delivery.stream_seq, actions);
            }
            Kind::Progress => self.wait(consumer, delivery.stream_seq, actions),
            Kind::Terminate(reason) => {
                actions.push(Action::Advisory(Advisory::Terminated(delivery, reason)));
            }
            Kind::Exhausted => actions.push(Action::Advisory(Advisory::MaxDeliver(delivery))),
            _ => {}
        }
    }

    /// A proposed delivery came to nothing. Only for [`Kind::Deliver`]: of other commands
    /// nothing is under way.
    pub fn on_dropped(&mut self, now: Timestamp, consumer: &Consumer, actions: &mut Vec<Action>) {
        self.on_delivered(now, consumer, &[], actions);
    }

    /// A proposed acknowledgement came to nothing, so far as anybody knows.
    pub fn on_ack_dropped(&mut self) {
        // Of others that are under way too: they count as pending until they are applied.
        self.acks_under_way.clear();
    }

    pub(super) fn on_delivered(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        deliveries: &[Delivery],
        actions: &mut Vec<Action>,
    ) {
        let count = self.proposals.pop_front().unwrap_or(0);
        self.ahead_of_log.note(deliveries.len() == count);
        let mut deliveries = deliveries.iter().peekable();
        let full = consumer.config().ack_policy == AckPolicy::FlowControl
            && consumer
                .pending_max()
                .is_some_and(|max| consumer.num_ack_pending() >= max);
        for _ in 0..count {
            let Some(mut one) = self.under_way.pop_front() else {
                break;
            };
            self.new_under_way -= u64::from(one.is_new);
            self.bytes_under_way -= one.size;
            let delivery = deliveries.next_if(|delivery| delivery.stream_seq == one.seq);
            self.note(consumer, &one, delivery.is_some());
            self.hand_over(now, &mut one, delivery.copied(), full, actions);
        }
        if self.resync && self.new_under_way == 0 {
            self.start_anew();
        }
        if let Some(replay) = &self.replay
            && consumer.cursor().lowest() > replay.until
        {
            self.replay = None;
        }
    }

    /// Sends a message that was under way, or tells those who count on it that it was not
    /// delivered; nothing if it was handed over before. `full`: no more may be sent before
    /// something is acknowledged.
    pub(super) fn hand_over(
        &mut self,
        now: Timestamp,
        one: &mut UnderWay,
        delivery: Option<Delivery>,
        full: bool,
        actions: &mut Vec<Action>,
    ) {
        let Some(message) = one.message.take() else {
            return;
        };
        if let Some(delivery) = delivery {
            let to = match (&self.push, one.pull) {
                (Some(push), _) => push.to.clone(),
                (None, Some(slot)) => self.pulls.reply(slot),
                (None, None) => Bytes::new(),
            };
            actions.push(Action::Deliver(Deliver {
                to,
                message,
                delivery,
            }));
        }
        let sent = delivery.is_some();
        if let Some(slot) = one.pull.take() {
            self.pulls.resolve(slot, one.size, sent, actions);
        }
        if let Some(push) = &mut self.push
            && let Some(reply) = push.resolve(now, one.size, sent, full)
        {
            actions.push(flow_request(push.to.clone(), reply));
        }
    }

    /// What one delivery that was under way means for what comes next.
    pub(super) fn note(&mut self, consumer: &Consumer, one: &UnderWay, sent: bool) {
        let pending = consumer.state().pending().get(&one.seq);
        if !one.is_new {
            self.redeliver.resolve(one.seq, !sent && pending.is_some());
        } else if !sent {
            self.resync = true;
        }
        if let Some(pending) = pending
            && sent
        {
            self.deadlines.add(due(consumer.config(), pending), one.seq);
        }
    }

    /// A pending message waits for something else now.
    pub(super) fn wait(&mut self, consumer: &Consumer, seq: Seq, actions: &mut Vec<Action>) {
        let Some(pending) = consumer.state().pending().get(&seq) else {
            return;
        };
        match pending.wait {
            Wait::Over => self.enqueue(consumer, seq, pending.count, actions),
            _ => self.deadlines.add(due(consumer.config(), pending), seq),
        }
    }
}

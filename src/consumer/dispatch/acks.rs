//! What acknowledgements, and answers to flow control, ask for.
//!
//! Separate because it is decided on what is applied or sent ahead of that, and only
//! proposes: an acknowledgement takes effect in the log's order.

use bytes::Bytes;

use super::{Acked, Action, Answer, BATCH_MAX, Dispatcher};
use crate::clock::Timestamp;
use crate::consumer::ack::{Ack, AckSubject};
use crate::consumer::command::Command;
use crate::consumer::config::AckPolicy;
use crate::consumer::redelivery::later;
use crate::consumer::replica::Consumer;
use crate::store::message::Seq;

impl Dispatcher {
    /// An acknowledgement came; `reply` is where its sender wants an answer, or empty. The
    /// command goes the way of proposals.
    pub fn on_ack(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        subject: &AckSubject<'_>,
        payload: &[u8],
        reply: &Bytes,
        actions: &mut Vec<Action>,
    ) -> Acked {
        self.active_at = now;
        let seq = subject.stream_seq;
        let state = consumer.state();
        let policy = consumer.config().ack_policy;
        if policy == AckPolicy::None {
            return Acked {
                command: None,
                answer: Answer::None,
            };
        }
        let is_ahead = self.is_sent_ahead(consumer, seq);
        let known = is_ahead || seq <= state.delivered().stream;
        let is_pending = is_ahead || state.pending().contains_key(&seq);
        let is_open = is_pending
            || state.exhausted().contains(&seq)
            || (policy != AckPolicy::Explicit && seq > state.ack_floor().stream);
        let mut answer_now = true;
        let command = match Ack::parse(payload) {
            Ack::Done | Ack::Next(_) | Ack::Terminate(_) if !known => {
                answer_now = false;
                None
            }
            Ack::Done | Ack::Next(_) if is_open => {
                if policy == AckPolicy::Explicit && is_pending {
                    self.acks_under_way.insert(seq);
                }
                Some(Command::Ack(vec![seq]))
            }
            Ack::Done | Ack::Next(_) => None,
            Ack::Terminate(reason) => is_open.then(|| Command::Terminate {
                seq,
                reason: reason.to_owned(),
            }),
            Ack::Nak(delay) => is_pending.then_some(Command::Nak {
                seq,
                not_before: delay.map(|nanos| later(now, nanos)),
            }),
            Ack::Progress => is_pending.then_some(Command::Progress(seq)),
            Ack::Unknown => None,
        };
        if let Ack::Next(body) = Ack::parse(payload) {
            if !reply.is_empty() {
                self.on_pull(now, consumer, reply.clone(), body, actions);
            }
            answer_now = false;
        }
        let answer = match (&command, reply.is_empty() || !answer_now) {
            (_, true) => Answer::None,
            (None, false) => Answer::Now,
            (Some(_), false) => Answer::Applied,
        };
        Acked { command, answer }
    }

    /// Acknowledgements under way make room once: not for what was terminated, or left the
    /// stream, meanwhile. Only looked at where room is scarce.
    pub(super) fn forget_settled(&mut self, consumer: &Consumer) {
        let wanted = consumer.num_ack_pending() + self.new_under_way + BATCH_MAX as u64;
        if self.acks_under_way.is_empty() || consumer.pending_max().is_none_or(|max| wanted <= max)
        {
            return;
        }
        let mut acks = std::mem::take(&mut self.acks_under_way);
        let pending = consumer.state().pending();
        acks.retain(|seq| pending.contains_key(seq) || self.is_sent_ahead(consumer, *seq));
        self.acks_under_way = acks;
    }

    /// A flow control request was answered, with these headers.
    pub fn on_flow_reply(
        &mut self,
        consumer: &Consumer,
        subject: &[u8],
        headers: &[u8],
    ) -> Option<Command> {
        let push = self.push.as_mut()?;
        if !push.answered(subject) || consumer.config().ack_policy != AckPolicy::FlowControl {
            return None;
        }
        let seq = header(headers, b"Nats-Last-Stream")?.min(consumer.state().delivered().stream.0);
        (Seq(seq) > consumer.state().ack_floor().stream).then(|| Command::Ack(vec![Seq(seq)]))
    }
}

/// A number in a block of headers.
fn header(headers: &[u8], name: &[u8]) -> Option<u64> {
    let mut lines = headers.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(b":"))?;
    std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}

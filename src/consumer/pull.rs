//! Pull requests: what they say, and the queue in which they wait.
//!
//! Separate because a request has a life of its own: it is served in turn with the others
//! until its batch or bytes are used up, its time is over or its client is gone, and then
//! it ends with a status. Deliveries are under way between proposal and commit, so a
//! request that is over waits for those before its status goes out, and one whose delivery
//! did not take place gets its share back.
//!
//! Invariants: at most `max_waiting` wait; a status follows the request's last message;
//! every message under way belongs to a request in a slot.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use super::dispatch::Action;
use super::priority::Priority;
use super::redelivery::later;
use crate::api_error::json;
use crate::clock::Timestamp;

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullRequest {
    /// How many messages; what is below 1 gets one.
    pub batch: i64,
    /// For how long, in nanoseconds; 0: as long as it takes.
    pub expires: i64,
    /// At most so many bytes; below 1: no matter.
    pub max_bytes: i64,
    /// Only what is there.
    pub no_wait: bool,
    /// A sign of life so often, in nanoseconds; 0: none.
    pub heartbeat: i64,
    /// What it says about priority; none unless the request is JSON.
    pub priority: Option<Priority>,
}

/// The JSON form. Unknown fields are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    #[serde(deserialize_with = "json::field::int")]
    batch: i64,
    #[serde(deserialize_with = "json::field::duration")]
    expires: i64,
    #[serde(deserialize_with = "json::field::int")]
    max_bytes: i64,
    no_wait: bool,
    #[serde(deserialize_with = "json::field::duration")]
    idle_heartbeat: i64,
    group: String,
    min_pending: i64,
    min_ack_pending: i64,
    id: String,
    #[serde(deserialize_with = "json::field::int")]
    priority: i64,
}

impl PullRequest {
    /// Reads a request's body: nothing, a number, or JSON.
    ///
    /// # Errors
    /// In words for the client.
    pub fn parse(body: &[u8]) -> Result<PullRequest, String> {
        let body = body.trim_ascii();
        if body.first() != Some(&b'{') {
            let batch = std::str::from_utf8(body)
                .ok()
                .and_then(|text| text.parse().ok());
            return Ok(PullRequest {
                batch: batch.unwrap_or(1),
                ..PullRequest::default()
            });
        }
        let wire: Wire = json::parse(body, "", false).map_err(|error| {
            // As the API says it, without what is the API's own.
            let text = &*error.description;
            let text = text.strip_prefix("invalid JSON: ").unwrap_or(text);
            text.to_owned()
        })?;
        if wire.idle_heartbeat > 0 && wire.idle_heartbeat.saturating_mul(2) > wire.expires {
            return Err("heartbeat value too large".to_owned());
        }
        Ok(PullRequest {
            batch: wire.batch,
            expires: wire.expires,
            max_bytes: wire.max_bytes,
            no_wait: wire.no_wait,
            heartbeat: wire.idle_heartbeat.max(0),
            priority: Some(Priority {
                group: wire.group,
                min_pending: wire.min_pending,
                min_ack_pending: wire.min_ack_pending,
                id: wire.id,
                priority: wire.priority,
            }),
        })
    }
}

/// A request that waits, or that has ended and has messages under way.
#[derive(Debug)]
struct Waiting {
    reply: Bytes,
    /// May be 0 from the beginning: shown as asked for, and one message is served.
    left: i64,
    /// None: no matter.
    bytes_left: Option<u64>,
    served: bool,
    no_wait: bool,
    expires: Option<Timestamp>,
    heartbeat: i64,
    beat_at: Option<Timestamp>,
    priority: Option<Priority>,
    under_way: u32,
    end: Option<End>,
}

/// Why a request with messages under way waits no more.
#[derive(Debug)]
enum End {
    /// It has all it asked for.
    Fulfilled,
    /// It is over; this is still to be said, if anything.
    Over(Option<Bytes>),
}

/// The requests that wait.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    slots: Vec<Option<Waiting>>,
    free: Vec<usize>,
    order: VecDeque<usize>,
    one_shots: usize,
    demand: u64,
    check_at: Option<Timestamp>,
}

impl Pulls {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many messages are asked for.
    pub(super) fn demand(&self) -> u64 {
        self.demand
    }

    /// Some want only what is there.
    pub(super) fn has_one_shots(&self) -> bool {
        self.one_shots > 0
    }

    /// When [`Pulls::sweep`] is wanted next.
    pub(super) fn check_at(&self) -> Option<Timestamp> {
        self.check_at
    }

    /// Lets a request wait.
    pub(super) fn add(&mut self, now: Timestamp, reply: Bytes, request: PullRequest) {
        let expires = (request.expires != 0).then(|| later(now, request.expires));
        let beat_at = (request.heartbeat > 0).then(|| later(now, request.heartbeat));
        let waiting = Waiting {
            reply,
            left: request.batch,
            bytes_left: Some(positive(request.max_bytes)).filter(|max| *max > 0),
            served: false,
            no_wait: request.no_wait,
            expires,
            heartbeat: request.heartbeat,
            beat_at,
            priority: request.priority,
            under_way: 0,
            end: None,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.check_by(expires);
        self.check_by(beat_at);
        self.slots[slot] = Some(waiting);
        self.enter(slot);
    }

    /// Finds who gets the next message of `size` bytes. Those it does not fit into end.
    pub(super) fn take(
        &mut self,
        now: Timestamp,
        size: u64,
        (pending, ack_pending): (u64, u64),
        actions: &mut Vec<Action>,
    ) -> Option<usize> {
        let mut passed = 0;
        while passed < self.order.len() {
            let slot = *self.order.front()?;
            let waiting = self.slots[slot].as_mut()?;
            if waiting.expires.is_some_and(|expires| expires <= now) {
                let status = with_remainder("408 Request Timeout", waiting);
                self.leave_front();
                self.end(slot, End::Over(Some(status)), actions);
                continue;
            }
            let eligible = |priority: &Priority| priority.is_eligible(pending, ack_pending);
            if !waiting.priority.as_ref().is_none_or(eligible) {
                self.order.rotate_left(1);
                passed += 1;
                continue;
            }
            if waiting.bytes_left.is_some_and(|left| size > left) {
                let status = with_remainder("409 Message Size Exceeds MaxBytes", waiting);
                self.leave_front();
                self.end(slot, End::Over(Some(status)), actions);
                continue;
            }
            self.serve_front(now, size, actions);
            return Some(slot);
        }
        None
    }

    fn serve_front(&mut self, now: Timestamp, size: u64, actions: &mut Vec<Action>) {
        let slot = self.leave_front();
        let Some(waiting) = self.slots[slot].as_mut() else {
            return;
        };
        if let Some(left) = &mut waiting.bytes_left {
            *left -= size;
            if *left == 0 {
                waiting.left = 1; // this one, and no more
            }
        }
        waiting.left = waiting.left.saturating_sub(1);
        waiting.served = true;
        waiting.under_way += 1;
        if waiting.left <= 0 {
            self.end(slot, End::Fulfilled, actions);
            return;
        }
        if waiting.heartbeat > 0 {
            waiting.beat_at = Some(later(now, waiting.heartbeat));
        }
        self.enter(slot);
    }

    /// The subject of a request with a message under way.
    pub(super) fn reply(&self, slot: usize) -> Bytes {
        let waiting = self.slots.get(slot).and_then(Option::as_ref);
        waiting
            .map(|waiting| waiting.reply.clone())
            .unwrap_or_default()
    }

    /// A message under way was sent, or (`sent` is false) did not take place after all.
    pub(super) fn resolve(
        &mut self,
        slot: usize,
        size: u64,
        sent: bool,
        actions: &mut Vec<Action>,
    ) {
        let Some(waiting) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        waiting.under_way = waiting.under_way.saturating_sub(1);
        if !sent {
            waiting.left += 1;
            if let Some(left) = &mut waiting.bytes_left {
                *left += size;
            }
            match waiting.end {
                Some(End::Fulfilled) => {
                    waiting.end = None;
                    let expires = waiting.expires;
                    self.check_by(expires);
                    self.enter(slot);
                    return;
                }
                None => {
                    self.demand += 1;
                    return;
                }
                Some(End::Over(_)) => {}
            }
        }
        self.finish(slot, actions);
    }

    /// Ends what has expired and, with `nothing_left`, those who want only what is there;
    /// sends signs of life.
    pub(super) fn sweep(
        &mut self,
        now: Timestamp,
        nothing_left: bool,
        heartbeat: &Bytes,
        actions: &mut Vec<Action>,
    ) {
        self.check_at = None;
        for _ in 0..self.order.len() {
            let slot = self.leave_front();
            let Some(waiting) = self.slots[slot].as_mut() else {
                continue;
            };
            let status = if waiting.expires.is_some_and(|expires| expires <= now) {
                Some(with_remainder("408 Request Timeout", waiting))
            } else if nothing_left
                && waiting.no_wait
                && (waiting.expires.is_none() || waiting.served)
            {
                Some(status("404 No Messages"))
            } else {
                None
            };
            if status.is_some() {
                self.end(slot, End::Over(status), actions);
                continue;
            }
            if waiting.beat_at.is_some_and(|at| at <= now) {
                actions.push(Action::status(waiting.reply.clone(), heartbeat.clone()));
                waiting.beat_at = Some(later(now, waiting.heartbeat));
            }
            let (expires, beat_at) = (waiting.expires, waiting.beat_at);
            self.check_by(expires);
            self.check_by(beat_at);
            self.enter(slot);
        }
    }

    /// Of the requests that the next `messages` would go to, those nobody listens for.
    pub(super) fn unheard(
        &self,
        messages: u64,
        is_heard: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Vec<Bytes> {
        let (mut gone, mut served) = (Vec::new(), 0);
        for waiting in self
            .order
            .iter()
            .filter_map(|slot| self.slots[*slot].as_ref())
        {
            if served >= messages {
                break;
            }
            match is_heard(&waiting.reply) {
                true => served += 1,
                false => gone.push(waiting.reply.clone()),
            }
        }
        gone
    }

    /// Ends the requests of a client that has gone; without a word, unless `told`.
    pub(super) fn forget(&mut self, reply: &[u8], told: bool, actions: &mut Vec<Action>) {
        for _ in 0..self.order.len() {
            let slot = self.leave_front();
            match &self.slots[slot] {
                Some(waiting) if waiting.reply == reply => {
                    let status = told.then(|| with_remainder("408 Interest Expired", waiting));
                    self.end(slot, End::Over(status), actions);
                }
                _ => self.enter(slot),
            }
        }
    }

    /// Ends all requests with a status; nothing under way is waited for.
    pub(super) fn close(&mut self, line: &str, remainder: bool, actions: &mut Vec<Action>) {
        for slot in self.order.drain(..) {
            if let Some(waiting) = self.slots[slot].take() {
                let headers = match remainder {
                    true => with_remainder(line, &waiting),
                    false => status(line),
                };
                actions.push(Action::status(waiting.reply, headers));
            }
        }
        *self = Pulls::default();
    }

    fn end(&mut self, slot: usize, end: End, actions: &mut Vec<Action>) {
        if let Some(waiting) = self.slots[slot].as_mut() {
            waiting.end = Some(end);
            self.finish(slot, actions);
        }
    }

    /// Frees an ended request with nothing under way and says its last word.
    fn finish(&mut self, slot: usize, actions: &mut Vec<Action>) {
        let Some(waiting) = self.slots[slot].as_ref() else {
            return;
        };
        let last_word = match &waiting.end {
            _ if waiting.under_way > 0 => return,
            None => return,
            Some(End::Over(status)) => status.clone(),
            Some(End::Fulfilled) => (waiting.bytes_left.is_some_and(|left| left > 0))
                .then(|| with_remainder("409 Batch Completed", waiting)),
        };
        if let Some(headers) = last_word {
            actions.push(Action::status(waiting.reply.clone(), headers));
        }
        self.slots[slot] = None;
        self.free.push(slot);
    }

    fn enter(&mut self, slot: usize) {
        if let Some(waiting) = self.slots[slot].as_ref() {
            self.one_shots += usize::from(waiting.no_wait);
            self.demand = self.demand.saturating_add(positive(waiting.left));
            self.order.push_back(slot);
        }
    }

    /// Takes the first out of the order. There MUST be one.
    fn leave_front(&mut self) -> usize {
        let slot = self.order.pop_front().expect("the caller saw one");
        if let Some(waiting) = self.slots[slot].as_ref() {
            self.one_shots -= usize::from(waiting.no_wait);
            self.demand = self.demand.saturating_sub(positive(waiting.left));
        }
        slot
    }

    fn check_by(&mut self, at: Option<Timestamp>) {
        self.check_at = [self.check_at, at].into_iter().flatten().min();
    }
}

/// A status without headers.
pub(super) fn status(line: &str) -> Bytes {
    Bytes::from(format!("NATS/1.0 {line}\r\n\r\n"))
}

fn with_remainder(line: &str, waiting: &Waiting) -> Bytes {
    Bytes::from(format!(
        "NATS/1.0 {line}\r\nNats-Pending-Messages: {}\r\nNats-Pending-Bytes: {}\r\n\r\n",
        waiting.left,
        waiting.bytes_left.unwrap_or(0)
    ))
}

/// A duration as Go writes it: `1m30s`, `1.5s`, `250ms`.
pub(super) fn go_duration(nanos: i64) -> String {
    let duration = Duration::from_nanos(nanos.unsigned_abs());
    let sign = if nanos < 0 { "-" } else { "" };
    let fraction = |value: u64, unit: u64, name: &str| {
        let (whole, rest) = (value / unit, value % unit);
        let digits = unit.ilog10() as usize;
        let rest = format!("{rest:0digits$}");
        match rest.trim_end_matches('0') {
            "" => format!("{sign}{whole}{name}"),
            rest => format!("{sign}{whole}.{rest}{name}"),
        }
    };
    let total = nanos.unsigned_abs();
    match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{total}ns"),
        1_000..1_000_000 => fraction(total, 1_000, "µs"),
        1_000_000..1_000_000_000 => fraction(total, 1_000_000, "ms"),
        1_000_000_000..60_000_000_000 => fraction(total, 1_000_000_000, "s"),
        _ => {
            let (hours, minutes) = (duration.as_secs() / 3600, duration.as_secs() / 60 % 60);
            let seconds = total % 60_000_000_000;
            let seconds = fraction(seconds, 1_000_000_000, "s");
            let seconds = seconds.trim_start_matches('-');
            match hours {
                0 => format!("{sign}{minutes}m{seconds}"),
                _ => format!("{sign}{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

//! Push delivery: is somebody listening, how much may be on its way, how fast.
//!
//! Separate because a push consumer sends without being asked and must hold back by itself.
//! The window counts bytes sent since the client last answered a flow control request; it
//! starts at a sixteenth of its limit and doubles with every answer. A request goes out
//! when half the window is used, and nothing goes out beyond the window.
//!
//! Invariants: at most one flow control request is unanswered; the rate bucket never lets
//! more than its burst through at once.

use bytes::Bytes;

use super::config::Config;
use super::redelivery::later;
use crate::clock::Timestamp;

/// How many bytes may be unanswered at most.
const WINDOW_MAX: u64 = 32 * 1024 * 1024;
/// How many at first.
const WINDOW_START: u64 = WINDOW_MAX / 16;
/// What the last token of a flow control subject is made of.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The push side of a consumer.
#[derive(Debug)]
pub(super) struct Push {
    /// Somebody listens on the deliver subject.
    pub(super) active: bool,
    /// The deliver subject.
    pub(super) to: Bytes,
    window: Option<Window>,
    heartbeat: i64,
    beat_at: Option<Timestamp>,
    rate: Option<Rate>,
}

#[derive(Debug)]
struct Window {
    prefix: Vec<u8>,
    ids: u64,
    size: u64,
    /// Sent and not answered.
    sent: u64,
    /// Proposed and not sent.
    reserved: u64,
    /// The unanswered request and what it will answer for.
    asked: Option<(Bytes, u64)>,
}

impl Push {
    pub(super) fn new(
        now: Timestamp,
        config: &Config,
        flow_prefix: Vec<u8>,
        seed: u64,
        burst_bytes: u64,
    ) -> Self {
        let window = config.flow_control.then(|| Window {
            prefix: flow_prefix,
            ids: seed,
            size: WINDOW_START,
            sent: 0,
            reserved: 0,
            asked: None,
        });
        Push {
            active: false,
            to: Bytes::copy_from_slice(config.deliver_subject.as_bytes()),
            window,
            heartbeat: config.idle_heartbeat,
            beat_at: (config.idle_heartbeat > 0).then(|| later(now, config.idle_heartbeat)),
            rate: Rate::new(config.rate_limit_bps, burst_bytes),
        }
    }

    /// Takes over what may change in a configuration.
    pub(super) fn reconfigure(&mut self, config: &Config, burst_bytes: u64) {
        self.to = Bytes::copy_from_slice(config.deliver_subject.as_bytes());
        self.rate = Rate::new(config.rate_limit_bps, burst_bytes);
    }

    /// Interest has come or gone. A listener that comes starts with nothing unanswered.
    pub(super) fn set_active(&mut self, active: bool) {
        if let Some(window) = &mut self.window
            && active
            && !self.active
        {
            window.sent = 0;
            window.asked = None;
            window.size = WINDOW_START;
        }
        self.active = active;
    }

    /// Nobody listens, or too much is unanswered.
    pub(super) fn is_stalled(&self) -> bool {
        let full = |window: &Window| window.sent + window.reserved > window.size;
        !self.active || self.window.as_ref().is_some_and(full)
    }

    /// Until when the rate holds a message of `size` back; none: go.
    pub(super) fn held_until(&self, now: Timestamp, size: u64) -> Option<Timestamp> {
        let at = self.rate.as_ref()?.ready_at(now, size);
        (at > now).then_some(at)
    }

    /// A message of `size` is proposed.
    pub(super) fn reserve(&mut self, now: Timestamp, size: u64) {
        if let Some(rate) = &mut self.rate {
            rate.take(now, size);
        }
        if let Some(window) = &mut self.window {
            window.reserved += size;
        }
    }

    /// A proposed message was sent, or did not take place. With `full` so much waits for
    /// acknowledgement by flow control that an answer is needed. A request to send now.
    pub(super) fn resolve(
        &mut self,
        now: Timestamp,
        size: u64,
        sent: bool,
        full: bool,
    ) -> Option<Bytes> {
        if sent && self.heartbeat > 0 {
            self.beat_at = Some(later(now, self.heartbeat));
        }
        let window = self.window.as_mut()?;
        window.reserved = window.reserved.saturating_sub(size);
        if !sent {
            return None;
        }
        window.sent += size;
        if let Some((_, answers_for)) = &mut window.asked {
            if window.sent.saturating_sub(*answers_for) >= window.size {
                *answers_for += size;
            }
            return None;
        }
        (full || window.sent > window.size / 2).then(|| window.ask())
    }

    /// An answer. True if it is to the last request.
    pub(super) fn answered(&mut self, subject: &[u8]) -> bool {
        let Some(window) = &mut self.window else {
            return false;
        };
        match window.asked.take() {
            Some((asked, answers_for)) if asked == subject => {
                window.size = (window.size * 2).min(WINDOW_MAX);
                window.sent = window.sent.saturating_sub(answers_for);
                true
            }
            other => {
                window.asked = other;
                false
            }
        }
    }

    /// Whether a sign of life is due; the next is then later.
    pub(super) fn beat(&mut self, now: Timestamp) -> bool {
        match self.beat_at {
            Some(at) if at <= now => {
                self.beat_at = Some(later(now, self.heartbeat));
                self.active
            }
            _ => false,
        }
    }

    /// When the next sign of life is due.
    pub(super) fn beat_at(&self) -> Option<Timestamp> {
        self.beat_at
    }

    /// The unanswered request's subject.
    pub(super) fn asked(&self) -> Option<&Bytes> {
        let window = self.window.as_ref()?;
        window.asked.as_ref().map(|(subject, _)| subject)
    }

    /// A request out of turn, unless one is unanswered.
    pub(super) fn ask(&mut self) -> Option<Bytes> {
        let window = self.window.as_mut()?;
        window.asked.is_none().then(|| window.ask())
    }
}

impl Window {
    fn ask(&mut self) -> Bytes {
        let mut subject = self.prefix.clone();
        self.ids = self.ids.wrapping_add(1);
        let mut rest = self.ids;
        for _ in 0..4 {
            subject.push(DIGITS[usize::try_from(rest % 62).unwrap_or(0)]);
            rest /= 62;
        }
        let subject = Bytes::from(subject);
        self.asked = Some((subject.clone(), self.sent));
        subject
    }
}

/// A token bucket: so many bytes a second, and so many at once.
#[derive(Debug)]
struct Rate {
    bytes_per_second: u64,
    burst_bytes: u64,
    /// When the bucket would be full if nothing were taken, in Unix nanoseconds.
    full_at: i128,
}

impl Rate {
    /// For a limit in bits; 0: none.
    fn new(bits_per_second: u64, burst_bytes: u64) -> Option<Rate> {
        (bits_per_second > 0).then_some(Rate {
            bytes_per_second: (bits_per_second / 8).max(1),
            burst_bytes,
            full_at: 0,
        })
    }

    fn nanos(&self, bytes: u64) -> i128 {
        i128::from(bytes) * 1_000_000_000 / i128::from(self.bytes_per_second)
    }

    /// When the bucket holds `size`.
    fn ready_at(&self, now: Timestamp, size: u64) -> Timestamp {
        let size = size.min(self.burst_bytes);
        let full_at = self.full_at.max(now.unix_nanos().into()) + self.nanos(size);
        let at = full_at - self.nanos(self.burst_bytes);
        Timestamp::from_unix_nanos(i64::try_from(at).unwrap_or(i64::MAX))
    }

    fn take(&mut self, now: Timestamp, size: u64) {
        self.full_at = self.full_at.max(now.unix_nanos().into()) + self.nanos(size);
    }
}

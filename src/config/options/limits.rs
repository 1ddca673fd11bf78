//! Limits and timers of client connections and of the whole server.

use std::time::Duration;

use super::key::{Key, Reload::*, key};
use super::reader::{Item, Reader};
use crate::config::units;
use crate::config::value::Value;

/// The shortest time over which clients are sent away in lame duck mode.
const LAME_DUCK_DURATION_MIN: Duration = Duration::from_secs(30);

/// Limits and timers. A configured 0 means the default unless the field says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Clients at once over all listeners. Default 65536; 0 or less refuses every client.
    pub max_connections: i64,
    /// Bytes of the arguments of one protocol line. Default 4096.
    pub max_control_line: u32,
    /// Bytes of one message, headers included. Default 1 MiB; at most `max_pending`.
    pub max_payload: u32,
    /// Bytes waiting to be written to one client. Default 64 MiB.
    pub max_pending: u64,
    /// Bytes waiting to be written to all links together. Default 0: a quarter of the
    /// memory of the machine.
    pub max_pending_total: u64,
    /// Subscriptions of one connection. Default 0: unlimited.
    pub max_subscriptions: u64,
    /// Tokens of one subscription's subject, 1 to 255. Default: no limit.
    pub max_sub_tokens: Option<u8>,
    /// Closed connections remembered for `/connz`. Default 10000.
    pub max_closed_clients: u64,
    /// Time between pings of the server. Default 2 minutes.
    pub ping_interval: Duration,
    /// Pings without an answer after which a link is stale. Default 2.
    pub ping_max: u32,
    /// Time one write may take. Default 10 seconds.
    pub write_deadline: Duration,
    /// What happens to a client whose write timed out. Default: by kind of link.
    pub write_timeout: WriteTimeout,
    /// Never hold back a fast publisher for slow receivers. Default false.
    pub no_fast_producer_stall: bool,
    /// Do without the cache of match results. Default false.
    pub disable_sublist_cache: bool,
    /// Time over which clients are sent away in lame duck mode. Default 2 minutes, at
    /// least 30 seconds.
    pub lame_duck_duration: Duration,
    /// Time in lame duck mode before the first client is sent away. Default 10 seconds,
    /// less than `lame_duck_duration`.
    pub lame_duck_grace_period: Duration,
}

/// What happens to a link whose write did not end within the deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteTimeout {
    /// Close clients, retry for links between servers.
    #[default]
    Default,
    /// Close the link.
    Close,
    /// Go on writing.
    Retry,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 65536,
            max_control_line: 4096,
            max_payload: 1024 * 1024,
            max_pending: 64 * 1024 * 1024,
            max_pending_total: 0,
            max_subscriptions: 0,
            max_sub_tokens: None,
            max_closed_clients: 10_000,
            ping_interval: Duration::from_secs(120),
            ping_max: 2,
            write_deadline: Duration::from_secs(10),
            write_timeout: WriteTimeout::Default,
            no_fast_producer_stall: false,
            disable_sublist_cache: false,
            lame_duck_duration: Duration::from_secs(120),
            lame_duck_grace_period: Duration::from_secs(10),
        }
    }
}

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Limits>] = &[
    key("max_connections|max_conn", "integer", "65536", Yes, "10",
        "Clients at once over all listeners; 0 or less refuses every client.",
        |l, v, r| r.number(v, &mut l.max_connections)),
    key("max_control_line", "size", "4096", Yes, "8192",
        "Bytes of the arguments of one protocol line.",
        |l, v, r| int32(v, r, &mut l.max_control_line)),
    key("max_payload", "size", "1MB", Yes, "2MB",
        "Bytes of one message, headers included; at most `max_pending`, at most 8MB recommended.",
        |l, v, r| int32(v, r, &mut l.max_payload)),
    key("max_pending", "size", "64MB", No, "32MB",
        "Bytes waiting to be written to one client.",
        |l, v, r| r.number_or_default(v, &mut l.max_pending)),
    key("max_pending_total", "size", "0: a quarter of the memory", No, "1GB",
        "Bytes waiting to be written to all links together. Natter's own key.",
        |l, v, r| r.number(v, &mut l.max_pending_total)),
    key("max_subscriptions|max_subs", "integer", "0: unlimited", No, "1000",
        "Subscriptions of one connection.",
        |l, v, r| r.number_or_none(v, &mut l.max_subscriptions)),
    key("max_sub_tokens|max_subscription_tokens", "1 to 255", "no limit", No, "16",
        "Tokens of the subject of a subscription.",
        |l, v, r| sub_tokens(v, r, &mut l.max_sub_tokens)),
    key("max_closed_clients", "integer", "10000", No, "100",
        "Closed connections remembered for `/connz`.",
        |l, v, r| r.number_or_default(v, &mut l.max_closed_clients)),
    key("ping_interval", "duration", "2m", Yes, "30s",
        "Time between pings of the server.",
        |l, v, r| r.duration_or_default(v, &mut l.ping_interval)),
    key("ping_max", "integer", "2", Yes, "3",
        "Pings without an answer after which a link is stale.",
        |l, v, r| r.number_or_default(v, &mut l.ping_max)),
    key("write_deadline", "duration", "10s", Yes, "2s",
        "Time one write may take.",
        |l, v, r| r.duration_or_default(v, &mut l.write_deadline)),
    key("write_timeout", "default, close or retry", "default", No, "retry",
        "What happens when a write took longer; by default clients are closed, links are not.",
        |l, v, r| r.write_timeout(v, &mut l.write_timeout)),
    key("no_fast_producer_stall", "boolean", "false", Yes, "true",
        "Never hold back a fast publisher for slow receivers.",
        |l, v, r| r.flag(v, &mut l.no_fast_producer_stall)),
    key("disable_sublist_cache|no_sublist_cache", "boolean", "false", No, "true",
        "Without effect: match results are cached per connection and always fresh.",
        |l, v, r| r.flag(v, &mut l.disable_sublist_cache)),
    key("lame_duck_duration", "duration, text only", "2m", No, "60s",
        "Time over which clients are sent away in lame duck mode; at least 30 seconds.",
        |l, v, r| lame_duck_duration(v, r, &mut l.lame_duck_duration)),
    key("lame_duck_grace_period", "duration, text only", "10s", No, "5s",
        "Time in lame duck mode before the first client is sent away.",
        |l, v, r| lame_duck_grace(v, r, &mut l.lame_duck_grace_period)),
];

impl Reader {
    /// `write_timeout` of any block.
    pub fn write_timeout(&mut self, v: Item<'_>, into: &mut WriteTimeout) {
        let words = [
            ("default", WriteTimeout::Default),
            ("close", WriteTimeout::Close),
            ("retry", WriteTimeout::Retry),
        ];
        let wrong = "write_timeout must be 'default', 'close' or 'retry'";
        self.word(v, into, &words, wrong);
    }
}

/// A size that clients keep in 32 bits with a sign; 0 means the default.
fn int32(v: Item<'_>, r: &mut Reader, into: &mut u32) {
    let mut value = i64::from(*into);
    r.number_or_default(v, &mut value);
    match u32::try_from(value) {
        Ok(value) if i32::try_from(value).is_ok() => *into = value,
        Ok(_) => r.error(v, format!("{} value is too big", v.key)),
        Err(_) if value < 0 => r.error(v, format!("{} value can not be negative", v.key)),
        Err(_) => r.error(v, format!("{} value is too big", v.key)),
    }
}

fn sub_tokens(v: Item<'_>, r: &mut Reader, into: &mut Option<u8>) {
    r.number(v, into);
    if *into == Some(0) {
        *into = None;
    }
}

fn lame_duck_duration(v: Item<'_>, r: &mut Reader, into: &mut Duration) {
    let mut duration = *into;
    r.duration_text(v, &mut duration);
    if duration < LAME_DUCK_DURATION_MIN {
        let text = units::format_duration(i64::try_from(duration.as_nanos()).unwrap_or(0));
        let message = format!("invalid lame_duck_duration of {text}, minimum is 30 seconds");
        return r.error(v, message);
    }
    *into = duration;
}

fn lame_duck_grace(v: Item<'_>, r: &mut Reader, into: &mut Duration) {
    match &v.node.value {
        Value::String(text) if text.starts_with('-') => {
            r.error(v, "invalid lame_duck_grace_period, needs to be positive");
        }
        _ => r.duration_text(v, into),
    }
}

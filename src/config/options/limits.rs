//! Limits and timers of client connections and of the whole server.

use std::time::Duration;

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

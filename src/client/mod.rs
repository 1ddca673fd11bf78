//! The front for clients of the NATS protocol.
//!
//! Separate from `connection`, which knows bytes, and from `pubsub`, which knows messages:
//! here operations become calls, and refusals become `-ERR`. A [`session::ClientSession`]
//! belongs to one link's task and decides everything that link may do; what monitoring and
//! reload need of a client is its [`entry::Client`], registered in [`Front::clients`].
//!
//! Invariants: identity is decided in one place (`connect.rs`) before any other verb is
//! accepted; every refusal goes through `violations.rs`; a client that is gone leaves
//! nothing in its account but counters. Absent: sockets, configuration files.

pub mod by_sid;
pub mod connect;
pub mod entry;
pub mod observer;
pub mod publish;
pub mod session;
pub mod sink;
pub mod subscribe;
pub mod violations;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;

use self::entry::Client;
use self::observer::{Nobody, Observer};
use crate::connection::pending::PendingTotal;
use crate::connection::registry::Registry;
use crate::login::Login;
use crate::protocol::info::Info;
use crate::pubsub::accounts::Accounts;

/// What holds for every client of a listener. Replaced as a whole by a reload.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Bytes of a control line (`max_control_line`).
    pub control_line_max: usize,
    /// Bytes of a message (`max_payload`).
    pub payload_max: usize,
    /// Bytes waiting for one client (`max_pending`).
    pub pending_max: usize,
    /// Subscriptions of one client; 0: unlimited.
    pub subscriptions_max: usize,
    /// Tokens of a subscription's subject; `None`: unlimited.
    pub subscription_tokens_max: Option<usize>,
    /// Clients at once.
    pub connections_max: usize,
    /// Time between pings of the server.
    pub ping_interval: Duration,
    /// Unanswered pings after which a link is stale.
    pub ping_max: u32,
    /// Time to log in.
    pub auth_timeout: Duration,
    /// Time pending bytes may wait for the socket.
    pub write_deadline: Duration,
    /// A write that is late is tried on as long as some bytes move.
    pub write_retry: bool,
    /// Headers are supported.
    pub headers: bool,
    /// Publishers rest when a receiver is behind; else the message is dropped for it.
    pub stall: bool,
}

/// What all clients share.
pub struct Front {
    /// Live accounts.
    pub accounts: Arc<Accounts>,
    /// Who is who.
    pub login: Arc<Login>,
    /// Open clients.
    pub clients: Arc<Registry<Client>>,
    /// Limits and timers of new clients.
    pub options: RwLock<Arc<ClientOptions>>,
    /// What INFO says to everybody.
    pub info: RwLock<Arc<Info>>,
    /// Bytes waiting on all links.
    pub total: Arc<PendingTotal>,
    /// Counters of clients that are gone, and of events.
    pub counters: Counters,
    /// Who wants to know of connects and disconnects.
    pub observer: OnceLock<Arc<dyn Observer>>,
    /// The server is leaving: no new subscriptions are announced, no new clients taken.
    pub lame_duck: AtomicBool,
}

/// Counters over the life of the server; each is written where it happens.
#[derive(Debug, Default)]
pub struct Counters {
    /// Clients ever accepted.
    pub connections_total: AtomicU64,
    /// Messages and bytes received from clients that are gone.
    pub received: (AtomicU64, AtomicU64),
    /// Messages and bytes sent to clients that are gone.
    pub sent: (AtomicU64, AtomicU64),
    /// Clients cut because they read too slowly.
    pub slow_consumers: AtomicU64,
    /// Clients cut because they did not answer pings.
    pub stale_connections: AtomicU64,
    /// Rests of publishers whose receivers were behind.
    pub stalls: AtomicU64,
}

impl Front {
    /// The present limits and timers.
    pub fn options(&self) -> Arc<ClientOptions> {
        Arc::clone(&self.options.read())
    }

    /// Who wants to know; nobody, while the server is being built.
    pub fn observer(&self) -> &dyn Observer {
        self.observer.get().map_or(&Nobody, |observer| &**observer)
    }

    /// The present INFO.
    pub fn info(&self) -> Arc<Info> {
        Arc::clone(&self.info.read())
    }

    /// Tells every client that understands it that INFO has changed.
    pub fn announce_info(&self) {
        for client in self.clients.all() {
            if client.wants_async_info() {
                let line = self.later_info(&client).line();
                client.link.send(&line);
            }
        }
    }

    /// INFO as `client` sees it after CONNECT: with the limit of its account, without a
    /// nonce, and with `auth_required` even where a default user makes the first INFO
    /// leave it out.
    pub fn later_info(&self, client: &Client) -> Info {
        let mut info = client.info(&self.info());
        info.nonce.clear();
        info.auth_required = self.login.directory().is_auth_configured();
        let limits = client.account().map(|account| account.limits());
        if let Some(max) = limits.and_then(|limits| limits.payload_bytes_max) {
            let max = i64::try_from(max).unwrap_or(i64::MAX);
            info.max_payload = info.max_payload.min(max);
        }
        info
    }

    /// The server is in lame duck mode.
    pub fn is_lame_duck(&self) -> bool {
        self.lame_duck.load(Ordering::Relaxed)
    }
}

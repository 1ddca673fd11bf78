//! Streams at work: the shell around `stream`, `consumer` and `meta`.
//!
//! Separate from the machines because everything that waits is here: for the log, for
//! files, for clients, for time. One [`replica::Replica`] per stream does what a stream
//! does; [`JetStream`] knows them all; `api` answers the requests on `$JS.API.>`.
//!
//! ```text
//!   $JS.API.> ─► api ─► meta group (which streams there are)
//!                 └───► StreamHandle ─► mailbox ─► Replica ─► group ─► wal
//!   a stream's subjects ────────────────────┘         └─► delivery ─► account
//! ```
//!
//! Invariants: there is one way into a stream, a committed command; an acknowledgement
//! leaves only after the log was synced; nothing here runs on a thread that serves
//! connections, except copying a message into a mailbox.

pub mod account;
pub mod acks;
pub mod advisories;
pub mod consumer_inbox;
pub mod consumers;
pub mod delivery;
pub mod direct_get;
pub mod handle;
pub mod ingest;
pub mod mailbox;
pub mod origin;
pub mod outlet;
pub mod replica;
pub mod republish;
pub mod status;
pub mod streams;
pub mod subjects;
pub mod subscriptions;

pub mod timers;
pub mod usage;

/// The level of the API that this server has (jetstream spec §1.3).
pub const API_LEVEL: u64 = 1;

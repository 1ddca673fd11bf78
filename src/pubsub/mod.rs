//! Core NATS: one publish path for everybody.
//!
//! Separate from the fronts because a message must not know where it came from: clients,
//! links between servers and the server itself all call [`publish::Publisher::publish`],
//! and all receive through a [`subscription::Sink`]. The path is: check, map, match,
//! deliver; it allocates nothing per message, takes no lock shared by all connections and
//! makes no system call.
//!
//! ```text
//! publish ─► match_cache ─(miss)─► interest (sublist) ─► deliver ─► Sink … flushed per batch
//!                                                           └─► service_import ─► deliver there
//! ```
//!
//! Invariants: a subscription that was answered is seen by every later publish; a closed
//! one receives nothing; results that depend on chance are never cached; a message crosses
//! accounts at most [`message::CROSSINGS_MAX`] times. Absent: sockets, operations,
//! credentials.

pub mod accounts;
pub mod cache_figures;
pub mod deliver;
pub mod interest;
pub mod internal;
pub mod match_cache;
pub mod message;
pub mod publish;
pub mod replies;
pub mod run;
pub mod service_import;
pub mod stream_import;
pub mod subscription;

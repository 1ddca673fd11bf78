//! The replicated log of messages and its consumers.
//!
//! A stream is a state machine: committed commands go in, in the order of its log, and
//! outcomes come out. Everything that decides what a stream holds is here, so that
//! replicas agree and a test needs no runtime; who proposes, replicates, answers and
//! delivers is the shell's business.
//!
//! ```text
//!   command ──► machine ──┬─► publish ─► retention ─┐
//!   (with now)            ├─► purge, origin         ├─► MsgStore, and the indexes that follow it:
//!                         ├─► consumers             │   consumers by filter, lifetimes
//!                         └─► tick: age, lifetimes ─┘
//!                                   └──► Outcome { answer, effects }
//! ```
//!
//! `config` is the API's type; `command` and `outcome` are the doors; `machine` routes;
//! `headers` reads what a publisher asks for; `publish` accepts or refuses; `dedup` knows
//! message ids; `retention` removes by limits, interest and age; `ttl` by lifetime; `purge`
//! on demand; `origin` copies from other streams; `consumers` holds the consumers; `codec`
//! and `snapshot` are the bytes.
//!
//! Invariants: the state depends on the configuration and the commands only; limits hold
//! after every command; nothing expires but by a `Tick`. Absent: Raft, files,
//! subscriptions, clocks; batches, schedules and counters are not built, and a publish
//! that asks for one is refused.

pub mod codec;
pub mod command;
pub mod config;
pub mod consumers;
pub mod dedup;
#[cfg(test)]
mod fake_store;
pub mod headers;
pub mod info;
pub mod machine;
#[cfg(test)]
mod model;
pub mod origin;
pub mod outcome;
mod publish;
mod purge;
pub mod requests;
pub mod retention;
pub mod snapshot;
pub mod sweep;
#[cfg(test)]
mod tests;
pub mod ttl;
pub mod validate;

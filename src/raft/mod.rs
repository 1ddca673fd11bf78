//! openraft behind one handle.
//!
//! Separate so that no other room knows openraft: it proposes commands to a
//! [`group::Group`] and gets their outcomes. The machine behind it is whatever implements
//! [`crate::state_machine::StateMachine`].
//!
//! Today every group has this server as its only member, on the path that groups of more
//! will use: one entry is a batch of commands, an entry is synced in the server's one
//! log before it is applied, and it is applied before it is answered.
//!
//! Invariants: openraft's types stay in this room; an outcome is told only after the entry
//! is durable on a quorum (memory groups: in memory); a failed group applies nothing more.
//!
//! Absent: peers, so no network, no elections against anybody, no travelling snapshots.

pub mod types;

pub mod convert;
pub mod error;

pub mod log_store;
pub mod memory_log;
pub mod space;

pub mod apply;
pub mod replay;
pub mod replica;

pub mod group;
pub mod groups;
pub mod hibernate;
pub mod instance;

pub mod network;
pub mod runtime;
pub mod settings;

#[cfg(test)]
pub mod toy;

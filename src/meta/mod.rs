//! Which server carries what: the state machine that every server replicates.
//!
//! Separate from the streams because it must be small and always there: it knows which
//! streams there are, which group each one is, and where it lives; what is in a stream,
//! its consumers included, is in that stream's own group.
//!
//! ```text
//!   proposer ─► stream::validate, placement ─► command ─► log ─► machine ─► outcome
//!                                                                   │
//!                                 streams are started and ended as assignments say
//! ```
//!
//! Invariants: a group or node id is given out once, for ever; no two streams of an account
//! have a name or a subject in common; the same log leads to the same bytes in a snapshot.
//! Absent: files (a checkpoint goes to a sink that is handed in), limits (the proposer
//! checks them), and more than one server for now.

pub mod account_info;
pub mod assignment;
mod codec;
pub mod command;
pub mod machine;
pub mod placement;
pub mod registry;
mod snapshot;
pub mod usage;

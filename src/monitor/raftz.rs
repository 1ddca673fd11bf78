//! `/raftz` and `/ipqueuesz`: Raft groups and internal queues.
//!
//! There are no Raft groups yet, so the answer is the refusal of a server without any.
//! Queues of other implementations have no counterpart here: no queue is ever shown.

use serde::Serialize;

/// The text of `/raftz` with status 404.
pub const NO_RAFT_NODES: &str = "No Raft nodes registered";

/// Raft groups by account and name, for system requests: none.
#[derive(Debug, Serialize)]
pub struct Raftz {}

/// Internal queues by name: none.
#[derive(Debug, Serialize)]
pub struct IpQueuesz {}

//! The front for clients of the NATS protocol.

pub mod session;
pub mod sink;

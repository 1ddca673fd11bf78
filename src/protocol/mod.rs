//! The NATS wire between clients and servers, sans-IO: bytes in, operations out.
//!
//! Separate from `connection` and `client` because what the bytes mean can be proven
//! without a socket. A reader feeds [`parser::parse`] with what it has; incomplete input
//! is a normal outcome. `encode` appends to a caller's buffer.
//!
//! Invariants: nothing here allocates for an operation; no length is trusted before it is
//! held against a limit; no input panics. Absent: accounts, users, subscriptions.

pub mod args;
pub mod connect;
pub mod encode;
pub mod error;
pub mod headers;
pub mod info;
pub mod limits;
pub mod op;
pub mod parser;

//! Who are you, and what may you do: identity and permissions as pure decisions.
//!
//! Separate from sockets and accounts so that the whole authorization matrix is a table
//! test. Configuration (`config`) and claims produce the `…Spec` types; `decision` and
//! `permissions` compile them and answer.
//!
//! A front puts what a peer sent into `credentials`, with the names that `tls_map` finds in
//! a certificate, and asks `decision`; the `users::User` it gets carries the `permissions`
//! that every SUB and PUB is held against. A link keeps its own table of `responses`.
//!
//! Absent: no socket, no clock (callers pass `now`), no password hashing on the caller's
//! thread: `decision` answers *verify this password* and is asked again.

pub mod credentials;
pub mod decision;
pub mod dn;
pub mod nkey;
pub mod password;
pub mod permissions;
pub mod responses;
pub mod tls_map;
pub mod users;

//! Who are you, and what may you do: identity and permissions as pure decisions.
//!
//! Separate from sockets and accounts so that the whole authorization matrix is a table
//! test. Configuration (`config`) and claims produce the `…Spec` types; `decision` and
//! `permissions` compile them and answer.
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

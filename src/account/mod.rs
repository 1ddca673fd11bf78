//! Isolation as tables: what an account is, what it offers and what it takes.
//!
//! Separate from `pubsub`, which carries messages: here stands only who may import what,
//! how subjects are mapped and which limits hold. `config` and claims produce `AccountSpec`;
//! building the accounts checks imports against exports and finds cycles.
//!
//! Absent: no subscription, no connection, no clock.

pub mod cycles;
pub mod export;
pub mod import;
pub mod intersection;
pub mod limits;
pub mod mapping;

use crate::auth::permissions::PermissionsSpec;
use crate::auth::users::UserSpec;

/// The account of everybody who belongs to no other.
pub const GLOBAL: &str = "$G";
/// The account of the server itself.
pub const SYSTEM: &str = "$SYS";

/// An account as configured, before it is checked against the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountSpec {
    /// The name; unique on a server.
    pub name: String,
    /// The public account key (`A…`), if configured.
    pub nkey: Option<String>,
    /// Users of this account.
    pub users: Vec<UserSpec>,
    /// Permissions of users who have none of their own.
    pub default_permissions: Option<PermissionsSpec>,
    /// What the account offers to others.
    pub exports: Vec<export::ExportSpec>,
    /// What the account takes from others.
    pub imports: Vec<import::ImportSpec>,
    /// Mappings of subjects published in this account, in order.
    pub mappings: Vec<mapping::MappingSpec>,
    /// Limits of the whole account.
    pub limits: limits::AccountLimits,
    /// Where trace events of sampled messages go.
    pub trace: Option<TraceSpec>,
    /// What the account may store; `None`: no JetStream.
    pub jetstream: Option<limits::JetStreamLimits>,
}

/// `msg_trace` of an account (spec core §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSpec {
    /// The subject that receives trace events.
    pub dest: String,
    /// Percent of messages with a sampled `traceparent`, 1 to 100.
    pub sampling: u8,
}

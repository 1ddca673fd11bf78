//! Isolation as tables: what an account is, what it offers and what it takes.
//!
//! Separate from `pubsub`, which carries messages: here stands only who may import what,
//! how subjects are mapped and which limits hold. `config` and claims produce
//! [`AccountSpec`]; `build` checks imports against exports, finds cycles and makes
//! [`Accounts`].
//!
//! Invariants: every import of a built account has an export that admits it; no message goes
//! round in circles through imports. Absent: no subscription, no connection, no clock.

pub mod build;
pub mod cycles;
pub mod export;
pub mod import;
pub mod intersection;
pub mod limits;
pub mod mapping;
pub mod system;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::auth::decision::UserGroup;
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

impl AccountSpec {
    /// The users of this account with the permissions they fall back to, for the directory.
    pub fn user_group(&self) -> UserGroup {
        UserGroup {
            users: self.users.clone(),
            default_permissions: self.default_permissions.clone(),
        }
    }
}

/// Whether the system account is the only one and has users. Without any other word about
/// who may connect, clients with no credentials then still reach the global account.
pub fn is_system_alone(specs: &[AccountSpec], system: &str) -> bool {
    matches!(specs, [only] if only.name == system && !only.users.is_empty())
}

/// An account, checked and compiled.
#[derive(Clone, Debug)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The public account key (`A…`), if configured.
    pub nkey: Option<String>,
    /// What is offered to others.
    pub exports: Vec<export::ExportSpec>,
    /// Services taken from others, the implicit ones last.
    pub service_imports: Vec<import::ServiceImport>,
    /// Streams taken from others.
    pub stream_imports: Vec<import::StreamImport>,
    /// Mappings of subjects published here.
    pub mappings: mapping::Mappings,
    /// Limits of the whole account.
    pub limits: limits::AccountLimits,
    /// Where trace events of sampled messages go.
    pub trace: Option<TraceSpec>,
}

/// All accounts of a server.
#[derive(Clone, Debug)]
pub struct Accounts {
    by_name: BTreeMap<String, Arc<Account>>,
    system: Option<String>,
}

impl Accounts {
    /// The account of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Account>> {
        self.by_name.get(name)
    }

    /// The system account, if there is one.
    pub fn system(&self) -> Option<&Arc<Account>> {
        self.get(self.system.as_deref()?)
    }

    /// Every account, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.by_name.values()
    }
}

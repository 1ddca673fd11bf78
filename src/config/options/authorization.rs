//! `authorization {}` and `no_auth_user`: who may connect when no accounts are needed.

use std::time::Duration;

use super::secret::Secret;
use crate::auth::permissions::PermissionsSpec;
use crate::auth::users::UserSpec;

/// Who may connect to the client listener.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Authorization {
    /// The single user's name. Default: none.
    pub user: Option<String>,
    /// The single user's password, plain or bcrypt.
    pub password: Option<Secret>,
    /// The single token, plain or bcrypt. Default: none.
    pub token: Option<Secret>,
    /// Time a client has to log in. Default: `None`, 2 seconds, or with TLS the handshake
    /// timeout and 1 second.
    pub timeout: Option<Duration>,
    /// Users of account `$G`. Default: none.
    pub users: Vec<UserSpec>,
    /// Permissions of users that have none. Default: everything is allowed.
    pub default_permissions: Option<PermissionsSpec>,
    /// A service that decides. Default: none.
    pub auth_callout: Option<AuthCallout>,
    /// Only connections through a trusted proxy. Default false.
    pub proxy_required: bool,
    /// The user of clients that present nothing. Default: none.
    pub no_auth_user: Option<String>,
}

/// A service that decides who a client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthCallout {
    /// Public account key that signs answers.
    pub issuer: String,
    /// Account of the service. Default `$G`.
    pub account: String,
    /// Users that are not asked about: the service itself.
    pub auth_users: Vec<String>,
    /// Public curve key of the service; requests are then sealed. Default: none.
    pub xkey: Option<String>,
    /// Accounts clients may be put in. Default: all.
    pub allowed_accounts: Vec<String>,
}

/// The login of another listener or of links: `authorization {}` inside of a block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkAuthorization {
    /// The user's name. Default: none.
    pub user: Option<String>,
    /// The user's password, plain or bcrypt.
    pub password: Option<Secret>,
    /// A token (websocket and mqtt). Default: none.
    pub token: Option<Secret>,
    /// Time the peer has to log in. Default: as for clients.
    pub timeout: Option<Duration>,
}

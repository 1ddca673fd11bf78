//! Users: a login, what it may do and where it may come from.
//!
//! [`UserSpec`] is what was configured, [`User`] what a link carries once `decision` has
//! accepted it. Separate from `decision` because `config`, `account` and every front know
//! users without knowing how they are recognised.
//!
//! Absent: no password in a [`User`].

use std::fmt;

use super::permissions::{Permissions, PermissionsSpec};

/// A configured user, before compilation. Written by `config` (or claims), read by `decision`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSpec {
    /// How the user proves who he is.
    pub login: Login,
    /// The account the user belongs to; `$G` when configured outside of an account.
    pub account: String,
    /// `None`: the default permissions of the account or authorization block apply.
    pub permissions: Option<PermissionsSpec>,
    /// `None`: every connection type may use this user.
    pub connection_types: Option<Vec<ConnectionType>>,
    /// Only connections that come through a trusted proxy may use this user.
    pub proxy_required: bool,
}

/// The proof a user has to bring. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// A name and a password, plain or bcrypt (`$2a$…`, `$2b$…`, `$2x$…`, `$2y$…`). The
    /// password may be empty for users that log in by certificate.
    Password {
        /// The user name.
        user: String,
        /// Plain text or a bcrypt hash.
        password: String,
    },
    /// A public user key (`U…`); the client signs the nonce.
    Nkey(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Login::Password { user, .. } => write!(f, "Password({user:?}, [REDACTED])"),
            Login::Nkey(key) => write!(f, "Nkey({key:?})"),
        }
    }
}

impl UserSpec {
    /// The name that identifies the user: the user name or the public key.
    pub fn name(&self) -> &str {
        match &self.login {
            Login::Password { user, .. } => user,
            Login::Nkey(key) => key,
        }
    }
}

/// An accepted user. Written by `decision`, carried by every link, read wherever something
/// is permitted.
#[derive(Clone, Debug)]
pub struct User {
    /// The user name or public key; empty for a token and for clients nobody asks.
    pub name: String,
    /// The account the user belongs to.
    pub account: String,
    /// What the user may do.
    pub permissions: Permissions,
    /// The permissions as configured, for showing; `None`: no restriction.
    pub permissions_spec: Option<PermissionsSpec>,
    /// `None`: every connection type may use this user.
    pub connection_types: Option<Vec<ConnectionType>>,
    /// Only connections that come through a trusted proxy may use this user.
    pub proxy_required: bool,
}

impl User {
    /// A user of an account without restrictions.
    pub fn unrestricted(name: &str, account: &str) -> Self {
        User {
            name: name.to_owned(),
            account: account.to_owned(),
            permissions: Permissions::unrestricted(),
            permissions_spec: None,
            connection_types: None,
            proxy_required: false,
        }
    }

    /// The user of a specification, whose own permissions win over `default_permissions`.
    pub fn compile(spec: &UserSpec, default_permissions: Option<&PermissionsSpec>) -> Self {
        let permissions = spec.permissions.as_ref().or(default_permissions);
        User {
            name: spec.name().to_owned(),
            account: spec.account.clone(),
            permissions: permissions.map_or_else(Permissions::default, Permissions::compile),
            permissions_spec: permissions.cloned(),
            connection_types: spec.connection_types.clone(),
            proxy_required: spec.proxy_required,
        }
    }

    /// Connections of that type may use this user. An empty list allows every type.
    pub fn may_come_from(&self, connection_type: ConnectionType) -> bool {
        self.connection_types
            .as_ref()
            .is_none_or(|types| types.is_empty() || types.contains(&connection_type))
    }
}

/// Where a connection comes from, for `allowed_connection_types` (spec core §2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionType {
    /// A client over TCP or TLS.
    #[default]
    Standard,
    /// A client over WebSocket.
    WebSocket,
    /// A leafnode over TCP or TLS.
    Leafnode,
    /// A leafnode over WebSocket.
    LeafnodeWs,
    /// An MQTT client over TCP or TLS.
    Mqtt,
    /// An MQTT client over WebSocket.
    MqttWs,
    /// A client inside of this process.
    InProcess,
}

impl ConnectionType {
    /// Every type with its published name.
    pub const ALL: [(ConnectionType, &'static str); 7] = [
        (ConnectionType::Standard, "STANDARD"),
        (ConnectionType::WebSocket, "WEBSOCKET"),
        (ConnectionType::Leafnode, "LEAFNODE"),
        (ConnectionType::LeafnodeWs, "LEAFNODE_WS"),
        (ConnectionType::Mqtt, "MQTT"),
        (ConnectionType::MqttWs, "MQTT_WS"),
        (ConnectionType::InProcess, "IN_PROCESS"),
    ];

    /// The type of that name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, text)| text.eq_ignore_ascii_case(name))
            .map(|(kind, _)| *kind)
    }
}

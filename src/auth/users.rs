//! Users as configured: a login, what it may do and where it may come from.

use super::permissions::PermissionsSpec;

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

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

/// Where a connection comes from, for `allowed_connection_types` (spec core §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionType {
    /// A client over TCP or TLS.
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

//! `websocket {}`: clients over WebSocket.

use std::time::Duration;

use super::authorization::LinkAuthorization;
use super::endpoint::Endpoint;
use super::tls::Tls;

/// The WebSocket listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Websocket {
    /// Where clients connect; off without a port. Default host `0.0.0.0`.
    pub endpoint: Endpoint,
    /// `host[:port]` told to clients. Default: the bound address.
    pub advertise: Option<String>,
    /// TLS; needed unless `no_tls`. Default: none.
    pub tls: Option<Tls>,
    /// Do without TLS. Default false.
    pub no_tls: bool,
    /// The origin must be this server. Default false.
    pub same_origin: bool,
    /// Origins that are accepted. Default: all.
    pub allowed_origins: Vec<String>,
    /// Time the upgrade may take. Default 2 seconds.
    pub handshake_timeout: Duration,
    /// Compress frames for clients that ask. Default false.
    pub compression: bool,
    /// What clients have to present. Default: as on the client listener.
    pub authorization: Option<LinkAuthorization>,
    /// The user of clients that present nothing. Default: that of the client listener.
    pub no_auth_user: Option<String>,
    /// Cookie that holds a user JWT. Default: none.
    pub jwt_cookie: Option<String>,
    /// Cookie that holds a user name. Default: none.
    pub user_cookie: Option<String>,
    /// Cookie that holds a password. Default: none.
    pub pass_cookie: Option<String>,
    /// Cookie that holds a token. Default: none.
    pub token_cookie: Option<String>,
    /// Headers added to the answer of the upgrade. Default: none.
    pub headers: Vec<(String, String)>,
    /// Time between pings. Default: `limits.ping_interval`.
    pub ping_interval: Option<Duration>,
}

impl Default for Websocket {
    fn default() -> Self {
        Websocket {
            endpoint: Endpoint::default(),
            advertise: None,
            tls: None,
            no_tls: false,
            same_origin: false,
            allowed_origins: Vec::new(),
            handshake_timeout: Duration::from_secs(2),
            compression: false,
            authorization: None,
            no_auth_user: None,
            jwt_cookie: None,
            user_cookie: None,
            pass_cookie: None,
            token_cookie: None,
            headers: Vec::new(),
            ping_interval: None,
        }
    }
}

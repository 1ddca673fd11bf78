//! `websocket {}`: clients over WebSocket.

use std::time::Duration;

use super::authorization::LinkAuthorization;
use super::endpoint::Endpoint;
use super::key::{Key, Reload::*, key};
use super::tls::{Tls, TlsUse};

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

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Websocket>] = &[
    key("listen", "host:port", "off", No, "127.0.0.1:8080",
        "Where clients connect.",
        |w, v, r| r.listen(v, &mut w.endpoint)),
    key("host|net", "string", "0.0.0.0", No, "127.0.0.1",
        "The address of it.",
        |w, v, r| r.text(v, &mut w.endpoint.host)),
    key("port", "integer", "off", No, "8080",
        "The port of it; -1 is any free one.",
        |w, v, r| r.port(v, &mut w.endpoint.port)),
    key("advertise", "host[:port]", "the bound address", No, "ws.example.com:443",
        "Told to clients.",
        |w, v, r| r.text(v, &mut w.advertise)),
    key("tls", "tls", "needed unless no_tls", Yes, "{ cert_file: /tls/tls.crt, key_file: /tls/tls.key }",
        "TLS of the listener.",
        |w, v, r| r.tls(v, &mut w.tls, TlsUse::Plain)),
    key("no_tls", "boolean", "false", No, "true",
        "Do without TLS.",
        |w, v, r| r.flag(v, &mut w.no_tls)),
    key("same_origin", "boolean", "false", No, "true",
        "The origin must be this server.",
        |w, v, r| r.flag(v, &mut w.same_origin)),
    key("allowed_origins|allowed_origin|allow_origins|allow_origin|origins|origin", "URL or array", "all",
        No, "[\"https://example.com\"]",
        "Origins that are accepted.",
        |w, v, r| r.texts(v, &mut w.allowed_origins)),
    key("handshake_timeout", "duration", "2s", No, "5s",
        "Time the upgrade may take.",
        |w, v, r| r.duration_or_default(v, &mut w.handshake_timeout)),
    key("compression|compress", "boolean", "false", No, "true",
        "Compress frames for clients that ask.",
        |w, v, r| r.flag(v, &mut w.compression)),
    key("authorization|authentication", "map", "as for clients", No, "{ token: s3cr3t }",
        "What clients have to present.",
        |w, v, r| r.listener_authorization(v, &mut w.authorization)),
    key("no_auth_user", "string", "that of clients", No, "guest",
        "The user of clients that present nothing.",
        |w, v, r| r.text(v, &mut w.no_auth_user)),
    key("jwt_cookie", "string", "none", No, "jwt",
        "Cookie that holds a user JWT.",
        |w, v, r| r.text(v, &mut w.jwt_cookie)),
    key("user_cookie", "string", "none", No, "user",
        "Cookie that holds a user name.",
        |w, v, r| r.text(v, &mut w.user_cookie)),
    key("pass_cookie", "string", "none", No, "pass",
        "Cookie that holds a password.",
        |w, v, r| r.text(v, &mut w.pass_cookie)),
    key("token_cookie", "string", "none", No, "token",
        "Cookie that holds a token.",
        |w, v, r| r.text(v, &mut w.token_cookie)),
    key("headers", "map of strings", "none", No, "{ X-Frame-Options: DENY }",
        "Headers added to the answer of the upgrade.",
        |w, v, r| r.named_texts(v, &mut w.headers)),
    key("ping_interval", "duration", "that of clients", No, "30s",
        "Time between pings.",
        |w, v, r| r.duration(v, &mut w.ping_interval)),
];

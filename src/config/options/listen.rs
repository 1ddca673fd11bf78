//! The client listener and what the server tells about itself.

use std::collections::BTreeMap;

use super::endpoint::Endpoint;

/// The port of the client listener when none is configured.
pub const CLIENT_PORT: u16 = 4222;
/// The address listeners bind when none is configured.
pub const ANY_HOST: &str = "0.0.0.0";

/// The client listener and the identity of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listen {
    /// Where clients connect. Default `0.0.0.0:4222`.
    pub endpoint: Endpoint,
    /// `host[:port]` told to clients instead of the bound address. Default: the bound address.
    pub client_advertise: Option<String>,
    /// The name of the server; no spaces. Default: the server id.
    pub server_name: Option<String>,
    /// Free tags, `key:value` by custom. Default: none.
    pub server_tags: Vec<String>,
    /// Free facts about the server. Default: none.
    pub server_metadata: BTreeMap<String, String>,
    /// Accept clients without TLS although `tls` is configured. Default false.
    pub allow_non_tls: bool,
    /// Refuse message headers. Default false.
    pub no_header_support: bool,
    /// Expect a PROXY protocol header on client connections. Default false.
    pub proxy_protocol: bool,
    /// File that holds the process id while the server runs. Default: none.
    pub pid_file: Option<String>,
    /// Directory that receives the ports file. Default: none.
    pub ports_file_dir: Option<String>,
}

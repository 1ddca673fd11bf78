//! `cluster {}`: routes to the other servers of the cluster.

use std::time::Duration;

use super::authorization::LinkAuthorization;
use super::compression::Compression;
use super::endpoint::Endpoint;
use super::limits::WriteTimeout;
use super::tls::Tls;
use super::url::PeerUrl;
use crate::auth::permissions::PermissionsSpec;

/// Routes to the other servers of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// The name of the cluster; no spaces. Default: made up and agreed upon.
    pub name: Option<String>,
    /// Where routes connect; off without a port. Default host `0.0.0.0`.
    pub endpoint: Endpoint,
    /// What a route has to present. Default: nothing.
    pub authorization: Option<LinkAuthorization>,
    /// What routes may import and export (`import` is what we publish to them). Default: all.
    pub permissions: Option<PermissionsSpec>,
    /// Servers to connect to. Default: none.
    pub routes: Vec<PeerUrl>,
    /// TLS of routes; peers always present a certificate. Default: none.
    pub tls: Option<Tls>,
    /// `host[:port]` told to other servers. Default: the bound address.
    pub advertise: Option<String>,
    /// Do not tell clients and servers about this server. Default false.
    pub no_advertise: bool,
    /// Attempts to reach a server learnt from others. Default 0: one.
    pub connect_retries: u32,
    /// Wait longer after each attempt. Default false: always 1 second.
    pub connect_backoff: bool,
    /// Connections per server; -1: one, without pinned accounts. Default 3.
    pub pool_size: i32,
    /// Accounts with a connection of their own. Default: none.
    pub accounts: Vec<String>,
    /// Compression. Default `accept`.
    pub compression: Compression,
    /// Time between pings; at most 30 seconds. Default: `limits.ping_interval`, at most 30 s.
    pub ping_interval: Option<Duration>,
    /// Pings without an answer. Default: `limits.ping_max`.
    pub ping_max: Option<u32>,
    /// Time one write may take. Default: `limits.write_deadline`.
    pub write_deadline: Option<Duration>,
    /// What happens when it took longer. Default: by kind of link.
    pub write_timeout: WriteTimeout,
}

impl Default for Cluster {
    fn default() -> Self {
        Cluster {
            name: None,
            endpoint: Endpoint::default(),
            authorization: None,
            permissions: None,
            routes: Vec::new(),
            tls: None,
            advertise: None,
            no_advertise: false,
            connect_retries: 0,
            connect_backoff: false,
            pool_size: 3,
            accounts: Vec::new(),
            compression: Compression::accept(),
            ping_interval: None,
            ping_max: None,
            write_deadline: None,
            write_timeout: WriteTimeout::Default,
        }
    }
}

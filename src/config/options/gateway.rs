//! `gateway {}`: links to other clusters.

use std::time::Duration;

use super::authorization::LinkAuthorization;
use super::endpoint::Endpoint;
use super::limits::WriteTimeout;
use super::tls::Tls;
use super::url::PeerUrl;

/// Links to other clusters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gateway {
    /// The name of this cluster; no spaces. Needed.
    pub name: Option<String>,
    /// Where gateways connect; off without a port. Default host `0.0.0.0`.
    pub endpoint: Endpoint,
    /// What a gateway has to present. Default: nothing.
    pub authorization: Option<LinkAuthorization>,
    /// TLS of gateways; peers always present a certificate. Default: none.
    pub tls: Option<Tls>,
    /// `host[:port]` told to other clusters. Default: the bound address.
    pub advertise: Option<String>,
    /// Attempts to reach a gateway learnt from others. Default 0: one.
    pub connect_retries: u32,
    /// Wait longer after each attempt. Default false.
    pub connect_backoff: bool,
    /// The other clusters. Default: none.
    pub gateways: Vec<RemoteGateway>,
    /// Refuse clusters that are not listed. Default false.
    pub reject_unknown_cluster: bool,
    /// Time one write may take. Default: `limits.write_deadline`.
    pub write_deadline: Option<Duration>,
    /// What happens when it took longer. Default: by kind of link.
    pub write_timeout: WriteTimeout,
}

/// Another cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RemoteGateway {
    /// The name of the cluster.
    pub name: String,
    /// Servers of it.
    pub urls: Vec<PeerUrl>,
    /// TLS towards it. Default: that of the block.
    pub tls: Option<Tls>,
}

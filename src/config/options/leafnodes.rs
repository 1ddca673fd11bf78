//! `leafnodes {}`: links from and to servers that stand on their own.

use std::time::Duration;

use super::compression::Compression;
use super::endpoint::Endpoint;
use super::limits::WriteTimeout;
use super::secret::Secret;
use super::tls::Tls;
use super::url::PeerUrl;

/// The port of leafnodes when a URL has none.
pub const LEAFNODE_PORT: u16 = 7422;

/// Links from and to leafnodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Leafnodes {
    /// Where leafnodes connect; off without a port. Default host `0.0.0.0`.
    pub endpoint: Endpoint,
    /// What a leafnode has to present. Default: as clients.
    pub authorization: Option<LeafAuthorization>,
    /// TLS of leafnodes. Default: none.
    pub tls: Option<Tls>,
    /// Servers to connect to. Default: none.
    pub remotes: Vec<LeafRemote>,
    /// Time between attempts to reach a remote. Default 1 second.
    pub reconnect_interval: Duration,
    /// Time to connect to a remote. Default 1 second.
    pub dial_timeout: Duration,
    /// `host[:port]` told to leafnodes. Default: the bound address.
    pub advertise: Option<String>,
    /// Do not tell leafnodes about other servers. Default false.
    pub no_advertise: bool,
    /// The oldest version of a leafnode that is accepted, 2.8.0 or later. Default: none.
    pub min_version: Option<String>,
    /// Compression. Default `s2_auto`.
    pub compression: Compression,
    /// Do not tell leafnodes about interest of other leafnodes. Default false.
    pub isolate_leafnode_interest: bool,
    /// Time one write may take. Default: `limits.write_deadline`.
    pub write_deadline: Option<Duration>,
    /// What happens when it took longer. Default: by kind of link.
    pub write_timeout: WriteTimeout,
}

/// `leafnodes { authorization {} }`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeafAuthorization {
    /// The single user's name. Default: none.
    pub user: Option<String>,
    /// The single user's password.
    pub password: Option<Secret>,
    /// The single user's public key; not together with `user`. Default: none.
    pub nkey: Option<String>,
    /// Account of the single user. Default `$G`.
    pub account: Option<String>,
    /// Time a leafnode has to log in. Default: as for clients.
    pub timeout: Option<Duration>,
    /// Only leafnodes through a trusted proxy. Default false.
    pub proxy_required: bool,
    /// Users. Default: none.
    pub users: Vec<LeafUser>,
}

/// A user of the leafnode listener.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeafUser {
    /// The name.
    pub user: String,
    /// The password, plain or bcrypt.
    pub password: Secret,
    /// The account the leafnode is bound to. Default `$G`.
    pub account: Option<String>,
    /// Only through a trusted proxy. Default false.
    pub proxy_required: bool,
}

/// A server this one connects to as a leafnode.
#[derive(Clone, Debug, PartialEq)]
pub struct LeafRemote {
    /// Addresses of the remote.
    pub urls: Vec<PeerUrl>,
    /// The local account. Default `$G`.
    pub account: Option<String>,
    /// Credentials file. Default: none.
    pub credentials: Option<String>,
    /// File with the seed of an nkey. Default: none.
    pub nkey: Option<String>,
    /// TLS towards the remote. Default: none.
    pub tls: Option<Tls>,
    /// This side is the hub. Default false.
    pub hub: bool,
    /// Subjects never received. Default: none.
    pub deny_imports: Vec<String>,
    /// Subjects never sent. Default: none.
    pub deny_exports: Vec<String>,
    /// Try addresses in order. Default false.
    pub no_randomize: bool,
    /// Compress frames of a websocket remote. Default false.
    pub ws_compression: bool,
    /// Do not mask frames of a websocket remote. Default false.
    pub ws_no_masking: bool,
    /// Give up leadership of streams while disconnected. Default false.
    pub jetstream_cluster_migrate: bool,
    /// After this time. Default: at once.
    pub leader_migrate_delay: Option<Duration>,
    /// Do not tell the remote about interest of other leafnodes. Default false.
    pub isolate_leafnode_interest: bool,
    /// Ask the remote for the same. Default false.
    pub request_isolation: bool,
    /// Compression. Default: that of the block.
    pub compression: Option<Compression>,
    /// Time until the first `INFO`. Default 1 second.
    pub first_info_timeout: Duration,
    /// Time to connect. Default: that of the block.
    pub dial_timeout: Option<Duration>,
    /// Not connected to for now. Default false.
    pub disabled: bool,
    /// Only use configured addresses. Default false.
    pub ignore_discovered_servers: bool,
    /// HTTP proxy for a websocket remote. Default: none.
    pub proxy: Option<HttpProxy>,
}

/// A proxy reached by HTTP CONNECT.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpProxy {
    /// Its address.
    pub url: Option<PeerUrl>,
    /// User name. Default: none.
    pub username: Option<String>,
    /// Password. Default: none.
    pub password: Option<Secret>,
    /// Time it has to connect. Default: that of the remote.
    pub timeout: Option<Duration>,
}

impl Default for Leafnodes {
    fn default() -> Self {
        Leafnodes {
            endpoint: Endpoint::default(),
            authorization: None,
            tls: None,
            remotes: Vec::new(),
            reconnect_interval: Duration::from_secs(1),
            dial_timeout: Duration::from_secs(1),
            advertise: None,
            no_advertise: false,
            min_version: None,
            compression: Compression::auto(),
            isolate_leafnode_interest: false,
            write_deadline: None,
            write_timeout: WriteTimeout::Default,
        }
    }
}

impl Default for LeafRemote {
    fn default() -> Self {
        LeafRemote {
            urls: Vec::new(),
            account: None,
            credentials: None,
            nkey: None,
            tls: None,
            hub: false,
            deny_imports: Vec::new(),
            deny_exports: Vec::new(),
            no_randomize: false,
            ws_compression: false,
            ws_no_masking: false,
            jetstream_cluster_migrate: false,
            leader_migrate_delay: None,
            isolate_leafnode_interest: false,
            request_isolation: false,
            compression: None,
            first_info_timeout: Duration::from_secs(1),
            dial_timeout: None,
            disabled: false,
            ignore_discovered_servers: false,
            proxy: None,
        }
    }
}

//! `cluster {}`: routes to the other servers of the cluster.

use std::time::Duration;

use super::authorization::LinkAuthorization;
use super::compression::{Compression, CompressionMode};
use super::endpoint::Endpoint;
use super::key::{Key, Reload::*, key};
use super::limits::WriteTimeout;
use super::reader::{Item, Reader};
use super::tls::{Tls, TlsUse};
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

/// The longest time between pings of a route.
const PING_INTERVAL_MAX: Duration = Duration::from_secs(30);

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Cluster>] = &[
    key("name", "string", "made up and agreed upon", Yes, "east",
        "The name of the cluster; no spaces.",
        |c, v, r| name(v, r, &mut c.name)),
    key("listen", "host:port", "off", No, "127.0.0.1:6222",
        "Where routes connect.",
        |c, v, r| r.listen(v, &mut c.endpoint)),
    key("host|net", "string", "0.0.0.0", No, "127.0.0.1",
        "The address of it.",
        |c, v, r| r.text(v, &mut c.endpoint.host)),
    key("port", "integer", "off", No, "6222",
        "The port of it; -1 is any free one.",
        |c, v, r| r.port(v, &mut c.endpoint.port)),
    key("authorization", "map", "none", Yes, "{ user: route, password: s3cr3t }",
        "What a route has to present: a single user.",
        |c, v, r| r.mesh_authorization(v, &mut c.authorization, &mut c.permissions, "Cluster")),
    key("permissions", "{ import, export }", "everything", Yes, "{ import: foo }",
        "What routes may import and export.",
        |c, v, r| r.permissions(v, &mut c.permissions)),
    key("routes", "array of URLs", "none", Yes, "[\"nats://n2:6222\"]",
        "Servers to connect to.",
        |c, v, r| routes(v, r, &mut c.routes)),
    key("tls", "tls", "none", Yes, "{ ca_file: /tls/ca.crt }",
        "TLS of routes; both sides present certificates.",
        |c, v, r| r.tls(v, &mut c.tls, TlsUse::Mesh)),
    key("advertise|cluster_advertise", "host[:port]", "the bound address", Yes, "n1:6222",
        "Told to other servers.",
        |c, v, r| r.text(v, &mut c.advertise)),
    key("no_advertise", "boolean", "false", Yes, "true",
        "Do not tell clients about other servers.",
        |c, v, r| r.flag(v, &mut c.no_advertise)),
    key("connect_retries", "integer", "0: once", Yes, "5",
        "Attempts to reach a server learnt from others.",
        |c, v, r| r.number_or_none(v, &mut c.connect_retries)),
    key("connect_backoff", "boolean", "false", Yes, "true",
        "Wait longer after each attempt.",
        |c, v, r| r.flag(v, &mut c.connect_backoff)),
    key("pool_size", "integer", "3", Yes, "5",
        "Connections per server; -1: one, without pinned accounts.",
        |c, v, r| r.number_or_default(v, &mut c.pool_size)),
    key("accounts", "array of names", "none", Yes, "[A]",
        "Accounts with a connection of their own.",
        |c, v, r| r.texts(v, &mut c.accounts)),
    key("compression", "compression", "accept", Yes, "s2_best",
        "Compression of routes; `on` is `s2_fast`.",
        |c, v, r| r.compression(v, &mut c.compression, CompressionMode::S2Fast)),
    key("ping_interval", "duration", "that of clients, at most 30s", Yes, "10s",
        "Time between pings.",
        |c, v, r| ping_interval(v, r, &mut c.ping_interval)),
    key("ping_max", "integer", "that of clients", Yes, "5",
        "Pings without an answer after which a route is stale.",
        |c, v, r| r.number(v, &mut c.ping_max)),
    key("write_deadline", "duration", "that of clients", Yes, "5s",
        "Time one write may take.",
        |c, v, r| r.duration(v, &mut c.write_deadline)),
    key("write_timeout", "default, close or retry", "default", No, "close",
        "What happens when a write took longer.",
        |c, v, r| r.write_timeout(v, &mut c.write_timeout)),
];

fn name(v: Item<'_>, r: &mut Reader, into: &mut Option<String>) {
    r.text(v, into);
    if into.as_ref().is_some_and(|name| name.contains(' ')) {
        r.error(v, "cluster name cannot contain spaces");
    }
}

fn routes(v: Item<'_>, r: &mut Reader, into: &mut Vec<PeerUrl>) {
    let mut all: Vec<PeerUrl> = Vec::new();
    r.each_element(v, |r, element| {
        let Some(url) = r.peer_url(element, "route") else {
            return;
        };
        if all.contains(&url) {
            let shown = url.redacted();
            r.warn(
                element,
                format!("invalid use of field {shown:?}: Duplicate route entry detected"),
            );
        } else {
            all.push(url);
        }
    });
    *into = all;
}

fn ping_interval(v: Item<'_>, r: &mut Reader, into: &mut Option<Duration>) {
    r.duration(v, into);
    if into.is_some_and(|interval| interval > PING_INTERVAL_MAX) {
        r.warn(
            v,
            "Cluster 'ping_interval' will reset to 30s which is the max for routes",
        );
        *into = Some(PING_INTERVAL_MAX);
    }
}

//! `gateway {}`: links to other clusters.

use std::time::Duration;

use super::authorization::LinkAuthorization;
use super::endpoint::Endpoint;
use super::key::{Key, Reload::*, key};
use super::limits::WriteTimeout;
use super::reader::{Item, Reader};
use super::tls::{Tls, TlsUse};
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

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Gateway>] = &[
    key("name", "string", "needed", No, "east",
        "The name of this cluster; no spaces.",
        |g, v, r| name(v, r, &mut g.name)),
    key("listen", "host:port", "off", No, "127.0.0.1:7222",
        "Where gateways connect.",
        |g, v, r| r.listen(v, &mut g.endpoint)),
    key("host|net", "string", "0.0.0.0", No, "127.0.0.1",
        "The address of it.",
        |g, v, r| r.text(v, &mut g.endpoint.host)),
    key("port", "integer", "off", No, "7222",
        "The port of it; -1 is any free one.",
        |g, v, r| r.port(v, &mut g.endpoint.port)),
    key("authorization", "map", "none", No, "{ user: gate, password: s3cr3t }",
        "What a gateway has to present: a single user.",
        |g, v, r| authorization(v, r, g)),
    key("tls", "tls", "none", Yes, "{ ca_file: /tls/ca.crt }",
        "TLS of gateways; both sides present certificates.",
        |g, v, r| r.tls(v, &mut g.tls, TlsUse::Mesh)),
    key("advertise", "host[:port]", "the bound address", No, "n1:7222",
        "Told to other clusters.",
        |g, v, r| r.text(v, &mut g.advertise)),
    key("connect_retries", "integer", "0: once", No, "5",
        "Attempts to reach a gateway learnt from others.",
        |g, v, r| r.number_or_none(v, &mut g.connect_retries)),
    key("connect_backoff", "boolean", "false", No, "true",
        "Wait longer after each attempt.",
        |g, v, r| r.flag(v, &mut g.connect_backoff)),
    key("gateways", "array of { name, urls, tls }", "none", No,
        "[ { name: west, url: \"nats://w1:7222\" } ]",
        "The other clusters.",
        |g, v, r| gateways(v, r, &mut g.gateways)),
    key("reject_unknown_cluster|reject_unknown", "boolean", "false", No, "true",
        "Refuse clusters that are not listed.",
        |g, v, r| r.flag(v, &mut g.reject_unknown_cluster)),
    key("write_deadline", "duration", "that of clients", No, "5s",
        "Time one write may take.",
        |g, v, r| r.duration(v, &mut g.write_deadline)),
    key("write_timeout", "default, close or retry", "default", No, "close",
        "What happens when a write took longer.",
        |g, v, r| r.write_timeout(v, &mut g.write_timeout)),
];

#[rustfmt::skip]
pub(super) const REMOTE_KEYS: &[Key<RemoteGateway>] = &[
    key("name", "string", "needed", No, "west",
        "The name of the cluster.",
        |g, v, r| r.text(v, &mut g.name)),
    key("urls|url", "URL or array", "needed", No, "[\"nats://w1:7222\"]",
        "Servers of it.",
        |g, v, r| r.peer_urls(v, "gateway", &mut g.urls)),
    key("tls", "tls", "that of the block", Yes, "{ ca_file: /tls/ca.crt }",
        "TLS towards it.",
        |g, v, r| r.tls(v, &mut g.tls, TlsUse::Mesh)),
];

fn name(v: Item<'_>, r: &mut Reader, into: &mut Option<String>) {
    r.text(v, into);
    if into.as_ref().is_some_and(|name| name.contains(' ')) {
        r.error(v, "gateway name cannot contain spaces");
    }
}

fn authorization(v: Item<'_>, r: &mut Reader, gateway: &mut Gateway) {
    let mut permissions = None;
    r.mesh_authorization(v, &mut gateway.authorization, &mut permissions, "Gateway");
    if permissions.is_some() {
        r.warn(
            v,
            "permissions have no effect in the authorization of gateways",
        );
    }
}

fn gateways(v: Item<'_>, r: &mut Reader, into: &mut Vec<RemoteGateway>) {
    let mut all = Vec::new();
    r.each_element(v, |r, element| {
        let mut remote = RemoteGateway::default();
        if r.block(element, &mut remote, REMOTE_KEYS) {
            all.push(remote);
        }
    });
    *into = all;
}

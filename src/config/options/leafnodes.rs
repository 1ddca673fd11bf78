//! `leafnodes {}`: links from and to servers that stand on their own.

use std::time::Duration;

use super::compression::{Compression, CompressionMode};
use super::endpoint::Endpoint;
use super::key::{Key, Reload::*, key};
use super::limits::WriteTimeout;
use super::public_key::KeyKind;
use super::reader::{Item, Reader};
use super::secret::Secret;
use super::tls::{Tls, TlsUse};
use super::url::PeerUrl;
use crate::config::value::Value;

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
    /// Seed of a user key to sign with. Default: none.
    pub nkey: Option<Secret>,
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

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Leafnodes>] = &[
    key("listen", "host:port", "off", No, "127.0.0.1:7422",
        "Where leafnodes connect.",
        |l, v, r| r.listen(v, &mut l.endpoint)),
    key("host|net", "string", "0.0.0.0", No, "127.0.0.1",
        "The address of it.",
        |l, v, r| r.text(v, &mut l.endpoint.host)),
    key("port", "integer", "off", No, "7422",
        "The port of it; -1 is any free one.",
        |l, v, r| r.port(v, &mut l.endpoint.port)),
    key("authorization", "map", "as for clients", No, "{ user: leaf, password: s3cr3t }",
        "What a leafnode has to present.",
        |l, v, r| authorization(v, r, &mut l.authorization)),
    key("remotes", "array of remotes", "none", Part, "[ { url: \"nats://hub:7422\" } ]",
        "Servers to connect to.",
        |l, v, r| remotes(v, r, &mut l.remotes)),
    key("reconnect_interval|reconnect_delay|reconnect", "duration", "1s", No, "5s",
        "Time between attempts to reach a remote.",
        |l, v, r| r.duration_or_default(v, &mut l.reconnect_interval)),
    key("dial_timeout", "duration", "1s", No, "5s",
        "Time to connect to a remote.",
        |l, v, r| r.duration_or_default(v, &mut l.dial_timeout)),
    key("tls", "tls", "none", Yes, "{ ca_file: /tls/ca.crt }",
        "TLS of leafnodes.",
        |l, v, r| r.tls(v, &mut l.tls, TlsUse::Plain)),
    key("advertise|leafnode_advertise", "host[:port]", "the bound address", No, "hub:7422",
        "Told to leafnodes.",
        |l, v, r| r.text(v, &mut l.advertise)),
    key("no_advertise", "boolean", "false", No, "true",
        "Do not tell leafnodes about other servers.",
        |l, v, r| r.flag(v, &mut l.no_advertise)),
    key("min_version|minimum_version", "version", "none", No, "2.9.0",
        "The oldest version that is accepted; 2.8.0 or later.",
        |l, v, r| min_version(v, r, &mut l.min_version)),
    key("compression", "compression", "s2_auto", Yes, "s2_best",
        "Compression of leafnodes; `on` is `s2_auto`.",
        |l, v, r| r.compression(v, &mut l.compression, CompressionMode::S2Auto)),
    key("isolate_leafnode_interest|isolate", "boolean", "false", No, "true",
        "Do not tell leafnodes about interest of other leafnodes.",
        |l, v, r| r.flag(v, &mut l.isolate_leafnode_interest)),
    key("write_deadline", "duration", "that of clients", No, "5s",
        "Time one write may take.",
        |l, v, r| r.duration(v, &mut l.write_deadline)),
    key("write_timeout", "default, close or retry", "default", No, "close",
        "What happens when a write took longer.",
        |l, v, r| r.write_timeout(v, &mut l.write_timeout)),
];

#[rustfmt::skip]
pub(super) const AUTHORIZATION_KEYS: &[Key<LeafAuthorization>] = &[
    key("user|username", "string", "none", No, "leaf",
        "The single user's name.",
        |a, v, r| r.text(v, &mut a.user)),
    key("password|pass", "string", "none", No, "s3cr3t",
        "The single user's password.",
        |a, v, r| r.secret(v, &mut a.password)),
    key("nkey", "public user key", "none", No,
        "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
        "The single user's key; not together with `user`.",
        |a, v, r| nkey(v, r, &mut a.nkey)),
    key("account", "string", "$G", No, "A",
        "Account of the single user.",
        |a, v, r| r.text(v, &mut a.account)),
    key("timeout", "seconds or duration", "as for clients", No, "5",
        "Time a leafnode has to log in.",
        |a, v, r| r.seconds(v, &mut a.timeout)),
    key("proxy_required", "boolean", "false", No, "true",
        "Only through a trusted proxy.",
        |a, v, r| r.flag(v, &mut a.proxy_required)),
    key("users", "array of users", "none", No, "[ { user: leaf, password: s3cr3t } ]",
        "Users, each bound to an account.",
        |a, v, r| users(v, r, &mut a.users)),
];

#[rustfmt::skip]
pub(super) const USER_KEYS: &[Key<LeafUser>] = &[
    key("user|username", "string", "needed", No, "leaf",
        "The name.",
        |u, v, r| r.text(v, &mut u.user)),
    key("password|pass", "string", "none", No, "s3cr3t",
        "The password, plain or bcrypt.",
        |u, v, r| r.secret(v, &mut u.password)),
    key("account", "string", "$G", No, "A",
        "The account the leafnode is bound to.",
        |u, v, r| r.text(v, &mut u.account)),
    key("proxy_required", "boolean", "false", No, "true",
        "Only through a trusted proxy.",
        |u, v, r| r.flag(v, &mut u.proxy_required)),
];

#[rustfmt::skip]
pub(super) const REMOTE_KEYS: &[Key<LeafRemote>] = &[
    key("urls|url", "URL or array", "needed", Part, "[\"nats://hub:7422\"]",
        "Addresses of the remote.",
        |l, v, r| r.peer_urls(v, "leafnode", &mut l.urls)),
    key("account|local", "string", "$G", Part, "A",
        "The local account.",
        |l, v, r| r.text(v, &mut l.account)),
    key("credentials|creds", "path", "none", Part, "/creds/leaf.creds",
        "Credentials file.",
        |l, v, r| r.text(v, &mut l.credentials)),
    key("nkey|seed", "seed", "none", Part,
        "SUAGDLNBWI2SGHDRYBHD63NH5FGZSVJUW2J7GAJZXWANQFDW6G5SXZESZ4",
        "Seed of a user key to sign with.",
        |l, v, r| seed(v, r, &mut l.nkey)),
    key("tls", "tls", "none", Yes, "{ ca_file: /tls/ca.crt }",
        "TLS towards the remote.",
        |l, v, r| r.tls(v, &mut l.tls, TlsUse::Plain)),
    key("hub", "boolean", "false", Part, "true",
        "This side is the hub.",
        |l, v, r| r.flag(v, &mut l.hub)),
    key("deny_imports|deny_import", "subject or array", "none", Part, "[foo]",
        "Subjects never received.",
        |l, v, r| r.subjects(v, &mut l.deny_imports)),
    key("deny_exports|deny_export", "subject or array", "none", Part, "[foo]",
        "Subjects never sent.",
        |l, v, r| r.subjects(v, &mut l.deny_exports)),
    key("no_randomize|dont_randomize", "boolean", "false", Part, "true",
        "Try addresses in order.",
        |l, v, r| r.flag(v, &mut l.no_randomize)),
    key("ws_compression|ws_compress|websocket_compress|websocket_compression", "boolean", "false", Part,
        "true",
        "Compress frames of a websocket remote.",
        |l, v, r| r.flag(v, &mut l.ws_compression)),
    key("ws_no_masking|websocket_no_masking", "boolean", "false", Part, "true",
        "Do not mask frames of a websocket remote.",
        |l, v, r| r.flag(v, &mut l.ws_no_masking)),
    key("jetstream_cluster_migrate|js_cluster_migrate", "boolean or { leader_migrate_delay }", "false",
        Part, "{ leader_migrate_delay: 5s }",
        "Give up leadership of streams while disconnected.",
        |l, v, r| migrate(v, r, l)),
    key("isolate_leafnode_interest|isolate", "boolean", "false", Part, "true",
        "As a hub, do not tell the remote about interest of other leafnodes.",
        |l, v, r| r.flag(v, &mut l.isolate_leafnode_interest)),
    key("request_isolation", "boolean", "false", Part, "true",
        "Ask the remote for the same.",
        |l, v, r| r.flag(v, &mut l.request_isolation)),
    key("compression", "compression", "that of the block", Yes, "s2_best",
        "Compression towards the remote.",
        |l, v, r| remote_compression(v, r, l)),
    key("first_info_timeout", "duration", "1s", Part, "5s",
        "Time until the first `INFO`.",
        |l, v, r| r.duration_or_default(v, &mut l.first_info_timeout)),
    key("dial_timeout", "duration", "that of the block", Part, "5s",
        "Time to connect.",
        |l, v, r| r.duration(v, &mut l.dial_timeout)),
    key("disabled", "boolean", "false", Yes, "true",
        "Not connected to for now.",
        |l, v, r| r.flag(v, &mut l.disabled)),
    key("ignore_discovered_servers", "boolean", "false", Part, "true",
        "Only use configured addresses.",
        |l, v, r| r.flag(v, &mut l.ignore_discovered_servers)),
    key("proxy", "map", "none", Part, "{ url: \"http://proxy:3128\" }",
        "HTTP proxy for a websocket remote.",
        |l, v, r| proxy(v, r, &mut l.proxy)),
];

#[rustfmt::skip]
pub(super) const PROXY_KEYS: &[Key<HttpProxy>] = &[
    key("url", "http or https URL", "needed", Part, "\"http://proxy:3128\"",
        "Its address.",
        |p, v, r| p.url = r.peer_url(v, "proxy")),
    key("username|user", "string", "none", Part, "joe",
        "User name; only together with a password.",
        |p, v, r| r.text(v, &mut p.username)),
    key("password|pass", "string", "none", Part, "s3cr3t",
        "Password.",
        |p, v, r| r.secret(v, &mut p.password)),
    key("timeout", "duration", "that of the remote", Part, "5s",
        "Time it has to connect.",
        |p, v, r| r.duration(v, &mut p.timeout)),
];

fn authorization(v: Item<'_>, r: &mut Reader, into: &mut Option<LeafAuthorization>) {
    let mut block = LeafAuthorization::default();
    if !r.block(v, &mut block, AUTHORIZATION_KEYS) {
        return;
    }
    if block.nkey.is_some() && block.user.is_some() {
        r.error(
            v,
            "can not have both nkey and user/pass in leafnode authorization",
        );
    }
    if block.user.is_some() && !block.users.is_empty() {
        r.error(v, "can not have a single user/pass and a users array");
    }
    for (index, user) in block.users.iter().enumerate() {
        if block.users.iter().take(index).any(|u| u.user == user.user) {
            let message = format!(
                "duplicate user {:?} detected in leafnode authorization",
                user.user
            );
            r.error(v, message);
        }
    }
    *into = Some(block);
}

fn users(v: Item<'_>, r: &mut Reader, into: &mut Vec<LeafUser>) {
    let mut all = Vec::new();
    r.each_element(v, |r, element| {
        let mut user = LeafUser::default();
        if r.block(element, &mut user, USER_KEYS) {
            all.push(user);
        }
    });
    *into = all;
}

fn nkey(v: Item<'_>, r: &mut Reader, into: &mut Option<String>) {
    r.text(v, into);
    if KeyKind::of(into.as_deref().unwrap_or_default()) != Some(KeyKind::User) {
        r.error(v, "Not a valid public nkey for leafnode authorization");
    }
}

/// A seed is a secret: only that it looks like one is checked, and it is never shown.
fn seed(v: Item<'_>, r: &mut Reader, into: &mut Option<Secret>) {
    r.secret(v, into);
    let text = into.as_ref().map_or("", Secret::expose);
    if !text.starts_with("SU") || text.len() != 58 {
        r.error(v, "Remote leafnode nkey is not a valid seed");
    }
}

fn remotes(v: Item<'_>, r: &mut Reader, into: &mut Vec<LeafRemote>) {
    let mut all: Vec<LeafRemote> = Vec::new();
    r.each_element(v, |r, element| {
        let mut remote = LeafRemote::default();
        if !r.block(element, &mut remote, REMOTE_KEYS) {
            return;
        }
        let is_same =
            |other: &LeafRemote| other.urls == remote.urls && other.account == remote.account;
        if all.iter().any(is_same) {
            let urls: Vec<String> = remote.urls.iter().map(PeerUrl::redacted).collect();
            let account = remote.account.as_deref().unwrap_or("$G");
            r.error(
                element,
                format!("duplicate remote urls={urls:?}, account={account:?}"),
            );
        }
        all.push(remote);
    });
    *into = all;
}

fn min_version(v: Item<'_>, r: &mut Reader, into: &mut Option<String>) {
    r.text(v, into);
    let Some(text) = into.as_deref() else { return };
    match version(text) {
        None => r.error(v, "invalid leafnode's minimum version: invalid semver"),
        Some(version) if version < [2, 8, 0] => {
            r.error(v, "the minimum version should be at least 2.8.0");
        }
        Some(_) => {}
    }
}

/// `2.8.0`, with or without `v` before and anything after a `-`.
fn version(text: &str) -> Option<[u32; 3]> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let core = text.split(['-', '+']).next()?;
    let mut parts = core.split('.').map(|part| part.parse().ok());
    let version = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(version)
}

#[rustfmt::skip]
pub(super) const MIGRATE_KEYS: &[Key<Option<Duration>>] = &[
    key("leader_migrate_delay", "duration", "at once", Part, "5s",
        "Time without the remote after which leadership is given up.",
        |delay, v, r| r.duration(v, delay)),
];

fn migrate(v: Item<'_>, r: &mut Reader, remote: &mut LeafRemote) {
    match v.node.value {
        Value::Bool(on) => remote.jetstream_cluster_migrate = on,
        _ => {
            remote.jetstream_cluster_migrate =
                r.block(v, &mut remote.leader_migrate_delay, MIGRATE_KEYS);
        }
    }
}

fn remote_compression(v: Item<'_>, r: &mut Reader, remote: &mut LeafRemote) {
    let mut compression = Compression::auto();
    r.compression(v, &mut compression, CompressionMode::S2Auto);
    remote.compression = Some(compression);
}

fn proxy(v: Item<'_>, r: &mut Reader, into: &mut Option<HttpProxy>) {
    let mut proxy = HttpProxy::default();
    if !r.block(v, &mut proxy, PROXY_KEYS) {
        return;
    }
    if let Some(url) = &proxy.url
        && !matches!(url.scheme.as_str(), "http" | "https")
    {
        let message = format!(
            "proxy URL scheme must be http or https, got: {}",
            url.scheme
        );
        r.error(v, message);
    }
    if proxy.username.is_some() != proxy.password.is_some() {
        r.error(
            v,
            "proxy username and password must both be specified or both be empty",
        );
    }
    *into = Some(proxy);
}

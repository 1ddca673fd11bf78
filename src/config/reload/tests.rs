//! Every option of the reference, changed alone: what is logged or how it is refused.

use super::*;
use crate::account::AccountSpec;
use crate::config::options::authorization::{AuthCallout, LinkAuthorization};
use crate::config::options::compression::{Compression, CompressionMode};
use crate::config::options::gateway::{Gateway, RemoteGateway};
use crate::config::options::leafnodes::{LeafAuthorization, LeafUser};
use crate::config::options::limits::WriteTimeout;
use crate::config::options::mqtt::Mqtt;
use crate::config::options::ocsp::{Ocsp, OcspCache};
use crate::config::options::operator::Resolver;
use crate::config::options::proxies::Proxies;
use crate::config::options::secret::Secret;
use crate::config::options::streaming::Streaming;
use crate::config::options::url::PeerUrl;
use crate::config::options::websocket::Websocket;

const MINUTE: Duration = Duration::from_secs(60);

type Change<'a> = &'a dyn Fn(&mut Options);

/// The log lines, or the refusal as the only line.
fn lines(old: &Options, new: &Options) -> Vec<String> {
    match plan(old, new) {
        Ok(plan) => plan.lines(),
        Err(refusal) => vec![refusal.to_string()],
    }
}

/// Checks what `change` does to options that are first made by `before`.
fn check_from(before: Change<'_>, change: Change<'_>, expected: &[&str]) {
    let mut old = Options::default();
    before(&mut old);
    let mut new = old.clone();
    change(&mut new);
    assert_ne!(old, new, "no change that would say {expected:?}");
    assert_eq!(lines(&old, &new), expected);
}

fn check(change: Change<'_>, expected: &[&str]) {
    check_from(&|_| {}, change, expected);
}

/// Checks that the change is refused as one of an option that cannot change.
fn check_fixed(change: Change<'_>, expected: &str) {
    check(
        change,
        &[&format!("config reload not supported for {expected}")],
    );
}

fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        host: None,
        port: Some(Port::Fixed(port)),
    }
}

fn url(text: &str) -> PeerUrl {
    PeerUrl::parse(text).expect("a url")
}

fn user(name: &str, password: &str) -> UserSpec {
    UserSpec {
        login: Login::Password {
            user: name.into(),
            password: password.into(),
        },
        account: "$G".into(),
        permissions: None,
        connection_types: None,
        proxy_required: false,
    }
}

fn account(name: &str) -> AccountSpec {
    AccountSpec {
        name: name.into(),
        nkey: None,
        users: Vec::new(),
        default_permissions: None,
        exports: Vec::new(),
        imports: Vec::new(),
        mappings: Vec::new(),
        limits: Default::default(),
        trace: None,
        jetstream: None,
    }
}

fn cluster(o: &mut Options) -> &mut Cluster {
    o.cluster.get_or_insert_with(|| Cluster {
        endpoint: endpoint(6222),
        ..Cluster::default()
    })
}

fn leafnodes(o: &mut Options) -> &mut Leafnodes {
    o.leafnodes.get_or_insert_default()
}

fn remote(text: &str) -> LeafRemote {
    LeafRemote {
        urls: vec![url(text)],
        ..LeafRemote::default()
    }
}

#[test]
fn nothing_changed_is_nothing_to_do() {
    assert_eq!(
        plan(&Options::default(), &Options::default()),
        Ok(Plan::default())
    );
}

#[test]
fn general_options() {
    check_fixed(
        &|o| o.listen.server_name = Some("b".into()),
        "ServerName: old=, new=b",
    );
    check_fixed(
        &|o| o.listen.endpoint.host = Some("::1".into()),
        "Host: old=0.0.0.0, new=::1",
    );
    check_fixed(
        &|o| o.listen.endpoint = endpoint(4223),
        "Port: old=4222, new=4223",
    );
    check_fixed(
        &|o| o.listen.no_header_support = true,
        "NoHeaderSupport: old=false, new=true",
    );
    check_fixed(
        &|o| o.listen.allow_non_tls = true,
        "AllowNonTLS: old=false, new=true",
    );
    check_fixed(
        &|o| o.listen.proxy_protocol = true,
        "ProxyProtocol: old=false, new=true",
    );
    check(
        &|o| o.listen.client_advertise = Some("h:1".into()),
        &["Reload: client_advertise = h:1"],
    );
    check(
        &|o| o.listen.server_tags = vec!["a:b".into()],
        &["Reloaded: tags"],
    );
    check(
        &|o| drop(o.listen.server_metadata.insert("a".into(), "b".into())),
        &["Reloaded: metadata"],
    );
    check(
        &|o| o.listen.pid_file = Some("p".into()),
        &["Reloaded: pid_file = p"],
    );
    check(
        &|o| o.listen.ports_file_dir = Some("d".into()),
        &["Reloaded: ports_file_dir = d"],
    );
}

#[test]
fn a_random_port_is_the_one_in_force() {
    check(&|o| o.listen.endpoint.port = Some(Port::Random), &[]);
    check_from(
        &|o| _ = cluster(o),
        &|o| cluster(o).endpoint.port = Some(Port::Random),
        &[],
    );
    check_fixed(
        &|o| o.monitoring.http.port = Some(Port::Random),
        "HTTPPort: old=0, new=-1",
    );
}

#[test]
fn logging() {
    check(&|o| o.logging.trace = true, &["Reloaded: trace = true"]);
    check(&|o| o.logging.debug = true, &["Reloaded: debug = true"]);
    check(
        &|o| o.logging.trace_verbose = true,
        &["Reloaded: trace_verbose = true"],
    );
    check(
        &|o| o.logging.trace_headers = true,
        &["Reloaded: trace_headers = true"],
    );
    check(
        &|o| o.logging.logtime = false,
        &["Reloaded: logtime = false"],
    );
    check(
        &|o| o.logging.logtime_utc = true,
        &["Reloaded: logtime_utc = true"],
    );
    check(
        &|o| o.logging.log_file = Some("l".into()),
        &["Reloaded: log_file = l"],
    );
    check(&|o| o.logging.syslog = true, &["Reloaded: syslog = true"]);
    check(
        &|o| o.logging.remote_syslog = Some("udp://h:514".into()),
        &["Reloaded: remote_syslog = udp://h:514"],
    );
    check_fixed(
        &|o| o.logging.logfile_size_limit = 5,
        "LogSizeLimit: old=0, new=5",
    );
    check_fixed(
        &|o| o.logging.logfile_max_num = 5,
        "LogMaxFiles: old=0, new=5",
    );
    check(
        &|o| o.logging.max_traced_msg_len = 9,
        &["Reloaded: max_traced_msg_len = 9"],
    );
    check(
        &|o| o.logging.connect_error_reports = 2,
        &["Reloaded: connect_error_reports = 2"],
    );
    check(
        &|o| o.logging.reconnect_error_reports = 2,
        &["Reloaded: reconnect_error_reports = 2"],
    );
}

#[test]
fn limits() {
    check(
        &|o| o.limits.max_connections = 9,
        &["Reloaded: max_connections = 9"],
    );
    check(
        &|o| o.limits.max_control_line = 9,
        &["Reloaded: max_control_line = 9"],
    );
    check(
        &|o| o.limits.max_payload = 9,
        &["Reloaded: max_payload = 9"],
    );
    check(
        &|o| o.limits.ping_interval = MINUTE,
        &["Reloaded: ping_interval = 1m0s"],
    );
    check(&|o| o.limits.ping_max = 3, &["Reloaded: ping_max = 3"]);
    check(
        &|o| o.limits.write_deadline = MINUTE,
        &["Reloaded: write_deadline = 1m0s"],
    );
    check(
        &|o| o.limits.no_fast_producer_stall = true,
        &["Reloaded: fast producers will not be stalled"],
    );
    check_from(
        &|o| o.limits.no_fast_producer_stall = true,
        &|o| o.limits.no_fast_producer_stall = false,
        &["Reloaded: fast producers will be stalled"],
    );
    check_fixed(
        &|o| o.limits.max_pending = 128 << 20,
        "MaxPending: old=67108864, new=134217728",
    );
    check_fixed(
        &|o| o.limits.max_pending_total = 1,
        "MaxPendingTotal: old=0, new=1",
    );
    check_fixed(&|o| o.limits.max_subscriptions = 1, "MaxSubs: old=0, new=1");
    check_fixed(
        &|o| o.limits.max_sub_tokens = Some(5),
        "MaxSubTokens: old=0, new=5",
    );
    check_fixed(
        &|o| o.limits.max_closed_clients = 1,
        "MaxClosedClients: old=10000, new=1",
    );
    check_fixed(
        &|o| o.limits.write_timeout = WriteTimeout::Close,
        "WriteTimeout: old=, new=close",
    );
    check_fixed(
        &|o| o.limits.disable_sublist_cache = true,
        "NoSublistCache: old=false, new=true",
    );
    check_fixed(
        &|o| o.limits.lame_duck_duration = 3 * MINUTE,
        "LameDuckDuration: old=2m0s, new=3m0s",
    );
    check_fixed(
        &|o| o.limits.lame_duck_grace_period = MINUTE,
        "LameDuckGracePeriod: old=10s, new=1m0s",
    );
}

#[test]
fn monitoring() {
    check_fixed(
        &|o| o.monitoring.http = endpoint(8222),
        "HTTPPort: old=0, new=8222",
    );
    check_fixed(
        &|o| o.monitoring.https = endpoint(8443),
        "HTTPSPort: old=0, new=8443",
    );
    check_fixed(
        &|o| o.monitoring.http.host = Some("h".into()),
        "HTTPHost: old=, new=h",
    );
    check_fixed(
        &|o| o.monitoring.http_base_path = "/x".into(),
        "HTTPBasePath: old=, new=/x",
    );
    check_fixed(
        &|o| o.monitoring.prof_port = Some(Port::Fixed(6)),
        "ProfPort: old=0, new=6",
    );
    check(
        &|o| o.monitoring.prof_block_rate = 5,
        &["Reloaded: prof_block_rate = 5"],
    );
}

#[test]
fn tls_of_clients() {
    let tls = |o: &mut Options| o.tls = Some(Tls::default());
    let enabled = "Reloaded: tls = enabled";
    let with = |change: fn(&mut Tls), expected: &[&str]| {
        let change = |o: &mut Options| change(o.tls.as_mut().expect("tls"));
        check_from(&tls, &change, expected);
    };
    check(&tls, &["Reloaded: authorization timeout = 3", enabled]);
    check_from(
        &tls,
        &|o| o.tls = None,
        &[
            "Reloaded: authorization timeout = 2",
            "Reloaded: tls = disabled",
        ],
    );
    with(|t| t.cert_file = Some("c".into()), &[enabled]);
    with(
        |t| t.timeout = Duration::from_millis(500),
        &[
            "Reloaded: authorization timeout = 1.5",
            "Reloaded: tls timeout = 0.5",
            enabled,
        ],
    );
    with(
        |t| t.pinned_certs = vec!["a".into()],
        &[enabled, "Reloaded: 1 pinned_certs"],
    );
    with(
        |t| t.handshake_first = HandshakeFirst::Fallback(Duration::from_millis(50)),
        &[
            enabled,
            "Reloaded: Client TLS handshake first: true",
            "Reloaded: Client TLS handshake first fallback delay: 50ms",
        ],
    );
    let fixed = |change, text: &str| {
        with(
            change,
            &[&format!("config reload not supported for {text}")],
        )
    };
    fixed(
        |t| t.connection_rate_limit = 5,
        "TLSRateLimit: old=0, new=5",
    );
    fixed(|t| t.verify_and_map = true, "TLSMap: old=false, new=true");
    // Its files may have changed.
    let mut options = Options::default();
    tls(&mut options);
    assert_eq!(lines(&options, &options), [enabled]);
}

#[test]
fn ocsp_and_proxies() {
    check(&|o| o.ocsp = Some(Ocsp::default()), &["Reloaded: OCSP"]);
    check(
        &|o| o.ocsp_cache = Some(OcspCache::default()),
        &["Reloaded OCSP peer cache"],
    );
    let proxies = |keys: &[&str]| {
        Some(Proxies {
            trusted: keys.iter().map(|key| (*key).to_owned()).collect(),
        })
    };
    check_from(
        &|o| o.proxies = proxies(&["A", "B", "C"]),
        &|o| o.proxies = proxies(&["B", "D"]),
        &[
            "Reloaded: proxies trusted keys [\"A\" \"C\"] were removed",
            "Reloaded: proxies trusted keys [\"D\"] were added",
        ],
    );
}

#[test]
fn authorization() {
    check(
        &|o| o.authorization.user = Some("u".into()),
        &["Reloaded: authorization username"],
    );
    check(
        &|o| o.authorization.password = Some(Secret::new("p")),
        &["Reloaded: authorization password"],
    );
    check(
        &|o| o.authorization.token = Some(Secret::new("t")),
        &["Reloaded: authorization token"],
    );
    check(
        &|o| o.authorization.timeout = Some(MINUTE),
        &["Reloaded: authorization timeout = 60"],
    );
    check(
        &|o| o.authorization.users = vec![user("u", "p")],
        &["Reloaded: authorization users"],
    );
    check(
        &|o| {
            o.authorization.users = vec![UserSpec {
                login: Login::Nkey("U".into()),
                ..user("", "")
            }];
        },
        &["Reloaded: authorization nkey users"],
    );
    check_fixed(
        &|o| o.authorization.proxy_required = true,
        "ProxyRequired: old=false, new=true",
    );
    let mut new = Options::default();
    new.authorization.auth_callout = Some(AuthCallout::default());
    let refusal = &lines(&Options::default(), &new)[0];
    assert!(refusal.starts_with("config reload not supported for AuthCallout: old=None, new="));
}

#[test]
fn no_auth_user_may_only_go_with_its_user() {
    let before = |o: &mut Options| {
        o.authorization.no_auth_user = Some("u".into());
        o.authorization.users = vec![user("u", "p"), user("v", "p")];
    };
    check_from(
        &before,
        &|o| o.authorization.no_auth_user = None,
        &["config reload not supported for NoAuthUser: old=u, new="],
    );
    check_from(
        &before,
        &|o| o.authorization.no_auth_user = Some("v".into()),
        &["config reload not supported for NoAuthUser: old=u, new=v"],
    );
    check_from(
        &before,
        &|o| {
            o.authorization.no_auth_user = None;
            o.authorization.users.remove(0);
        },
        &["Reloaded: authorization users"],
    );
    check_fixed(
        &|o| o.authorization.no_auth_user = Some("u".into()),
        "NoAuthUser: old=, new=u",
    );
}

#[test]
fn accounts() {
    check(
        &|o| o.accounts.accounts = vec![account("A")],
        &["Reloaded: accounts"],
    );
    check(
        &|o| {
            let mut account = account("A");
            account.users = vec![user("u", "p")];
            o.accounts.accounts = vec![account];
        },
        &["Reloaded: authorization users", "Reloaded: accounts"],
    );
    check(&|o| o.accounts.system_account = Some("$SYS".into()), &[]);
    check_fixed(
        &|o| o.accounts.system_account = Some("S".into()),
        "SystemAccount: old=$SYS, new=S",
    );
    check_fixed(
        &|o| o.accounts.no_system_account = true,
        "NoSystemAccount: old=false, new=true",
    );
    check_fixed(
        &|o| o.accounts.default_js_domain = vec![("A".into(), "x".into())],
        "JsAccDefaultDomain: old=map[], new=map[A:x]",
    );
}

#[test]
fn operator_mode() {
    let memory = |o: &mut Options| o.operator.resolver = Some(Resolver::Memory);
    check_fixed(
        &|o| o.operator.trusted_keys = vec!["O".into()],
        "TrustedKeys: old=[], new=[O]",
    );
    check_fixed(
        &|o| o.operator.operators = vec!["j".into()],
        "TrustedOperators: old=[], new=[j]",
    );
    check(
        &memory,
        &["config reload does not support moving to or from an account resolver"],
    );
    check_from(
        &memory,
        &|o| o.operator.resolver = None,
        &["config reload does not support moving to or from an account resolver"],
    );
    check_from(
        &memory,
        &|o| o.operator.resolver = Some(Resolver::Url("http://h".into())),
        &["Reloaded: accounts"],
    );
    check_from(
        &memory,
        &|o| o.operator.resolver_preload = vec![("A".into(), "j".into())],
        &["Reloaded: accounts"],
    );
    check_from(
        &memory,
        &|o| o.operator.resolver_tls = Some(Tls::default()),
        &["Reloaded: accounts"],
    );
    check(
        &|o| o.operator.default_sentinel = Some(Secret::new("j")),
        &["Reloaded: default_sentinel = [REDACTED]"],
    );
}

#[test]
fn cluster_block() {
    check(
        &|o| _ = cluster(o),
        &["config reload not supported for cluster host: old=, new=0.0.0.0"],
    );
    let with = |change: Change<'_>, expected: &str| {
        check_from(&|o| _ = cluster(o), change, &[expected]);
    };
    with(
        &|o| cluster(o).endpoint.host = Some("h".into()),
        "config reload not supported for cluster host: old=0.0.0.0, new=h",
    );
    with(
        &|o| cluster(o).endpoint.port = Some(Port::Fixed(6223)),
        "config reload not supported for cluster port: old=6222, new=6223",
    );
    let live: [Change<'_>; 14] = [
        &|o| cluster(o).name = Some("n".into()),
        &|o| cluster(o).authorization = Some(LinkAuthorization::default()),
        &|o| cluster(o).permissions = Some(Default::default()),
        &|o| cluster(o).tls = Some(Tls::default()),
        &|o| cluster(o).advertise = Some("h:1".into()),
        &|o| cluster(o).no_advertise = true,
        &|o| cluster(o).connect_retries = 1,
        &|o| cluster(o).connect_backoff = true,
        &|o| cluster(o).pool_size = 5,
        &|o| cluster(o).accounts = vec!["A".into()],
        &|o| cluster(o).compression = Compression::auto(),
        &|o| cluster(o).ping_interval = Some(MINUTE),
        &|o| cluster(o).write_deadline = Some(MINUTE),
        &|o| cluster(o).write_timeout = WriteTimeout::Retry,
    ];
    for change in live {
        with(change, "Reloaded: cluster");
    }
    with(
        &|o| cluster(o).routes = vec![url("nats://h:1")],
        "Reloaded: cluster routes",
    );
}

#[test]
fn cluster_changes_say_what_differs() {
    let mut old = Options::default();
    cluster(&mut old).accounts = vec!["A".into(), "B".into()];
    cluster(&mut old).routes = vec![url("nats://a:1"), url("nats://b:1")];
    let mut new = old.clone();
    cluster(&mut new).accounts = vec!["B".into(), "C".into()];
    cluster(&mut new).routes = vec![url("nats://b:1"), url("nats://c:1")];
    cluster(&mut new).pool_size = -1;
    let expected = [
        change::Change::Cluster(ClusterChange {
            differs: true,
            pool_size: true,
            accounts_added: vec!["C".into()],
            accounts_removed: vec!["A".into(), "$SYS".into()],
            ..ClusterChange::default()
        }),
        change::Change::Routes {
            add: vec![url("nats://c:1")],
            remove: vec![url("nats://a:1")],
        },
    ];
    assert_eq!(
        plan(&old, &new).map(|plan| plan.changes),
        Ok(expected.into())
    );
}

#[test]
fn gateway_block() {
    let before = |o: &mut Options| {
        o.gateway = Some(Gateway {
            name: Some("A".into()),
            gateways: vec![RemoteGateway::default()],
            ..Gateway::default()
        });
    };
    let tls = Tls {
        cert_file: Some("c".into()),
        pinned_certs: vec!["a".into()],
        ..Tls::default()
    };
    let with_tls = |o: &mut Options| {
        before(o);
        o.gateway.as_mut().expect("gateway").tls = Some(Tls::default());
    };
    check_from(
        &with_tls,
        &|o| o.gateway.as_mut().expect("gateway").tls = Some(tls.clone()),
        &[],
    );
    let mut old = Options::default();
    before(&mut old);
    let changes: [fn(&mut Gateway); 5] = [
        |g| g.name = Some("B".into()),
        |g| g.endpoint.port = Some(Port::Fixed(7222)),
        |g| g.gateways[0].urls = vec![url("nats://h:1")],
        |g| g.reject_unknown_cluster = true,
        |g| g.connect_retries = 1,
    ];
    for change in changes {
        let mut new = old.clone();
        change(new.gateway.as_mut().expect("gateway"));
        let refusal = &lines(&old, &new)[0];
        assert!(
            refusal.starts_with("config reload not supported for Gateway: old="),
            "{refusal}"
        );
    }
}

#[test]
fn leafnodes_block() {
    let within = |change: Change<'_>, field: &str| {
        check_fixed(change, &format!("LeafNode: field {field}"));
    };
    within(
        &|o| leafnodes(o).endpoint = endpoint(7422),
        "\"Host\": old=, new=0.0.0.0",
    );
    check_from(
        &|o| leafnodes(o).endpoint = endpoint(7422),
        &|o| leafnodes(o).endpoint = endpoint(7423),
        &["config reload not supported for LeafNode: field \"Port\": old=7422, new=7423"],
    );
    within(
        &|o| {
            leafnodes(o).authorization = Some(LeafAuthorization {
                password: Some(Secret::new("p")),
                ..LeafAuthorization::default()
            });
        },
        "\"Password\": old=, new=[REDACTED]",
    );
    within(
        &|o| leafnodes(o).no_advertise = true,
        "\"NoAdvertise\": old=false, new=true",
    );
    within(
        &|o| leafnodes(o).reconnect_interval = MINUTE,
        "\"ReconnectInterval\": old=1s, new=1m0s",
    );
    within(
        &|o| leafnodes(o).isolate_leafnode_interest = true,
        "\"IsolateLeafnodeInterest\": old=false, new=true",
    );
    let mut new = Options::default();
    leafnodes(&mut new).authorization = Some(LeafAuthorization {
        users: vec![LeafUser::default()],
        ..LeafAuthorization::default()
    });
    let refusal = &lines(&Options::default(), &new)[0];
    assert!(
        refusal
            .starts_with("config reload not supported for LeafNode: field \"Users\": old=[], new=")
    );

    check(
        &|o| leafnodes(o).compression = Compression::mode(CompressionMode::S2Fast),
        &["Reloaded: LeafNode Compression value is: {s2_fast []}"],
    );
    check(
        &|o| {
            leafnodes(o).tls = Some(Tls {
                handshake_first: HandshakeFirst::On,
                ..Tls::default()
            });
        },
        &[
            "Reloaded: LeafNode TLS HandshakeFirst value is: true",
            "Reloaded: LeafNode TLS HandshakeFirstFallback value is: 0s",
        ],
    );
}

#[test]
fn leafnode_remotes_come_go_and_rest() {
    let name = "urls=[\"nats://[REDACTED]@h:1\"], account=\"$G\"";
    let before = |o: &mut Options| leafnodes(o).remotes = vec![remote("nats://u:p@h:1")];
    let first = |o: &mut Options| leafnodes(o).remotes.remove(0);
    check(&before, &[]);
    check_from(
        &before,
        &|o| drop(first(o)),
        &[&format!("Reloaded: LeafNode Remote {name} removed")],
    );
    check_from(
        &before,
        &|o| leafnodes(o).remotes[0].disabled = true,
        &[&format!(
            "Reloaded: LeafNode Remote {name} Disabled value is: true"
        )],
    );
    check_from(
        &before,
        &|o| leafnodes(o).remotes[0].compression = Some(Compression::mode(CompressionMode::Off)),
        &[&format!(
            "Reloaded: LeafNode Remote {name} Compression value is: {{off []}}"
        )],
    );
    check_from(
        &before,
        &|o| leafnodes(o).remotes[0].hub = true,
        &[&format!(
            "config reload not supported for LeafNode: remote {name}: field \"Hub\": old=false, new=true"
        )],
    );
    let mut old = Options::default();
    before(&mut old);
    let mut new = old.clone();
    leafnodes(&mut new).remotes[0].account = Some("A".into());
    let expected = change::Change::Leafnodes(LeafnodesChange {
        added: leafnodes(&mut new.clone()).remotes.clone(),
        removed: leafnodes(&mut old.clone()).remotes.clone(),
        ..LeafnodesChange::default()
    });
    assert_eq!(
        plan(&old, &new).map(|plan| plan.changes),
        Ok(vec![expected])
    );
}

#[test]
fn jetstream_block() {
    let on = |o: &mut Options| {
        o.jetstream.enabled = true;
        o.jetstream.store_dir = Some("/d".into());
        o.jetstream.max_memory_store = Some(1 << 30);
        o.jetstream.max_file_store = Some(1 << 30);
    };
    let with = |change: fn(&mut JetStream), expected: &[&str]| {
        check_from(&on, &|o| change(&mut o.jetstream), expected);
    };
    let refused = |change, text: &str| {
        with(
            change,
            &[&format!("config reload not supported for {text}")],
        )
    };
    check(&|o| o.jetstream.enabled = true, &["Reloaded: JetStream"]);
    with(|j| *j = JetStream::default(), &["Reloaded: JetStream"]);
    with(
        |j| {
            j.max_memory_store = Some(2 << 30);
            j.max_file_store = Some(3 << 29);
        },
        &[
            "Reloaded: JetStream max_mem_store = 2.00 GB",
            "Reloaded: JetStream max_file_store = 1.50 GB",
        ],
    );
    refused(
        |j| j.store_dir = Some("/e".into()),
        "jetstream storage directory",
    );
    refused(|j| j.store_dir = None, "jetstream storage dir");
    refused(
        |j| j.max_memory_store = Some(1),
        "decreasing jetstream max memory and store",
    );
    refused(
        |j| j.max_file_store = None,
        "jetstream max memory and max store",
    );
    check_from(
        &|o| o.jetstream.enabled = true,
        &|o| o.jetstream.max_file_store = Some(1),
        &["config reload not supported for jetstream dynamic max memory and store"],
    );
    refused(
        |j| j.domain = Some("d".into()),
        "JetStreamDomain: old=, new=d",
    );
    refused(
        |j| j.unique_tag = Some("d".into()),
        "JetStreamUniqueTag: old=, new=d",
    );
    refused(
        |j| j.strict = false,
        "NoJetStreamStrict: old=false, new=true",
    );
    refused(
        |j| j.encryption_key = Some(Secret::new("k")),
        "JetStreamKey: old=, new=[REDACTED]",
    );
    refused(
        |j| j.sync_interval = MINUTE,
        "SyncInterval: old=2m0s, new=1m0s",
    );
    refused(|j| j.sync_always = true, "SyncAlways: old=false, new=true");
    refused(
        |j| j.request_queue_limit = 1,
        "JetStreamRequestQueueLimit: old=10000, new=1",
    );
    refused(
        |j| j.max_buffered_msgs = Some(1),
        "StreamMaxBufferedMsgs: old=0, new=1",
    );
    refused(
        |j| j.max_concurrent_io = Some(8),
        "JetStreamConcurrentIOs: old=0, new=8",
    );
    refused(
        |j| j.feature_flags = vec![("js_ack_fc_v2".into(), true)],
        "FeatureFlags: old=map[], new=map[js_ack_fc_v2:true]",
    );
    with(
        |j| j.limits.max_ack_pending = Some(5),
        &["Reloaded: JetStream limits"],
    );
    with(|j| j.meta_compact = 5, &[]);
    with(|j| j.meta_compact_sync = true, &[]);
}

#[test]
fn websocket_and_mqtt_blocks() {
    let refused = |before: Change<'_>, change: Change<'_>, field: &str| {
        let mut old = Options::default();
        before(&mut old);
        let mut new = old.clone();
        change(&mut new);
        let refusal = &lines(&old, &new)[0];
        let expected = format!("config reload not supported for {field}: old=");
        assert!(refusal.starts_with(&expected), "{refusal}");
    };
    let websocket = |o: &mut Options| {
        o.websocket = Some(Websocket {
            endpoint: endpoint(1),
            tls: Some(Tls::default()),
            ..Websocket::default()
        });
    };
    refused(&|_| {}, &websocket, "Websocket");
    let ws = |o: &mut Options| o.websocket.clone().expect("websocket");
    let headers = |o: &mut Options| {
        o.websocket = Some(Websocket {
            headers: vec![("a".into(), "b".into())],
            ..ws(o)
        });
    };
    refused(&websocket, &headers, "Websocket");
    let tls = Tls {
        cert_file: Some("c".into()),
        ..Tls::default()
    };
    let cert = |o: &mut Options| o.websocket.as_mut().expect("websocket").tls = Some(tls.clone());
    check_from(&websocket, &cert, &[]);

    let mqtt = |o: &mut Options| {
        o.mqtt = Some(Mqtt {
            endpoint: endpoint(1883),
            ..Mqtt::default()
        });
    };
    refused(&|_| {}, &mqtt, "MQTT");
    refused(
        &mqtt,
        &|o| o.mqtt.as_mut().expect("mqtt").js_domain = Some("d".into()),
        "MQTT",
    );
    check_from(
        &mqtt,
        &|o| o.mqtt.as_mut().expect("mqtt").ack_wait = MINUTE,
        &[
            "Reloaded: MQTT ack_wait = 1m0s",
            "Reloaded: MQTT max_ack_pending = 1024",
            "Reloaded: MQTT stream_replicas = 0",
            "Reloaded: MQTT consumer_replicas = 0",
            "Reloaded: MQTT consumer_memory_storage = false",
            "Reloaded: MQTT consumer_inactive_threshold = 0s",
        ],
    );
    refused(
        &|_| {},
        &|o| o.streaming = Some(Streaming::default()),
        "Streaming",
    );
}

#[test]
fn one_refusal_refuses_the_whole() {
    check_fixed(
        &|o| {
            o.logging.debug = true;
            o.limits.max_pending = 1;
            o.limits.max_closed_clients = 1;
        },
        "MaxPending: old=67108864, new=1",
    );
}

#[test]
fn refusals_show_no_secrets() {
    let mut new = Options::default();
    new.websocket = Some(Websocket {
        authorization: Some(LinkAuthorization {
            password: Some(Secret::new("s3cr3t")),
            ..LinkAuthorization::default()
        }),
        ..Websocket::default()
    });
    let refusal = &lines(&Options::default(), &new)[0];
    assert!(!refusal.contains("s3cr3t"), "{refusal}");
}

/// Options read from text.
fn read(text: &str) -> Options {
    use crate::config::{include::NoFiles, parser};
    let map = parser::parse(text, "-", &|_| None, &NoFiles).expect(text);
    match Options::from_map(&map) {
        Ok((options, _)) => options,
        Err(errors) => panic!("{text}: {errors:?}"),
    }
}

/// The reference says of every key whether a reload may change it; so must `plan`.
#[test]
fn plans_agree_with_the_reference_of_keys() {
    use crate::config::options::reference::sections;

    let blocks = [
        ("", "", ""),
        ("authorization", "", "authorization {X}"),
        ("jetstream", "jetstream {}", "jetstream {X}"),
        ("cluster", "cluster {port: 6222}", "cluster {port: 6222, X}"),
        ("leafnodes", "leafnodes {}", "leafnodes {X}"),
        ("websocket", "websocket {}", "websocket {X}"),
        ("mqtt", "mqtt {}", "mqtt {X}"),
        ("gateway", "gateway {}", "gateway {X}"),
    ];
    // Of these it is true in part: only with JetStream on; raised but not lowered;
    // the example says what is so already; taken up together with accounts; looked
    // up when needed, so that there is nothing to plan.
    let in_part = [
        "store_dir",
        "max_memory_store",
        "max_file_store",
        "port",
        "proxies",
        "resolver_pinned_accounts",
        "meta_compact",
        "meta_compact_size",
        "meta_compact_sync",
    ];
    // Everything about routes but where they listen is live in nats-server.
    let otherwise = ["cluster.write_timeout"];
    let mut wrong = Vec::new();
    for section in sections() {
        let Some((_, old, frame)) = blocks.iter().find(|(place, ..)| *place == section.place)
        else {
            continue;
        };
        for row in section.rows {
            let name = row.names.split('|').next().unwrap_or_default();
            let path = format!("{}.{name}", section.place);
            if in_part.contains(&name) || otherwise.contains(&path.as_str()) {
                continue;
            }
            let text = format!("{name}: {}\n", row.example);
            let text = match *frame {
                "" => text,
                frame => frame.replace('X', &text),
            };
            let planned = plan(&read(old), &read(&text));
            let said = format!("{:?}", row.reload);
            let agrees = match said.as_str() {
                // Nothing planned would mean that the key was forgotten here.
                "Yes" => planned.as_ref().is_ok_and(|plan| !plan.changes.is_empty()),
                "No" => planned.is_err(),
                _ => true,
            };
            if !agrees {
                wrong.push(format!("{said} {text:?}: {planned:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

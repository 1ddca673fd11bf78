//! What is wrong, or worth a warning, between sections.
//!
//! Separate from reading because flags come in between: a file without `server_name` is
//! right when the command line has one. Each check is one function; the texts are those that
//! operators of such servers know.

use super::Options;
use super::authorization::LinkAuthorization;
use super::tls::{self, Tls};
use crate::account;
use crate::auth::users::{Login, UserSpec};
use crate::config::error::ConfigError;
use crate::config::units::format_duration;

/// A payload above this is discouraged.
const PAYLOAD_WARN_ABOVE: u32 = 8 * 1024 * 1024;

/// Collects errors; the place is that of the first key named that is in the file.
struct Findings<'a> {
    options: &'a Options,
    errors: Vec<ConfigError>,
}

impl Findings<'_> {
    fn add(&mut self, paths: &[&str], message: impl Into<String>) {
        let positions = &self.options.positions;
        self.errors.push(ConfigError {
            position: paths.iter().find_map(|path| positions.get(path)).cloned(),
            message: message.into(),
        });
    }

    fn add_if(&mut self, wrong: bool, paths: &[&str], message: impl Into<String>) {
        if wrong {
            self.add(paths, message);
        }
    }
}

/// Everything that is wrong.
pub(super) fn validate(options: &Options) -> Vec<ConfigError> {
    let mut findings = Findings {
        options,
        errors: Vec::new(),
    };
    for check in [
        limits,
        listeners,
        spoken_tls,
        monitoring,
        operator,
        accounts,
        no_auth_users,
        cluster,
        gateway,
        leafnodes,
        websocket,
        mqtt,
    ] {
        check(options, &mut findings);
    }
    findings.errors
}

fn limits(options: &Options, f: &mut Findings<'_>) {
    let limits = &options.limits;
    let (grace, duration) = (limits.lame_duck_grace_period, limits.lame_duck_duration);
    if grace >= duration {
        let text = |d: std::time::Duration| {
            format_duration(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
        };
        f.add(
            &["lame_duck_grace_period", "lame_duck_duration"],
            format!(
                "lame duck grace period ({}) should be strictly lower than lame duck duration ({})",
                text(grace),
                text(duration)
            ),
        );
    }
    let (payload, pending) = (limits.max_payload, limits.max_pending);
    f.add_if(
        u64::from(payload) > pending,
        &["max_payload", "max_pending"],
        format!("max_payload ({payload}) cannot be higher than max_pending ({pending})"),
    );
}

fn listeners(options: &Options, f: &mut Findings<'_>) {
    let name = options.listen.server_name.as_deref().unwrap_or_default();
    f.add_if(
        name.contains(' '),
        &["server_name"],
        "server name cannot contain spaces",
    );
    let mut advertised = vec![("client_advertise", &options.listen.client_advertise)];
    if let Some(cluster) = &options.cluster {
        advertised.push(("cluster.advertise", &cluster.advertise));
    }
    if let Some(gateway) = &options.gateway {
        advertised.push(("gateway.advertise", &gateway.advertise));
    }
    if let Some(leafnodes) = &options.leafnodes {
        advertised.push(("leafnodes.advertise", &leafnodes.advertise));
    }
    if let Some(websocket) = &options.websocket {
        advertised.push(("websocket.advertise", &websocket.advertise));
    }
    for (path, text) in advertised {
        let text = text.as_deref().unwrap_or_default();
        f.add_if(
            !is_advertised_address(text),
            &[path],
            format!("{path} value of {text:?} is no host[:port]"),
        );
    }
    for (path, tls, is_listener) in [
        ("tls", options.tls.as_ref(), true),
        (
            "websocket.tls",
            options.websocket.as_ref().and_then(|w| w.tls.as_ref()),
            true,
        ),
        (
            "mqtt.tls",
            options.mqtt.as_ref().and_then(|m| m.tls.as_ref()),
            true,
        ),
        (
            "leafnodes.tls",
            options.leafnodes.as_ref().and_then(|l| l.tls.as_ref()),
            options
                .leafnodes
                .as_ref()
                .is_some_and(|l| l.endpoint.port.is_some()),
        ),
    ] {
        f.add_if(
            is_listener && tls.is_some_and(|tls| !has_certificate(tls)),
            &[path],
            format!(
                "{path} has no certificate: 'cert_file' and 'key_file', or 'certs', are required"
            ),
        );
    }
}

/// Of what is named, something must be spoken.
fn spoken_tls(options: &Options, f: &mut Findings<'_>) {
    let Some(tls) = &options.tls else { return };
    let suites = &tls.cipher_suites;
    f.add_if(
        !suites.is_empty() && !suites.iter().any(|name| tls::is_spoken(name)),
        &["tls.cipher_suites"],
        "this server speaks none of the cipher_suites",
    );
    let curves = &tls.curve_preferences;
    f.add_if(
        !curves.is_empty() && !curves.iter().any(|name| tls::is_spoken_curve(name)),
        &["tls.curve_preferences"],
        "this server speaks none of the curve_preferences",
    );
}

/// Empty, `host` or `host:port`.
fn is_advertised_address(text: &str) -> bool {
    match text.rsplit_once(':') {
        Some((_, port)) if !text.ends_with(']') => port.parse::<u16>().is_ok(),
        _ => true,
    }
}

fn has_certificate(tls: &Tls) -> bool {
    tls.cert_file.is_some() || !tls.certs.is_empty() || tls.cert_store.store.is_some()
}

fn monitoring(options: &Options, f: &mut Findings<'_>) {
    let monitoring = &options.monitoring;
    if let (Some(http), Some(https)) = (monitoring.http.port, monitoring.https.port) {
        f.add(
            &["https", "https_port"],
            format!(
                "can't specify both HTTP ({}) and HTTPs ({}) ports",
                http.configured(),
                https.configured()
            ),
        );
    }
    f.add_if(
        monitoring.https.port.is_some() && options.tls.is_none(),
        &["https", "https_port"],
        "TLS cert and key required for HTTPS",
    );
    let path = &monitoring.http_base_path;
    f.add_if(
        path.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | '?' | '#')),
        &["http_base_path"],
        format!("http_base_path {path:?} is no path"),
    );
}

fn operator(options: &Options, f: &mut Findings<'_>) {
    let operator = &options.operator;
    let authorization = &options.authorization;
    let trusts = ["operator", "trusted_keys"];
    if !operator.is_operator_mode() {
        f.add_if(
            operator.default_sentinel.is_some(),
            &["default_sentinel"],
            "default sentinel requires operators and accounts",
        );
        f.add_if(
            matches!(
                operator.resolver,
                Some(
                    super::operator::Resolver::Full { .. }
                        | super::operator::Resolver::Cache { .. }
                )
            ),
            &["resolver"],
            "no operator key found",
        );
        return;
    }
    f.add_if(
        !operator.operators.is_empty() && !operator.trusted_keys.is_empty(),
        &["trusted_keys"],
        "conflicting options for 'trusted_keys' and 'operator'",
    );
    f.add_if(
        operator.resolver.is_none(),
        &trusts,
        "operators require an account resolver to be configured",
    );
    f.add_if(
        !options.accounts.accounts.is_empty(),
        &["accounts"],
        "operators do not allow Accounts to be configured directly",
    );
    f.add_if(
        !authorization.users.is_empty(),
        &["authorization.users"],
        "operators do not allow users to be configured directly",
    );
    f.add_if(
        authorization.auth_callout.is_some(),
        &["authorization.auth_callout"],
        "operators do not allow authorization callouts to be configured directly",
    );
    f.add_if(
        authorization.no_auth_user.is_some(),
        &["no_auth_user"],
        "no_auth_user not compatible with Trusted Operator",
    );
    let is_nats_resolver = matches!(
        operator.resolver,
        Some(super::operator::Resolver::Full { .. } | super::operator::Resolver::Cache { .. })
    );
    f.add_if(
        is_nats_resolver && options.accounts.system_account.is_none(),
        &["resolver"],
        "using nats based account resolver - the system account needs to be specified in \
         configuration or the operator jwt",
    );
}

fn accounts(options: &Options, f: &mut Findings<'_>) {
    let accounts = &options.accounts;
    if options.operator.is_operator_mode() {
        return;
    }
    if let Some(system) = accounts.system_account.as_deref()
        && !accounts.no_system_account
        && !is_account(options, system)
    {
        f.add(
            &["system_account"],
            "error resolving system account: account missing",
        );
    }
    for (name, _) in &accounts.default_js_domain {
        f.add_if(
            !is_account(options, name),
            &["default_js_domain"],
            format!(
                "in non operator mode, `default_js_domain` references non existing account {name:?}"
            ),
        );
    }
    if let Some(callout) = &options.authorization.auth_callout {
        f.add_if(
            !is_account(options, &callout.account),
            &["authorization.auth_callout"],
            format!("auth_callout account {:?} is not defined", callout.account),
        );
    }
}

fn is_account(options: &Options, name: &str) -> bool {
    name == account::GLOBAL || name == account::SYSTEM || options.accounts.get(name).is_some()
}

fn no_auth_users(options: &Options, f: &mut Findings<'_>) {
    if options.operator.is_operator_mode() {
        return;
    }
    let websocket = options
        .websocket
        .as_ref()
        .and_then(|w| w.no_auth_user.as_deref());
    let mqtt = options
        .mqtt
        .as_ref()
        .and_then(|m| m.no_auth_user.as_deref());
    for (path, name) in [
        (
            "no_auth_user",
            options.authorization.no_auth_user.as_deref(),
        ),
        ("websocket.no_auth_user", websocket),
        ("mqtt.no_auth_user", mqtt),
    ] {
        let Some(name) = name else { continue };
        if users(options).next().is_none() {
            let message =
                format!("no_auth_user: {name:?} present, but users/nkeys are not defined");
            f.add(&[path], message);
        } else if !users(options).any(|user| user.name() == name) {
            f.add(
                &[path],
                format!(
                    "no_auth_user: {name:?} not present as user or nkey in authorization block or \
                     account configuration"
                ),
            );
        }
    }
}

/// Every configured user.
fn users(options: &Options) -> impl Iterator<Item = &UserSpec> {
    let of_accounts = options.accounts.accounts.iter().flat_map(|a| &a.users);
    options.authorization.users.iter().chain(of_accounts)
}

fn cluster(options: &Options, f: &mut Findings<'_>) {
    let Some(cluster) = &options.cluster else {
        return;
    };
    f.add_if(
        cluster.name.as_deref().unwrap_or_default().contains(' '),
        &["cluster.name"],
        "cluster name cannot contain spaces",
    );
    f.add_if(
        cluster.pool_size < 0 && !cluster.accounts.is_empty(),
        &["cluster.accounts"],
        "pool_size cannot be negative if pinned accounts are specified",
    );
    let mut seen = Vec::new();
    for name in &cluster.accounts {
        f.add_if(
            seen.contains(&name),
            &["cluster.accounts"],
            format!("found duplicate account name {name:?} in pinned accounts list"),
        );
        seen.push(name);
    }
    if options.jetstream.enabled && cluster.endpoint.port.is_some() {
        f.add_if(
            cluster.name.is_none(),
            &["cluster"],
            "jetstream cluster requires `cluster.name` to be set",
        );
        f.add_if(
            options.listen.server_name.is_none(),
            &["jetstream"],
            "jetstream cluster requires `server_name` to be set",
        );
    }
}

fn gateway(options: &Options, f: &mut Findings<'_>) {
    let Some(gateway) = &options.gateway else {
        return;
    };
    let Some(name) = &gateway.name else {
        f.add_if(
            gateway.endpoint.port.is_some(),
            &["gateway"],
            "gateway has no name",
        );
        return;
    };
    f.add_if(
        gateway.endpoint.port.is_none(),
        &["gateway"],
        format!("gateway {name:?} has no port specified (select -1 for random port)"),
    );
    let cluster_name = options.cluster.as_ref().and_then(|c| c.name.as_ref());
    f.add_if(
        cluster_name.is_some_and(|cluster_name| cluster_name != name),
        &["gateway.name"],
        "cluster name conflicts between cluster and gateway definitions",
    );
    for (index, remote) in gateway.gateways.iter().enumerate() {
        if remote.name.is_empty() {
            let message = format!("gateway in the list {index} has no name");
            f.add(&["gateway.gateways"], message);
        } else if remote.urls.is_empty() {
            f.add(
                &["gateway.gateways"],
                format!("gateway {:?} has no URL", remote.name),
            );
        }
    }
}

fn leafnodes(options: &Options, f: &mut Findings<'_>) {
    let Some(leafnodes) = &options.leafnodes else {
        return;
    };
    let is_known = |name: &str| options.operator.is_operator_mode() || is_account(options, name);
    for remote in &leafnodes.remotes {
        let account = remote.account.as_deref().unwrap_or(account::GLOBAL);
        f.add_if(
            !is_known(account),
            &["leafnodes.remotes"],
            format!("cannot find local account {account:?} specified in leafnode remote"),
        );
        let is_websocket = |scheme: &str| matches!(scheme, "ws" | "wss");
        let websockets = remote
            .urls
            .iter()
            .filter(|u| is_websocket(&u.scheme))
            .count();
        f.add_if(
            websockets > 0 && websockets < remote.urls.len(),
            &["leafnodes.remotes"],
            "remote leaf node configuration cannot have a mix of websocket and non-websocket urls",
        );
        f.add_if(
            remote.urls.is_empty(),
            &["leafnodes.remotes"],
            "a leafnode remote needs a url",
        );
        f.add_if(
            remote.proxy.is_some() && websockets == 0,
            &["leafnodes.remotes"],
            "a proxy of a leafnode remote needs websocket urls",
        );
        f.add_if(
            remote.credentials.is_some() && remote.nkey.is_some(),
            &["leafnodes.remotes"],
            "a leafnode remote cannot have both credentials and nkey",
        );
    }
    if let Some(authorization) = &leafnodes.authorization {
        let of_users = authorization.users.iter().map(|u| u.account.as_deref());
        let accounts = of_users.chain([authorization.account.as_deref()]);
        for account in accounts.flatten() {
            f.add_if(
                !is_known(account),
                &["leafnodes.authorization"],
                format!(
                    "cannot find local account {account:?} specified in leafnode authorization"
                ),
            );
        }
    }
    let has_gateway = options.gateway.as_ref().is_some_and(|g| g.name.is_some());
    let is_on = leafnodes.endpoint.port.is_some() || !leafnodes.remotes.is_empty();
    f.add_if(
        is_on && has_gateway && options.accounts.no_system_account,
        &["leafnodes"],
        "leaf nodes and gateways (both being defined) require a system account to also be configured",
    );
}

fn websocket(options: &Options, f: &mut Findings<'_>) {
    let Some(websocket) = &options.websocket else {
        return;
    };
    if websocket.endpoint.port.is_none() {
        return;
    }
    f.add_if(
        websocket.tls.is_none() && !websocket.no_tls,
        &["websocket"],
        "websocket requires TLS configuration",
    );
    for origin in &websocket.allowed_origins {
        let is_url = super::url::PeerUrl::parse(origin)
            .is_ok_and(|url| matches!(url.scheme.as_str(), "http" | "https"));
        f.add_if(
            !is_url,
            &["websocket.allowed_origins"],
            format!("unable to parse allowed origin: {origin:?} is no http or https URL"),
        );
    }
    single_login(options, f, websocket.authorization.as_ref(), "websocket");
    if let Some(cookie) = &websocket.jwt_cookie {
        f.add_if(
            !options.operator.is_operator_mode(),
            &["websocket.jwt_cookie"],
            format!(
                "trusted operators or trusted keys configuration is required for JWT \
                 authentication via cookie {cookie:?}"
            ),
        );
    }
    const RESERVED: [&str; 4] = ["host", "content-length", "connection", "upgrade"];
    for (name, _) in &websocket.headers {
        let lower = name.to_ascii_lowercase();
        let is_reserved = RESERVED.contains(&lower.as_str())
            || lower == "nats-no-masking"
            || lower.starts_with("sec-websocket-");
        f.add_if(
            is_reserved,
            &["websocket.headers"],
            format!("websocket: invalid header {name:?} not allowed"),
        );
    }
}

/// The single login of a listener does not go with users for everybody.
fn single_login(
    options: &Options,
    f: &mut Findings<'_>,
    login: Option<&LinkAuthorization>,
    listener: &str,
) {
    let Some(login) = login else { return };
    let path = format!("{listener}.authorization");
    let has_users = users(options).next().is_some();
    for (is_there, what) in [
        (login.user.is_some(), "username"),
        (login.token.is_some(), "token"),
    ] {
        f.add_if(
            is_there && has_users,
            &[&path],
            format!("{listener} authentication {what} not compatible with presence of users/nkeys"),
        );
    }
}

fn mqtt(options: &Options, f: &mut Findings<'_>) {
    let Some(mqtt) = &options.mqtt else { return };
    if mqtt.endpoint.port.is_none() {
        return;
    }
    single_login(options, f, mqtt.authorization.as_ref(), "mqtt");
    let is_meshed = options
        .cluster
        .as_ref()
        .is_some_and(|c| c.endpoint.port.is_some())
        || options.gateway.as_ref().is_some_and(|g| g.name.is_some());
    f.add_if(
        is_meshed && options.listen.server_name.is_none(),
        &["mqtt"],
        "mqtt requires server name to be explicitly set",
    );
    let has_remotes = options
        .leafnodes
        .as_ref()
        .is_some_and(|l| !l.remotes.is_empty());
    f.add_if(
        !is_meshed && !has_remotes && !options.jetstream.enabled,
        &["mqtt"],
        "mqtt requires JetStream to be enabled if running in standalone mode",
    );
}

/// What an operator should know, although the server starts.
pub(super) fn warnings(options: &Options) -> Vec<ConfigError> {
    let mut findings = Findings {
        options,
        errors: Vec::new(),
    };
    let f = &mut findings;
    f.add_if(
        options.limits.max_payload > PAYLOAD_WARN_ABOVE,
        &["max_payload"],
        "Maximum payloads over 8.00 MB are generally discouraged and could lead to poor performance",
    );
    f.add_if(
        options.limits.max_connections <= 0,
        &["max_connections"],
        "max_connections of 0 or less refuses every client",
    );
    f.add_if(
        has_plain_password(options),
        &[],
        "Plaintext passwords detected, use nkeys or bcrypt",
    );
    f.add_if(
        options.limits.disable_sublist_cache,
        &["disable_sublist_cache"],
        "disable_sublist_cache has no effect: match results are cached per connection and always fresh",
    );
    f.add_if(
        options.jetstream.feature_flags.iter().any(|(_, on)| *on),
        &["feature_flags"],
        "feature_flags has no effect: this server has no such switches",
    );
    f.add_if(
        options.listen.allow_non_tls && options.tls.is_none(),
        &["allow_non_tls"],
        "allow_non_tls has no effect without tls",
    );
    let suites = options
        .tls
        .as_ref()
        .map_or(&[][..], |tls| &tls.cipher_suites);
    f.add_if(
        suites.iter().any(|name| !tls::is_spoken(name)),
        &["tls.cipher_suites"],
        "some cipher_suites are not spoken by this server and are left out",
    );
    let curves = options
        .tls
        .as_ref()
        .map_or(&[][..], |tls| &tls.curve_preferences);
    f.add_if(
        curves.iter().any(|name| !tls::is_spoken_curve(name)),
        &["tls.curve_preferences"],
        "some curve_preferences are not spoken by this server and are left out",
    );
    findings.errors
}

fn has_plain_password(options: &Options) -> bool {
    let is_plain = |text: &str| !text.is_empty() && !is_bcrypt(text);
    let authorization = &options.authorization;
    let single = [&authorization.password, &authorization.token];
    single
        .into_iter()
        .flatten()
        .any(|secret| is_plain(secret.expose()))
        || users(options).any(|user| match &user.login {
            Login::Password { password, .. } => is_plain(password),
            Login::Nkey(_) => false,
        })
}

/// `$2a$10$…` and its relatives.
fn is_bcrypt(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, [b'$', b'2', b'a' | b'b' | b'x' | b'y', b'$', c1, c2, b'$', ..]
        if c1.is_ascii_digit() && c2.is_ascii_digit())
}

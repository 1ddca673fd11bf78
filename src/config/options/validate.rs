//! What is wrong, or worth a warning, between sections.
//!
//! Separate from reading because flags come in between: a file without `server_name` is
//! right when the command line has one. Each check is one function; the texts are those that
//! operators of such servers know. Here stands what concerns clients; `links` has the other
//! listeners and the links between servers, `warnings` what does not keep a server from
//! starting.

mod links;
pub(super) mod warnings;

use super::Options;
use super::tls::{self, Tls};
use crate::account;
use crate::auth::users::UserSpec;
use crate::config::error::ConfigError;
use crate::config::units::format_duration;

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
        links::jetstream,
        links::cluster,
        links::gateway,
        links::leafnodes,
        links::websocket,
        links::mqtt,
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

//! What is wrong between sections about streams, other listeners and links between servers.

use super::{Findings, is_account, users};
use crate::account;
use crate::config::options::Options;
use crate::config::options::authorization::LinkAuthorization;
use crate::config::options::url::PeerUrl;

pub(super) fn jetstream(options: &Options, f: &mut Findings<'_>) {
    let jetstream = &options.jetstream;
    let domain = jetstream.domain.as_deref().unwrap_or_default();
    if domain.contains(['.', '*', '>']) {
        f.add(
            &["jetstream.domain"],
            "invalid domain name: may not contain ., * or >",
        );
    } else if domain.contains(char::is_whitespace) {
        f.add(
            &["jetstream.domain"],
            format!("invalid domain name: derived \"$JS.{domain}.API.>\" is not a valid subject"),
        );
    }
    f.add_if(
        jetstream.encryption_key.is_some() && jetstream.tpm.is_some(),
        &["jetstream.tpm"],
        "JetStream encryption key may not be used with TPM options",
    );
    let system = options
        .accounts
        .system_account
        .as_deref()
        .unwrap_or(account::SYSTEM);
    f.add_if(
        options
            .accounts
            .get(system)
            .is_some_and(|a| a.jetstream.is_some()),
        &["accounts"],
        "Not allowed to enable JetStream on the system account",
    );
}

pub(super) fn cluster(options: &Options, f: &mut Findings<'_>) {
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

pub(super) fn gateway(options: &Options, f: &mut Findings<'_>) {
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

pub(super) fn leafnodes(options: &Options, f: &mut Findings<'_>) {
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

pub(super) fn websocket(options: &Options, f: &mut Findings<'_>) {
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
        let is_url =
            PeerUrl::parse(origin).is_ok_and(|url| matches!(url.scheme.as_str(), "http" | "https"));
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

pub(super) fn mqtt(options: &Options, f: &mut Findings<'_>) {
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

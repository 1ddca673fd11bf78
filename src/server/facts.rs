//! What monitoring says of configuration and identity.

use std::thread;

use super::identity::Identity;
use super::version;
use crate::account;
use crate::clock::{self, Timestamp};
use crate::config::options::Options;
use crate::config::options::endpoint::Endpoint;
use crate::config::options::limits::WriteTimeout;
use crate::config::options::listen::ANY_HOST;
use crate::config::options::tls::HANDSHAKE_TIMEOUT;
use crate::monitor::source::ServerFacts;
use crate::protocol::info::Info;

/// What is known besides the options.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// When the server started.
    pub start: Timestamp,
    /// `sha256:…` of the configuration file; empty without one.
    pub digest: String,
    /// When the certificate of the client listener expires.
    pub tls_cert_not_after: Option<Timestamp>,
}

/// The facts of now.
pub(super) fn build(
    options: &Options,
    identity: &Identity,
    info: &Info,
    known: &Known,
) -> ServerFacts {
    let limits = &options.limits;
    let monitoring = &options.monitoring;
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    let auth_timeout = super::boot::client_options(options).auth_timeout;
    let port = |endpoint: &Endpoint| endpoint.port.map_or(0, |port| i64::from(port.configured()));
    let host = options.listen.endpoint.host_or(ANY_HOST);
    let system = options
        .accounts
        .system_account
        .as_deref()
        .unwrap_or(account::SYSTEM);
    ServerFacts {
        server_id: identity.id().to_owned(),
        server_name: identity.name.clone(),
        version: version::COMPATIBILITY.to_owned(),
        product_version: version::VERSION.to_owned(),
        compiler: version::COMPILER.to_owned(),
        host: info.host.clone(),
        port: i64::from(info.port),
        // The first INFO leaves it out for a default user, monitoring does not.
        auth_required: info.auth_required || options.authorization.no_auth_user.is_some(),
        tls_required: info.tls_required,
        tls_verify: info.tls_verify,
        connect_urls: info.connect_urls.clone(),
        max_connections: limits.max_connections,
        max_subscriptions: i64::try_from(limits.max_subscriptions).unwrap_or(i64::MAX),
        ping_interval: limits.ping_interval,
        ping_max: i64::from(limits.ping_max),
        http_host: monitoring.http.host_or(host).to_owned(),
        http_port: port(&monitoring.http),
        http_base_path: monitoring.http_base_path.clone(),
        https_port: port(&monitoring.https),
        auth_timeout,
        max_control_line: i64::from(limits.max_control_line),
        max_payload: i64::from(limits.max_payload),
        max_pending: i64::try_from(limits.max_pending).unwrap_or(i64::MAX),
        tls_timeout: options
            .tls
            .as_ref()
            .map_or(HANDSHAKE_TIMEOUT, |tls| tls.timeout),
        write_deadline: limits.write_deadline,
        write_timeout: match limits.write_timeout {
            WriteTimeout::Default => "",
            WriteTimeout::Close => "close",
            WriteTimeout::Retry => "retry",
        }
        .to_owned(),
        start: known.start,
        cores,
        worker_threads: cores,
        config_load_time: clock::now(),
        config_digest: known.digest.clone(),
        tags: options.listen.server_tags.clone(),
        metadata: options.listen.server_metadata.clone(),
        system_account: if options.accounts.no_system_account {
            String::new()
        } else {
            system.to_owned()
        },
        jetstream: options.jetstream.enabled,
        tls_cert_not_after: known.tls_cert_not_after,
        ..ServerFacts::default()
    }
}

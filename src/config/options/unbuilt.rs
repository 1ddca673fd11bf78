//! What parses and validates, but is not done in this release.
//!
//! Separate, and one table, so that nothing is accepted and silently ignored: `-t` says that
//! such a file is valid, a start is refused with the place and a sentence. Building a part
//! ends with deleting its row.

use super::Options;
use super::jetstream::Cipher;
use super::tls::Tls;
use crate::account::export::ExportKind;
use crate::config::error::ConfigError;

/// A part that is not built.
struct Row {
    /// The keys that ask for it, as dotted paths; `*` stands for one part of a path.
    paths: &'static [&'static str],
    /// It is asked for, by file or flag.
    is_asked_for: fn(&Options) -> bool,
    /// What is said about it.
    sentence: &'static str,
}

const fn row(
    paths: &'static [&'static str],
    is_asked_for: fn(&Options) -> bool,
    sentence: &'static str,
) -> Row {
    Row {
        paths,
        is_asked_for,
        sentence,
    }
}

#[rustfmt::skip]
const UNBUILT: &[Row] = &[
    row(&["default_js_domain"], |o| !o.accounts.default_js_domain.is_empty(),
        "default_js_domain is not part of this release: JetStream has no domains"),
    row(&["jetstream.domain"], |o| o.jetstream.domain.as_ref().is_some_and(|domain| !domain.is_empty()),
        "jetstream domains are not part of this release"),
    row(&["jetstream.extension_hint"], |o| o.jetstream.extension_hint.as_ref().is_some_and(|hint| !hint.is_empty()),
        "extension_hint is not part of this release: JetStream has no domains"),
    row(&["jetstream.key", "jetstream.prev_key", "jetstream.cipher"], encrypts,
        "encryption of streams is not part of this release: encrypt the disk"),
    row(&["jetstream.tpm"], |o| o.jetstream.tpm.is_some(),
        "encryption of streams is not part of this release: encrypt the disk"),
    row(&["cluster"], |o| o.cluster.is_some(),
        "cluster is not part of this release: a server runs alone"),
    row(&["gateway"], |o| o.gateway.is_some(),
        "gateway is not part of this release"),
    row(&["leafnodes"], |o| o.leafnodes.is_some(),
        "leafnodes are not part of this release"),
    row(&["websocket"], |o| o.websocket.is_some(),
        "websocket is not part of this release"),
    row(&["mqtt"], |o| o.mqtt.is_some(),
        "mqtt is not part of this release"),
    row(&["streaming"], |o| o.streaming.is_some(),
        "streaming is not part of this release"),
    row(&["operator", "trusted_keys"], |o| o.operator.is_operator_mode(),
        "operator mode is not part of this release: configure accounts instead"),
    row(&["resolver"], |o| o.operator.resolver.is_some(),
        "account resolvers are not part of this release: configure accounts instead"),
    row(&["resolver_tls"], |o| o.operator.resolver_tls.is_some(),
        "account resolvers are not part of this release: configure accounts instead"),
    row(&["resolver_preload"], |o| !o.operator.resolver_preload.is_empty(),
        "account resolvers are not part of this release: configure accounts instead"),
    row(&["resolver_pinned_accounts"], |o| !o.operator.resolver_pinned_accounts.is_empty(),
        "operator mode is not part of this release: configure accounts instead"),
    row(&["default_sentinel"], |o| o.operator.default_sentinel.is_some(),
        "operator mode is not part of this release: configure accounts instead"),
    row(&["authorization.auth_callout"], |o| o.authorization.auth_callout.is_some(),
        "auth_callout is not part of this release"),
    row(&["ocsp"], |o| o.ocsp.as_ref().is_some_and(|ocsp| ocsp.mode != super::ocsp::OcspMode::Never),
        "ocsp is not part of this release"),
    row(&["ocsp_cache"], |o| o.ocsp_cache.as_ref().is_some_and(|cache| cache.local),
        "ocsp_cache is not part of this release"),
    row(&["tls.ocsp_peer"], |o| has(o, |tls| tls.ocsp_peer.as_ref().is_some_and(|peer| peer.verify)),
        "ocsp_peer is not part of this release"),
    row(&["tls.cert_store", "tls.cert_match_by", "tls.cert_match", "tls.ca_certs_match",
        "tls.cert_match_skip_invalid"], |o| has(o, |tls| tls.cert_store != super::tls::CertStore::default()),
        "the certificate store of Windows is not part of this release: use cert_file"),
    row(&["proxy_protocol"], |o| o.listen.proxy_protocol,
        "proxy_protocol is not part of this release"),
    row(&["proxies"], |o| o.proxies.as_ref().is_some_and(|proxies| !proxies.trusted.is_empty()),
        "proxies are not part of this release"),
    row(&["authorization.proxy_required"], |o| o.authorization.proxy_required,
        "proxy_required is not part of this release"),
    row(&["authorization.users.*.proxy_required", "accounts.*.users.*.proxy_required"], user_needs_proxy,
        "proxy_required is not part of this release"),
    row(&["syslog"], |o| o.logging.syslog,
        "syslog is not part of this release: log to standard error or a file"),
    row(&["remote_syslog"], |o| o.logging.remote_syslog.is_some(),
        "remote_syslog is not part of this release: log to standard error or a file"),
    row(&["prof_port"], |o| o.monitoring.prof_port.is_some(),
        "the profiler is not part of this release"),
    row(&["prof_block_rate"], |o| o.monitoring.prof_block_rate != 0,
        "the profiler is not part of this release"),
    row(&["accounts.*.exports.*.latency"], |o| has_service(o, |_, latency| latency),
        "service latency is not part of this release"),
    row(&["accounts.*.exports.*.allow_trace"], |o| has_service(o, |trace, _| trace),
        "message tracing is not part of this release"),
    row(&["accounts.*.imports.*.allow_trace"],
        |o| o.accounts.accounts.iter().flat_map(|a| &a.imports).any(|import| import.allow_trace),
        "message tracing is not part of this release"),
    row(&["accounts.*.msg_trace"], |o| o.accounts.accounts.iter().any(|a| a.trace.is_some()),
        "message tracing is not part of this release"),
];

/// One error for each place that asks for a part that is not built.
pub(super) fn refuse(options: &Options) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for row in UNBUILT.iter().filter(|row| (row.is_asked_for)(options)) {
        let error = |position| ConfigError {
            position,
            message: row.sentence.to_owned(),
        };
        let before = errors.len();
        let positions = row
            .paths
            .iter()
            .flat_map(|path| options.positions.matching(path));
        errors.extend(positions.map(|position| error(Some(position.clone()))));
        if errors.len() == before {
            errors.push(error(None));
        }
    }
    errors
}

/// Streams are to be encrypted. A cipher without a key does nothing with the peers; here it
/// would be a promise.
fn encrypts(options: &Options) -> bool {
    let jetstream = &options.jetstream;
    jetstream.encryption_key.is_some()
        || jetstream.previous_encryption_key.is_some()
        || jetstream.cipher != Cipher::default()
}

/// TLS of the client listener is such; other blocks are refused as a whole.
fn has(options: &Options, is_such: fn(&Tls) -> bool) -> bool {
    options.tls.as_ref().is_some_and(is_such)
}

fn user_needs_proxy(options: &Options) -> bool {
    let of_accounts = options.accounts.accounts.iter().flat_map(|a| &a.users);
    let mut everybody = options.authorization.users.iter().chain(of_accounts);
    everybody.any(|user| user.proxy_required)
}

/// Some exported service is such, given whether it is traced and measured.
fn has_service(options: &Options, is_such: fn(bool, bool) -> bool) -> bool {
    let mut exports = options.accounts.accounts.iter().flat_map(|a| &a.exports);
    exports.any(|export| match &export.kind {
        ExportKind::Service {
            latency,
            allow_trace,
            ..
        } => is_such(*allow_trace, latency.is_some()),
        ExportKind::Stream => false,
    })
}

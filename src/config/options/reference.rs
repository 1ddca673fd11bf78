//! The reference of configuration keys, made from the same tables that read them.
//!
//! Separate because a reference that is written by hand lies sooner or later. `markdown`
//! gives the text of `docs/config.md`; a test says when that file is stale.

use super::key::{Key, Reload};
use super::{
    accounts, authorization, cluster, compression, exports, gateway, jetstream, leafnodes, limits,
    listen, logging, mappings, monitoring, mqtt, ocsp, operator, proxies, streaming, tls, users,
    websocket,
};

/// The keys of one block.
pub struct Section {
    /// Where the block stands, as people write it; empty: the top of the file.
    pub place: &'static str,
    /// What the block is about.
    pub title: &'static str,
    /// Its keys.
    pub rows: Vec<Row>,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The published name and its aliases, `name|alias`.
    pub names: &'static str,
    /// The form of the value.
    pub form: &'static str,
    /// The default.
    pub default: &'static str,
    /// Whether a reload may change it.
    pub reload: Reload,
    /// An example that is not the default.
    pub example: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// Every block with its keys, in the order of the reference.
pub fn sections() -> Vec<Section> {
    vec![
        section("", "Listener and identity", listen::KEYS),
        section("", "Limits and timers", limits::KEYS),
        section("", "Logging", logging::KEYS),
        section("", "Monitoring", monitoring::KEYS),
        section("", "Login", authorization::TOP_KEYS),
        section("", "Accounts", accounts::TOP_KEYS),
        section("", "Blocks", super::TOP_KEYS),
        section("", "Streams", jetstream::TOP_KEYS),
        section("", "Operator mode", operator::KEYS),
        section("tls", "TLS", tls::KEYS),
        section("tls.certs[]", "A certificate", tls::CERT_KEYS),
        section("tls.ocsp_peer", "OCSP of peers", ocsp::PEER_KEYS),
        section("authorization", "Who may connect", authorization::KEYS),
        section("users[]", "A user", users::USER_KEYS),
        section("permissions", "Permissions", users::PERMISSION_KEYS),
        section("allow_responses", "Answers", users::RESPONSE_KEYS),
        section(
            "authorization.auth_callout",
            "A service that decides",
            authorization::CALLOUT_KEYS,
        ),
        section("accounts.NAME", "An account", accounts::KEYS),
        section(
            "accounts.NAME.limits",
            "Limits of an account",
            accounts::LIMIT_KEYS,
        ),
        section(
            "accounts.NAME.jetstream",
            "What an account may store",
            accounts::JETSTREAM_KEYS,
        ),
        section("accounts.NAME.exports[]", "An export", exports::EXPORT_KEYS),
        section(
            "accounts.NAME.exports[].latency",
            "Latency of a service",
            exports::LATENCY_KEYS,
        ),
        section("accounts.NAME.imports[]", "An import", exports::IMPORT_KEYS),
        section(
            "accounts.NAME.imports[].stream|service",
            "The export it is about",
            exports::SOURCE_KEYS,
        ),
        section("accounts.NAME.msg_trace", "Tracing", accounts::TRACE_KEYS),
        section(
            "mappings.SUBJECT[]",
            "A destination of a mapping",
            mappings::DESTINATION_KEYS,
        ),
        section("jetstream", "Streams", jetstream::KEYS),
        section(
            "jetstream.limits",
            "Limits of streams",
            jetstream::LIMIT_KEYS,
        ),
        section(
            "jetstream.limits.batch",
            "Limits of batches",
            jetstream::BATCH_KEYS,
        ),
        section("jetstream.tpm", "A key in a TPM", jetstream::TPM_KEYS),
        section("cluster", "Routes", cluster::KEYS),
        section("compression", "Compression of links", compression::KEYS),
        section("gateway", "Gateways", gateway::KEYS),
        section(
            "gateway.gateways[]",
            "Another cluster",
            gateway::REMOTE_KEYS,
        ),
        section("leafnodes", "Leafnodes", leafnodes::KEYS),
        section(
            "leafnodes.authorization",
            "Login of leafnodes",
            leafnodes::AUTHORIZATION_KEYS,
        ),
        section(
            "leafnodes.authorization.users[]",
            "A leafnode user",
            leafnodes::USER_KEYS,
        ),
        section("leafnodes.remotes[]", "A remote", leafnodes::REMOTE_KEYS),
        section(
            "leafnodes.remotes[].jetstream_cluster_migrate",
            "Leadership",
            leafnodes::MIGRATE_KEYS,
        ),
        section(
            "leafnodes.remotes[].proxy",
            "An HTTP proxy",
            leafnodes::PROXY_KEYS,
        ),
        section("websocket", "WebSocket", websocket::KEYS),
        section("mqtt", "MQTT", mqtt::KEYS),
        section(
            "websocket|mqtt.authorization",
            "Login of a listener",
            authorization::LINK_KEYS,
        ),
        section("ocsp", "OCSP stapling", ocsp::STAPLING_KEYS),
        section("ocsp_cache", "OCSP cache", ocsp::CACHE_KEYS),
        section("proxies", "Proxies", proxies::KEYS),
        section("proxies.trusted[]", "A proxy", proxies::TRUSTED_KEYS),
        section("resolver", "A resolver", operator::RESOLVER_KEYS),
        section("streaming", "The older streaming protocol", streaming::KEYS),
        section("streaming.tls", "TLS of streaming", streaming::TLS_KEYS),
        section(
            "streaming.store_limits",
            "Limits of channels",
            streaming::LIMIT_KEYS,
        ),
    ]
}

fn section<T>(place: &'static str, title: &'static str, keys: &[Key<T>]) -> Section {
    let rows = keys.iter().map(|key| Row {
        names: key.names,
        form: key.form,
        default: key.default,
        reload: key.reload,
        example: key.example,
        meaning: key.meaning,
    });
    Section {
        place,
        title,
        rows: rows.collect(),
    }
}

/// The text of `docs/config.md`.
pub fn markdown() -> String {
    let mut out = String::from(INTRODUCTION);
    for section in sections() {
        let place = match section.place {
            "" => String::new(),
            place => format!(" `{place}`"),
        };
        out.push_str(&format!("\n## {}{place}\n\n", section.title));
        out.push_str("| Key | Aliases | Value | Default | Reload | Meaning |\n");
        out.push_str("|---|---|---|---|---|---|\n");
        for row in section.rows {
            out.push_str(&line(&row));
        }
    }
    out
}

const INTRODUCTION: &str = "\
# Configuration keys

Made from the tables that read the configuration: edit those, not this file.
Keys compare without case. A duration is text such as `2m`; a plain number is seconds and is
warned about. A size is a number with a suffix: `k`, `m`, `g` are powers of 1000, `kb`, `mb`,
`gb` powers of 1024. *Reload*: yes, no, or part of it. What is \"not in this release\" is read
and checked, but a server with it does not start.
";

fn line(row: &Row) -> String {
    let mut names = row.names.split('|');
    let name = names.next().unwrap_or_default();
    let aliases: Vec<String> = names.map(|alias| format!("`{alias}`")).collect();
    let reload = match row.reload {
        Reload::Yes => "yes",
        Reload::No => "no",
        Reload::Part => "part",
    };
    format!(
        "| `{name}` | {} | {} | {} | {reload} | {} |\n",
        aliases.join(", "),
        row.form,
        row.default,
        row.meaning
    )
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "a test writes the reference it checks"
)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");
        let expected = markdown();
        if std::env::var_os("NATTER_WRITE_DOCS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
            std::fs::write(path, &expected).unwrap();
        }
        let actual = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            actual == expected,
            "docs/config.md is stale: run this test with NATTER_WRITE_DOCS=1"
        );
    }
}

//! `accounts {}`, server-wide `mappings`, and which account is the server's own.

use std::collections::HashSet;

use super::key::{Key, Reload::*, key};
use super::public_key::KeyKind;
use super::reader::{Item, Reader};
use super::users;
use crate::account::limits::{AccountLimits, JetStreamLimits};
use crate::account::mapping::MappingSpec;
use crate::account::{self, AccountSpec, TraceSpec};
use crate::config::error::ConfigError;
use crate::config::value::Value;

/// The accounts of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accounts {
    /// Configured accounts, in file order. Default: none; `$G` and `$SYS` exist anyway.
    pub accounts: Vec<AccountSpec>,
    /// Mappings of account `$G`, in file order. Default: none.
    pub mappings: Vec<MappingSpec>,
    /// The account of the server itself. Default: `None`, which is `$SYS`.
    pub system_account: Option<String>,
    /// Do without a system account. Default false.
    pub no_system_account: bool,
    /// JetStream domain of accounts that have none here. Default: none.
    pub default_js_domain: Vec<(String, String)>,
}

impl Accounts {
    /// The configured account of that name.
    pub fn get(&self, name: &str) -> Option<&AccountSpec> {
        self.accounts.iter().find(|account| account.name == name)
    }
}

#[rustfmt::skip]
pub(super) const TOP_KEYS: &[Key<Accounts>] = &[
    key("accounts", "map of accounts, or array of names", "none", Yes, "{ A: {} }",
        "Accounts by name.",
        |a, v, r| accounts(v, r, &mut a.accounts)),
    key("mappings|maps", "map", "none", Yes, "{ foo: bar }",
        "Mappings of account `$G`.",
        |a, v, r| r.mappings(v, &mut a.mappings)),
    key("system_account|system", "string", "$SYS", No, "A",
        "The account of the server itself.",
        |a, v, r| r.text(v, &mut a.system_account)),
    key("no_system_account|no_system|no_sys_acc", "boolean", "false", No, "true",
        "Do without a system account.",
        |a, v, r| r.flag(v, &mut a.no_system_account)),
    key("default_js_domain", "map of strings", "none", No, "{ A: hub }",
        "JetStream domain of accounts that have none here. Not in this release.",
        |a, v, r| r.named_texts(v, &mut a.default_js_domain)),
];

#[rustfmt::skip]
pub(super) const KEYS: &[Key<AccountSpec>] = &[
    key("nkey", "public account key", "none", Yes,
        "ABJHLOVMPA4CI6R5KLNGOB4GSLNIY7IOUPAJC4YFNDLQVIOBYQGUWVLA",
        "The key of the account.",
        |a, v, r| nkey(v, r, &mut a.nkey)),
    key("users", "array of users", "none", Yes, "[ { user: joe, password: s3cr3t } ]",
        "Users of the account.",
        |a, v, r| r.users(v, &a.name.clone(), &mut a.users)),
    key("exports", "array of exports", "none", Yes, "[ { service: foo } ]",
        "What the account offers to others.",
        |a, v, r| r.exports(v, &mut a.exports)),
    key("imports", "array of imports", "none", Yes, "[ { service: { account: B, subject: foo } } ]",
        "What the account takes from others.",
        |a, v, r| r.imports(v, &mut a.imports)),
    key("jetstream", "boolean, enabled, disabled or map", "disabled", Yes, "enabled",
        "What the account may store; a block turns JetStream on.",
        |a, v, r| jetstream(v, r, &mut a.jetstream)),
    key("default_permissions", "permissions", "everything", Yes, "{ publish: foo }",
        "Permissions of users that have none.",
        |a, v, r| r.permissions(v, &mut a.default_permissions)),
    key("mappings|maps", "map", "none", Yes, "{ foo: bar }",
        "Mappings of subjects published in the account.",
        |a, v, r| r.mappings(v, &mut a.mappings)),
    key("limits", "map", "none", Yes, "{ max_connections: 5 }",
        "Limits of the whole account.",
        |a, v, r| { r.block(v, &mut a.limits, LIMIT_KEYS); }),
    key("msg_trace|trace_dest", "subject or { dest, sampling }", "none", Yes, "traces",
        "Where traces of sampled messages go. Not in this release.",
        |a, v, r| trace(v, r, &mut a.trace)),
];

#[rustfmt::skip]
pub(super) const LIMIT_KEYS: &[Key<AccountLimits>] = &[
    key("max_connections|max_conn", "integer", "-1: unlimited", Yes, "5",
        "Client connections.",
        |l, v, r| r.unlimited(v, &mut l.connections_max)),
    key("max_subscriptions|max_subs", "integer", "-1: unlimited", Yes, "5",
        "Subscriptions over all connections.",
        |l, v, r| r.unlimited(v, &mut l.subscriptions_max)),
    key("max_payload|max_pay", "size", "-1: unlimited", Yes, "1KB",
        "Bytes of one message.",
        |l, v, r| r.unlimited(v, &mut l.payload_bytes_max)),
    key("max_leafnodes|max_leafs", "integer", "-1: unlimited", Yes, "5",
        "Leafnode connections.",
        |l, v, r| r.unlimited(v, &mut l.leafnodes_max)),
];

#[rustfmt::skip]
pub(super) const JETSTREAM_KEYS: &[Key<JetStreamLimits>] = &[
    key("max_memory|max_mem|mem", "size", "-1: unlimited", Yes, "1GB",
        "Bytes of streams in memory.",
        |l, v, r| r.unlimited(v, &mut l.memory_bytes_max)),
    key("max_store|max_file|max_disk|store|disk", "size", "-1: unlimited", Yes, "1GB",
        "Bytes of streams on disk.",
        |l, v, r| r.unlimited(v, &mut l.storage_bytes_max)),
    key("max_streams|streams", "integer", "-1: unlimited", Yes, "5",
        "Streams.",
        |l, v, r| r.unlimited(v, &mut l.streams_max)),
    key("max_consumers|consumers", "integer", "-1: unlimited", Yes, "5",
        "Consumers.",
        |l, v, r| r.unlimited(v, &mut l.consumers_max)),
    key("max_ack_pending", "integer", "-1: unlimited", Yes, "5",
        "Messages of a consumer awaiting an ack.",
        |l, v, r| r.unlimited(v, &mut l.ack_pending_max)),
    key("mem_max_stream_bytes|max_memory_stream_bytes|memory_max_stream_bytes", "size", "-1: unlimited",
        Yes, "1MB",
        "Bytes of one stream in memory.",
        |l, v, r| r.unlimited(v, &mut l.memory_stream_bytes_max)),
    key("disk_max_stream_bytes|max_disk_stream_bytes", "size", "-1: unlimited", Yes, "1MB",
        "Bytes of one stream on disk.",
        |l, v, r| r.unlimited(v, &mut l.storage_stream_bytes_max)),
    key("max_bytes_required|max_stream_bytes|max_bytes", "boolean", "false", Yes, "true",
        "Streams must say how many bytes they may hold.",
        |l, v, r| r.flag(v, &mut l.bytes_max_required)),
    key("cluster_traffic", "system or owner", "system", Yes, "owner",
        "The account that carries traffic between replicas.",
        |l, v, r| cluster_traffic(v, r, &mut l.traffic_in_account)),
];

#[rustfmt::skip]
pub(super) const TRACE_KEYS: &[Key<TraceSpec>] = &[
    key("dest", "subject", "needed", Yes, "traces",
        "The subject that receives traces.",
        |t, v, r| r.text(v, &mut t.dest)),
    key("sampling", "1 to 100 or \"N%\"", "100", Yes, "50",
        "Percent of sampled messages that are traced.",
        |t, v, r| sampling(v, r, &mut t.sampling)),
];

fn accounts(v: Item<'_>, r: &mut Reader, into: &mut Vec<AccountSpec>) {
    let mut names: HashSet<String> = HashSet::new();
    let mut all: Vec<AccountSpec> = Vec::new();
    match &v.node.value {
        Value::Array(_) => r.each_element(v, |r, element| {
            let mut name = String::new();
            r.text(element, &mut name);
            if new_account(&name, element, r, &mut names) {
                all.push(AccountSpec {
                    name,
                    ..AccountSpec::default()
                });
            }
        }),
        _ => r.each_entry(v, |r, entry| {
            if !matches!(entry.node.value, Value::Map(_)) {
                if entry.is_variable {
                    return;
                }
                return r.error(entry, "Expected map entries for accounts");
            }
            if new_account(entry.key, entry, r, &mut names) {
                let name = entry.key.to_owned();
                let mut account = AccountSpec {
                    name,
                    ..AccountSpec::default()
                };
                r.block(entry, &mut account, KEYS);
                all.push(account);
            }
        }),
    }
    *into = all;
}

fn new_account(name: &str, v: Item<'_>, r: &mut Reader, names: &mut HashSet<String>) -> bool {
    if name.is_empty() {
        r.error(v, "an account needs a name");
    } else if name == account::GLOBAL {
        r.error(v, format!("{name:?} is a Reserved Account"));
    } else if !names.insert(name.to_owned()) {
        r.error(v, format!("Duplicate Account Entry: {name}"));
    } else {
        return true;
    }
    false
}

/// Users that occur more than once over all accounts and the authorization block, which has
/// already told about its own.
pub(super) fn check_duplicate_users(r: &mut Reader, options: &super::Options) {
    let mut seen = HashSet::new();
    let mut errors = Vec::new();
    for account in &options.accounts.accounts {
        for (index, user) in account.users.iter().enumerate() {
            if !seen.insert(user.name()) {
                let path = ["accounts", &account.name, "users", &index.to_string()];
                errors.push(ConfigError {
                    position: r.positions.exact(&path).cloned(),
                    message: users::duplicate_message(user),
                });
            }
        }
    }
    for (index, user) in options.authorization.users.iter().enumerate() {
        if seen.contains(user.name()) {
            let path = ["authorization", "users", &index.to_string()];
            errors.push(ConfigError {
                position: r.positions.exact(&path).cloned(),
                message: users::duplicate_message(user),
            });
        }
    }
    r.errors.append(&mut errors);
}

fn nkey(v: Item<'_>, r: &mut Reader, into: &mut Option<String>) {
    r.text(v, into);
    let text = into.as_deref().unwrap_or_default();
    if KeyKind::of(text) != Some(KeyKind::Account) {
        r.error(
            v,
            format!("Not a valid public nkey for an account: {text:?}"),
        );
    }
}

fn jetstream(v: Item<'_>, r: &mut Reader, into: &mut Option<JetStreamLimits>) {
    match &v.node.value {
        Value::Bool(on) => *into = on.then(JetStreamLimits::default),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "enabled" | "enable" => *into = Some(JetStreamLimits::default()),
            "disabled" | "disable" => *into = None,
            _ => {
                let message =
                    format!("Expected 'enabled' or 'disabled' for string value, got '{text}'");
                r.error(v, message);
            }
        },
        Value::Map(_) => r.presence(v, into, JETSTREAM_KEYS),
        _ => r.expected(v, "a map, true, false, enabled or disabled"),
    }
}

fn cluster_traffic(v: Item<'_>, r: &mut Reader, into: &mut bool) {
    let words = [("system", false), ("owner", true)];
    let wrong = "Expected 'system' or 'owner' string value for \"cluster_traffic\", got {}";
    r.word(v, into, &words, wrong);
}

fn trace(v: Item<'_>, r: &mut Reader, into: &mut Option<TraceSpec>) {
    let mut trace = TraceSpec {
        dest: String::new(),
        sampling: 100,
    };
    match &v.node.value {
        Value::String(text) => trace.dest.clone_from(text),
        Value::Map(map) => r.map(map, &mut trace, TRACE_KEYS),
        _ => {
            let key = v.key;
            let message =
                format!("Expected account message trace {key:?} to be a string or a map/struct");
            return r.error(v, message);
        }
    }
    if trace.dest.is_empty() {
        return r.warn(
            v,
            "Trace destination sampling ignored since no destination was set",
        );
    }
    if !users::is_literal(&trace.dest) {
        r.error(
            v,
            format!("Trace destination {:?} is not valid", trace.dest),
        );
    }
    *into = Some(trace);
}

fn sampling(v: Item<'_>, r: &mut Reader, into: &mut u8) {
    match r.percent(v) {
        Some(percent @ 1..=100) => *into = u8::try_from(percent).unwrap_or(100),
        Some(percent) => {
            let message = format!(
                "trace destination sampling value {percent} is invalid, needs to be [1..100]"
            );
            r.error(v, message);
        }
        None => r.error(v, "Invalid trace destination sampling value"),
    }
}

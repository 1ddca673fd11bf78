//! Operator mode: whom to trust, and where account JWTs come from.

use std::time::Duration;

use super::key::{Key, Reload::*, key};
use super::public_key::KeyKind;
use super::reader::{Item, Reader};
use super::secret::Secret;
use super::tls::{Tls, TlsUse};
use crate::config::value::Value;

/// Trust and resolver of operator mode; empty means: accounts are configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operator {
    /// Operator JWTs, inline or as paths of files. Default: none.
    pub operators: Vec<String>,
    /// Public operator keys; not together with `operators`. Default: none.
    pub trusted_keys: Vec<String>,
    /// Where account JWTs come from. Default: none.
    pub resolver: Option<Resolver>,
    /// TLS towards a URL resolver. Default: none.
    pub resolver_tls: Option<Tls>,
    /// Account JWTs by account key, loaded at start. Default: none.
    pub resolver_preload: Vec<(String, String)>,
    /// Accounts whose users are accepted by key alone. Default: all.
    pub resolver_pinned_accounts: Vec<String>,
    /// User JWT of clients that send none. Default: none.
    pub default_sentinel: Option<Secret>,
}

/// Where account JWTs come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolver {
    /// Only what is preloaded.
    Memory,
    /// `GET` of this URL and the account key.
    Url(String),
    /// A directory with all accounts, in step with other servers.
    Full {
        /// The directory.
        dir: String,
        /// Accounts may be deleted. Default false.
        allow_delete: bool,
        /// Deleting removes the file. Default false: it is renamed.
        hard_delete: bool,
        /// Time between comparisons with other servers. Default 1 minute.
        interval: Duration,
        /// Accounts kept. Default 0: all.
        limit: u64,
        /// Time a lookup may take. Default 1.9 seconds.
        timeout: Duration,
    },
    /// A directory with the accounts used last.
    Cache {
        /// The directory.
        dir: String,
        /// Accounts kept. Default 1000.
        limit: u64,
        /// How long an account is kept. Default: for ever.
        ttl: Option<Duration>,
        /// Time a lookup may take. Default 1.9 seconds.
        timeout: Duration,
    },
}

impl Operator {
    /// The server trusts operators instead of configured accounts.
    pub fn is_operator_mode(&self) -> bool {
        !self.operators.is_empty() || !self.trusted_keys.is_empty()
    }
}

/// Time a lookup of an account may take.
const FETCH_TIMEOUT: Duration = Duration::from_millis(1900);

/// Why a resolver is not understood.
const BAD_RESOLVER: &str = "error parsing account resolver, should be MEM or  URL(\"url\") or a \
                            map containing dir and type state=[FULL|CACHE])";

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Operator>] = &[
    key("operator|operators|roots|root|root_operators|root_operator", "JWT, path or array", "none", No,
        "/jwt/operator.jwt",
        "Operators to trust. Not in this release.",
        |o, v, r| r.texts(v, &mut o.operators)),
    key("trusted_keys|trusted", "key or array", "none", No,
        "OBU5O5FJ324UDPRBIVRGF7CNEOHGLPS7EYPBTVQZKSBHIIZIB6HD66JF",
        "Public operator keys to trust. Not in this release.",
        |o, v, r| trusted_keys(v, r, &mut o.trusted_keys)),
    key("resolver|account_resolver|accounts_resolver", "MEMORY, URL(url) or map", "none", Part, "MEMORY",
        "Where account JWTs come from. Not in this release.",
        |o, v, r| resolver(v, r, &mut o.resolver)),
    key("resolver_tls", "tls", "none", Yes, "{ ca_file: /tls/ca.crt }",
        "TLS towards a URL resolver. Not in this release.",
        |o, v, r| r.tls(v, &mut o.resolver_tls, TlsUse::Plain)),
    key("resolver_preload", "map of JWTs", "none", Yes,
        "{ ABJHLOVMPA4CI6R5KLNGOB4GSLNIY7IOUPAJC4YFNDLQVIOBYQGUWVLA: eyJ.e30.c2ln }",
        "Account JWTs loaded at start. Not in this release.",
        |o, v, r| preload(v, r, &mut o.resolver_preload)),
    key("resolver_pinned_accounts", "array of keys", "all", No,
        "[ABJHLOVMPA4CI6R5KLNGOB4GSLNIY7IOUPAJC4YFNDLQVIOBYQGUWVLA]",
        "Accounts users are accepted of. Not in this release.",
        |o, v, r| r.texts(v, &mut o.resolver_pinned_accounts)),
    key("default_sentinel", "user JWT", "none", Yes, "eyJ.e30.c2ln",
        "The JWT of clients that send none. Not in this release.",
        |o, v, r| r.secret(v, &mut o.default_sentinel)),
];

/// The keys of a resolver, before it is known which kind it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ResolverBlock {
    kind: String,
    dir: String,
    allow_delete: bool,
    hard_delete: bool,
    interval: Option<Duration>,
    limit: Option<u64>,
    ttl: Option<Duration>,
    timeout: Option<Duration>,
}

#[rustfmt::skip]
pub(super) const RESOLVER_KEYS: &[Key<ResolverBlock>] = &[
    key("type", "full, cache or memory", "needed", Part, "full",
        "All accounts, those used last, or only those preloaded.",
        |b, v, r| r.text(v, &mut b.kind)),
    key("dir", "path", "needed", Part, "/jwt",
        "Directory of the accounts.",
        |b, v, r| r.text(v, &mut b.dir)),
    key("allow_delete", "boolean", "false", Part, "true",
        "Accounts may be deleted; `full` only.",
        |b, v, r| r.flag(v, &mut b.allow_delete)),
    key("hard_delete", "boolean", "false", Part, "true",
        "Deleting removes the file; `full` only.",
        |b, v, r| r.flag(v, &mut b.hard_delete)),
    key("interval", "duration", "1m", Part, "2m",
        "Time between comparisons with other servers; `full` only.",
        |b, v, r| r.duration(v, &mut b.interval)),
    key("limit", "integer", "all; cache: 1000", Part, "10",
        "Accounts kept.",
        |b, v, r| r.number(v, &mut b.limit)),
    key("ttl", "duration", "for ever", Part, "1h",
        "How long an account is kept; `cache` only.",
        |b, v, r| r.duration(v, &mut b.ttl)),
    key("timeout", "duration", "1.9s", Part, "5s",
        "Time a lookup may take.",
        |b, v, r| r.duration(v, &mut b.timeout)),
];

fn trusted_keys(v: Item<'_>, r: &mut Reader, into: &mut Vec<String>) {
    r.one_or_more(v, |r, element| {
        let mut text = String::new();
        r.text(element, &mut text);
        if KeyKind::of(&text) == Some(KeyKind::Operator) {
            into.push(text);
        } else {
            let message = format!("trust key {text:?} required to be a valid public operator nkey");
            r.error(element, message);
        }
    });
}

fn resolver(v: Item<'_>, r: &mut Reader, into: &mut Option<Resolver>) {
    match &v.node.value {
        Value::String(text) => match resolver_of_text(text) {
            Some(resolver) => *into = Some(resolver),
            None => r.error(v, BAD_RESOLVER),
        },
        Value::Map(_) => {
            let mut block = ResolverBlock::default();
            r.block(v, &mut block, RESOLVER_KEYS);
            match resolver_of_block(block) {
                Ok(resolver) => *into = Some(resolver),
                Err(messages) => messages.iter().for_each(|m| r.error(v, *m)),
            }
        }
        _ => r.expected(v, "MEMORY, URL(url) or a map"),
    }
}

fn resolver_of_text(text: &str) -> Option<Resolver> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("mem") || text.eq_ignore_ascii_case("memory") {
        return Some(Resolver::Memory);
    }
    let (word, rest) = text.split_once('(')?;
    let url = rest.trim_end().strip_suffix(')')?.trim().trim_matches('"');
    (word.trim().eq_ignore_ascii_case("url") && !url.is_empty())
        .then(|| Resolver::Url(url.to_owned()))
}

fn resolver_of_block(block: ResolverBlock) -> Result<Resolver, Vec<&'static str>> {
    let full = match block.kind.to_ascii_lowercase().as_str() {
        "mem" | "memory" => return Ok(Resolver::Memory),
        "full" => true,
        "cache" => false,
        _ => return Err(vec![BAD_RESOLVER]),
    };
    let wrong: Vec<&str> = [
        (
            block.dir.is_empty(),
            "dir has no value and needs to point to a directory",
        ),
        (full && block.ttl.is_some(), "FULL does not accept ttl"),
        (
            !full && block.interval.is_some(),
            "CACHE does not accept sync",
        ),
        (
            !full && block.allow_delete,
            "CACHE does not accept allow_delete",
        ),
        (
            !full && block.hard_delete,
            "CACHE does not accept hard_delete",
        ),
        (
            block.hard_delete && !block.allow_delete,
            "hard_delete has no effect without delete",
        ),
    ]
    .into_iter()
    .filter_map(|(is_wrong, message)| is_wrong.then_some(message))
    .collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let timeout = block.timeout.unwrap_or(FETCH_TIMEOUT);
    Ok(if full {
        Resolver::Full {
            dir: block.dir,
            allow_delete: block.allow_delete,
            hard_delete: block.hard_delete,
            interval: block.interval.unwrap_or(Duration::from_secs(60)),
            limit: block.limit.unwrap_or(0),
            timeout,
        }
    } else {
        Resolver::Cache {
            dir: block.dir,
            limit: block.limit.unwrap_or(1000),
            ttl: block.ttl,
            timeout,
        }
    })
}

/// Account JWTs by account key; only their form is looked at.
fn preload(v: Item<'_>, r: &mut Reader, into: &mut Vec<(String, String)>) {
    if !matches!(v.node.value, Value::Map(_)) {
        return r.error(
            v,
            "preload should be a map of account_public_key:account_jwt",
        );
    }
    let mut all = Vec::new();
    r.each_entry(v, |r, entry| {
        let mut jwt = String::new();
        r.text(entry, &mut jwt);
        if KeyKind::of(entry.key) != Some(KeyKind::Account) || jwt.split('.').count() != 3 {
            r.error(entry, "invalid account JWT");
        }
        all.push((entry.key.to_owned(), jwt));
    });
    *into = all;
}

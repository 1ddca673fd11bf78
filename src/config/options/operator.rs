//! Operator mode: whom to trust, and where account JWTs come from.

use std::time::Duration;

use super::secret::Secret;
use super::tls::Tls;

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

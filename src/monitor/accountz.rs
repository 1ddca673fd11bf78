//! `/accountz`: the accounts, and the tables of one account.
//!
//! Separate from `accstatz`, which shows figures: here stands what an account may do.
//! The same table answers the system request `ACCOUNT.<a>.INFO`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::go_format::{Time, is_zero};
use super::source::{AccountDetail, AccountSnapshot, ClaimIssue, Source};
use super::subsz::SublistStats;

/// There is no such account on this server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Account {0} does not exist")]
pub struct UnknownAccount(String);

/// The answer.
#[derive(Debug, Serialize)]
pub struct Accountz {
    server_id: String,
    now: Time,
    #[serde(skip_serializing_if = "is_zero")]
    system_account: String,
    #[serde(skip_serializing_if = "is_zero")]
    accounts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_detail: Option<AccountInfo>,
}

impl Accountz {
    /// The names of all accounts, or the tables of `account` unless it is empty.
    pub fn new(source: &dyn Source, account: &str) -> Result<Self, UnknownAccount> {
        let facts = source.facts();
        let mut answer = Accountz {
            server_id: facts.server_id.clone(),
            now: Time(source.now()),
            system_account: facts.system_account.clone(),
            accounts: Vec::new(),
            account_detail: None,
        };
        if account.is_empty() {
            answer.accounts = source.accounts().into_iter().map(|a| a.name).collect();
        } else {
            answer.account_detail = Some(AccountInfo::find(source, account)?);
        }
        Ok(answer)
    }
}

/// The tables of one account.
#[derive(Debug, Serialize)]
pub struct AccountInfo {
    account_name: String,
    update_time: Time,
    #[serde(skip_serializing_if = "is_zero")]
    is_system: bool,
    expired: bool,
    complete: bool,
    jetstream_enabled: bool,
    leafnode_connections: u64,
    client_connections: u64,
    subscriptions: u64,
    #[serde(skip_serializing_if = "is_zero")]
    mappings: BTreeMap<String, Vec<MappingDestination>>,
    #[serde(skip_serializing_if = "is_zero")]
    exports: Vec<ExportInfo>,
    #[serde(skip_serializing_if = "is_zero")]
    imports: Vec<ImportInfo>,
    #[serde(skip_serializing_if = "is_zero")]
    jwt: String,
    #[serde(skip_serializing_if = "is_zero")]
    issuer_key: String,
    #[serde(skip_serializing_if = "is_zero")]
    name_tag: String,
    #[serde(skip_serializing_if = "is_zero")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decoded_jwt: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "is_zero")]
    validation_result_jwt: Vec<ClaimIssue>,
    #[serde(skip_serializing_if = "is_zero")]
    revoked_user: BTreeMap<String, Time>,
    sublist_stats: SublistStats,
    #[serde(skip_serializing_if = "is_zero")]
    responses: BTreeMap<String, ImportInfo>,
}

impl AccountInfo {
    /// The tables of the account of that name.
    pub fn find(source: &dyn Source, name: &str) -> Result<Self, UnknownAccount> {
        match (source.account(name), source.account_detail(name)) {
            (Some(account), Some(detail)) => {
                let is_system = source.facts().system_account == name;
                Ok(AccountInfo::new(account, detail, is_system))
            }
            _ => Err(UnknownAccount(name.to_owned())),
        }
    }

    fn new(account: AccountSnapshot, detail: AccountDetail, is_system: bool) -> Self {
        let revoked = detail.revoked_users.into_iter();
        AccountInfo {
            account_name: account.name,
            update_time: Time(detail.updated),
            is_system,
            expired: detail.expired,
            complete: !detail.incomplete,
            jetstream_enabled: detail.jetstream,
            leafnode_connections: account.leafnodes,
            client_connections: account.clients,
            subscriptions: account.sublist.subscriptions,
            mappings: detail.mappings,
            exports: detail.exports,
            imports: detail.imports,
            jwt: detail.jwt,
            issuer_key: detail.issuer_key,
            name_tag: account.name_tag,
            tags: detail.tags,
            decoded_jwt: detail.claims,
            validation_result_jwt: detail.claim_issues,
            revoked_user: revoked.map(|(user, time)| (user, Time(time))).collect(),
            sublist_stats: SublistStats::sum([account.sublist]),
            responses: detail.responses,
        }
    }
}

/// Where a mapping leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MappingDestination {
    /// The destination.
    pub subject: String,
    /// Percent, this and all earlier destinations together.
    pub weight: u8,
    /// Only in this cluster.
    #[serde(skip_serializing_if = "is_zero")]
    pub cluster: String,
}

/// Whether an export or import carries streams or services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Offer {
    /// Messages flow to the importer.
    #[default]
    Stream,
    /// Requests flow to the exporter.
    Service,
}

/// How a service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ResponseKind {
    /// One message.
    Singleton,
    /// Many messages, an empty one at the end.
    Streamed,
    /// One message in parts.
    Chunked,
}

/// Measuring a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LatencyInfo {
    sampling: Sampling,
    results: String,
}

impl LatencyInfo {
    /// Measures `percent` of the requests (0: those whose headers ask for it) and
    /// publishes to `results`.
    pub fn new(percent: u8, results: String) -> Self {
        let sampling = match percent {
            0 => Sampling::Headers("headers"),
            percent => Sampling::Percent(percent),
        };
        LatencyInfo { sampling, results }
    }
}

/// How many requests are measured: a number, or the word `headers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Sampling {
    Percent(u8),
    Headers(&'static str),
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling::Percent(100)
    }
}

/// What an account offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExportInfo {
    /// The subject.
    pub subject: String,
    /// Stream or service.
    #[serde(rename = "type")]
    pub offer: Offer,
    /// Importers need an activation token.
    #[serde(skip_serializing_if = "is_zero")]
    pub token_req: bool,
    /// How a service answers; `None` for a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_type: Option<ResponseKind>,
    /// How a service is measured.
    #[serde(rename = "service_latency", skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyInfo>,
    /// Who may import; empty: everybody.
    #[serde(skip_serializing_if = "is_zero")]
    pub approved_accounts: Vec<String>,
    /// Activations issued before that time are void, by account.
    #[serde(skip_serializing_if = "is_zero")]
    pub revoked_activations: BTreeMap<String, Time>,
}

/// What an account takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportInfo {
    /// The subject in the exporting account.
    pub subject: String,
    /// The exporting account.
    pub account: String,
    /// The local subject, for services only.
    #[serde(skip_serializing_if = "is_zero")]
    pub to: String,
    /// The local subject.
    #[serde(skip_serializing_if = "is_zero")]
    pub local_subject: String,
    /// Stream or service.
    #[serde(rename = "type")]
    pub offer: Offer,
    /// The export is gone or does not allow it.
    pub invalid: bool,
    /// The exporter sees who asks.
    pub share: bool,
    /// The answer is measured.
    pub tracking: bool,
    /// How the service is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyInfo>,
}

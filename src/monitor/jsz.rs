//! `/jsz`: JetStream.
//!
//! Separate from `streams`, which holds the figures: here is what a caller may ask for, and
//! the answer.
//!
//! Invariants: a server without JetStream says `disabled`, every figure zero; details stand
//! in an answer only for the accounts on its page.

use serde::Serialize;
use serde_json::{Map, Value};

use super::go_format::{Time, is_zero};
use super::paging::Page;
use super::source::Source;
use super::streams::{
    AccountStreams, Disk, JetStreamConfig, JetStreamLimits, JetStreamSnapshot, Problem, Stats,
    StreamDetails, Wanted,
};

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum JszError {
    /// Only a leader was asked, and there is none here.
    #[error("filtered response: not leader")]
    NotLeader,
    /// There is no JetStream.
    #[error("jetstream not enabled")]
    NotEnabled,
    /// There is no such account.
    #[error("account {0:?} not found")]
    UnknownAccount(String),
    /// The account may not have streams.
    #[error("account {0:?} not jetstream enabled")]
    WithoutStreams(String),
}

/// What a caller may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JszOptions {
    /// Only this account.
    pub account: String,
    /// Show accounts.
    pub accounts: bool,
    /// Show their streams.
    pub streams: bool,
    /// Show the consumers of the streams.
    pub consumers: bool,
    /// Show configurations.
    pub config: bool,
    /// Only the leader is to answer.
    pub leader_only: bool,
    /// Show how many streams and consumers this server leads.
    pub raft: bool,
    /// Accounts to leave out.
    pub offset: i64,
    /// Accounts to show at most.
    pub limit: i64,
}

impl JszOptions {
    fn with_streams(&self) -> bool {
        self.streams || self.consumers
    }

    /// The accounts to be shown.
    fn page<'a>(&self, snapshot: &'a JetStreamSnapshot) -> Vec<&'a AccountStreams> {
        let named = |account: &&AccountStreams| account.name == self.account;
        if let Some(found) = snapshot.accounts.iter().find(named) {
            return vec![found];
        }
        // One that is not there is no matter if all are asked for by name.
        match self.accounts || (self.with_streams() && self.account.is_empty()) {
            true => Page::new(self.offset, self.limit).cut(snapshot.accounts.iter().collect()),
            false => Vec::new(),
        }
    }
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Jsz {
    #[serde(flatten)]
    stats: Stats,
    server_id: String,
    now: Time,
    #[serde(skip_serializing_if = "is_zero")]
    disabled: bool,
    config: JetStreamConfig,
    #[serde(skip_serializing_if = "is_zero")]
    limits: JetStreamLimits,
    streams: u64,
    #[serde(skip_serializing_if = "is_zero")]
    streams_leader: u64,
    consumers: u64,
    #[serde(skip_serializing_if = "is_zero")]
    consumers_leader: u64,
    messages: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    account_details: Vec<AccountJsz>,
    total: u64,
    /// No part of the published format; left out while streams take messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<Disk>,
    /// Ours: only if something is wrong.
    #[serde(skip_serializing_if = "is_zero")]
    problems: Vec<Problem>,
}

/// JetStream of one account.
#[derive(Debug, PartialEq, Serialize)]
pub struct AccountJsz {
    name: String,
    id: String,
    #[serde(flatten)]
    stats: Stats,
    #[serde(skip_serializing_if = "is_zero")]
    stream_detail: Vec<Map<String, Value>>,
}

impl Default for AccountJsz {
    fn default() -> Self {
        AccountJsz::new(&AccountStreams::default(), Vec::new())
    }
}

impl AccountJsz {
    fn new(account: &AccountStreams, stream_detail: Vec<Map<String, Value>>) -> Self {
        AccountJsz {
            name: account.name.clone(),
            id: account.name.clone(),
            stats: Stats::of_account(account),
            stream_detail,
        }
    }

    /// JetStream of the account that `options` name, as of now.
    ///
    /// # Errors
    /// [`JszError`].
    pub async fn find(source: &dyn Source, options: &JszOptions) -> Result<Self, JszError> {
        let snapshot = source.jetstream().ok_or(JszError::NotEnabled)?;
        let name = &options.account;
        let found = options.page(&snapshot);
        let Some(account) = found.first() else {
            return Err(match source.account(name) {
                Some(_) => JszError::WithoutStreams(name.clone()),
                None => JszError::UnknownAccount(name.clone()),
            });
        };
        let mut details = details(source, options, &found).await;
        Ok(AccountJsz::new(
            account,
            details.remove(name).unwrap_or_default(),
        ))
    }
}

impl Jsz {
    /// The answer as of now.
    ///
    /// # Errors
    /// [`JszError::NotLeader`].
    pub async fn new(source: &dyn Source, options: &JszOptions) -> Result<Self, JszError> {
        let snapshot = source.jetstream();
        let disabled = snapshot.is_none();
        if disabled && options.leader_only {
            return Err(JszError::NotLeader);
        }
        let snapshot = snapshot.unwrap_or_default();
        let page = options.page(&snapshot);
        let mut details = details(source, options, &page).await;
        let account_details = page
            .iter()
            .map(|account| {
                AccountJsz::new(account, details.remove(&account.name).unwrap_or_default())
            })
            .collect();
        let streams = || snapshot.accounts.iter().flat_map(|a| &a.streams);
        let consumers = streams().map(|stream| stream.consumers).sum();
        let led = |count: u64| if options.raft { count } else { 0 };
        let count = streams().count() as u64;
        Ok(Jsz {
            stats: Stats::of_server(&snapshot),
            server_id: source.facts().server_id.clone(),
            now: Time(source.now()),
            disabled,
            config: snapshot.config.clone(),
            limits: snapshot.limits.clone(),
            streams: count,
            streams_leader: led(count),
            consumers,
            consumers_leader: led(consumers),
            messages: streams().map(|stream| stream.messages).sum(),
            bytes: streams().map(|stream| stream.bytes).sum(),
            account_details,
            total: snapshot.accounts.len() as u64,
            disk: snapshot.disk.if_full(),
            problems: snapshot.problems.clone(),
        })
    }
}

/// What the streams of these accounts say, if it is asked for.
async fn details(
    source: &dyn Source,
    options: &JszOptions,
    accounts: &[&AccountStreams],
) -> StreamDetails {
    if !options.with_streams() || accounts.is_empty() {
        return StreamDetails::new();
    }
    let wanted = Wanted {
        accounts: accounts
            .iter()
            .map(|account| account.name.clone())
            .collect(),
        consumers: options.consumers,
        config: options.config,
    };
    source.stream_details(wanted).await
}

//! What monitoring may know of JetStream, as snapshots.
//!
//! Separate from `source` because it is asked for in two steps: figures are at hand at any
//! time, what a stream says of itself has to come from its own thread.
//!
//! Invariants: names and order of fields are those of the published format; accounts and
//! streams are sorted by name.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::go_format::{Nanos, is_zero};
use crate::vfs::space::Level;

/// JetStream of this server and its figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JetStreamSnapshot {
    /// What is configured.
    pub config: JetStreamConfig,
    /// Limits of streams and consumers.
    pub limits: JetStreamLimits,
    /// Which requests the API understands.
    pub api_level: u64,
    /// The accounts that may have streams.
    pub accounts: Vec<AccountStreams>,
    /// What is wrong, the server's own first.
    pub problems: Vec<Problem>,
    /// The disk that streams are stored on.
    pub disk: Disk,
    /// Segments of the log that hold something.
    pub log_segments: u64,
}

/// The disk that streams are stored on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// How full it is.
    #[serde(serialize_with = "level_name")]
    pub level: Level,
    /// Its size.
    pub total: u64,
    /// What may still be written.
    pub available: u64,
}

impl Disk {
    /// The disk, if streams take no messages because of it.
    pub fn if_full(self) -> Option<Disk> {
        (self.level >= Level::Soft).then_some(self)
    }
}

fn level_name<S: Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(level.name())
}

/// Something that is wrong with streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whose; empty if it concerns the server.
    #[serde(skip_serializing_if = "is_zero")]
    pub account: String,
    /// With which stream; empty if it concerns the server.
    #[serde(skip_serializing_if = "is_zero")]
    pub stream: String,
    /// What.
    pub error: String,
    /// The stream does not run.
    #[serde(skip)]
    pub is_down: bool,
}

/// What is configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct JetStreamConfig {
    /// Bytes of streams in memory.
    pub max_memory: u64,
    /// Bytes of streams on disk.
    pub max_storage: u64,
    /// The directory; not told over the system account's regular figures.
    #[serde(skip_serializing_if = "is_zero")]
    pub store_dir: String,
    /// The configured time between syncs.
    #[serde(skip_serializing_if = "is_zero")]
    pub sync_interval: Nanos,
    /// Every write is synced, as configured.
    #[serde(skip_serializing_if = "is_zero")]
    pub sync_always: bool,
    /// Streams may be compressed.
    #[serde(skip_serializing_if = "is_zero")]
    pub compress_ok: bool,
    /// Prefix of the tag that replicas must not share.
    #[serde(skip_serializing_if = "is_zero")]
    pub unique_tag: String,
    /// Unknown fields of requests are errors.
    #[serde(skip_serializing_if = "is_zero")]
    pub strict: bool,
}

/// Limits of streams and consumers; zero is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct JetStreamLimits {
    /// Messages of one pull request.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_request_batch: i64,
    /// Messages of a consumer awaiting an ack.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_ack_pending: i64,
    /// Replicated streams and consumers.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_ha_assets: i64,
    /// The longest window of duplicates.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_duplicate_window: Nanos,
}

/// An account that may have streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountStreams {
    /// The account.
    pub name: String,
    /// Bytes of its streams in memory.
    pub memory: u64,
    /// Bytes of its streams on disk.
    pub storage: u64,
    /// Bytes it may have in memory; `None` without a limit.
    pub memory_max: Option<u64>,
    /// Bytes it may have on disk; `None` without a limit.
    pub storage_max: Option<u64>,
    /// Requests to the API.
    pub api_total: u64,
    /// Requests that were answered with an error.
    pub api_errors: u64,
    /// Its streams.
    pub streams: Vec<StreamSnapshot>,
}

/// A stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamSnapshot {
    /// Its name.
    pub name: String,
    /// It is in memory, not on disk.
    pub in_memory: bool,
    /// Bytes that are set aside for it.
    pub reserved: u64,
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Consumers.
    pub consumers: u64,
}

/// Which streams are to tell what of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The accounts.
    pub accounts: Vec<String>,
    /// Consumers too.
    pub consumers: bool,
    /// Configurations too.
    pub config: bool,
}

/// What streams said of themselves, by account, sorted by name.
pub type StreamDetails = BTreeMap<String, Vec<Map<String, Value>>>;

/// Figures of JetStream as a whole, or of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    memory: u64,
    storage: u64,
    reserved_memory: u64,
    reserved_storage: u64,
    accounts: u64,
    ha_assets: u64,
    api: ApiStats,
}

/// Requests to the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct ApiStats {
    level: u64,
    total: u64,
    errors: u64,
}

impl Stats {
    /// The figures of the whole server.
    pub fn of_server(snapshot: &JetStreamSnapshot) -> Self {
        let accounts = &snapshot.accounts;
        let sum = |figure: fn(&AccountStreams) -> u64| accounts.iter().map(figure).sum();
        let reserved = |in_memory: bool| {
            let streams = accounts.iter().flat_map(|account| &account.streams);
            let such = streams.filter(|stream| stream.in_memory == in_memory);
            such.map(|stream| stream.reserved).sum()
        };
        Stats {
            memory: sum(|account| account.memory),
            storage: sum(|account| account.storage),
            reserved_memory: reserved(true),
            reserved_storage: reserved(false),
            accounts: accounts.len() as u64,
            ha_assets: 0,
            api: ApiStats {
                level: snapshot.api_level,
                total: sum(|account| account.api_total),
                errors: sum(|account| account.api_errors),
            },
        }
    }

    /// The figures of one account. What is reserved is what it may use, all there is
    /// without a limit: tools know it so.
    pub fn of_account(account: &AccountStreams) -> Self {
        Stats {
            memory: account.memory,
            storage: account.storage,
            reserved_memory: account.memory_max.unwrap_or(u64::MAX),
            reserved_storage: account.storage_max.unwrap_or(u64::MAX),
            accounts: 0,
            ha_assets: 0,
            api: ApiStats {
                level: 0,
                total: account.api_total,
                errors: account.api_errors,
            },
        }
    }
}

/// `jetstream` of other answers: empty without JetStream.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct JetStreamSection {
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<JetStreamConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Stats>,
    #[serde(skip_serializing_if = "is_zero")]
    limits: JetStreamLimits,
}

impl JetStreamSection {
    /// The section as of now.
    pub fn new(snapshot: Option<&JetStreamSnapshot>) -> Self {
        JetStreamSection {
            config: snapshot.map(|snapshot| snapshot.config.clone()),
            stats: snapshot.map(Stats::of_server),
            limits: snapshot
                .map(|snapshot| snapshot.limits.clone())
                .unwrap_or_default(),
        }
    }

    /// The section without the directory.
    pub fn without_directory(snapshot: Option<&JetStreamSnapshot>) -> Self {
        let mut section = JetStreamSection::new(snapshot);
        if let Some(config) = &mut section.config {
            config.store_dir.clear();
        }
        section
    }
}

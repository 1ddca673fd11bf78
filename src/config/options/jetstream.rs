//! `jetstream {}`, `store_dir` and `feature_flags`: streams and where they are stored.

use std::time::Duration;

use super::secret::Secret;

/// JetStream of this server. `None` in a limit means: decided by the server at start.
#[derive(Clone, Debug, PartialEq)]
pub struct JetStream {
    /// JetStream is on. Default false; a block turns it on.
    pub enabled: bool,
    /// Directory of streams. Default: a directory of the system for temporary files.
    pub store_dir: Option<String>,
    /// Bytes of streams in memory. Default: three quarters of the memory.
    pub max_memory_store: Option<i64>,
    /// Bytes of streams on disk. Default: three quarters of the free disk.
    pub max_file_store: Option<i64>,
    /// Time between syncs. Default 2 minutes.
    pub sync_interval: Duration,
    /// Sync after every write (`sync_interval: always`). Default false.
    pub sync_always: bool,
    /// The JetStream domain; one token. Default: none.
    pub domain: Option<String>,
    /// Prefix of the tag that replicas of a stream must not share. Default: none.
    pub unique_tag: Option<String>,
    /// `will_extend` or `no_extend`. Default: none.
    pub extension_hint: Option<String>,
    /// Refuse unknown fields of API requests. Default true.
    pub strict: bool,
    /// Key of encryption at rest. Default: none.
    pub encryption_key: Option<Secret>,
    /// The key used before, while blocks are rewritten. Default: none.
    pub previous_encryption_key: Option<Secret>,
    /// The cipher. Default ChaCha20-Poly1305.
    pub cipher: Cipher,
    /// The key is kept in a TPM. Default: none.
    pub tpm: Option<Tpm>,
    /// Limits of streams and consumers.
    pub limits: JetStreamServerLimits,
    /// Messages of a stream waiting to be proposed. Default: `None`, 10000.
    pub max_buffered_msgs: Option<u64>,
    /// Bytes of a stream waiting to be proposed. Default: `None`, 128 MiB.
    pub max_buffered_size: Option<u64>,
    /// Bytes under way to followers that catch up. Default 64 MiB.
    pub max_outstanding_catchup: u64,
    /// API requests waiting. Default 10000.
    pub request_queue_limit: u64,
    /// Info requests waiting. Default 10000.
    pub info_queue_limit: u64,
    /// Entries after which the meta group compacts. Default 0: by size.
    pub meta_compact: u64,
    /// Bytes after which the meta group compacts. Default 0: by the server.
    pub meta_compact_size: u64,
    /// Sync when the meta group compacts. Default false.
    pub meta_compact_sync: bool,
    /// Disk operations at once, 4 to 8192. Default: `None`, by the server.
    pub max_concurrent_io: Option<u64>,
    /// Switches for unfinished features by name. Default: all off.
    pub feature_flags: Vec<(String, bool)>,
}

/// The cipher of encryption at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cipher {
    /// ChaCha20-Poly1305.
    #[default]
    ChaCha,
    /// AES-256-GCM.
    Aes,
}

/// A key that is kept in a TPM.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tpm {
    /// File with the sealed keys.
    pub keys_file: String,
    /// Password of the sealed key.
    pub encryption_password: Option<Secret>,
    /// Password of the TPM.
    pub srk_password: Option<Secret>,
    /// Platform register the key is bound to. Default 22.
    pub pcr: i64,
    /// The cipher. Default: that of the block.
    pub cipher: Option<Cipher>,
}

/// `jetstream { limits {} }`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JetStreamServerLimits {
    /// Messages of a consumer awaiting an ack. Default: unlimited.
    pub max_ack_pending: Option<i64>,
    /// Replicated streams and consumers on this server. Default: unlimited.
    pub max_ha_assets: Option<i64>,
    /// Messages of one pull request. Default: unlimited.
    pub max_request_batch: Option<i64>,
    /// The longest window of duplicates. Default: unlimited.
    pub duplicate_window: Option<Duration>,
    /// Batches under way in one stream. Default: `None`, 50.
    pub max_batch_inflight_per_stream: Option<i64>,
    /// Batches under way on this server. Default: `None`, 1000.
    pub max_batch_inflight_total: Option<i64>,
    /// Messages of one batch. Default: `None`, 1000.
    pub max_batch_size: Option<i64>,
    /// Time after which a batch is given up. Default: `None`, 10 seconds.
    pub batch_timeout: Option<Duration>,
}

impl Default for JetStream {
    fn default() -> Self {
        JetStream {
            enabled: false,
            store_dir: None,
            max_memory_store: None,
            max_file_store: None,
            sync_interval: Duration::from_secs(120),
            sync_always: false,
            domain: None,
            unique_tag: None,
            extension_hint: None,
            strict: true,
            encryption_key: None,
            previous_encryption_key: None,
            cipher: Cipher::ChaCha,
            tpm: None,
            limits: JetStreamServerLimits::default(),
            max_buffered_msgs: None,
            max_buffered_size: None,
            max_outstanding_catchup: 64 * 1024 * 1024,
            request_queue_limit: 10_000,
            info_queue_limit: 10_000,
            meta_compact: 0,
            meta_compact_size: 0,
            meta_compact_sync: false,
            max_concurrent_io: None,
            feature_flags: Vec::new(),
        }
    }
}

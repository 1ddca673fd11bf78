//! `jetstream {}`, `store_dir` and `feature_flags`: streams and where they are stored.

use std::time::Duration;

use super::key::{Key, Reload::*, key};
use super::reader::{Item, Reader};
use super::secret::Secret;
use crate::config::value::Value;

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
    /// Time between syncs; shown by monitoring, what is acknowledged was synced before in
    /// any case. Default 2 minutes.
    pub sync_interval: Duration,
    /// `sync_interval: always`, which holds in any case. Default false.
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

#[rustfmt::skip]
pub(super) const TOP_KEYS: &[Key<JetStream>] = &[
    key("jetstream", "boolean, enabled, disabled or map", "disabled", Part, "enabled",
        "Streams; a block turns them on.",
        |j, v, r| jetstream(v, r, j)),
    key("store_dir|storedir", "path", "a temporary directory", No, "/data",
        "Directory of streams, where `jetstream` does not say it.",
        |j, v, r| store_dir(v, r, j)),
    key("feature_flags", "map of booleans", "all off", No, "{ js_ack_fc_v2: true }",
        "Switches for unfinished features; without effect, Natter has no such switches.",
        |j, v, r| feature_flags(v, r, j)),
];

#[rustfmt::skip]
pub(super) const KEYS: &[Key<JetStream>] = &[
    key("enabled|enable", "boolean", "true", Part, "true",
        "A block turns JetStream on unless this is false.",
        |j, v, r| r.flag(v, &mut j.enabled)),
    key("store_dir|storedir", "path", "a temporary directory", No, "/data",
        "Directory of streams.",
        |j, v, r| store_dir(v, r, j)),
    key("max_memory_store|max_mem_store|max_mem", "size", "three quarters of the memory", Yes, "1GB",
        "Bytes of streams in memory.",
        |j, v, r| r.size(v, &mut j.max_memory_store)),
    key("max_file_store|max_file", "size", "three quarters of the free disk", Yes, "10GB",
        "Bytes of streams on disk.",
        |j, v, r| r.size(v, &mut j.max_file_store)),
    key("sync_interval|sync", "duration or always", "2m", No, "10s",
        "Without effect: what is acknowledged was synced before, always.",
        |j, v, r| sync(v, r, j)),
    key("domain", "string", "none", No, "hub",
        "The JetStream domain; one token. Not in this release.",
        |j, v, r| r.text(v, &mut j.domain)),
    key("unique_tag", "string", "none", No, "\"az:\"",
        "Prefix of the tag that replicas of a stream must not share.",
        |j, v, r| r.text(v, &mut j.unique_tag)),
    key("extension_hint", "will_extend or no_extend", "none", No, "will_extend",
        "Whether this server waits for a link to the JetStream of another. Not in this release.",
        |j, v, r| r.text(v, &mut j.extension_hint)),
    key("strict", "boolean", "true", No, "false",
        "Refuse unknown fields of API requests.",
        |j, v, r| r.flag(v, &mut j.strict)),
    key("key|ek|encryption_key", "string", "none", No, "s3cr3t",
        "Key of encryption at rest. Not in this release.",
        |j, v, r| r.secret(v, &mut j.encryption_key)),
    key("prev_key|prev_ek|prev_encryption_key", "string", "none", No, "0ld",
        "The key used before, while blocks are rewritten. Not in this release.",
        |j, v, r| r.secret(v, &mut j.previous_encryption_key)),
    key("cipher", "chacha or aes", "chacha", No, "aes",
        "The cipher. Not in this release.",
        |j, v, r| cipher(v, r, &mut j.cipher)),
    key("tpm", "map", "none", No, "{ keys_file: /keys, encryption_password: s3cr3t }",
        "The key is kept in a TPM. Not in this release.",
        |j, v, r| r.presence(v, &mut j.tpm, TPM_KEYS)),
    key("limits", "map", "none", Yes, "{ max_ack_pending: 10 }",
        "Limits of streams and consumers.",
        |j, v, r| { r.block(v, &mut j.limits, LIMIT_KEYS); }),
    key("max_buffered_msgs", "integer", "10000", No, "100",
        "Messages of a stream waiting to be proposed.",
        |j, v, r| r.number(v, &mut j.max_buffered_msgs)),
    key("max_buffered_size", "size", "128MB", No, "1MB",
        "Bytes of a stream waiting to be proposed.",
        |j, v, r| r.number(v, &mut j.max_buffered_size)),
    key("max_outstanding_catchup", "size", "64MB", No, "1MB",
        "Bytes under way to followers that catch up.",
        |j, v, r| r.number_or_default(v, &mut j.max_outstanding_catchup)),
    key("request_queue_limit", "integer", "10000", No, "100",
        "API requests waiting.",
        |j, v, r| r.number_or_default(v, &mut j.request_queue_limit)),
    key("info_queue_limit", "integer", "10000", No, "100",
        "Info requests waiting.",
        |j, v, r| r.number_or_default(v, &mut j.info_queue_limit)),
    key("meta_compact", "integer", "0: by size", Yes, "100",
        "Entries after which the meta group compacts.",
        |j, v, r| r.number(v, &mut j.meta_compact)),
    key("meta_compact_size", "size", "0: by the server", Yes, "1MB",
        "Bytes after which the meta group compacts.",
        |j, v, r| r.number(v, &mut j.meta_compact_size)),
    key("meta_compact_sync", "boolean", "false", Yes, "true",
        "Sync when the meta group compacts.",
        |j, v, r| r.flag(v, &mut j.meta_compact_sync)),
    key("max_concurrent_io", "integer", "by the server", No, "16",
        "Disk operations at once, 4 to 8192.",
        |j, v, r| concurrent_io(v, r, &mut j.max_concurrent_io)),
];

#[rustfmt::skip]
pub(super) const TPM_KEYS: &[Key<Tpm>] = &[
    key("keys_file", "path", "needed", No, "/keys",
        "File with the sealed keys.",
        |t, v, r| r.text(v, &mut t.keys_file)),
    key("encryption_password", "string", "none", No, "s3cr3t",
        "Password of the sealed key.",
        |t, v, r| r.secret(v, &mut t.encryption_password)),
    key("srk_password", "string", "none", No, "s3cr3t",
        "Password of the TPM.",
        |t, v, r| r.secret(v, &mut t.srk_password)),
    key("pcr", "integer", "22", No, "21",
        "Platform register the key is bound to.",
        |t, v, r| r.number(v, &mut t.pcr)),
    key("cipher", "chacha or aes", "that of the block", No, "aes",
        "The cipher.",
        |t, v, r| {
            let mut name = Cipher::default();
            cipher(v, r, &mut name);
            t.cipher = Some(name);
        }),
];

#[rustfmt::skip]
pub(super) const LIMIT_KEYS: &[Key<JetStreamServerLimits>] = &[
    key("max_ack_pending", "integer", "unlimited", Yes, "10",
        "Messages of a consumer awaiting an ack.",
        |l, v, r| r.number(v, &mut l.max_ack_pending)),
    key("max_ha_assets", "integer", "unlimited", Yes, "10",
        "Replicated streams and consumers on this server.",
        |l, v, r| r.number(v, &mut l.max_ha_assets)),
    key("max_request_batch", "integer", "unlimited", Yes, "10",
        "Messages of one pull request.",
        |l, v, r| r.number(v, &mut l.max_request_batch)),
    key("duplicate_window", "duration", "unlimited", Yes, "5m",
        "The longest window of duplicates.",
        |l, v, r| r.duration(v, &mut l.duplicate_window)),
    key("batch", "map", "see below", Yes, "{ max_msgs: 10 }",
        "Limits of batches.",
        |l, v, r| { r.block(v, l, BATCH_KEYS); }),
];

#[rustfmt::skip]
pub(super) const BATCH_KEYS: &[Key<JetStreamServerLimits>] = &[
    key("max_inflight_per_stream", "integer", "50", Yes, "5",
        "Batches under way in one stream.",
        |l, v, r| r.number(v, &mut l.max_batch_inflight_per_stream)),
    key("max_inflight_total", "integer", "1000", Yes, "5",
        "Batches under way on this server.",
        |l, v, r| r.number(v, &mut l.max_batch_inflight_total)),
    key("max_msgs", "integer", "1000", Yes, "5",
        "Messages of one batch.",
        |l, v, r| r.number(v, &mut l.max_batch_size)),
    key("timeout", "duration", "10s", Yes, "5s",
        "Time after which a batch is given up.",
        |l, v, r| r.duration(v, &mut l.batch_timeout)),
];

fn jetstream(v: Item<'_>, r: &mut Reader, into: &mut JetStream) {
    match &v.node.value {
        Value::Bool(on) => into.enabled = *on,
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "enabled" | "enable" => into.enabled = true,
            "disabled" | "disable" => into.enabled = false,
            _ => {
                let message =
                    format!("Expected 'enabled' or 'disabled' for string value, got '{text}'");
                r.error(v, message);
            }
        },
        Value::Map(map) => {
            into.enabled = true;
            r.map(map, into, KEYS);
        }
        _ => r.expected(v, "a map, true, false, enabled or disabled"),
    }
}

fn store_dir(v: Item<'_>, r: &mut Reader, into: &mut JetStream) {
    if into.store_dir.is_some() {
        r.error(v, "Duplicate 'store_dir' configuration");
    }
    r.text(v, &mut into.store_dir);
}

fn feature_flags(v: Item<'_>, r: &mut Reader, into: &mut JetStream) {
    let mut flags = Vec::new();
    r.each_entry(v, |r, entry| {
        let mut on = false;
        r.flag(entry, &mut on);
        flags.push((entry.key.to_owned(), on));
    });
    into.feature_flags = flags;
}

fn sync(v: Item<'_>, r: &mut Reader, into: &mut JetStream) {
    into.sync_always =
        matches!(&v.node.value, Value::String(t) if t.eq_ignore_ascii_case("always"));
    if !into.sync_always {
        r.duration_or_default(v, &mut into.sync_interval);
    }
}

fn cipher(v: Item<'_>, r: &mut Reader, into: &mut Cipher) {
    let words = [
        ("chacha", Cipher::ChaCha),
        ("chachapoly", Cipher::ChaCha),
        ("aes", Cipher::Aes),
    ];
    r.word(v, into, &words, "Unknown cipher type: \"{}\"");
}

fn concurrent_io(v: Item<'_>, r: &mut Reader, into: &mut Option<u64>) {
    match v.node.value {
        Value::Integer(number) if !(4..=8192).contains(&number) => {
            let key = v.key;
            let message =
                format!("Expected an absolute size for {key:?} between 4 and 8192, got {number}");
            r.error(v, message);
        }
        _ => r.number(v, into),
    }
}

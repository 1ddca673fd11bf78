//! `streaming {}`: the older streaming protocol (STAN).

use std::time::Duration;

use super::key::{Key, Reload::*, key};
use super::reader::{Item, Reader};
use super::secret::Secret;
use crate::config::value::Value;

/// The older streaming protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Streaming {
    /// The cluster id clients name. Default `test-cluster`.
    pub cluster_id: String,
    /// Prefix of the discovery subject. Default `_STAN.discover`.
    pub discover_prefix: String,
    /// `MEMORY`, `FILE` or `SQL`. Default `MEMORY`.
    pub store: String,
    /// Directory of a file store. Default: none.
    pub dir: Option<String>,
    /// Log decisions. Default false.
    pub debug: bool,
    /// Log protocol messages. Default false.
    pub trace: bool,
    /// TLS towards the server. Default false.
    pub secure: bool,
    /// Only configured channels. Default false.
    pub partitioning: bool,
    /// Encrypt messages at rest. Default false.
    pub encrypt: bool,
    /// `AES` or `CHACHA`. Default `AES`.
    pub encryption_cipher: Option<String>,
    /// Key of encryption. Default: none.
    pub encryption_key: Option<Secret>,
    /// A new durable takes over from the old one. Default false.
    pub replace_durable: bool,
    /// URL of the server to use. Default: this one.
    pub nats_server: Option<Secret>,
    /// Credentials file. Default: none.
    pub credentials: Option<String>,
    /// User name. Default: none.
    pub username: Option<String>,
    /// Password. Default: none.
    pub password: Option<Secret>,
    /// Token. Default: none.
    pub token: Option<Secret>,
    /// File with the seed of an nkey. Default: none.
    pub nkey_seed_file: Option<String>,
    /// Group of fault tolerance. Default: none.
    pub ft_group: Option<String>,
    /// Name in syslog. Default: none.
    pub syslog_name: Option<String>,
    /// Time between heartbeats to clients. Default 30 seconds.
    pub hb_interval: Duration,
    /// Time a heartbeat may take. Default 10 seconds.
    pub hb_timeout: Duration,
    /// Failed heartbeats after which a client is gone. Default 10.
    pub hb_fail_count: u32,
    /// TLS towards the server. Default: none.
    pub tls: Option<StreamingTls>,
    /// Limits of channels.
    pub store_limits: StreamingLimits,
    /// The file store, by key; checked for type only. Default: none.
    pub file: Vec<(String, String)>,
    /// The SQL store, by key; checked for type only. Default: none.
    pub sql: Vec<(String, Secret)>,
    /// Clustering, by key; presence turns it on. Default: none.
    pub cluster: Option<Vec<(String, String)>>,
}

/// TLS of the streaming layer towards the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamingTls {
    /// Certificate file.
    pub client_cert: Option<String>,
    /// Key file.
    pub client_key: Option<String>,
    /// Authorities file.
    pub client_ca: Option<String>,
    /// Name the server must have.
    pub server_name: Option<String>,
    /// Do not verify. Default false.
    pub insecure: bool,
}

/// Limits of channels; 0 means unlimited.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamingLimits {
    /// Channels. Default 100.
    pub max_channels: i64,
    /// Limits of every channel.
    pub channel: ChannelLimits,
    /// Limits of channels by name.
    pub channels: Vec<(String, ChannelLimits)>,
}

/// Limits of one channel; `None`: inherited.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelLimits {
    /// Subscriptions. Default 1000.
    pub max_subs: Option<i64>,
    /// Messages. Default 1000000.
    pub max_msgs: Option<i64>,
    /// Bytes. Default 1000 MiB.
    pub max_bytes: Option<i64>,
    /// Age. Default: unlimited.
    pub max_age: Option<Duration>,
    /// Time after which an unused channel goes. Default: never.
    pub max_inactivity: Option<Duration>,
}

impl Default for StreamingLimits {
    fn default() -> Self {
        StreamingLimits {
            max_channels: 100,
            channel: ChannelLimits {
                max_subs: Some(1000),
                max_msgs: Some(1_000_000),
                max_bytes: Some(1_000_000 * 1024),
                max_age: Some(Duration::ZERO),
                max_inactivity: Some(Duration::ZERO),
            },
            channels: Vec::new(),
        }
    }
}

impl Default for Streaming {
    fn default() -> Self {
        Streaming {
            cluster_id: "test-cluster".to_owned(),
            discover_prefix: "_STAN.discover".to_owned(),
            store: "MEMORY".to_owned(),
            dir: None,
            debug: false,
            trace: false,
            secure: false,
            partitioning: false,
            encrypt: false,
            encryption_cipher: None,
            encryption_key: None,
            replace_durable: false,
            nats_server: None,
            credentials: None,
            username: None,
            password: None,
            token: None,
            nkey_seed_file: None,
            ft_group: None,
            syslog_name: None,
            hb_interval: Duration::from_secs(30),
            hb_timeout: Duration::from_secs(10),
            hb_fail_count: 10,
            tls: None,
            store_limits: StreamingLimits::default(),
            file: Vec::new(),
            sql: Vec::new(),
            cluster: None,
        }
    }
}

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Streaming>] = &[
    key("cluster_id|id|cid", "string", "test-cluster", No, "prod",
        "The cluster id clients name.",
        |s, v, r| r.text(v, &mut s.cluster_id)),
    key("discover_prefix", "string", "_STAN.discover", No, "_X.discover",
        "Prefix of the discovery subject.",
        |s, v, r| r.text(v, &mut s.discover_prefix)),
    key("store|st|store_type|storetype", "MEMORY, FILE or SQL", "MEMORY", No, "FILE",
        "Where messages are kept.",
        |s, v, r| r.text(v, &mut s.store)),
    key("dir|datastore", "path", "none", No, "/data",
        "Directory of a file store.",
        |s, v, r| r.text(v, &mut s.dir)),
    key("sd|stan_debug", "boolean", "false", No, "true",
        "Log decisions.",
        |s, v, r| r.flag(v, &mut s.debug)),
    key("sv|stan_trace", "boolean", "false", No, "true",
        "Log protocol messages.",
        |s, v, r| r.flag(v, &mut s.trace)),
    key("secure", "boolean", "false", No, "true",
        "TLS towards the server.",
        |s, v, r| r.flag(v, &mut s.secure)),
    key("partitioning", "boolean", "false", No, "true",
        "Only configured channels.",
        |s, v, r| r.flag(v, &mut s.partitioning)),
    key("encrypt", "boolean", "false", No, "true",
        "Encrypt messages at rest.",
        |s, v, r| r.flag(v, &mut s.encrypt)),
    key("encryption_cipher", "AES or CHACHA", "AES", No, "CHACHA",
        "The cipher.",
        |s, v, r| r.text(v, &mut s.encryption_cipher)),
    key("encryption_key", "string", "none", No, "s3cr3t",
        "Key of encryption.",
        |s, v, r| r.secret(v, &mut s.encryption_key)),
    key("replace_durable|replace_durables|replace_duplicate_durable|replace_duplicate_durables", "boolean",
        "false", No, "true",
        "A new durable takes over from the old one.",
        |s, v, r| r.flag(v, &mut s.replace_durable)),
    key("ns|nats_server|nats_server_url", "URL", "this server", No, "\"nats://n1:4222\"",
        "The server to use.",
        |s, v, r| r.secret(v, &mut s.nats_server)),
    key("credentials", "path", "none", No, "/creds/stan.creds",
        "Credentials file.",
        |s, v, r| r.text(v, &mut s.credentials)),
    key("username|user", "string", "none", No, "joe",
        "User name.",
        |s, v, r| r.text(v, &mut s.username)),
    key("password|pass", "string", "none", No, "s3cr3t",
        "Password.",
        |s, v, r| r.secret(v, &mut s.password)),
    key("token", "string", "none", No, "s3cr3t",
        "Token.",
        |s, v, r| r.secret(v, &mut s.token)),
    key("nkey_seed_file", "path", "none", No, "/creds/stan.seed",
        "File with the seed of an nkey.",
        |s, v, r| r.text(v, &mut s.nkey_seed_file)),
    key("ft_group|ft_group_name", "string", "none", No, "ft",
        "Group of fault tolerance.",
        |s, v, r| r.text(v, &mut s.ft_group)),
    key("syslog_name", "string", "none", No, "stan",
        "Name in syslog.",
        |s, v, r| r.text(v, &mut s.syslog_name)),
    key("hb_interval|hbi|server_to_client_hb_interval", "duration, text only", "30s", No, "10s",
        "Time between heartbeats to clients.",
        |s, v, r| r.duration_text(v, &mut s.hb_interval)),
    key("hb_timeout|hbt|server_to_client_hb_timeout", "duration, text only", "10s", No, "5s",
        "Time a heartbeat may take.",
        |s, v, r| r.duration_text(v, &mut s.hb_timeout)),
    key("hb_fail_count|hbf|server_to_client_hb_fail_count", "integer", "10", No, "3",
        "Failed heartbeats after which a client is gone.",
        |s, v, r| r.number(v, &mut s.hb_fail_count)),
    key("tls", "map", "none", No, "{ client_ca: /tls/ca.crt }",
        "TLS towards the server.",
        |s, v, r| r.presence(v, &mut s.tls, TLS_KEYS)),
    key("store_limits|limits|storelimits", "map", "see below", No, "{ max_channels: 5 }",
        "Limits of channels.",
        |s, v, r| { r.block(v, &mut s.store_limits, LIMIT_KEYS); }),
    key("file|file_options", "map", "none", No, "{ compact: true }",
        "The file store; checked for names only.",
        |s, v, r| s.file = scalars(v, r, FILE_OPTIONS)),
    key("sql|sql_options", "map", "none", No, "{ driver: mysql }",
        "The SQL store; checked for names only.",
        |s, v, r| {
            let options = scalars(v, r, SQL_OPTIONS);
            s.sql = options.into_iter().map(|(k, text)| (k, Secret::new(text))).collect();
        }),
    key("cluster", "map", "none", No, "{ node_id: a }",
        "Clustering; presence turns it on; checked for names only.",
        |s, v, r| s.cluster = Some(scalars(v, r, CLUSTER_OPTIONS))),
];

#[rustfmt::skip]
pub(super) const TLS_KEYS: &[Key<StreamingTls>] = &[
    key("client_cert", "path", "none", No, "/tls/tls.crt",
        "Certificate file.",
        |t, v, r| r.text(v, &mut t.client_cert)),
    key("client_key", "path", "none", No, "/tls/tls.key",
        "Key file.",
        |t, v, r| r.text(v, &mut t.client_key)),
    key("client_ca|client_cacert", "path", "none", No, "/tls/ca.crt",
        "Authorities file.",
        |t, v, r| r.text(v, &mut t.client_ca)),
    key("server_name|server_hostname", "string", "none", No, "n1",
        "Name the server must have.",
        |t, v, r| r.text(v, &mut t.server_name)),
    key("insecure|skip_verify", "boolean", "false", No, "true",
        "Do not verify.",
        |t, v, r| r.flag(v, &mut t.insecure)),
];

#[rustfmt::skip]
pub(super) const LIMIT_KEYS: &[Key<StreamingLimits>] = &[
    key("max_channels|mc", "integer", "100", No, "5",
        "Channels.",
        |l, v, r| r.number(v, &mut l.max_channels)),
    key("max_subs|max_subscriptions|msu", "integer", "1000", No, "5",
        "Subscriptions of a channel.",
        |l, v, r| r.number(v, &mut l.channel.max_subs)),
    key("max_msgs|mm", "integer", "1000000", No, "5",
        "Messages of a channel.",
        |l, v, r| r.number(v, &mut l.channel.max_msgs)),
    key("max_bytes|mb", "size", "1024000000", No, "5",
        "Bytes of a channel.",
        |l, v, r| r.size(v, &mut l.channel.max_bytes)),
    key("max_age|ma", "duration", "unlimited", No, "1h",
        "Age of messages.",
        |l, v, r| r.duration(v, &mut l.channel.max_age)),
    key("max_inactivity|mi", "duration", "never", No, "1h",
        "Time after which an unused channel goes.",
        |l, v, r| r.duration(v, &mut l.channel.max_inactivity)),
    key("channels", "map of limits", "none", No, "{ foo: { max_msgs: 5 } }",
        "Limits of channels by name, each with the keys above.",
        |l, v, r| channels(v, r, l)),
];

#[rustfmt::skip]
const CHANNEL_KEYS: &[Key<ChannelLimits>] = &[
    key("max_subs|max_subscriptions|msu", "integer", "inherited", No, "5", "Subscriptions.",
        |l, v, r| r.number(v, &mut l.max_subs)),
    key("max_msgs|mm", "integer", "inherited", No, "5", "Messages.",
        |l, v, r| r.number(v, &mut l.max_msgs)),
    key("max_bytes|mb", "size", "inherited", No, "5", "Bytes.",
        |l, v, r| r.size(v, &mut l.max_bytes)),
    key("max_age|ma", "duration", "inherited", No, "1h", "Age of messages.",
        |l, v, r| r.duration(v, &mut l.max_age)),
    key("max_inactivity|mi", "duration", "inherited", No, "1h", "Time unused.",
        |l, v, r| r.duration(v, &mut l.max_inactivity)),
];

/// Options of the file store.
const FILE_OPTIONS: &[&str] = &[
    "compact",
    "compact_fragmentation",
    "compact_interval",
    "compact_min_size",
    "buffer_size",
    "crc",
    "crc_poly",
    "sync",
    "slice_max_msgs",
    "slice_max_bytes",
    "slice_max_age",
    "slice_archive_script",
    "fds_limit",
    "parallel_recovery",
    "read_buffer_size",
    "auto_sync",
];

/// Options of the SQL store.
const SQL_OPTIONS: &[&str] = &[
    "driver",
    "source",
    "no_caching",
    "max_open_conns",
    "max_conns",
    "bulk_insert_limit",
];

/// Options of clustering.
const CLUSTER_OPTIONS: &[&str] = &[
    "node_id",
    "bootstrap",
    "peers",
    "log_path",
    "log_cache_size",
    "log_snapshots",
    "trailing_logs",
    "sync",
    "raft_logging",
    "proceed_on_restore_failure",
    "allow_add_remove_node",
    "raft_heartbeat_timeout",
    "raft_election_timeout",
    "raft_lease_timeout",
    "raft_commit_timeout",
    "bolt_free_list_sync",
    "bolt_free_list_map",
    "nodes_connections",
];

/// Options as text by name, for stores that are not reproduced.
fn scalars(v: Item<'_>, r: &mut Reader, known: &[&str]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    r.each_entry(v, |r, entry| {
        let key = entry.key.to_ascii_lowercase();
        if !known.contains(&key.as_str()) {
            return r.error(entry, format!("unknown field {:?}", entry.key));
        }
        let text = match &entry.node.value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Array(_) => {
                let mut texts = Vec::new();
                r.texts(entry, &mut texts);
                texts.join(",")
            }
            _ => return r.expected(entry, "a plain value"),
        };
        all.push((key, text));
    });
    all
}

fn channels(v: Item<'_>, r: &mut Reader, limits: &mut StreamingLimits) {
    let mut all = Vec::new();
    r.each_entry(v, |r, entry| {
        let mut channel = ChannelLimits::default();
        if r.block(entry, &mut channel, CHANNEL_KEYS) {
            all.push((entry.key.to_owned(), channel));
        }
    });
    limits.channels = all;
}

//! `streaming {}`: the older streaming protocol (STAN).

use std::time::Duration;

use super::secret::Secret;

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

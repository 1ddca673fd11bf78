//! Change: one thing a reload carries out, and what is logged about it.
//!
//! Separate so that the whole list of what can change while a server runs can be
//! read in one place. A change carries what its log line needs and what cannot be
//! seen in the new options alone: what was added and what was removed.

use std::time::Duration;

use super::shown::{self, Shown};
use crate::config::options::compression::Compression;
use crate::config::options::leafnodes::LeafRemote;
use crate::config::options::tls::HandshakeFirst;
use crate::config::options::url::PeerUrl;

/// One thing to carry out. Values are the new ones.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The address told to clients.
    ClientAdvertise(Option<String>),
    /// Protocol lines are logged.
    Trace(bool),
    /// Decisions are logged.
    Debug(bool),
    /// The system account is traced too.
    TraceVerbose(bool),
    /// Headers are traced.
    TraceHeaders(bool),
    /// Log lines begin with the time.
    Logtime(bool),
    /// That time is in UTC.
    LogtimeUtc(bool),
    /// Clients at once; excess ones are closed.
    MaxConnections(i64),
    /// Users with a public key.
    NkeyUsers,
    /// Users with a password, or default permissions.
    Users,
    /// Accounts, mappings or where accounts come from.
    Accounts,
    /// User JWT of clients that send none.
    DefaultSentinel,
    /// The single user.
    Username,
    /// The single user's password.
    Password,
    /// The single token.
    Token,
    /// Time between pings.
    PingInterval(Duration),
    /// Pings without an answer.
    PingMax(u32),
    /// Time to log in.
    AuthTimeout(Duration),
    /// Bytes of a protocol line.
    MaxControlLine(u32),
    /// Bytes of a message; clients are told.
    MaxPayload(u32),
    /// Fast producers are not stalled.
    NoFastProducerStall(bool),
    /// The cluster block, but for its routes.
    Cluster(ClusterChange),
    /// Certificates of gateways are read again; pinned ones are checked.
    GatewayTls,
    /// The leafnodes block.
    Leafnodes(LeafnodesChange),
    /// JetStream starts or stops.
    JetStream(bool),
    /// Limits of streams and consumers.
    JetStreamLimits,
    /// Stores may hold more bytes; `None`: as before.
    JetStreamStores {
        /// Bytes in memory.
        memory: Option<i64>,
        /// Bytes on disk.
        file: Option<i64>,
    },
    /// Certificates of the WebSocket listener are read again.
    WebsocketTls,
    /// What of the MQTT block may change.
    Mqtt(MqttChange),
    /// Certificates of the MQTT listener are read again.
    MqttTls,
    /// Rate of blocking profiles.
    ProfBlockRate(i64),
    /// The pid file is written.
    PidFile(Option<String>),
    /// The ports file moves.
    PortsFileDir(Option<String>),
    /// The log file.
    LogFile(Option<String>),
    /// Logging to the local syslog.
    Syslog(bool),
    /// Logging to a remote syslog.
    RemoteSyslog(Option<String>),
    /// Configured routes.
    Routes {
        /// To connect to.
        add: Vec<PeerUrl>,
        /// To disconnect from.
        remove: Vec<PeerUrl>,
    },
    /// Time of a handshake.
    TlsTimeout(Duration),
    /// Certificates of the client listener are read again; whether TLS is on.
    Tls(bool),
    /// So many keys of clients are pinned; others are closed.
    PinnedCerts(usize),
    /// The handshake comes before `INFO`.
    HandshakeFirst(bool),
    /// ... unless the client waits this long; zero: always.
    HandshakeFirstFallback(Duration),
    /// Time of one write.
    WriteDeadline(Duration),
    /// Bytes of a traced message.
    MaxTracedMsgLen(u64),
    /// Failed first attempts to connect per log line.
    ConnectErrorReports(u64),
    /// Failed attempts to reconnect per log line.
    ReconnectErrorReports(u64),
    /// Tags of the server.
    Tags,
    /// Facts about the server.
    Metadata,
    /// OCSP stapling.
    Ocsp,
    /// The cache of OCSP answers.
    OcspCache,
    /// Trusted proxies; connections of removed ones are closed.
    Proxies {
        /// Keys that are new.
        added: Vec<String>,
        /// Keys that are gone.
        removed: Vec<String>,
    },
}

/// What differs in the cluster block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterChange {
    /// Anything differs; else only certificates are read again.
    pub differs: bool,
    /// There is TLS: certificates are read again.
    pub tls: bool,
    /// Permissions differ: routes are told or closed.
    pub permissions: bool,
    /// Compression differs: routes change or are closed.
    pub compression: bool,
    /// The pool differs: excess routes are closed.
    pub pool_size: bool,
    /// Accounts that get a route of their own.
    pub accounts_added: Vec<String>,
    /// Accounts that lose theirs.
    pub accounts_removed: Vec<String>,
}

/// What differs in the leafnodes block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeafnodesChange {
    /// There is TLS: certificates are read again.
    pub tls: bool,
    /// Whether the handshake comes first, if that differs.
    pub handshake_first: Option<HandshakeFirst>,
    /// The compression, if it differs.
    pub compression: Option<Compression>,
    /// Remotes to connect to.
    pub added: Vec<LeafRemote>,
    /// Remotes to disconnect from.
    pub removed: Vec<LeafRemote>,
    /// Remotes that stay and differ.
    pub changed: Vec<RemoteChange>,
}

/// What differs in a remote that stays.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteChange {
    /// The remote as it is to be.
    pub remote: LeafRemote,
    /// There is TLS: certificates are read again.
    pub tls: bool,
    /// Whether the handshake comes first differs.
    pub handshake_first: bool,
    /// Compression differs.
    pub compression: bool,
    /// It is to be connected to again, or no more.
    pub disabled: bool,
}

/// What of the MQTT block may change; all are given if one differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttChange {
    /// Time until a message is sent again.
    pub ack_wait: Duration,
    /// Messages awaiting an ack.
    pub max_ack_pending: u16,
    /// Replicas of streams.
    pub stream_replicas: u32,
    /// Without effect.
    pub consumer_replicas: u32,
    /// Consumers in memory.
    pub consumer_memory_storage: bool,
    /// Time after which an unused consumer goes.
    pub consumer_inactive_threshold: Option<Duration>,
}

impl Change {
    /// The lines to log. A change that only reads files again may have none.
    pub fn lines(&self) -> Vec<String> {
        let line = |name: &str, value: String| vec![format!("Reloaded: {name} = {value}")];
        let named = |text: &str| vec![format!("Reloaded: {text}")];
        match self {
            // It says `Reload` and not `Reloaded`, as nats-server does.
            Change::ClientAdvertise(to) => {
                vec![format!("Reload: client_advertise = {}", to.shown())]
            }
            Change::Trace(on) => line("trace", on.shown()),
            Change::Debug(on) => line("debug", on.shown()),
            Change::TraceVerbose(on) => line("trace_verbose", on.shown()),
            Change::TraceHeaders(on) => line("trace_headers", on.shown()),
            Change::Logtime(on) => line("logtime", on.shown()),
            Change::LogtimeUtc(on) => line("logtime_utc", on.shown()),
            Change::MaxConnections(max) => line("max_connections", max.shown()),
            Change::NkeyUsers => named("authorization nkey users"),
            Change::Users => named("authorization users"),
            Change::Accounts => named("accounts"),
            Change::DefaultSentinel => line("default_sentinel", "[REDACTED]".into()),
            Change::Username => named("authorization username"),
            Change::Password => named("authorization password"),
            Change::Token => named("authorization token"),
            Change::PingInterval(time) => line("ping_interval", time.shown()),
            Change::PingMax(max) => line("ping_max", max.shown()),
            Change::AuthTimeout(time) => line("authorization timeout", shown::seconds(*time)),
            Change::MaxControlLine(max) => line("max_control_line", max.shown()),
            Change::MaxPayload(max) => line("max_payload", max.shown()),
            Change::NoFastProducerStall(true) => named("fast producers will not be stalled"),
            Change::NoFastProducerStall(false) => named("fast producers will be stalled"),
            Change::Cluster(cluster) if cluster.differs => named("cluster"),
            Change::Leafnodes(leafnodes) => leafnodes.lines(),
            Change::JetStream(_) => named("JetStream"),
            Change::JetStreamLimits => named("JetStream limits"),
            Change::JetStreamStores { memory, file } => {
                let bytes = |name: &str, max: &Option<i64>| {
                    max.map(|max| {
                        let bytes = shown::friendly_bytes(max);
                        format!("Reloaded: JetStream {name} = {bytes}")
                    })
                };
                let lines = [
                    bytes("max_mem_store", memory),
                    bytes("max_file_store", file),
                ];
                lines.into_iter().flatten().collect()
            }
            Change::Mqtt(mqtt) => mqtt.lines(),
            Change::Cluster(_) | Change::GatewayTls | Change::WebsocketTls | Change::MqttTls => {
                Vec::new()
            }
            Change::ProfBlockRate(rate) => line("prof_block_rate", rate.shown()),
            Change::PidFile(path) => line("pid_file", path.shown()),
            Change::PortsFileDir(path) => line("ports_file_dir", path.shown()),
            Change::LogFile(path) => line("log_file", path.shown()),
            Change::Syslog(on) => line("syslog", on.shown()),
            Change::RemoteSyslog(url) => line("remote_syslog", url.shown()),
            Change::Routes { .. } => named("cluster routes"),
            Change::TlsTimeout(time) => line("tls timeout", shown::seconds(*time)),
            Change::Tls(true) => line("tls", "enabled".into()),
            Change::Tls(false) => line("tls", "disabled".into()),
            Change::PinnedCerts(count) => named(&format!("{count} pinned_certs")),
            Change::HandshakeFirst(on) => named(&format!("Client TLS handshake first: {on}")),
            Change::HandshakeFirstFallback(delay) => {
                let delay = delay.shown();
                named(&format!(
                    "Client TLS handshake first fallback delay: {delay}"
                ))
            }
            Change::WriteDeadline(time) => line("write_deadline", time.shown()),
            Change::MaxTracedMsgLen(max) => line("max_traced_msg_len", max.shown()),
            Change::ConnectErrorReports(every) => line("connect_error_reports", every.shown()),
            Change::ReconnectErrorReports(every) => line("reconnect_error_reports", every.shown()),
            Change::Tags => named("tags"),
            Change::Metadata => named("metadata"),
            Change::Ocsp => named("OCSP"),
            Change::OcspCache => vec!["Reloaded OCSP peer cache".into()],
            Change::Proxies { added, removed } => {
                let keys = |keys: &[String], what: &str| {
                    let quoted: Vec<String> = keys.iter().map(|k| format!("{k:?}")).collect();
                    let quoted = quoted.join(" ");
                    let line = format!("Reloaded: proxies trusted keys [{quoted}] were {what}");
                    (!keys.is_empty()).then_some(line)
                };
                let lines = [keys(removed, "removed"), keys(added, "added")];
                lines.into_iter().flatten().collect()
            }
        }
    }

    /// Logging has to be set up again, after all changes are made.
    pub fn is_logging(&self) -> bool {
        self.is_trace_level()
            || matches!(
                self,
                Change::Logtime(_)
                    | Change::LogtimeUtc(_)
                    | Change::LogFile(_)
                    | Change::Syslog(_)
                    | Change::RemoteSyslog(_)
            )
    }

    /// Connections have to look again whether they trace.
    pub fn is_trace_level(&self) -> bool {
        matches!(
            self,
            Change::Trace(_) | Change::Debug(_) | Change::TraceVerbose(_) | Change::TraceHeaders(_)
        )
    }

    /// Every connection has to be judged again.
    pub fn is_authorization(&self) -> bool {
        matches!(
            self,
            Change::Users
                | Change::NkeyUsers
                | Change::Accounts
                | Change::Username
                | Change::Password
                | Change::Token
                | Change::AuthTimeout(_)
                | Change::DefaultSentinel
                | Change::Cluster(_)
        )
    }
}

impl LeafnodesChange {
    /// Nothing has to be done.
    pub fn is_empty(&self) -> bool {
        *self == LeafnodesChange::default()
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut say = |text: String| lines.push(format!("Reloaded: LeafNode {text}"));
        if let Some(first) = self.handshake_first {
            let delay = match first {
                HandshakeFirst::Fallback(delay) => delay,
                _ => Duration::ZERO,
            };
            let on = first != HandshakeFirst::Off;
            say(format!("TLS HandshakeFirst value is: {on}"));
            say(format!(
                "TLS HandshakeFirstFallback value is: {}",
                delay.shown()
            ));
        }
        if let Some(compression) = &self.compression {
            say(format!("Compression value is: {}", compression.shown()));
        }
        for remote in &self.removed {
            say(format!("Remote {} removed", remote_name(remote)));
        }
        for changed in &self.changed {
            let remote = &changed.remote;
            let name = remote_name(remote);
            if changed.handshake_first {
                let first = remote.tls.as_ref().map(|tls| tls.handshake_first);
                let on = first.is_some_and(|first| first != HandshakeFirst::Off);
                say(format!("Remote {name} TLS HandshakeFirst value is: {on}"));
            }
            if changed.compression {
                let compression = remote.compression.clone().unwrap_or_else(Compression::auto);
                let compression = compression.shown();
                say(format!("Remote {name} Compression value is: {compression}"));
            }
            if changed.disabled {
                say(format!(
                    "Remote {name} Disabled value is: {}",
                    remote.disabled
                ));
            }
        }
        lines
    }
}

impl MqttChange {
    fn lines(&self) -> Vec<String> {
        [
            ("ack_wait", self.ack_wait.shown()),
            ("max_ack_pending", self.max_ack_pending.shown()),
            ("stream_replicas", self.stream_replicas.shown()),
            ("consumer_replicas", self.consumer_replicas.shown()),
            (
                "consumer_memory_storage",
                self.consumer_memory_storage.shown(),
            ),
            (
                "consumer_inactive_threshold",
                self.consumer_inactive_threshold.shown(),
            ),
        ]
        .map(|(name, value)| format!("Reloaded: MQTT {name} = {value}"))
        .into()
    }
}

/// What a remote is called in texts; no logins are shown.
pub fn remote_name(remote: &LeafRemote) -> String {
    let urls: Vec<String> = remote
        .urls
        .iter()
        .map(|url| format!("{:?}", url.redacted()))
        .collect();
    let account = super::account_of(remote);
    let login = match (&remote.credentials, &remote.nkey) {
        (Some(file), _) => format!(", credentials={file:?}"),
        (None, Some(_)) => ", nkey=\"[REDACTED]\"".to_owned(),
        (None, None) => String::new(),
    };
    format!("urls=[{}], account={account:?}{login}", urls.join(" "))
}

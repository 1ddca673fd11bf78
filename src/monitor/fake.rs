//! A source that is a table, filled like the servers that the goldens were recorded from.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::accountz::{
    ExportInfo, ImportInfo, LatencyInfo, MappingDestination, Offer, ResponseKind,
};
use super::go_format::{Float, Nanos, Time};
use super::source::{
    AccountDetail, AccountSnapshot, AccountTraffic, ByKind, ConnectionSnapshot, Counters,
    PeerCertificate, ServerFacts, Source, SublistSnapshot, SubscriptionSnapshot, TlsSnapshot,
    Traffic, Waiting,
};
use super::streams::{
    AccountStreams, JetStreamConfig, JetStreamLimits, JetStreamSnapshot, StreamDetails,
    StreamSnapshot, Wanted,
};
use super::varz_sections::{
    ClusterSection, DenyRules, GatewaySection, LeafnodeSection, MqttSection, RemoteGateway,
    RemoteLeafnode, WebsocketSection,
};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::telemetry::process::Usage;

/// The table.
#[derive(Default)]
pub struct FakeSource {
    pub facts: ServerFacts,
    pub counters: Counters,
    pub not_ready: Option<String>,
    pub open: Vec<ConnectionSnapshot>,
    pub closed: Vec<Arc<ConnectionSnapshot>>,
    pub accounts: Vec<AccountSnapshot>,
    pub details: BTreeMap<String, AccountDetail>,
    pub subscriptions: Vec<SubscriptionSnapshot>,
    pub jetstream: Option<JetStreamSnapshot>,
    pub stream_details: StreamDetails,
    pub consumers: Vec<[&'static str; 3]>,
}

/// What a future gives that has nothing to wait for.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("has something to wait for"),
    }
}

/// A time in the life of the fake server, which starts at 0 and lives at 900 ms.
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_nanos(1_795_250_213_000_000_000 + millis * 1_000_000)
}

impl Source for FakeSource {
    fn now(&self) -> Timestamp {
        at(900)
    }

    fn facts(&self) -> Arc<ServerFacts> {
        Arc::new(self.facts.clone())
    }

    fn counters(&self) -> Counters {
        self.counters.clone()
    }

    fn usage(&self) -> Usage {
        Usage {
            cpu_percent: 0.0,
            cpu_time: Duration::from_millis(250),
            memory_bytes: 16_474_112,
        }
    }

    fn ready(&self) -> Result<(), String> {
        self.not_ready.clone().map_or(Ok(()), Err)
    }

    fn connections(&self, account: Option<&str>) -> Vec<ConnectionSnapshot> {
        let mut open = self.open.clone();
        open.retain(|connection| account.is_none_or(|name| connection.account == name));
        for connection in &mut open {
            connection.subscriptions.clear();
            if let Some(tls) = &mut connection.tls {
                tls.peer_certificates.clear();
            }
        }
        open
    }

    fn connection(&self, cid: u64) -> Option<ConnectionSnapshot> {
        self.open.iter().find(|open| open.cid == cid).cloned()
    }

    fn closed_connections(&self) -> Vec<Arc<ConnectionSnapshot>> {
        self.closed.clone()
    }

    fn accounts(&self) -> Vec<AccountSnapshot> {
        self.accounts.clone()
    }

    fn account(&self, name: &str) -> Option<AccountSnapshot> {
        self.accounts.iter().find(|a| a.name == name).cloned()
    }

    fn account_detail(&self, name: &str) -> Option<AccountDetail> {
        self.details.get(name).cloned()
    }

    fn visit_subscriptions(
        &self,
        account: Option<&str>,
        visit: &mut dyn FnMut(SubscriptionSnapshot),
    ) {
        let in_account = |sub: &&SubscriptionSnapshot| {
            // A subscription through a stream import stands in the exporting account.
            account
                .is_none_or(|name| sub.account == name || (name == "A" && sub.subject == "news.x"))
        };
        let subscriptions = self.subscriptions.iter().filter(in_account);
        subscriptions.cloned().for_each(visit);
    }

    fn jetstream(&self) -> Option<JetStreamSnapshot> {
        self.jetstream.clone()
    }

    fn stream_details(&self, wanted: Wanted) -> Waiting<'_, StreamDetails> {
        let mut details = self.stream_details.clone();
        details.retain(|account, _| wanted.accounts.contains(account));
        for stream in details.values_mut().flatten() {
            if !wanted.config {
                stream.shift_remove("config");
            }
            if !wanted.consumers {
                stream.shift_remove("consumer_detail");
            }
            if let Some(Value::Array(consumers)) = stream.get_mut("consumer_detail")
                && !wanted.config
            {
                let consumers = consumers.iter_mut().filter_map(Value::as_object_mut);
                consumers.for_each(|consumer| drop(consumer.shift_remove("config")));
            }
        }
        Box::pin(std::future::ready(details))
    }

    fn has_consumer(&self, account: &str, stream: &str, consumer: &str) -> bool {
        self.consumers.contains(&[account, stream, consumer])
    }
}

impl FakeSource {
    /// The server of the golden file `streams`.
    pub fn streams() -> Self {
        let golden = super::golden::case("streams", "config");
        let details = golden["body"]["account_details"][0]["stream_detail"].as_array();
        let details = details.into_iter().flatten().filter_map(Value::as_object);
        let stream =
            |name: &str, in_memory, reserved, (messages, bytes), consumers| StreamSnapshot {
                name: name.to_owned(),
                in_memory,
                reserved,
                messages,
                bytes,
                consumers,
            };
        let mut source = FakeSource::plain();
        source.facts.server_name = "golden".to_owned();
        source.facts.system_account = "SYS".to_owned();
        source.facts.jetstream = true;
        source.counters.active_servers = 1;
        source.accounts = ["A", "B", "C", "SYS"]
            .map(|name| AccountSnapshot {
                name: name.to_owned(),
                ..AccountSnapshot::default()
            })
            .into();
        source.consumers = vec![["A", "S1", "C1"]];
        source.stream_details = [("A".to_owned(), details.cloned().collect())].into();
        source.jetstream = Some(JetStreamSnapshot {
            config: JetStreamConfig {
                max_memory: 1 << 30,
                max_storage: 2 << 30,
                store_dir: "/data/jetstream".to_owned(),
                sync_interval: Nanos(Duration::from_secs(120)),
                compress_ok: true,
                strict: true,
                ..JetStreamConfig::default()
            },
            limits: JetStreamLimits {
                max_ack_pending: 500,
                max_duplicate_window: Nanos(Duration::from_secs(300)),
                ..JetStreamLimits::default()
            },
            api_level: 5,
            accounts: vec![
                AccountStreams {
                    name: "A".to_owned(),
                    memory: 23,
                    storage: 117,
                    memory_max: Some(10 << 20),
                    storage_max: Some(20 << 20),
                    api_total: 3,
                    api_errors: 0,
                    streams: vec![
                        stream("S1", false, 1000, (3, 117), 1),
                        stream("S2", true, 100, (1, 23), 0),
                    ],
                },
                AccountStreams {
                    name: "B".to_owned(),
                    ..AccountStreams::default()
                },
            ],
            problems: Vec::new(),
        });
        source
    }
}

fn facts() -> ServerFacts {
    let id = "NBD2ZMGKJTLOZJ45VM54V62SU6JXEG53UJO2MQPUKXHGOCM3I3ZT7U27";
    let flags = [
        ("js_ack_fc_v2", false),
        ("js_api_reply_v2", false),
        ("js_raft_delete_range", true),
        ("js_snapshot_sources", false),
    ];
    ServerFacts {
        server_id: id.to_owned(),
        server_name: id.to_owned(),
        version: "2.15.1".to_owned(),
        product_version: "0.1.0".to_owned(),
        git_commit: "b2fd3ef".to_owned(),
        compiler: "rust".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: 4222,
        max_connections: 65_536,
        ping_interval: Duration::from_secs(120),
        ping_max: 2,
        http_host: "127.0.0.1".to_owned(),
        http_port: -1,
        auth_timeout: Duration::from_secs(2),
        max_control_line: 4096,
        max_payload: 1_048_576,
        max_pending: 67_108_864,
        tls_timeout: Duration::from_secs(2),
        write_deadline: Duration::from_secs(10),
        start: at(0),
        cores: 2,
        worker_threads: 2,
        config_load_time: at(0),
        config_digest: "sha256:ae14".to_owned(),
        feature_flags: flags.map(|(name, on)| (name.to_owned(), on)).into(),
        system_account: "$SYS".to_owned(),
        ..ServerFacts::default()
    }
}

fn account(name: &str, clients: u64, sublist: SublistSnapshot) -> AccountSnapshot {
    AccountSnapshot {
        name: name.to_owned(),
        name_tag: name.to_owned(),
        clients,
        sublist,
        ..AccountSnapshot::default()
    }
}

fn tree(figures: [u64; 8]) -> SublistSnapshot {
    let [
        subscriptions,
        cached,
        inserts,
        removes,
        matches,
        cache_hits,
        fanout_max,
        fanout_total,
    ] = figures;
    SublistSnapshot {
        subscriptions,
        cached,
        inserts,
        removes,
        matches,
        cache_hits,
        fanout_max,
        fanout_total,
    }
}

fn service_import(subject: &str, account: &str, local: &str, share: bool) -> ImportInfo {
    ImportInfo {
        subject: subject.to_owned(),
        account: account.to_owned(),
        to: local.to_owned(),
        local_subject: local.to_owned(),
        offer: Offer::Service,
        share,
        ..ImportInfo::default()
    }
}

fn system_imports(account: &str, system: &str) -> Vec<ImportInfo> {
    let own = |kind: &str| format!("$SYS.REQ.ACCOUNT.{account}.{kind}");
    let import = |subject: &str, local: &str, share| service_import(subject, system, local, share);
    vec![
        import(&own("CONNZ"), "$SYS.REQ.ACCOUNT.PING.CONNZ", false),
        import(&own("CONNZ"), "$SYS.REQ.SERVER.PING.CONNZ", false),
        import(&own("STATZ"), "$SYS.REQ.ACCOUNT.PING.STATZ", false),
        import(
            &format!("$SYS.REQ.USER.{account}.INFO"),
            "$SYS.REQ.USER.INFO",
            true,
        ),
    ]
}

fn service_export(subject: &str, response_type: ResponseKind) -> ExportInfo {
    ExportInfo {
        subject: subject.to_owned(),
        offer: Offer::Service,
        response_type: Some(response_type),
        ..ExportInfo::default()
    }
}

fn client(cid: u64, account: &str, user: &str, name: &str) -> ConnectionSnapshot {
    let named = |text: &str| {
        if name.is_empty() {
            String::new()
        } else {
            text.to_owned()
        }
    };
    ConnectionSnapshot {
        cid,
        kind: "Client",
        client_type: "nats",
        ip: "127.0.0.1".to_owned(),
        port: 34_000 + cid as u16,
        start: at(10 * cid as i64),
        last_activity: at(10 * cid as i64 + 1),
        round_trip: Duration::from_nanos(397_123),
        name: name.to_owned(),
        lang: named("python3"),
        version: named("1.2.3"),
        user: user.to_owned(),
        account: account.to_owned(),
        name_tag: account.to_owned(),
        ..ConnectionSnapshot::default()
    }
}

fn with_subscriptions(
    mut connection: ConnectionSnapshot,
    subscriptions: &[(&str, &str, &str, u64, u64)],
) -> ConnectionSnapshot {
    let described = subscriptions
        .iter()
        .map(|(subject, queue, sid, msgs, max)| SubscriptionSnapshot {
            account: connection.account.clone(),
            account_tag: connection.account.clone(),
            subject: (*subject).to_owned(),
            queue: (*queue).to_owned(),
            sid: (*sid).to_owned(),
            msgs: *msgs,
            max: *max,
            cid: connection.cid,
            counts: true,
        });
    connection.subscriptions = described.collect();
    connection.subscription_count = subscriptions.len() as u64;
    connection
}

impl FakeSource {
    /// A server without configuration and without clients.
    pub fn plain() -> Self {
        let empty = AccountDetail {
            updated: at(0),
            ..AccountDetail::default()
        };
        let global = AccountDetail {
            imports: system_imports("$G", "$SYS"),
            ..empty
        };
        FakeSource {
            facts: facts(),
            accounts: vec![
                account("$G", 0, tree([4, 0, 4, 0, 0, 0, 0, 0])),
                account("$SYS", 0, tree([56, 4, 56, 0, 5, 1, 1, 3])),
            ],
            details: [("$G".to_owned(), global)].into(),
            ..FakeSource::default()
        }
    }

    /// A server with accounts, clients and closed connections.
    pub fn busy() -> Self {
        let facts = ServerFacts {
            server_name: "golden".to_owned(),
            host: "golden.example".to_owned(),
            auth_required: true,
            max_subscriptions: 500,
            write_timeout: "retry".to_owned(),
            tags: vec!["az:one".to_owned(), "disk:ssd".to_owned()],
            metadata: [("rack", "r1"), ("owner", "ops")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            system_account: "SYS".to_owned(),
            ..facts()
        };
        let counters = Counters {
            connections: 3,
            total_connections: 5,
            received: Traffic::new(2, 7),
            received_from_clients: Traffic::new(2, 7),
            sent: Traffic::new(1, 5),
            sent_to_clients: Traffic::new(1, 5),
            subscriptions: 74,
            active_accounts: 3,
            active_servers: 1,
            slow_consumers: ByKind {
                leafs: 4,
                ..ByKind::default()
            },
            ..Counters::default()
        };
        let traffic = |msgs, bytes| AccountTraffic {
            all: Traffic::new(msgs, bytes),
            ..AccountTraffic::default()
        };
        let mut accounts = vec![
            account("A", 1, tree([8, 0, 10, 2, 3, 0, 0, 0])),
            account("$G", 0, tree([4, 0, 4, 0, 0, 0, 0, 0])),
            account("SYS", 1, tree([56, 17, 56, 0, 22, 5, 1, 8])),
            account("B", 1, tree([6, 1, 6, 0, 1, 0, 1, 1])),
        ];
        accounts[0].received = traffic(1, 5);
        accounts[0].sent = traffic(1, 5);
        accounts[3].received = traffic(1, 2);
        let golden = with_subscriptions(
            ConnectionSnapshot {
                received: Traffic::new(1, 5),
                sent: Traffic::new(1, 5),
                ..client(7, "A", "a", "golden")
            },
            &[
                ("foo", "", "1", 1, 0),
                ("foo.>", "workers", "2", 0, 0),
                ("bar.*", "", "3", 0, 10),
            ],
        );
        let bare = with_subscriptions(
            ConnectionSnapshot {
                received: Traffic::new(1, 2),
                ..client(8, "B", "b", "")
            },
            &[("from.a.news.x", "", "7", 0, 0)],
        );
        let gone = with_subscriptions(
            ConnectionSnapshot {
                stop: Some(at(150)),
                reason: "Client Closed".to_owned(),
                ..client(10, "A", "a", "gone")
            },
            &[("gone", "", "1", 0, 0), ("gone.q", "workers", "2", 0, 0)],
        );
        let refused = ConnectionSnapshot {
            stop: Some(at(160)),
            reason: "Authentication Failure".to_owned(),
            pending_bytes: 32,
            ..client(11, "", "a", "golden")
        };
        let in_account = |account: &str, subject: &str, sid: &str, cid| SubscriptionSnapshot {
            account: account.to_owned(),
            account_tag: account.to_owned(),
            subject: subject.to_owned(),
            sid: sid.to_owned(),
            cid,
            ..SubscriptionSnapshot::default()
        };
        let mut subscriptions: Vec<_> = system_imports("A", "SYS")
            .into_iter()
            .zip(["1", "2", "3", "4"])
            .map(|(import, sid)| in_account("A", &import.local_subject, sid, 4))
            .collect();
        subscriptions.extend(golden.subscriptions.iter().cloned());
        subscriptions.push(in_account("B", "news.x", "7", 8));
        FakeSource {
            facts,
            counters,
            open: vec![client(9, "SYS", "sys", "sys<&>"), bare, golden],
            closed: vec![Arc::new(refused), Arc::new(gone)],
            accounts,
            details: busy_details(),
            subscriptions,
            ..FakeSource::default()
        }
    }

    /// A server with TLS, certificates of clients and a base path.
    pub fn tls() -> Self {
        let facts = ServerFacts {
            tls_required: true,
            tls_verify: true,
            http_base_path: "base".to_owned(),
            http_port: 0,
            https_port: -1,
            auth_timeout: Duration::from_secs(3),
            tls_cert_not_after: Some(at(0)),
            ..facts()
        };
        let certificate = PeerCertificate {
            subject: "CN=client,O=Golden".to_owned(),
            spki_sha256: "bd".to_owned(),
            cert_sha256: "71".to_owned(),
        };
        let connection = ConnectionSnapshot {
            tls: Some(TlsSnapshot {
                version: "1.3".to_owned(),
                cipher_suite: "TLS_AES_128_GCM_SHA256".to_owned(),
                first: false,
                peer_certificates: vec![certificate],
            }),
            ..client(5, "$G", "", "golden")
        };
        let closed = ConnectionSnapshot {
            stop: Some(at(300)),
            reason: "Client Closed".to_owned(),
            ..connection.clone()
        };
        let counters = Counters {
            connections: 1,
            total_connections: 1,
            ..Counters::default()
        };
        FakeSource {
            facts,
            counters,
            open: vec![connection],
            closed: vec![Arc::new(closed)],
            ..FakeSource::plain()
        }
    }

    /// A server with every listener and link configured.
    pub fn sections() -> Self {
        let text = |text: &str| text.to_owned();
        let local = || text("127.0.0.1");
        let login = Float(1.5);
        let tls_timeout = Float(3.0);
        let not_after = Some(Time(at(0)));
        let write_deadline = Nanos(Duration::from_secs(5));
        let nowhere = || vec![text("127.0.0.1:1")];
        let pinned = || {
            let hash = "7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069";
            vec![text(hash)]
        };
        let cluster = ClusterSection {
            name: text("east"),
            addr: local(),
            cluster_port: 6222,
            auth_timeout: login,
            urls: nowhere(),
            tls_timeout,
            tls_required: true,
            tls_verify: true,
            pool_size: 3,
            write_deadline,
            write_timeout: text("retry"),
            tls_cert_not_after: not_after,
        };
        let gateway = GatewaySection {
            name: text("east"),
            host: local(),
            port: 7222,
            auth_timeout: login,
            tls_timeout,
            tls_required: true,
            tls_verify: true,
            advertise: text("gw.example:7222"),
            connect_retries: 5,
            gateways: vec![RemoteGateway {
                name: text("west"),
                tls_timeout: Float(0.0),
                urls: nowhere(),
            }],
            reject_unknown: true,
            write_deadline,
            write_timeout: text("retry"),
            tls_cert_not_after: not_after,
        };
        let leafnode = LeafnodeSection {
            host: local(),
            port: 7422,
            auth_timeout: login,
            tls_timeout,
            tls_required: true,
            tls_verify: true,
            remotes: vec![RemoteLeafnode {
                local_account: text("A"),
                tls_timeout: Float(4.0),
                urls: nowhere(),
                deny: Some(DenyRules {
                    exports: vec![text("out.>")],
                    imports: vec![text("in.>")],
                }),
                tls_ocsp_peer_verify: false,
            }],
            tls_ocsp_peer_verify: false,
            write_deadline,
            write_timeout: text("retry"),
            tls_cert_not_after: not_after,
        };
        let mqtt = MqttSection {
            host: local(),
            port: 1883,
            no_auth_user: text("a"),
            auth_timeout: login,
            tls_map: true,
            tls_timeout,
            tls_pinned_certs: pinned(),
            js_domain: text("hub"),
            ack_wait: Nanos(Duration::from_secs(10)),
            max_ack_pending: 50,
            tls_ocsp_peer_verify: false,
            tls_cert_not_after: not_after,
        };
        let websocket = WebsocketSection {
            host: local(),
            port: 80,
            advertise: text("ws.example:80"),
            no_auth_user: text("a"),
            handshake_timeout: Nanos(Duration::from_secs(3)),
            auth_timeout: login,
            tls_map: true,
            tls_pinned_certs: pinned(),
            same_origin: true,
            allowed_origins: vec![text("https://example")],
            compression: true,
            tls_cert_not_after: not_after,
            ..WebsocketSection::default()
        };
        let facts = ServerFacts {
            server_name: text("golden"),
            auth_required: true,
            tls_required: true,
            max_subscriptions: 7,
            auth_timeout: Duration::from_secs(3),
            cluster,
            gateway,
            leafnode,
            mqtt,
            websocket,
            memory_limit: 1 << 30,
            system_account: text("SYS"),
            proxies: Some(vec![text(
                "UAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB63NN",
            )]),
            tls_cert_not_after: Some(at(0)),
            ..facts()
        };
        FakeSource {
            facts,
            ..FakeSource::plain()
        }
    }
}

fn busy_details() -> BTreeMap<String, AccountDetail> {
    let destination = |subject: &str, weight| MappingDestination {
        subject: subject.to_owned(),
        weight,
        cluster: String::new(),
    };
    let latency = || Some(LatencyInfo::new(50, "lat".to_owned()));
    let exporting = AccountDetail {
        updated: at(0),
        mappings: [(
            "old.*".to_owned(),
            vec![destination("newer.$1", 40), destination("new.$1", 100)],
        )]
        .into(),
        exports: vec![
            ExportInfo {
                latency: latency(),
                approved_accounts: vec!["B".to_owned()],
                ..service_export("ask", ResponseKind::Singleton)
            },
            service_export("many", ResponseKind::Streamed),
            ExportInfo {
                subject: "news.>".to_owned(),
                ..ExportInfo::default()
            },
        ],
        imports: system_imports("A", "SYS"),
        ..AccountDetail::default()
    };
    let mut imports = vec![
        ImportInfo {
            subject: "news.>".to_owned(),
            account: "A".to_owned(),
            local_subject: "from.a.news.>".to_owned(),
            ..ImportInfo::default()
        },
        ImportInfo {
            latency: latency(),
            ..service_import("ask", "A", "ask.a", false)
        },
    ];
    imports.extend(system_imports("B", "SYS"));
    let importing = AccountDetail {
        updated: at(0),
        imports,
        ..AccountDetail::default()
    };
    let system = AccountDetail {
        updated: at(0),
        exports: vec![
            service_export("$SYS.DEBUG.SUBSCRIBERS", ResponseKind::Singleton),
            service_export("$SYS.REQ.USER.*.INFO", ResponseKind::Singleton),
            service_export("$SYS.REQ.ACCOUNT.*.CONNZ", ResponseKind::Streamed),
            service_export("$SYS.REQ.ACCOUNT.*.STATZ", ResponseKind::Streamed),
        ],
        imports: vec![service_import(
            "$SYS.REQ.USER.SYS.INFO",
            "SYS",
            "$SYS.REQ.USER.INFO",
            true,
        )],
        ..AccountDetail::default()
    };
    let named = [("A", exporting), ("B", importing), ("SYS", system)];
    named.map(|(name, detail)| (name.to_owned(), detail)).into()
}

//! The live state as monitoring sees it: the server's half of `monitor::source`.
//!
//! Copies under short locks; nothing here decides or changes anything.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::RwLock;

use super::live_streams;
use crate::account::export::{ExportKind, ResponseKind};
use crate::auth::tls_map::{self, CertificateNames};
use crate::client::Front;
use crate::client::entry::Client;
use crate::clock::{self, Timestamp};
use crate::config::options::jetstream as options;
use crate::connection::close::CloseReason;
use crate::connection::id::ConnId;
use crate::jetstream::JetStream;
use crate::monitor::accountz;
use crate::monitor::closed_ring::ClosedRing;
use crate::monitor::source::{
    AccountDetail, AccountSnapshot, AccountTraffic, ByKind, ConnectionSnapshot, Counters,
    PeerCertificate, ServerFacts, Source, SublistSnapshot, SubscriptionSnapshot, TlsSnapshot,
    Traffic, Waiting,
};
use crate::monitor::streams::{JetStreamSnapshot, StreamDetails, Wanted};
use crate::pubsub::accounts::Account;
use crate::pubsub::subscription::Subscription;
use crate::telemetry::process::{self, ProcessMeter, Usage};

/// The state that monitoring reads.
pub struct Live {
    front: Arc<Front>,
    facts: RwLock<Arc<ServerFacts>>,
    closed: ClosedRing,
    meter: ProcessMeter,
    /// JetStream, once it runs; it is somebody else's to end.
    pub jetstream: OnceLock<Weak<JetStream>>,
    jetstream_options: RwLock<options::JetStream>,
    /// Clients are accepted.
    pub is_ready: AtomicBool,
}

impl Live {
    /// The state of `front`, remembering `closed_max` closed connections.
    pub fn new(front: Arc<Front>, facts: ServerFacts, closed_max: usize) -> Self {
        Live {
            front,
            facts: RwLock::new(Arc::new(facts)),
            closed: ClosedRing::new(closed_max),
            meter: ProcessMeter::new(process::read_proc),
            jetstream: OnceLock::new(),
            jetstream_options: RwLock::default(),
            is_ready: AtomicBool::new(false),
        }
    }

    /// Replaces what is configured about JetStream.
    pub fn set_jetstream_options(&self, options: options::JetStream) {
        *self.jetstream_options.write() = options;
    }

    fn running_jetstream(&self) -> Option<Arc<JetStream>> {
        self.jetstream.get()?.upgrade()
    }

    /// Replaces what is configured.
    pub fn set_facts(&self, facts: ServerFacts) {
        *self.facts.write() = Arc::new(facts);
    }

    /// Remembers a connection that ended.
    pub fn remember(
        &self,
        client: &Arc<Client>,
        reason: CloseReason,
        subscriptions: &[Arc<Subscription>],
    ) {
        let mut snapshot = connection(client, true);
        snapshot.stop = Some(clock::now());
        reason.text().clone_into(&mut snapshot.reason);
        snapshot.pending_bytes = 0;
        let account = snapshot.account.clone();
        snapshot.subscription_count = subscriptions.len() as u64;
        snapshot.subscriptions = subscriptions
            .iter()
            .map(|sub| subscription(&account, sub))
            .collect();
        self.closed.push(snapshot);
    }
}

fn load(pair: &(AtomicU64, AtomicU64)) -> Traffic {
    Traffic::new(
        pair.0.load(Ordering::Relaxed),
        pair.1.load(Ordering::Relaxed),
    )
}

fn plus(a: Traffic, (msgs, bytes): (u64, u64)) -> Traffic {
    Traffic::new(a.msgs + msgs, a.bytes + bytes)
}

fn subscription(account: &str, sub: &Subscription) -> SubscriptionSnapshot {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let cid = sub.sink.owner().0;
    SubscriptionSnapshot {
        account: account.to_owned(),
        account_tag: account.to_owned(),
        subject: text(sub.filter()),
        queue: sub.queue().map(text).unwrap_or_default(),
        sid: text(sub.sid()),
        msgs: sub.delivered(),
        max: sub.max(),
        cid,
        counts: cid != 0,
    }
}

/// One client; with its certificates if asked for.
pub(super) fn connection(client: &Client, certificates: bool) -> ConnectionSnapshot {
    let link = &client.link;
    let details = client.details();
    let (received_msgs, received_bytes) = link.received.get();
    let (sent_msgs, sent_bytes) = link.delivered();
    let account = details
        .account
        .as_ref()
        .map_or("", |account| &*account.name);
    let nanos = client.last_activity.load(Ordering::Relaxed);
    let peer_certificates = |tls: &crate::client::entry::TlsPeer| {
        let ders = if certificates {
            tls.certificates.as_slice()
        } else {
            &[]
        };
        ders.iter().map(|der| certificate(der)).collect()
    };
    ConnectionSnapshot {
        cid: link.id.0,
        kind: "Client",
        client_type: "nats",
        ip: link.peer.ip().to_canonical().to_string(),
        port: link.peer.port(),
        start: client.start,
        last_activity: Timestamp::from_unix_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)),
        round_trip: Duration::from_nanos(client.round_trip.load(Ordering::Relaxed)),
        pending_bytes: link.pending_bytes() as u64,
        received: Traffic::new(received_msgs, received_bytes),
        sent: Traffic::new(sent_msgs, sent_bytes),
        stalls: link.stalls.load(Ordering::Relaxed),
        subscription_count: client.subscription_count() as u64,
        name: details.name,
        lang: details.lang,
        version: details.version,
        tls: client.tls.as_ref().map(|tls| TlsSnapshot {
            version: tls.version.clone(),
            cipher_suite: tls.cipher_suite.clone(),
            first: tls.first,
            peer_certificates: peer_certificates(tls),
        }),
        user: details.shown_user,
        account: account.to_owned(),
        name_tag: account.to_owned(),
        ..ConnectionSnapshot::default()
    }
}

fn certificate(der: &[u8]) -> PeerCertificate {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    PeerCertificate {
        subject: CertificateNames::from_der(der)
            .ok()
            .and_then(|names| names.written.last().cloned())
            .unwrap_or_default(),
        spki_sha256: tls_map::public_key_fingerprint(der).unwrap_or_default(),
        cert_sha256: data_encoding::HEXLOWER.encode(digest.as_ref()),
    }
}

impl Source for Live {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn facts(&self) -> Arc<ServerFacts> {
        Arc::clone(&self.facts.read())
    }

    fn counters(&self) -> Counters {
        let front = &self.front;
        let counters = &front.counters;
        let clients = front.clients.all();
        let mut received = load(&counters.received);
        let mut sent = load(&counters.sent);
        for client in &clients {
            received = plus(received, client.link.received.get());
            sent = plus(sent, client.link.delivered());
        }
        let accounts = front.accounts.all();
        let count = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Counters {
            connections: clients.len() as u64,
            total_connections: count(&counters.connections_total),
            received,
            received_from_clients: received,
            sent,
            sent_to_clients: sent,
            slow_consumers: ByKind {
                clients: count(&counters.slow_consumers),
                ..ByKind::default()
            },
            stale_connections: ByKind {
                clients: count(&counters.stale_connections),
                ..ByKind::default()
            },
            stalled_clients: count(&counters.stalls),
            subscriptions: accounts
                .iter()
                .map(|account| account.interest.len() as u64)
                .sum(),
            active_accounts: accounts
                .iter()
                .filter(|a| count(&a.counters.clients) > 0)
                .count() as u64,
            active_servers: 1,
            pending_bytes: front.total.bytes() as u64,
            ..Counters::default()
        }
    }

    fn usage(&self) -> Usage {
        self.meter.usage(clock::monotonic())
    }

    fn ready(&self) -> Result<(), String> {
        if self.is_ready.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("not ready for connections".to_owned())
        }
    }

    fn connections(&self, account: Option<&str>) -> Vec<ConnectionSnapshot> {
        let mut connections = Vec::new();
        for client in self.front.clients.all() {
            let snapshot = connection(&client, false);
            if account.is_some_and(|wanted| *wanted != *snapshot.account) {
                continue;
            }
            if snapshot.round_trip.is_zero() && !snapshot.lang.is_empty() {
                client.order(|orders| orders.ping = true);
            }
            connections.push(snapshot);
        }
        connections
    }

    fn connection(&self, cid: u64) -> Option<ConnectionSnapshot> {
        let client = self.front.clients.get(ConnId(cid))?;
        let mut snapshot = connection(&client, true);
        let subscriptions = client.subscriptions.lock();
        let shown = subscriptions
            .iter()
            .map(|sub| subscription(&snapshot.account, &sub.0));
        snapshot.subscriptions = shown.collect();
        Some(snapshot)
    }

    fn closed_connections(&self) -> Vec<Arc<ConnectionSnapshot>> {
        self.closed.snapshots()
    }

    fn accounts(&self) -> Vec<AccountSnapshot> {
        let mut traffic = TrafficByAccount::of(&self.front);
        let accounts = self.front.accounts.all();
        accounts
            .iter()
            .map(|account| account_snapshot(account, &mut traffic))
            .collect()
    }

    fn account(&self, name: &str) -> Option<AccountSnapshot> {
        let account = self.front.accounts.get(name)?;
        Some(account_snapshot(
            &account,
            &mut TrafficByAccount::of(&self.front),
        ))
    }

    fn account_detail(&self, name: &str) -> Option<AccountDetail> {
        let account = self.front.accounts.get(name)?;
        let policy = account.policy();
        let mut exports: Vec<_> = policy.exports.iter().map(export).collect();
        if self.facts().system_account == name {
            exports.extend(SYSTEM_EXPORTS.map(system_export));
        }
        let mut imports: Vec<_> = policy
            .stream_imports
            .iter()
            .map(|i| stream_import(i))
            .collect();
        imports.extend(policy.service_imports.iter().map(|i| service_import(i)));
        let updated = *account.updated.lock();
        Some(AccountDetail {
            updated,
            exports,
            imports,
            mappings: mappings(&policy.mappings),
            responses: responses(&account),
            jetstream: self
                .running_jetstream()
                .is_some_and(|jetstream| jetstream.streams.account(name).is_some()),
            ..AccountDetail::default()
        })
    }

    fn visit_subscriptions(
        &self,
        account: Option<&str>,
        visit: &mut dyn FnMut(SubscriptionSnapshot),
    ) {
        for tree in self.front.accounts.all() {
            if account.is_some_and(|wanted| *wanted != *tree.name) {
                continue;
            }
            for sub in tree.interest.all() {
                let client = self.front.clients.get(sub.sink.owner());
                let owner = client
                    .filter(|_| sub.shadow().is_some())
                    .and_then(|client| client.account());
                let name = owner.as_ref().map_or(&tree.name, |account| &account.name);
                visit(subscription(name, &sub));
            }
        }
    }

    fn jetstream(&self) -> Option<JetStreamSnapshot> {
        let jetstream = self.running_jetstream()?;
        let options = self.jetstream_options.read();
        Some(live_streams::snapshot(&jetstream, &options))
    }

    fn stream_details(&self, wanted: Wanted) -> Waiting<'_, StreamDetails> {
        Box::pin(async move {
            match self.running_jetstream() {
                Some(jetstream) => live_streams::details(&jetstream, &wanted).await,
                None => StreamDetails::new(),
            }
        })
    }

    fn has_consumer(&self, account: &str, stream: &str, consumer: &str) -> bool {
        let site = self.running_jetstream();
        let site = site.and_then(|jetstream| jetstream.streams.account(account));
        let stream = site.and_then(|site| site.stream(stream));
        stream.is_some_and(|stream| stream.has_consumer(consumer))
    }
}

/// Traffic of open clients, by account.
#[derive(Default)]
struct TrafficByAccount(HashMap<Arc<str>, (Traffic, Traffic)>);

impl TrafficByAccount {
    fn of(front: &Front) -> Self {
        let mut sums = TrafficByAccount::default();
        for client in front.clients.all() {
            if let Some(account) = client.account() {
                let (received, sent) = sums.0.entry(Arc::clone(&account.name)).or_default();
                *received = plus(*received, client.link.received.get());
                *sent = plus(*sent, client.link.delivered());
            }
        }
        sums
    }
}

fn account_snapshot(account: &Account, traffic: &mut TrafficByAccount) -> AccountSnapshot {
    let counters = &account.counters;
    let (received, sent) = traffic.0.remove(&account.name).unwrap_or_default();
    let (inserts, removes) = account.interest.changes();
    let caches = account.caches.sum();
    let all = |gone: &(AtomicU64, AtomicU64), open: Traffic| AccountTraffic {
        all: plus(load(gone), (open.msgs, open.bytes)),
        ..AccountTraffic::default()
    };
    AccountSnapshot {
        name: account.name.to_string(),
        name_tag: account.name.to_string(),
        clients: counters.clients.load(Ordering::Relaxed),
        received: all(&counters.received, received),
        sent: all(&counters.sent, sent),
        slow_consumers: counters.slow_consumers.load(Ordering::Relaxed),
        sublist: SublistSnapshot {
            subscriptions: account.interest.len() as u64,
            inserts,
            removes,
            cached: caches.cached,
            matches: caches.lookups,
            cache_hits: caches.hits,
            fanout_max: caches.fanout_max,
            fanout_total: caches.fanout_total,
        },
        ..AccountSnapshot::default()
    }
}

fn export(export: &crate::account::export::ExportSpec) -> accountz::ExportInfo {
    let (offer, response_type) = match &export.kind {
        ExportKind::Stream => (accountz::Offer::Stream, None),
        ExportKind::Service { response, .. } => (accountz::Offer::Service, Some(*response)),
    };
    accountz::ExportInfo {
        subject: export.subject.clone(),
        offer,
        response_type: response_type.map(shown_response),
        approved_accounts: export.accounts.clone().unwrap_or_default(),
        ..accountz::ExportInfo::default()
    }
}

/// What every system account offers to all others.
const SYSTEM_EXPORTS: [(&str, accountz::ResponseKind); 4] = [
    ("$SYS.REQ.ACCOUNT.*.CONNZ", accountz::ResponseKind::Streamed),
    ("$SYS.REQ.ACCOUNT.*.STATZ", accountz::ResponseKind::Streamed),
    ("$SYS.DEBUG.SUBSCRIBERS", accountz::ResponseKind::Singleton),
    ("$SYS.REQ.USER.*.INFO", accountz::ResponseKind::Singleton),
];

fn system_export((subject, response): (&str, accountz::ResponseKind)) -> accountz::ExportInfo {
    accountz::ExportInfo {
        subject: subject.to_owned(),
        offer: accountz::Offer::Service,
        response_type: Some(response),
        ..accountz::ExportInfo::default()
    }
}

fn shown_response(response: ResponseKind) -> accountz::ResponseKind {
    match response {
        ResponseKind::Singleton => accountz::ResponseKind::Singleton,
        ResponseKind::Stream => accountz::ResponseKind::Streamed,
        ResponseKind::Chunked => accountz::ResponseKind::Chunked,
    }
}

fn stream_import(import: &crate::account::import::StreamImport) -> accountz::ImportInfo {
    accountz::ImportInfo {
        subject: import.remote.clone(),
        account: import.exporter.clone(),
        local_subject: import.local.clone(),
        offer: accountz::Offer::Stream,
        ..accountz::ImportInfo::default()
    }
}

fn service_import(import: &crate::account::import::ServiceImport) -> accountz::ImportInfo {
    accountz::ImportInfo {
        subject: import.remote.clone(),
        account: import.exporter.clone(),
        to: import.local.clone(),
        local_subject: import.local.clone(),
        offer: accountz::Offer::Service,
        share: import.share,
        ..accountz::ImportInfo::default()
    }
}

fn mappings(
    mappings: &crate::account::mapping::Mappings,
) -> BTreeMap<String, Vec<accountz::MappingDestination>> {
    let shown = |(source, mut destinations): (&str, Vec<(String, u8, String)>)| {
        by_weight(&mut destinations);
        let destinations = destinations.into_iter().map(|(subject, weight, cluster)| {
            accountz::MappingDestination {
                subject,
                weight,
                cluster,
            }
        });
        (source.to_owned(), destinations.collect())
    };
    mappings.shown().map(shown).collect()
}

/// Tools know the order of the incumbent: in a cluster the lightest first, weights adding up.
fn by_weight(destinations: &mut [(String, u8, String)]) {
    let runs = destinations.chunk_by_mut(|a, b| a.2 == b.2);
    for run in runs {
        let mut before = 0;
        for (_, weight, _) in run.iter_mut() {
            (before, *weight) = (*weight, weight.saturating_sub(before));
        }
        run.sort_by_key(|(_, weight, _)| *weight);
        let mut sum = 0_u8;
        for (_, weight, _) in run.iter_mut() {
            sum = sum.saturating_add(*weight);
            *weight = sum;
        }
    }
}

fn responses(account: &Account) -> BTreeMap<String, accountz::ImportInfo> {
    let prefix = String::from_utf8_lossy(account.reply_prefix()).into_owned();
    let pending = account.replies.all().into_iter().map(|(token, pending)| {
        let subject = format!("{prefix}{}", String::from_utf8_lossy(&token));
        let info = accountz::ImportInfo {
            subject: subject.clone(),
            account: pending
                .importer
                .upgrade()
                .map(|a| a.name.to_string())
                .unwrap_or_default(),
            to: String::from_utf8_lossy(&pending.reply).into_owned(),
            offer: accountz::Offer::Service,
            ..accountz::ImportInfo::default()
        };
        (subject, info)
    });
    pending.collect()
}

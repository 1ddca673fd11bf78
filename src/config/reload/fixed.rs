//! Fixed: what of the blocks cannot change while the server runs.
//!
//! Separate because blocks have many fields, and the rule is the same for each:
//! take out of the block what may change, and the rest has to be equal.

use super::shown::{Debugged, Shown};
use super::{Checked, Diff, Refusal, configured, effective_host};
use crate::config::options::Options;
use crate::config::options::endpoint::Port;
use crate::config::options::gateway::Gateway;
use crate::config::options::leafnodes::{LeafRemote, Leafnodes};
use crate::config::options::mqtt::Mqtt;
use crate::config::options::tls::Tls;
use crate::config::options::websocket::Websocket;

/// The gateway block without what files hold, its clusters by name.
pub(super) fn gateway(options: &Options) -> Debugged<Option<Gateway>> {
    let without_pins = |tls: Tls| Tls {
        pinned_certs: Vec::new(),
        ..without_files(tls)
    };
    Debugged(options.gateway.clone().map(|mut gateway| {
        gateway.tls = Some(without_pins(gateway.tls.unwrap_or_default()));
        for remote in &mut gateway.gateways {
            remote.tls = Some(without_files(remote.tls.take().unwrap_or_default()));
        }
        gateway.gateways.sort_by(|a, b| a.name.cmp(&b.name));
        gateway
    }))
}

/// The WebSocket block without what files hold.
pub(super) fn websocket(options: &Options) -> Debugged<Websocket> {
    let mut websocket = options.websocket.clone().unwrap_or_default();
    websocket.tls = Some(without_files(websocket.tls.unwrap_or_default()));
    websocket.allowed_origins.sort();
    Debugged(websocket)
}

/// The MQTT block without what files hold and without what may change.
pub(super) fn mqtt(options: &Options) -> Debugged<Mqtt> {
    let mqtt = options.mqtt.clone().unwrap_or_default();
    let live = Mqtt::default();
    Debugged(Mqtt {
        tls: Some(without_files(mqtt.tls.unwrap_or_default())),
        ack_wait: live.ack_wait,
        max_ack_pending: live.max_ack_pending,
        stream_replicas: live.stream_replicas,
        consumer_replicas: live.consumer_replicas,
        consumer_memory_storage: live.consumer_memory_storage,
        consumer_inactive_threshold: live.consumer_inactive_threshold,
        ..mqtt
    })
}

/// What of a TLS block is not read from files and made anew on each reload. No
/// block counts as the default one: TLS may be turned on.
fn without_files(tls: Tls) -> Tls {
    Tls {
        timeout: tls.timeout,
        verify_and_map: tls.verify_and_map,
        verify_cert_and_check_known_urls: tls.verify_cert_and_check_known_urls,
        pinned_certs: tls.pinned_certs,
        handshake_first: tls.handshake_first,
        ..Tls::default()
    }
}

/// JetStream, but for what `Diff::jetstream` looks at itself.
pub(super) fn jetstream(diff: &Diff<'_>, stays: bool) -> Checked {
    diff.fixed("JetStreamDomain", |o| o.jetstream.domain.clone())?;
    diff.fixed("JetStreamExtHint", |o| o.jetstream.extension_hint.clone())?;
    diff.fixed("JetStreamKey", |o| o.jetstream.encryption_key.clone())?;
    diff.fixed("JetStreamOldKey", |o| {
        o.jetstream.previous_encryption_key.clone()
    })?;
    diff.fixed("JetStreamCipher", |o| Debugged(o.jetstream.cipher))?;
    diff.fixed("JetStreamUniqueTag", |o| o.jetstream.unique_tag.clone())?;
    diff.fixed("JetStreamTpm", |o| Debugged(o.jetstream.tpm.clone()))?;
    diff.fixed("JetStreamMaxCatchup", |o| {
        o.jetstream.max_outstanding_catchup
    })?;
    diff.fixed("JetStreamRequestQueueLimit", |o| {
        o.jetstream.request_queue_limit
    })?;
    diff.fixed("JetStreamInfoQueueLimit", |o| o.jetstream.info_queue_limit)?;
    // `meta_compact*` is looked up when it is needed: nothing to carry out.
    if stays {
        diff.fixed("JetStreamConcurrentIOs", |o| {
            o.jetstream.max_concurrent_io.unwrap_or(0)
        })?;
    }
    diff.fixed("StreamMaxBufferedMsgs", |o| {
        o.jetstream.max_buffered_msgs.unwrap_or(0)
    })?;
    diff.fixed("StreamMaxBufferedSize", |o| {
        o.jetstream.max_buffered_size.unwrap_or(0)
    })
}

/// The leafnodes block, but for remotes, compression and certificates.
pub(super) fn leafnodes(old: &Leafnodes, new: &Leafnodes) -> Checked {
    let both = Both {
        within: String::new(),
        old,
        new,
    };
    let login = |l: &Leafnodes| l.authorization.clone().unwrap_or_default();
    let tls = |l: &Leafnodes| l.tls.clone().unwrap_or_default();
    both.fixed("Users", |l| {
        let mut users = login(l).users;
        users.sort_by(|a, b| a.user.cmp(&b.user));
        Debugged(users)
    })?;
    both.fixed("Host", |l| effective_host(&l.endpoint))?;
    let random = new.endpoint.port == Some(Port::Random) && old.endpoint.port.is_some();
    if !random {
        both.fixed("Port", |l| configured(&l.endpoint))?;
    }
    both.fixed("Username", |l| login(l).user)?;
    both.fixed("Password", |l| login(l).password)?;
    both.fixed("ProxyRequired", |l| login(l).proxy_required)?;
    both.fixed("Nkey", |l| login(l).nkey)?;
    both.fixed("Account", |l| login(l).account)?;
    both.fixed("AuthTimeout", |l| login(l).timeout)?;
    both.fixed("TLSTimeout", |l| tls(l).timeout)?;
    both.fixed("TLSMap", |l| tls(l).verify_and_map)?;
    both.fixed("TLSPinnedCerts", |l| tls(l).pinned_certs)?;
    both.fixed("Advertise", |l| l.advertise.clone())?;
    both.fixed("NoAdvertise", |l| l.no_advertise)?;
    both.fixed("ReconnectInterval", |l| l.reconnect_interval)?;
    both.fixed("WriteDeadline", |l| l.write_deadline)?;
    both.fixed("WriteTimeout", |l| l.write_timeout)?;
    both.fixed("MinVersion", |l| l.min_version.clone())?;
    both.fixed("IsolateLeafnodeInterest", |l| l.isolate_leafnode_interest)?;
    both.fixed("DialTimeout", |l| l.dial_timeout)
}

/// A remote that stays, but for compression, certificates and `disabled`.
pub(super) fn leaf_remote(old: &LeafRemote, new: &LeafRemote) -> Checked {
    let both = Both {
        within: format!("remote {}: ", super::change::remote_name(new)),
        old,
        new,
    };
    both.fixed("NoRandomize", |r| r.no_randomize)?;
    both.fixed("TLSTimeout", |r| r.tls.clone().unwrap_or_default().timeout)?;
    both.fixed("Hub", |r| r.hub)?;
    both.fixed("DenyImports", |r| r.deny_imports.clone())?;
    both.fixed("DenyExports", |r| r.deny_exports.clone())?;
    both.fixed("FirstInfoTimeout", |r| r.first_info_timeout)?;
    both.fixed("DialTimeout", |r| r.dial_timeout)?;
    both.fixed("Websocket", |r| {
        Debugged((r.ws_compression, r.ws_no_masking))
    })?;
    both.fixed("Proxy", |r| Debugged(r.proxy.clone()))?;
    both.fixed("JetStreamClusterMigrate", |r| r.jetstream_cluster_migrate)?;
    both.fixed("JetStreamClusterMigrateDelay", |r| r.leader_migrate_delay)?;
    both.fixed("LocalIsolation", |r| r.isolate_leafnode_interest)?;
    both.fixed("RequestIsolation", |r| r.request_isolation)?;
    both.fixed("IgnoreDiscoveredServers", |r| r.ignore_discovered_servers)
}

/// A part of the leafnodes block, as it was and as it is to be.
struct Both<'a, B> {
    /// Which part, with `: ` at its end.
    within: String,
    old: &'a B,
    new: &'a B,
}

impl<B> Both<'_, B> {
    fn fixed<T>(&self, field: &'static str, get: impl Fn(&B) -> T) -> Checked
    where
        T: PartialEq + Shown,
    {
        let (old, new) = (get(self.old), get(self.new));
        if old == new {
            return Ok(());
        }
        Err(Refusal::FixedWithin {
            block: "LeafNode",
            within: self.within.clone(),
            field,
            old: old.shown(),
            new: new.shown(),
        })
    }
}

//! Reload: what a new configuration changes, or why it cannot be taken up.
//!
//! Separate because it is a decision about two values and needs no server: [`plan`]
//! compares the options in force with new, validated ones. Every option stands in
//! one line of `compare`, as one that may change while the server runs (`live`)
//! or one that may not (`fixed`). One refusal refuses the whole; the server then
//! changes nothing.
//!
//! The order of the lines is nats-server's, so the first refusal and the order of
//! log lines are the same. Names such as `MaxPending` are its names too: they are
//! part of the texts people know.
//!
//! Invariants: equal options give a plan without log lines. What is only named in
//! the options and lies in files (certificates) is planned to be read again on
//! every reload. Absent: no file is read, no option is validated.

pub mod change;
mod fixed;
pub mod shown;

use std::time::Duration;

use self::change::{Change, ClusterChange, LeafnodesChange, RemoteChange};
use self::shown::{Debugged, Names, Shown};
use super::options::Options;
use super::options::cluster::Cluster;
use super::options::endpoint::{Endpoint, Port};
use super::options::jetstream::JetStream;
use super::options::leafnodes::{LeafRemote, Leafnodes};
use super::options::listen::{ANY_HOST, CLIENT_PORT};
use super::options::tls::{HandshakeFirst, Tls};
use crate::auth::users::{Login, UserSpec};

/// The account of the server itself when none is configured.
const SYSTEM_ACCOUNT: &str = "$SYS";
/// Time to log in when neither it nor TLS is configured.
const AUTH_TIMEOUT: Duration = Duration::from_secs(2);

/// What has to be carried out so that the new options are in force, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The changes, in the order in which they are logged.
    pub changes: Vec<Change>,
}

/// Why new options cannot be taken up without a restart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An option that cannot change while the server runs.
    #[error("config reload not supported for {field}: old={old}, new={new}")]
    Fixed {
        /// The option, as nats-server calls it.
        field: &'static str,
        /// Its value in force.
        old: String,
        /// Its value in the new configuration.
        new: String,
    },
    /// An option within a block that cannot change.
    #[error(
        "config reload not supported for {block}: {within}field {field:?}: old={old}, new={new}"
    )]
    FixedWithin {
        /// The block, as nats-server calls it.
        block: &'static str,
        /// Which part of the block, with `: ` at its end; mostly empty.
        within: String,
        /// The option.
        field: &'static str,
        /// Its value in force.
        old: String,
        /// Its value in the new configuration.
        new: String,
    },
    /// A change that cannot be made in this direction.
    #[error("config reload not supported for {0}")]
    Unsupported(&'static str),
    /// Account JWTs would come from somewhere instead of from nowhere, or back.
    #[error("config reload does not support moving to or from an account resolver")]
    Resolver,
}

impl Plan {
    /// The lines to log, in order. The last line of a reload, `Reloaded server
    /// configuration`, names the digest and is the caller's.
    pub fn lines(&self) -> Vec<String> {
        self.changes.iter().flat_map(Change::lines).collect()
    }
}

/// What changes from `old`, in force, to `new`.
///
/// A random port in `new` means the port in force. Fields of a plan that name no
/// value leave it to the caller to look into the new options.
pub fn plan(old: &Options, new: &Options) -> Result<Plan, Refusal> {
    let mut diff = Diff {
        old,
        new,
        changes: Vec::new(),
    };
    diff.compare()?;
    Ok(Plan {
        changes: diff.changes,
    })
}

struct Diff<'a> {
    old: &'a Options,
    new: &'a Options,
    changes: Vec<Change>,
}

type Checked = Result<(), Refusal>;

impl Diff<'_> {
    fn compare(&mut self) -> Checked {
        self.fixed("ServerName", |o| o.listen.server_name.clone())?;
        self.fixed("Host", |o| o.listen.endpoint.host_or(ANY_HOST).to_owned())?;
        self.fixed_port("Port", |o| {
            o.listen.endpoint.port_or(CLIENT_PORT).configured()
        })?;
        self.live(
            |o| o.listen.client_advertise.clone(),
            Change::ClientAdvertise,
        );
        self.live(|o| o.logging.trace, Change::Trace);
        self.live(|o| o.logging.debug, Change::Debug);
        self.live(|o| o.logging.trace_verbose, Change::TraceVerbose);
        self.live(|o| o.logging.trace_headers, Change::TraceHeaders);
        self.fixed("NoSublistCache", |o| o.limits.disable_sublist_cache)?;
        self.fixed("NoHeaderSupport", |o| o.listen.no_header_support)?;
        self.live(|o| o.logging.logtime, Change::Logtime);
        self.live(|o| o.logging.logtime_utc, Change::LogtimeUtc);
        self.live(|o| o.limits.max_connections, Change::MaxConnections);
        self.fixed("MaxSubs", |o| o.limits.max_subscriptions)?;
        self.fixed("MaxSubTokens", |o| o.limits.max_sub_tokens.unwrap_or(0))?;
        self.users();
        self.no_auth_user()?;
        self.live(
            |o| o.operator.default_sentinel.clone(),
            |_| Change::DefaultSentinel,
        );
        self.fixed("SystemAccount", |o| {
            let name = o.accounts.system_account.as_deref();
            name.unwrap_or(SYSTEM_ACCOUNT).to_owned()
        })?;
        self.fixed("NoSystemAccount", |o| o.accounts.no_system_account)?;
        self.live(|o| o.authorization.user.clone(), |_| Change::Username);
        self.live(|o| o.authorization.password.clone(), |_| Change::Password);
        self.fixed("ProxyRequired", |o| o.authorization.proxy_required)?;
        self.fixed("ProxyProtocol", |o| o.listen.proxy_protocol)?;
        self.live(|o| o.authorization.token.clone(), |_| Change::Token);
        self.fixed("AuthCallout", |o| {
            Debugged(o.authorization.auth_callout.clone())
        })?;
        self.live(|o| o.limits.ping_interval, Change::PingInterval);
        self.live(|o| o.limits.ping_max, Change::PingMax);
        self.fixed("HTTPHost", |o| o.monitoring.http.host.clone())?;
        self.fixed_port("HTTPPort", |o| configured(&o.monitoring.http))?;
        self.fixed("HTTPBasePath", |o| o.monitoring.http_base_path.clone())?;
        self.fixed("HTTPSHost", |o| o.monitoring.https.host.clone())?;
        self.fixed_port("HTTPSPort", |o| configured(&o.monitoring.https))?;
        self.live(auth_timeout, Change::AuthTimeout);
        self.live(|o| o.limits.max_control_line, Change::MaxControlLine);
        self.live(|o| o.limits.max_payload, Change::MaxPayload);
        self.fixed("MaxPending", |o| o.limits.max_pending)?;
        self.fixed("MaxPendingTotal", |o| o.limits.max_pending_total)?;
        self.live(
            |o| o.limits.no_fast_producer_stall,
            Change::NoFastProducerStall,
        );
        self.cluster()?;
        self.fixed("Gateway", fixed::gateway)?;
        self.files(
            |o| o.gateway.as_ref().and_then(|g| g.tls.as_ref()),
            Change::GatewayTls,
        );
        self.leafnodes()?;
        self.jetstream()?;
        self.fixed("Websocket", fixed::websocket)?;
        self.files(
            |o| o.websocket.as_ref().and_then(|w| w.tls.as_ref()),
            Change::WebsocketTls,
        );
        self.mqtt()?;
        self.fixed_port("ProfPort", |o| {
            o.monitoring.prof_port.map_or(0, Port::configured)
        })?;
        self.live(|o| o.monitoring.prof_block_rate, Change::ProfBlockRate);
        self.live(|o| o.listen.pid_file.clone(), Change::PidFile);
        self.live(|o| o.listen.ports_file_dir.clone(), Change::PortsFileDir);
        self.live(|o| o.logging.log_file.clone(), Change::LogFile);
        self.fixed("LogSizeLimit", |o| o.logging.logfile_size_limit)?;
        self.fixed("LogMaxFiles", |o| o.logging.logfile_max_num)?;
        self.live(|o| o.logging.syslog, Change::Syslog);
        self.live(|o| o.logging.remote_syslog.clone(), Change::RemoteSyslog);
        self.routes();
        self.tls()?;
        self.fixed("AllowNonTLS", |o| o.listen.allow_non_tls)?;
        self.live(|o| o.limits.write_deadline, Change::WriteDeadline);
        self.fixed("WriteTimeout", |o| o.limits.write_timeout)?;
        self.fixed("MaxClosedClients", |o| o.limits.max_closed_clients)?;
        self.fixed("LameDuckDuration", |o| o.limits.lame_duck_duration)?;
        self.fixed("LameDuckGracePeriod", |o| o.limits.lame_duck_grace_period)?;
        self.live(|o| o.logging.max_traced_msg_len, Change::MaxTracedMsgLen);
        self.fixed("TrustedKeys", |o| o.operator.trusted_keys.clone())?;
        self.fixed("TrustedOperators", |o| o.operator.operators.clone())?;
        self.resolver()?;
        self.live(
            |o| o.logging.connect_error_reports,
            Change::ConnectErrorReports,
        );
        self.live(
            |o| o.logging.reconnect_error_reports,
            Change::ReconnectErrorReports,
        );
        self.live(|o| o.listen.server_tags.clone(), |_| Change::Tags);
        self.live(|o| o.listen.server_metadata.clone(), |_| Change::Metadata);
        self.fixed("FeatureFlags", |o| Names(o.jetstream.feature_flags.clone()))?;
        self.live(|o| o.ocsp.clone(), |_| Change::Ocsp);
        self.proxies();
        self.live(|o| o.ocsp_cache.clone(), |_| Change::OcspCache);
        self.fixed("Streaming", |o| Debugged(o.streaming.clone()))
    }

    /// An option that cannot change while the server runs.
    fn fixed<T>(&self, field: &'static str, get: impl Fn(&Options) -> T) -> Checked
    where
        T: PartialEq + Shown,
    {
        let (old, new) = (get(self.old), get(self.new));
        if old == new {
            return Ok(());
        }
        Err(Refusal::Fixed {
            field,
            old: old.shown(),
            new: new.shown(),
        })
    }

    /// A port that cannot change; a random one is the one in force.
    fn fixed_port(&self, field: &'static str, get: impl Fn(&Options) -> i32) -> Checked {
        match get(self.new) {
            -1 if get(self.old) != 0 => Ok(()),
            _ => self.fixed(field, get),
        }
    }

    /// An option that may change while the server runs.
    fn live<T>(&mut self, get: impl Fn(&Options) -> T, change: impl FnOnce(T) -> Change)
    where
        T: PartialEq,
    {
        let new = get(self.new);
        if get(self.old) != new {
            self.changes.push(change(new));
        }
    }

    /// A TLS block whose files are read again if it is there.
    fn files(&mut self, get: impl Fn(&Options) -> Option<&Tls>, change: Change) {
        if get(self.old).is_some() || get(self.new).is_some() {
            self.changes.push(change);
        }
    }

    fn users(&mut self) {
        let by_password = |o: &Options| -> Vec<UserSpec> {
            let all = all_users(o);
            all.filter(|u| matches!(u.login, Login::Password { .. }))
                .cloned()
                .collect()
        };
        let by_nkey = |o: &Options| -> Vec<UserSpec> {
            let all = all_users(o);
            all.filter(|u| matches!(u.login, Login::Nkey(_)))
                .cloned()
                .collect()
        };
        let default_permissions = |o: &Options| o.authorization.default_permissions.clone();
        self.live(by_nkey, |_| Change::NkeyUsers);
        self.live(
            |o| (by_password(o), default_permissions(o)),
            |_| Change::Users,
        );
        self.live(
            |o| (o.accounts.accounts.clone(), o.accounts.mappings.clone()),
            |_| Change::Accounts,
        );
    }

    /// It may only be taken away, and only together with the user it names.
    fn no_auth_user(&self) -> Checked {
        let old = self.old.authorization.no_auth_user.as_deref();
        let taken_away = self.new.authorization.no_auth_user.is_none();
        let gone = |name: &str| {
            let is_it = |user: &UserSpec| matches!(&user.login, Login::Password { user, .. } if user == name);
            !all_users(self.new).any(is_it)
        };
        match old {
            Some(name) if taken_away && gone(name) => Ok(()),
            _ => self.fixed("NoAuthUser", |o| o.authorization.no_auth_user.clone()),
        }
    }

    fn cluster(&mut self) -> Checked {
        let without_routes = |o: &Options| {
            let cluster = o.cluster.clone().unwrap_or_default();
            Cluster {
                routes: Vec::new(),
                ..cluster
            }
        };
        let (old, mut new) = (without_routes(self.old), without_routes(self.new));
        if new.endpoint.port == Some(Port::Random) && old.endpoint.port.is_some() {
            new.endpoint.port = old.endpoint.port;
        }
        if effective_host(&old.endpoint) != effective_host(&new.endpoint) {
            return Err(Refusal::Fixed {
                field: "cluster host",
                old: effective_host(&old.endpoint),
                new: effective_host(&new.endpoint),
            });
        }
        if old.endpoint.port != new.endpoint.port {
            return Err(Refusal::Fixed {
                field: "cluster port",
                old: configured(&old.endpoint).shown(),
                new: configured(&new.endpoint).shown(),
            });
        }
        let tls = old.tls.is_some() || new.tls.is_some();
        if old == new && !tls {
            return Ok(());
        }
        let mut accounts_removed = only_in_first(&old.accounts, &new.accounts);
        if new.pool_size < 0 && old.pool_size >= 0 && !self.new.accounts.no_system_account {
            let name = self.new.accounts.system_account.as_deref();
            accounts_removed.push(name.unwrap_or(SYSTEM_ACCOUNT).to_owned());
        }
        self.changes.push(Change::Cluster(ClusterChange {
            differs: old != new,
            tls,
            permissions: old.permissions != new.permissions,
            compression: old.compression != new.compression,
            pool_size: old.pool_size != new.pool_size,
            accounts_added: only_in_first(&new.accounts, &old.accounts),
            accounts_removed,
        }));
        Ok(())
    }

    fn routes(&mut self) {
        let routes = |o: &Options| {
            o.cluster
                .as_ref()
                .map(|c| c.routes.clone())
                .unwrap_or_default()
        };
        let (old, new) = (routes(self.old), routes(self.new));
        let (add, remove) = (only_in_first(&new, &old), only_in_first(&old, &new));
        if !add.is_empty() || !remove.is_empty() {
            self.changes.push(Change::Routes { add, remove });
        }
    }

    fn leafnodes(&mut self) -> Checked {
        let block = |o: &Options| o.leafnodes.clone().unwrap_or_default();
        let (old, new) = (block(self.old), block(self.new));
        fixed::leafnodes(&old, &new)?;
        let change = leafnodes_change(&old, new)?;
        if !change.is_empty() {
            self.changes.push(Change::Leafnodes(change));
        }
        Ok(())
    }

    fn jetstream(&mut self) -> Checked {
        let running = self.old.jetstream.enabled;
        let stays = self.new.jetstream.enabled;
        self.live(|o| o.jetstream.enabled, Change::JetStream);
        self.fixed("NoJetStreamStrict", |o| !o.jetstream.strict)?;
        if running {
            let memory = self.store_limit(stays, |j| j.max_memory_store)?;
            let file = self.store_limit(stays, |j| j.max_file_store)?;
            if memory.is_some() || file.is_some() {
                self.changes.push(Change::JetStreamStores { memory, file });
            }
        }
        fixed::jetstream(self, stays)?;
        self.live(|o| o.jetstream.limits.clone(), |_| Change::JetStreamLimits);
        let dir = |o: &Options| o.jetstream.store_dir.clone().filter(|dir| !dir.is_empty());
        if running && dir(self.old) != dir(self.new) {
            if dir(self.new).is_some() {
                return Err(Refusal::Unsupported("jetstream storage directory"));
            } else if stays {
                return Err(Refusal::Unsupported("jetstream storage dir"));
            }
        }
        self.fixed("SyncInterval", |o| o.jetstream.sync_interval)?;
        self.fixed("SyncAlways", |o| o.jetstream.sync_always)?;
        self.fixed("JsAccDefaultDomain", |o| {
            Names(o.accounts.default_js_domain.clone())
        })
    }

    /// The new limit of a store if it was raised; it may not be lowered.
    fn store_limit(
        &self,
        stays: bool,
        get: impl Fn(&JetStream) -> Option<i64>,
    ) -> Result<Option<i64>, Refusal> {
        match (get(&self.old.jetstream), get(&self.new.jetstream)) {
            (old, new) if old == new => Ok(None),
            (Some(old), Some(new)) if new > old => Ok(Some(new)),
            (Some(_), None) if stays => {
                Err(Refusal::Unsupported("jetstream max memory and max store"))
            }
            (Some(_), None) => Ok(None),
            (None, _) => Err(Refusal::Unsupported(
                "jetstream dynamic max memory and store",
            )),
            _ => Err(Refusal::Unsupported(
                "decreasing jetstream max memory and store",
            )),
        }
    }

    fn mqtt(&mut self) -> Checked {
        self.fixed("MQTT", fixed::mqtt)?;
        let live = |o: &Options| {
            let mqtt = o.mqtt.clone().unwrap_or_default();
            change::MqttChange {
                ack_wait: mqtt.ack_wait,
                max_ack_pending: mqtt.max_ack_pending,
                stream_replicas: mqtt.stream_replicas,
                consumer_replicas: mqtt.consumer_replicas,
                consumer_memory_storage: mqtt.consumer_memory_storage,
                consumer_inactive_threshold: mqtt.consumer_inactive_threshold,
            }
        };
        self.live(live, Change::Mqtt);
        self.files(
            |o| o.mqtt.as_ref().and_then(|m| m.tls.as_ref()),
            Change::MqttTls,
        );
        Ok(())
    }

    fn tls(&mut self) -> Checked {
        let tls = |o: &Options| o.tls.clone().unwrap_or_default();
        let first = |o: &Options| tls(o).handshake_first;
        self.live(|o| tls(o).timeout, Change::TlsTimeout);
        self.fixed("TLSMap", |o| tls(o).verify_and_map)?;
        let enabled = self.new.tls.is_some();
        self.files(|o| o.tls.as_ref(), Change::Tls(enabled));
        self.live(
            |o| tls(o).pinned_certs,
            |pins| Change::PinnedCerts(pins.len()),
        );
        self.fixed("TLSRateLimit", |o| tls(o).connection_rate_limit)?;
        self.live(|o| first(o) != HandshakeFirst::Off, Change::HandshakeFirst);
        let fallback = |o: &Options| match first(o) {
            HandshakeFirst::Fallback(delay) => delay,
            _ => Duration::ZERO,
        };
        self.live(fallback, Change::HandshakeFirstFallback);
        Ok(())
    }

    fn resolver(&mut self) -> Checked {
        let (old, new) = (&self.old.operator, &self.new.operator);
        if old.resolver.is_some() != new.resolver.is_some() {
            return Err(Refusal::Resolver);
        }
        let same = old.resolver == new.resolver
            && old.resolver_tls == new.resolver_tls
            && old.resolver_preload == new.resolver_preload
            && old.resolver_pinned_accounts == new.resolver_pinned_accounts;
        if !same && !self.changes.contains(&Change::Accounts) {
            self.changes.push(Change::Accounts);
        }
        Ok(())
    }

    fn proxies(&mut self) {
        let trusted = |o: &Options| o.proxies.clone().unwrap_or_default().trusted;
        let (old, new) = (trusted(self.old), trusted(self.new));
        let (added, removed) = (only_in_first(&new, &old), only_in_first(&old, &new));
        if !added.is_empty() || !removed.is_empty() {
            self.changes.push(Change::Proxies { added, removed });
        }
    }
}

/// What of the leafnodes block may change, and does.
fn leafnodes_change(old: &Leafnodes, new: Leafnodes) -> Result<LeafnodesChange, Refusal> {
    let first = |tls: &Option<Tls>| {
        tls.as_ref()
            .map_or(HandshakeFirst::Off, |t| t.handshake_first)
    };
    let mut change = LeafnodesChange {
        tls: old.tls.is_some() || new.tls.is_some(),
        handshake_first: Some(first(&new.tls)).filter(|now| *now != first(&old.tls)),
        compression: Some(new.compression).filter(|now| *now != old.compression),
        ..LeafnodesChange::default()
    };
    // What is left of the new remotes once those in force have found theirs.
    let mut added = new.remotes;
    for before in &old.remotes {
        let Some(at) = added.iter().position(|r| is_same_remote(before, r)) else {
            change.removed.push(before.clone());
            continue;
        };
        let remote = added.swap_remove(at);
        fixed::leaf_remote(before, &remote)?;
        let changed = RemoteChange {
            tls: before.tls.is_some() || remote.tls.is_some(),
            handshake_first: first(&before.tls) != first(&remote.tls),
            compression: before.compression != remote.compression,
            disabled: before.disabled != remote.disabled,
            remote,
        };
        if changed.tls || changed.compression || changed.disabled {
            change.changed.push(changed);
        }
    }
    change.added = added;
    Ok(change)
}

/// A remote is known by where it leads, from which account and as whom.
fn is_same_remote(a: &LeafRemote, b: &LeafRemote) -> bool {
    let key = |r: &LeafRemote| {
        (
            r.urls.clone(),
            account_of(r),
            r.credentials.clone(),
            r.nkey.clone(),
        )
    };
    key(a) == key(b)
}

fn account_of(remote: &LeafRemote) -> String {
    remote.account.clone().unwrap_or_else(|| "$G".to_owned())
}

fn all_users(options: &Options) -> impl Iterator<Item = &UserSpec> {
    let accounts = options.accounts.accounts.iter();
    let in_accounts = accounts.flat_map(|account| account.users.iter());
    options.authorization.users.iter().chain(in_accounts)
}

fn auth_timeout(options: &Options) -> Duration {
    let with_tls = |tls: &Tls| tls.timeout + Duration::from_secs(1);
    let default = options.tls.as_ref().map_or(AUTH_TIMEOUT, with_tls);
    options.authorization.timeout.unwrap_or(default)
}

/// The port as configured; 0: off.
fn configured(endpoint: &Endpoint) -> i32 {
    endpoint.port.map_or(0, Port::configured)
}

/// The host a listener binds; empty if there is no listener.
fn effective_host(endpoint: &Endpoint) -> String {
    match endpoint.port {
        Some(_) => endpoint.host_or(ANY_HOST).to_owned(),
        None => endpoint.host.clone().unwrap_or_default(),
    }
}

fn only_in_first<T: Clone + PartialEq>(first: &[T], second: &[T]) -> Vec<T> {
    let missing = first.iter().filter(|item| !second.contains(item));
    missing.cloned().collect()
}

#[cfg(test)]
mod tests;

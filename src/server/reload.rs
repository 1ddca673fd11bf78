//! Carrying out a reload: the configuration is read again, the difference is planned, and
//! either everything of it happens or nothing.
//!
//! ```text
//! load ─► plan ─► accounts, users, certificates, log: whatever may fail is tried
//!                   └─► options ─► accounts ─► users ─► INFO ─► orders to clients
//! ```
//!
//! Invariants: reloads come one after the other; after the log has been set up nothing
//! fails; a client that nothing concerns keeps its subscriptions, so it misses nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::boot::{self, StartError};
use super::tls::TlsState;
use super::{Server, accounts, facts, info};
use crate::client::entry::Client;
use crate::config::reload::change::Change;
use crate::config::reload::{self, Plan, Refusal};
use crate::connection::close::CloseReason;
use crate::protocol::error::ClientError;
use crate::protocol::info::Info;
use crate::vfs::real::RealVfs;

/// Why a reload did not happen; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// There is no file to read again.
    #[error("can only reload config when a file is provided using -c or --config")]
    NoFile,
    /// The file is wrong.
    #[error("{0}")]
    Config(String),
    /// Something that needs a restart.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// JetStream cannot be turned on or off.
    #[error("config reload not supported for JetStream: turning it on or off needs a restart")]
    JetStream,
    /// JetStream of an account cannot be turned off.
    #[error(
        "config reload not supported for JetStream of account {0:?}: turning it off needs a restart"
    )]
    AccountStreams(String),
    /// The new configuration could not be started with either.
    #[error(transparent)]
    Invalid(#[from] StartError),
}

impl Server {
    /// Reads the configuration again and carries out what has changed.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing has changed then.
    pub fn reload(&self) -> Result<(), ReloadError> {
        let _one_at_a_time = self.reloading.lock();
        let source = self.source.as_ref().ok_or(ReloadError::NoFile)?;
        let fresh = source.load().map_err(ReloadError::Config)?;
        let old = self.options();
        let plan = reload::plan(&old, &fresh.options)?;
        let refused = fresh.options.refuse_unbuilt();
        if !refused.is_empty() {
            return Err(StartError::Config(refused).into());
        }
        let has = |is_such: fn(&Change) -> bool| plan.changes.iter().any(is_such);
        if has(|change| matches!(change, Change::JetStream(_))) {
            return Err(ReloadError::JetStream);
        }
        let losing = self
            .streams
            .lock()
            .as_ref()
            .map(|s| s.losing(&fresh.options));
        if let Some(account) = losing.flatten() {
            return Err(ReloadError::AccountStreams(account));
        }
        let checked = boot::checked_accounts(&fresh.options)?;
        let directory = boot::directory(&fresh.options).map_err(StartError::from)?;
        let tls = TlsState::new(&fresh.options, &RealVfs).map_err(StartError::from)?;
        let monitoring_tls = boot::monitoring_tls(&fresh.options)?;
        let authorization = has(Change::is_authorization);
        if has(Change::is_logging) || has(|c| matches!(c, Change::MaxTracedMsgLen(_))) {
            source
                .apply_logging(&fresh.options)
                .map_err(ReloadError::Config)?;
        }
        // From here on nothing fails.
        let options = Arc::new(fresh.options);
        *self.options.lock() = Arc::clone(&options);
        if authorization {
            accounts::reapply(&self.front.accounts, &checked, &old, &options);
            self.front.login.set_directory(directory);
        }
        if let Some(streams) = &*self.streams.lock() {
            streams.follow(&options, &self.front.accounts);
        }
        self.live.set_jetstream_options(options.jetstream.clone());
        *self.front.options.write() = Arc::new(boot::client_options(&options));
        self.tls.set(tls);
        if let Some((port, fresh)) = self.monitoring_tls.as_ref().zip(monitoring_tls) {
            *port.write() = fresh;
        }
        {
            let mut known = self.known.lock();
            known.digest.clone_from(&fresh.digest);
            known.tls_cert_not_after = self.tls.not_after();
        }
        self.refresh_info();
        self.order_clients(&plan, authorization);
        source.apply_files(
            self,
            has(|change| matches!(change, Change::PidFile(_))),
            has(|change| matches!(change, Change::PortsFileDir(_))),
        );
        for line in plan.lines() {
            tracing::info!("{line}");
        }
        tracing::info!("Reloaded server configuration ({})", fresh.digest);
        Ok(())
    }

    /// Makes INFO and the facts of monitoring true again, and tells clients if it matters to
    /// those that are connected.
    pub(super) fn refresh_info(&self) {
        let options = self.options();
        let directory = self.front.login.directory();
        let lame_duck = self.front.is_lame_duck();
        let fresh = info::build(
            &options,
            &self.identity,
            &directory,
            self.client_address,
            lame_duck,
        );
        let concerns = |info: &Info| (info.max_payload, info.ldm, info.connect_urls.clone());
        let changed = concerns(&self.front.info()) != concerns(&fresh);
        let facts = facts::build(&options, &self.identity, &fresh, &self.known.lock());
        self.live.set_facts(facts);
        *self.front.info.write() = Arc::new(fresh);
        if changed {
            self.front.announce_info();
        }
    }

    /// Clients look after what concerns them; those that are too many are closed.
    fn order_clients(&self, plan: &Plan, authorization: bool) {
        self.close_unpinned_clients();
        let mut clients = self.front.clients.all();
        clients.sort_by_key(|client| client.link.id);
        let max = self.front.options().connections_max;
        let excess = clients.split_off(max.min(clients.len()));
        for client in &excess {
            close(
                client,
                ClientError::MaximumConnections,
                CloseReason::MaximumConnectionsExceeded,
            );
        }
        if !excess.is_empty() {
            let count = excess.len();
            tracing::info!("Closed {count} connections to fall within max_connections");
        }
        if authorization {
            close_excess_of_accounts(&clients);
        }
        if plan.changes.is_empty() {
            return;
        }
        for client in clients {
            client.order(|orders| {
                orders.reoption = true;
                orders.reauthorize |= authorization;
            });
        }
    }

    /// `pinned_certs` may have lost the certificates of some.
    fn close_unpinned_clients(&self) {
        let Some(state) = self.tls.get() else {
            return;
        };
        for client in self.front.clients.all() {
            if client.tls.as_ref().is_some_and(|peer| !state.takes(peer)) {
                client.link.close(CloseReason::TlsHandshakeFailure);
            }
        }
    }
}

/// The limit of an account may have become less than there are. Those that came last go.
fn close_excess_of_accounts(clients: &[Arc<Client>]) {
    let mut counts: HashMap<Arc<str>, u64> = HashMap::new();
    for client in clients {
        let Some(account) = client.account() else {
            continue;
        };
        let Some(max) = account.limits().connections_max else {
            continue;
        };
        let count = counts.entry(Arc::clone(&account.name)).or_default();
        *count += 1;
        if *count > max {
            close(
                client,
                ClientError::MaximumAccountConnections,
                CloseReason::MaximumAccountConnectionsExceeded,
            );
        }
    }
}

/// Ends the connection of somebody who may not stay, and says why.
fn close(client: &Client, error: ClientError<'_>, reason: CloseReason) {
    tracing::error!(link = client.label(), "{}", error.text());
    client.link.send(&error.line());
    client.link.close(reason);
}

//! Carrying out a reload: the configuration is read again, the difference is planned, and
//! either everything of it happens or nothing.

use std::sync::Arc;

use super::boot::{self, StartError};
use super::tls::TlsState;
use super::{Server, facts, info};
use crate::config::reload::change::Change;
use crate::config::reload::{self, Refusal};
use crate::connection::close::CloseReason;
use crate::vfs::real::RealVfs;

/// Why a reload did not happen; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// There is no file to read again.
    #[error("can't reload configuration: no config file")]
    NoFile,
    /// The file is wrong.
    #[error("{0}")]
    Config(String),
    /// Something that needs a restart.
    #[error(transparent)]
    Refused(#[from] Refusal),
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
        let source = self.source.as_ref().ok_or(ReloadError::NoFile)?;
        let fresh = source.load().map_err(ReloadError::Config)?;
        let old = self.options();
        let plan = reload::plan(&old, &fresh.options)?;
        let refused = fresh.options.refuse_unbuilt();
        if !refused.is_empty() {
            return Err(StartError::Config(refused).into());
        }
        let checked = boot::checked_accounts(&fresh.options)?;
        let directory = boot::directory(&fresh.options).map_err(StartError::from)?;
        let tls = TlsState::new(&fresh.options, &RealVfs).map_err(StartError::from)?;
        let monitoring_tls = boot::monitoring_tls(&fresh.options)?;
        let authorization = plan.changes.iter().any(Change::is_authorization);
        if plan.changes.iter().any(Change::is_logging) {
            source
                .apply_logging(&fresh.options)
                .map_err(ReloadError::Config)?;
        }
        // From here on nothing fails.
        let options = Arc::new(fresh.options);
        *self.options.lock() = Arc::clone(&options);
        if authorization {
            boot::apply_accounts(&self.front.accounts, &checked);
            let announced = directory.announces_auth();
            self.front.login.set_directory(directory);
            tracing::debug!(auth_required = announced, "users reloaded");
        }
        *self.front.options.write() = Arc::new(boot::client_options(&options));
        self.tls.set(tls);
        if let Some((port, fresh)) = self.monitoring_tls.as_ref().zip(monitoring_tls) {
            *port.write() = fresh;
        }
        {
            let mut known = self.known.lock();
            known.digest = fresh.digest.clone();
            known.tls_cert_not_after = self.tls.not_after();
        }
        self.refresh_info();
        for client in self.front.clients.all() {
            client.order(|orders| {
                orders.reoption = true;
                orders.reauthorize |= authorization;
            });
        }
        self.close_unpinned_clients();
        self.close_excess_clients();
        for line in plan.lines() {
            tracing::info!("{line}");
        }
        tracing::info!("Reloaded server configuration {}", fresh.digest);
        Ok(())
    }

    /// Makes INFO and the facts of monitoring true again, and tells clients if they can see it.
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
        let changed = *self.front.info() != fresh;
        let facts = facts::build(&options, &self.identity, &fresh, &self.known.lock());
        self.live.set_facts(facts);
        *self.front.info.write() = Arc::new(fresh);
        if changed {
            self.front.announce_info();
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

    /// `max_connections` may have become less than there are.
    fn close_excess_clients(&self) {
        let max = self.front.options().connections_max;
        let clients = self.front.clients.all();
        for client in clients.iter().skip(max) {
            client
                .link
                .send(&crate::protocol::error::ClientError::MaximumConnections.line());
            client.link.close(CloseReason::MaximumConnectionsExceeded);
        }
    }
}

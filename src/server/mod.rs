//! The composition root: the only room that knows all others.
//!
//! [`Server::start`] builds a server from options and returns once it listens;
//! [`Server::shutdown`] takes it down in order. Everything is handed down by value or by
//! handle: no component looks configuration up.
//!
//! Invariants: nothing listens before everything it needs is there; a server that failed
//! to start leaves nothing behind.

pub mod banner;
pub mod boot;
pub mod files;
pub mod identity;
pub mod info;
pub mod listeners;
pub mod logging;
pub mod signals;
pub mod source;
pub mod version;

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::client::Front;
use crate::clock::Timestamp;
use crate::config::error::ConfigError;
use crate::config::options::Options;
use crate::connection::close::CloseReason;
use crate::tasks::Shards;

/// A running server.
pub struct Server {
    /// What it is configured to be.
    options: Mutex<Arc<Options>>,
    /// Who it is.
    pub identity: identity::Identity,
    /// When it started.
    pub started: Timestamp,
    /// The front for clients.
    pub front: Arc<Front>,
    /// Where clients connect.
    pub client_address: SocketAddr,
    shards: Arc<Shards>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    /// What it is configured to be now.
    pub fn options(&self) -> Arc<Options> {
        Arc::clone(&self.options.lock())
    }

    /// Stops listening and closes every connection.
    pub async fn shutdown(&self) {
        if let Some(acceptor) = self.acceptor.lock().take() {
            acceptor.abort();
        }
        for client in self.front.clients.all() {
            client.link.close(CloseReason::ServerShutdown);
        }
    }
}

/// Runs a server until it is told to end. `program` is the name it goes by, `loaded` what
/// `source` gave first.
///
/// # Errors
/// What kept it from starting.
// TO CONNECT: runtime, telemetry::install, Server::start, banner, files, signals.
pub fn start_blocking(
    program: &str,
    loaded: source::Loaded,
    source: source::Source,
) -> Result<(), boot::StartError> {
    let _ = (program, loaded, source);
    Err(boot::StartError::Config(vec![ConfigError {
        position: None,
        message: "running a server from the command line is not connected yet".to_owned(),
    }]))
}

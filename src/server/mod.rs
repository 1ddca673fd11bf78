//! The composition root: the only room that knows all others.
//!
//! [`Server::start`] builds a server from a configuration and returns once it listens;
//! [`Server::shutdown`] takes it down in order. Everything is handed down by value or by
//! handle: no component looks configuration up.
//!
//! Invariants: nothing listens before everything it needs is there; a server that failed
//! to start leaves nothing behind; a reload happens as a whole or not at all.

pub mod accounts;
pub mod banner;
pub mod boot;
pub mod events;
pub mod facts;
pub mod files;
pub mod identity;
pub mod info;
pub mod listeners;
pub mod live;
mod live_streams;
pub mod logging;
pub mod memory;
pub mod reload;
pub mod run;
pub mod secure;
pub mod shutdown;
pub mod signals;
pub mod source;
mod space;
mod streams;
pub mod system;
pub mod tls;
pub mod version;

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::client::Front;
use crate::clock::Timestamp;
use crate::config::options::Options;
use crate::monitor::http;
use crate::tasks::Shards;

/// A configuration, read and validated.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// What it says.
    pub options: Options,
    /// `sha256:…` of the file; empty without one.
    pub digest: String,
}

/// Where a configuration came from, so that it can be read again.
pub trait ConfigSource: Send + Sync {
    /// Reads it again, flags applied.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    fn load(&self) -> Result<Configuration, String>;

    /// Logs as `options` say from now on.
    ///
    /// # Errors
    /// What is wrong, for a person.
    fn apply_logging(&self, options: &Options) -> Result<(), String>;

    /// Says who has begun to start, before anything else is said. A server that is no
    /// process says nothing.
    fn announce(&self, _identity: &identity::Identity, _digest: &str) {}

    /// Writes the files by which `server` shows itself, as far as they have changed. What
    /// cannot be written is logged. A server that is no process has no such files.
    fn apply_files(&self, _server: &Server, _pid_file: bool, _ports_file: bool) {}
}

/// A running server.
pub struct Server {
    options: Mutex<Arc<Options>>,
    source: Option<Arc<dyn ConfigSource>>,
    /// Who it is.
    pub identity: identity::Identity,
    /// When it started.
    pub started: Timestamp,
    /// The front for clients.
    pub front: Arc<Front>,
    /// Where clients connect.
    pub client_address: SocketAddr,
    /// Where monitoring is served.
    pub monitoring_address: Option<SocketAddr>,
    live: Arc<live::Live>,
    events: Arc<events::Events>,
    known: Mutex<facts::Known>,
    /// Written by `run` and reloads, removed at the end.
    ports_file: Mutex<Option<files::PortsFile>>,
    /// Reloads come one after the other.
    reloading: Mutex<()>,
    /// TLS of the listener for clients.
    monitoring_tls: Option<http::PortTls>,
    tls: Arc<tls::ClientTls>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    streams: Mutex<Option<streams::Started>>,
    /// Dropped last: the links' tasks end with it.
    _shards: Arc<Shards>,
}

impl Server {
    /// What it is configured to be now.
    pub fn options(&self) -> Arc<Options> {
        Arc::clone(&self.options.lock())
    }
}

/// A server that is dropped stops; [`Server::shutdown`] also says goodbye.
impl Drop for Server {
    fn drop(&mut self) {
        let tasks = std::mem::take(self.tasks.get_mut());
        for task in self.acceptor.get_mut().take().into_iter().chain(tasks) {
            task.abort();
        }
    }
}

//! A server as a process: log, banner, files, signals, end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::banner::{self, Listener};
use super::boot::StartError;
use super::files::{self, Ports, PortsFile};
use super::signals::{Cause, Signal, Signals};
use super::source::{Loaded, Source};
use super::{ConfigSource, Configuration, Server, logging};
use crate::config::options::Options;
use crate::config::options::listen::ANY_HOST;
use crate::tasks;
use crate::telemetry::{self, Handle};
use crate::vfs::Vfs;

/// A configuration source that can also change the log of this process.
struct ProcessSource {
    source: Source,
    log: Handle,
}

impl ConfigSource for ProcessSource {
    fn load(&self) -> Result<Configuration, String> {
        if self.source.file().is_none() {
            return Err("can't reload configuration: no config file".to_owned());
        }
        let loaded = self.source.load().map_err(|error| error.to_string())?;
        warn_of(&loaded);
        Ok(configuration(loaded))
    }

    fn apply_logging(&self, options: &Options) -> Result<(), String> {
        let settings = logging::settings(&options.logging);
        self.log.apply(&settings).map_err(|error| error.to_string())
    }
}

fn configuration(loaded: Loaded) -> Configuration {
    Configuration {
        options: loaded.options,
        digest: loaded.digest.unwrap_or_default(),
    }
}

fn warn_of(loaded: &Loaded) {
    for warning in loaded
        .warnings
        .iter()
        .chain(&loaded.options.start_warnings())
    {
        tracing::warn!("{warning}");
    }
}

/// Runs a server until it is told to end. `program` is the name it goes by and `version`
/// what it says with it; `loaded` is what `source` gave first.
///
/// # Errors
/// What kept it from starting.
pub fn start_blocking(
    program: &str,
    version: &str,
    loaded: Loaded,
    source: Source,
) -> Result<(), StartError> {
    let runtime = tasks::control_runtime().map_err(StartError::Threads)?;
    runtime.block_on(run(program, version, loaded, source))
}

async fn run(
    program: &str,
    version: &str,
    loaded: Loaded,
    source: Source,
) -> Result<(), StartError> {
    let vfs = Arc::clone(source.vfs());
    let log = telemetry::install(
        &logging::settings(&loaded.options.logging),
        Arc::clone(&vfs),
    )?;
    let mut signals = Signals::new().map_err(StartError::Signals)?;
    warn_of(&loaded);
    let file = source.file().map(str::to_owned);
    let configuration = configuration(loaded);
    let digest = configuration.digest.clone();
    let source = Arc::new(ProcessSource {
        source,
        log: log.clone(),
    });
    let server = Server::start(configuration, Some(source))
        .await
        .inspect_err(|error| {
            tracing::error!(target: telemetry::FATAL, "{error}");
        })?;
    let lines = banner::start_lines(banner::Facts {
        program,
        version,
        name: &server.identity.name,
        id: server.identity.id(),
        config: file.as_deref().map(|file| (file, digest.as_str())),
    });
    for line in lines {
        tracing::info!("{line}");
    }
    announce_listeners(&server);
    server.write_files(program, &vfs)?;
    tracing::info!("{}", banner::READY);
    serve(&server, &mut signals, &log).await;
    tracing::info!("{}", banner::EXIT);
    Ok(())
}

fn announce_listeners(server: &Server) {
    let options = server.options();
    let host = options.listen.endpoint.host_or(ANY_HOST);
    if let Some(address) = server.monitoring_address {
        let host = options.monitoring.http.host_or(host);
        tracing::info!(
            "{}",
            banner::listener_line(Listener::Http, host, address.port())
        );
    }
    let port = server.client_address.port();
    tracing::info!("{}", banner::listener_line(Listener::Clients, host, port));
    if options.tls.is_some() && !options.listen.allow_non_tls {
        tracing::info!("{}", banner::TLS_REQUIRED);
    }
}

/// Does what signals ask for until the server has ended.
async fn serve(server: &Arc<Server>, signals: &mut Signals, log: &Handle) {
    loop {
        let signal = signals.next().await;
        tracing::info!("Trapped \"{signal}\" signal");
        match signal {
            Signal::Shutdown(_) => break,
            Signal::Reload => {
                if let Err(error) = server.reload() {
                    tracing::error!("Failed to reload server configuration: {error}");
                }
            }
            Signal::ReopenLog => log.reopen(),
            Signal::LameDuck => {
                // Cancelled by SIGINT only: it then ends at once.
                tokio::select! {
                    () = server.lame_duck() => return,
                    () = interrupted(signals) => break,
                }
            }
        }
    }
    tracing::info!("{}", banner::SHUTDOWN);
    server.shutdown().await;
}

/// SIGTERM does not count in lame duck mode: whoever stops the pod has sent both.
async fn interrupted(signals: &mut Signals) {
    while signals.next().await != Signal::Shutdown(Cause::Interrupt) {}
}

impl Server {
    /// Writes the pid and ports files that are configured.
    fn write_files(&self, program: &str, vfs: &Arc<dyn Vfs>) -> Result<(), StartError> {
        let options = self.options();
        let pid = std::process::id();
        if let Some(path) = &options.listen.pid_file {
            files::write_pid(&**vfs, Path::new(path), pid)?;
        }
        if let Some(directory) = &options.listen.ports_file_dir {
            let ports = Ports {
                nats: vec![url("nats", &options, self.client_address)],
                monitoring: self
                    .monitoring_address
                    .iter()
                    .map(|at| url("http", &options, *at))
                    .collect(),
                ..Ports::default()
            };
            let program = executable().unwrap_or_else(|_| program.to_owned());
            let file =
                PortsFile::write(Arc::clone(vfs), Path::new(directory), &program, pid, &ports)?;
            *self.ports_file.lock() = Some(file);
        }
        Ok(())
    }
}

/// The name of the file this process was started from, which the ports file carries.
fn executable() -> io::Result<String> {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

/// A URL for somebody on this machine: where a listener is on every address, the first of
/// the loopback interface.
fn url(scheme: &str, options: &Options, address: SocketAddr) -> String {
    let host = options
        .listen
        .endpoint
        .host
        .clone()
        .filter(|_| !address.ip().is_unspecified());
    let host = host.unwrap_or_else(|| match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        ip => ip.to_string(),
    });
    format!("{scheme}://{host}:{}", address.port())
}

//! A server as a process: log, banner, files, signals, end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::banner::{self, Listener};
use super::boot::StartError;
use super::files::{self, Ports, PortsFile};
use super::identity::Identity;
use super::reload::ReloadError;
use super::signals::{Cause, Signal, Signals};
use super::source::{Loaded, Source};
use super::{ConfigSource, Configuration, Server, logging};
use crate::config::options::Options;
use crate::config::options::listen::ANY_HOST;
use crate::tasks;
use crate::telemetry::{self, Handle};
use crate::vfs::{self, Vfs};

/// A configuration source that can also change the log of this process.
struct ProcessSource {
    /// The name the process goes by.
    program: &'static str,
    /// The version it says.
    version: String,
    source: Source,
    log: Handle,
}

impl ConfigSource for ProcessSource {
    fn load(&self) -> Result<Configuration, String> {
        if self.source.file().is_none() {
            return Err(ReloadError::NoFile.to_string());
        }
        let loaded = self.source.load().map_err(|error| error.to_string())?;
        warn_of(&loaded);
        Ok(configuration(loaded))
    }

    fn apply_logging(&self, options: &Options) -> Result<(), String> {
        let settings = logging::settings(&options.logging);
        self.log.apply(&settings).map_err(|error| error.to_string())
    }

    fn announce(&self, identity: &Identity, digest: &str) {
        let lines = banner::start_lines(banner::Facts {
            program: self.program,
            version: &self.version,
            name: &identity.name,
            id: identity.id(),
            config: self.source.file().map(|file| (file, digest)),
        });
        for line in lines {
            tracing::info!("{line}");
        }
    }

    fn apply_files(&self, server: &Server, pid_file: bool, ports_file: bool) {
        let vfs = self.source.vfs();
        if pid_file && let Err(err) = server.write_pid_file(vfs) {
            tracing::error!("pid file: {err}");
        }
        if ports_file {
            server.write_ports_file(self.program, vfs);
        }
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

/// How a process that could log has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it was told to.
    InOrder,
    /// The log says why it did not start.
    Failed,
}

/// Runs a server until it is told to end. `program` is the name it goes by and `version`
/// what it says with it; `loaded` is what `source` gave first.
///
/// # Errors
/// What kept it from logging.
pub fn start_blocking(
    program: &'static str,
    version: &str,
    loaded: Loaded,
    source: Source,
) -> Result<Ended, StartError> {
    let runtime = tasks::control_runtime().map_err(StartError::Threads)?;
    let vfs = Arc::clone(source.vfs());
    let log = telemetry::install(&logging::settings(&loaded.options.logging), vfs)?;
    let ended = runtime.block_on(run(program, version, loaded, source, log));
    Ok(match ended {
        Ok(()) => Ended::InOrder,
        Err(error) => {
            tracing::error!(target: telemetry::FATAL, "{error}");
            Ended::Failed
        }
    })
}

async fn run(
    program: &'static str,
    version: &str,
    loaded: Loaded,
    source: Source,
    log: Handle,
) -> Result<(), StartError> {
    let vfs = Arc::clone(source.vfs());
    let mut signals = Signals::new().map_err(StartError::Signals)?;
    warn_of(&loaded);
    let configuration = configuration(loaded);
    let source = Arc::new(ProcessSource {
        program,
        version: version.to_owned(),
        source,
        log: log.clone(),
    });
    let server = Server::start(configuration, Some(source)).await?;
    announce_listeners(&server);
    server.write_pid_file(&vfs)?;
    server.write_ports_file(program, &vfs);
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
    match next_end(server, signals, log).await {
        End::Now(_) => {}
        End::Gently => tokio::select! {
            () = server.lame_duck() => return,
            () = interrupted(server, signals, log) => {}
        },
    }
    server.shutdown().await;
}

/// How the server is asked to end.
enum End {
    Now(Cause),
    Gently,
}

/// Carries out signals until one asks for the end.
async fn next_end(server: &Server, signals: &mut Signals, log: &Handle) -> End {
    loop {
        let signal = signals.next().await;
        tracing::info!("Trapped \"{signal}\" signal");
        match signal {
            Signal::Shutdown(cause) => return End::Now(cause),
            Signal::LameDuck => return End::Gently,
            Signal::ReopenLog => log.reopen(),
            Signal::Reload => {
                if let Err(error) = server.reload() {
                    tracing::error!("Failed to reload server configuration: {error}");
                }
            }
        }
    }
}

/// In lame duck mode SIGTERM does not count: whoever stops the pod has sent both.
async fn interrupted(server: &Server, signals: &mut Signals, log: &Handle) {
    while !matches!(
        next_end(server, signals, log).await,
        End::Now(Cause::Interrupt)
    ) {}
}

impl Server {
    /// Writes the process id, if it is wanted.
    fn write_pid_file(&self, vfs: &Arc<dyn Vfs>) -> Result<(), vfs::Error> {
        match &self.options().listen.pid_file {
            Some(path) => files::write_pid(&**vfs, Path::new(path), std::process::id()),
            None => Ok(()),
        }
    }

    /// Writes the ports, if they are wanted, and removes the file that was there. Without
    /// it the server runs on: who waits for the file finds the reason in the log.
    fn write_ports_file(&self, program: &str, vfs: &Arc<dyn Vfs>) {
        let mut current = self.ports_file.lock();
        *current = None;
        let options = self.options();
        let Some(directory) = &options.listen.ports_file_dir else {
            return;
        };
        let http = self.monitoring_address;
        let ports = Ports {
            nats: vec![url("nats", &options, self.client_address)],
            monitoring: http.iter().map(|at| url("http", &options, *at)).collect(),
            ..Ports::default()
        };
        let program = executable().unwrap_or_else(|| program.to_owned());
        let (vfs, pid) = (Arc::clone(vfs), std::process::id());
        match PortsFile::write(vfs, Path::new(directory), &program, pid, &ports) {
            Ok(file) => *current = Some(file),
            Err(err) => tracing::error!("ports file: {err}"),
        }
    }
}

/// The name of the file this process was started from, which the ports file carries.
fn executable() -> Option<String> {
    let called = std::env::args_os().next()?;
    let name = Path::new(&called).file_name()?;
    Some(name.to_string_lossy().into_owned())
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

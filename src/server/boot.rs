//! Construction, in order: one page of prose in code.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::events::Events;
use super::identity::Identity;
use super::live::Live;
use super::streams::StreamsError;
use super::tls::{self, ClientTls, TlsConfigError, TlsState};
use super::{
    ConfigSource, Configuration, Server, accounts, facts, info, listeners, memory, streams, system,
};
use crate::account::{self, AccountSpec};
use crate::auth::decision::{AccessSpec, Directory, DirectoryError, DirectorySpec, UserGroup};
use crate::client::observer::Observer;
use crate::client::{ClientOptions, Counters, Front};
use crate::clock;
use crate::config::error::ConfigError;
use crate::config::options::Options;
use crate::config::options::endpoint::Endpoint;
use crate::config::options::limits::WriteTimeout;
use crate::config::options::listen::{ANY_HOST, CLIENT_PORT};
use crate::connection::pending::PendingTotal;
use crate::connection::registry::Registry;
use crate::connection::{lookout, resident};
use crate::login::Login;
use crate::monitor::source::Source;
use crate::monitor::statsz_schedule::StatszSchedule;
use crate::monitor::{Monitor, http, system_events};
use crate::net;
use crate::pubsub::accounts::Accounts;
use crate::tasks::{self, Shards};
use crate::telemetry::InstallError;
use crate::vfs::{self, real::RealVfs};

/// How often it is looked what is due.
const TICK: Duration = Duration::from_millis(250);
/// Time to log in when none is configured.
const AUTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration asks for what cannot be.
    #[error("{}", join(.0))]
    Config(Vec<ConfigError>),
    /// Users that cannot be told apart, or a default user that is none.
    #[error(transparent)]
    Users(#[from] DirectoryError),
    /// A listener that cannot listen.
    #[error("listen on {address}: {source}")]
    Listen {
        /// Host and port.
        address: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// Certificates that cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// No threads.
    #[error("start threads: {0}")]
    Threads(#[source] io::Error),
    /// The log cannot be written where it should.
    #[error(transparent)]
    Log(#[from] InstallError),
    /// Signals cannot be taken over.
    #[error("take over signals: {0}")]
    Signals(#[source] io::Error),
    /// Streams cannot be stored.
    #[error(transparent)]
    Streams(#[from] StreamsError),
    /// The pid or ports file cannot be written.
    #[error(transparent)]
    File(#[from] vfs::Error),
}

fn join(errors: &[ConfigError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl Server {
    /// Starts a server; returns when it listens. `source` makes reloads possible.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind then.
    pub async fn start(
        configuration: Configuration,
        source: Option<Arc<dyn ConfigSource>>,
    ) -> Result<Arc<Server>, StartError> {
        let Configuration { options, digest } = configuration;
        let refused = options.refuse_unbuilt();
        if !refused.is_empty() {
            return Err(StartError::Config(refused));
        }
        let identity = Identity::new(options.listen.server_name.as_deref());
        if let Some(source) = &source {
            source.announce(&identity, &digest);
        }
        let directory = directory(&options)?;
        let checked = checked_accounts(&options)?;
        let accounts = Arc::new(Accounts::new([]));
        accounts::apply(&accounts, &checked);

        let tls = Arc::new(ClientTls::default());
        tls.set(TlsState::new(&options, &RealVfs)?);

        let listener = listen(&options.listen.endpoint, None, CLIENT_PORT)?;
        let client_address = local_address(&listener)?;
        let port_tls = monitoring_tls(&options)?.map(|tls| Arc::new(RwLock::new(tls)));
        let monitoring = monitoring_listener(&options)?;
        let monitoring_address = monitoring.as_ref().map(local_address).transpose()?;

        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let turn = lookout::Turn::new(cores);
        let resident = || resident::live_on_lookout(Arc::clone(&turn));
        let shards = Arc::new(
            Shards::start("shard", cores, resident, lookout::before_sleep)
                .map_err(StartError::Threads)?,
        );
        let base_info = info::build(&options, &identity, &directory, client_address, false);
        let known = facts::Known {
            start: clock::now(),
            digest,
            tls_cert_not_after: tls.not_after(),
        };
        let facts = facts::build(&options, &identity, &base_info, &known);
        let front = Arc::new(Front {
            accounts: Arc::clone(&accounts),
            login: Arc::new(Login::new(directory)),
            clients: Arc::new(Registry::new()),
            options: RwLock::new(Arc::new(client_options(&options))),
            info: RwLock::new(Arc::new(base_info)),
            total: Arc::new(PendingTotal::new(pending_total_max(&options))),
            counters: Counters::default(),
            observer: OnceLock::new(),
            lame_duck: AtomicBool::new(false),
        });
        let closed_max = usize::try_from(options.limits.max_closed_clients).unwrap_or(usize::MAX);
        let live = Arc::new(Live::new(Arc::clone(&front), facts, closed_max));
        let monitor = Arc::new(Monitor::new(Arc::clone(&live) as Arc<dyn Source>));
        let system = checked
            .system()
            .and_then(|system| accounts.get(&system.name));
        let streams = streams::start(&options, &identity, &accounts, system.clone()).await?;
        live.set_jetstream_options(options.jetstream.clone());
        if let Some(started) = &streams {
            let _ = live.jetstream.set(Arc::downgrade(&started.jetstream));
        }
        let events = Arc::new(Events::new(
            system,
            accounts,
            Arc::clone(&live),
            Arc::clone(&monitor),
        ));
        let _ = front.observer.set(Arc::clone(&events) as Arc<dyn Observer>);

        let http_base_path = options.monitoring.http_base_path.clone();
        let server = Arc::new(Server {
            options: Mutex::new(Arc::new(options)),
            source,
            identity,
            started: known.start,
            front: Arc::clone(&front),
            client_address,
            monitoring_address,
            live: Arc::clone(&live),
            events: Arc::clone(&events),
            known: Mutex::new(known),
            ports_file: Mutex::new(None),
            reloading: Mutex::new(()),
            monitoring_tls: port_tls.clone(),
            tls: Arc::clone(&tls),
            acceptor: Mutex::new(None),
            tasks: Mutex::default(),
            streams: Mutex::new(streams),
            _shards: Arc::clone(&shards),
        });
        let mut background = vec![
            keep_time(Arc::clone(&events), Arc::clone(&front)),
            keep_total(Arc::clone(&front)),
        ];
        background.extend(system::answer_requests(&server, &events, &monitor));
        if let Some(listener) = monitoring {
            let port =
                http::Server::new(monitor, &http_base_path, port_tls, http::Limits::default());
            let spawn = |task| drop(tasks::spawn(task));
            background.push(tasks::spawn(port.run(
                listener,
                spawn,
                std::future::pending(),
            )));
        }
        *server.tasks.lock() = background;
        *server.acceptor.lock() = Some(listeners::accept_clients(listener, front, tls, shards));
        live.is_ready.store(true, Ordering::Relaxed);
        Ok(server)
    }
}

/// Regular figures, and the end of replies nobody answered.
fn keep_time(events: Arc<Events>, front: Arc<Front>) -> JoinHandle<()> {
    tasks::spawn(async move {
        let start = clock::monotonic();
        let mut statsz = StatszSchedule::new(start);
        let mut figures_at = start.plus(system_events::ACCOUNT_INTERVAL);
        loop {
            tokio::time::sleep(TICK).await;
            let now = clock::monotonic();
            if statsz.deadline() <= now && statsz.due(now) {
                events.statsz();
            }
            if now >= figures_at {
                events.all_account_figures();
                figures_at = now.plus(system_events::ACCOUNT_INTERVAL);
            }
            for account in front.accounts.all() {
                account.replies.prune(now);
            }
            front.clients.cut_worst(&front.total);
        }
    })
}

/// Cuts the worst offenders as soon as all links together hold too much.
fn keep_total(front: Arc<Front>) -> JoinHandle<()> {
    tasks::spawn(async move {
        loop {
            front.total.passed().await;
            let cut = front.clients.cut_worst(&front.total);
            tracing::warn!(
                "{cut} slow consumers closed: more than {} bytes were waiting in all",
                front.total.bytes_max()
            );
        }
    })
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Listen {
        address: "a port that was just opened".to_owned(),
        source,
    })
}

fn monitoring_listener(options: &Options) -> Result<Option<TcpListener>, StartError> {
    let host = options.listen.endpoint.host.as_deref();
    let monitoring = &options.monitoring;
    match (monitoring.http.port, monitoring.https.port) {
        (Some(_), _) => listen(&monitoring.http, host, 0).map(Some),
        (None, Some(_)) => listen(&monitoring.https, host, 0).map(Some),
        (None, None) => Ok(None),
    }
}

/// TLS of the monitoring port, if it is `https`: the server's own, for everybody.
pub(super) fn monitoring_tls(options: &Options) -> Result<Option<TlsAcceptor>, StartError> {
    let tls = options.tls.as_ref();
    let tls = tls.filter(|_| options.monitoring.https.port.is_some());
    let acceptor = tls.map(|tls| tls::acceptor_for_everybody(tls, &RealVfs));
    Ok(acceptor.transpose()?.map(|acceptor| acceptor.to_library()))
}

fn listen(endpoint: &Endpoint, host: Option<&str>, port: u16) -> Result<TcpListener, StartError> {
    let host = endpoint.host_or(host.unwrap_or(ANY_HOST));
    let port = endpoint.port_or(port).to_bind();
    let failed = |source| StartError::Listen {
        address: format!("{host}:{port}"),
        source,
    };
    net::listen(resolve(host, port).map_err(failed)?).map_err(failed)
}

/// The first address of a host name.
pub(super) fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let host = host.trim_matches(['[', ']']);
    (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host has no address"))
}

/// Who may connect.
pub(super) fn directory(options: &Options) -> Result<Directory, DirectoryError> {
    let authorization = &options.authorization;
    let system = options
        .accounts
        .system_account
        .as_deref()
        .unwrap_or(account::SYSTEM);
    let mut groups = vec![UserGroup {
        users: authorization.users.clone(),
        default_permissions: authorization.default_permissions.clone(),
    }];
    groups.extend(
        options
            .accounts
            .accounts
            .iter()
            .map(|spec: &AccountSpec| UserGroup {
                users: spec.users.clone(),
                default_permissions: spec.default_permissions.clone(),
            }),
    );
    let single_user = authorization.user.as_ref().map(|user| {
        let password = authorization.password.as_ref().map_or("", |p| p.expose());
        (user.clone(), password.to_owned())
    });
    Directory::new(&DirectorySpec {
        global_account: account::GLOBAL.to_owned(),
        groups,
        open_beside_system: account::is_system_alone(&options.accounts.accounts, system)
            && authorization.users.is_empty()
            && authorization.token.is_none()
            && single_user.is_none()
            && authorization.no_auth_user.is_none(),
        has_certificate_users: options.tls.as_ref().is_some_and(|tls| tls.verify_and_map),
        access: AccessSpec {
            token: authorization
                .token
                .as_ref()
                .map(|token| token.expose().to_owned()),
            single_user,
            no_auth_user: authorization.no_auth_user.clone(),
            maps_certificates: options.tls.as_ref().is_some_and(|tls| tls.verify_and_map),
            proxy_required: authorization.proxy_required,
        },
    })
}

/// Accounts as configured, checked against each other.
pub(super) fn checked_accounts(options: &Options) -> Result<account::Accounts, StartError> {
    let accounts = &options.accounts;
    let system = accounts
        .system_account
        .as_deref()
        .unwrap_or(account::SYSTEM);
    let system = (!accounts.no_system_account).then_some(system);
    account::build::build(&accounts.accounts, &accounts.mappings, system).map_err(|errors| {
        let errors = errors.into_iter().map(|error| ConfigError {
            position: options
                .positions
                .get(&format!("accounts.{}", error.account))
                .cloned(),
            message: error.to_string(),
        });
        StartError::Config(errors.collect())
    })
}

/// Limits and timers of clients.
pub(super) fn client_options(options: &Options) -> ClientOptions {
    let limits = &options.limits;
    let handshake = options
        .tls
        .as_ref()
        .map(|tls| tls.timeout + Duration::from_secs(1));
    let timeout = options.authorization.timeout;
    ClientOptions {
        control_line_max: limits.max_control_line as usize,
        payload_max: limits.max_payload as usize,
        pending_max: usize::try_from(limits.max_pending).unwrap_or(usize::MAX),
        subscriptions_max: usize::try_from(limits.max_subscriptions).unwrap_or(usize::MAX),
        subscription_tokens_max: limits.max_sub_tokens.map(usize::from),
        connections_max: usize::try_from(limits.max_connections).unwrap_or(0),
        ping_interval: limits.ping_interval,
        ping_max: limits.ping_max,
        auth_timeout: timeout.or(handshake).unwrap_or(AUTH_TIMEOUT),
        write_deadline: limits.write_deadline,
        write_retry: limits.write_timeout == WriteTimeout::Retry,
        headers: !options.listen.no_header_support,
        stall: !limits.no_fast_producer_stall,
    }
}

/// What is configured, or a quarter of the memory there is.
fn pending_total_max(options: &Options) -> usize {
    match usize::try_from(options.limits.max_pending_total) {
        Ok(0) | Err(_) => memory::available(&RealVfs) / 4,
        Ok(max) => max,
    }
}

//! Flags over the options of the file.
//!
//! Separate from reading them because it knows the options. What a flag says wins
//! over the file; what it does not say stays. An empty text and a port 0 take the
//! file's value away, so that the default holds.
//!
//! Absent: no validation of the whole; the options are validated afterwards.

use super::{FlagError, Flags};
use crate::config::options::Options;
use crate::config::options::cluster::Cluster;
use crate::config::options::endpoint::{Endpoint, Port};
use crate::config::options::secret::Secret;
use crate::config::options::tls::Tls;
use crate::config::options::url::PeerUrl;

/// Puts the flags over the options.
pub fn apply(flags: &Flags, options: &mut Options) -> Result<(), FlagError> {
    let listen = &mut options.listen;
    set_text(&mut listen.endpoint.host, &flags.host);
    set_port(&mut listen.endpoint.port, "p", flags.port)?;
    set_text(&mut listen.server_name, &flags.server_name);
    set_text(&mut listen.client_advertise, &flags.client_advertise);
    set_text(&mut listen.pid_file, &flags.pid_file);
    set_text(&mut listen.ports_file_dir, &flags.ports_file_dir);

    let monitoring = &mut options.monitoring;
    set_port(&mut monitoring.http.port, "m", flags.http_port)?;
    set_port(&mut monitoring.https.port, "ms", flags.https_port)?;
    set_port(&mut monitoring.prof_port, "profile", flags.profile_port)?;

    let logging = &mut options.logging;
    set_text(&mut logging.log_file, &flags.log_file);
    set_text(&mut logging.remote_syslog, &flags.remote_syslog);
    set(&mut logging.logtime, flags.logtime);
    set(&mut logging.logtime_utc, flags.logtime_utc);
    set(&mut logging.syslog, flags.syslog);
    set(&mut logging.debug, flags.debug);
    set(&mut logging.trace, flags.trace);
    set(&mut logging.trace_verbose, flags.trace_verbose);
    set(
        &mut logging.logfile_size_limit,
        flags.log_size_limit.map(not_negative),
    );
    set(
        &mut logging.max_traced_msg_len,
        flags.max_traced_msg_len.map(not_negative),
    );

    set(&mut options.jetstream.enabled, flags.jetstream);
    set_text(&mut options.jetstream.store_dir, &flags.store_dir);

    let authorization = &mut options.authorization;
    set_text(&mut authorization.user, &flags.user);
    set_secret(&mut authorization.password, &flags.password);
    set_secret(&mut authorization.token, &flags.token);

    apply_tls(flags, &mut options.tls)?;
    apply_cluster(flags, &mut options.cluster)
}

fn apply_tls(flags: &Flags, tls: &mut Option<Tls>) -> Result<(), FlagError> {
    if flags.tls == Some(false) {
        *tls = None;
        return Ok(());
    }
    let says_tls = flags.tls.is_some()
        || flags.tls_cert.is_some()
        || flags.tls_key.is_some()
        || flags.tls_verify.is_some()
        || flags.tls_ca_cert.is_some();
    if !says_tls {
        return Ok(());
    }
    let said = |text: &Option<String>, what: &str| {
        let text = text.clone().filter(|text| !text.is_empty());
        let message = format!("TLS Server {what} must be present and valid");
        text.ok_or(FlagError::Conflict(message))
    };
    let cert_file = said(&flags.tls_cert, "certificate")?;
    let key_file = said(&flags.tls_key, "private key")?;
    // The certificates are those of the flags alone; what the file says of the
    // handshake stays.
    let file = tls.take().unwrap_or_default();
    *tls = Some(Tls {
        cert_file: Some(cert_file),
        key_file: Some(key_file),
        ca_file: flags.tls_ca_cert.clone().filter(|path| !path.is_empty()),
        verify: flags.tls_verify == Some(true),
        verify_and_map: file.verify_and_map,
        timeout: file.timeout,
        connection_rate_limit: file.connection_rate_limit,
        pinned_certs: file.pinned_certs,
        handshake_first: file.handshake_first,
        ..Tls::default()
    });
    Ok(())
}

fn apply_cluster(flags: &Flags, options: &mut Option<Cluster>) -> Result<(), FlagError> {
    let says_cluster = flags.cluster_listen.is_some()
        || flags.routes.is_some()
        || flags.cluster_name.is_some()
        || flags.no_advertise.is_some()
        || flags.cluster_advertise.is_some()
        || flags.connect_retries.is_some();
    if !says_cluster {
        return Ok(());
    }
    let mut cluster = options.take().unwrap_or_default();
    set_text(&mut cluster.name, &flags.cluster_name);
    set_text(&mut cluster.advertise, &flags.cluster_advertise);
    set(&mut cluster.no_advertise, flags.no_advertise);
    if let Some(retries) = flags.connect_retries {
        cluster.connect_retries = u32::try_from(retries.max(0)).unwrap_or(u32::MAX);
    }
    match flags.cluster_listen.as_deref() {
        None => {}
        Some("") => cluster.endpoint.port = None,
        Some(url) => listen_for_routes(&mut cluster, url)?,
    }
    if let Some(routes) = &flags.routes {
        cluster.routes = route_urls(routes)?;
        let listens = flags
            .cluster_listen
            .as_deref()
            .is_some_and(|url| !url.is_empty());
        if !routes.is_empty() && !listens && cluster.endpoint == Endpoint::default() {
            let message = "solicited routes require cluster capabilities, e.g. --cluster";
            return Err(FlagError::Conflict(message.into()));
        }
    }
    *options = Some(cluster);
    Ok(())
}

/// `scheme://[user:password@][host]:port`, the port perhaps -1.
fn listen_for_routes(cluster: &mut Cluster, url: &str) -> Result<(), FlagError> {
    let refuse = |reason: &str| FlagError::Conflict(format!("cluster url {url:?}: {reason}"));
    let (_, rest) = url
        .split_once("://")
        .ok_or_else(|| refuse("missing scheme"))?;
    let authority = rest.split('/').next().unwrap_or_default();
    let (login, address) = match authority.rsplit_once('@') {
        Some((login, address)) => (Some(login), address),
        None => (None, authority),
    };
    let (host, port) = address
        .rsplit_once(':')
        .ok_or_else(|| refuse("missing port in address"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port: i64 = port.parse().map_err(|_| refuse("invalid port"))?;
    set_port(&mut cluster.endpoint.port, "cluster", Some(port))?;
    cluster.endpoint.host = Some(host.to_owned()).filter(|host| !host.is_empty());

    // A URL without a login takes away the one of the file.
    let (mut user, mut password) = (None, None);
    if let Some(login) = login {
        let login = PeerUrl::parse(&format!("nats://{login}@host"));
        let login = login.map_err(|err| refuse(&err.to_string()))?;
        let missing = || FlagError::Conflict("expected cluster password to be set".into());
        password = Some(login.password.ok_or_else(missing)?);
        user = login.user.map(|user| user.expose().to_owned());
    }
    match &mut cluster.authorization {
        Some(authorization) => (authorization.user, authorization.password) = (user, password),
        None if password.is_some() => {
            let authorization = cluster.authorization.insert(Default::default());
            (authorization.user, authorization.password) = (user, password);
        }
        None => {}
    }
    Ok(())
}

fn route_urls(routes: &str) -> Result<Vec<PeerUrl>, FlagError> {
    let urls = routes
        .split(',')
        .map(str::trim)
        .filter(|url| !url.is_empty());
    urls.map(|url| {
        let refuse = |err| FlagError::Conflict(format!("route url: {err}"));
        PeerUrl::parse(url).map_err(refuse)
    })
    .collect()
}

fn set<T>(option: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *option = value;
    }
}

fn set_text(option: &mut Option<String>, flag: &Option<String>) {
    if let Some(text) = flag {
        *option = Some(text.clone()).filter(|text| !text.is_empty());
    }
}

fn set_secret(option: &mut Option<Secret>, flag: &Option<String>) {
    if let Some(text) = flag {
        *option = Some(Secret::new(text.clone())).filter(|secret| !secret.expose().is_empty());
    }
}

fn set_port(option: &mut Option<Port>, flag: &str, port: Option<i64>) -> Result<(), FlagError> {
    if let Some(port) = port {
        *option = match (port, u16::try_from(port)) {
            (0, _) => None,
            (-1, _) => Some(Port::Random),
            (_, Ok(port)) => Some(Port::Fixed(port)),
            (_, Err(_)) => {
                let message = format!("invalid port {port} for -{flag}");
                return Err(FlagError::Conflict(message));
            }
        };
    }
    Ok(())
}

fn not_negative(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::flags::parse_flags;
    use crate::config::options::authorization::LinkAuthorization;

    fn applied(line: &str, mut options: Options) -> Result<Options, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let flags = parse_flags(&args).map_err(|err| err.to_string())?;
        apply(&flags, &mut options).map_err(|err| err.to_string())?;
        Ok(options)
    }

    fn check(line: &str, set: impl Fn(&mut Options)) {
        let mut expected = Options::default();
        set(&mut expected);
        assert_eq!(applied(line, Options::default()), Ok(expected), "{line}");
    }

    #[test]
    fn flags_win_over_the_file() {
        let mut file = Options::default();
        file.listen.endpoint.port = Some(Port::Fixed(1));
        file.listen.server_name = Some("file".into());
        file.logging.debug = true;
        let options = applied("-p 2 -D=false -n=", file.clone()).expect("applies");
        assert_eq!(options.listen.endpoint.port, Some(Port::Fixed(2)));
        assert_eq!(options.listen.server_name, None);
        assert!(!options.logging.debug);
        assert_eq!(applied("", file.clone()), Ok(file));
    }

    #[test]
    fn each_flag_goes_to_its_option() {
        check("-a h -p -1", |o| {
            o.listen.endpoint.host = Some("h".into());
            o.listen.endpoint.port = Some(Port::Random);
        });
        check("-m 8222 -ms 8443 --profile 6", |o| {
            o.monitoring.http.port = Some(Port::Fixed(8222));
            o.monitoring.https.port = Some(Port::Fixed(8443));
            o.monitoring.prof_port = Some(Port::Fixed(6));
        });
        check("-js -sd /d", |o| {
            o.jetstream.enabled = true;
            o.jetstream.store_dir = Some("/d".into());
        });
        check("--user u --pass p", |o| {
            o.authorization.user = Some("u".into());
            o.authorization.password = Some(Secret::new("p"));
        });
        check(
            "-l f --log_size_limit 9 --max_traced_msg_len -5 -DVV -T=0",
            |o| {
                let log = &mut o.logging;
                log.log_file = Some("f".into());
                (log.logfile_size_limit, log.max_traced_msg_len) = (9, 0);
                (log.debug, log.trace, log.trace_verbose, log.logtime) = (true, true, true, false);
            },
        );
        check("--tlscert c --tlskey k --tlscacert a --tlsverify", |o| {
            o.tls = Some(Tls {
                cert_file: Some("c".into()),
                key_file: Some("k".into()),
                ca_file: Some("a".into()),
                verify: true,
                ..Tls::default()
            });
        });
        check("--cluster nats://u:p@0.0.0.0:-1 --cluster_name c", |o| {
            o.cluster = Some(Cluster {
                name: Some("c".into()),
                endpoint: Endpoint {
                    host: Some("0.0.0.0".into()),
                    port: Some(Port::Random),
                },
                authorization: Some(LinkAuthorization {
                    user: Some("u".into()),
                    password: Some(Secret::new("p")),
                    ..LinkAuthorization::default()
                }),
                ..Cluster::default()
            });
        });
        check(
            "--cluster nats://:6222 --routes nats://a:1,nats://b:2 -no_advertise",
            |o| {
                let routes = ["nats://a:1", "nats://b:2"];
                o.cluster = Some(Cluster {
                    endpoint: Endpoint {
                        host: None,
                        port: Some(Port::Fixed(6222)),
                    },
                    routes: routes.map(|url| PeerUrl::parse(url).expect("a url")).into(),
                    no_advertise: true,
                    ..Cluster::default()
                });
            },
        );
    }

    #[test]
    fn tls_of_the_file_can_be_taken_away() {
        let file = Options {
            tls: Some(Tls::default()),
            ..Options::default()
        };
        assert_eq!(applied("--tls=false", file), Ok(Options::default()));
    }

    #[test]
    fn flags_that_contradict_are_refused() {
        for (line, expected) in [
            ("--tls", "TLS Server certificate must be present and valid"),
            (
                "--tlscert c",
                "TLS Server private key must be present and valid",
            ),
            (
                "--routes nats://a:1",
                "solicited routes require cluster capabilities, e.g. --cluster",
            ),
            (
                "--cluster nats://u@h:1",
                "expected cluster password to be set",
            ),
            (
                "--cluster nats://h",
                "cluster url \"nats://h\": missing port in address",
            ),
            ("-p 70000", "invalid port 70000 for -p"),
        ] {
            let refused = applied(line, Options::default());
            assert_eq!(refused, Err(expected.to_owned()), "{line}");
        }
    }
}

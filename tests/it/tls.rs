//! TLS of the listener for clients, in every mode, with real sockets and certificates.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use natter::config::include::NoFiles;
use natter::config::options::Options;
use natter::config::parser;
use natter::net::OwnedWire;
use natter::net::Wire;
use natter::net::tls::connector::Connector;
use natter::net::tls::{Identity, Pem, TlsSettings};
use natter::server::{ConfigSource, Configuration, Server};
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No wait of a test is longer.
const PATIENCE: Duration = Duration::from_secs(20);
const HELLO: &[u8] = b"CONNECT {\"verbose\":false}\r\nPING\r\n";

/// Somebody who signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn leaf(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let chain = params.signed_by(&key, &self.0).unwrap().pem();
        let pem = |label: &str, text: String| Pem {
            label: label.to_owned(),
            bytes: text.into_bytes(),
        };
        Identity {
            chain: pem("chain", chain),
            key: pem("key", key.serialize_pem()),
        }
    }
}

/// A server that is `localhost` by the word of an authority.
struct Setup {
    authority: Authority,
    files: TempDir,
}

impl Setup {
    fn new() -> Setup {
        let setup = Setup {
            authority: Authority::new(),
            files: tempfile::tempdir().unwrap(),
        };
        setup.write("ca.pem", setup.authority.0.pem().as_bytes());
        setup.install(&setup.authority);
        setup
    }

    /// Gives the server a certificate of `authority`.
    fn install(&self, authority: &Authority) {
        let identity = authority.leaf("localhost");
        self.write("s.pem", &identity.chain.bytes);
        self.write("s.key", &identity.key.bytes);
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn configuration(&self, tls: &str, rest: &str) -> Configuration {
        let path = |name| self.path(name).display().to_string();
        let (chain, key) = (path("s.pem"), path("s.key"));
        let (ca, timeout) = (path("ca.pem"), "timeout: 20");
        let tls = tls.replace("CA", &format!("ca_file: '{ca}'"));
        let timeout = if tls.contains("timeout") { "" } else { timeout };
        let text = format!(
            "listen: '127.0.0.1:-1'\n{rest}\n\
             tls {{ cert_file: '{chain}', key_file: '{key}'\n {timeout}\n {tls} }}\n"
        );
        Configuration {
            options: options(&text),
            digest: String::new(),
        }
    }

    async fn start(&self, tls: &str, rest: &str) -> Arc<Server> {
        let configuration = self.configuration(tls, rest);
        Server::start(configuration, None).await.expect("a server")
    }

    fn connector(&self, identity: Option<Identity>) -> Connector {
        connector(&self.authority, identity)
    }
}

fn connector(authority: &Authority, identity: Option<Identity>) -> Connector {
    let settings = TlsSettings {
        identities: identity.into_iter().collect(),
        authorities: Some(Pem {
            label: "ca".to_owned(),
            bytes: authority.0.pem().into_bytes(),
        }),
        timeout: PATIENCE,
        ..TlsSettings::default()
    };
    Connector::new(&settings, false).expect("a connector")
}

async fn dial(server: &Server) -> TcpStream {
    TcpStream::connect(server.client_address)
        .await
        .expect("connected")
}

/// Reads until the text ends with `end`; empty: until the stream does.
async fn read_to(stream: &mut (impl tokio::io::AsyncRead + Unpin), end: &str) -> String {
    let mut text = Vec::new();
    let reading = async {
        let mut byte = [0];
        while end.is_empty() || !text.ends_with(end.as_bytes()) {
            match stream.read(&mut byte).await {
                Ok(1) => text.push(byte[0]),
                _ => break,
            }
        }
    };
    let result = tokio::time::timeout(PATIENCE, reading).await;
    let text = String::from_utf8_lossy(&text).into_owned();
    result.unwrap_or_else(|_| panic!("waited for {end:?}, got {text:?}"));
    text
}

async fn secure(stream: TcpStream, connector: &Connector) -> Result<Box<dyn OwnedWire>, String> {
    match connector.connect(stream, "localhost").await {
        Ok((Wire::Owned(wire), _)) => Ok(wire),
        Ok(_) => panic!("a tls wire is owned"),
        Err(error) => Err(error.to_string()),
    }
}

/// The client gets an answer over this stream.
async fn check_alive(stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin)) {
    stream.write_all(HELLO).await.expect("sent");
    stream.flush().await.expect("flushed");
    assert_eq!(read_to(stream, "PONG\r\n").await, "PONG\r\n");
}

/// Whether each of the server's clients uses TLS, and whether the handshake came first.
fn clients(server: &Server) -> Vec<Option<bool>> {
    let clients = server.front.clients.all();
    let first =
        |client: &Arc<natter::client::entry::Client>| client.tls.as_ref().map(|tls| tls.first);
    clients.iter().map(first).collect()
}

#[tokio::test]
async fn required_tls_follows_info() {
    let setup = Setup::new();
    let server = setup.start("", "").await;
    let mut stream = dial(&server).await;
    let info = read_to(&mut stream, "\r\n").await;
    assert!(info.contains("\"tls_required\":true"), "{info}");
    let mut wire = secure(stream, &setup.connector(None))
        .await
        .expect("secured");
    check_alive(&mut wire).await;
    assert_eq!(clients(&server), [Some(false)]);
    let client = &server.front.clients.all()[0];
    let tls = client.tls.as_ref().expect("tls");
    assert_eq!(tls.version, "1.3");
    assert!(tls.cipher_suite.starts_with("TLS_"), "{tls:?}");
    assert!(
        info.contains(&format!("\"client_id\":{}", client.link.id.0)),
        "{info}"
    );
}

#[tokio::test]
async fn info_follows_the_handshake_that_comes_first() {
    let setup = Setup::new();
    let server = setup.start("handshake_first: true", "").await;
    let mut wire = secure(dial(&server).await, &setup.connector(None))
        .await
        .expect("secured");
    let info = read_to(&mut wire, "\r\n").await;
    assert!(
        info.starts_with("INFO {") && info.contains("\"tls_required\":true"),
        "{info}"
    );
    check_alive(&mut wire).await;
    assert_eq!(clients(&server), [Some(true)]);
}

#[tokio::test]
async fn the_fallback_waits_for_the_client_and_then_speaks() {
    let setup = Setup::new();
    let patient = setup.start("handshake_first: \"20s\"", "").await;
    let mut wire = secure(dial(&patient).await, &setup.connector(None))
        .await
        .expect("secured");
    assert!(read_to(&mut wire, "\r\n").await.starts_with("INFO {"));
    check_alive(&mut wire).await;
    assert_eq!(clients(&patient), [Some(true)]);

    let hasty = setup.start("handshake_first: \"1ms\"", "").await;
    let mut stream = dial(&hasty).await;
    assert!(read_to(&mut stream, "\r\n").await.starts_with("INFO {"));
    let mut wire = secure(stream, &setup.connector(None))
        .await
        .expect("secured");
    check_alive(&mut wire).await;
    assert_eq!(clients(&hasty), [Some(false)]);
}

#[tokio::test]
async fn tls_may_be_left_to_the_client() {
    let setup = Setup::new();
    let server = setup.start("", "allow_non_tls: true").await;
    let mut plain = dial(&server).await;
    let info = read_to(&mut plain, "\r\n").await;
    assert!(info.contains("\"tls_available\":true"), "{info}");
    assert!(!info.contains("\"tls_required\":true"), "{info}");
    check_alive(&mut plain).await;
    assert_eq!(clients(&server), [None]);
    drop(plain);

    let mut stream = dial(&server).await;
    read_to(&mut stream, "\r\n").await;
    let mut wire = secure(stream, &setup.connector(None))
        .await
        .expect("secured");
    check_alive(&mut wire).await;
    assert!(clients(&server).contains(&Some(false)));
}

#[tokio::test]
async fn a_silent_client_of_an_optional_listener_becomes_plain() {
    let setup = Setup::new();
    let server = setup.start("timeout: 0.05", "allow_non_tls: true").await;
    let mut plain = dial(&server).await;
    read_to(&mut plain, "\r\n").await;
    // The registry has it only when the wait is over.
    let registered = async {
        while clients(&server).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, registered)
        .await
        .expect("registered");
    check_alive(&mut plain).await;
}

#[tokio::test]
async fn too_many_handshakes_are_sent_away() {
    let setup = Setup::new();
    let server = setup.start("connection_rate_limit: 1", "").await;
    let mut said = Vec::new();
    for _ in 0..50 {
        let mut stream = dial(&server).await;
        read_to(&mut stream, "\r\n").await;
        stream.write_all(b"\x16").await.expect("sent");
        stream.shutdown().await.expect("shut down");
        said.push(read_to(&mut stream, "").await);
    }
    let throttled = "-ERR 'Connection throttling is active. Please try again later.'\r\n";
    assert_eq!(said[0].find("-ERR"), None, "{said:?}");
    assert!(said.iter().any(|said| said == throttled), "{said:?}");
}

#[tokio::test]
async fn a_full_server_says_so_in_plain_text() {
    let setup = Setup::new();
    let check = async |tls, expected: &str| {
        let server = setup.start(tls, "max_connections: 1").await;
        let mut first = dial(&server).await;
        if expected.starts_with("INFO") {
            read_to(&mut first, "\r\n").await;
        }
        let mut wire = secure(first, &setup.connector(None))
            .await
            .expect("secured");
        if !expected.starts_with("INFO") {
            read_to(&mut wire, "\r\n").await;
        }
        check_alive(&mut wire).await;
        let mut second = dial(&server).await;
        second.shutdown().await.expect("shut down");
        let said = read_to(&mut second, "").await;
        assert!(said.starts_with(expected), "{said}");
        assert!(
            said.ends_with("-ERR 'maximum connections exceeded'\r\n"),
            "{said}"
        );
    };
    check("", "INFO {").await;
    check("handshake_first: true", "-ERR").await;
}

#[tokio::test]
async fn only_a_client_that_says_nothing_is_told_what_it_lacks() {
    let setup = Setup::new();
    let server = setup.start("timeout: 0.05", "").await;
    let check = async |sent: &[u8], expected: &str| {
        let mut stream = dial(&server).await;
        read_to(&mut stream, "\r\n").await;
        stream.write_all(sent).await.expect("sent");
        assert_eq!(read_to(&mut stream, "").await, expected, "{sent:?}");
    };
    check(b"", "-ERR 'Secure Connection - TLS Required'\r\n").await;
    check(b"\x16\x03\x01", "").await;
    assert_eq!(clients(&server), []);
}

#[tokio::test]
async fn plain_text_is_not_understood_where_tls_is_required() {
    let setup = Setup::new();
    for mode in ["", "handshake_first: true", "handshake_first: \"20s\""] {
        let server = setup.start(mode, "").await;
        let mut stream = dial(&server).await;
        stream.write_all(HELLO).await.expect("sent");
        let said = read_to(&mut stream, "").await;
        assert!(
            !said.contains("PONG") && !said.contains("-ERR"),
            "{mode}: {said:?}"
        );
        assert_eq!(
            said.starts_with("INFO"),
            mode.is_empty(),
            "{mode}: {said:?}"
        );
        assert_eq!(clients(&server), []);
    }
}

#[tokio::test]
async fn a_certificate_logs_in_as_the_user_it_names() {
    let setup = Setup::new();
    let users = "authorization { users: [ { user: \"client.test\" } ] }";
    let server = setup.start("CA, verify_and_map: true", users).await;
    let log_in = async |identity| {
        let mut stream = dial(&server).await;
        let info = read_to(&mut stream, "\r\n").await;
        assert!(info.contains("\"tls_verify\":true"), "{info}");
        let mut wire = secure(stream, &setup.connector(identity)).await?;
        wire.write_all(HELLO)
            .await
            .map_err(|error| error.to_string())?;
        wire.flush().await.map_err(|error| error.to_string())?;
        Ok::<_, String>(read_to(&mut wire, "\r\n").await)
    };
    let client = setup.authority.leaf("client.test");
    assert_eq!(log_in(Some(client)).await.expect("said"), "PONG\r\n");
    let unknown = setup.authority.leaf("unknown.test");
    let refused = log_in(Some(unknown)).await.expect("said");
    assert_eq!(refused, "-ERR 'Authorization Violation'\r\n");
    let stranger = Authority::new().leaf("client.test");
    for identity in [None, Some(stranger)] {
        assert!(matches!(log_in(identity).await.as_deref(), Err(_) | Ok("")));
    }
}

#[tokio::test]
async fn large_messages_arrive_whole_also_at_a_reader_that_rests() {
    const COUNT: usize = 40;
    const PING: &[u8] = b"PING\r\n";
    let setup = Setup::new();
    let server = setup.start("", "").await;
    let connect = async || {
        let mut stream = dial(&server).await;
        read_to(&mut stream, "\r\n").await;
        let mut wire = secure(stream, &setup.connector(None))
            .await
            .expect("secured");
        check_alive(&mut wire).await;
        wire
    };
    let mut reader = connect().await;
    reader
        .write_all(b"SUB big 1\r\nPING\r\n")
        .await
        .expect("sent");
    reader.flush().await.expect("flushed");
    read_to(&mut reader, "PONG\r\n").await;
    let mut writer = connect().await;
    let payload: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    for _ in 0..COUNT {
        let head = format!("PUB big {}\r\n", payload.len());
        writer.write_all(head.as_bytes()).await.expect("sent");
        writer.write_all(&payload).await.expect("sent");
        writer.write_all(b"\r\n").await.expect("sent");
    }
    writer.write_all(b"PING\r\n").await.expect("sent");
    writer.flush().await.expect("flushed");
    // By now much of it waits at the server, because nobody has read yet.
    read_to(&mut writer, "PONG\r\n").await;
    let head = format!("MSG big 1 {}\r\n", payload.len());
    let mut message = vec![0; head.len() + payload.len() + 2];
    for number in 0..COUNT {
        let reading = tokio::time::timeout(PATIENCE, async {
            let (first, rest) = message.split_at_mut(PING.len());
            reader.read_exact(first).await?;
            // On a slow machine the server asks meanwhile whether we are there.
            while first == PING {
                reader.read_exact(first).await?;
            }
            reader.read_exact(rest).await
        });
        let result = reading
            .await
            .unwrap_or_else(|_| panic!("message {number} is missing"));
        result.expect("read");
        assert!(message.starts_with(head.as_bytes()), "message {number}");
        assert!(
            message[head.len()..].starts_with(&payload),
            "message {number}"
        );
    }
}

/// A configuration that a test replaces.
struct Replaced(Mutex<Configuration>);

impl ConfigSource for Replaced {
    fn load(&self) -> Result<Configuration, String> {
        Ok(self.0.lock().clone())
    }

    fn apply_logging(&self, _: &Options) -> Result<(), String> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reload_brings_the_new_certificate_or_changes_nothing() {
    let setup = Setup::new();
    let configuration = setup.configuration("", "");
    let source = Arc::new(Replaced(Mutex::new(configuration.clone())));
    let server = Server::start(configuration, Some(source))
        .await
        .expect("a server");
    let connect = async |authority: &Authority| {
        let mut stream = dial(&server).await;
        read_to(&mut stream, "\r\n").await;
        secure(stream, &connector(authority, None)).await
    };
    let mut old = connect(&setup.authority)
        .await
        .expect("the old certificate");

    setup.write("s.pem", b"");
    let error = server.reload().expect_err("no certificate").to_string();
    assert!(error.ends_with("s.pem: no certificate found"), "{error}");
    connect(&setup.authority)
        .await
        .expect("still the old certificate");

    let successor = Authority::new();
    setup.install(&successor);
    server.reload().expect("reloaded");
    assert!(
        connect(&setup.authority).await.is_err(),
        "the old one is gone"
    );
    connect(&successor).await.expect("the new certificate");
    check_alive(&mut old).await;
}

#[tokio::test]
async fn a_server_with_bad_certificates_does_not_start() {
    let setup = Setup::new();
    setup.write("s.key", b"");
    let result = Server::start(setup.configuration("", ""), None).await;
    let error = result.map(|_| ()).expect_err("refused").to_string();
    assert!(error.ends_with("s.key: no private key found"), "{error}");
}

fn options(text: &str) -> Options {
    let map = parser::parse(text, "-", &|_| None, &NoFiles);
    let read = map.and_then(|map| Options::from_map(&map));
    read.unwrap_or_else(|errors| panic!("{text}: {errors:?}")).0
}

//! The port with real sockets: bytes in, bytes out, limits.

#![allow(clippy::disallowed_methods, reason = "tests open sockets and tasks")]

use parking_lot::RwLock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::fake::FakeSource;
use super::*;

/// A port of its own, until `stop` is called.
struct Port {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Port {
    async fn open(limits: Limits) -> Self {
        Self::open_with(limits, None).await
    }

    async fn open_with(limits: Limits, tls: Option<PortTls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let monitor = Arc::new(Monitor::new(Arc::new(FakeSource::busy())));
        let server = Server::new(monitor, "", tls, limits);
        let (stop, stopped) = oneshot::channel();
        let spawn = |task: Task| drop(tokio::spawn(task));
        let running = tokio::spawn(server.run(listener, spawn, async {
            let _ = stopped.await;
        }));
        Port {
            address,
            stop,
            running,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address)
            .await
            .expect("a connection")
    }

    /// Sends `request` and reads until the server closes.
    async fn exchange(&self, request: &str) -> String {
        let mut socket = self.connect().await;
        socket.write_all(request.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        // A server that refuses may reset the connection; what came counts.
        let _ = socket.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        self.running.await.expect("the port ends");
    }
}

fn request(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn replies_carry_status_headers_and_body() {
    let port = Port::open(Limits::default()).await;
    let check = async |method, target, status: &str, headers: &[&str], body: &str| {
        let answer = port.exchange(&request(method, target)).await;
        let (head, content) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        for header in headers {
            assert!(head.lines().any(|line| line == *header), "{header}: {head}");
        }
        assert!(content.starts_with(body), "{content}");
    };
    let json = &[
        "content-type: application/json",
        "access-control-allow-origin: *",
    ];
    check("GET", "/healthz", "200 OK", json, "{\"status\":\"ok\"}").await;
    check("POST", "/varz", "200 OK", json, "{\n  \"server_id\": ").await;
    check("HEAD", "/varz", "200 OK", json, "").await;
    let text = &["content-type: text/plain; charset=utf-8"];
    let refusal = "Error decoding boolean for 'subs': strconv.ParseBool: parsing \"x\"";
    check("GET", "/connz?subs=x", "400 Bad Request", text, refusal).await;
    let no_sniff = &["x-content-type-options: nosniff"];
    check(
        "GET",
        "/nothing",
        "404 Not Found",
        no_sniff,
        "404 page not found\n",
    )
    .await;
    let location = &["location: /varz"];
    check(
        "GET",
        "//varz",
        "307 Temporary Redirect",
        location,
        "<a href",
    )
    .await;
    let metrics = &["content-type: text/plain; version=0.0.4"];
    check("GET", "/metrics", "200 OK", metrics, "# HELP natter_info ").await;
    port.stop().await;
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let port = Port::open(Limits::default()).await;
    let first = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let answer = port
        .exchange(&(first.to_owned() + &request("GET", "/healthz")))
        .await;
    assert_eq!(answer.matches("{\"status\":\"ok\"}").count(), 2, "{answer}");
    port.stop().await;
}

#[tokio::test]
async fn a_body_is_not_waited_for() {
    let port = Port::open(Limits::default()).await;
    let head = "POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\nsome";
    let answer = port.exchange(head).await;
    assert!(answer.contains("{\"status\":\"ok\"}"), "{answer}");
    port.stop().await;
}

#[tokio::test]
async fn a_large_head_is_refused() {
    let limits = Limits {
        head_bytes: 8192,
        ..Limits::default()
    };
    let port = Port::open(limits).await;
    let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(20_000));
    let answer = port.exchange(&head).await;
    assert!(!answer.contains("200 OK"), "{answer}");
    port.stop().await;
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let limits = Limits {
        head_time: Duration::from_millis(20),
        ..Limits::default()
    };
    let port = Port::open(limits).await;
    let answer = port.exchange("GET / HTTP/1.1\r\n").await;
    assert!(!answer.contains("200 OK"), "{answer}");
    port.stop().await;
}

#[tokio::test]
async fn further_connections_wait_for_a_place() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let port = Port::open(limits).await;
    let mut first = port.connect().await;
    first
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("written");
    let mut head = [0; 12];
    first.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200");
    // The first one holds the only place, so the second is connected but not answered.
    let mut second = port.connect().await;
    second
        .write_all(request("GET", "/healthz").as_bytes())
        .await
        .expect("written");
    let waited = tokio::time::timeout(Duration::from_millis(30), second.read(&mut head)).await;
    assert!(waited.is_err(), "answered without a place");
    drop(first);
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.contains("{\"status\":\"ok\"}"), "{answer}");
    port.stop().await;
}

#[tokio::test]
async fn a_long_lived_connection_is_ended() {
    let limits = Limits {
        connection_time: Duration::from_millis(20),
        ..Limits::default()
    };
    let port = Port::open(limits).await;
    // Without `connection: close`: it is the server that ends it.
    let answer = port
        .exchange("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    assert!(answer.contains("{\"status\":\"ok\"}"), "{answer}");
    port.stop().await;
}

#[tokio::test]
async fn replies_go_over_tls() {
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = own.cert.der().clone();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
    let server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a server configuration");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let client = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let port = Port::open_with(
        Limits::default(),
        Some(Arc::new(RwLock::new(TlsAcceptor::from(Arc::new(server))))),
    )
    .await;
    let name = ServerName::try_from("localhost").expect("a name");
    let mut link = tokio_rustls::TlsConnector::from(Arc::new(client))
        .connect(name, port.connect().await)
        .await
        .expect("a handshake");
    let asked = request("GET", "/healthz");
    link.write_all(asked.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    let _ = link.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("{\"status\":\"ok\"}"), "{answer}");
    // Who speaks no TLS gets no answer.
    let plain = port.exchange(&asked).await;
    assert!(!plain.contains("200 OK"), "{plain}");
    port.stop().await;
}

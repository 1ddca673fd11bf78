//! A server in this process and plain sockets to it, for tests of limits.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use natter::config::include::NoFiles;
use natter::config::options::Options;
use natter::config::parser;
use natter::server::{Configuration, Server};
use tokio::runtime::{Builder, Runtime};

/// Nothing in these tests takes that long unless it hangs.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A running server.
pub struct Rig {
    pub server: Arc<Server>,
    runtime: Runtime,
}

impl Rig {
    /// Starts a server with this configuration on a free port.
    pub fn new(config: &str) -> Rig {
        let text = format!("listen: \"127.0.0.1:-1\"\n{config}");
        let map = parser::parse(&text, "-", &|_| None, &NoFiles).expect("a configuration");
        let (options, _) = Options::from_map(&map).expect("options");
        let configuration = Configuration {
            options,
            digest: String::new(),
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime
            .block_on(Server::start(configuration, None))
            .expect("a server");
        Rig { server, runtime }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.client_address
    }

    /// A client that has said CONNECT and been answered.
    pub fn client(&self) -> Client {
        let mut client = self.stranger();
        client.send(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
        client.sync();
        client
    }

    /// A client that has read INFO only.
    pub fn stranger(&self) -> Client {
        let stream = TcpStream::connect(self.address()).expect("connect");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
        let mut client = Client {
            reader: BufReader::new(stream.try_clone().expect("a handle")),
            stream,
        };
        assert!(client.line().starts_with("INFO "));
        client
    }

    pub fn clients(&self) -> usize {
        self.server.front.clients.len()
    }

    /// Subscriptions of clients in the global account.
    pub fn subscriptions(&self) -> u64 {
        let account = self.server.front.accounts.get("$G");
        let counters = &account.as_ref().expect("the global account").counters;
        counters.subscriptions.load(Ordering::Relaxed)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.runtime.block_on(self.server.shutdown());
        if !thread::panicking() {
            assert_eq!(self.clients(), 0, "clients stayed");
            assert_eq!(self.subscriptions(), 0, "subscriptions stayed");
            wait_for("an empty total", || self.server.front.total.bytes() == 0);
        }
    }
}

/// A plain socket that speaks the protocol.
pub struct Client {
    pub stream: TcpStream,
    pub reader: BufReader<TcpStream>,
}

impl Client {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("a write");
    }

    /// Sends, whatever the peer makes of it.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next line without its end; empty at the end of the connection.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// Everything sent before has been handled.
    pub fn sync(&mut self) {
        self.send(b"PING\r\n");
        loop {
            let line = self.line();
            if line == "PONG" {
                return;
            }
            if line == "PING" {
                self.send(b"PONG\r\n");
                continue;
            }
            assert!(line.starts_with("INFO "), "unexpected {line:?}");
        }
    }

    /// The body of the next message; `None` if a PONG comes first.
    pub fn message(&mut self) -> Option<Vec<u8>> {
        loop {
            let line = self.line();
            if line == "PONG" {
                return None;
            }
            if line == "PING" {
                self.send(b"PONG\r\n");
                continue;
            }
            if line.starts_with("INFO ") {
                continue;
            }
            let len = line.rsplit(' ').next().and_then(|len| len.parse().ok());
            assert!(line.starts_with("MSG "), "unexpected {line:?}");
            let len: usize = len.expect("a length");
            let mut body = vec![0; len + 2];
            self.reader.read_exact(&mut body).expect("a body");
            assert_eq!(body.split_off(len), b"\r\n");
            return Some(body);
        }
    }

    /// Reads to the end of the connection, however it ends.
    pub fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let mut bytes = vec![0; 64 * 1024];
        loop {
            match self.reader.read(&mut bytes) {
                Ok(0) => return rest,
                Ok(read) => rest.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return rest,
                Err(error) => panic!("no end: {error}"),
            }
        }
    }
}

/// `PUB` of a numbered message of `len` bytes.
pub fn numbered(subject: &str, number: u64, len: usize) -> Vec<u8> {
    let mut out = format!("PUB {subject} {len}\r\n").into_bytes();
    let body = out.len();
    out.extend_from_slice(&number.to_le_bytes());
    out.resize(body + len, b'.');
    out.extend_from_slice(b"\r\n");
    out
}

/// The number of such a message.
pub fn number(body: &[u8]) -> u64 {
    u64::from_le_bytes(body[..8].try_into().expect("eight bytes"))
}

pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < DEADLINE, "{what} did not happen");
        thread::sleep(Duration::from_millis(1));
    }
}

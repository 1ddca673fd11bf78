//! Plays a transcript to a server in this process.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use natter::config::digest::digest;
use natter::config::include::NoFiles;
use natter::config::options::Options;
use natter::config::parser;
use natter::server::{Configuration, Server};
use tokio::runtime::Runtime;

use super::differences::normalised;
use super::script::{Script, Step};

/// How long anything expected may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// What a difference shows of the bytes behind it.
const SHOWN_AFTER: Duration = Duration::from_millis(100);

/// One connection and what has been read of it but not expected yet.
struct Connection {
    stream: TcpStream,
    port: u16,
    unread: Vec<u8>,
    ended: bool,
}

/// Plays one scenario; an error shows the first difference.
pub fn play(runtime: &Runtime, script: &Script) -> Result<(), String> {
    let server = start(runtime, &script.conf)?;
    let result = Player {
        server: &server,
        connections: BTreeMap::new(),
        script,
    }
    .play();
    runtime.block_on(server.shutdown());
    result
}

fn start(runtime: &Runtime, conf: &str) -> Result<Arc<Server>, String> {
    let text = format!("listen: \"127.0.0.1:-1\"\nhttp: \"127.0.0.1:-1\"\n{conf}");
    let show = |errors: Vec<_>| format!("{errors:?}");
    let map = parser::parse(&text, "server.conf", &|_: &str| None, &NoFiles).map_err(show)?;
    let (options, _) = Options::from_map(&map).map_err(show)?;
    let wrong = options.validate();
    if !wrong.is_empty() {
        return Err(show(wrong));
    }
    let configuration = Configuration {
        options,
        digest: digest(&map),
    };
    runtime
        .block_on(Server::start(configuration, None))
        .map_err(|error| error.to_string())
}

struct Player<'a> {
    server: &'a Server,
    connections: BTreeMap<char, Connection>,
    script: &'a Script,
}

impl Player<'_> {
    fn play(mut self) -> Result<(), String> {
        let script = self.script;
        for step in &script.steps {
            match step {
                Step::Open { name, shown } => self.open(*name, *shown)?,
                Step::Send {
                    name,
                    bytes,
                    bytewise,
                } => self.send(*name, bytes, *bytewise),
                Step::Expect { name, bytes } => self.expect(*name, bytes)?,
                Step::Closed { name, reason } => self.closed(*name, reason)?,
                Step::HangUp(name) => self.hang_up(*name)?,
            }
        }
        let open: Vec<char> = self.connections.keys().copied().collect();
        open.into_iter()
            .try_for_each(|name| self.nothing_more(name))
    }

    fn open(&mut self, name: char, shown: bool) -> Result<(), String> {
        let stream = TcpStream::connect(self.server.client_address).map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        let port = stream.local_addr().map_err(text)?.port();
        let mut connection = Connection {
            stream,
            port,
            unread: Vec::new(),
            ended: false,
        };
        if !shown {
            connection.line()?;
        }
        self.connections.insert(name, connection);
        Ok(())
    }

    /// What is sent to a connection that is closed is lost, as it is for the recorder.
    fn send(&mut self, name: char, bytes: &[u8], bytewise: bool) {
        let Some(connection) = self.connections.get_mut(&name) else {
            return;
        };
        let size = if bytewise { 1 } else { bytes.len() };
        for piece in bytes.chunks(size) {
            let _ = connection.stream.write_all(piece);
        }
    }

    fn expect(&mut self, name: char, bytes: &[u8]) -> Result<(), String> {
        let expected = String::from_utf8_lossy(bytes);
        let Some(connection) = self.connections.get_mut(&name) else {
            return Err(format!("{name} was closed before\n  {expected:?}"));
        };
        let expected = match expected.starts_with("INFO {") {
            true => normalised(&expected).into_bytes(),
            false => bytes.to_vec(),
        };
        let got = match expected.starts_with(b"INFO {") {
            true => connection.line().map(|line| normalised(&line).into_bytes()),
            false => connection.take(expected.len()),
        };
        match got {
            Ok(got) if got == expected => Ok(()),
            Ok(mut got) => {
                got.extend(connection.rest());
                Err(differ(name, &expected, &got))
            }
            Err(_) => {
                let got = std::mem::take(&mut connection.unread);
                Err(differ(name, &expected, &got))
            }
        }
    }

    fn closed(&mut self, name: char, reason: &str) -> Result<(), String> {
        let Some(mut connection) = self.connections.remove(&name) else {
            return Err(format!("{name} was closed twice"));
        };
        connection
            .end()
            .map_err(|error| format!("{name} {error} instead of: closed {reason}"))?;
        if !connection.unread.is_empty() {
            return Err(differ(name, b"", &connection.unread));
        }
        self.expect_reason(connection.port, reason)
    }

    fn hang_up(&mut self, name: char) -> Result<(), String> {
        let port = self
            .connections
            .remove(&name)
            .map_or(0, |connection| connection.port);
        self.expect_reason(port, "Client Closed")
    }

    fn nothing_more(&mut self, name: char) -> Result<(), String> {
        let Some(mut connection) = self.connections.remove(&name) else {
            return Ok(());
        };
        connection
            .stream
            .shutdown(Shutdown::Write)
            .map_err(|_| format!("{name} was closed"))?;
        let ended = connection.end();
        if !connection.unread.is_empty() {
            return Err(differ(name, b"", &connection.unread));
        }
        ended.map_err(|error| format!("{name} {error}"))?;
        self.expect_reason(connection.port, "Client Closed")
    }

    /// Waits until monitoring tells why the connection from `port` ended.
    fn expect_reason(&self, port: u16, expected: &str) -> Result<(), String> {
        let address = self.server.monitoring_address.ok_or("no monitoring")?;
        let by = Instant::now() + DEADLINE;
        loop {
            let body = get(address, "/connz?state=closed&limit=1024")?;
            match reason(&body, port) {
                Some(reason) if reason == expected => return Ok(()),
                Some(reason) => return Err(format!("closed: {reason} instead of {expected}")),
                None if Instant::now() > by => return Err(format!("no reason: {body}")),
                None => std::thread::yield_now(),
            }
        }
    }
}

impl Connection {
    /// Reads once; false at the end.
    fn read(&mut self, timeout: Duration) -> Result<bool, String> {
        let mut buf = [0; 65536];
        let timeout = timeout.max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(timeout)).map_err(text)?;
        match self.stream.read(&mut buf) {
            Ok(0) => self.ended = true,
            Ok(len) => self.unread.extend(&buf[..len]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => self.ended = true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("is silent ({error})")),
        }
        Ok(!self.ended)
    }

    fn read_until(&mut self, done: impl Fn(&[u8]) -> bool) -> Result<(), String> {
        let by = Instant::now() + DEADLINE;
        while !done(&self.unread) {
            if !self.read(by.saturating_duration_since(Instant::now()))? {
                return Err("ends".to_owned());
            }
        }
        Ok(())
    }

    fn take(&mut self, len: usize) -> Result<Vec<u8>, String> {
        self.read_until(|unread| unread.len() >= len)?;
        Ok(self.unread.drain(..len).collect())
    }

    fn line(&mut self) -> Result<String, String> {
        self.read_until(|unread| unread.contains(&b'\n'))?;
        let end = self
            .unread
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or(0);
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Reads until the server closes its side.
    fn end(&mut self) -> Result<(), String> {
        let by = Instant::now() + DEADLINE;
        while !self.ended {
            self.read(by.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    /// What else comes at once; only for showing.
    fn rest(&mut self) -> Vec<u8> {
        while self.read(SHOWN_AFTER) == Ok(true) {}
        std::mem::take(&mut self.unread)
    }
}

fn differ(name: char, expected: &[u8], got: &[u8]) -> String {
    format!(
        "{name} expected \"{}\"\n       got \"{}\"",
        expected.escape_ascii(),
        got.escape_ascii()
    )
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}

/// The reason of the connection from `port`, out of the JSON of `/connz`.
fn reason(body: &str, port: u16) -> Option<String> {
    let connz: serde_json::Value = serde_json::from_str(body).ok()?;
    let connections = connz.get("connections")?.as_array()?;
    let found = connections
        .iter()
        .find(|one| one.get("port").and_then(serde_json::Value::as_u64) == Some(port.into()))?;
    Some(found.get("reason")?.as_str()?.to_owned())
}

fn get(address: SocketAddr, path: &str) -> Result<String, String> {
    let mut stream = TcpStream::connect(address).map_err(text)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(text)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(text)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(body.to_owned())
}

//! A server in this process, its monitoring port, and raw clients that block: what the
//! tests of monitoring stand on.
//!
//! The configurations are those that the goldens were recorded with
//! (`golden/monitor/record.py`). No wait is without an end, and none is for a fixed time:
//! [`eventually`] looks until what is wanted is there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use natter::config::digest::digest;
use natter::config::include::NoFiles;
use natter::config::options::Options;
use natter::config::parser;
use natter::server::{Configuration, Server};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

#[path = "../../src/monitor/golden.rs"]
pub mod golden;

/// No wait is longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const PLAIN: &str = "listen: '127.0.0.1:-1'\nhttp: '127.0.0.1:-1'\n";

pub const BUSY: &str = r#"
server_name: golden
listen: "127.0.0.1:-1"
http: "127.0.0.1:-1"
client_advertise: "golden.example:4222"
server_tags: ["az:one", "disk:ssd"]
server_metadata: { rack: r1, owner: ops }
max_subs: 500
write_timeout: retry
system_account: SYS
accounts {
  SYS { users: [{user: sys, password: sys}] }
  A {
    users: [
      {user: a, password: a}
      {user: limited, password: limited, permissions: {
        publish: {allow: ["foo.*", "$SYS.REQ.>"], deny: "foo.secret"}
        subscribe: {allow: ["foo.> workers", "_INBOX.>"]}
        allow_responses: {max: 3, expires: "1m"}
      }}
    ]
    exports: [{stream: "news.>"}, {service: "ask", accounts: [B]}, {service: "many", response_type: stream}]
    mappings: { "old.*": [{destination: "new.$1", weight: 60%}, {destination: "newer.$1", weight: 40%}] }
  }
  B {
    users: [{user: b, password: b}]
    imports: [{stream: {account: A, subject: "news.>"}, prefix: from.a}, {service: {account: A, subject: ask}, to: ask.a}]
  }
}
"#;

/// Takes out of a golden what ours has no need to say: it is built from no commit, switches
/// no feature by a flag, and does not measure services.
pub fn without_absent(value: &mut Value) {
    const ABSENT: [&str; 4] = ["git_commit", "feature_flags", "latency", "service_latency"];
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !ABSENT.contains(&key.as_str()));
            fields.values_mut().for_each(without_absent);
        }
        Value::Array(list) => list.iter_mut().for_each(without_absent),
        _ => {}
    }
}

/// Takes the server's own subscriptions out of a list of subscriptions; whether there is one.
pub fn without_internal(value: &mut Value) -> bool {
    match value {
        Value::Object(fields) => {
            let mut found = false;
            for (key, value) in fields {
                if let ("subscriptions_list", Value::Array(list)) = (key.as_str(), &mut *value) {
                    found = true;
                    list.retain(|entry| {
                        let subject = entry["subject"].as_str().unwrap_or_default();
                        let internal = ["$SYS.", "_R_.", "ask.a"];
                        !internal.iter().any(|prefix| subject.starts_with(prefix))
                    });
                }
                found |= without_internal(value);
            }
            found
        }
        _ => false,
    }
}

/// Looks until there is something; `what` is said when there never is.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running server.
pub struct World {
    pub runtime: Runtime,
    pub server: Arc<Server>,
}

impl World {
    /// A server configured by `text`, in which `listen` is a free port.
    pub fn start(text: &str) -> World {
        let nothing = |_: &str| None;
        let map = parser::parse(text, "test.conf", &nothing, &NoFiles).expect("a configuration");
        let (options, _) = Options::from_map(&map).expect("options");
        let wrong = options.validate();
        assert!(wrong.is_empty(), "{wrong:?}");
        let configuration = Configuration {
            options,
            digest: digest(&map),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime
            .block_on(Server::start(configuration, None))
            .expect("a server");
        World { runtime, server }
    }

    /// Where monitoring is.
    pub fn monitoring(&self) -> std::net::SocketAddr {
        self.server.monitoring_address.expect("a monitoring port")
    }

    /// Asks the monitoring port.
    pub fn get(&self, path: &str) -> Answer {
        http(self.monitoring(), path)
    }

    /// The body of an answer, as JSON.
    pub fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{path}: {e}: {answer:?}"))
    }

    /// A client that has logged in.
    pub fn client(&self, connect: &Value) -> Client {
        let mut client = self.stranger(connect);
        client.pong();
        client
    }

    /// A client called `golden` with the user as password.
    pub fn user(&self, user: &str) -> Client {
        self.client(&json!({"user": user, "pass": user}))
    }

    /// As [`World::user`], called like the user.
    pub fn user_called(&self, user: &str) -> Client {
        self.client(&json!({"user": user, "pass": user, "name": user}))
    }

    /// A client that has sent CONNECT and PING and read nothing but INFO.
    pub fn stranger(&self, connect: &Value) -> Client {
        let mut client = Client::open(self.server.client_address);
        let mut options = json!({"verbose": false, "pedantic": false, "headers": true,
            "no_responders": true, "name": "golden", "lang": "python3", "version": "1.2.3",
            "protocol": 1});
        for (key, value) in connect.as_object().expect("an object") {
            options[key] = value.clone();
        }
        client.send(&format!("CONNECT {options}\r\nPING\r\n"));
        client
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.runtime.block_on(self.server.shutdown());
    }
}

/// An answer of the monitoring port.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Asks `path` of an HTTP server on this machine.
pub fn http(address: std::net::SocketAddr, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("an HTTP port");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    Answer::parse(&text)
}

impl Answer {
    /// An answer that is there as a whole.
    pub fn parse(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Answer {
            status: status.expect("a status"),
            body: if head.to_lowercase().contains("transfer-encoding: chunked") {
                unchunk(body)
            } else {
                body.to_owned()
            },
            head: head.to_owned(),
        }
    }
}

fn unchunk(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        whole.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    whole
}

/// A message as it came.
#[derive(Debug)]
pub struct Received {
    pub subject: String,
    pub headers: String,
    pub body: Vec<u8>,
}

impl Received {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// A raw client.
pub struct Client {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
    inbox: u64,
    pub info: Value,
}

impl Client {
    fn open(address: std::net::SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("a client port");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        let mut client = Client {
            stream,
            lines,
            inbox: 0,
            info: Value::Null,
        };
        let info = client.line();
        client.info = serde_json::from_str(info.strip_prefix("INFO ").expect("INFO")).unwrap();
        client
    }

    /// What the server calls it.
    pub fn cid(&self) -> u64 {
        self.info["client_id"].as_u64().expect("a client id")
    }

    /// Who the server is.
    pub fn server_id(&self) -> String {
        self.info["server_id"].as_str().expect("an id").to_owned()
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("a link");
    }

    /// The next line without its end; empty when the server has closed.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap_or_default();
        line.truncate(line.trim_end().len());
        if line == "PING" {
            self.send("PONG\r\n");
            return self.line();
        }
        line
    }

    /// Reads up to the answer to a PING.
    pub fn pong(&mut self) {
        loop {
            match self.line().as_str() {
                "PONG" => return,
                "" => panic!("closed"),
                line => assert!(!line.starts_with("-ERR"), "{line}"),
            }
        }
    }

    /// Everything sent so far has been looked at; what came meanwhile is dropped.
    pub fn flush(&mut self) {
        self.send("PING\r\n");
        self.pong();
    }

    /// The messages that come before the answer to a PING.
    pub fn arrived(&mut self) -> Vec<Received> {
        self.send("PING\r\n");
        let mut all = Vec::new();
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "closed");
            if line == "PONG" {
                return all;
            }
            all.extend(self.body_of(&line));
        }
    }

    /// The next message; none if the server has closed or says nothing.
    pub fn next_message(&mut self) -> Option<Received> {
        loop {
            let line = self.line();
            if line.is_empty() {
                return None;
            }
            if let Some(message) = self.body_of(&line) {
                return Some(message);
            }
        }
    }

    /// The next message.
    pub fn message(&mut self) -> Received {
        self.next_message().expect("a message")
    }

    fn body_of(&mut self, line: &str) -> Option<Received> {
        let words: Vec<&str> = line.split(' ').collect();
        if !matches!(words[0], "MSG" | "HMSG") {
            return None;
        }
        let number = |word: &str| word.parse::<usize>().expect("a size");
        let mut body = vec![0; number(words[words.len() - 1]) + 2];
        self.lines.read_exact(&mut body).expect("a payload");
        body.truncate(body.len() - 2);
        let header_bytes = match words[0] {
            "HMSG" => number(words[words.len() - 2]),
            _ => 0,
        };
        let payload = body.split_off(header_bytes);
        Some(Received {
            subject: words[1].to_owned(),
            headers: String::from_utf8_lossy(&body).into_owned(),
            body: payload,
        })
    }

    /// Asks; the answer may be that nobody is there (status 503, no body).
    pub fn request(&mut self, subject: &str, body: &str) -> Received {
        let reply = self.ask(subject, body, "");
        self.answer_to(&reply)
    }

    /// Sends a request and says where its answer will come.
    pub fn ask(&mut self, subject: &str, body: &str, headers: &str) -> String {
        self.ask_with(subject, body, headers, "")
    }

    /// As [`Client::ask`], with an end for the reply subject.
    pub fn ask_with(&mut self, subject: &str, body: &str, headers: &str, end: &str) -> String {
        if self.inbox == 0 {
            self.send("SUB _INBOX.golden.> inbox\r\n");
        }
        self.inbox += 1;
        let reply = format!("_INBOX.golden.{}{end}", self.inbox);
        self.publish(subject, &reply, body, headers);
        reply
    }

    /// Sends a message without a reply subject.
    pub fn tell(&mut self, subject: &str, body: &str, headers: &str) {
        self.publish(subject, "", body, headers);
    }

    fn publish(&mut self, subject: &str, reply: &str, body: &str, headers: &str) {
        if headers.is_empty() {
            let size = body.len();
            return self.send(&format!("PUB {subject} {reply} {size}\r\n{body}\r\n"));
        }
        let block = format!("NATS/1.0\r\n{headers}\r\n\r\n");
        let (first, all) = (block.len(), block.len() + body.len());
        self.send(&format!(
            "HPUB {subject} {reply} {first} {all}\r\n{block}{body}\r\n"
        ));
    }

    /// The next message to `reply`; others are dropped.
    pub fn answer_to(&mut self, reply: &str) -> Received {
        loop {
            let message = self.message();
            if message.subject == reply {
                return message;
            }
        }
    }
}

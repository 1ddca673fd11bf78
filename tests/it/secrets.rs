//! Planted secrets: whatever a client or a configuration file brings as a secret is looked
//! for in everything the server says: its log at the highest level, every monitoring page,
//! every event and answer in the system account.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// Every secret of the test carries this mark.
const MARK: &str = "CANARY";

const CONFIG: &str = r#"
listen: "127.0.0.1:-1"
http: "127.0.0.1:-1"
debug: true, trace: true, trace_verbose: true
accounts {
    APP {
        users: [
            { user: app, password: "CANARY-password" }
            { user: hashed, password: "$2a$04$CANARYCANARYCANARYCANAeuXg6tQ6V3cVgyWcQ5rR8ZQb1rHqZ5i" }
        ]
    }
    $SYS { users: [{ user: sys, password: "CANARY-system" }] }
}
"#;

const PAGES: [&str; 14] = [
    "/",
    "/varz",
    "/connz?auth=1&subs=detail&state=any",
    "/subsz?subs=1",
    "/accountz?acc=APP",
    "/accstatz?unused=1",
    "/routez",
    "/gatewayz",
    "/leafz",
    "/jsz?accounts=1&config=1",
    "/healthz",
    "/metrics",
    "/debug/vars",
    "/stacksz",
];

struct Process {
    child: Child,
    dir: tempfile::TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start() -> Process {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(at("natter.conf"), CONFIG.replace("$SYS", "\"$SYS\"")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_natter"))
            .args([
                "server",
                "-c",
                &at("natter.conf"),
                "-l",
                &at("log"),
                "--ports_file_dir",
                &at(""),
            ])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Process { child, dir }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(
                Instant::now() < deadline,
                "{text:?} is not in the log:\n{}",
                self.log()
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// The address behind a URL of the ports file.
    fn address(&self, key: &str) -> String {
        let path = self
            .dir
            .path()
            .join(format!("natter_{}.ports", self.child.id()));
        let ports: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let url = ports[key][0].as_str().unwrap();
        url.split_once("://").unwrap().1.to_owned()
    }

    fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address("monitoring")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    fn client(&self, connect: &str) -> Client {
        let stream = TcpStream::connect(self.address("nats")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Client {
            stream,
            heard: Vec::new(),
        };
        client.say(&format!("CONNECT {{\"verbose\":false,\"headers\":true,\"no_responders\":true,{connect}}}\r\nPING\r\n"));
        client
    }
}

struct Client {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Client {
    fn say(&mut self, text: &str) {
        // A refused client may be gone already.
        let _ = self.stream.write_all(text.as_bytes());
    }

    /// Reads until the server has said this, or hung up.
    fn hear(&mut self, text: &str) -> String {
        let mut bytes = [0; 4096];
        while !String::from_utf8_lossy(&self.heard).contains(text) {
            match self.stream.read(&mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(len) => self.heard.extend_from_slice(&bytes[..len]),
            }
        }
        String::from_utf8_lossy(&self.heard).into_owned()
    }
}

fn check(what: &str, text: &str) {
    let found = text.lines().find(|line| line.contains(MARK));
    assert_eq!(found, None, "{what} tells a secret");
}

#[test]
fn no_secret_leaves_the_server() {
    let process = Process::start();
    process.wait_for_log("Server is ready");

    let mut system = process.client(r#""user":"sys","pass":"CANARY-system""#);
    system.say("SUB $SYS.> 1\r\nPING\r\n");
    system.hear("PONG\r\n");
    let mut good = process.client(r#""user":"app","pass":"CANARY-password","name":"good""#);
    good.hear("PONG\r\n");
    good.say("SUB a.b 1\r\nSUB _INBOX.x 2\r\nPUB $SYS.REQ.USER.INFO _INBOX.x 0\r\n\r\n");
    assert!(good.hear("\"user\":\"app\"").contains("APP"));
    for connect in [
        r#""user":"app","pass":"CANARY-guess""#,
        r#""user":"hashed","pass":"CANARY-guess""#,
        r#""auth_token":"CANARY-token""#,
        r#""jwt":"CANARY-jwt","sig":"CANARY-sig","nkey":"UNKNOWN""#,
        r#""user":"app","pass":"CANARY-twice","proxy_sig":"CANARY-proxy""#,
        // Not JSON: nothing of it may be shown.
        r#""user":"app","pass":"CANARY-broken"#,
    ] {
        let mut refused = process.client(connect);
        let said = refused.hear("-ERR");
        assert!(!said.contains("PONG"), "{connect}: {said}");
    }
    // Events and answers of everything above, and of an account asked about.
    let ask = r#"{"auth":true}"#;
    system.say("SUB answer 2\r\n");
    system.say(&format!(
        "PUB $SYS.REQ.SERVER.PING.CONNZ answer {}\r\n{ask}\r\n",
        ask.len()
    ));
    let heard = system.hear("\"authorized_user\":\"app\"");
    assert!(heard.contains("\"authorized_user\":\"app\""), "{heard}");
    check("the system account", &heard);
    for page in PAGES {
        let text = process.page(page);
        assert!(text.starts_with("HTTP/1.1 "), "{page}: {text}");
        check(page, &text);
    }
    check("the client", &good.hear("APP"));
    let log = process.log();
    // Lines about connections are there: the log did not simply stay silent.
    assert!(log.contains(" - cid:"), "{log}");
    check("the log", &log);
}

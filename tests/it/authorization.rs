//! The authorization matrix over real sockets: every way in × every identity × every shape
//! of permissions × every verb, each cell asserted against a naive model.
//!
//! The model is written from the rules, not from the code: a subject is allowed if the allow
//! list is empty or some entry matches it token by token (wildcards *of the subject* are
//! ordinary tokens), and no deny entry does.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use natter::auth::nkey::{KeyPair, Role};
use natter::config::include::NoFiles;
use natter::config::options::Options;
use natter::config::parser;
use natter::net::tls::connector::Connector;
use natter::net::tls::{Identity, Pem, TlsSettings};
use natter::net::{OwnedWire, Wire};
use natter::server::{Configuration, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No wait is longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Allow and deny entries, the same for publishing and subscribing.
struct Shape {
    name: &'static str,
    allow: &'static [&'static str],
    deny: &'static [&'static str],
}

const SHAPES: [Shape; 6] = [
    shape("all", &[], &[]),
    shape("allow", &["a.>", "_INBOX.>"], &[]),
    shape("deny", &[], &["a.secret.>", "b"]),
    shape("overlap", &["a.>", "b.*"], &["a.secret.>", "b.x"]),
    shape("tail", &["a.*", "c"], &["a.x"]),
    shape("wide", &[">"], &["*.secret.*"]),
];

const fn shape(
    name: &'static str,
    allow: &'static [&'static str],
    deny: &'static [&'static str],
) -> Shape {
    Shape { name, allow, deny }
}

const SUBJECTS: [&str; 10] = [
    "a",
    "a.x",
    "a.y",
    "a.x.y",
    "a.secret.k",
    "a.secret.k.l",
    "b",
    "b.x",
    "c",
    "$SYS.REQ.SERVER.PING",
];
const FILTERS: [&str; 12] = [
    "a",
    "a.x",
    "a.*",
    "a.>",
    "a.secret.*",
    "a.secret.k",
    "*.secret.*",
    "b",
    "b.*",
    "c",
    "*",
    ">",
];

/// Token by token; wildcards count in `entry` only.
fn matches(entry: &str, subject: &str) -> bool {
    let (mut entry, mut subject) = (entry.split('.'), subject.split('.'));
    loop {
        match (entry.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(token), Some(other)) if token == other => {}
            _ => return false,
        }
    }
}

impl Shape {
    fn allows(&self, subject: &str) -> bool {
        let any = |entries: &[&str]| entries.iter().any(|entry| matches(entry, subject));
        (self.allow.is_empty() || any(self.allow)) && !any(self.deny)
    }

    fn config(&self) -> String {
        let list = |entries: &[&str]| {
            format!(
                "[{}]",
                entries
                    .iter()
                    .map(|e| format!("\"{e}\""))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        };
        let rules = format!(
            "{{ allow: {}, deny: {} }}",
            list(self.allow),
            list(self.deny)
        );
        format!("permissions: {{ publish: {rules}, subscribe: {rules} }}")
    }
}

/// Who somebody claims to be.
#[derive(Clone, Copy, Debug)]
enum Claim<'a> {
    Password(&'a str),
    Bcrypt(&'a str),
    Nkey(&'a str),
    Certificate,
    Token,
    Nobody,
    WrongPassword(&'a str),
    Unknown,
    WrongSignature(&'a str),
    WrongToken,
    NamesAccount(&'a str),
}

fn key_of(shape: &str) -> KeyPair {
    let mut seed = [0; 32];
    for (to, from) in seed.iter_mut().zip(shape.bytes().cycle()) {
        *to = from;
    }
    KeyPair::from_random(Role::User, seed)
}

impl Claim<'_> {
    fn connect(&self, nonce: &str) -> String {
        let fields = match self {
            Claim::Password(shape) => format!(r#""user":"plain-{shape}","pass":"pw-{shape}""#),
            Claim::Bcrypt(shape) => format!(r#""user":"hashed-{shape}","pass":"pw-{shape}""#),
            Claim::Nkey(shape) => {
                let key = key_of(shape);
                let signature = BASE64URL_NOPAD.encode(&key.sign(nonce.as_bytes()));
                format!(r#""nkey":"{}","sig":"{signature}""#, key.public_key())
            }
            Claim::WrongSignature(shape) => {
                let signature = BASE64URL_NOPAD.encode(&key_of(shape).sign(b"another nonce"));
                format!(
                    r#""nkey":"{}","sig":"{signature}""#,
                    key_of(shape).public_key()
                )
            }
            Claim::Token => r#""auth_token":"the-token""#.to_owned(),
            Claim::WrongToken => r#""auth_token":"another""#.to_owned(),
            Claim::WrongPassword(shape) => format!(r#""user":"plain-{shape}","pass":"guessed""#),
            Claim::Unknown => r#""user":"stranger","pass":"pw""#.to_owned(),
            Claim::NamesAccount(shape) => {
                format!(r#""user":"plain-{shape}","pass":"pw-{shape}","account":"A""#)
            }
            Claim::Certificate | Claim::Nobody => r#""name":"nobody""#.to_owned(),
        };
        format!("CONNECT {{\"verbose\":false,\"pedantic\":false,{fields}}}\r\nPING\r\n")
    }
}

/// Certificates of one authority.
struct Authority(CertifiedIssuer<'static, rcgen::KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn leaf(&self, name: &str) -> Identity {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let pem = |label: &str, text: String| Pem {
            label: label.to_owned(),
            bytes: text.into_bytes(),
        };
        Identity {
            chain: pem("chain", params.signed_by(&key, &self.0).unwrap().pem()),
            key: pem("key", key.serialize_pem()),
        }
    }
}

struct World {
    authority: Authority,
    files: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let world = World {
            authority: Authority::new(),
            files: tempfile::tempdir().unwrap(),
        };
        let identity = world.authority.leaf("localhost");
        std::fs::write(world.path("ca.pem"), world.authority.0.pem()).unwrap();
        std::fs::write(world.path("s.pem"), identity.chain.bytes).unwrap();
        std::fs::write(world.path("s.key"), identity.key.bytes).unwrap();
        world
    }

    fn path(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }

    /// A server with this text behind a listener that takes TLS and, unless certificates
    /// are asked for, plain text.
    async fn start(&self, text: &str, maps_certificates: bool) -> Arc<Server> {
        let (chain, key, ca) = (self.path("s.pem"), self.path("s.key"), self.path("ca.pem"));
        let mode = if maps_certificates {
            "verify_and_map: true"
        } else {
            "verify: false"
        };
        let text = format!(
            "listen: '127.0.0.1:-1'\nallow_non_tls: {}\n\
             tls {{ cert_file: '{chain}', key_file: '{key}', ca_file: '{ca}'\n timeout: 20\n {mode} }}\n{text}\n",
            !maps_certificates,
        );
        let map =
            parser::parse(&text, "matrix.conf", &|_| None, &NoFiles).expect("a configuration");
        let (options, _) = Options::from_map(&map).expect("options");
        let configuration = Configuration {
            options,
            digest: String::new(),
        };
        Server::start(configuration, None).await.expect("a server")
    }
}

fn users() -> String {
    let rows = SHAPES.iter().map(|shape| {
        let (name, rules) = (shape.name, shape.config());
        let hash = bcrypt::hash(format!("pw-{name}"), 4).unwrap();
        let key = key_of(name);
        format!(
            "{{ user: \"plain-{name}\", password: \"pw-{name}\", {rules} }}\n\
             {{ user: \"hashed-{name}\", password: \"{hash}\", {rules} }}\n\
             {{ nkey: {}, {rules} }}",
            key.public_key()
        )
    });
    rows.collect::<Vec<_>>().join("\n")
}

struct Client {
    wire: Box<dyn OwnedWire>,
    /// Cells asserted.
    cells: usize,
}

impl Client {
    async fn read_to(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        let reading = async {
            let mut byte = [0];
            while !text.ends_with(end.as_bytes()) {
                match self.wire.read(&mut byte).await {
                    Ok(1) => text.push(byte[0]),
                    _ => break,
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("an answer in time");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Everything the server says until it has answered a PING.
    async fn ask(&mut self, line: &str) -> String {
        let text = format!("{line}PING\r\n");
        self.wire.write_all(text.as_bytes()).await.expect("sent");
        self.wire.flush().await.expect("flushed");
        self.read_to("PONG\r\n").await
    }

    /// The line is answered by nothing, or by exactly this violation.
    async fn check(&mut self, line: &str, allowed: bool, violation: &str, cell: &str) {
        let answer = self.ask(line).await;
        let said = answer.contains("-ERR");
        assert_eq!(!said, allowed, "{cell}: {answer:?}");
        assert_eq!(answer.contains(violation), !allowed, "{cell}: {answer:?}");
        self.cells += 1;
    }
}

/// Reads INFO, shakes hands if that is the way, says who it is.
async fn log_in(server: &Server, way: Way<'_>, claim: Claim<'_>) -> Result<Client, String> {
    let mut tcp = TcpStream::connect(server.client_address)
        .await
        .expect("connected");
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(tcp.read_u8().await.expect("INFO"));
    }
    let json = line.strip_prefix(b"INFO ").expect("INFO");
    let info: serde_json::Value = serde_json::from_slice(json).expect("JSON");
    let wire: Box<dyn OwnedWire> = match way {
        Way::Tcp => Box::new(tcp),
        Way::Tls(connector) => match connector.connect(tcp, "localhost").await {
            Ok((Wire::Owned(wire), _)) => wire,
            Ok(_) => panic!("a TLS wire is owned"),
            Err(error) => return Err(error.to_string()),
        },
    };
    let mut client = Client { wire, cells: 0 };
    let hello = claim.connect(info["nonce"].as_str().unwrap_or_default());
    client.wire.write_all(hello.as_bytes()).await.expect("sent");
    client.wire.flush().await.expect("flushed");
    let answer = client.read_to("PONG\r\n").await;
    if answer == "PONG\r\n" {
        Ok(client)
    } else {
        Err(answer)
    }
}

#[derive(Clone, Copy)]
enum Way<'a> {
    Tcp,
    Tls(&'a Connector),
}

async fn check_verbs(client: &mut Client, shape: &Shape, cell: &str) {
    for subject in SUBJECTS {
        let allowed = shape.allows(subject);
        let violation = format!("Permissions Violation for Publish to \"{subject}\"");
        for (verb, line) in [
            ("pub", format!("PUB {subject} 2\r\nhi\r\n")),
            ("request", format!("PUB {subject} _INBOX.1 2\r\nhi\r\n")),
        ] {
            client
                .check(
                    &line,
                    allowed,
                    &violation,
                    &format!("{cell} {verb} {subject}"),
                )
                .await;
        }
    }
    for filter in FILTERS {
        let allowed = shape.allows(filter);
        let plain = format!("Permissions Violation for Subscription to \"{filter}\"");
        let queue = format!("{plain} using queue \"q\"");
        for (verb, line, violation) in [
            ("sub", format!("SUB {filter} 1\r\nUNSUB 1\r\n"), &plain),
            ("queue", format!("SUB {filter} q 2\r\nUNSUB 2\r\n"), &queue),
        ] {
            client
                .check(
                    &line,
                    allowed,
                    violation,
                    &format!("{cell} {verb} {filter}"),
                )
                .await;
        }
    }
    // What may be subscribed to as a whole is still filtered message by message.
    if shape.allows("a.>") {
        for subject in ["a.x", "a.x.y", "a.secret.k"] {
            let line = format!("SUB a.> 3\r\nPUB {subject} 2\r\nhi\r\nUNSUB 3\r\n");
            let answer = client.ask(&line).await;
            let expected = shape.allows(subject);
            assert_eq!(
                answer.contains("MSG"),
                expected,
                "{cell} deliver {subject}: {answer:?}"
            );
            client.cells += 1;
        }
    }
}

fn connector(world: &World, identity: Option<Identity>) -> Connector {
    let settings = TlsSettings {
        identities: identity.into_iter().collect(),
        authorities: Some(Pem {
            label: "ca".to_owned(),
            bytes: world.authority.0.pem().into_bytes(),
        }),
        timeout: PATIENCE,
        ..TlsSettings::default()
    };
    Connector::new(&settings, false).expect("a connector")
}

/// Admitted with the rights of `shape`, whichever way; returns the cells.
async fn check_admitted(server: &Server, way: Way<'_>, claim: Claim<'_>, shape: &Shape) -> usize {
    let name = if matches!(way, Way::Tcp) {
        "tcp"
    } else {
        "tls"
    };
    let cell = format!("{name} {claim:?} {}", shape.name);
    let mut client = log_in(server, way, claim)
        .await
        .unwrap_or_else(|said| panic!("{cell}: {said}"));
    check_verbs(&mut client, shape, &cell).await;
    client.cells
}

/// Refused with the one text that says nothing; returns one cell.
async fn check_refused(server: &Server, way: Way<'_>, claim: Claim<'_>) -> usize {
    let said = log_in(server, way, claim)
        .await
        .err()
        .unwrap_or_else(|| panic!("{claim:?} was admitted"));
    assert_eq!(said, "-ERR 'Authorization Violation'\r\n", "{claim:?}");
    1
}

#[tokio::test]
async fn every_identity_may_do_exactly_what_its_permissions_say() {
    let world = World::new();
    let plain_tls = connector(&world, None);
    let ways = [Way::Tcp, Way::Tls(&plain_tls)];
    let server = world
        .start(
            &format!("authorization {{ users: [\n{}\n] }}", users()),
            false,
        )
        .await;
    let mut cells = 0;
    for way in ways {
        for shape in &SHAPES {
            for claim in [
                Claim::Password(shape.name),
                Claim::Bcrypt(shape.name),
                Claim::Nkey(shape.name),
            ] {
                cells += check_admitted(&server, way, claim, shape).await;
            }
            for claim in [
                Claim::WrongPassword(shape.name),
                Claim::WrongSignature(shape.name),
                Claim::NamesAccount(shape.name),
            ] {
                cells += check_refused(&server, way, claim).await;
            }
        }
        for claim in [Claim::Nobody, Claim::Unknown, Claim::Token] {
            cells += check_refused(&server, way, claim).await;
        }
    }
    assert!(cells >= 1_000, "{cells} cells");
    server.shutdown().await;
}

#[tokio::test]
async fn listeners_without_users_admit_by_their_own_rule() {
    let world = World::new();
    let plain_tls = connector(&world, None);
    let open = world.start("", false).await;
    let token = world
        .start("authorization { token: the-token }", false)
        .await;
    let text = format!(
        "no_auth_user: plain-overlap\nauthorization {{ users: [\n{}\n] }}",
        users()
    );
    let default_user = world.start(&text, false).await;
    let all = &SHAPES[0];
    let overlap = SHAPES
        .iter()
        .find(|shape| shape.name == "overlap")
        .expect("listed");
    let mut cells = 0;
    for way in [Way::Tcp, Way::Tls(&plain_tls)] {
        for claim in [Claim::Nobody, Claim::Unknown, Claim::WrongToken] {
            cells += check_admitted(&open, way, claim, all).await;
        }
        cells += check_admitted(&token, way, Claim::Token, all).await;
        for claim in [Claim::Nobody, Claim::Unknown, Claim::WrongToken] {
            cells += check_refused(&token, way, claim).await;
        }
        cells += check_admitted(&default_user, way, Claim::Nobody, overlap).await;
        cells += check_admitted(&default_user, way, Claim::Password("tail"), &SHAPES[4]).await;
        cells += check_refused(&default_user, way, Claim::WrongPassword("tail")).await;
        cells += check_refused(&default_user, way, Claim::NamesAccount("tail")).await;
    }
    assert!(cells >= 500, "{cells} cells");
}

#[tokio::test]
async fn certificates_are_users() {
    let world = World::new();
    let mapped: Vec<String> = SHAPES
        .iter()
        .map(|shape| format!("{{ user: \"{}.example\", {} }}", shape.name, shape.config()))
        .collect();
    let text = format!("authorization {{ users: [\n{}\n] }}", mapped.join("\n"));
    let server = world.start(&text, true).await;
    let mut cells = 0;
    for shape in &SHAPES {
        let identity = world.authority.leaf(&format!("{}.example", shape.name));
        let connector = connector(&world, Some(identity));
        let way = Way::Tls(&connector);
        cells += check_admitted(&server, way, Claim::Certificate, shape).await;
    }
    let stranger = connector(&world, Some(world.authority.leaf("stranger.example")));
    cells += check_refused(&server, Way::Tls(&stranger), Claim::Nobody).await;
    // A user known by certificate only cannot come by name.
    cells += check_refused(&server, Way::Tls(&stranger), Claim::Unknown).await;
    assert!(cells >= 200, "{cells} cells");
}

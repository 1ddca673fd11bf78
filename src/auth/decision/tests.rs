//! Single rules by name, then the whole matrix against a naive model of the rules.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;

use super::*;
use crate::auth::dn::DistinguishedName;
use crate::auth::nkey::{KeyPair, Role};
use crate::auth::permissions::{SubjectPermission, Subscribe};
use crate::auth::tls_map::CertificateNames;
use crate::auth::users::{ConnectionType, Login};

const NONCE: &str = "PXoWU7zWAMt75FY";
const ANY: Option<&[ConnectionType]> = None;

fn key(n: u8) -> KeyPair {
    KeyPair::from_random(Role::User, [n; 32])
}

fn bcrypted(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

fn user(name: &str, password: &str, account: &str) -> UserSpec {
    UserSpec {
        login: Login::Password {
            user: name.to_owned(),
            password: password.to_owned(),
        },
        account: account.to_owned(),
        permissions: None,
        connection_types: None,
        proxy_required: false,
    }
}

fn nkey_user(n: u8, account: &str) -> UserSpec {
    UserSpec {
        login: Login::Nkey(key(n).public_key().to_owned()),
        ..user("", "", account)
    }
}

fn spec(users: Vec<UserSpec>) -> DirectorySpec {
    DirectorySpec {
        global_account: "$G".to_owned(),
        groups: vec![UserGroup {
            users,
            default_permissions: None,
        }],
        ..DirectorySpec::default()
    }
}

fn by_password(user: &str, password: &str) -> Credentials {
    Credentials {
        user: user.to_owned(),
        password: password.to_owned(),
        nonce: NONCE.to_owned(),
        ..Credentials::default()
    }
}

fn by_token(token: &str) -> Credentials {
    Credentials {
        token: token.to_owned(),
        nonce: NONCE.to_owned(),
        ..Credentials::default()
    }
}

fn by_key(n: u8) -> Credentials {
    Credentials {
        nkey: key(n).public_key().to_owned(),
        signature: BASE64URL_NOPAD.encode(&key(n).sign(NONCE.as_bytes())),
        nonce: NONCE.to_owned(),
        ..Credentials::default()
    }
}

/// Decides, comparing passwords on the spot.
fn settle(directory: &Directory, credentials: &Credentials) -> Result<Arc<User>, RefuseReason> {
    match directory.decide(credentials) {
        Decision::Accept(user) => Ok(user),
        Decision::Refuse(reason) => Err(reason),
        Decision::VerifyPassword(check) => {
            let is_right = password::verify_bcrypt(&check.hash, &check.password);
            match Directory::resume(check.then, is_right) {
                Decision::Accept(user) => Ok(user),
                Decision::Refuse(reason) => Err(reason),
                Decision::VerifyPassword(_) => panic!("a resumed decision is final"),
            }
        }
    }
}

/// Expects `Ok("name@account")` or the reason of the refusal.
fn check(directory: &Directory, credentials: &Credentials, expected: Result<&str, RefuseReason>) {
    let found = settle(directory, credentials);
    let found = found.map(|user| format!("{}@{}", user.name, user.account));
    assert_eq!(found, expected.map(str::to_owned), "{credentials:?}");
}

#[test]
fn without_auth_everybody_is_accepted() {
    let directory = Directory::new(&spec(Vec::new())).unwrap();
    assert!(!directory.announces_auth() && !directory.needs_nonce());
    for credentials in [
        by_password("x", "y"),
        by_token("z"),
        by_key(1),
        by_password("", ""),
    ] {
        check(&directory, &credentials, Ok("@$G"));
    }
    let names_account = Credentials {
        names_account: true,
        ..Credentials::default()
    };
    check(&directory, &names_account, Err(RefuseReason::NamesAccount));
}

#[test]
fn users_log_in_by_password_or_nkey() {
    let hash = bcrypted("d");
    let users = vec![
        user("a", "b", "A"),
        user("c", &hash, "C"),
        nkey_user(1, "N"),
    ];
    let directory = Directory::new(&spec(users)).unwrap();
    assert!(directory.announces_auth() && directory.needs_nonce());
    check(&directory, &by_password("a", "b"), Ok("a@A"));
    check(&directory, &by_password("c", "d"), Ok("c@C"));
    check(
        &directory,
        &by_password("a", "d"),
        Err(RefuseReason::Invalid),
    );
    check(
        &directory,
        &by_password("c", &hash),
        Err(RefuseReason::Invalid),
    );
    check(
        &directory,
        &by_password("x", "b"),
        Err(RefuseReason::Invalid),
    );
    check(
        &directory,
        &by_password("", "b"),
        Err(RefuseReason::Invalid),
    );
    check(&directory, &by_password("", ""), Err(RefuseReason::Missing));
    check(&directory, &by_token("b"), Err(RefuseReason::Invalid));
    let name = format!("{}@N", key(1).public_key());
    check(&directory, &by_key(1), Ok(&name));
    check(&directory, &by_key(2), Err(RefuseReason::Invalid));
    let unsigned = Credentials {
        signature: String::new(),
        ..by_key(1)
    };
    check(&directory, &unsigned, Err(RefuseReason::Signature));
}

#[test]
fn a_presented_nkey_wins_over_a_password() {
    let users = vec![user("a", "b", "A"), nkey_user(1, "N")];
    let directory = Directory::new(&spec(users)).unwrap();
    let both = |n| Credentials {
        user: "a".to_owned(),
        password: "b".to_owned(),
        ..by_key(n)
    };
    let name = format!("{}@N", key(1).public_key());
    check(&directory, &both(1), Ok(&name));
    check(&directory, &both(2), Err(RefuseReason::Invalid));
    let without_nkeys = Directory::new(&spec(vec![user("a", "b", "A")])).unwrap();
    check(&without_nkeys, &both(2), Ok("a@A"));
}

#[test]
fn clients_with_nothing_are_the_no_auth_user() {
    let hash = bcrypted("b");
    for name in [
        "a".to_owned(),
        "h".to_owned(),
        key(1).public_key().to_owned(),
    ] {
        let users = vec![
            user("a", "b", "A"),
            user("h", &hash, "A"),
            nkey_user(1, "A"),
        ];
        let mut spec = spec(users);
        spec.access.no_auth_user = Some(name.clone());
        let directory = Directory::new(&spec).unwrap();
        assert!(!directory.announces_auth());
        check(&directory, &by_password("", ""), Ok(&format!("{name}@A")));
        check(
            &directory,
            &by_password("a", "x"),
            Err(RefuseReason::Invalid),
        );
        check(
            &directory,
            &by_password("", "x"),
            Err(RefuseReason::Invalid),
        );
        check(&directory, &by_token("x"), Err(RefuseReason::Invalid));
    }
}

#[test]
fn system_users_alone_leave_the_server_open() {
    for users in [vec![user("sys", "pw", "$SYS")], vec![nkey_user(1, "$SYS")]] {
        let mut spec = spec(users);
        spec.open_beside_system = true;
        let directory = Directory::new(&spec).unwrap();
        assert!(directory.announces_auth());
        check(&directory, &by_password("", ""), Ok("@$G"));
        check(
            &directory,
            &by_password("x", "pw"),
            Err(RefuseReason::Invalid),
        );
    }
}

#[test]
fn the_token_and_the_single_user_lead_to_the_global_account() {
    for (token, user_password) in [("t0k", "pw"), (&*bcrypted("t0k"), &*bcrypted("pw"))] {
        let mut with_token = spec(Vec::new());
        with_token.access.token = Some(token.to_owned());
        let directory = Directory::new(&with_token).unwrap();
        check(&directory, &by_token("t0k"), Ok("@$G"));
        check(&directory, &by_token("t0"), Err(RefuseReason::Invalid));
        check(
            &directory,
            &by_password("t0k", "t0k"),
            Err(RefuseReason::Invalid),
        );

        let mut with_user = spec(Vec::new());
        with_user.access.single_user = Some(("a".to_owned(), user_password.to_owned()));
        let directory = Directory::new(&with_user).unwrap();
        check(&directory, &by_password("a", "pw"), Ok("a@$G"));
        check(
            &directory,
            &by_password("b", "pw"),
            Err(RefuseReason::Invalid),
        );
        check(
            &directory,
            &by_password("a", "p"),
            Err(RefuseReason::Invalid),
        );
    }
}

#[test]
fn a_listener_may_override_all_but_the_users() {
    let clients = Directory::new(&spec(vec![user("a", "b", "A")])).unwrap();
    let websocket = clients
        .with_access(AccessSpec {
            token: Some("ws".to_owned()),
            no_auth_user: None,
            ..AccessSpec::default()
        })
        .unwrap();
    check(&websocket, &by_token("ws"), Ok("@$G"));
    check(&websocket, &by_password("a", "b"), Ok("a@A"));
    check(&clients, &by_token("ws"), Err(RefuseReason::Invalid));
}

#[test]
fn with_bcrypt_around_every_wrong_password_costs_one_comparison() {
    let cheap = bcrypted("d");
    let dear = bcrypt::hash("e", 5).unwrap();
    let users = vec![
        user("a", "b", "A"),
        user("c", &cheap, "C"),
        user("e", &dear, "E"),
    ];
    let directory = Directory::new(&spec(users)).unwrap();
    for (name, hash) in [("a", &dear), ("nobody", &dear), ("c", &cheap)] {
        match directory.decide(&by_password(name, "e")) {
            Decision::VerifyPassword(check) => {
                assert_eq!(check.hash, *hash);
                let decision = Directory::resume(check.then, name != "c");
                assert!(matches!(decision, Decision::Refuse(RefuseReason::Invalid)));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn certificates_are_mapped_in_order() {
    let names = CertificateNames {
        alternative: vec!["ops@example.com".to_owned(), "host.example.com".to_owned()],
        subject: DistinguishedName::parse("CN=nats,OU=ops,O=example").unwrap(),
        written: vec!["CN=nats,OU=ops,O=example".to_owned()],
    };
    let credentials = Credentials {
        certificate: Some(names),
        ..by_password("ignored", "")
    };
    let mut configured = vec![
        ("ops@example.com", "ops@example.com@A"),
        ("host.example.com", "host.example.com@A"),
        ("CN=nats, OU=ops, O=example", "CN=nats, OU=ops, O=example@A"),
        ("O=example,OU=ops,CN=nats", "O=example,OU=ops,CN=nats@A"),
    ];
    while let Some((_, expected)) = configured.first() {
        let users = configured.iter().rev();
        let mut spec = spec(users.map(|(name, _)| user(name, "", "A")).collect());
        spec.access.maps_certificates = true;
        let directory = Directory::new(&spec).unwrap();
        check(&directory, &credentials, Ok(expected));
        check(
            &directory,
            &by_password(configured[0].0, ""),
            Err(RefuseReason::Certificate),
        );
        configured.remove(0);
    }
    let mut with_password = spec(vec![user("ops@example.com", "secret", "A")]);
    with_password.access.maps_certificates = true;
    let directory = Directory::new(&with_password).unwrap();
    check(&directory, &credentials, Err(RefuseReason::Invalid));
    let with_secret = Credentials {
        password: "secret".to_owned(),
        ..credentials.clone()
    };
    check(&directory, &with_secret, Ok("ops@example.com@A"));
    let mut other = spec(vec![user("CN=other", "", "A")]);
    other.access.maps_certificates = true;
    let directory = Directory::new(&other).unwrap();
    check(&directory, &credentials, Err(RefuseReason::Certificate));
}

#[test]
fn users_without_password_are_for_certificates_if_any_listener_maps_them() {
    let mut spec = spec(vec![user("open", "", "A"), user("a", "b", "A")]);
    let directory = Directory::new(&spec).unwrap();
    check(&directory, &by_password("open", ""), Ok("open@A"));
    spec.has_certificate_users = true;
    let directory = Directory::new(&spec).unwrap();
    let refused = Err(RefuseReason::Invalid);
    check(&directory, &by_password("open", ""), refused);
    check(&directory, &by_password("a", "b"), Ok("a@A"));
}

#[test]
fn contradictions_are_refused() {
    let check = |spec: &DirectorySpec, error: &str| {
        assert_eq!(Directory::new(spec).unwrap_err().to_string(), error);
    };
    let twice = spec(vec![user("a", "b", "A"), user("a", "c", "B")]);
    check(&twice, "Duplicate user \"a\" detected");
    let keys = spec(vec![nkey_user(1, "A"), nkey_user(1, "B")]);
    let public = key(1).public_key().to_owned();
    check(&keys, &format!("Duplicate nkey {public:?} detected"));
    let mut unknown = spec(vec![user("a", "b", "A")]);
    unknown.access.no_auth_user = Some("zz".to_owned());
    check(
        &unknown,
        "no_auth_user: \"zz\" not present as user or nkey in authorization block or account configuration",
    );
    let mut alone = spec(Vec::new());
    alone.access.no_auth_user = Some("zz".to_owned());
    check(
        &alone,
        "no_auth_user: \"zz\" present, but users/nkeys are not defined",
    );
}

#[test]
fn debug_shows_no_secret() {
    let mut spec = spec(vec![user("a", "hunter2", "A")]);
    spec.access.token = Some("hunter2".to_owned());
    spec.access.single_user = Some(("s".to_owned(), "hunter2".to_owned()));
    let directory = Directory::new(&spec).unwrap();
    assert!(!format!("{directory:?}").contains("hunter2"));
}

/// A user of the matrix as plain facts; the model reads nothing else.
struct Fact {
    name: &'static str,
    secret: &'static str,
    account: &'static str,
    types: Option<&'static [ConnectionType]>,
    proxied_only: bool,
    publish: (&'static [&'static str], &'static [&'static str]),
    subscribe: (&'static [&'static str], &'static [&'static str]),
}

const OPEN: (&[&str], &[&str]) = (&[], &[]);
const FACTS: [Fact; 6] = [
    Fact {
        name: "all",
        secret: "1",
        account: "A",
        types: ANY,
        proxied_only: false,
        publish: OPEN,
        subscribe: OPEN,
    },
    Fact {
        name: "narrow",
        secret: "2",
        account: "A",
        types: ANY,
        proxied_only: false,
        publish: (&["foo.*"], &["foo.b"]),
        subscribe: (&["foo.*", "_INBOX.>"], &["foo.b"]),
    },
    Fact {
        name: "denied",
        secret: "3",
        account: "B",
        types: Some(&[ConnectionType::Standard, ConnectionType::Mqtt]),
        proxied_only: false,
        publish: (&[], &["foo.>"]),
        subscribe: (&[], &["*.b"]),
    },
    Fact {
        name: "web",
        secret: "4",
        account: "B",
        types: Some(&[ConnectionType::WebSocket]),
        proxied_only: false,
        publish: (&["foo.a"], &[]),
        subscribe: (&["foo.a"], &[]),
    },
    Fact {
        name: "behind",
        secret: "5",
        account: "C",
        types: ANY,
        proxied_only: true,
        publish: (&[">"], &["bar"]),
        subscribe: (&[">"], &["bar"]),
    },
    Fact {
        name: "mute",
        secret: "6",
        account: "C",
        types: Some(&[]),
        proxied_only: false,
        publish: (&[], &[">"]),
        subscribe: (&[], &[">"]),
    },
];

/// What the matrix can answer.
#[derive(Debug, PartialEq)]
enum Cell {
    Refused,
    Denied,
    Filtered,
    Allowed,
}

/// How a listener of the matrix is set up.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Setup {
    NoAuth,
    Users,
    UsersAndNoAuthUser,
    Token,
    SingleUser,
}

const SUBJECTS: [&str; 8] = [
    "foo.a", "foo.b", "foo.*", "foo.>", ">", "bar", "*.a", "_INBOX.x",
];

/// Every literal the model tries a filter with.
const PROBES: [&str; 7] = ["foo.a", "foo.b", "bar", "x.b", "x.a", "_INBOX.x", "foo.a.b"];

fn model_matches(filter: &str, subject: &str) -> bool {
    let filter: Vec<&str> = filter.split('.').collect();
    let subject: Vec<&str> = subject.split('.').collect();
    for (index, token) in filter.iter().enumerate() {
        if *token == ">" {
            return subject.len() > index;
        }
        match subject.get(index) {
            Some(other) if token == other || *token == "*" => {}
            _ => return false,
        }
    }
    filter.len() == subject.len()
}

fn model(
    setup: Setup,
    identity: (&str, &str),
    kind: ConnectionType,
    proxied: bool,
) -> Option<Option<&'static Fact>> {
    let fact = match setup {
        Setup::NoAuth => return Some(None),
        Setup::Token => return (identity == ("token", "t")).then_some(None),
        Setup::SingleUser => return (identity == ("all", "1")).then_some(None),
        Setup::UsersAndNoAuthUser if identity == ("", "") => &FACTS[1],
        Setup::Users | Setup::UsersAndNoAuthUser => FACTS
            .iter()
            .find(|fact| (fact.name, fact.secret) == identity)?,
    };
    let types = fact.types.unwrap_or_default();
    let is_from_there = types.is_empty() || types.contains(&kind);
    (is_from_there && (proxied || !fact.proxied_only)).then_some(Some(fact))
}

fn model_cell(fact: Option<&Fact>, verb: &str, subject: &str) -> Cell {
    let Some(fact) = fact else {
        return Cell::Allowed;
    };
    let (allow, deny) = if verb == "PUB" {
        fact.publish
    } else {
        fact.subscribe
    };
    let hit = |list: &[&str], subject: &str| list.iter().any(|f| model_matches(f, subject));
    if !(allow.is_empty() || hit(allow, subject)) || hit(deny, subject) {
        return Cell::Denied;
    }
    let leaks = |probe: &&str| model_matches(subject, probe) && hit(deny, probe);
    if verb == "SUB" && PROBES.iter().any(leaks) {
        return Cell::Filtered;
    }
    Cell::Allowed
}

fn matrix_directory(setup: Setup) -> Directory {
    let lists = |(allow, deny): (&[&str], &[&str])| {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Some(SubjectPermission {
            allow: own(allow),
            deny: own(deny),
        })
    };
    let users = FACTS.iter().enumerate().map(|(index, fact)| UserSpec {
        permissions: Some(PermissionsSpec {
            publish: lists(fact.publish),
            subscribe: lists(fact.subscribe),
            allow_responses: None,
        }),
        connection_types: fact.types.map(<[_]>::to_vec),
        proxy_required: fact.proxied_only,
        ..match index % 2 {
            0 => user(fact.name, fact.secret, fact.account),
            _ => user(fact.name, &bcrypted(fact.secret), fact.account),
        }
    });
    let mut spec = spec(Vec::new());
    match setup {
        Setup::NoAuth => {}
        Setup::Users => spec.groups[0].users = users.collect(),
        Setup::UsersAndNoAuthUser => {
            spec.groups[0].users = users.collect();
            spec.access.no_auth_user = Some(FACTS[1].name.to_owned());
        }
        Setup::Token => spec.access.token = Some("t".to_owned()),
        Setup::SingleUser => spec.access.single_user = Some(("all".to_owned(), "1".to_owned())),
    }
    Directory::new(&spec).unwrap()
}

fn cell(user: Option<&User>, verb: &str, subject: &str) -> Cell {
    let Some(user) = user else {
        return Cell::Refused;
    };
    if verb == "PUB" {
        return match user.permissions.can_publish(subject.as_bytes()) {
            true => Cell::Allowed,
            false => Cell::Denied,
        };
    }
    match user.permissions.can_subscribe(subject.as_bytes(), None) {
        Subscribe::Allowed => Cell::Allowed,
        Subscribe::AllowedFiltered => Cell::Filtered,
        Subscribe::Denied => Cell::Denied,
    }
}

#[test]
fn the_whole_matrix_agrees_with_the_model() {
    let setups = [
        Setup::NoAuth,
        Setup::Users,
        Setup::UsersAndNoAuthUser,
        Setup::Token,
        Setup::SingleUser,
    ];
    let mut identities: Vec<(&str, &str)> = FACTS.iter().map(|f| (f.name, f.secret)).collect();
    identities.extend([
        ("", ""),
        ("all", "2"),
        ("nobody", "1"),
        ("token", "t"),
        ("token", "x"),
    ]);
    let mut cells: BTreeMap<String, usize> = BTreeMap::new();
    for setup in setups {
        let directory = matrix_directory(setup);
        for &identity in &identities {
            for (kind, _) in ConnectionType::ALL {
                for is_proxied in [false, true] {
                    let presented = match identity {
                        ("token", token) => by_token(token),
                        (user, password) => by_password(user, password),
                    };
                    let credentials = Credentials {
                        connection_type: kind,
                        is_proxied,
                        ..presented
                    };
                    let found = settle(&directory, &credentials).ok();
                    let expected = model(setup, identity, kind, is_proxied);
                    for (verb, subject) in ["PUB", "SUB"]
                        .iter()
                        .flat_map(|verb| SUBJECTS.map(|s| (*verb, s)))
                    {
                        let found = cell(found.as_deref(), verb, subject);
                        let expected =
                            expected.map_or(Cell::Refused, |fact| model_cell(fact, verb, subject));
                        let at = format!(
                            "{setup:?} {identity:?} {kind:?} {is_proxied} {verb} {subject}"
                        );
                        assert_eq!(found, expected, "{at}");
                        *cells.entry(format!("{found:?}")).or_default() += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cells.values().sum::<usize>(), 5 * 11 * 7 * 2 * 16);
    assert!(
        cells.len() == 4 && cells.values().all(|count| *count > 100),
        "{cells:?}"
    );
}

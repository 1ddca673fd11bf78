//! Handshakes over loopback, both sides ours.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::connector::Connector;
use super::super::testing::{Authority, Oddity, pair};
use super::super::{Identity, TlsSettings};
use super::*;

/// Both sides of a handshake that is going to be.
struct Setup {
    server: TlsSettings,
    client: TlsSettings,
    name: &'static str,
}

impl Setup {
    /// A server `a.test` that is believed.
    fn new(authority: &Authority) -> Setup {
        let timeout = Duration::from_secs(20);
        Setup {
            server: TlsSettings {
                identities: vec![authority.server(&["a.test"])],
                timeout,
                ..TlsSettings::default()
            },
            client: TlsSettings {
                authorities: Some(authority.pem()),
                timeout,
                ..TlsSettings::default()
            },
            name: "a.test",
        }
    }

    /// The server verifies, the client shows `identity`.
    fn verifying(authority: &Authority, identity: Option<Identity>) -> Setup {
        let mut setup = Setup::new(authority);
        setup.server.verify = true;
        setup.server.authorities = Some(authority.pem());
        setup.client.identities.extend(identity);
        setup
    }

    /// What both sides made of it; the client has sent a line and the server read it.
    async fn run(self) -> (Result<Peer, String>, Result<Peer, String>) {
        let acceptor = Acceptor::new(&self.server).expect("an acceptor");
        let connector = Connector::new(&self.client, false).expect("a connector");
        let (here, there) = pair().await;
        let serve = async {
            let (wire, peer) = acceptor.accept(here).await.map_err(text)?;
            let mut line = [0; 6];
            owned(wire).read_exact(&mut line).await.map_err(text)?;
            assert_eq!(&line, b"PING\r\n");
            Ok(peer)
        };
        let connect = async {
            let (wire, peer) = connector.connect(there, self.name).await.map_err(text)?;
            let mut wire = owned(wire);
            wire.write_all(b"PING\r\n").await.map_err(text)?;
            wire.flush().await.map_err(text)?;
            Ok(peer)
        };
        tokio::join!(serve, connect)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn owned(wire: Wire) -> Box<dyn crate::net::OwnedWire> {
    match wire {
        Wire::Owned(wire) => wire,
        Wire::Tcp(_) => panic!("a tls wire is owned"),
    }
}

async fn check_taken(setup: Setup) -> Peer {
    let (served, connected) = setup.run().await;
    connected.expect("connected");
    served.expect("served")
}

async fn check_refused(setup: Setup, reason: &str) {
    let (served, _) = setup.run().await;
    let error = served.expect_err("refused");
    assert!(error.contains(reason), "{error:?} for {reason:?}");
}

#[tokio::test]
async fn the_peer_is_told_about() {
    let peer = check_taken(Setup::new(&Authority::new())).await;
    assert_eq!(peer.version, "1.3");
    assert!(peer.cipher_suite.starts_with("TLS_AES_"), "{peer:?}");
    assert!(peer.certificates.is_empty() && !peer.is_verified);
}

/// Shakes hands with a client that speaks the older version only.
async fn accept_older(settings: &TlsSettings, authority: &Authority) -> Result<Peer, String> {
    let acceptor = Acceptor::new(settings).expect("an acceptor");
    let pem = authority.pem();
    let listed = certificates::chain(&pem).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("a version")
        .with_root_certificates(clients::roots(&pem, &listed).expect("roots"))
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let (here, there) = pair().await;
    let name = "a.test".try_into().expect("a name");
    let (served, _) = tokio::join!(acceptor.accept(here), connector.connect(name, there));
    served.map(|(_, peer)| peer).map_err(text)
}

#[tokio::test]
async fn the_older_version_is_spoken_with_the_named_suites() {
    let authority = Authority::new();
    let mut settings = Setup::new(&authority).server;
    let suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    settings.cipher_suites = vec![suite.to_owned()];
    let peer = accept_older(&settings, &authority).await.expect("accepted");
    assert_eq!((peer.version, peer.cipher_suite), ("1.2", suite));
    settings.only_v1_3 = true;
    let error = accept_older(&settings, &authority).await;
    assert!(error.expect_err("refused").contains("peer is incompatible"));
    settings.only_v1_3 = false;
    settings.cipher_suites = vec!["TLS_AES_128_GCM_SHA256".to_owned()];
    accept_older(&settings, &authority)
        .await
        .expect_err("no suite of that version");
}

#[tokio::test]
async fn a_curve_nobody_shares_is_refused() {
    let mut setup = Setup::new(&Authority::new());
    setup.server.curves = vec!["CurveP384".to_owned()];
    setup.client.curves = vec!["X25519".to_owned()];
    check_refused(setup, "NoKxGroupsInCommon").await;
}

#[tokio::test]
async fn a_verified_client_shows_its_certificate() {
    let authority = Authority::new();
    let client = authority.server(&["client.test"]);
    let peer = check_taken(Setup::verifying(&authority, Some(client))).await;
    assert_eq!(peer.certificates.len(), 1);
    assert!(peer.is_verified);
}

#[tokio::test]
async fn clients_that_do_not_verify_are_refused() {
    let authority = Authority::new();
    let odd = |oddity| Some(authority.leaf(&["client.test"], oddity));
    let expired = odd(Oddity {
        expired: true,
        ..Oddity::default()
    });
    let for_servers = odd(Oddity {
        for_servers: true,
        ..Oddity::default()
    });
    let stranger = Some(Authority::new().server(&["client.test"]));
    let refused = async |identity, reason| {
        check_refused(Setup::verifying(&authority, identity), reason).await;
    };
    refused(None, "peer sent no certificates").await;
    refused(expired, "expired").await;
    refused(for_servers, "extended key usage").await;
    refused(stranger, "invalid peer certificate").await;
}

#[tokio::test]
async fn certificates_are_not_asked_for_without_verify() {
    let authority = Authority::new();
    let mut setup = Setup::verifying(&authority, Some(authority.server(&["client.test"])));
    setup.server.verify = false;
    assert!(check_taken(setup).await.certificates.is_empty());
}

#[tokio::test]
async fn only_pinned_clients_are_taken() {
    let authority = Authority::new();
    let client = authority.server(&["client.test"]);
    let pinned = |answer: bool| {
        let mut setup = Setup::verifying(&authority, Some(client.clone()));
        setup.server.is_pinned = Some(Arc::new(move |der: &[u8]| !der.is_empty() && answer));
        setup
    };
    check_taken(pinned(true)).await;
    check_refused(pinned(false), "not pinned").await;
    let mut nobody = pinned(true);
    nobody.server.verify = false;
    check_refused(nobody, "not pinned").await;
}

#[tokio::test]
async fn the_certificate_is_chosen_by_name() {
    let authority = Authority::new();
    let connect = async |name| {
        let mut setup = Setup::new(&authority);
        setup
            .server
            .identities
            .push(authority.server(&["*.b.test"]));
        setup.name = name;
        setup.run().await.1.map(|_| ())
    };
    connect("a.test").await.expect("the first");
    connect("x.b.test").await.expect("the second");
    connect("c.test")
        .await
        .expect_err("no certificate bears it");
}

#[tokio::test]
async fn a_peer_that_is_silent_gets_its_socket_back() {
    let mut setup = Setup::new(&Authority::new());
    setup.server.timeout = Duration::from_millis(1);
    let acceptor = Acceptor::new(&setup.server).expect("an acceptor");
    let (here, _there) = pair().await;
    let result = acceptor.accept(here).await;
    assert!(matches!(result, Err(HandshakeError::Silent(_))));
}

#[tokio::test]
async fn a_peer_that_stops_half_way_is_late() {
    let mut setup = Setup::new(&Authority::new());
    setup.server.timeout = Duration::from_millis(50);
    let acceptor = Acceptor::new(&setup.server).expect("an acceptor");
    let (here, mut there) = pair().await;
    there.write_all(b"\x16\x03\x01").await.expect("sent");
    let result = acceptor.accept(here).await;
    assert!(matches!(result, Err(HandshakeError::Late)));
}

#[tokio::test]
async fn plain_text_fails() {
    let acceptor = Acceptor::new(&Setup::new(&Authority::new()).server).expect("an acceptor");
    let (here, mut there) = pair().await;
    there.write_all(b"CONNECT {}\r\n").await.expect("sent");
    let result = acceptor.accept(here).await;
    assert!(matches!(result, Err(HandshakeError::Failed(_))));
}

#[test]
fn settings_that_lack_something_are_refused() {
    let authority = Authority::new();
    let check = |settings: TlsSettings, expected: &str| {
        let error = Acceptor::new(&settings).map(|_| ()).expect_err("refused");
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    let good = Setup::new(&authority).server;
    check(TlsSettings::default(), "no certificate is configured");
    check(
        TlsSettings {
            verify: true,
            ..good.clone()
        },
        "clients shall be verified but no authority",
    );
    check(
        TlsSettings {
            verify: true,
            authorities: Some(super::super::testing::pem("ca.pem", "")),
            ..good
        },
        "ca.pem: no certificate found",
    );
}

#[test]
fn the_first_expiry_is_told() {
    let authority = Authority::new();
    let mut settings = Setup::new(&authority).server;
    let expired = Oddity {
        expired: true,
        ..Oddity::default()
    };
    settings
        .identities
        .push(authority.leaf(&["b.test"], expired));
    let acceptor = Acceptor::new(&settings).expect("an acceptor");
    let not_after = acceptor.not_after().expect("a time");
    assert_eq!(not_after.to_rfc3339(), "2001-02-03T00:00:00Z");
}

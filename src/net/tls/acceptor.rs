//! The server's side of the handshake.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::TimeProvider;
use rustls::{CommonState, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::certificates::{self, Chooser};
use super::read_ahead::ReadAhead;
use super::sniff::sniff;
use super::{IsPinned, TlsError, TlsSettings, clients, suites};
use crate::clock::{self, Timestamp};
use crate::net::Wire;

/// Makes wires of sockets whose peers begin a handshake. Replaced as a whole when
/// certificates change; handshakes under way end with what they began with.
pub struct Acceptor {
    inner: TlsAcceptor,
    timeout: Duration,
    is_pinned: Option<IsPinned>,
    not_after: Option<Timestamp>,
}

/// What a handshake told of the peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The published name of the cipher suite.
    pub cipher_suite: &'static str,
    /// DER of the peer's certificates, the leaf first.
    pub certificates: Vec<Vec<u8>>,
    /// The leaf was verified.
    pub is_verified: bool,
}

/// Why there is no wire.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The peer sent nothing in time; its socket is handed back for last words.
    #[error("TLS handshake timeout: peer sent nothing")]
    Silent(TcpStream),
    /// The handshake began but did not end in time.
    #[error("TLS handshake timeout")]
    Late,
    /// The peer is not one of those that are pinned.
    #[error("certificate not pinned")]
    NotPinned,
    /// The host name cannot be one.
    #[error("{0:?} is no host name")]
    Name(String),
    /// The two could not agree, or the socket broke.
    #[error("TLS handshake error: {0}")]
    Failed(#[source] io::Error),
}

/// Certificates are judged by the time of [`clock`].
#[derive(Debug)]
pub(super) struct OurTime;

impl TimeProvider for OurTime {
    fn current_time(&self) -> Option<UnixTime> {
        let nanos = u64::try_from(clock::now().unix_nanos()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_nanos(nanos)))
    }
}

impl Acceptor {
    /// An acceptor as the settings say.
    ///
    /// # Errors
    /// [`TlsError`] names the file or setting that is wrong.
    pub fn new(settings: &TlsSettings) -> Result<Acceptor, TlsError> {
        let provider = Arc::new(suites::provider(settings)?);
        let loaded = settings.identities.iter();
        let loaded = loaded
            .map(|identity| certificates::load(identity, &provider))
            .collect::<Result<Vec<_>, _>>()?;
        if loaded.is_empty() {
            return Err(TlsError::NoIdentity);
        }
        let not_after = loaded.iter().map(|loaded| loaded.not_after).min();
        let builder = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(OurTime))
            .with_protocol_versions(suites::versions(settings))
            .map_err(TlsError::Settings)?;
        let builder = if settings.verify {
            let authorities = settings.authorities.as_ref();
            let authorities = authorities.ok_or(TlsError::NoAuthority)?;
            builder.with_client_cert_verifier(clients::verifier(authorities, provider)?)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_cert_resolver(Arc::new(Chooser(loaded)));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Acceptor {
            inner: TlsAcceptor::from(Arc::new(config)),
            timeout: settings.timeout,
            is_pinned: settings.is_pinned.clone(),
            not_after,
        })
    }

    /// When the first of our certificates expires.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.not_after
    }

    /// The same settings for those who shake hands themselves and keep time: monitoring.
    pub fn to_library(&self) -> TlsAcceptor {
        self.inner.clone()
    }

    /// Shakes hands. Ends within the time limit; cancelling it drops the socket.
    ///
    /// # Errors
    /// [`HandshakeError`]; only a peer that sent nothing can still be told something.
    pub async fn accept(&self, stream: TcpStream) -> Result<(Wire, Peer), HandshakeError> {
        let limit = tokio::time::sleep(self.timeout);
        tokio::pin!(limit);
        tokio::select! {
            _ = sniff(&stream, None) => {}
            () = &mut limit => return Err(HandshakeError::Silent(stream)),
        }
        let stream = tokio::select! {
            result = self.inner.accept(ReadAhead::new(stream)) => result.map_err(HandshakeError::Failed)?,
            () = &mut limit => return Err(HandshakeError::Late),
        };
        let peer = Peer::of(stream.get_ref().1);
        check_pin(self.is_pinned.as_ref(), &peer)?;
        Ok((Wire::Owned(Box::new(stream)), peer))
    }
}

impl Peer {
    /// What the connection tells. Certificates are there only if they were verified.
    pub(super) fn of(connection: &CommonState) -> Peer {
        let certificates: Vec<Vec<u8>> = connection
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|certificate| certificate.to_vec())
            .collect();
        let suite = connection.negotiated_cipher_suite();
        Peer {
            version: suites::version_name(connection.protocol_version()),
            cipher_suite: suite.map_or("", |suite| suites::suite_name(suite.suite())),
            is_verified: !certificates.is_empty(),
            certificates,
        }
    }
}

/// A peer without a certificate is not pinned.
pub(super) fn check_pin(is_pinned: Option<&IsPinned>, peer: &Peer) -> Result<(), HandshakeError> {
    let leaf = peer.certificates.first();
    match is_pinned {
        Some(is_pinned) if !leaf.is_some_and(|leaf| is_pinned(leaf)) => {
            Err(HandshakeError::NotPinned)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

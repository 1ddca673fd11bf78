//! The client's side of the handshake.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::acceptor::{HandshakeError, OurTime, Peer, check_pin};
use super::read_ahead::ReadAhead;
use super::{IsPinned, TlsError, TlsSettings, certificates, clients, suites};
use crate::net::Wire;

/// Makes wires of sockets by beginning a handshake.
pub struct Connector {
    inner: TlsConnector,
    timeout: Duration,
    is_pinned: Option<IsPinned>,
}

impl Connector {
    /// A connector as the settings say; the first identity, if any, is shown to servers
    /// that ask. With `insecure` any certificate is believed.
    ///
    /// # Errors
    /// [`TlsError`] names the file or setting that is wrong.
    pub fn new(settings: &TlsSettings, insecure: bool) -> Result<Connector, TlsError> {
        let provider = Arc::new(suites::provider(settings)?);
        let builder = ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(OurTime))
            .with_protocol_versions(suites::versions(settings))
            .map_err(TlsError::Settings)?;
        let builder = if insecure {
            let anybody = Arc::new(Anybody(Arc::clone(&provider)));
            builder
                .dangerous()
                .with_custom_certificate_verifier(anybody)
        } else {
            let authorities = settings.authorities.as_ref();
            let authorities = authorities.ok_or(TlsError::NoAuthority)?;
            let listed = certificates::chain(authorities)?;
            builder.with_root_certificates(clients::roots(authorities, &listed)?)
        };
        let mut config = match settings.identities.first() {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let loaded = certificates::load(identity, &provider)?;
                let shown = SingleCertAndKey::from((*loaded.key).clone());
                builder.with_client_cert_resolver(Arc::new(shown))
            }
        };
        config.resumption = Resumption::disabled();
        Ok(Connector {
            inner: TlsConnector::from(Arc::new(config)),
            timeout: settings.timeout,
            is_pinned: settings.is_pinned.clone(),
        })
    }

    /// Shakes hands with the server called `server_name` (a host name or an address).
    ///
    /// # Errors
    /// [`HandshakeError`]; the socket is gone then.
    pub async fn connect(
        &self,
        stream: TcpStream,
        server_name: &str,
    ) -> Result<(Wire, Peer), HandshakeError> {
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| HandshakeError::Name(server_name.to_owned()))?;
        let handshake = tokio::time::timeout(
            self.timeout,
            self.inner.connect(name, ReadAhead::new(stream)),
        );
        let stream = handshake
            .await
            .map_err(|_| HandshakeError::Late)?
            .map_err(HandshakeError::Failed)?;
        let peer = Peer::of(stream.get_ref().1);
        check_pin(self.is_pinned.as_ref(), &peer)?;
        Ok((Wire::Owned(Box::new(stream)), peer))
    }
}

/// Believes every server (`insecure`); only signatures of the handshake are checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, leaf, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

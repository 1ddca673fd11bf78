//! Whose client certificates are believed.
//!
//! The library's verifier decides, with one leniency that others grant too: a certificate
//! that is itself listed among the authorities needs no signature above it, only to be in
//! force and to be meant for clients.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::FromDer;
use x509_parser::time::ASN1Time;

use super::{Pem, TlsError, certificates};

/// Requires a certificate and verifies it.
#[derive(Debug)]
struct Clients {
    chains: Arc<dyn ClientCertVerifier>,
    authorities: Vec<CertificateDer<'static>>,
}

/// A verifier that requires certificates signed by (or listed among) the authorities.
pub(super) fn verifier(
    authorities: &Pem,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let listed = certificates::chain(authorities)?;
    let roots = Arc::new(roots(authorities, &listed)?);
    let chains = WebPkiClientVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|_| TlsError::NoAuthority)?;
    Ok(Arc::new(Clients {
        chains,
        authorities: listed,
    }))
}

/// The readable ones among the authorities; at least one.
pub(super) fn roots(
    pem: &Pem,
    listed: &[CertificateDer<'static>],
) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (readable, _) = roots.add_parsable_certificates(listed.iter().cloned());
    if readable == 0 {
        return Err(TlsError::BadCertificate(pem.label.clone()));
    }
    Ok(roots)
}

impl Clients {
    /// The certificate is one of the authorities, in force, and meant for clients.
    fn lists(&self, leaf: &CertificateDer<'_>, now: UnixTime) -> bool {
        let is_listed = self.authorities.iter().any(|known| known == leaf);
        let Ok((_, leaf)) = X509Certificate::from_der(leaf) else {
            return false;
        };
        let now = i64::try_from(now.as_secs()).map(ASN1Time::from_timestamp);
        let is_in_force = matches!(now, Ok(Ok(now)) if leaf.validity().is_valid_at(now));
        let is_for_clients = match leaf.extended_key_usage() {
            Ok(None) => true,
            Ok(Some(usage)) => usage.value.any || usage.value.client_auth,
            Err(_) => false,
        };
        is_listed && is_in_force && is_for_clients
    }
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chains.verify_client_cert(leaf, intermediates, now);
        verified.or_else(|error| {
            self.lists(leaf, now)
                .then(ClientCertVerified::assertion)
                .ok_or(error)
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

//! PEM files to certificates and keys, and the choice among several by server name.
//!
//! Lenient where the peers are: a certificate of an old version or one that has expired is
//! served all the same; the client judges. Strict where a mistake would show only at the
//! first handshake: the key must belong to the certificate.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::FromDer;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::{Identity, Pem, TlsError};
use crate::clock::Timestamp;

/// An identity that can sign.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) key: Arc<CertifiedKey>,
    /// Host names of the leaf, in lower case; may begin with `*.`.
    names: Vec<String>,
    /// When the leaf expires.
    pub(super) not_after: Timestamp,
}

/// Every certificate of a PEM file; at least one.
pub(super) fn chain(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(&pem.bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad_pem(pem, &error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(pem.label.clone()));
    }
    Ok(chain)
}

/// Reads a chain and its key and checks that they belong together.
pub(super) fn load(identity: &Identity, provider: &CryptoProvider) -> Result<Loaded, TlsError> {
    let chain = chain(&identity.chain)?;
    let key = key(&identity.key, provider)?;
    let bad = || TlsError::BadCertificate(identity.chain.label.clone());
    let leaf = chain.first().ok_or_else(bad)?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| bad())?;
    if key
        .public_key()
        .is_some_and(|public| public.as_ref() != leaf.public_key().raw)
    {
        return Err(TlsError::KeyMismatch {
            chain: identity.chain.label.clone(),
            key: identity.key.label.clone(),
        });
    }
    let seconds = leaf.validity().not_after.timestamp();
    Ok(Loaded {
        names: host_names(&leaf),
        not_after: Timestamp::from_unix_nanos(seconds.saturating_mul(1_000_000_000)),
        key: Arc::new(CertifiedKey::new(chain, key)),
    })
}

fn key(pem: &Pem, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, TlsError> {
    let key = PrivateKeyDer::from_pem_slice(&pem.bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey {
            file: pem.label.clone(),
            hint: if memchr::memmem::find(&pem.bytes, b"ENCRYPTED").is_some() {
                ": it is encrypted"
            } else {
                ""
            },
        },
        error => bad_pem(pem, &error),
    })?;
    let loaded = provider.key_provider.load_private_key(key);
    loaded.map_err(|source| TlsError::BadKey {
        file: pem.label.clone(),
        source,
    })
}

fn bad_pem(pem: &Pem, error: &pem::Error) -> TlsError {
    TlsError::Pem {
        file: pem.label.clone(),
        reason: error.to_string(),
    }
}

fn host_names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let extensions = leaf.extensions().iter();
    let names = extensions.filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let hosts = names.flatten().filter_map(|name| match name {
        GeneralName::DNSName(host) => Some(host.to_ascii_lowercase()),
        _ => None,
    });
    hosts.collect()
}

/// Chooses a certificate by the name the client asks for: the first that bears the name and
/// suits the client's signature schemes, else the first that suits, else the first.
#[derive(Debug)]
pub(super) struct Chooser(pub(super) Vec<Loaded>);

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let suits = |loaded: &&Loaded| {
            let schemes = hello.signature_schemes();
            loaded.key.key.choose_scheme(schemes).is_some()
        };
        let host = hello.server_name().unwrap_or_default();
        let named = self.0.iter().filter(|loaded| bears(&loaded.names, host));
        let chosen = named
            .into_iter()
            .find(suits)
            .or_else(|| self.0.iter().find(suits))
            .or_else(|| self.0.first());
        chosen.map(|loaded| Arc::clone(&loaded.key))
    }
}

/// A `*.` stands for exactly one label.
fn bears(names: &[String], host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let parent = host.split_once('.').map(|(_, parent)| parent);
    names.iter().any(|name| match name.strip_prefix("*.") {
        Some(domain) => parent == Some(domain),
        None => *name == host && !host.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring;

    use super::super::testing::{Authority, pem};
    use super::*;

    fn check(chain: Pem, key: Pem, expected: &str) {
        let identity = Identity { chain, key };
        let found = match load(&identity, &ring::default_provider()) {
            Ok(_) => "loaded".to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(found.starts_with(expected), "{found:?} for {expected:?}");
    }

    #[test]
    fn damaged_files_are_named() {
        let authority = Authority::new();
        let good = authority.server(&["a.test"]);
        let other = authority.server(&["b.test"]);
        let cut = |pem: &Pem| Pem {
            bytes: pem.bytes[..pem.bytes.len() - 30].to_vec(),
            label: pem.label.clone(),
        };
        check(good.chain.clone(), good.key.clone(), "loaded");
        check(
            pem("x.pem", ""),
            good.key.clone(),
            "x.pem: no certificate found",
        );
        check(
            good.key.clone(),
            good.key.clone(),
            "key.pem: no certificate found",
        );
        check(cut(&good.chain), good.key.clone(), "chain.pem: ");
        check(
            pem(
                "x.pem",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
            good.key.clone(),
            "x.pem: a certificate in it is not readable",
        );
        check(good.chain.clone(), pem("k", ""), "k: no private key found");
        check(
            good.chain.clone(),
            pem(
                "k",
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            ),
            "k: no private key found: it is encrypted",
        );
        check(
            good.chain.clone(),
            pem(
                "k",
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            ),
            "k: this kind of private key is not supported",
        );
        check(
            good.chain.clone(),
            other.key.clone(),
            "key.pem: private key does not belong to the certificate in chain.pem",
        );
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let names = ["a.test".to_owned(), "*.b.test".to_owned()];
        let check = |host, expected| assert_eq!(bears(&names, host), expected, "{host}");
        check("a.test", true);
        check("A.test.", true);
        check("x.a.test", false);
        check("x.b.test", true);
        check("b.test", false);
        check("x.y.b.test", false);
        check("", false);
    }
}

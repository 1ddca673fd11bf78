//! TLS over TCP: who we are, whom we believe, and the handshake.
//!
//! Separate because it is mechanism only: PEM bytes and names come in as [`TlsSettings`],
//! an [`acceptor::Acceptor`] or a [`connector::Connector`] comes out, and what they hand out
//! is a [`super::Wire`] like any other. Which certificate goes where, and when the handshake
//! takes place, is policy and stands in `server`.
//!
//! Flow: settings → certificates, suites, verifier → acceptor → handshake → wire and peer.
//!
//! Invariants: every error names the file or the setting that is wrong; a handshake ends
//! within its time limit; no session is resumed, so every certificate is looked at whenever
//! somebody connects. Absent: files, configuration, revocation.

pub mod acceptor;
pub mod certificates;
pub mod clients;
pub mod connector;
pub mod rate;
mod read_ahead;
pub mod sniff;
pub mod suites;
#[cfg(test)]
mod testing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a PEM file and how to call it in errors.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pem {
    /// The name of the file.
    pub label: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Pem {
    /// Shows the label only: there may be a private key in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pem").field(&self.label).finish()
    }
}

/// A certificate chain and its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The leaf first.
    pub chain: Pem,
    /// In PKCS#8, PKCS#1 or SEC1.
    pub key: Pem,
}

/// Says whether the peer with this certificate (DER) is one of those that are pinned.
pub type IsPinned = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// What an acceptor or a connector is made of.
#[derive(Clone)]
pub struct TlsSettings {
    /// Ours, chosen by server name; the first is the default.
    pub identities: Vec<Identity>,
    /// Those who sign peers. A bundle of any number of certificates.
    pub authorities: Option<Pem>,
    /// Clients must present a certificate signed by an authority.
    pub verify: bool,
    /// Names of suites; none: all there are.
    pub cipher_suites: Vec<String>,
    /// Names of curves, best first; none: all there are.
    pub curves: Vec<String>,
    /// TLS 1.3 only.
    pub only_v1_3: bool,
    /// Time for a handshake.
    pub timeout: Duration,
    /// Only these peers are taken; `None`: all that verify.
    pub is_pinned: Option<IsPinned>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        TlsSettings {
            identities: Vec::new(),
            authorities: None,
            verify: false,
            cipher_suites: Vec::new(),
            curves: Vec::new(),
            only_v1_3: false,
            timeout: Duration::from_secs(2),
            is_pinned: None,
        }
    }
}

/// Why settings make no acceptor and no connector. Each is for a person to read.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A server without a certificate.
    #[error("no certificate is configured")]
    NoIdentity,
    /// A file that is no PEM.
    #[error("{file}: {reason}")]
    Pem {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file without certificates.
    #[error("{0}: no certificate found")]
    NoCertificate(String),
    /// A certificate that cannot be read.
    #[error("{0}: a certificate in it is not readable")]
    BadCertificate(String),
    /// A file without a key, or with one that is encrypted.
    #[error("{file}: no private key found{hint}")]
    NoKey {
        /// The file.
        file: String,
        /// What was found instead.
        hint: &'static str,
    },
    /// A key of a kind that cannot be used.
    #[error("{file}: this kind of private key is not supported: {source}")]
    BadKey {
        /// The file.
        file: String,
        /// What the library says.
        source: rustls::Error,
    },
    /// A key that does not belong to the certificate.
    #[error("{key}: private key does not belong to the certificate in {chain}")]
    KeyMismatch {
        /// The file of the certificate.
        chain: String,
        /// The file of the key.
        key: String,
    },
    /// `verify` without anybody to verify against.
    #[error("clients shall be verified but no authority is configured")]
    NoAuthority,
    /// A suite nobody knows.
    #[error("unrecognized cipher {name}; possible are: {}", possible.join(", "))]
    UnknownSuite {
        /// As configured.
        name: String,
        /// Those there are.
        possible: Vec<&'static str>,
    },
    /// A suite that is not offered because it is broken.
    #[error("cipher {name} is insecure and not supported; possible are: {}", possible.join(", "))]
    InsecureSuite {
        /// As configured.
        name: String,
        /// Those there are.
        possible: Vec<&'static str>,
    },
    /// A curve nobody knows or that is not supported.
    #[error("{reason} curve preference {name}; possible are: {}", possible.join(", "))]
    Curve {
        /// As configured.
        name: String,
        /// `unrecognized` or `unsupported`.
        reason: &'static str,
        /// Those there are.
        possible: Vec<&'static str>,
    },
    /// What the library says about the whole.
    #[error("tls settings do not go together: {0}")]
    Settings(#[source] rustls::Error),
}

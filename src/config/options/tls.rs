//! `tls {}`: certificates and handshake of one listener or of one kind of link.
//!
//! One type for all of them; `TlsUse` says which keys a place refuses.
//!
//! Absent: no file is read and no certificate looked at here: `server` does that, because
//! this room has no files.

use std::time::Duration;

use super::ocsp::OcspPeer;

/// Time a TLS handshake may take when none is configured.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);

/// Certificates and handshake of a listener or link.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// PEM file with the certificate chain. Default: none; a listener needs one.
    pub cert_file: Option<String>,
    /// PEM file with the key of `cert_file`. Default: none.
    pub key_file: Option<String>,
    /// More certificates to choose from by server name; not together with `cert_file`.
    pub certs: Vec<CertPair>,
    /// PEM file with the authorities that sign peers. Default: those of the system.
    pub ca_file: Option<String>,
    /// Do not verify the server we connect to. Default false.
    pub insecure: bool,
    /// Clients must present a certificate that verifies. Default false.
    pub verify: bool,
    /// Clients are logged in as the user their certificate names; implies `verify`.
    pub verify_and_map: bool,
    /// Routes and gateways: the certificate must name a configured URL. Default false.
    pub verify_cert_and_check_known_urls: bool,
    /// Cipher suites by name. Default: all that are secure.
    pub cipher_suites: Vec<String>,
    /// Allow names of insecure suites in `cipher_suites`. Default false.
    pub allow_insecure_cipher_suites: bool,
    /// Curves by name, best first. Default: all.
    pub curve_preferences: Vec<String>,
    /// The oldest version of TLS spoken. Default 1.2.
    pub min_version: TlsVersion,
    /// Time the handshake may take. Default 2 seconds.
    pub timeout: Duration,
    /// Handshakes per second. Default 0: unlimited.
    pub connection_rate_limit: u64,
    /// SHA-256 of the public key info of peers that are accepted, in lower case hex.
    /// Default: every verified peer.
    pub pinned_certs: Vec<String>,
    /// Whether the handshake comes before `INFO`. Default: after.
    pub handshake_first: HandshakeFirst,
    /// Ask the authorities about certificates of peers. Default: no.
    pub ocsp_peer: Option<OcspPeer>,
    /// The certificate store of Windows. Default: none.
    pub cert_store: CertStore,
}

/// A certificate and its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertPair {
    /// PEM file with the certificate chain.
    pub cert_file: String,
    /// PEM file with the key.
    pub key_file: String,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// Whether the TLS handshake comes before `INFO`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandshakeFirst {
    /// `INFO` first.
    #[default]
    Off,
    /// The handshake first, always.
    On,
    /// Wait this long for the client to begin; then send `INFO`. `auto` is 50 ms.
    Fallback(Duration),
}

/// Keys that concern the certificate store of Windows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertStore {
    /// `windowscurrentuser` or `windowslocalmachine`.
    pub store: Option<String>,
    /// `subject`, `issuer` or `thumbprint`.
    pub match_by: Option<String>,
    /// What to look for.
    pub cert_match: Option<String>,
    /// Authorities to look for.
    pub ca_certs_match: Vec<String>,
    /// Pass over certificates that are not valid.
    pub skip_invalid: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Tls {
            cert_file: None,
            key_file: None,
            certs: Vec::new(),
            ca_file: None,
            insecure: false,
            verify: false,
            verify_and_map: false,
            verify_cert_and_check_known_urls: false,
            cipher_suites: Vec::new(),
            allow_insecure_cipher_suites: false,
            curve_preferences: Vec::new(),
            min_version: TlsVersion::V1_2,
            timeout: HANDSHAKE_TIMEOUT,
            connection_rate_limit: 0,
            pinned_certs: Vec::new(),
            handshake_first: HandshakeFirst::Off,
            ocsp_peer: None,
            cert_store: CertStore::default(),
        }
    }
}

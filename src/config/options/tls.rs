//! `tls {}`: certificates and handshake of one listener or of one kind of link.
//!
//! One type for all of them; `TlsUse` says which keys a place refuses.
//!
//! Absent: no file is read and no certificate looked at here: `server` does that, because
//! this room has no files.

use std::time::Duration;

use super::key::{Key, Reload::*, key};
use super::ocsp::OcspPeer;
use super::reader::{Item, Reader};
use crate::config::value::Value;

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

/// Where a `tls` block stands; not every place takes every key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsUse {
    /// A listener of clients or leafnodes, or a link this server makes.
    Plain,
    /// Routes and gateways: both sides present certificates.
    Mesh,
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

/// How long `handshake_first: auto` waits for the client.
const AUTO_FALLBACK: Duration = Duration::from_millis(50);

/// Secure cipher suites by name, as TLS numbers them.
const CIPHER_SUITES: [&str; 13] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Names that are known, but only taken with `allow_insecure_cipher_suites`.
const INSECURE_CIPHER_SUITES: [&str; 12] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
];

/// Curves by name.
const CURVES: [&str; 7] = [
    "X25519MLKEM768",
    "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024",
    "CurveP256",
    "CurveP384",
    "CurveP521",
    "X25519",
];

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Tls>] = &[
    key("cert_file", "path", "none", Yes, "/tls/tls.crt",
        "PEM file with the certificate chain.",
        |t, v, r| r.text(v, &mut t.cert_file)),
    key("key_file", "path", "none", Yes, "/tls/tls.key",
        "PEM file with the key of `cert_file`.",
        |t, v, r| r.text(v, &mut t.key_file)),
    key("certs|certificates", "array of { cert_file, key_file }", "none", Yes,
        "[ { cert_file: /tls/tls.crt, key_file: /tls/tls.key } ]",
        "Certificates to choose from by server name; not together with `cert_file`.",
        |t, v, r| r.each_element(v, |r, pair| cert_pair(t, pair, r))),
    key("ca_file", "path", "those of the system", Yes, "/tls/ca.crt",
        "PEM file with the authorities that sign peers.",
        |t, v, r| r.text(v, &mut t.ca_file)),
    key("insecure", "boolean", "false", Yes, "true",
        "Do not verify the server we connect to.",
        |t, v, r| r.flag(v, &mut t.insecure)),
    key("verify", "boolean", "false", Yes, "true",
        "Peers must present a certificate that verifies.",
        |t, v, r| r.flag(v, &mut t.verify)),
    key("verify_and_map", "boolean", "false", No, "true",
        "Clients are logged in as the user their certificate names; implies `verify`.",
        |t, v, r| r.flag(v, &mut t.verify_and_map)),
    key("verify_cert_and_check_known_urls", "boolean", "false", Yes, "true",
        "Routes and gateways only: the certificate must name a configured URL; implies `verify`.",
        |t, v, r| r.flag(v, &mut t.verify_cert_and_check_known_urls)),
    key("cipher_suites", "array of names", "all that are secure", Yes,
        "[TLS_AES_128_GCM_SHA256]",
        "Cipher suites.",
        |t, v, r| names(v, r, &mut t.cipher_suites)),
    key("allow_insecure_cipher_suites", "boolean", "false", Yes, "true",
        "Take names of insecure suites in `cipher_suites`; they are still not spoken.",
        |t, v, r| r.flag(v, &mut t.allow_insecure_cipher_suites)),
    key("curve_preferences", "array of names", "all", Yes, "[X25519]",
        "Curves, best first.",
        |t, v, r| curves(v, r, &mut t.curve_preferences)),
    key("min_version", "\"1.2\" or \"1.3\"", "1.2", Yes, "\"1.3\"",
        "The oldest version of TLS spoken.",
        |t, v, r| min_version(v, r, &mut t.min_version)),
    key("timeout", "seconds or duration", "2s", Yes, "0.5",
        "Time the handshake may take.",
        |t, v, r| r.seconds(v, &mut t.timeout)),
    key("connection_rate_limit", "integer", "0: unlimited", No, "100",
        "Handshakes per second.",
        |t, v, r| r.number_or_none(v, &mut t.connection_rate_limit)),
    key("pinned_certs", "array of hex", "every verified peer", Yes,
        "[a8f407340dcc719864214b85ed96f98d16cbffa8f509d9fa4ca237b7bb3f9c32]",
        "SHA-256 of the public key info of peers that are accepted.",
        |t, v, r| pinned(v, r, &mut t.pinned_certs)),
    key("handshake_first|first|immediate", "boolean, auto or duration", "false", Yes, "auto",
        "The handshake comes before `INFO`; `auto` waits 50 ms for the client to begin.",
        |t, v, r| handshake_first(v, r, &mut t.handshake_first)),
    key("ocsp_peer", "boolean or map", "false", Yes, "true",
        "Ask the authorities about certificates of peers. Not in this release.",
        |t, v, r| r.ocsp_peer(v, &mut t.ocsp_peer)),
    key("cert_store", "string", "none", No, "windowscurrentuser",
        "The certificate store of Windows. Not in this release.",
        |t, v, r| r.text(v, &mut t.cert_store.store)),
    key("cert_match_by", "string", "none", No, "subject",
        "What a certificate of the store is found by. Not in this release.",
        |t, v, r| r.text(v, &mut t.cert_store.match_by)),
    key("cert_match", "string", "none", No, "example.com",
        "What to look for. Not in this release.",
        |t, v, r| r.text(v, &mut t.cert_store.cert_match)),
    key("ca_certs_match", "string or array", "none", No, "[ca]",
        "Authorities to look for. Not in this release.",
        |t, v, r| r.texts(v, &mut t.cert_store.ca_certs_match)),
    key("cert_match_skip_invalid", "boolean", "false", No, "true",
        "Pass over certificates that are not valid. Not in this release.",
        |t, v, r| r.flag(v, &mut t.cert_store.skip_invalid)),
];

#[rustfmt::skip]
pub(super) const CERT_KEYS: &[Key<CertPair>] = &[
    key("cert_file", "path", "none", Yes, "/tls/tls.crt",
        "PEM file with the certificate chain.",
        |c, v, r| r.text(v, &mut c.cert_file)),
    key("key_file", "path", "none", Yes, "/tls/tls.key",
        "PEM file with the key.",
        |c, v, r| r.text(v, &mut c.key_file)),
];

impl Reader {
    /// A `tls` block.
    pub fn tls(&mut self, v: Item<'_>, into: &mut Option<Tls>, place: TlsUse) {
        let mut tls = Tls::default();
        if !self.block(v, &mut tls, KEYS) {
            return;
        }
        if tls.verify_cert_and_check_known_urls && place == TlsUse::Plain {
            self.error(
                v,
                "verify_cert_and_check_known_urls not supported in this context",
            );
        }
        tls.verify |=
            tls.verify_and_map || tls.verify_cert_and_check_known_urls || place == TlsUse::Mesh;
        for message in wrong_together(&tls) {
            self.error(v, message);
        }
        *into = Some(tls);
    }
}

/// The suite is one this server speaks: an AEAD with forward secrecy.
pub fn is_spoken(name: &str) -> bool {
    let is_modern = name.starts_with("TLS_AES_") || name.starts_with("TLS_CHACHA20_");
    let is_forward = name.starts_with("TLS_ECDHE_");
    is_modern || (is_forward && (name.contains("_GCM_") || name.contains("_CHACHA20_POLY1305")))
}

/// The curve is one this server speaks.
pub fn is_spoken_curve(name: &str) -> bool {
    matches!(name, "X25519" | "CurveP256" | "CurveP384")
}

/// What is wrong between the keys of one block.
fn wrong_together(tls: &Tls) -> Vec<String> {
    let mut wrong = Vec::new();
    match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => wrong.push("missing 'key_file' in TLS configuration".to_owned()),
        (None, Some(_)) => wrong.push("missing 'cert_file' in TLS configuration".to_owned()),
        _ => {}
    }
    if tls.cert_file.is_some() && !tls.certs.is_empty() {
        wrong.push(
            "error parsing tls config, cannot combine 'cert_file' option with 'certs' option"
                .to_owned(),
        );
    }
    let insecure: Vec<&str> = tls
        .cipher_suites
        .iter()
        .map(String::as_str)
        .filter(|name| INSECURE_CIPHER_SUITES.contains(name))
        .collect();
    if !insecure.is_empty() && !tls.allow_insecure_cipher_suites {
        wrong.push(format!(
            "insecure cipher suites configured without 'allow_insecure_cipher_suites' option set: {}",
            insecure.join(", ")
        ));
    }
    wrong
}

fn cert_pair(tls: &mut Tls, v: Item<'_>, r: &mut Reader) {
    let mut pair = CertPair::default();
    if !r.block(v, &mut pair, CERT_KEYS) {
        return;
    }
    if pair.cert_file.is_empty() || pair.key_file.is_empty() {
        let message = "error parsing certificates config: both 'cert_file' and 'key_file' options are required";
        return r.error(v, message);
    }
    tls.certs.push(pair);
}

fn names(v: Item<'_>, r: &mut Reader, into: &mut Vec<String>) {
    *into = known_names(v, r, "cipher", |name| {
        CIPHER_SUITES.contains(&name) || INSECURE_CIPHER_SUITES.contains(&name)
    });
}

fn curves(v: Item<'_>, r: &mut Reader, into: &mut Vec<String>) {
    *into = known_names(v, r, "curve preference", |name| CURVES.contains(&name));
}

fn known_names(
    v: Item<'_>,
    r: &mut Reader,
    what: &str,
    is_known: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut all = Vec::new();
    if matches!(&v.node.value, Value::Array(nodes) if nodes.is_empty()) {
        let key = v.key;
        r.error(
            v,
            format!("error parsing tls config, '{key}' cannot be empty"),
        );
    }
    r.each_element(v, |r, element| {
        let mut name = String::new();
        r.text(element, &mut name);
        if !name.is_empty() && !is_known(&name) {
            r.error(element, format!("unrecognized {what} {name}"));
        }
        all.push(name);
    });
    all
}

fn min_version(v: Item<'_>, r: &mut Reader, into: &mut TlsVersion) {
    let Value::String(text) = &v.node.value else {
        return r.expected(v, "\"1.2\" or \"1.3\"");
    };
    match text.as_str() {
        "1.2" => *into = TlsVersion::V1_2,
        "1.3" => *into = TlsVersion::V1_3,
        "1.0" | "1.1" => {
            r.error(
                v,
                format!("error parsing tls config: unsupported TLS version: TLS {text}"),
            );
        }
        _ => r.error(
            v,
            format!("error parsing tls config: unknown version: {text}"),
        ),
    }
}

fn pinned(v: Item<'_>, r: &mut Reader, into: &mut Vec<String>) {
    let mut all = Vec::new();
    r.each_element(v, |r, element| {
        let mut text = String::new();
        r.text(element, &mut text);
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            r.error(
                element,
                format!(
                    "error parsing tls config, 'pinned_certs' key {text} does not look like \
                     hex-encoded sha256 of DER encoded SubjectPublicKeyInfo"
                ),
            );
        }
        all.push(text.to_ascii_lowercase());
    });
    *into = all;
}

fn handshake_first(v: Item<'_>, r: &mut Reader, into: &mut HandshakeFirst) {
    let off = |on| {
        if on {
            HandshakeFirst::On
        } else {
            HandshakeFirst::Off
        }
    };
    *into = match &v.node.value {
        Value::Bool(on) => off(*on),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "on" => HandshakeFirst::On,
            "false" | "off" => HandshakeFirst::Off,
            "auto" | "auto_fallback" => HandshakeFirst::Fallback(AUTO_FALLBACK),
            _ => {
                let mut wait = Duration::ZERO;
                let errors = r.errors.len();
                r.duration(v, &mut wait);
                if r.errors.len() > errors {
                    r.errors.truncate(errors);
                    let key = v.key;
                    r.error(v, format!("field {key:?}'s value {text:?} is invalid"));
                }
                HandshakeFirst::Fallback(wait)
            }
        },
        _ => return r.expected(v, "a boolean or a string"),
    };
}

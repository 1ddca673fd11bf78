//! Names of cipher suites, curves and versions, as configuration and monitoring spell them.
//!
//! As with the peers, configured suites limit TLS 1.2 only: those of TLS 1.3 are all good
//! and always on.

use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, NamedGroup, ProtocolVersion, SupportedCipherSuite};

use super::{TlsError, TlsSettings};

/// Suites that others offer on demand and nobody should use: no forward secrecy, RC4, 3DES,
/// or MAC-then-encrypt.
const INSECURE: [&str; 18] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA256",
];

/// Curves that others know and we do not have.
const ABSENT_CURVES: [&str; 2] = ["CurveP521", "X25519MLKEM768"];

/// The published name of every suite there is.
const SUITES: [(&str, CipherSuite); 9] = [
    (
        "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_128_GCM_SHA256,
    ),
    (
        "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_256_GCM_SHA384,
    ),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// The name of every curve there is.
const CURVES: [(&str, NamedGroup); 3] = [
    ("X25519", NamedGroup::X25519),
    ("CurveP256", NamedGroup::secp256r1),
    ("CurveP384", NamedGroup::secp384r1),
];

/// Cryptography with the suites and curves of the settings.
pub(super) fn provider(settings: &TlsSettings) -> Result<CryptoProvider, TlsError> {
    let mut provider = ring::default_provider();
    if !settings.cipher_suites.is_empty() {
        provider.cipher_suites = suites(&settings.cipher_suites)?;
    }
    if !settings.curves.is_empty() {
        provider.kx_groups = curves(&settings.curves)?;
    }
    Ok(provider)
}

/// The best first.
static ALL_VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// The versions that are spoken.
pub(super) fn versions(settings: &TlsSettings) -> &'static [&'static SupportedProtocolVersion] {
    let count = if settings.only_v1_3 { 1 } else { 2 };
    &ALL_VERSIONS[..count]
}

fn suites(names: &[String]) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let all = ring::ALL_CIPHER_SUITES;
    let is_v1_3 = |suite: &SupportedCipherSuite| suite.tls13().is_some();
    let mut chosen: Vec<_> = all.iter().copied().filter(is_v1_3).collect();
    for name in names {
        let wanted = suite_by_name(name)?;
        let suite = all.iter().find(|suite| suite.suite() == wanted).copied();
        chosen.extend(suite.filter(|suite| !chosen.contains(suite)));
    }
    Ok(chosen)
}

fn suite_by_name(name: &str) -> Result<CipherSuite, TlsError> {
    // Older spelling without the hash.
    let full = if name.ends_with("_CHACHA20_POLY1305") {
        format!("{name}_SHA256")
    } else {
        name.to_owned()
    };
    if let Some((_, suite)) = SUITES.iter().find(|(known, _)| *known == full) {
        return Ok(*suite);
    }
    let name = name.to_owned();
    let possible = SUITES.iter().map(|(known, _)| *known).collect();
    Err(if INSECURE.contains(&full.as_str()) {
        TlsError::InsecureSuite { name, possible }
    } else {
        TlsError::UnknownSuite { name, possible }
    })
}

fn curves(names: &[String]) -> Result<Vec<&'static dyn SupportedKxGroup>, TlsError> {
    let mut chosen: Vec<&'static dyn SupportedKxGroup> = Vec::new();
    for name in names {
        let group = curve_by_name(name)?;
        if !chosen.iter().any(|known| known.name() == group.name()) {
            chosen.push(group);
        }
    }
    Ok(chosen)
}

fn curve_by_name(name: &str) -> Result<&'static dyn SupportedKxGroup, TlsError> {
    let known = CURVES.iter().find(|(known, _)| *known == name);
    let group = known.and_then(|(_, wanted)| {
        ring::ALL_KX_GROUPS
            .iter()
            .find(|group| group.name() == *wanted)
    });
    group.copied().ok_or_else(|| TlsError::Curve {
        name: name.to_owned(),
        reason: if ABSENT_CURVES.contains(&name) {
            "unsupported"
        } else {
            "unrecognized"
        },
        possible: CURVES.iter().map(|(known, _)| *known).collect(),
    })
}

/// The published name of a suite.
pub(super) fn suite_name(suite: CipherSuite) -> &'static str {
    let known = SUITES.iter().find(|(_, known)| *known == suite);
    known.map_or("", |(name, _)| name)
}

/// `1.2` or `1.3`.
pub(super) fn version_name(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        Some(ProtocolVersion::TLSv1_2) => "1.2",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(suites: &[&str], curves: &[&str], expected: Result<(usize, usize), &str>) {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let settings = TlsSettings {
            cipher_suites: own(suites),
            curves: own(curves),
            ..TlsSettings::default()
        };
        match (provider(&settings), expected) {
            (Ok(provider), Ok(expected)) => {
                let found = (provider.cipher_suites.len(), provider.kx_groups.len());
                assert_eq!(found, expected);
            }
            (Err(error), Err(start)) => {
                assert!(error.to_string().starts_with(start), "{error}");
            }
            (found, expected) => panic!("{:?}, expected {expected:?}", found.map(|_| ())),
        }
    }

    #[test]
    fn without_names_everything_is_on() {
        check(&[], &[], Ok((9, 3)));
    }

    #[test]
    fn named_suites_limit_only_the_older_version() {
        check(&["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"], &[], Ok((4, 3)));
        check(
            &["TLS_AES_128_GCM_SHA256"],
            &["X25519", "X25519"],
            Ok((3, 1)),
        );
        check(&["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"], &[], Ok((4, 3)));
    }

    #[test]
    fn names_that_are_not_there_are_refused_with_a_list() {
        let refused = |suite| {
            let suites = [suite];
            provider(&TlsSettings {
                cipher_suites: suites.map(str::to_owned).to_vec(),
                ..TlsSettings::default()
            })
            .map(|_| ())
            .expect_err("refused")
            .to_string()
        };
        assert!(refused("TLS_FOO").ends_with("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"));
        check(
            &["TLS_FOO"],
            &[],
            Err("unrecognized cipher TLS_FOO; possible are: TLS_AES"),
        );
        check(
            &["TLS_RSA_WITH_RC4_128_SHA"],
            &[],
            Err("cipher TLS_RSA_WITH_RC4_128_SHA is insecure and not supported; possible are"),
        );
        check(
            &[],
            &["CurveX"],
            Err("unrecognized curve preference CurveX; possible are: X25519"),
        );
        check(
            &[],
            &["CurveP521"],
            Err("unsupported curve preference CurveP521; possible"),
        );
    }

    #[test]
    fn every_suite_of_the_library_has_a_name() {
        for suite in ring::ALL_CIPHER_SUITES {
            assert!(!suite_name(suite.suite()).is_empty(), "{suite:?}");
        }
    }
}

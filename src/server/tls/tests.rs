//! Blocks of configuration against files.

use std::path::PathBuf;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::config::options::tls::CertPair;
use crate::vfs::real::RealVfs;

/// A directory with `a.pem` and `a.key` and what a test adds.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        let files = Files(tempfile::tempdir().unwrap());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["a.test".to_owned()]).unwrap();
        files.write("a.pem", &params.self_signed(&key).unwrap().pem());
        files.write("a.key", &key.serialize_pem());
        files.write("empty.pem", "");
        files
    }

    fn write(&self, name: &str, text: &str) {
        RealVfs
            .write_atomically(&PathBuf::from(self.path(name)), text.as_bytes(), 0o600)
            .unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// A block with `a.pem`.
    fn tls(&self) -> Tls {
        Tls {
            cert_file: Some(self.path("a.pem")),
            key_file: Some(self.path("a.key")),
            ..Tls::default()
        }
    }

    /// What is said of a block, with the directory cut out.
    fn check(&self, tls: &Tls, expected: &str) {
        let said = match acceptor(tls, &RealVfs) {
            Ok(_) => "good".to_owned(),
            Err(error) => error.to_string(),
        };
        let said = said.replace(&self.path(""), "");
        assert!(
            said.starts_with(expected),
            "{said:?}, expected {expected:?}"
        );
    }
}

#[test]
fn files_that_are_wrong_are_named() {
    let files = Files::new();
    let with = |change: &dyn Fn(&mut Tls)| {
        let mut tls = files.tls();
        change(&mut tls);
        tls
    };
    let path = |name: &str| Some(files.path(name));
    let verifying = |name: &str| {
        with(&|tls| {
            tls.verify_and_map = true;
            tls.ca_file = path(name);
        })
    };
    files.check(&files.tls(), "good");
    files.check(&Tls::default(), "tls: no certificate is configured");
    files.check(
        &with(&|tls| tls.cert_file = path("gone.pem")),
        "tls: open gone.pem: no such file or directory",
    );
    files.check(
        &with(&|tls| tls.cert_file = path("empty.pem")),
        "tls: empty.pem: no certificate found",
    );
    files.check(
        &with(&|tls| tls.key_file = path("empty.pem")),
        "tls: empty.pem: no private key found",
    );
    files.check(&verifying("a.pem"), "good");
    files.check(&verifying("gone.pem"), "tls: open gone.pem: no such file");
    files.check(
        &verifying("empty.pem"),
        "tls: empty.pem: no certificate found",
    );
}

#[test]
fn several_certificates_stand_side_by_side() {
    let files = Files::new();
    let pair = |key: &str| CertPair {
        cert_file: files.path("a.pem"),
        key_file: files.path(key),
    };
    let with = |certs| Tls {
        certs,
        ..Tls::default()
    };
    files.check(&with(vec![pair("a.key"), pair("a.key")]), "good");
    files.check(
        &with(vec![pair("a.key"), pair("gone")]),
        "tls: open gone: no such",
    );
}

#[test]
fn names_that_are_not_spoken_are_left_out_unless_there_are_no_others() {
    let files = Files::new();
    let suites = |names: &[&str]| Tls {
        cipher_suites: names.iter().map(|name| (*name).to_owned()).collect(),
        ..files.tls()
    };
    let good = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    let bad = "TLS_RSA_WITH_RC4_128_SHA";
    files.check(&suites(&[bad, good]), "good");
    files.check(
        &suites(&[bad]),
        "tls: cipher TLS_RSA_WITH_RC4_128_SHA is insecure",
    );
    let curve = Tls {
        curve_preferences: vec!["CurveP521".to_owned()],
        ..files.tls()
    };
    files.check(&curve, "tls: unsupported curve preference CurveP521");
}

#[test]
fn monitoring_asks_nobody_for_a_certificate() {
    let files = Files::new();
    let tls = Tls {
        verify: true,
        ca_file: Some(files.path("gone.pem")),
        ..files.tls()
    };
    assert!(acceptor(&tls, &RealVfs).is_err());
    assert!(acceptor_for_everybody(&tls, &RealVfs).is_ok());
}

#[test]
fn pins_are_fingerprints_in_either_case() {
    let der = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
    let der = der.cert.der().to_vec();
    let print = public_key_fingerprint(&der).unwrap();
    let check = |pin: String, expected| {
        let is_pinned = pins(&[pin]).unwrap();
        assert_eq!(is_pinned(&der), expected);
    };
    check(print.clone(), true);
    check(print.to_uppercase(), true);
    check("00".repeat(32), false);
    assert!(pins(&[]).is_none());
    assert!(!pins(&[print]).unwrap()(b"no certificate"));
}

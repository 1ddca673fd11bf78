//! Which certificate goes where: from options and files to acceptors.
//!
//! Separate from `net::tls`, which is mechanism and knows neither. Files are read when a
//! server starts and whenever it reloads; what is wrong with one is said by its name.
//!
//! Invariant: a name of a suite or curve that is not spoken is left out (there was a
//! warning), but what is left is never nothing, which would mean everything.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::auth::tls_map::public_key_fingerprint;
use crate::client::entry::TlsPeer;
use crate::clock::{Monotonic, Timestamp};
use crate::config::options::Options;
use crate::config::options::tls::{self, HandshakeFirst, Tls, TlsVersion};
use crate::net::tls::acceptor::Acceptor;
use crate::net::tls::rate::RateLimit;
use crate::net::tls::{Identity, IsPinned, Pem, TlsError, TlsSettings};
use crate::vfs::{self, Vfs};

/// No PEM file is larger: a system's whole bundle has a few hundred kilobytes.
const PEM_BYTES_MAX: u64 = 16 << 20;

/// Where systems keep the authorities that everybody believes.
const SYSTEM_AUTHORITIES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why a `tls` block gives no acceptor.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// A file that cannot be read.
    #[error("tls: {0}")]
    File(#[from] vfs::Error),
    /// A file or setting that is wrong.
    #[error("tls: {0}")]
    Settings(#[from] TlsError),
    /// `verify` without `ca_file`, on a machine that believes nobody.
    #[error("tls: verify needs ca_file: this system has no authorities of its own")]
    NoSystemAuthorities,
}

/// An acceptor for the listener that `tls` configures.
///
/// # Errors
/// [`TlsConfigError`] names the file or setting.
pub fn acceptor(tls: &Tls, files: &dyn Vfs) -> Result<Acceptor, TlsConfigError> {
    Ok(Acceptor::new(&settings(tls, files)?)?)
}

/// An acceptor with the same certificates that asks no client for one: for monitoring.
///
/// # Errors
/// [`TlsConfigError`] names the file or setting.
pub fn acceptor_for_everybody(tls: &Tls, files: &dyn Vfs) -> Result<Acceptor, TlsConfigError> {
    let open = Tls {
        verify: false,
        verify_and_map: false,
        ca_file: None,
        pinned_certs: Vec::new(),
        ..tls.clone()
    };
    acceptor(&open, files)
}

/// The files read and the names sorted out.
fn settings(tls: &Tls, files: &dyn Vfs) -> Result<TlsSettings, TlsConfigError> {
    let verify = tls.verify || tls.verify_and_map;
    let read = |path: &str| pem(path, files);
    let own = tls.cert_file.as_ref().zip(tls.key_file.as_ref());
    let pairs = tls
        .certs
        .iter()
        .map(|pair| (&pair.cert_file, &pair.key_file));
    let identities = own.into_iter().chain(pairs).map(|(chain, key)| {
        Ok(Identity {
            chain: read(chain)?,
            key: read(key)?,
        })
    });
    Ok(TlsSettings {
        identities: identities.collect::<Result<_, TlsConfigError>>()?,
        authorities: match &tls.ca_file {
            Some(path) => Some(read(path)?),
            None if verify => Some(system_authorities(files)?),
            None => None,
        },
        verify,
        cipher_suites: spoken(&tls.cipher_suites, tls::is_spoken),
        curves: spoken(&tls.curve_preferences, tls::is_spoken_curve),
        only_v1_3: tls.min_version == TlsVersion::V1_3,
        timeout: tls.timeout,
        is_pinned: pins(&tls.pinned_certs),
    })
}

fn pem(path: &str, files: &dyn Vfs) -> Result<Pem, TlsConfigError> {
    Ok(Pem {
        label: path.to_owned(),
        bytes: files.read(Path::new(path), PEM_BYTES_MAX)?,
    })
}

fn system_authorities(files: &dyn Vfs) -> Result<Pem, TlsConfigError> {
    for path in SYSTEM_AUTHORITIES {
        match pem(path, files) {
            Err(TlsConfigError::File(error)) if error.kind() == ErrorKind::NotFound => {}
            found => return found,
        }
    }
    Err(TlsConfigError::NoSystemAuthorities)
}

/// The names that are spoken; if none is, all of them, so that they are refused.
fn spoken(names: &[String], is_spoken: impl Fn(&str) -> bool) -> Vec<String> {
    let spoken: Vec<String> = names
        .iter()
        .filter(|name| is_spoken(name))
        .cloned()
        .collect();
    if spoken.is_empty() {
        names.to_vec()
    } else {
        spoken
    }
}

fn pins(fingerprints: &[String]) -> Option<IsPinned> {
    let pins: Vec<String> = fingerprints.iter().map(|pin| pin.to_lowercase()).collect();
    (!pins.is_empty()).then(|| {
        let is_pinned =
            move |der: &[u8]| public_key_fingerprint(der).is_ok_and(|print| pins.contains(&print));
        Arc::new(is_pinned) as IsPinned
    })
}

/// TLS of the listener for clients; there may be none. Replaced as a whole by a reload.
#[derive(Default)]
pub struct ClientTls(RwLock<Option<Arc<TlsState>>>);

/// What holds for clients that connect now.
pub struct TlsState {
    pub(super) acceptor: Acceptor,
    pub(super) first: HandshakeFirst,
    pub(super) allow_non_tls: bool,
    pub(super) timeout: Duration,
    rate: Mutex<RateLimit>,
    is_pinned: Option<IsPinned>,
}

impl ClientTls {
    /// What holds now.
    pub fn get(&self) -> Option<Arc<TlsState>> {
        self.0.read().clone()
    }

    /// What holds from now on. Handshakes under way end with what they began with.
    pub fn set(&self, state: Option<Arc<TlsState>>) {
        *self.0.write() = state;
    }

    /// When the first of the certificates expires.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.get().and_then(|state| state.acceptor.not_after())
    }
}

impl TlsState {
    /// As the options say; `None` without a `tls` block.
    ///
    /// # Errors
    /// [`TlsConfigError`] names the file or setting.
    pub fn new(
        options: &Options,
        files: &dyn Vfs,
    ) -> Result<Option<Arc<TlsState>>, TlsConfigError> {
        let Some(tls) = &options.tls else {
            return Ok(None);
        };
        Ok(Some(Arc::new(TlsState {
            acceptor: acceptor(tls, files)?,
            first: tls.handshake_first,
            allow_non_tls: options.listen.allow_non_tls,
            timeout: tls.timeout,
            rate: Mutex::new(RateLimit::new(tls.connection_rate_limit)),
            is_pinned: pins(&tls.pinned_certs),
        })))
    }

    /// One more handshake may begin.
    pub(super) fn allow(&self, now: Monotonic) -> bool {
        self.rate.lock().allow(now)
    }

    /// INFO never comes before the handshake.
    pub(super) fn is_always_first(&self) -> bool {
        self.first == HandshakeFirst::On && !self.allow_non_tls
    }

    /// A client that is connected would be taken still.
    pub(super) fn takes(&self, peer: &TlsPeer) -> bool {
        let leaf = peer.certificates.first();
        match &self.is_pinned {
            Some(is_pinned) => leaf.is_some_and(|leaf| is_pinned(leaf)),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests;

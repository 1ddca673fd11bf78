//! OCSP: stapling (`ocsp`), its cache (`ocsp_cache`) and the check of peers (`tls.ocsp_peer`).

use std::time::Duration;

/// OCSP stapling.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ocsp {
    /// When to staple. Default `auto`.
    pub mode: OcspMode,
    /// Responders instead of those the certificate names. Default: none.
    pub urls: Vec<String>,
}

/// When certificates are stapled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OcspMode {
    /// Only certificates that demand it (`ocsp: true`).
    #[default]
    Auto,
    /// Every certificate; revoked or without an answer stops the server.
    Always,
    /// Those that demand it; a revoked one stops the server.
    Must,
    /// None (`ocsp: false`).
    Never,
}

/// The cache of answers about peers.
#[derive(Clone, Debug, PartialEq)]
pub struct OcspCache {
    /// Keep answers in a local file. Default true.
    pub local: bool,
    /// Directory of that file. Default `_rc_`.
    pub local_store: String,
    /// Never forget that a certificate was revoked. Default false.
    pub preserve_revoked: bool,
    /// Time between saves. Default 5 minutes, at least 1 second.
    pub save_interval: Duration,
}

/// The check of peers' certificates with their authorities.
#[derive(Clone, Debug, PartialEq)]
pub struct OcspPeer {
    /// Ask at all. Default false.
    pub verify: bool,
    /// Time the authority has to answer. Default 2 seconds.
    pub ca_timeout: Duration,
    /// Clock difference tolerated. Default 30 seconds.
    pub allowed_clockskew: Duration,
    /// Only warn. Default false.
    pub warn_only: bool,
    /// Accept certificates the authority does not know. Default false.
    pub unknown_is_good: bool,
    /// Accept when no authority answers. Default false.
    pub allow_when_ca_unreachable: bool,
    /// How long an answer without its own end is kept. Default 1 hour.
    pub cache_ttl_when_next_update_unset: Duration,
}

impl Default for OcspCache {
    fn default() -> Self {
        OcspCache {
            local: true,
            local_store: "_rc_".to_owned(),
            preserve_revoked: false,
            save_interval: Duration::from_secs(300),
        }
    }
}

impl Default for OcspPeer {
    fn default() -> Self {
        OcspPeer {
            verify: false,
            ca_timeout: Duration::from_secs(2),
            allowed_clockskew: Duration::from_secs(30),
            warn_only: false,
            unknown_is_good: false,
            allow_when_ca_unreachable: false,
            cache_ttl_when_next_update_unset: Duration::from_secs(3600),
        }
    }
}

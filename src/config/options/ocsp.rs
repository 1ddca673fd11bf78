//! OCSP: stapling (`ocsp`), its cache (`ocsp_cache`) and the check of peers (`tls.ocsp_peer`).

use std::time::Duration;

use super::key::{Key, Reload::*, key};
use super::reader::{Item, Reader};
use crate::config::value::Value;

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

#[rustfmt::skip]
pub(super) const STAPLING_KEYS: &[Key<Ocsp>] = &[
    key("mode", "auto, always, must or never", "auto", Yes, "always",
        "When certificates are stapled.",
        |o, v, r| {
            let words = [("auto", OcspMode::Auto), ("always", OcspMode::Always),
                ("must", OcspMode::Must), ("never", OcspMode::Never)];
            r.word(v, &mut o.mode, &words, "error parsing ocsp config: unsupported ocsp mode {}");
        }),
    key("urls|url", "URL or array", "those of the certificate", Yes, "[\"http://ocsp.example.com\"]",
        "Responders to ask.",
        |o, v, r| r.texts(v, &mut o.urls)),
];

#[rustfmt::skip]
pub(super) const CACHE_KEYS: &[Key<OcspCache>] = &[
    key("type", "none or local", "local", Yes, "none",
        "Where answers about peers are kept.",
        |o, v, r| {
            let words = [("none", false), ("local", true)];
            r.word(v, &mut o.local, &words, "error parsing OCSP peer cache config, unknown type [{}]");
        }),
    key("local_store", "path", "_rc_", Yes, "/var/cache/natter",
        "Directory of the local file.",
        |o, v, r| r.text(v, &mut o.local_store)),
    key("preserve_revoked", "boolean", "false", Yes, "true",
        "Never forget that a certificate was revoked.",
        |o, v, r| r.flag(v, &mut o.preserve_revoked)),
    key("save_interval", "seconds or duration", "5m", Yes, "60",
        "Time between saves; at least 1 second.",
        |o, v, r| save_interval(v, r, &mut o.save_interval)),
];

#[rustfmt::skip]
pub(super) const PEER_KEYS: &[Key<OcspPeer>] = &[
    key("verify", "boolean", "false", Yes, "true",
        "Ask the authorities about certificates of peers.",
        |o, v, r| r.flag(v, &mut o.verify)),
    key("ca_timeout", "seconds or duration", "2s", Yes, "5s",
        "Time the authority has to answer.",
        |o, v, r| r.seconds(v, &mut o.ca_timeout)),
    key("allowed_clockskew", "seconds or duration", "30s", Yes, "5s",
        "Clock difference tolerated.",
        |o, v, r| r.seconds(v, &mut o.allowed_clockskew)),
    key("warn_only", "boolean", "false", Yes, "true",
        "Only warn.",
        |o, v, r| r.flag(v, &mut o.warn_only)),
    key("unknown_is_good", "boolean", "false", Yes, "true",
        "Accept certificates the authority does not know.",
        |o, v, r| r.flag(v, &mut o.unknown_is_good)),
    key("allow_when_ca_unreachable", "boolean", "false", Yes, "true",
        "Accept when no authority answers.",
        |o, v, r| r.flag(v, &mut o.allow_when_ca_unreachable)),
    key("cache_ttl_when_next_update_unset", "seconds or duration", "1h", Yes, "5m",
        "How long an answer without its own end is kept.",
        |o, v, r| r.seconds(v, &mut o.cache_ttl_when_next_update_unset)),
];

impl Reader {
    /// `ocsp`: `true` is `auto`, `false` is `never`, or a block.
    pub fn ocsp(&mut self, v: Item<'_>, into: &mut Option<Ocsp>) {
        match v.node.value {
            Value::Bool(on) => {
                let mode = if on { OcspMode::Auto } else { OcspMode::Never };
                *into = Some(Ocsp {
                    mode,
                    urls: Vec::new(),
                });
            }
            _ => self.presence(v, into, STAPLING_KEYS),
        }
    }

    /// `ocsp_cache`: on or off, or a block.
    pub fn ocsp_cache(&mut self, v: Item<'_>, into: &mut Option<OcspCache>) {
        match v.node.value {
            Value::Bool(local) => {
                *into = Some(OcspCache {
                    local,
                    ..OcspCache::default()
                })
            }
            _ => self.presence(v, into, CACHE_KEYS),
        }
    }

    /// `tls.ocsp_peer`: on or off, or a block.
    pub fn ocsp_peer(&mut self, v: Item<'_>, into: &mut Option<OcspPeer>) {
        match v.node.value {
            Value::Bool(verify) => {
                *into = Some(OcspPeer {
                    verify,
                    ..OcspPeer::default()
                })
            }
            _ => self.presence(v, into, PEER_KEYS),
        }
    }
}

fn save_interval(v: Item<'_>, r: &mut Reader, into: &mut Duration) {
    r.seconds(v, into);
    *into = (*into).max(Duration::from_secs(1));
}

//! `proxies {}`: proxies that may speak for clients.

use super::key::{Key, Reload::*, key};
use super::public_key::KeyKind;
use super::reader::{Item, Reader};

/// Proxies that may speak for clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Public keys of trusted proxies. Default: none.
    pub trusted: Vec<String>,
}

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Proxies>] = &[
    key("trusted", "array of { key }", "none", Yes,
        "[ { key: UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4 } ]",
        "Public keys of trusted proxies.",
        |p, v, r| r.each_element(v, |r, proxy| trusted(p, proxy, r))),
];

#[rustfmt::skip]
pub(super) const TRUSTED_KEYS: &[Key<Option<String>>] = &[
    key("key", "public key", "none", Yes,
        "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
        "A public key of any kind.",
        |k, v, r| r.text(v, k)),
];

fn trusted(proxies: &mut Proxies, v: Item<'_>, r: &mut Reader) {
    let mut public_key = None;
    if !r.block(v, &mut public_key, TRUSTED_KEYS) {
        return;
    }
    match public_key {
        Some(text) if KeyKind::of(&text).is_some() => proxies.trusted.push(text),
        other => r.error(
            v,
            format!("invalid proxy key {:?}", other.unwrap_or_default()),
        ),
    }
}

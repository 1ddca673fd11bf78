//! What INFO says to every client of the listener.
//!
//! Separate because a start, a reload and lame duck mode all build it, from the options and
//! what is known of the running server. `connect_urls` stays empty: a server that runs
//! alone knows of no other place to connect to.

use std::net::SocketAddr;

use super::identity::Identity;
use super::version;
use crate::auth::decision::Directory;
use crate::config::options::Options;
use crate::consumer::metadata::API_LEVEL;
use crate::protocol::info::Info;

/// INFO for everybody; a client's own fields are added when it connects. A server on its
/// own has no `connect_urls`: there is nowhere else to go.
pub fn build(
    options: &Options,
    identity: &Identity,
    directory: &Directory,
    address: SocketAddr,
    lame_duck: bool,
) -> Info {
    let listen = &options.listen;
    let tls = options.tls.as_ref();
    let (host, port) = advertised(
        listen.client_advertise.as_deref(),
        listen.endpoint.host.as_deref(),
        address,
    );
    Info {
        server_id: identity.id().to_owned(),
        server_name: identity.name.clone(),
        version: version::COMPATIBILITY.to_owned(),
        proto: 1,
        go: version::COMPILER.to_owned(),
        headers: !listen.no_header_support,
        auth_required: directory.announces_auth(),
        tls_required: tls.is_some() && !listen.allow_non_tls,
        tls_verify: tls.is_some_and(|tls| tls.verify || tls.verify_and_map),
        tls_available: tls.is_some() && listen.allow_non_tls,
        max_payload: i64::from(options.limits.max_payload),
        ldm: lame_duck,
        jetstream: options.jetstream.enabled,
        api_lvl: u64::from(API_LEVEL),
        host,
        port,
        ..Info::default()
    }
}

/// Host and port clients are told: `client_advertise` (`host`, `host:port`, `[v6]:port`), or
/// where the listener is. An advertised port of 0 or none is that of the listener.
fn advertised(advertise: Option<&str>, host: Option<&str>, address: SocketAddr) -> (String, u16) {
    let Some(text) = advertise.filter(|text| !text.is_empty()) else {
        let host = host.map_or_else(|| address.ip().to_string(), str::to_owned);
        return (host, address.port());
    };
    let (host, port) = split(text);
    let port = port
        .and_then(|port| port.parse().ok())
        .filter(|port| *port != 0);
    (host.to_owned(), port.unwrap_or(address.port()))
}

/// Host and port of an address, if it has one.
fn split(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        // No colon, or an IPv6 address without brackets.
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What nats-server 2.15.1 says with these settings.
    #[test]
    fn clients_are_told_the_advertised_address_or_that_of_the_listener() {
        let listener: SocketAddr = "0.0.0.0:4222".parse().unwrap();
        for (advertise, expected) in [
            (None, ("0.0.0.0", 4222)),
            (Some(""), ("0.0.0.0", 4222)),
            (Some("h"), ("h", 4222)),
            (Some("h:99"), ("h", 99)),
            (Some("h:0"), ("h", 4222)),
            (Some("1.2.3.4:99"), ("1.2.3.4", 99)),
            (Some("[::1]:99"), ("::1", 99)),
            (Some("[::1]"), ("::1", 4222)),
            (Some("fd00::2"), ("fd00::2", 4222)),
        ] {
            let (host, port) = advertised(advertise, None, listener);
            assert_eq!((host.as_str(), port), expected, "{advertise:?}");
        }
        let (host, _) = advertised(None, Some("localhost"), listener);
        assert_eq!(host, "localhost");
    }
}

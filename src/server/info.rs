//! What INFO says.

use std::net::SocketAddr;

use super::identity::Identity;
use super::version;
use crate::auth::decision::Directory;
use crate::config::options::Options;
use crate::protocol::info::Info;

/// The stream API level: no streams yet, so the lowest.
const API_LEVEL: u64 = 0;

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
        api_lvl: API_LEVEL,
        host,
        port,
        ..Info::default()
    }
}

/// Host and port clients are told.
fn advertised(advertise: Option<&str>, host: Option<&str>, address: SocketAddr) -> (String, u16) {
    match advertise {
        Some(text) => match text
            .rsplit_once(':')
            .map(|(host, port)| (host, port.parse()))
        {
            Some((host, Ok(port))) => (host.trim_matches(['[', ']']).to_owned(), port),
            _ => (text.to_owned(), address.port()),
        },
        None => (
            host.map_or_else(|| address.ip().to_string(), str::to_owned),
            address.port(),
        ),
    }
}

//! INFO and handshake of a new client, in the order its listener wants.
//!
//! ```text
//! required         INFO ─► handshake
//! handshake_first  handshake                     (INFO follows inside)
//! auto, duration   first byte in time ─► handshake, else INFO ─► handshake
//! allow_non_tls    INFO ─► first byte is TLS's ─► handshake, else plain text
//! ```
//!
//! Separate from `listeners` because it is a choreography of its own, with last words of
//! its own: until there is a link, they go to the socket directly.
//!
//! Invariants: every wait has a limit; a handshake that failed is answered by silence,
//! because nothing but TLS would be understood; only a client that has said nothing at all
//! is told that it should have.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::tls::TlsState;
use crate::client::entry::TlsPeer;
use crate::clock;
use crate::config::options::tls::HandshakeFirst;
use crate::connection::close::CloseReason;
use crate::net::Wire;
use crate::net::tls::acceptor::{HandshakeError, Peer};
use crate::net::tls::sniff::{First, sniff};
use crate::protocol::error::ClientError;

/// How long a peer is given to take its last words and hang up.
const LINGER: Duration = Duration::from_millis(500);

/// A client whose wire is what it will stay.
pub(super) struct Secured {
    pub(super) wire: Wire,
    pub(super) tls: Option<TlsPeer>,
    /// INFO went out in plain text already.
    pub(super) is_info_sent: bool,
}

/// Sends `info` in plain text and shakes hands, as far as `tls` wants either.
///
/// # Errors
/// Why the connection is over; what was to be said has been said.
pub(super) async fn secure(
    mut stream: TcpStream,
    peer: SocketAddr,
    info: &[u8],
    tls: &TlsState,
) -> Result<Secured, CloseReason> {
    let is_first = match tls.first {
        _ if tls.allow_non_tls => false,
        HandshakeFirst::Off => false,
        HandshakeFirst::On => true,
        HandshakeFirst::Fallback(wait) => sniff(&stream, Some(wait)).await != First::Nothing,
    };
    if !is_first {
        let sending = tokio::time::timeout(tls.timeout, stream.write_all(info)).await;
        if !matches!(sending, Ok(Ok(()))) {
            return Err(CloseReason::WriteError);
        }
        if tls.allow_non_tls && sniff(&stream, Some(tls.timeout)).await != First::Tls {
            return Ok(Secured {
                wire: Wire::Tcp(stream),
                tls: None,
                is_info_sent: true,
            });
        }
    }
    if !tls.allow(clock::monotonic()) {
        tracing::debug!(%peer, "TLS handshake refused: connection_rate_limit");
        say_last(stream, ClientError::Throttled).await;
        return Err(CloseReason::MaximumConnectionsExceeded);
    }
    match tls.acceptor.accept(stream).await {
        Ok((wire, peer)) => Ok(Secured {
            wire,
            tls: Some(described(peer, is_first)),
            is_info_sent: !is_first,
        }),
        Err(error) => {
            tracing::debug!(%peer, "{error}");
            if let HandshakeError::Silent(stream) = error {
                say_last(stream, ClientError::TlsRequired).await;
            }
            Err(CloseReason::TlsHandshakeFailure)
        }
    }
}

fn described(peer: Peer, first: bool) -> TlsPeer {
    TlsPeer {
        version: peer.version.to_owned(),
        cipher_suite: peer.cipher_suite.to_owned(),
        first,
        certificates: peer.certificates,
        is_verified: peer.is_verified,
    }
}

/// Writes an error in plain text and reads until the peer hangs up: a socket closed with
/// unread bytes would take the error back.
async fn say_last(mut stream: TcpStream, error: ClientError<'_>) {
    let talk = async {
        stream.write_all(&error.line()).await?;
        stream.shutdown().await?;
        let mut bytes = [0; 1024];
        while stream.read(&mut bytes).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(LINGER, talk).await;
}

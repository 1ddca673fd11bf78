//! Ports to fronts: accepting clients and setting their links up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::secure::{Secured, secure};
use super::tls::{ClientTls, TlsState};
use crate::client::Front;
use crate::client::entry::{Client, info_for};
use crate::client::session::ClientSession;
use crate::connection::close::CloseReason;
use crate::connection::driver::{self, DriverOptions};
use crate::connection::id::{ConnId, Kind};
use crate::connection::link::{Link, WriteOptions};
use crate::net::{Wire, Writer};
use crate::protocol::error::ClientError;
use crate::tasks::{self, Shards};
use crate::{clock, entropy};

/// Rests between failing accepts grow from the first to the last of these.
const ACCEPT_REST_MIN: Duration = Duration::from_millis(10);
const ACCEPT_REST_MAX: Duration = Duration::from_secs(1);

/// Accepts clients until the task is aborted.
pub(super) fn accept_clients(
    listener: TcpListener,
    front: Arc<Front>,
    tls: Arc<ClientTls>,
    shards: Arc<Shards>,
) -> JoinHandle<()> {
    tasks::spawn(async move {
        let mut rest = ACCEPT_REST_MIN;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    rest = ACCEPT_REST_MIN;
                    let front = Arc::clone(&front);
                    let tls = tls.get();
                    // A socket belongs to the runtime that registers it: the shard's.
                    let Ok(stream) = stream.into_std() else {
                        continue;
                    };
                    shards.spawn(async move {
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            serve_client(stream, peer, front, tls).await;
                        }
                    });
                }
                // Out of descriptors, or a peer that left while it waited.
                Err(error) => {
                    tracing::error!("accept: {error}; sleeping {}ms", rest.as_millis());
                    tokio::time::sleep(rest).await;
                    rest = (rest * 2).min(ACCEPT_REST_MAX);
                }
            }
        }
    })
}

async fn serve_client(
    stream: TcpStream,
    peer: SocketAddr,
    front: Arc<Front>,
    tls: Option<Arc<TlsState>>,
) {
    let options = front.options();
    let id = ConnId(front.clients.next_id().0);
    let start = clock::now();
    front
        .counters
        .connections_total
        .fetch_add(1, Ordering::Relaxed);
    // Small replies must not wait for more; a socket that refuses is broken anyway.
    let _ = stream.set_nodelay(true);
    // A new socket takes bytes at once, but the runtime has to be asked before it knows:
    // without this the first write of a link finds the socket not ready.
    let _ = stream.writable().await;
    let nonce = nonce(&front);
    let is_full = || front.clients.len() >= options.connections_max || front.is_lame_duck();
    let is_refused = is_full();
    let secured = match &tls {
        Some(tls) if !is_refused => {
            let info = info_for(&front.info(), id, peer, &nonce).line();
            // Boxed: a handshake is over before the task begins to wait.
            Box::pin(secure(stream, peer, &info, tls)).await
        }
        // Who cannot stay is told so in plain text, without a handshake.
        tls => Ok(Secured {
            wire: Wire::Tcp(stream),
            tls: None,
            is_info_sent: tls.as_ref().is_some_and(|tls| tls.is_always_first()),
        }),
    };
    let write = WriteOptions {
        pending_max: options.pending_max,
        total: Arc::clone(&front.total),
    };
    let client = |writer, tls| {
        let link = Link::new(id, Kind::Client, peer, writer, write);
        Client::new(link, start, tls, nonce)
    };
    let secured = match secured {
        Ok(secured) => secured,
        Err(reason) => {
            let client = client(Writer::Owner, None);
            client.link.close(reason);
            front.observer().closed(&client, reason, &[]);
            return;
        }
    };
    let (mut reader, writer) = secured.wire.split();
    let client = client(writer, secured.tls);
    let link = Arc::clone(&client.link);
    if !secured.is_info_sent {
        link.send(&client.info(&front.info()).line());
    }
    // Handshakes take time: others may have come first.
    if is_refused || is_full() {
        let reason = CloseReason::MaximumConnectionsExceeded;
        link.send(&ClientError::MaximumConnections.line());
        link.close(reason);
        front.observer().closed(&client, reason, &[]);
        Box::pin(driver::say_last_words(&mut reader, &link)).await;
        return;
    }
    front.clients.insert(Arc::clone(&client));
    tracing::debug!(link = client.label(), "client connection created");
    let session = ClientSession::new(Arc::clone(&front), client);
    let driving = DriverOptions {
        write_deadline: options.write_deadline,
        write_retry: options.write_retry,
    };
    driver::drive(reader, link, session, driving).await;
}

/// 11 random bytes as text, where somebody may sign them.
fn nonce(front: &Front) -> String {
    if front.login.directory().needs_nonce() {
        BASE64URL_NOPAD.encode(&entropy::secret_bytes::<11>())
    } else {
        String::new()
    }
}

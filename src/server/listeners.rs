//! Ports to fronts: accepting clients and setting their links up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::client::Front;
use crate::client::entry::{Client, TlsPeer};
use crate::client::session::ClientSession;
use crate::connection::close::CloseReason;
use crate::connection::driver::{self, DriverOptions};
use crate::connection::id::{ConnId, Kind};
use crate::connection::link::{Link, WriteOptions};
use crate::net::Wire;
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
    shards: Arc<Shards>,
) -> JoinHandle<()> {
    tasks::spawn(async move {
        let mut rest = ACCEPT_REST_MIN;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    rest = ACCEPT_REST_MIN;
                    let front = Arc::clone(&front);
                    // A socket belongs to the runtime that registers it: the shard's.
                    let Ok(stream) = stream.into_std() else {
                        continue;
                    };
                    shards.spawn(async move {
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            serve_client(stream, peer, front).await;
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

async fn serve_client(stream: TcpStream, peer: SocketAddr, front: Arc<Front>) {
    let options = front.options();
    let id = front.clients.next_id();
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
    let tls: Option<TlsPeer> = None;
    let (reader, writer) = Wire::Tcp(stream).split();
    let write = WriteOptions {
        pending_max: options.pending_max,
        total: Arc::clone(&front.total),
    };
    let link = Link::new(ConnId(id.0), Kind::Client, peer, writer, write);
    let nonce = nonce(&front);
    let client = Client::new(Arc::clone(&link), start, tls, nonce);
    link.send(&client.info(&front.info()).line());
    if front.clients.len() >= options.connections_max || front.is_lame_duck() {
        link.send(&ClientError::MaximumConnections.line());
        link.close(CloseReason::MaximumConnectionsExceeded);
        front
            .observer()
            .closed(&client, CloseReason::MaximumConnectionsExceeded, &[]);
        return;
    }
    front.clients.insert(Arc::clone(&client));
    tracing::debug!(link = client.label(), "Client connection created");
    let session = ClientSession::new(Arc::clone(&front), client);
    let driving = DriverOptions {
        write_deadline: options.write_deadline,
    };
    driver::drive(reader, link, session, driving).await;
    front.clients.cut_worst(&front.total);
}

/// 11 random bytes as text, where somebody may sign them.
fn nonce(front: &Front) -> String {
    if front.login.directory().needs_nonce() {
        BASE64URL_NOPAD.encode(&entropy::secret_bytes::<11>())
    } else {
        String::new()
    }
}

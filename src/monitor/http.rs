//! The monitoring port: connections in, replies out.
//!
//! Separate from `routes`, which knows what is answered. The listener and the way to start
//! a task come from above; so does TLS.
//!
//! Invariants: at most [`Limits::connections`] connections at a time, further ones wait to
//! be accepted; a request head has at most [`Limits::head_bytes`] and comes within
//! [`Limits::head_time`]; a connection ends after [`Limits::connection_time`], the last
//! reply may take another [`Limits::head_time`]; bodies of requests are never read. When the `shutdown` future ends no more connections are
//! accepted; those that are open end by themselves within their time.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::RwLock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::Monitor;
use super::routes::{Reply, base_path, respond};

/// A task to be started.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// TLS of a port; whoever reloads certificates replaces it.
pub type PortTls = Arc<RwLock<TlsAcceptor>>;

/// What one port may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Bytes of a request line and its headers.
    pub head_bytes: usize,
    /// Time for a request to arrive, and for a TLS handshake.
    pub head_time: Duration,
    /// Time for a connection as a whole, with all its requests.
    pub connection_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 128,
            head_bytes: 64 * 1024,
            head_time: Duration::from_secs(5),
            connection_time: Duration::from_secs(300),
        }
    }
}

/// A monitoring port.
#[derive(Clone)]
pub struct Server {
    monitor: Arc<Monitor>,
    base: Arc<str>,
    tls: Option<PortTls>,
    limits: Limits,
}

impl Server {
    /// A port that answers under the configured base path, over TLS if given.
    pub fn new(
        monitor: Arc<Monitor>,
        http_base_path: &str,
        tls: Option<PortTls>,
        limits: Limits,
    ) -> Self {
        Server {
            monitor,
            base: base_path(http_base_path).into(),
            tls,
            limits,
        }
    }

    /// Accepts until `shutdown` ends; `spawn` starts a task for each connection.
    pub async fn run(
        self,
        listener: TcpListener,
        spawn: impl Fn(Task),
        shutdown: impl Future<Output = ()>,
    ) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = async {
                // The semaphore is never closed, so a place comes in the end.
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                // Both arms may be dropped at any await: a place goes back, a connection
                // not yet accepted stays with the kernel.
                accepted = accepted => accepted,
                () = &mut shutdown => return,
            };
            match accepted {
                Ok((socket, peer)) => {
                    let server = self.clone();
                    spawn(Box::pin(async move {
                        server.serve_socket(socket, peer).await;
                        drop(place);
                    }));
                }
                Err(err) => {
                    tracing::warn!(%err, "accept monitoring connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn serve_socket(&self, socket: TcpStream, peer: SocketAddr) {
        let Some(tls) = &self.tls else {
            return self.serve(socket).await;
        };
        let handshake = tls.read().accept(socket);
        match tokio::time::timeout(self.limits.head_time, handshake).await {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(err)) => tracing::debug!(%peer, %err, "monitoring TLS handshake"),
            Err(_) => tracing::debug!(%peer, "monitoring TLS handshake took too long"),
        }
    }

    /// Serves one connection to its end.
    pub async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin>(&self, stream: S) {
        let service = service_fn(|request: Request<Incoming>| async move {
            let uri = request.uri();
            let query = uri.query().unwrap_or_default();
            let reply = respond(&self.monitor, &self.base, uri.path(), query).await;
            Ok::<_, Infallible>(into_response(reply))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_time)
            .max_buf_size(self.limits.head_bytes)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let mut ended = tokio::time::timeout(self.limits.connection_time, &mut connection).await;
        if ended.is_err() {
            // The reply under way may still be taken; no further request is read.
            connection.as_mut().graceful_shutdown();
            ended = tokio::time::timeout(self.limits.head_time, connection).await;
        }
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(err)) => tracing::debug!(%err, "monitoring connection"),
            Err(_) => tracing::debug!("monitoring connection took too long"),
        }
    }
}

fn into_response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(reply.body));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(reply.content_type),
    );
    if reply.cors {
        let anybody = HeaderValue::from_static("*");
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anybody);
    }
    if reply.no_sniff {
        let no_sniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, no_sniff);
    }
    if let Some(location) = reply.location {
        // The path came in a valid request line; what is no header value is left out.
        if let Ok(location) = HeaderValue::from_str(&location) {
            headers.insert(header::LOCATION, location);
        }
    }
    response
}

#[cfg(test)]
mod tests;

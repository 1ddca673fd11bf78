//! Sockets: the one place that opens them, and the seam the rest holds them by.
//!
//! A [`Wire`] is a byte stream to a peer. TCP is special: any thread may write to it in
//! place, so its writer is shared. Everything else (TLS, frames) is written by its owner
//! only, who is woken when there is something to write.
//!
//! Absent: what is said over the wire, and when to give up on it.
#![allow(clippy::disallowed_methods, reason = "the one opener of sockets")]

pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A byte stream that only its owner may touch.
pub trait OwnedWire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> OwnedWire for T {}

/// A byte stream to a peer.
pub enum Wire {
    /// Written in place by any thread.
    Tcp(TcpStream),
    /// Written by its owner.
    Owned(Box<dyn OwnedWire>),
}

impl Wire {
    /// The owner's half and the shared half.
    pub fn split(self) -> (Reader, Writer) {
        match self {
            Wire::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (Reader::Tcp(read), Writer::Tcp(write))
            }
            Wire::Owned(wire) => (Reader::Owned(wire), Writer::Owner),
        }
    }
}

/// The owner's half of a wire.
pub enum Reader {
    /// Reads only.
    Tcp(OwnedReadHalf),
    /// Reads and writes.
    Owned(Box<dyn OwnedWire>),
}

impl Reader {
    /// Reads once into `buf`; nothing read means the peer closed its side.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Reader::Tcp(half) => Pin::new(half).poll_read(cx, buf),
            Reader::Owned(wire) => Pin::new(wire.as_mut()).poll_read(cx, buf),
        }
    }

    /// Ready when the socket takes bytes again. An owned wire is always asked directly.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Reader::Tcp(half) => half.as_ref().poll_write_ready(cx),
            Reader::Owned(_) => Poll::Ready(Ok(())),
        }
    }
}

/// A TCP stream that belongs to no thread: on its way from one to another.
#[derive(Debug)]
pub struct Loose(std::net::TcpStream);

impl Loose {
    /// Takes a stream off the calling thread. It is closed if that fails.
    ///
    /// # Errors
    /// When the halves are not of one stream, or what the operating system says.
    pub fn of(reader: Reader, writer: OwnedWriteHalf) -> io::Result<Loose> {
        let Reader::Tcp(reader) = reader else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let stream = reader.reunite(writer).map_err(io::Error::other)?;
        stream.into_std().map(Loose)
    }

    /// Puts it on the calling thread, whose runtime has to be asked before it reads or writes.
    ///
    /// # Errors
    /// What the operating system says; the stream is closed.
    pub fn fasten(self) -> io::Result<(Reader, Writer)> {
        let stream = TcpStream::from_std(self.0)?;
        Ok(Wire::Tcp(stream).split())
    }
}

/// The shared half of a wire.
#[derive(Debug)]
pub enum Writer {
    /// Written in place.
    Tcp(OwnedWriteHalf),
    /// The owner writes.
    Owner,
}

/// Listens on `address` (port 0: any free one).
///
/// # Errors
/// What the operating system says: address in use, not ours, not permitted.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 4096;
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

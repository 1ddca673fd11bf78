//! Links whose wire belongs to their owner.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Context;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;

/// A wire that takes everything but may hold it back.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    writes: usize,
    flushes: usize,
    is_stuck: bool,
}

impl AsyncRead for Held {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes += 1;
        self.bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes += 1;
        if self.is_stuck {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn link() -> Arc<Link> {
    let options = WriteOptions {
        pending_max: 1 << 20,
        total: Arc::new(PendingTotal::new(1 << 20)),
    };
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    Link::new(ConnId(1), Kind::Client, peer, Writer::Owner, options)
}

#[test]
fn a_batch_is_one_write_and_one_flush_of_an_owned_wire() {
    let (link, mut wire) = (link(), Held::default());
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..100 {
        link.send(b"PONG\r\n");
    }
    assert!(link.poll_write_owned(&mut cx, &mut wire).is_ready());
    assert_eq!(wire.bytes, b"PONG\r\n".repeat(100));
    assert_eq!((wire.writes, wire.flushes), (1, 1));
}

#[test]
fn bytes_that_an_owned_wire_holds_are_work_for_the_owner() {
    let (link, mut wire) = (link(), Held::default());
    let mut cx = Context::from_waker(Waker::noop());
    let is_pending = || link.register(Waker::noop()).pending;
    wire.is_stuck = true;
    link.send(b"PONG\r\n");
    assert!(is_pending());
    assert!(link.poll_write_owned(&mut cx, &mut wire).is_pending());
    assert!(is_pending(), "the socket has not got them");
    wire.is_stuck = false;
    assert!(link.poll_write_owned(&mut cx, &mut wire).is_ready());
    assert!(!is_pending());
}

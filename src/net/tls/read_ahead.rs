//! Fewer and larger reads under TLS.
//!
//! The library asks for four kilobytes at a time, a quarter of a full record; here the
//! socket is asked for many records at once, and what is too much waits. The buffer belongs
//! to the thread while nothing waits in it, so an idle link holds none.
//!
//! Invariant: bytes come out in the order in which they came in, each once.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Four full records.
const BUFFER_BYTES: usize = 64 * 1024;

thread_local! {
    /// A buffer that nobody uses now.
    static SPARE: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// A stream that is read in large pieces.
pub(super) struct ReadAhead<S> {
    stream: S,
    /// What was read and not yet given out stands from `begin` to `end`.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

impl<S> ReadAhead<S> {
    pub(super) const fn new(stream: S) -> Self {
        ReadAhead {
            stream,
            buffer: Vec::new(),
            begin: 0,
            end: 0,
        }
    }

    fn give_out(&mut self, out: &mut ReadBuf<'_>) {
        let count = out.remaining().min(self.end - self.begin);
        out.put_slice(&self.buffer[self.begin..self.begin + count]);
        self.begin += count;
        if self.begin == self.end {
            let buffer = std::mem::take(&mut self.buffer);
            SPARE.with_borrow_mut(|spare| *spare = Some(buffer));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.begin == this.end {
            let spare = SPARE.with_borrow_mut(Option::take);
            let mut buffer = spare.unwrap_or_else(|| vec![0; BUFFER_BYTES]);
            let mut read = ReadBuf::new(&mut buffer);
            let polled = Pin::new(&mut this.stream).poll_read(cx, &mut read);
            let end = read.filled().len();
            if end == 0 {
                SPARE.with_borrow_mut(|spare| *spare = Some(buffer));
                return polled;
            }
            ready!(polled)?;
            (this.buffer, this.begin, this.end) = (buffer, 0, end);
        }
        this.give_out(out);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::proptest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Everything written comes out, whatever the sizes of writes and reads.
    async fn check(writes: &[usize], reads: &[usize]) {
        let (mut there, here) = duplex(3 * BUFFER_BYTES);
        let mut here = ReadAhead::new(here);
        let mut expected = Vec::new();
        let mut found = Vec::new();
        for (write, read) in writes.iter().zip(reads.iter().cycle()) {
            let bytes: Vec<u8> = (0..*write).map(|n| (n + expected.len()) as u8).collect();
            there.write_all(&bytes).await.expect("there is room");
            expected.extend(bytes);
            let mut out = vec![0; *read];
            let count = here.read(&mut out).await.expect("read");
            found.extend(&out[..count]);
        }
        drop(there);
        here.read_to_end(&mut found).await.expect("read");
        assert!(found == expected);
        assert!(here.buffer.is_empty(), "an idle stream holds no buffer");
    }

    proptest! {
        #[test]
        fn bytes_keep_their_order(
            writes in vec(1..30_000_usize, 1..6),
            reads in vec(1..70_000_usize, 1..6),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(check(&writes, &reads));
        }
    }
}

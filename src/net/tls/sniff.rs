//! Does the peer begin a TLS handshake? A look at its first byte, which stays in the socket.

use std::time::Duration;

use tokio::net::TcpStream;

/// The first byte of every TLS handshake; no operation of the NATS protocol begins with it.
const HANDSHAKE: u8 = 0x16;

/// What a peer began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// A TLS handshake.
    Tls,
    /// Something else, or the end of the stream.
    Other,
    /// It said nothing in time.
    Nothing,
}

/// Waits for the first byte, `wait` at the longest, and takes nothing.
pub async fn sniff(stream: &TcpStream, wait: Option<Duration>) -> First {
    let peek = async {
        let mut byte = [0];
        match stream.peek(&mut byte).await {
            Ok(1) if byte[0] == HANDSHAKE => First::Tls,
            _ => First::Other,
        }
    };
    match wait {
        None => peek.await,
        Some(wait) => tokio::time::timeout(wait, peek)
            .await
            .unwrap_or(First::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::testing::pair;
    use super::*;

    async fn check(sent: Option<&[u8]>, wait: u64, expected: First) {
        let (mut here, mut there) = pair().await;
        if let Some(sent) = sent {
            there.write_all(sent).await.expect("sent");
            there.shutdown().await.expect("shut down");
        }
        let found = sniff(&here, Some(Duration::from_millis(wait))).await;
        assert_eq!(found, expected, "{sent:?}");
        if let Some(sent) = sent {
            let mut read = Vec::new();
            here.read_to_end(&mut read).await.expect("read");
            assert_eq!(read, sent, "nothing is taken");
        }
    }

    #[tokio::test]
    async fn the_first_byte_tells() {
        check(Some(b"\x16\x03"), 5000, First::Tls).await;
        check(Some(b"CONNECT"), 5000, First::Other).await;
        check(Some(b""), 5000, First::Other).await;
        check(None, 1, First::Nothing).await;
    }
}

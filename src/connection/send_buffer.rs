//! How much the system holds for a peer that does not keep up.
//!
//! Left alone, Linux lets the send buffer of a busy link grow to 4 MiB. Whoever writes fills it
//! while the peer waits for its turn on the processor; by then the bytes have left the caches,
//! and both sides work at the speed of memory. Less is enough where the way is short. Where it
//! is long the system has to hold what is under way, and is left alone.
//!
//! Invariant: a link whose peer has never answered within 4 ms keeps the system's choice.
//! Absent: links that only their owner writes to (TLS).

use std::time::Duration;

use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::TcpStream;

/// A peer that answers within this time is near.
const NEAR: Duration = Duration::from_millis(4);
/// What is asked for; Linux makes it twice as much. Half a mebibyte under way is 128 MB/s at
/// `NEAR`, a gigabyte a second at half a millisecond.
const BYTES: usize = 256 * 1024;

/// The send buffer of one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendBuffer {
    /// As large as the system thinks right.
    #[default]
    System,
    /// The peer is near: bounded from when it falls behind.
    Near,
    /// Bounded.
    Bounded,
}

impl SendBuffer {
    /// The peer has answered within `round_trip`.
    pub fn note_round_trip(&mut self, round_trip: Duration) {
        if round_trip <= NEAR && *self == SendBuffer::System {
            *self = SendBuffer::Near;
        }
    }

    /// The peer has fallen behind; whether its buffer is to be [`bound`] now.
    pub fn fell_behind(&mut self) -> bool {
        let is_near = *self == SendBuffer::Near;
        if is_near {
            *self = SendBuffer::Bounded;
        }
        is_near
    }
}

/// Bounds the send buffer of a socket.
pub fn bound(socket: &TcpStream) {
    // A system that refuses keeps its own choice.
    let _ = set_socket_send_buffer_size(socket, BYTES);
}

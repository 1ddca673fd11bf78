//! Bytes and life of any link: reading, bounded writing, closing.
//!
//! Separate from the fronts because routes, leafnodes and clients share it. A [`link::Link`]
//! is the half that others hold: they append to it and flush it in place, from any thread.
//! The other half is the link's own task ([`driver::drive`]), which reads, keeps time and
//! writes what an in-place flush could not.
//!
//! Invariants: bytes leave in the order they were appended; a link never holds more than
//! `pending_max` bytes; no lock is held across a system call; an idle link holds no buffer;
//! a closed link holds neither buffer nor socket. Absent: what the bytes mean.

pub mod close;
pub mod driver;
pub mod due;
pub mod guest;
pub mod id;
pub mod link;
pub mod lookout;
pub mod outbound;
pub mod pending;
pub mod pool;
pub mod registry;
pub mod resident;
pub mod room;
pub mod send_buffer;

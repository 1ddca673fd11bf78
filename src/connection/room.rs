//! The thread's read buffers, lent to what it delivers.
//!
//! A link reads into the room of its thread. While its session looks at what came in, a
//! large body may be queued as a slice of the room instead of a copy: it is written at the
//! end of the same turn, and what the socket does not take then is copied before it waits.
//! So the room is mostly free again for the next read; where another thread is still
//! writing from it, the thread reads into another one meanwhile.
//!
//! Invariants: a room that is handed out is referred to by nobody else; a thread keeps at
//! most `LENT_MAX` rooms that are still lent, others are freed by their last slice.
//! Absent: what is read, and who may hold a slice for how long (`link`).

use std::cell::{Cell, RefCell};

use bytes::{Bytes, BytesMut};

/// Room for one read.
pub const ROOM_BYTES: usize = 128 * 1024;
/// Rooms that a thread waits for to come back.
const LENT_MAX: usize = 3;

thread_local! {
    static FREE: Cell<Option<BytesMut>> = const { Cell::new(None) };
    static LENT: RefCell<Vec<Bytes>> = const { RefCell::new(Vec::new()) };
    static SHOWN: RefCell<Bytes> = const { RefCell::new(Bytes::new()) };
}

/// A room of `ROOM_BYTES`, with whatever was in it.
pub fn take() -> BytesMut {
    FREE.take()
        .or_else(returned)
        .unwrap_or_else(|| BytesMut::zeroed(ROOM_BYTES))
}

/// A room whose last slice has gone meanwhile.
fn returned() -> Option<BytesMut> {
    LENT.with_borrow_mut(|lent| {
        let free = lent.iter().position(Bytes::is_unique)?;
        lent.swap_remove(free).try_into_mut().ok()
    })
}

/// Takes a room back that nothing was read into.
pub fn give(room: BytesMut) {
    FREE.set(Some(room));
}

/// Shows the first `len` bytes of `room`, which may be lent meanwhile, and takes it back.
pub fn lend(room: BytesMut, len: usize, look: impl FnOnce(&[u8])) {
    match show(room.freeze(), |bytes| look(&bytes[..len])).try_into_mut() {
        Ok(room) => give(room),
        Err(room) => LENT.with_borrow_mut(|lent| {
            if lent.len() < LENT_MAX {
                lent.push(room);
            }
        }),
    }
}

/// Shows `bytes`, slices of which may be taken meanwhile.
pub fn show(bytes: Bytes, look: impl FnOnce(&[u8])) -> Bytes {
    SHOWN.set(bytes);
    SHOWN.with_borrow(|bytes| look(bytes));
    SHOWN.take()
}

/// `body` and the CRLF behind it by reference, if both stand in what is shown.
pub fn slice_of(body: &[u8]) -> Option<Bytes> {
    SHOWN.with_borrow(|shown| {
        let start = body.as_ptr().addr().checked_sub(shown.as_ptr().addr())?;
        let end = start.checked_add(body.len())?;
        let is_line = shown.get(end..end.checked_add(2)?)? == b"\r\n";
        is_line.then(|| shown.slice(start..end + 2))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(bytes: &[u8]) -> BytesMut {
        let mut room = take();
        room[..bytes.len()].copy_from_slice(bytes);
        room
    }

    #[test]
    fn a_body_that_is_shown_is_lent_with_the_end_of_its_line() {
        let mut slice = None;
        lend(filled(b"abc\r\ndef"), 8, |data| {
            assert_eq!(slice_of(&data[5..8]), None, "no line ends there");
            assert_eq!(slice_of(b"abc"), None, "a copy stands elsewhere");
            slice = slice_of(&data[..3]);
        });
        assert_eq!(slice.as_deref(), Some(&b"abc\r\n"[..]));
        assert_eq!(
            slice_of(&slice.expect("lent")[..3]),
            None,
            "no longer shown"
        );
    }

    #[test]
    fn a_lent_room_is_not_read_into_and_comes_back() {
        let mut slices = Vec::new();
        for turn in 0..2 * LENT_MAX as u8 {
            lend(filled(&[turn, b'\r', b'\n']), 3, |data| {
                slices.extend(slice_of(&data[..1]));
            });
        }
        for (turn, slice) in slices.iter().enumerate() {
            assert_eq!(slice[..], [turn as u8, b'\r', b'\n']);
        }
        assert_eq!(LENT.with_borrow(Vec::len), LENT_MAX);
        let first = slices[0].as_ptr();
        slices.clear();
        let rooms: Vec<_> = (0..LENT_MAX).map(|_| take()).collect();
        assert!(rooms.iter().any(|room| room.as_ptr() == first));
        assert!(rooms.iter().all(|room| room.len() == ROOM_BYTES));
        assert_eq!(LENT.with_borrow(Vec::len), 0);
    }

    #[test]
    fn a_room_that_nobody_borrowed_is_the_next_one() {
        let room = filled(b"x");
        let at = room.as_ptr();
        lend(room, 1, |_| {});
        assert_eq!(take().as_ptr(), at);
    }
}

//! Will everything fit that was promised? A plan over the segments that are ready.
//!
//! Separate and pure: what was taken over must be writable, also on a full disk, so room is
//! reserved before a write is accepted. The plan is pessimistic: every write is a batch of
//! its own. Batches of several writes take no more pages, and a batch that begins earlier
//! ends earlier, so what the plan can place the writer can place.
//!
//! Invariant: `place` never gives out more than the ready segments hold.

/// What is left, as if everything that waits were already written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes left in the segment that is being filled.
    current: u64,
    /// Segments behind it.
    ready: u64,
    /// The bytes of a segment that may be planned with.
    segment: u64,
}

impl Room {
    /// With this much left of the segment, so many ready ones of `segment` bytes behind it,
    /// and `slack` bytes of each left alone.
    pub const fn new(left: u64, ready: usize, segment: u64, slack: u64) -> Room {
        Room {
            current: left.saturating_sub(slack),
            ready: ready as u64,
            segment: segment.saturating_sub(slack),
        }
    }

    /// Another segment is ready.
    pub const fn add_segment(&mut self) {
        self.ready += 1;
    }

    /// The room after a write of so many bytes of pages, if it fits and leaves `reserve`.
    pub const fn place(self, bytes: u64, reserve: u64) -> Option<Room> {
        let mut room = self;
        if bytes <= room.current {
            room.current -= bytes;
        } else if bytes <= room.segment && room.ready > 0 {
            room.ready -= 1;
            room.current = room.segment - bytes;
        } else {
            return None;
        }
        if room.current + room.ready * room.segment < reserve {
            return None;
        }
        Some(room)
    }

    /// What a write may take at most.
    pub const fn write_bytes_max(&self) -> u64 {
        self.segment
    }

    /// What entries must leave to votes, purges and rewriting.
    pub const fn reserve(&self) -> u64 {
        self.segment / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_go_to_the_next_segment_when_they_must() {
        let room = Room::new(50, 2, 110, 10);
        let check = |sizes: &[u64], reserve, expected: Option<(u64, u64)>| {
            let mut placed = Some(room);
            for bytes in sizes {
                placed = placed.and_then(|room| room.place(*bytes, reserve));
            }
            let left = placed.map(|room| (room.current, room.ready));
            assert_eq!(left, expected, "{sizes:?} leaving {reserve}");
        };
        check(&[40], 0, Some((0, 2)));
        check(&[41], 0, Some((59, 1)));
        check(&[30, 20, 80], 0, Some((0, 1)));
        check(&[30, 20, 81], 0, Some((19, 0)));
        check(&[100, 100], 0, Some((0, 0)));
        check(&[100, 100, 1], 0, None);
        check(&[101], 0, None);
        check(&[40, 100], 100, Some((0, 1)));
        check(&[40, 100, 1], 100, None);
    }
}

//! The sizes of the messages that were appended last.
//!
//! Separate because they spare a read: a key that is written again removes its value of
//! before, whose subject is known and whose place in the figures is all that is needed.
//! Noted only for streams that remove so, and given back when the stream rests.

use std::collections::VecDeque;

use crate::store::message::Seq;

/// Messages whose sizes are known, at most: 256 KiB.
const MESSAGES_MAX: usize = 32 * 1024;

/// The sizes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of its record.
    pub record: u32,
    /// Bytes as a stream counts them.
    pub counted: u32,
}

/// Sizes of consecutive messages, up to the last one.
#[derive(Debug, Default)]
pub struct Recent {
    is_wanted: bool,
    first: u64,
    sizes: VecDeque<Sizes>,
}

impl Recent {
    /// Takes down what was appended, if that is wanted.
    pub fn note(&mut self, seq: Seq, record: usize, counted: u64) {
        if !self.is_wanted {
            return;
        }
        let (Ok(record), Ok(counted)) = (u32::try_from(record), u32::try_from(counted)) else {
            return self.sizes.clear();
        };
        if seq.0 != self.first + self.sizes.len() as u64 {
            self.sizes.clear();
            self.first = seq.0;
        }
        if self.sizes.len() == MESSAGES_MAX {
            self.sizes.pop_front();
            self.first += 1;
        }
        self.sizes.push_back(Sizes { record, counted });
    }

    /// The sizes of a message. Once asked for one, all are noted.
    pub fn get(&mut self, seq: Seq) -> Option<Sizes> {
        self.is_wanted = true;
        let at = usize::try_from(seq.0.checked_sub(self.first)?).ok()?;
        self.sizes.get(at).copied()
    }

    /// Gives all memory back.
    pub fn rest(&mut self) {
        *self = Recent::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(record: u32) -> Option<Sizes> {
        let counted = record - 2;
        Some(Sizes { record, counted })
    }

    #[test]
    fn sizes_are_known_once_they_are_wanted() {
        let mut recent = Recent::default();
        recent.note(Seq(1), 40, 38);
        assert_eq!(recent.get(Seq(1)), None);
        recent.note(Seq(2), 50, 48);
        recent.note(Seq(3), 60, 58);
        assert_eq!(recent.get(Seq(1)), None);
        assert_eq!(recent.get(Seq(2)), sizes(50));
        assert_eq!(recent.get(Seq(3)), sizes(60));
        assert_eq!(recent.get(Seq(4)), None);
    }

    #[test]
    fn a_gap_begins_anew_and_the_oldest_are_forgotten() {
        let mut recent = Recent::default();
        recent.get(Seq(0));
        recent.note(Seq(5), 40, 38);
        recent.note(Seq(9), 50, 48);
        assert_eq!((recent.get(Seq(5)), recent.get(Seq(9))), (None, sizes(50)));
        for seq in 10..10 + MESSAGES_MAX as u64 {
            recent.note(Seq(seq), 60, 58);
        }
        assert_eq!((recent.get(Seq(9)), recent.get(Seq(10))), (None, sizes(60)));
        recent.note(Seq(10 + MESSAGES_MAX as u64), usize::MAX, 1);
        assert_eq!(recent.get(Seq(10)), None, "too large to be noted");
    }
}

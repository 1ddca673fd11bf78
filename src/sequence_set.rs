//! Sets of sequences: deleted messages, acknowledgements.
//!
//! Separate because such sets are everywhere streams are, are mostly long runs with few
//! holes, and must stay small with either runs or scattered members.
//!
//! ```text
//!   BTreeMap by first sequence
//!     5 ─► run to 900      1024 ─► bitmap of 1024..2048      3000 ─► run to 4_000_000_000
//! ```
//! A piece is a run of any length, or a bitmap of one aligned window of [`WINDOW`]
//! sequences. A window whose runs would be more than [`RUNS_MAX`] becomes a bitmap; a
//! bitmap that is full or empty goes.
//!
//! Invariants: pieces do not overlap; no run begins inside of a window that has a bitmap;
//! two runs never touch; `len` is the number of members. Equal sets have equal bytes by
//! [`SequenceSet::encode`], however they came about. `u64::MAX` is never a member.

use std::collections::BTreeMap;
use std::ops::Range;

/// Sequences in one bitmap.
pub const WINDOW: u64 = 1024;
/// The most runs that may begin in one window.
pub const RUNS_MAX: usize = 6;
const WORDS: usize = (WINDOW / 64) as usize;

/// A set of sequences.
#[derive(Clone, Debug, Default)]
pub struct SequenceSet {
    pieces: BTreeMap<u64, Piece>,
    len: u64,
}

#[derive(Clone, Debug)]
enum Piece {
    /// Up to here, exclusive.
    Run(u64),
    /// A window.
    Bitmap(Box<[u64; WORDS]>),
}

/// Bytes that are no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a set of sequences")]
pub struct DecodeError;

impl SequenceSet {
    /// The empty set.
    pub const fn new() -> Self {
        SequenceSet {
            pieces: BTreeMap::new(),
            len: 0,
        }
    }

    /// The number of members.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// There is no member.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The smallest member.
    pub fn min(&self) -> Option<u64> {
        self.runs_from(0).next().map(|run| run.start)
    }

    /// The largest member.
    pub fn max(&self) -> Option<u64> {
        let (start, piece) = self.pieces.last_key_value()?;
        match piece {
            Piece::Run(end) => Some(end - 1),
            Piece::Bitmap(words) => {
                let word = words.iter().rposition(|word| *word != 0)?;
                let bit = 63 - u64::from(words[word].leading_zeros());
                Some(start + word as u64 * 64 + bit)
            }
        }
    }

    /// Whether `seq` is a member.
    pub fn contains(&self, seq: u64) -> bool {
        match self.piece_at(seq) {
            Some((_, Piece::Run(_))) => true,
            Some((start, Piece::Bitmap(words))) => has(words, seq - start),
            None => false,
        }
    }

    /// Adds `seq`; whether it was not there.
    pub fn insert(&mut self, seq: u64) -> bool {
        let before = self.len;
        self.insert_range(seq..seq.saturating_add(1));
        self.len > before
    }

    /// Adds all of the range.
    pub fn insert_range(&mut self, range: Range<u64>) {
        let Range { mut start, end } = range;
        // The parts that fall into bitmaps go there, the rest become runs.
        while start < end {
            if let Some((base, Piece::Bitmap(_))) = self.piece_at(start) {
                let stop = end.min(window_end(base));
                self.fill(base, start, stop);
                start = stop;
            } else {
                let mut bitmaps = self.pieces.range(start..end);
                let bitmap = bitmaps.find(|(_, piece)| matches!(piece, Piece::Bitmap(_)));
                match bitmap.map(|(base, _)| *base) {
                    // A window wholly inside needs no bitmap any more.
                    Some(base) if window_end(base) <= end => {
                        if let Some(Piece::Bitmap(words)) = self.pieces.remove(&base) {
                            self.len -= ones(&words);
                        }
                    }
                    Some(base) => {
                        self.insert_run(start, base);
                        start = base;
                    }
                    None => {
                        self.insert_run(start, end);
                        start = end;
                    }
                }
            }
        }
    }

    /// Takes `seq` out; whether it was there.
    pub fn remove(&mut self, seq: u64) -> bool {
        let before = self.len;
        self.remove_range(seq..seq.saturating_add(1));
        self.len < before
    }

    /// Takes all of the range out.
    pub fn remove_range(&mut self, range: Range<u64>) {
        let Range { start, end } = range;
        if start >= end {
            return;
        }
        let mut at = start;
        while at < end {
            let found = match self.piece_at(at) {
                Some((base, _)) => Some(base),
                None => self.pieces.range(at..end).next().map(|(base, _)| *base),
            };
            let Some(base) = found else { break };
            let Some(piece) = self.pieces.remove(&base) else {
                break;
            };
            let from = at.max(base);
            match piece {
                Piece::Run(last) => {
                    let stop = end.min(last);
                    self.len -= stop - from;
                    if base < from {
                        self.pieces.insert(base, Piece::Run(from));
                    }
                    if stop < last {
                        self.pieces.insert(stop, Piece::Run(last));
                        self.thicken(stop);
                    }
                    at = stop;
                }
                Piece::Bitmap(mut words) => {
                    let stop = end.min(window_end(base));
                    self.len -= ones(&words);
                    for bit in from - base..stop - base {
                        words[(bit / 64) as usize] &= !(1 << (bit % 64));
                    }
                    let left = ones(&words);
                    self.len += left;
                    if left > 0 {
                        self.pieces.insert(base, Piece::Bitmap(words));
                    }
                    at = stop;
                }
            }
        }
    }

    /// Takes all members below `seq` out.
    pub fn remove_below(&mut self, seq: u64) {
        while let Some((start, piece)) = self.pieces.first_key_value() {
            let start = *start;
            let end = match piece {
                Piece::Run(end) => *end,
                Piece::Bitmap(_) => window_end(start),
            };
            if start >= seq {
                return;
            }
            self.remove_range(start..end.min(seq));
            if end > seq {
                return;
            }
        }
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.len = 0;
    }

    /// The members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.iter_from(0)
    }

    /// The members at or after `from`, ascending.
    pub fn iter_from(&self, from: u64) -> impl Iterator<Item = u64> + '_ {
        self.runs_from(from).flatten()
    }

    /// The longest runs of members, ascending; the first is cut to begin at `from`.
    pub fn runs_from(&self, from: u64) -> Runs<'_> {
        let inside = self.piece_at(from).map_or(from, |(start, _)| start);
        Runs {
            pieces: self.pieces.range(inside..),
            window: None,
            from,
            ready: None,
        }
    }

    /// The first sequence at or after `from` that is no member.
    pub fn next_absent(&self, from: u64) -> u64 {
        match self.runs_from(from).next() {
            Some(run) if run.start == from => run.end,
            _ => from,
        }
    }

    /// The last sequence at or before `from` that is no member; none if all are.
    pub fn prev_absent(&self, from: u64) -> Option<u64> {
        let mut at = from;
        loop {
            match self.piece_at(at) {
                None => return Some(at),
                Some((start, Piece::Run(_))) => at = start.checked_sub(1)?,
                Some((start, Piece::Bitmap(words))) => {
                    let mut bit = at - start;
                    while has(words, bit) {
                        if bit == 0 {
                            break;
                        }
                        bit -= 1;
                    }
                    if !has(words, bit) {
                        return Some(start + bit);
                    }
                    at = start.checked_sub(1)?;
                }
            }
        }
    }

    /// How many members lie in the range.
    pub fn count_in(&self, range: Range<u64>) -> u64 {
        if range.start >= range.end {
            return 0;
        }
        let runs = self.runs_from(range.start);
        runs.take_while(|run| run.start < range.end)
            .map(|run| run.end.min(range.end) - run.start)
            .sum()
    }

    /// Appends the set as bytes: pairs of gap and length, as LEB128 numbers, behind their
    /// number.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.runs_from(0).count() as u64);
        let mut at = 0;
        for run in self.runs_from(0) {
            put_number(out, run.start - at);
            put_number(out, run.end - run.start);
            at = run.end;
        }
    }

    /// The inverse of [`SequenceSet::encode`]; `bytes` is left behind the set.
    ///
    /// # Errors
    /// When the bytes are not such a set; nothing is reserved for what is not there.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let mut set = SequenceSet::new();
        let mut at = 0u64;
        for run in 0..take_number(bytes)? {
            let gap = take_number(bytes)?;
            let len = take_number(bytes)?;
            let start = at.checked_add(gap).ok_or(DecodeError)?;
            let end = start.checked_add(len).ok_or(DecodeError)?;
            if len == 0 || (gap == 0 && run > 0) {
                return Err(DecodeError);
            }
            set.insert_range(start..end);
            at = end;
        }
        Ok(set)
    }

    /// The piece whose extent holds `seq`, and where it begins.
    fn piece_at(&self, seq: u64) -> Option<(u64, &Piece)> {
        let (start, piece) = self.pieces.range(..=seq).next_back()?;
        let end = match piece {
            Piece::Run(end) => *end,
            Piece::Bitmap(_) => window_end(*start),
        };
        (seq < end).then_some((*start, piece))
    }

    /// Sets the bits of a bitmap; a full one becomes a run.
    fn fill(&mut self, base: u64, start: u64, end: u64) {
        let Some(Piece::Bitmap(words)) = self.pieces.get_mut(&base) else {
            return;
        };
        self.len -= ones(words);
        for bit in start - base..end - base {
            words[(bit / 64) as usize] |= 1 << (bit % 64);
        }
        let filled = ones(words);
        if filled == WINDOW {
            self.pieces.remove(&base);
            self.insert_run(base, window_end(base));
        } else {
            self.len += filled;
        }
    }

    /// Adds a run where no bitmap is, joining those it touches.
    fn insert_run(&mut self, mut start: u64, mut end: u64) {
        if let Some((first, Piece::Run(last))) = self.pieces.range_mut(..=start).next_back()
            && *last >= start
        {
            if *last >= end {
                return;
            }
            // Mostly at the end of the set: what grows is the last run.
            self.len -= *last - *first;
            start = *first;
            self.pieces.remove(&start);
        }
        while let Some((first, Piece::Run(last))) = self.pieces.range(start..=end).next() {
            let (first, last) = (*first, *last);
            self.len -= last - first;
            end = end.max(last);
            self.pieces.remove(&first);
        }
        self.len += end - start;
        self.pieces.insert(start, Piece::Run(end));
        self.thicken(start);
    }

    /// Makes a bitmap of the window of `seq` if too many runs begin there.
    fn thicken(&mut self, seq: u64) {
        let base = seq - seq % WINDOW;
        let Some(end) = base.checked_add(WINDOW) else {
            return;
        };
        if self.pieces.range(base..end).count() <= RUNS_MAX {
            return;
        }
        let mut words = Box::new([0u64; WORDS]);
        let mut reach = base;
        if let Some((_, Piece::Run(last))) = self.pieces.range_mut(..base).next_back()
            && *last > base
        {
            reach = *last;
            *last = base;
        }
        let mut behind = None;
        let mut set = |start: u64, stop: u64| {
            if stop > end {
                behind = Some(stop);
            }
            for bit in start - base..stop.min(end) - base {
                words[(bit / 64) as usize] |= 1 << (bit % 64);
            }
        };
        set(base, reach);
        while let Some((&start, &Piece::Run(stop))) = self.pieces.range(base..end).next() {
            set(start, stop);
            self.pieces.remove(&start);
        }
        self.pieces.insert(base, Piece::Bitmap(words));
        if let Some(stop) = behind {
            self.pieces.insert(end, Piece::Run(stop));
        }
    }
}

impl PartialEq for SequenceSet {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.runs_from(0).eq(other.runs_from(0))
    }
}

impl Eq for SequenceSet {}

impl FromIterator<u64> for SequenceSet {
    fn from_iter<I: IntoIterator<Item = u64>>(members: I) -> Self {
        let mut set = SequenceSet::new();
        for seq in members {
            set.insert(seq);
        }
        set
    }
}

/// The runs of a set, ascending; each as long as it can be.
#[derive(Clone)]
pub struct Runs<'a> {
    pieces: std::collections::btree_map::Range<'a, u64, Piece>,
    /// The bitmap being read, where it begins and the next bit.
    window: Option<(&'a [u64; WORDS], u64, u64)>,
    from: u64,
    /// A run that may still grow.
    ready: Option<Range<u64>>,
}

impl Runs<'_> {
    /// The next run as the pieces have it, which may touch the one before.
    fn piece(&mut self) -> Option<Range<u64>> {
        loop {
            if let Some((words, base, bit)) = self.window {
                let start = next_bit(words, bit, true);
                if start < WINDOW {
                    let end = next_bit(words, start, false);
                    self.window = Some((words, base, end));
                    return Some(base + start..base + end);
                }
                self.window = None;
            }
            match self.pieces.next()? {
                (start, Piece::Run(end)) => return Some((*start).max(self.from)..*end),
                (base, Piece::Bitmap(words)) => {
                    let bit = self.from.saturating_sub(*base).min(WINDOW);
                    self.window = Some((words, *base, bit));
                }
            }
        }
    }
}

impl Iterator for Runs<'_> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let mut run = match self.ready.take() {
            Some(run) => run,
            None => self.piece()?,
        };
        while let Some(more) = self.piece() {
            if more.start != run.end {
                self.ready = Some(more);
                break;
            }
            run.end = more.end;
        }
        Some(run)
    }
}

/// The first bit at or after `from` that is `set`; [`WINDOW`] if there is none.
fn next_bit(words: &[u64; WORDS], from: u64, set: bool) -> u64 {
    let mut bit = from;
    while bit < WINDOW {
        let word = words[(bit / 64) as usize];
        let word = if set { word } else { !word } >> (bit % 64);
        if word != 0 {
            return bit + u64::from(word.trailing_zeros());
        }
        bit = (bit / 64 + 1) * 64;
    }
    WINDOW
}

fn has(words: &[u64; WORDS], bit: u64) -> bool {
    words[(bit / 64) as usize] & (1 << (bit % 64)) != 0
}

fn ones(words: &[u64; WORDS]) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}

/// Where the window that begins at `base` ends; bitmaps never reach the end of numbers.
fn window_end(base: u64) -> u64 {
    base.saturating_add(WINDOW)
}

/// Appends a number as LEB128: seven bits a byte, the lowest first.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The inverse of [`put_number`].
///
/// # Errors
/// When the bytes end within the number or it does not fit.
pub fn take_number(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(DecodeError)?;
        *bytes = rest;
        let low = u64::from(byte & 0x7f);
        if shift == 63 && low > 1 {
            return Err(DecodeError);
        }
        number |= low << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(DecodeError)
}

#[cfg(test)]
mod tests;

//! A sorted run of subjects with their values, packed.
//!
//! Separate because the packing is all there is to it: `bytes` is the prefix that all
//! subjects share, then what follows it of each, in order; `ends` tells where each ends.
//!
//! Invariants: subjects ascend strictly; `ends` and `values` have one element per subject.

/// A sorted run of subjects with their values.
#[derive(Clone, Debug)]
pub(super) struct Chunk<V> {
    bytes: Vec<u8>,
    prefix: u32,
    ends: Vec<u32>,
    values: Vec<V>,
}

impl<V> Default for Chunk<V> {
    fn default() -> Self {
        Chunk {
            bytes: Vec::new(),
            prefix: 0,
            ends: Vec::new(),
            values: Vec::new(),
        }
    }
}

/// How many elements a full vector grows by.
const GROW: usize = 8;

impl<V> Chunk<V> {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn value(&self, at: usize) -> &V {
        &self.values[at]
    }

    pub(super) fn value_mut(&mut self, at: usize) -> &mut V {
        &mut self.values[at]
    }

    /// Writes the subject at `at` into the buffer, in place of what is there.
    pub(super) fn subject(&self, at: usize, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(self.prefix());
        out.extend_from_slice(self.suffix(at));
    }

    /// Where the subject is, or else where it would be.
    pub(super) fn find(&self, subject: &[u8]) -> Result<usize, usize> {
        let prefix = self.prefix();
        let Some(suffix) = subject.strip_prefix(prefix) else {
            let below = subject < prefix;
            return Err(if below { 0 } else { self.len() });
        };
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            match self.suffix(middle).cmp(suffix) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// Puts a subject in at the place that [`Chunk::find`] told.
    pub(super) fn insert(&mut self, at: usize, subject: &[u8], value: V) {
        let common = shared(self.prefix(), subject);
        if self.len() == 0 {
            self.bytes = subject.to_vec();
            self.prefix = narrow(subject.len());
        } else if common < self.prefix().len() {
            self.set_prefix(common);
        }
        let suffix = &subject[self.prefix as usize..];
        let place = self.start(at);
        if self.bytes.capacity() - self.bytes.len() < suffix.len() {
            self.bytes.reserve_exact(suffix.len() * 4);
        }
        self.bytes.splice(place..place, suffix.iter().copied());
        if self.values.len() == self.values.capacity() {
            self.values.reserve_exact(GROW);
            self.ends.reserve_exact(GROW);
        }
        self.ends.insert(at, narrow(place));
        for end in &mut self.ends[at..] {
            *end += narrow(suffix.len());
        }
        self.values.insert(at, value);
    }

    /// Takes the subject at `at` out.
    pub(super) fn remove(&mut self, at: usize) -> V {
        let (start, end) = (self.start(at), self.ends[at] as usize);
        self.bytes.drain(start..end);
        self.ends.remove(at);
        for later in &mut self.ends[at..] {
            *later -= narrow(end - start);
        }
        self.values.remove(at)
    }

    /// Cuts the chunk: what is at and behind `at` is returned.
    pub(super) fn split(&mut self, at: usize) -> Chunk<V> {
        let start = self.start(at);
        let mut upper = Chunk {
            bytes: [self.prefix(), &self.bytes[start..]].concat(),
            prefix: self.prefix,
            ends: self.ends.split_off(at),
            values: self.values.split_off(at),
        };
        let moved = narrow(start) - self.prefix;
        for end in &mut upper.ends {
            *end -= moved;
        }
        self.bytes.truncate(start);
        for half in [self, &mut upper] {
            half.tighten();
        }
        upper
    }

    /// Makes the prefix as long as it can be and gives spare room back.
    fn tighten(&mut self) {
        if let Some(last) = self.len().checked_sub(1) {
            let more = shared(self.suffix(0), self.suffix(last));
            self.set_prefix(self.prefix as usize + more);
        }
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.values.shrink_to_fit();
    }

    /// Packs the subjects anew; `len` is at most what all of them share.
    fn set_prefix(&mut self, len: usize) {
        let mut packed = Vec::with_capacity(self.bytes.len());
        let mut subject = Vec::new();
        self.subject(0, &mut subject);
        packed.extend_from_slice(&subject[..len]);
        let mut ends = Vec::with_capacity(self.ends.capacity());
        for at in 0..self.len() {
            self.subject(at, &mut subject);
            packed.extend_from_slice(&subject[len..]);
            ends.push(narrow(packed.len()));
        }
        self.bytes = packed;
        self.ends = ends;
        self.prefix = narrow(len);
    }

    fn prefix(&self) -> &[u8] {
        &self.bytes[..self.prefix as usize]
    }

    fn suffix(&self, at: usize) -> &[u8] {
        &self.bytes[self.start(at)..self.ends[at] as usize]
    }

    /// Where the suffix at `at` begins in `bytes`.
    fn start(&self, at: usize) -> usize {
        match at.checked_sub(1) {
            Some(before) => self.ends[before] as usize,
            None => self.prefix as usize,
        }
    }
}

/// How many bytes two subjects share at their beginning.
pub(super) fn shared(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// A length as it is kept; 64 subjects of 64 MiB are more than any connection may send.
fn narrow(len: usize) -> u32 {
    u32::try_from(len).expect("the subjects of a chunk are within 4 GiB")
}

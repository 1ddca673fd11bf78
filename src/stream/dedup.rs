//! Dedup window: knows the `Nats-Msg-Id`s of what was stored recently.
//!
//! Separate from the publish path because its memory must stay bounded on its own, and
//! because publishes and copies both ask it.
//!
//! Invariants: an id is remembered for exactly `window` of *entry* time, whether its
//! message is still there or not; the oldest id leaves first; ids and their bookkeeping
//! take no more than [`BYTES_MAX`], beyond which the oldest is forgotten early. Replicas
//! agree because time comes from the entry. Absent: no clock, no timer; expiry happens
//! when asked.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;

use crate::clock::Timestamp;
use crate::pb::stream as pb;
use crate::state_machine::DecodeError;
use crate::store::message::Seq;

/// What the ids of one stream may take: about six million ids of 22 bytes, which is 50,000
/// a second in a window of two minutes.
pub const BYTES_MAX: usize = 512 << 20;

/// What an id takes beside its own bytes, about.
const ENTRY_BYTES: usize = 64;

/// The ids of one stream.
#[derive(Debug)]
pub struct Dedup {
    /// Nanoseconds; 0: nothing is remembered.
    window: i64,
    seqs: HashMap<Arc<[u8]>, Seq, RandomState>,
    order: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Entry {
    time: Timestamp,
    seq: Seq,
    id: Arc<[u8]>,
}

impl Dedup {
    /// Remembers nothing yet; a window of 0 or less never will.
    pub fn new(window: i64) -> Self {
        Dedup {
            window: window.max(0),
            seqs: HashMap::default(),
            order: VecDeque::new(),
            bytes: 0,
            bytes_max: BYTES_MAX,
        }
    }

    /// Another window; what is too old for it goes, and what was too old for the one before
    /// does not come back.
    pub fn set_window(&mut self, now: Timestamp, window: i64) {
        self.expire(now);
        self.window = window.max(0);
        self.expire(now);
    }

    /// How many ids are remembered.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The message that had this id within the window.
    pub fn find(&mut self, now: Timestamp, id: &[u8]) -> Option<Seq> {
        self.expire(now);
        self.seqs.get(id).copied()
    }

    /// Remembers an id that [`Dedup::find`] did not find at the same `now`.
    pub fn insert(&mut self, now: Timestamp, id: &[u8], seq: Seq) {
        if self.window == 0 {
            return;
        }
        let id: Arc<[u8]> = id.into();
        let known = self.seqs.insert(id.clone(), seq);
        debug_assert!(known.is_none(), "an id is inserted once");
        self.bytes += cost(&id);
        self.order.push_back(Entry { time: now, seq, id });
        while self.bytes > self.bytes_max {
            self.forget_oldest();
        }
    }

    /// Forgets what the window has passed.
    pub fn expire(&mut self, now: Timestamp) {
        while let Some(oldest) = self.order.front()
            && now.unix_nanos().saturating_sub(oldest.time.unix_nanos()) >= self.window
        {
            self.forget_oldest();
        }
        if self.order.is_empty() && self.order.capacity() > 1024 {
            *self = Dedup {
                bytes_max: self.bytes_max,
                ..Dedup::new(self.window)
            };
        }
    }

    /// When everything remembered now may go. Ids that arrive meanwhile push the older ones
    /// out by themselves, so nothing earlier is needed.
    pub fn deadline(&self) -> Option<Timestamp> {
        let newest = self.order.back()?.time.unix_nanos();
        Some(Timestamp::from_unix_nanos(
            newest.saturating_add(self.window),
        ))
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.bytes -= cost(&oldest.id);
            self.seqs.remove(&oldest.id);
        }
    }

    /// The ids for a snapshot.
    pub(super) fn to_pb(&self) -> pb::MessageIds {
        let mut ids = Vec::with_capacity(self.bytes);
        for entry in &self.order {
            ids.extend_from_slice(&entry.id);
        }
        let length = |entry: &Entry| u32::try_from(entry.id.len()).unwrap_or(u32::MAX);
        pb::MessageIds {
            ids: ids.into(),
            lengths: self.order.iter().map(length).collect(),
            seqs: self.order.iter().map(|entry| entry.seq.0).collect(),
            times: self
                .order
                .iter()
                .map(|entry| entry.time.unix_nanos())
                .collect(),
        }
    }

    /// The inverse of [`Dedup::to_pb`].
    pub(super) fn from_pb(window: i64, ids: &pb::MessageIds) -> Result<Self, DecodeError> {
        let mut dedup = Dedup::new(window);
        let bad = || DecodeError("columns of message ids differ".to_owned());
        if ids.lengths.len() != ids.seqs.len() || ids.lengths.len() != ids.times.len() {
            return Err(bad());
        }
        let mut rest: Bytes = ids.ids.clone();
        for ((length, seq), time) in ids.lengths.iter().zip(&ids.seqs).zip(&ids.times) {
            let length = *length as usize;
            if length > rest.len() {
                return Err(bad());
            }
            let id: Arc<[u8]> = rest.split_to(length)[..].into();
            if dedup.seqs.insert(id.clone(), Seq(*seq)).is_some() {
                return Err(DecodeError("a message id occurs twice".to_owned()));
            }
            dedup.bytes += cost(&id);
            dedup.order.push_back(Entry {
                time: Timestamp::from_unix_nanos(*time),
                seq: Seq(*seq),
                id,
            });
        }
        Ok(dedup)
    }
}

fn cost(id: &[u8]) -> usize {
    id.len() + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_nanos(seconds * 1_000_000_000)
    }

    fn seconds(seconds: i64) -> i64 {
        seconds * 1_000_000_000
    }

    #[test]
    fn an_id_is_known_for_exactly_the_window() {
        let mut dedup = Dedup::new(seconds(10));
        dedup.insert(at(5), b"a", Seq(1));
        let just_before = Timestamp::from_unix_nanos(seconds(15) - 1);
        assert_eq!(dedup.find(just_before, b"a"), Some(Seq(1)));
        assert_eq!(dedup.find(just_before, b"b"), None);
        assert_eq!(dedup.find(at(15), b"a"), None);
        assert!(dedup.is_empty() && dedup.deadline().is_none());
    }

    #[test]
    fn a_smaller_window_forgets_at_once_and_none_remembers_nothing() {
        let mut dedup = Dedup::new(seconds(10));
        dedup.insert(at(1), b"a", Seq(1));
        dedup.insert(at(5), b"b", Seq(2));
        dedup.set_window(at(6), seconds(3));
        assert_eq!(dedup.len(), 1);
        assert_eq!(dedup.find(at(6), b"b"), Some(Seq(2)));
        dedup.set_window(at(6), 0);
        dedup.insert(at(6), b"c", Seq(3));
        assert!(dedup.is_empty());
    }

    #[test]
    fn the_oldest_makes_room_when_the_memory_is_full() {
        let mut dedup = Dedup::new(seconds(10));
        dedup.bytes_max = 3 * (ENTRY_BYTES + 1);
        for (id, seq) in [(b"a", 1), (b"b", 2), (b"c", 3), (b"d", 4)] {
            dedup.insert(at(0), id, Seq(seq));
        }
        assert_eq!(dedup.len(), 3);
        assert_eq!(dedup.find(at(0), b"a"), None);
        assert_eq!(dedup.find(at(0), b"d"), Some(Seq(4)));
    }

    #[test]
    fn the_snapshot_comes_back() {
        let mut dedup = Dedup::new(seconds(10));
        dedup.insert(at(1), b"a", Seq(1));
        dedup.insert(at(2), b"", Seq(2));
        dedup.insert(at(2), b"long", Seq(7));
        let ids = dedup.to_pb();
        let mut restored = Dedup::from_pb(seconds(10), &ids).unwrap();
        assert_eq!(restored.to_pb(), ids);
        assert_eq!(restored.bytes, dedup.bytes);
        assert_eq!(restored.find(at(11), b"long"), Some(Seq(7)));
    }

    #[test]
    fn a_damaged_snapshot_is_refused() {
        let mut dedup = Dedup::new(seconds(10));
        dedup.insert(at(1), b"a", Seq(1));
        dedup.insert(at(1), b"b", Seq(2));
        let check = |change: fn(&mut pb::MessageIds)| {
            let mut ids = dedup.to_pb();
            change(&mut ids);
            Dedup::from_pb(seconds(10), &ids).unwrap_err();
        };
        check(|ids| ids.lengths.push(1));
        check(|ids| ids.lengths[1] = 2);
        check(|ids| ids.ids = Bytes::from_static(b"aa"));
    }
}

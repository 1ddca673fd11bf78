//! Where the messages of one stream live, as a contract.
//!
//! Separate because a stream decides and a store remembers: retention, limits and dedup
//! are the machine's business (`stream`), and every store must answer the same. `memory`
//! is the memory store and the model for every other; `contract` is the suite that all of
//! them run. What all stores do alike stands in `ledger`,
//! `subjects` and `search`.
//!
//! Invariants of every store: sequences only grow; `first_seq` is the lowest message that
//! is there, or `last_seq + 1` when there is none; a message is returned as it was appended
//! or not at all; the answers depend on the calls made, never on time or chance.
//! Absent: no limits, no clock, no concurrency: one owner calls, and a call may read a
//! disk, so no thread that serves connections calls it.

pub mod damage;
pub mod error;
pub mod ledger;
pub mod memory;
pub mod message;
pub mod search;
pub mod subjects;

#[cfg(any(test, feature = "testing"))]
pub mod contract;

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::state_machine::Checkpoint;
use crate::subject::filters::Filters;
use damage::{Check, Checked, Damage};
use error::Error;
use message::{Message, MessageRef, Seq};

/// The figures of a store; asking costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Messages that are there.
    pub messages: u64,
    /// Their bytes, by [`MsgStore::size_of`].
    pub bytes: u64,
    /// The first that is there, or `last_seq + 1` if none is.
    pub first_seq: Seq,
    /// When that was taken; the epoch if none is there.
    pub first_time: Timestamp,
    /// The last sequence given out, whether it is still there or not.
    pub last_seq: Seq,
    /// When that was taken.
    pub last_time: Timestamp,
    /// Different subjects among the messages.
    pub subjects: u64,
}

impl State {
    /// Sequences between first and last that are not there.
    pub fn deleted(&self) -> u64 {
        (self.last_seq.0 + 1).saturating_sub(self.first_seq.0 + self.messages)
    }
}

/// The figures of one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectState {
    /// Messages on it; at least 1.
    pub messages: u64,
    /// The first of them.
    pub first: Seq,
    /// The last of them.
    pub last: Seq,
}

/// What a removal took away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The message's subject.
    pub subject: Bytes,
    /// Its bytes, by [`MsgStore::size_of`].
    pub bytes: u64,
}

/// More results than the caller allowed.
#[derive(Debug, thiserror::Error)]
pub enum LastError {
    /// There are more than allowed.
    #[error("too many results")]
    TooMany,
    /// The store cannot tell.
    #[error(transparent)]
    Store(#[from] Error),
}

/// The messages of one stream.
///
/// "Matching" is by [`Filters`], where no filter at all matches everything.
pub trait MsgStore: Send {
    /// The figures.
    fn state(&self) -> State;

    /// What a message counts in `bytes` (and against `max_bytes`): a file store counts
    /// 30 + subject + payload, and 4 + headers if there are any; a memory store
    /// 16 + subject + headers + payload (jetstream spec §2.4).
    fn size_of(&self, subject: usize, headers: usize, payload: usize) -> u64;

    /// Appends a message. `message.seq` MUST be above `last_seq`; sequences left out count
    /// as deleted.
    fn append(&mut self, message: MessageRef<'_>) -> Result<(), Error>;

    /// An entry of the log is going to be applied, and this is what the log has of it.
    /// Whether messages appended out of these very bytes are less work.
    fn begin_entry(&mut self, _index: u64, _bytes: &Bytes) -> bool {
        false
    }

    /// There is something left to do of what was appended.
    fn is_behind(&self) -> bool {
        false
    }

    /// Does a little of it. Whoever appends does not wait for that; it is done in any case
    /// before it shows.
    fn catch_up(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Gives out sequences up to `last` with nothing stored. `last` MUST be above `last_seq`.
    fn skip_to(&mut self, last: Seq, time: Timestamp) -> Result<(), Error>;

    /// Takes a message away; with `erase` its bytes do not stay on the disk beyond the next
    /// checkpoint. None if it is not there.
    fn remove(&mut self, seq: Seq, erase: bool) -> Result<Option<Removed>, Error>;

    /// As [`MsgStore::remove`] without erasing, for somebody who knows the message's subject:
    /// a store may do without reading it. Whether it was there.
    fn remove_of(&mut self, subject: &[u8], seq: Seq) -> Result<bool, Error> {
        let removed = self.remove(seq, false)?;
        debug_assert!(removed.as_ref().is_none_or(|one| one.subject == subject));
        Ok(removed.is_some())
    }

    /// Takes away all messages below `first`, whatever their subject, and makes `first` the
    /// first sequence: it may lie beyond `last_seq + 1`, then `last_seq` becomes `first - 1`.
    /// The sequences taken are told to `each`, in order.
    fn truncate_front(
        &mut self,
        first: Seq,
        each: &mut dyn FnMut(Seq, &[u8]),
    ) -> Result<u64, Error>;

    /// The message, if it is there.
    fn get(&mut self, seq: Seq) -> Result<Option<Message>, Error>;

    /// Visits matching messages from `from` on, in order, until `each` breaks. Cheap for runs.
    fn scan(
        &mut self,
        from: Seq,
        filters: &Filters,
        each: &mut dyn FnMut(MessageRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error>;

    /// The first matching sequence at or after `from`.
    fn next(&mut self, from: Seq, filters: &Filters) -> Result<Option<Seq>, Error>;

    /// The last matching sequence at or before `up_to`; also if its message cannot be read.
    fn last(&mut self, up_to: Seq, filters: &Filters) -> Result<Option<Seq>, Error>;

    /// How many matching messages there are at or after `from`. Cheaper than a scan: by
    /// subject figures where they decide it.
    fn count(&mut self, from: Seq, filters: &Filters) -> Result<u64, Error>;

    /// The first message taken at or after `time`.
    fn first_since(&mut self, time: Timestamp) -> Result<Option<Seq>, Error>;

    /// The figures of one literal subject.
    fn subject(&mut self, subject: &[u8]) -> Result<Option<SubjectState>, Error>;

    /// Visits the matching subjects in byte order, until `each` breaks.
    fn subjects(
        &mut self,
        filters: &Filters,
        each: &mut dyn FnMut(&[u8], SubjectState) -> ControlFlow<()>,
    ) -> Result<(), Error>;

    /// For each matching subject its last message at or before `up_to`, ascending by
    /// sequence.
    ///
    /// # Errors
    /// [`LastError::TooMany`] if there are more than `max`.
    fn last_per_subject(
        &mut self,
        filters: &Filters,
        up_to: Seq,
        max: usize,
    ) -> Result<Vec<Seq>, LastError>;

    /// Visits the deleted sequences between first and last, ascending, until `each` breaks.
    fn deleted(&self, each: &mut dyn FnMut(Seq) -> ControlFlow<()>);

    /// Ranges whose messages should be there but cannot be read.
    fn lost(&self) -> Vec<(Seq, Seq)>;

    /// What is not as it was written, as far as anybody looked; asking costs nothing.
    fn damage(&self) -> Damage {
        Damage::default()
    }

    /// The next piece to be read for damage before somebody needs it; none at the end of a
    /// round, the next call begins another.
    fn next_check(&mut self) -> Result<Option<Box<dyn Check>>, Error> {
        Ok(None)
    }

    /// Takes note of what such a piece was found like.
    fn checked(&mut self, _checked: &Checked) -> Result<(), Error> {
        Ok(())
    }

    /// Begins a checkpoint: `state` is what the machine remembers beside the messages; it is
    /// kept with them and comes back with them.
    fn checkpoint(&mut self, state: Vec<u8>) -> Result<Box<dyn Checkpoint>, Error>;

    /// Gives memory and files back that only make things faster: nobody has asked for a
    /// while. What is asked afterwards is answered as before.
    fn rest(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Another checkpoint would free room on the disk.
    fn wants_checkpoint(&self) -> bool {
        false
    }
}

/// Opens stores; a stream is handed one.
pub type BoxedStore = Box<dyn MsgStore>;

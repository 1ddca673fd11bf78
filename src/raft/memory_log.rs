//! The log of one group, in memory only: what memory streams have in place of the WAL.
//!
//! Separate from the log store because it takes the place of the WAL below it and speaks
//! the same few words, so that both kinds of group run the same code above.
//!
//! Invariants: indexes are consecutive; a write is taken over whole or not at all; `done`
//! is called before `write` returns, as there is nothing to wait for. After a restart the
//! log is empty, and so is the machine it belongs to.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::wal::error::Error;
use crate::wal::{Done, GroupState, LogId, Write};

/// The log of one group. Groups that a write names are not looked at.
#[derive(Default)]
pub struct MemoryLog {
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    vote: Option<Bytes>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    entries: VecDeque<(LogId, Bytes)>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        MemoryLog::default()
    }

    /// As [`crate::wal::Wal::write`].
    ///
    /// # Errors
    /// When entries are not consecutive; nothing changed.
    pub fn write(&self, write: Write, done: Option<Done>) -> Result<(), Error> {
        self.log.lock().take_over(write)?;
        if let Some(done) = done {
            done(Ok(()));
        }
        Ok(())
    }

    /// As [`crate::wal::Wal::entries`].
    pub fn entries(&self, range: Range<u64>, bytes_max: usize) -> Vec<(LogId, Bytes)> {
        let log = self.log.lock();
        let Some(first) = log.first() else {
            return Vec::new();
        };
        let skip = usize::try_from(range.start.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut bytes = 0_usize;
        let within = |(log_id, payload): &&(LogId, Bytes)| {
            let fits = bytes == 0 || bytes.saturating_add(payload.len()) <= bytes_max;
            bytes = bytes.saturating_add(payload.len().max(1));
            fits && log_id.index < range.end
        };
        log.entries
            .iter()
            .skip(skip)
            .take_while(within)
            .cloned()
            .collect()
    }

    /// As [`crate::wal::Wal::state`].
    pub fn state(&self) -> GroupState {
        let log = self.log.lock();
        GroupState {
            vote: log.vote.clone(),
            committed: log.committed,
            purged: log.purged,
            first: log.first(),
            last: log.last(),
            damage: None,
        }
    }
}

impl Log {
    fn first(&self) -> Option<u64> {
        Some(self.entries.front()?.0.index)
    }

    fn last(&self) -> Option<LogId> {
        self.entries
            .back()
            .map(|(log_id, _)| *log_id)
            .or(self.purged)
    }

    fn take_over(&mut self, write: Write) -> Result<(), Error> {
        match write {
            Write::Append { group, entries } => {
                let mut expected = self.last().map(|last| last.index + 1);
                for (LogId { index, .. }, _) in &entries {
                    let expected = expected.replace(index + 1).unwrap_or(*index);
                    if *index != expected {
                        return Err(Error::OutOfOrder {
                            group,
                            index: *index,
                            expected,
                        });
                    }
                }
                self.entries.extend(entries);
            }
            Write::Vote { vote, .. } => self.vote = Some(vote),
            Write::Committed { log_id, .. } => self.committed = log_id,
            Write::TruncateAfter { index, .. } => {
                let stays = |log_id: &LogId| index.is_some_and(|index| log_id.index <= index);
                while self.entries.back().is_some_and(|(last, _)| !stays(last)) {
                    self.entries.pop_back();
                }
            }
            Write::Purge { up_to, .. } => {
                let goes = |log_id: &LogId| log_id.index <= up_to.index;
                while self.entries.front().is_some_and(|(first, _)| goes(first)) {
                    self.entries.pop_front();
                }
                self.purged = self.purged.max(Some(up_to));
            }
            Write::DropGroup { .. } => *self = Log::default(),
            Write::AcceptDamage { .. } => {}
        }
        Ok(())
    }
}

//! A log for tests of the store: what is appended goes through it first, as it does for
//! streams.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;

use super::FileStore;
use crate::store::message::MessageRef;
use crate::store::{MsgStore, error::Error};
use crate::vfs::Vfs;
use crate::wal::{Done, GroupId, LogId, Options, Wal, Write, page};

/// The group that writes.
pub const GROUP: GroupId = GroupId(7);

/// A log of few and small segments, and what was written to it.
pub struct Scribe {
    /// The log.
    pub wal: Wal,
    index: u64,
}

impl Scribe {
    /// Opens the log in `dir`, with segments of so many pages.
    pub fn open(vfs: Arc<dyn Vfs>, dir: &Path, pages: usize) -> Scribe {
        let options = Options {
            segment_bytes: (pages * page::PAGE) as u64,
            queue_bytes_max: 64 << 10,
            cache_bytes_max: 1 << 10,
            rewrite_bytes_max: 2 << 10,
            quarantine: Some(dir.with_file_name("quarantine")),
            on_fatal: Arc::new(|_| ()),
            ..Options::default()
        };
        let (wal, _) = Wal::open(vfs, dir.to_owned(), options).expect("a log");
        let state = wal.state(GROUP);
        let last = state.last.or(state.purged).map_or(0, |last| last.index);
        Scribe { wal, index: last }
    }

    /// Writes an entry; its index, when it is durable. None if the power is off.
    pub fn write(&mut self, entry: &Bytes) -> Option<u64> {
        let index = self.index + 1;
        self.wait(Write::Append {
            group: GROUP,
            entries: vec![(id(index), entry.clone())],
        })?;
        self.index = index;
        Some(index)
    }

    /// Lets go of all that was written.
    pub fn purge(&self) -> Option<()> {
        let up_to = id(self.index);
        (self.index > 0).then(|| {
            self.wait(Write::Purge {
                group: GROUP,
                up_to,
            })
        })?
    }

    fn wait(&self, write: Write) -> Option<()> {
        let (tell, told) = mpsc::channel();
        let done: Done = Box::new(move |result| tell.send(result).expect("somebody waits"));
        self.wal.write(write, Some(done)).ok()?;
        told.recv().ok()?.ok()
    }

    /// Appends a message that is a part of an entry.
    ///
    /// # Errors
    /// As [`MsgStore::append`].
    pub fn append(&mut self, store: &mut FileStore, message: MessageRef<'_>) -> Result<(), Error> {
        let subject = message.subject.len();
        let headers = subject + message.headers.len();
        let entry = [message.subject, message.headers, message.payload].concat();
        let entry = Bytes::from(entry);
        if let Some(index) = self.write(&entry) {
            store.begin_entry(index, &entry);
        }
        store.append(MessageRef {
            subject: &entry[..subject],
            headers: &entry[subject..headers],
            payload: &entry[headers..],
            ..message
        })
    }
}

fn id(index: u64) -> LogId {
    LogId {
        term: 1,
        node: 7,
        index,
    }
}

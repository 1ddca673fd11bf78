use std::collections::BTreeSet;

use openraft::entry::RaftEntry;
use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::alias::SnapshotOf;
use openraft::{Membership, RaftSnapshotBuilder, StorageError};

use super::*;
use crate::raft::apply::{Apply, OnDisk};
use crate::raft::replica::Replica;
use crate::raft::toy::{Toy, ToyDisk};
use crate::raft::types::{LeaderId, SnapshotMeta, StoredMembership};

/// openraft's suite asks for entries in any order, and for snapshots that travel: a machine
/// that only notes what it was given.
#[derive(Clone, Default)]
struct Notes {
    applied: Option<LogId>,
    membership: StoredMembership,
    snapshot: Option<SnapshotMeta>,
    built: Arc<Mutex<Option<SnapshotMeta>>>,
}

impl RaftSnapshotBuilder<TypeConfig> for Notes {
    type SnapshotData = OnDisk;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<TypeConfig, OnDisk>> {
        let meta = SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
        };
        *self.built.lock() = Some(meta.clone());
        Ok(Snapshot {
            meta,
            snapshot: OnDisk,
        })
    }
}

impl RaftStateMachine<TypeConfig> for Notes {
    type SnapshotData = OnDisk;
    type SnapshotBuilder = Notes;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<openraft::storage::EntryResponder<TypeConfig>>> + Unpin + Send,
    {
        use futures_util::TryStreamExt;
        while let Some((entry, responder)) = entries.try_next().await? {
            self.applied = Some(entry.log_id);
            if let EntryPayload::Membership(membership) = entry.payload {
                self.membership = StoredMembership::new(self.applied, membership);
            }
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Notes {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, _data: OnDisk) -> io::Result<()> {
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<TypeConfig, OnDisk>>> {
        let built = self.built.lock().clone();
        let newest = built.or_else(|| self.snapshot.clone());
        Ok(newest.map(|meta| Snapshot {
            meta,
            snapshot: OnDisk,
        }))
    }
}

struct InMemory;

impl StoreBuilder<TypeConfig, LogStore, Notes> for InMemory {
    async fn build(&self) -> Result<((), LogStore, Notes), StorageError<TypeConfig>> {
        Ok(((), LogStore::in_memory(GroupId(1)), Notes::default()))
    }
}

#[tokio::test]
async fn openrafts_suite_passes_in_memory() {
    let passed = Suite::test_all(InMemory).await;
    passed.expect("openraft's own suite");
}

/// Builds a new group in one log for each test of the suite.
struct OnDiskLog {
    wal: Wal,
    last: AtomicU64,
}

impl StoreBuilder<TypeConfig, LogStore, Notes> for OnDiskLog {
    async fn build(&self) -> Result<((), LogStore, Notes), StorageError<TypeConfig>> {
        let group = GroupId(self.last.fetch_add(1, Ordering::Relaxed));
        let log = LogStore::on_disk(group, self.wal.clone(), Arc::default());
        Ok(((), log, Notes::default()))
    }
}

#[tokio::test]
async fn openrafts_suite_passes_on_the_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = wal::Options {
        segment_bytes: 256 << 10,
        ..wal::Options::default()
    };
    let vfs = Arc::new(crate::vfs::real::RealVfs);
    let (wal, _) = Wal::open(vfs, dir.path().to_owned(), options).expect("a log");
    let last = AtomicU64::new(1);
    let passed = Suite::test_all(OnDiskLog {
        wal: wal.clone(),
        last,
    })
    .await;
    passed.expect("openraft's own suite");
    wal.close();
}

/// The parts of the suite that ask for a state machine, and leave out no index.
#[tokio::test]
async fn openrafts_suite_passes_on_a_machine() {
    type Tests = Suite<TypeConfig, LogStore, Apply<Toy>, NoBuilder, ()>;

    struct NoBuilder;
    impl StoreBuilder<TypeConfig, LogStore, Apply<Toy>> for NoBuilder {
        async fn build(&self) -> Result<((), LogStore, Apply<Toy>), StorageError<TypeConfig>> {
            Ok(((), LogStore::in_memory(GroupId(1)), machine()))
        }
    }
    fn machine() -> Apply<Toy> {
        let (toy, _) = Toy::open(&ToyDisk::default());
        Apply::new(Arc::new(Mutex::new(Replica::new(toy, None))), false)
    }
    let log = || LogStore::in_memory(GroupId(1));

    let passed = "openraft's own suite";
    Tests::apply_single(log(), machine()).await.expect(passed);
    Tests::apply_multiple(log(), machine()).await.expect(passed);
    Tests::snapshot_meta(log(), machine()).await.expect(passed);
}

fn id(index: u64) -> LogId {
    LogId::new(
        LeaderId {
            term: 1,
            node_id: 7,
        },
        index,
    )
}

fn with_ticket(index: u64, ticket: u64) -> Entry {
    let batch = convert::batch::<Toy>(Default::default(), &[], Ticket(ticket));
    Entry::new_normal(id(index), batch)
}

#[tokio::test]
async fn a_ticket_is_handed_out_once_and_to_whoever_applies() {
    use futures_util::StreamExt;
    let mut log = LogStore::in_memory(GroupId(1));
    let entries = [
        with_ticket(0, 5),
        Entry::new_blank(id(1)),
        with_ticket(2, 6),
    ];
    let append = log.append(entries, IOFlushed::noop());
    append.await.expect("room");
    let tickets = |entries: Vec<Entry>| -> Vec<Option<Ticket>> {
        let ticket = |entry: Entry| match entry.payload {
            EntryPayload::Normal(batch) => batch.ticket,
            _ => None,
        };
        entries.into_iter().map(ticket).collect()
    };
    let read = log.try_get_log_entries(0..3).await.expect("entries");
    assert_eq!(tickets(read), [None, None, None]);
    for expected in [[Some(Ticket(5)), None, Some(Ticket(6))], [None, None, None]] {
        let stream = log.entries_stream(0..3).await;
        let entries: Vec<io::Result<Entry>> = stream.collect().await;
        let entries = entries.into_iter().map(|entry| entry.expect("an entry"));
        assert_eq!(tickets(entries.collect()), expected);
    }
}

#[tokio::test]
async fn long_ranges_are_read_whole_and_reads_for_peers_are_bounded() {
    let mut log = LogStore::in_memory(GroupId(1));
    let big = vec![crate::raft::toy::Command::Add(1); READ_BYTES_MAX / 16];
    let entry = |index| {
        let batch = convert::batch::<Toy>(Default::default(), &big, Ticket(index));
        Entry::new_normal(id(index), batch)
    };
    let append = log.append((0..30).map(entry), IOFlushed::noop());
    append.await.expect("room");
    assert_eq!(log.try_get_log_entries(..).await.expect("all").len(), 30);
    assert_eq!(
        log.try_get_log_entries(3..=28).await.expect("some").len(),
        26
    );
    assert_eq!(
        log.limited_get_log_entries(0, 30).await.expect("few").len(),
        1
    );
}

#[test]
fn entries_and_votes_come_back_as_they_were() {
    let membership = Membership::new_with_defaults(
        vec![BTreeSet::from([1, 2]), BTreeSet::from([2, 3])],
        [4_u64],
    );
    let entries = [
        Entry::new_blank(id(1)),
        Entry::new_membership(id(2), membership.clone()),
        with_ticket(3, 9),
    ];
    for entry in entries {
        let bytes = convert::payload_to_bytes(&entry);
        let log_id = convert::log_id_to_wal(&entry.log_id);
        let back = convert::entry_from_bytes(log_id, bytes).expect("an entry");
        assert_eq!(back, entry);
    }
    for vote in [Vote::new(3, 4), Vote::new_committed(0, u64::MAX)] {
        let back = convert::vote_from_bytes(convert::vote_to_bytes(&vote));
        assert_eq!(back.expect("a vote"), vote);
    }
    let position = convert::Position {
        applied: Some(id(8)),
        membership: StoredMembership::new(Some(id(2)), membership),
        now: crate::clock::Timestamp::from_unix_nanos(-5),
    };
    let back = convert::position_from_bytes(convert::position_to_bytes(&position));
    assert_eq!(back.expect("a position"), position);
}

#[test]
fn foreign_bytes_are_no_entry() {
    let check = |bytes: &'static [u8]| {
        let bytes = Bytes::from_static(bytes);
        let entry = convert::entry_from_bytes(wal::LogId::default(), bytes);
        assert!(entry.is_err());
    };
    check(b"");
    check(&[9]);
    check(&[1, 0, 0]);
    check(&[2, 0xff, 0xff]);
}

use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogStorage};

use super::*;
use crate::raft::convert::{self, Position};
use crate::raft::toy::{Command, Toy, ToyDisk};
use crate::raft::types::{LeaderId, LogId, StoredMembership, Ticket};
use crate::wal::GroupId;

const ME: u64 = 1;

fn id(index: u64) -> LogId {
    LogId::new(
        LeaderId {
            term: 1,
            node_id: ME,
        },
        index,
    )
}

/// `m1` and `m1,2/3,4` are memberships (one or two configurations), `c` a command, and what
/// stands before a `|` is recorded as committed.
async fn log_of(entries: &str) -> LogStore {
    let mut log = LogStore::in_memory(GroupId(1));
    let mut index = 0;
    let mut committed = None;
    for word in entries.split_whitespace() {
        if word == "|" {
            committed = Some(id(index - 1));
            continue;
        }
        let entry = match word.strip_prefix('m') {
            Some(configs) => {
                let voters = |config: &str| -> std::collections::BTreeSet<u64> {
                    let nodes = config.split(',');
                    nodes.map(|node| node.parse().expect("a node")).collect()
                };
                let configs = configs.split('/').map(voters).collect();
                let membership = Membership::new_with_defaults(configs, []);
                Entry::new_membership(id(index), membership)
            }
            None => {
                let commands = [Command::Add(1)];
                let batch = convert::batch::<Toy>(Default::default(), &commands, Ticket(0));
                Entry::new_normal(id(index), batch)
            }
        };
        log.append([entry], IOFlushed::noop()).await.expect("room");
        index += 1;
    }
    log.write_committed(committed);
    log
}

async fn check(entries: &str, position: Option<Position>, applied: u64) {
    let log = log_of(entries).await;
    let (toy, _) = Toy::open(&ToyDisk::default());
    let mut replica = Replica::new(toy, position);
    replay(&mut replica, &log, ME).expect("replayed");
    assert_eq!(replica.next_index(), applied, "{entries}");
}

#[tokio::test]
async fn a_sole_voter_applies_everything() {
    check("", None, 0).await;
    check("m1", None, 1).await;
    check("m1 c c c", None, 4).await;
}

#[tokio::test]
async fn with_other_voters_only_what_is_known_to_be_committed() {
    check("m1,2 c c c", None, 0).await;
    check("m1,2 c c | c", None, 3).await;
    // The change to more voters may not have been committed; what was before is.
    check("m1 c c m1/1,2 c", None, 3).await;
    check("m1 c m1/1,2 c | c", None, 4).await;
}

#[tokio::test]
async fn who_became_the_sole_voter_applies_everything() {
    check("m1,2,3 c m1,2,3/1 m1 c c", None, 6).await;
    check("m1 c m1/1,2 m1,2 c m1,2/1 m1 c", None, 8).await;
    check("m1 c m1/1,2 m1,2 c m1,2/1 c", None, 2).await;
}

#[tokio::test]
async fn the_members_of_the_checkpoint_count() {
    let at = |members: &[u64]| {
        let voters = members.iter().copied().collect();
        let membership = Membership::new_with_defaults(vec![voters], []);
        Some(Position {
            applied: Some(id(1)),
            membership: StoredMembership::new(Some(id(0)), membership),
            now: Default::default(),
        })
    };
    check("m1 c c c", at(&[1]), 4).await;
    check("m1,2 c c c", at(&[1, 2]), 2).await;
    check("m1,2 c c | c", at(&[1, 2]), 3).await;
    check("m1,2 c c m1,2/1 m1 c", at(&[1, 2]), 6).await;
}

#[tokio::test]
async fn a_hole_before_the_log_is_an_error() {
    let mut log = log_of("m1 c c").await;
    log.purge(id(1)).await.expect("purged");
    let (toy, _) = Toy::open(&ToyDisk::default());
    let mut replica = Replica::new(toy, None);
    let replayed = replay(&mut replica, &log, ME);
    assert!(matches!(
        replayed,
        Err(StartError::Hole {
            log_first: 2,
            machine_next: 0
        })
    ));
}

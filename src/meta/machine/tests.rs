//! Histories: names, subjects, ids, and that every replica comes to the same bytes.

use proptest::prelude::*;

use super::*;
use crate::meta::assignment::NodeId;
use crate::stream::config::Storage;

struct Nothing;

impl Checkpoint for Nothing {
    fn complete(self: Box<Self>) -> Result<(), MachineError> {
        Ok(())
    }
}

fn machine() -> Machine {
    Machine::new(Box::new(|_, _| Box::new(Nothing)))
}

fn config(name: &str, subjects: &[&str], max_bytes: i64) -> Box<Config> {
    Box::new(Config {
        name: name.to_owned(),
        subjects: subjects
            .iter()
            .map(|subject| (*subject).to_owned())
            .collect(),
        max_bytes,
        num_replicas: 1,
        ..Config::default()
    })
}

fn put(account: &str, name: &str, subjects: &[&str]) -> Command {
    Command::PutStream {
        account: account.to_owned(),
        config: config(name, subjects, 100),
        peers: vec![NodeId(1)],
    }
}

fn delete(account: &str, name: &str) -> Command {
    Command::DeleteStream {
        account: account.to_owned(),
        name: name.to_owned(),
    }
}

fn apply(machine: &mut Machine, command: Command) -> Outcome {
    let now = Timestamp::from_unix_nanos(7);
    machine
        .apply(now, command)
        .expect("nothing stops this machine")
}

/// The group of a new stream, or the error's code.
fn group(outcome: Outcome) -> Result<u64, u16> {
    match outcome {
        Outcome::Created(assignment) => Ok(assignment.group.0),
        Outcome::Refused(error) => Err(error.err_code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_deleted_is_remembered_and_nothing_else_is() {
    let mut machine = machine();
    for name in ["A", "B"] {
        apply(&mut machine, put("x", name, &[name]));
    }
    apply(&mut machine, delete("x", "A"));
    let below = GroupId(9);
    assert_eq!(
        apply(&mut machine, Command::SkipGroups { below }),
        Outcome::GroupsSkipped
    );
    let lower = Command::SkipGroups { below: GroupId(5) };
    apply(&mut machine, lower);
    let mut machine = Machine::restore(&machine.snapshot(), machine.sink).unwrap();
    let deleted = |machine: &Machine| -> Vec<u64> {
        let all = 0..20;
        all.filter(|id| machine.is_deleted(GroupId(*id))).collect()
    };
    assert_eq!(deleted(&machine), [2]);
    assert_eq!(group(apply(&mut machine, put("x", "A", &["a"]))), Ok(9));
    apply(&mut machine, delete("x", "B"));
    assert_eq!(deleted(&machine), [2, 3]);
}

#[test]
fn groups_are_given_out_once() {
    let mut machine = machine();
    assert_eq!(group(apply(&mut machine, put("x", "A", &["a"]))), Ok(2));
    assert_eq!(group(apply(&mut machine, put("y", "A", &["a"]))), Ok(3));
    assert!(matches!(
        apply(&mut machine, delete("y", "A")),
        Outcome::Deleted(_)
    ));
    let mut machine = Machine::restore(&machine.snapshot(), machine.sink).unwrap();
    assert_eq!(group(apply(&mut machine, put("y", "A", &["a"]))), Ok(4));
    assert_eq!(
        machine.stream("y", "A").unwrap().created,
        Timestamp::from_unix_nanos(7)
    );
}

#[test]
fn proposals_that_contradict_each_other_are_refused() {
    let mut machine = machine();
    assert_eq!(group(apply(&mut machine, put("x", "A", &["a.*"]))), Ok(2));
    assert!(matches!(
        apply(&mut machine, put("x", "A", &["a.*"])),
        Outcome::Exists(_)
    ));
    assert_eq!(
        group(apply(&mut machine, put("x", "A", &["b"]))),
        Err(10058)
    );
    assert_eq!(
        group(apply(&mut machine, put("x", "B", &["a.b"]))),
        Err(10065)
    );
    assert_eq!(group(apply(&mut machine, put("x", "B", &["b"]))), Ok(3));
    let mut update = |name: &str, subjects: &[&str]| {
        let account = "x".to_owned();
        let config = config(name, subjects, 50);
        apply(&mut machine, Command::UpdateStream { account, config })
    };
    assert!(matches!(update("B", &["b", "c"]), Outcome::Updated(_)));
    assert_eq!(group(update("B", &["a.c"])), Err(10065));
    assert_eq!(group(update("C", &["c.d"])), Err(10059));
    assert_eq!(group(apply(&mut machine, delete("x", "C"))), Err(10059));
    assert_eq!(
        group(apply(&mut machine, delete("nobody", "C"))),
        Err(10059)
    );
    let reserved = machine.usage().of_account("x");
    assert_eq!((reserved.streams, reserved.file), (2, 150));
    let names: Vec<_> = machine.account("x").iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["A", "B"]);
    assert_eq!(machine.accounts().count(), 1);
}

#[test]
fn a_checkpoint_goes_to_the_sink_with_its_position() {
    let (sent, received) = std::sync::mpsc::channel();
    let mut machine = Machine::new(Box::new(move |snapshot, position| {
        sent.send((snapshot, position)).unwrap();
        Box::new(Nothing)
    }));
    apply(&mut machine, put("x", "A", &["a"]));
    let checkpoint = machine.checkpoint(Bytes::from_static(b"here")).unwrap();
    checkpoint.complete().unwrap();
    let (snapshot, position) = received.recv().unwrap();
    assert_eq!(
        (snapshot, &position[..]),
        (machine.snapshot(), &b"here"[..])
    );
}

#[test]
fn bytes_that_lack_something_are_refused() {
    for command in [
        delete("", "A"),
        delete("x", ""),
        put("x", "", &[]),
        Command::RemoveNode { node: NodeId(0) },
    ] {
        let mut bytes = Vec::new();
        Machine::encode(std::slice::from_ref(&command), &mut bytes);
        assert!(Machine::decode(&bytes.into()).is_err(), "{command:?}");
    }
    assert!(Machine::decode(&Bytes::from_static(b"\x0a\x00")).is_err());
    assert!(Machine::decode(&Bytes::from_static(b"\xff")).is_err());
    assert!(Machine::restore(b"\xff", Box::new(|_, _| Box::new(Nothing))).is_err());
}

fn any_command() -> impl Strategy<Value = Command> {
    let account = prop_oneof!["x", "y"];
    let config = || {
        let subjects = proptest::collection::vec("[ab](\\.[ab*])?", 0..3);
        ("[A-D]", subjects, -1..200_i64, any::<bool>()).prop_map(
            |(name, subjects, max_bytes, memory)| {
                Box::new(Config {
                    name,
                    subjects,
                    max_bytes,
                    storage: if memory {
                        Storage::Memory
                    } else {
                        Storage::File
                    },
                    num_replicas: 1,
                    ..Config::default()
                })
            },
        )
    };
    let peers = proptest::collection::vec((1..4_u64).prop_map(NodeId), 0..3);
    prop_oneof![
        (account.clone(), config(), peers).prop_map(|(account, config, peers)| {
            Command::PutStream {
                account,
                config,
                peers,
            }
        }),
        (account.clone(), config())
            .prop_map(|(account, config)| Command::UpdateStream { account, config }),
        (account, "[A-D]").prop_map(|(account, name)| Command::DeleteStream { account, name }),
        (1..9_u64, "[a-z]{0,3}").prop_map(|(node, name)| Command::RegisterNode {
            node: NodeId(node),
            name
        }),
        (1..9_u64).prop_map(|node| Command::RemoveNode { node: NodeId(node) }),
        (1..30_u64).prop_map(|below| Command::SkipGroups {
            below: GroupId(below)
        }),
    ]
}

/// Applies entries as the log has them: encoded, several commands each, with one time.
fn replay(machine: &mut Machine, entries: &[Vec<Command>], first: usize) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (index, commands) in entries.iter().enumerate() {
        let mut bytes = Vec::new();
        Machine::encode(commands, &mut bytes);
        let now = Timestamp::from_unix_nanos(i64::try_from(first + index).unwrap());
        for command in Machine::decode(&bytes.into()).unwrap() {
            outcomes.push(machine.apply(now, command).unwrap());
        }
    }
    outcomes
}

proptest! {
    #[test]
    fn every_replica_comes_to_the_same_bytes(
        entries in proptest::collection::vec(proptest::collection::vec(any_command(), 1..4), 0..40),
        at in 0..40_usize,
    ) {
        let mut replicas = [machine(), machine(), machine()];
        let outcomes = replicas.each_mut().map(|replica| replay(replica, &entries, 0));
        prop_assert!(outcomes[0] == outcomes[1] && outcomes[1] == outcomes[2]);
        let expected = replicas[0].snapshot();
        prop_assert!(replicas.iter().all(|replica| replica.snapshot() == expected));

        // A snapshot and the rest of the log are the whole log.
        let at = at.min(entries.len());
        let mut early = machine();
        replay(&mut early, &entries[..at], 0);
        let mut late = Machine::restore(&early.snapshot(), early.sink).unwrap();
        replay(&mut late, &entries[at..], at);
        prop_assert_eq!(late.snapshot(), expected);
        prop_assert_eq!(&late.usage, &replicas[0].usage);

        // No group twice, no subject twice.
        let mut groups: Vec<_> = outcomes[0].iter().filter_map(|outcome| match outcome {
            Outcome::Created(assignment) => Some(assignment.group),
            _ => None,
        }).collect();
        let count = groups.len();
        groups.sort_unstable();
        groups.dedup();
        prop_assert_eq!(groups.len(), count);
        for (_, streams) in replicas[0].accounts() {
            for (_, assignment) in streams.iter() {
                prop_assert!(validate::check_again(&assignment.config, &streams).is_ok());
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = Machine::restore(&bytes, Box::new(|_, _| Box::new(Nothing)));
        let _ = Machine::decode(&bytes.into());
    }
}

//! Mirrors and sources: what is taken from another stream.

use super::*;
use crate::stream::command::Copy;
use crate::stream::config::{Discard, StreamSource};

#[test]
fn a_mirror_keeps_sequences_and_skips_gaps() {
    let mirror = Config {
        mirror: Some(StreamSource {
            name: "M".to_owned(),
            ..StreamSource::default()
        }),
        ..config()
    };
    let mut machine = run(
        mirror,
        r"
        copy 0 3 s.a Nats-Msg-Id=1 -> stored 3
        copy 0 3 s.a               -> nothing
        copy 0 2 s.a               -> nothing
        copy 0 7 s.b Nats-Msg-Id=1 -> stored 7
        copy 1 8 s.b               -> nothing
        holds                      -> 3 7
        purge                      -> purged 2; 2 gone
        copy 0 7 s.b               -> nothing
        copy 0 18446744073709551615 s.b -> nothing
    ",
    );
    assert_eq!(machine.origins().position(0).unwrap().seq, Seq(7));
    assert_eq!(machine.state().last_seq, Seq(7));
    go_on(&mut machine, "copy 0 9 s.b -> stored 9");
    assert_eq!(machine.state().first_time, millis(7));
}

#[test]
fn a_source_is_known_by_what_it_is() {
    let source = |name: &str| StreamSource {
        name: name.to_owned(),
        ..StreamSource::default()
    };
    let sourced = |names: &[&str]| Config {
        sources: names.iter().map(|name| source(name)).collect(),
        ..config()
    };
    let mut machine = run(
        sourced(&["A", "B"]),
        r"
        copy 0 5 s.a      -> stored 1
        copy 1 2 s.a      -> stored 2
        copy 0 5 s.a      -> nothing
        copy 2 9 s.a      -> nothing
        publish s.a       -> stored 3
        copy 0 6 s.a Nats-Msg-Id=1 -> stored 4
        copy 1 3 s.a Nats-Msg-Id=1 -> duplicate 4
        copy 1 3 s.a      -> nothing
    ",
    );
    for (names, positions) in [
        (&["B", "C", "A"][..], [Some(3), None, Some(6)]),
        (&["C"], [None, None, None]),
        (&["A", "C"], [Some(6), None, None]),
    ] {
        let configure = Command::Configure(Box::new(sourced(names)));
        machine.apply(millis(0), configure).unwrap();
        for (source, expected) in positions.into_iter().enumerate() {
            let source = u32::try_from(source).unwrap();
            let position = machine.origins().position(source).map(|p| p.seq.0);
            assert_eq!(position, expected, "{names:?} {source}");
        }
    }
}

#[test]
fn what_follows_a_copy_that_found_no_room_is_not_taken() {
    let full = Config {
        sources: vec![StreamSource::default()],
        max_bytes: 100,
        discard: Discard::New,
        ..config()
    };
    check(
        full,
        r"
        copy 0 1 s.a                  -> stored 1
        copy 0 2 s.a after=1 size=200 -> 10077 maximum bytes exceeded
        copy 0 3 s.a after=2          -> nothing
        copy 0 3 s.a                  -> stored 2
        copy 0 5 s.a after=3          -> stored 3
        copy 0 5 s.a after=3          -> nothing
        copy 0 7 s.a after=2          -> stored 4
    ",
    );
}

#[test]
fn a_copy_of_a_former_origin_is_nobodys() {
    let with = |names: &[&str], description: &str| Config {
        sources: names
            .iter()
            .map(|name| StreamSource {
                name: (*name).to_owned(),
                ..StreamSource::default()
            })
            .collect(),
        description: description.to_owned(),
        ..config()
    };
    let mut machine = run(with(&["A", "B"], ""), "copy 0 1 s.a of=0 -> stored 1");
    let mut configure = |names: &[&str], description: &str| {
        let configure = Command::Configure(Box::new(with(names, description)));
        machine.apply(millis(0), configure).unwrap();
        machine.origins().generation()
    };
    assert_eq!(configure(&["A", "B"], "more"), 0);
    assert_eq!(configure(&["B"], ""), 1);
    for mut machine in twins(machine) {
        go_on(
            &mut machine,
            "copy 0 2 s.a of=0 -> nothing
             copy 0 2 s.b of=1 -> stored 2",
        );
        let promoted = Command::Configure(Box::new(config()));
        machine.apply(millis(0), promoted).unwrap();
        go_on(&mut machine, "copy 0 3 s.b of=1 -> nothing");
    }
}

#[test]
fn an_origin_made_anew_is_copied_from_its_beginning() {
    let sourced = Config {
        sources: vec![StreamSource::default()],
        ..config()
    };
    let mut machine = run(sourced, "");
    let mut copy = |seq, identity: &str| {
        let value = format!("A {seq} > > s.a {identity}");
        let command = Command::Copy(Box::new(Copy {
            source: 0,
            generation: None,
            after: None,
            origin_seq: Seq(seq),
            origin_time: millis(0),
            subject: Bytes::from_static(b"s.a"),
            headers: headers(&[("Nats-Stream-Source", &value)]),
            payload: Bytes::new(),
        }));
        render(&machine.apply(millis(0), command).unwrap())
    };
    assert_eq!(copy(5, "one"), "stored 1");
    assert_eq!(copy(4, "one"), "nothing");
    assert_eq!(copy(1, "two"), "stored 2");
    assert_eq!(copy(1, "two"), "nothing");
    assert_eq!(copy(2, ""), "stored 3");
}

//! Power cuts under a whole server: the log, the meta group and several streams with
//! consumers on one simulated disk, through the wiring that the server uses.
//!
//! A client publishes, pulls, acknowledges, deletes, purges and changes streams; the power
//! fails at every call that changes the disk. What is checked of what comes back: each
//! stream is in the state after some first part of what the client did to it, which contains
//! all it was told is done; consumers did not go back; ids still refuse; and everything goes on from there.

mod found;
mod held;
mod script;
mod world;

use std::path::Path;

use serde_json::json;

use crate::filestore::stitched;
use crate::tasks;
use crate::vfs::Vfs;
use crate::vfs::sim::recording::{Point, Recording, each_crash, effort};
use crate::vfs::sim::{SimVfs, Survival};
use found::{Consumer, Machines};
use script::{Done, Mark, Published, Script, Streams, check_bytes, find};
use world::{Client, World};

/// Lives a life on an empty disk.
fn played(seed: u64, calls: u64) -> (Done, Vec<Point<Mark>>) {
    let disk = SimVfs::new();
    let runtime = tasks::control_runtime().expect("a runtime");
    runtime.block_on(async {
        let first = Mark {
            acked: 0,
            issued: 0,
        };
        let before = Recording::begin(&disk, move || first);
        let world = World::open(&disk).await;
        let mut points = before.end(&disk, first);
        let mut script = Script::new(&world, seed);
        let marks = script.marks();
        let recording = Recording::begin(&disk, script.marks());
        script.play(&world, &disk, calls).await;
        points.extend(recording.end(&disk, marks()));
        world.stop().await;
        (script.done, points)
    })
}

/// Whether a stream keeps segments of the log.
fn keeps_segments(disk: &SimVfs) -> bool {
    let groups = Path::new(world::DIR).join("groups");
    let names = |dir: &Path| disk.list(dir).unwrap_or_default();
    let dirs = names(&groups).into_iter();
    let mut names = dirs.flat_map(|dir| names(&groups.join(dir)));
    names.any(|name| stitched::parse_link(&name).is_some())
}

/// A server that came back.
struct Back<'a> {
    world: World,
    client: Client,
    done: &'a Done,
    mark: Mark,
    found: Machines,
    /// What is there, in terms of what the client did.
    state: Streams,
}

impl<'a> Back<'a> {
    async fn from(disk: &SimVfs, done: &'a Done, mark: Mark) -> Back<'a> {
        let world = World::open(disk).await;
        let report = &world.report;
        assert!(
            report.damaged.is_empty() && !report.damage_unknown,
            "{report:?}"
        );
        let running = world.site.streams().into_iter().map(|handle| handle.group);
        let stored = world
            .jetstream
            .streams
            .groups_found()
            .expect("a list")
            .into_iter();
        let mut stored = stored.filter(|group| *group != world::META);
        assert!(
            stored.all(|group| running.clone().any(|other| other == group)),
            "left over"
        );
        let found = Machines::of(&world).await;
        let state = found.among(&done.states[mark.acked..=mark.issued]);
        let state = state.unwrap_or_else(|| {
            let expected = &done.states[mark.acked];
            panic!("{mark:?}: expected {expected:#?}, found {found:#?}")
        });
        Back {
            client: Client::new(&world.account),
            world,
            done,
            mark,
            found,
            state,
        }
    }

    /// Consumers did not go back; where nothing was under way, everything is as it was.
    fn check_machines(&self) {
        let Mark { acked, issued } = self.mark;
        if acked == issued
            && let Some(expected) = self.done.machines.get(&acked)
        {
            let differences = self.found.differences(expected);
            assert!(differences.is_empty(), "{}", differences.join("\n"));
        }
        let before = self.done.machines.range(..=acked).next_back();
        let after = self.done.machines.range(issued..).next();
        for name in ["S", "W"] {
            let consumer = |machines: &Machines| machines.get(name)?.consumer.clone();
            let Some(found) = consumer(&self.found) else {
                continue;
            };
            let before = before.and_then(|(_, machines)| consumer(machines));
            let Some(after) = after.and_then(|(_, machines)| consumer(machines)) else {
                continue;
            };
            let before = before.unwrap_or_else(|| Consumer {
                delivered: (0, 0),
                floor: (0, 0),
                ..after.clone()
            });
            let is_between = found.is_between(&before, &after);
            assert!(is_between, "{name}: {before:?}, {found:?}, {after:?}");
            let settled = &self.done.states[acked][name].settled;
            let is_open = found.pending.intersection(settled).next();
            assert_eq!(is_open, None, "{name}: acknowledged and pending");
        }
    }

    /// Ids that were acknowledged refuse what has them, with the sequence they had.
    async fn check_ids(&mut self, random: usize) {
        let stream = self.state.get("S");
        let Some(messages) = stream.map(|stream| &stream.messages) else {
            return;
        };
        let last = messages.len().checked_sub(1);
        for at in last.into_iter().chain(last.map(|last| random % (last + 1))) {
            let Published {
                seq,
                subject,
                headers,
                payload,
            } = &*messages[at];
            let answer = self.client.request(subject, headers, payload).await;
            let expected = json!({"stream": "S", "seq": seq, "duplicate": true});
            assert_eq!(answer.json(), expected);
        }
    }

    /// Everything takes more: messages, pulls, acknowledgements, streams.
    async fn check_goes_on(&mut self) {
        let state = &self.state;
        for (name, stream) in state {
            let subject = format!("{name}.new");
            let answer = self.client.request(&subject, "", b"more").await;
            let expected = json!({"stream": name, "seq": stream.last_seq + 1});
            assert_eq!(answer.json(), expected);
            if !stream.has_consumer {
                continue;
            }
            let fetched = self.client.fetch(name, "c", 3).await;
            for received in &fetched {
                let seq = received.seq();
                let is_new = seq == Some(stream.last_seq + 1);
                let settled = &self.done.states[self.mark.acked][name].settled;
                assert!(
                    !settled.contains(&seq.unwrap_or(0)),
                    "{name}: again {seq:?}"
                );
                match find(stream, seq) {
                    Some(message) => check_bytes(received, message),
                    None => assert!(is_new && received.payload == b"more"[..], "{received:?}"),
                }
            }
            if let Some(received) = fetched.first() {
                self.client.request(&received.reply, "", b"+ACK").await;
            }
        }
        if !state.contains_key("S") {
            let config = json!({"name": "N", "subjects": ["N.>"], "storage": "file"});
            self.client.api("STREAM.CREATE.N", config).await;
            let answer = self.client.request("N.new", "", b"more").await;
            assert_eq!(answer.json(), json!({"stream": "N", "seq": 1}));
        }
    }
}

/// Brings a server up with what is found, checks it, works with it, and now and then cuts
/// the power once more.
fn check_found(disk: &SimVfs, done: &Done, mark: Mark, number: u64) {
    let runtime = tasks::control_runtime().expect("a runtime");
    runtime.block_on(async {
        let mut back = Back::from(disk, done, mark).await;
        back.check_machines();
        back.check_ids(number as usize).await;
        back.check_goes_on().await;
        if !number.is_multiple_of(5) {
            return back.world.stop().await;
        }
        let expected = Machines::of(&back.world).await;
        let again = disk.after_crash(Survival::all(number)[number as usize % 8]);
        back.world.stop().await;
        let world = World::open(&again).await;
        let found = Machines::of(&world).await;
        let differences = found.differences(&expected);
        assert!(differences.is_empty(), "{}", differences.join("\n"));
        world.stop().await;
    });
}

#[test]
fn a_stream_at_rest_does_not_hold_the_log() {
    let disk = SimVfs::new();
    let runtime = tasks::control_runtime().expect("a runtime");
    runtime.block_on(async {
        let world = World::open(&disk).await;
        let mut client = Client::new(&world.account);
        for name in ["A", "B"] {
            let config = json!({"name": name, "subjects": [format!("{name}.>")]});
            let what = format!("STREAM.CREATE.{name}");
            client.api(&what, config).await;
        }
        // Too much to be written anew, too little for a checkpoint.
        client.request("A.1", "", &[1; 4000]).await;
        for _ in 0..200 {
            client.request("B.1", "", &[2; 1000]).await;
        }
        let a = world.stream("A").expect("it runs").group;
        let held = || {
            let pinned = world.wal.pinned_by().into_iter();
            pinned
                .filter(|(group, _)| *group == a)
                .map(|(_, held)| held)
                .max()
                .unwrap_or(0)
        };
        assert!(held() > 3, "{:?}", world.wal.pinned_by());
        while held() > 3 {
            assert_eq!(world.jetstream.streams.release_segments(3), []);
            client.request("B.1", "", b"time passes").await;
        }
        world.stop().await;
    });
}

#[test]
fn a_power_cut_at_every_call_loses_nothing() {
    let (done, points) = played(1, 2100);
    assert!(points.len() > 2000, "{} points", points.len());
    let keeping = points.iter().filter(|point| keeps_segments(&point.disk));
    let keeping = keeping.count();
    assert!(keeping > points.len() / 2, "{keeping} of {}", points.len());
    let survivals = effort(1);
    let checked = each_crash(&points, survivals, |disk, point, number| {
        check_found(disk, &done, point.mark, number);
    });
    assert_eq!(checked, survivals * points.len());
    println!("{checked} crashes at {} points", points.len());
}

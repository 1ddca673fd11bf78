//! What a stream does while its disk does nothing.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use serde_json::json;

use super::world::{Client, World};
use crate::jetstream::gather::MESSAGES_WORTH_AN_ENTRY;
use crate::tasks;
use crate::vfs::sim::SimVfs;

/// Nothing that does not wait for the disk takes so long.
const HELD_MAX: Duration = Duration::from_secs(30);

/// A disk that does nothing until this is dropped.
struct Held(Arc<(Mutex<bool>, Condvar)>);

impl Held {
    fn new(disk: &SimVfs) -> Held {
        let is_held = Arc::new((Mutex::new(true), Condvar::new()));
        let gate = Arc::clone(&is_held);
        disk.observe(Arc::new(move |_| {
            gate.1.wait_while(&mut gate.0.lock(), |is_held| *is_held);
        }));
        Held(is_held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.0.lock() = false;
        self.0.1.notify_all();
    }
}

/// A world with a stream `A` that listens on `A`.
fn with_a_stream(check: impl AsyncFnOnce(&SimVfs, &World, &mut Client)) {
    let disk = SimVfs::new();
    let runtime = tasks::control_runtime().expect("a runtime");
    runtime.block_on(async {
        let world = World::open(&disk).await;
        let mut client = Client::new(&world.account);
        let config = json!({"name": "A", "subjects": ["A"]});
        client.api("STREAM.CREATE.A", config).await;
        check(&disk, &world, &mut client).await;
        world.stop().await;
    });
}

/// The last entry of the stream that its log knows of, synced or not.
fn last_entry(world: &World) -> u64 {
    let group = world.stream("A").expect("it runs").group;
    world.wal.state(group).last.map_or(0, |last| last.index)
}

/// Returns when the log knows of this entry.
async fn entry_comes(world: &World, index: u64) {
    while last_entry(world) < index {
        tokio::task::yield_now().await;
    }
}

#[test]
fn what_a_consumer_shows_waits_for_what_it_was_told() {
    with_a_stream(async |disk, world, client| {
        let config = json!({"stream_name": "A", "config": {
            "durable_name": "c", "ack_policy": "explicit",
        }});
        client.api("CONSUMER.DURABLE.CREATE.A.c", config).await;
        for _ in 0..2 {
            client.request("A", "", b"message").await;
        }
        let delivered = client.fetch("A", "c", 2).await;
        world.wait_for_log("A").await;
        let handle = world.stream("A").expect("it runs");
        let questions = ["CONSUMER.INFO.A.c", "CONSUMER.LIST.A"];
        for ((what, message), number) in questions.into_iter().zip(&delivered).zip(1..) {
            let before = last_entry(world);
            let held = Held::new(disk);
            client.send(&message.reply, "", b"+ACK");
            let asked = client.send(&format!("$JS.API.{what}"), "", b"");
            let was_asked = tokio::time::timeout(HELD_MAX, async {
                entry_comes(world, before + 1).await;
                // Time enough for the question to reach the stream, and for a wrong answer.
                for _ in 0..100 {
                    handle.read(|_| ()).await.expect("it runs");
                }
            });
            was_asked
                .await
                .expect("the stream goes on without the disk");
            drop(held);
            let mut answer = client.receive().await;
            if answer.subject != asked {
                answer = client.receive().await; // that of the acknowledgement was first
            }
            let shown = answer.json();
            let info = shown["consumers"].get(0).unwrap_or(&shown);
            assert_eq!(info["ack_floor"]["stream_seq"], number, "{what}: {shown}");
        }
    });
}

#[test]
fn entries_go_to_the_log_while_others_are_being_written() {
    with_a_stream(async |disk, world, client| {
        let before = last_entry(world);
        let held = Held::new(disk);
        // The first one goes alone: nothing is under way.
        let counts = [1, MESSAGES_WORTH_AN_ENTRY, MESSAGES_WORTH_AN_ENTRY];
        let mut sent = Vec::new();
        let came = tokio::time::timeout(HELD_MAX, async {
            for (entry, count) in (1..).zip(counts) {
                sent.extend((0..count).map(|_| client.send("A", "", b"message")));
                entry_comes(world, before + entry).await;
            }
        })
        .await;
        let entries = last_entry(world) - before;
        drop(held);
        assert!(came.is_ok(), "{entries} entries of {} messages", sent.len());
        assert_eq!(entries, 3);
        for inbox in &sent {
            assert_eq!(&client.receive().await.subject, inbox);
        }
    });
}

//! What a message costs here, all in all; with the memory store's share.

use super::world::{World, pull};
use crate::consumer::config::Config;
use crate::consumer::dispatch::Action;
use crate::store::memory::MemoryStore;

/// Delivers and acknowledges in batches of 256.
#[test]
#[ignore = "a measurement; of use in an optimised build only"]
#[allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement"
)]
fn deliver_and_acknowledge() {
    let config = Config {
        max_ack_pending: 10_000,
        ..pull()
    };
    let mut world = World::new(config, MemoryStore::new());
    let count = 200_000;
    for _ in 0..count {
        world.store("orders.new", &[b'x'; 128]);
    }
    let begun = std::time::Instant::now();
    let mut delivered = 0;
    while delivered < count {
        world.pull("x", "256");
        for action in world.settle() {
            if let Action::Deliver(deliver) = action {
                delivered += 1;
                world.ack(deliver.delivery.stream_seq, "+ACK", "");
            }
        }
        while world.commit_one().is_some() {}
        world.applied.clear();
    }
    let each = begun.elapsed() / count;
    println!("{each:?} a message");
    assert_eq!(world.consumer.num_ack_pending(), 0);
}

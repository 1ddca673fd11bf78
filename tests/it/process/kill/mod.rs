//! `kill -9` under load, again and again: what was acknowledged is there.
//!
//! Publishers with and without ids, a stream of registers, two durable consumers with
//! confirmed acknowledgements (one of a work queue), and somebody who makes and deletes
//! streams work until the process is killed at a random moment. It starts again in the same
//! directory; then everything that was promised is looked up.
//!
//! `NATTER_KILLS` says how often (10), `NATTER_SEED` when, `NATTER_SERVER` which binary. A
//! run in which nothing much happened fails.

mod actors;
mod check;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use self::actors::{Churner, Kind, Publisher, Puller};
use self::check::{Seen, state};
use super::link::Link;
use super::{Process, wait_until};

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    text.parse().unwrap_or(default)
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

struct World {
    process: Process,
    publishers: Vec<(Publisher, Seen)>,
    pullers: Vec<Puller>,
    churner: Churner,
}

impl World {
    fn start() -> World {
        let process = Process::start("jetstream { store_dir: 'DIR/data', max_file: 8GB }");
        let mut link = Link::connect(&process.address("nats")).unwrap();
        for (name, more) in [
            ("PLAIN", json!({})),
            ("DEDUP", json!({"duplicate_window": 3_600_000_000_000_u64})),
            ("KEYS", json!({"max_msgs_per_subject": 1})),
            ("WORK", json!({"retention": "workqueue"})),
        ] {
            let mut config = json!({
                "name": name, "subjects": [format!("{name}.>")], "allow_direct": true,
            });
            config
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            let made = link
                .api(&format!("STREAM.CREATE.{name}"), &config.to_string())
                .unwrap();
            assert!(made["error"].is_null(), "{made}");
        }
        for (stream, max_deliver) in [("PLAIN", -1), ("WORK", 1_000_000)] {
            let config = json!({"stream_name": stream, "config": {
                "durable_name": "worker", "ack_policy": "explicit", "ack_wait": 1_000_000_000,
                "max_deliver": max_deliver,
            }});
            let what = format!("CONSUMER.CREATE.{stream}.worker");
            let made = link.api(&what, &config.to_string()).unwrap();
            assert!(made["error"].is_null(), "{made}");
        }
        let publisher = |stream, kind| (Publisher::new(stream, kind), Seen::default());
        World {
            process,
            publishers: vec![
                publisher("PLAIN", Kind::Plain),
                publisher("DEDUP", Kind::Dedup),
                publisher("KEYS", Kind::Keys),
                publisher("WORK", Kind::Plain),
            ],
            pullers: vec![Puller::new("PLAIN", false), Puller::new("WORK", true)],
            churner: Churner::default(),
        }
    }

    /// Everybody works until so many things were acknowledged, and so many streams made or
    /// deleted; then the process is killed.
    fn work_until_killed(&mut self, acks_min: u64, churned_min: u64) -> u64 {
        let address = self.process.address("nats");
        let (address, acks) = (&*address, &AtomicU64::new(0));
        let churned = &AtomicU64::new(0);
        std::thread::scope(|scope| {
            for (publisher, _) in &mut self.publishers {
                scope.spawn(move || publisher.run(address, acks));
            }
            for puller in &mut self.pullers {
                scope.spawn(move || puller.run(address, acks, usize::MAX));
            }
            let churner = &mut self.churner;
            scope.spawn(move || churner.run(address, churned));
            let is_done = |count: &AtomicU64, min| count.load(Ordering::Relaxed) >= min;
            wait_until("acknowledgements", || {
                is_done(acks, acks_min) && is_done(churned, churned_min)
            });
            self.process.kill();
        });
        acks.load(Ordering::Relaxed)
    }

    fn check(&mut self, from_the_start: bool) {
        let mut link = Link::connect(&self.process.address("nats")).unwrap();
        let taken = &self.pullers[1];
        let is_taken = |seq: u64| taken.acked.contains(&seq) || taken.unknown.contains(&seq);
        for (publisher, seen) in &mut self.publishers {
            if from_the_start {
                *seen = Seen::default();
            }
            let gone = |seq: u64| publisher.stream == "WORK" && is_taken(seq);
            publisher.check(&mut link, seen, &gone);
        }
        for puller in &mut self.pullers {
            puller.check(&mut link);
        }
        self.churner.check(&mut link);
    }

    /// Consumers take what is left: afterwards nothing waits.
    fn drain(&mut self) {
        let address = self.process.address("nats");
        for puller in &mut self.pullers {
            // Longer than the time after which something is delivered again.
            puller.run(&address, &AtomicU64::new(0), 5).unwrap();
        }
        let mut link = Link::connect(&address).unwrap();
        for puller in &self.pullers {
            let what = format!("CONSUMER.INFO.{}.worker", puller.stream);
            let info = link.api(&what, "").unwrap();
            assert_eq!(
                (&info["num_pending"], &info["num_ack_pending"]),
                (&json!(0), &json!(0))
            );
        }
        assert_eq!(state(&mut link, "WORK")["messages"], 0);
    }
}

#[test]
fn what_was_acknowledged_survives_kills() {
    let kills = setting("NATTER_KILLS", 10);
    let seed = setting("NATTER_SEED", u64::from(std::process::id()) | 1);
    let mut random = Random(seed);
    let began = Instant::now();
    let mut world = World::start();
    let (mut worked, mut slowest) = (0, Duration::ZERO);
    for kill in 1..=kills {
        let acks_min = 50 + random.below(700);
        worked += world.work_until_killed(acks_min, kill % 3);
        let killed = Instant::now();
        world.process.start_again();
        slowest = slowest.max(killed.elapsed());
        world.check(false);
        if kill.is_multiple_of(20) {
            println!(
                "{kill} kills, {worked} acknowledgements, slowest start {slowest:.1?}, seed {seed}"
            );
        }
    }
    world.drain();
    world.process.kill();
    world.process.start_again();
    world.check(true);

    let acked: usize = world.publishers.iter().map(|(p, _)| p.acked.len()).sum();
    let unknown: usize = world.publishers.iter().map(|(p, _)| p.unknown.len()).sum();
    let duplicates: u64 = world.publishers.iter().map(|(p, _)| p.duplicates).sum();
    let taken: usize = world.pullers.iter().map(|puller| puller.acked.len()).sum();
    let redelivered: u64 = world.pullers.iter().map(|puller| puller.redelivered).sum();
    let (kept, deleted) = (world.churner.kept.len(), world.churner.deleted.len());
    println!(
        "{} kills in {:.0?}: {acked} messages acknowledged, 0 lost, {unknown} without an answer, \
         {duplicates} duplicates recognised; {taken} acknowledgements confirmed, 0 forgotten, \
         {redelivered} redeliveries; {kept} streams kept, {deleted} deleted; slowest start \
         {slowest:.1?}; seed {seed}",
        kills + 1,
        began.elapsed(),
    );
    assert!(acked > 500 && taken > 50, "hardly anything was done");
    assert!(
        duplicates > 0 || kills < 5,
        "no kill came between a message and its answer"
    );
    assert!(redelivered > 0 && kept + deleted > 0);
}

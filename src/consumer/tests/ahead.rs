//! Messages that are sent before the log has taken their delivery.

use super::world::{World, pull, push, show};
use crate::consumer::command::Command;
use crate::consumer::config::{AckPolicy, Config, DeliverPolicy};
use crate::consumer::dispatch::{Action, Answer};
use crate::store::memory::MemoryStore;
use crate::store::message::Seq;

/// Three messages, and a request for ten that was looked at once.
fn asked(config: Config) -> (World, Vec<String>) {
    let mut world = World::sending_ahead(config, MemoryStore::new());
    for _ in 0..3 {
        world.store("a", b"x");
    }
    let told = world.pull("x", r#"{"batch":10}"#);
    assert_eq!(told, []);
    let told = world.poll().iter().map(show).collect();
    (world, told)
}

const SENT: [&str; 3] = ["x 1 n=1 c=1 p=2", "x 2 n=1 c=2 p=1", "x 3 n=1 c=3 p=0"];

#[test]
fn new_messages_go_out_at_once() {
    for ack_policy in [AckPolicy::Explicit, AckPolicy::All, AckPolicy::None] {
        let (mut world, told) = asked(Config {
            ack_policy,
            ..pull()
        });
        assert_eq!(told, SENT);
        assert_eq!(world.consumer.state().delivered().consumer, 0);
        let (_, told) = world.commit_one().expect("their delivery");
        assert_eq!(told, [], "they were sent");
        assert_eq!(world.consumer.state().delivered().consumer, 3);
    }
}

#[test]
fn whoever_limits_deliveries_waits_for_the_log() {
    let limited = Config {
        max_deliver: 2,
        ..pull()
    };
    let (mut world, told) = asked(limited);
    assert!(told.is_empty(), "{told:?}");
    let (_, told) = world.commit_one().expect("their delivery");
    assert_eq!(told.iter().map(show).collect::<Vec<_>>(), SENT);
}

#[test]
fn the_log_may_take_its_time_only_for_what_went_out() {
    for (max_deliver, is_sent) in [(-1, true), (2, false)] {
        let config = Config {
            max_deliver,
            ..pull()
        };
        let mut world = World::sending_ahead(config, MemoryStore::new());
        world.store("a", b"x");
        world.pull("x", r#"{"batch":10}"#);
        let mut actions = Vec::new();
        let World {
            now,
            store,
            consumer,
            dispatcher,
            ..
        } = &mut world;
        let polled = dispatcher.poll(*now, consumer, store, &mut actions);
        polled.expect("a readable store");
        let delivered = Command::Deliver(vec![Seq(1)]);
        let expected = match is_sent {
            true => Action::Record(delivered),
            false => Action::Propose(delivered),
        };
        assert!(actions.contains(&expected), "{actions:?}");
    }
}

#[test]
fn an_acknowledgement_may_come_before_the_log_has_the_delivery() {
    let (mut world, _) = asked(pull());
    let (acked, _) = world.ack(Seq(2), "+ACK", "r");
    assert_eq!(acked.answer, Answer::Applied);
    world.commit_one().expect("their delivery");
    let (outcome, _) = world.commit_one().expect("the acknowledgement");
    assert_eq!(outcome.released, [Seq(2)]);
    assert_eq!(world.consumer.num_ack_pending(), 2);
}

#[test]
fn what_never_came_into_the_log_is_sent_again_behind_it() {
    let (mut world, _) = asked(pull());
    assert_eq!(world.drop_one(), []);
    assert_eq!(world.poll(), [], "it waits for the log now");
    let (_, told) = world.commit_one().expect("their delivery, again");
    assert_eq!(told.iter().map(show).collect::<Vec<_>>(), SENT);
    world.store("a", b"x");
    let told: Vec<String> = world.poll().iter().map(show).collect();
    assert_eq!(told, ["x 4 n=1 c=4 p=0"], "the log can be trusted again");
}

#[test]
fn a_message_that_goes_while_it_is_under_way_hides_none_behind_it() {
    let mut world = World::sending_ahead(push(), MemoryStore::new());
    let shown = |told: Vec<Action>| told.iter().map(show).collect::<Vec<_>>();
    world.dispatcher.on_interest(world.now, true);
    world.store("a", b"x");
    assert_eq!(shown(world.poll()), ["d 1 n=1 c=1 p=0"]);
    world.remove(Seq(1));
    world.store("a", b"x");
    world.store("a", b"x");
    assert_eq!(shown(world.poll()), ["d 2 n=1 c=2 p=0"]);
    world.store("a", b"x");
    assert_eq!(shown(world.poll()), ["d 3 n=1 c=3 p=0"]);
    assert_eq!(shown(world.settle()), ["d 4 n=1 c=3 p=0"]);
}

#[test]
fn after_a_reset_what_was_sent_before_it_counts_for_nothing() {
    let (mut world, _) = asked(pull());
    world.settle();
    world.log.push_back(Command::Reset(Some(Seq(1))));
    world.commit_one().expect("the reset");
    let (acked, _) = world.ack(Seq(2), "+ACK", "r");
    assert_eq!((acked.command, acked.answer), (None, Answer::None));
}

#[test]
fn what_is_settled_twice_makes_room_once() {
    let (mut world, told) = asked(Config {
        max_ack_pending: 1,
        ..pull()
    });
    assert_eq!(told, SENT[..1]);
    world.ack(Seq(1), "+TERM", "");
    world.ack(Seq(1), "+ACK", "");
    world.commit_one().expect("the delivery");
    world.commit_one().expect("the termination");
    assert_eq!(
        world.poll().iter().map(show).collect::<Vec<_>>(),
        SENT[1..2]
    );
    world.settle();
    assert_eq!(world.consumer.num_ack_pending(), 1);
}

#[test]
fn an_acknowledgement_makes_room_before_it_is_in_the_log() {
    let (mut world, told) = asked(Config {
        max_ack_pending: 2,
        ..pull()
    });
    assert_eq!(told, SENT[..2]);
    world.commit_one().expect("their delivery");
    assert_eq!(world.poll(), []);
    world.ack(Seq(1), "+ACK", "");
    assert_eq!(world.poll().iter().map(show).collect::<Vec<_>>(), SENT[2..]);
    world.settle();
    assert_eq!(world.consumer.num_ack_pending(), 2);
}

#[test]
fn the_list_goes_on_where_it_was_when_a_message_under_way_has_gone() {
    let mut store = World::new(Config::default(), MemoryStore::new());
    for subject in ["a", "b", "c"] {
        store.store(subject, b"x");
    }
    let config = Config {
        deliver_policy: DeliverPolicy::LastPerSubject,
        max_ack_pending: 10,
        ..pull()
    };
    let mut world = World::sending_ahead(config, store.store);
    world.pull("x", r#"{"batch":2}"#);
    let first: Vec<_> = world.poll().iter().map(show).collect();
    assert_eq!(first, ["x 1 n=1 c=1 p=2", "x 2 n=1 c=2 p=1"]);
    world.remove(Seq(1));
    world.store("a", b"x");
    world.pull("y", r#"{"batch":10}"#);
    let mut told = world.poll();
    while let Some((_, more)) = world.commit_one() {
        told.extend(more);
        told.extend(world.poll());
    }
    let is_of = |seq: u64| {
        let of = move |action: &&Action| match action {
            Action::Deliver(deliver) => deliver.delivery.stream_seq == Seq(seq),
            _ => false,
        };
        told.iter().filter(of).count()
    };
    assert_eq!([is_of(3), is_of(4)], [1, 1], "{told:?}");
}

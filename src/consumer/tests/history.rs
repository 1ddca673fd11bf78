//! Generated histories against a naive model (I9).
//!
//! The model knows each message's fate: how often it was sent, whether its acknowledgement
//! was applied. It checks after every step what must never happen, and at the end, once
//! everybody asks for everything, that every message that matches was delivered or has a
//! reason not to be.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::world::{SECOND, World, at, pull, push};
use crate::consumer::config::{AckPolicy, Config, DeliverPolicy};
use crate::consumer::dispatch::{Action, Advisory};
use crate::store::memory::MemoryStore;
use crate::store::message::Seq;

#[derive(Clone, Debug)]
enum Event {
    Store(u8),
    Remove(u8),
    Pull(u8, u8),
    Ack(u8),
    Nak(u8, Option<u8>),
    Progress(u8),
    Terminate(u8),
    Wait(u16),
    Poll,
    Commit,
    Drop,
    Settle,
    Leader,
    LostClient,
    Down,
}

impl Event {
    /// Which event a number stands for: a byte for the kind, one for the rest. Cheaper
    /// to generate and to shrink than a choice of strategies.
    fn of(number: u16) -> Event {
        let [kind, n] = number.to_be_bytes();
        match kind % 37 {
            0..6 => Event::Store(n),
            6 => Event::Remove(n),
            7..11 => Event::Pull(n, n / 4 % 12),
            11..16 => Event::Ack(n),
            16 => Event::Nak(n, None),
            17 => Event::Nak(n, Some(n % 20)),
            18 => Event::Progress(n),
            19 => Event::Terminate(n),
            20..23 => Event::Wait(u16::from(n) * 60),
            23..26 => Event::Poll,
            26..30 => Event::Commit,
            30..33 => Event::Settle,
            33 => Event::Leader,
            34 => Event::LostClient,
            35 => Event::Drop,
            _ => Event::Down,
        }
    }
}

/// Which configuration a number stands for.
fn config_of(mut number: u32) -> Config {
    let mut pick = |choices: u32| {
        let picked = number % choices;
        number /= choices;
        picked
    };
    let ack_policy = match pick(7) {
        0..4 => AckPolicy::Explicit,
        4..6 => AckPolicy::All,
        _ => AckPolicy::None,
    };
    let deliver_policy = match pick(6) {
        0..3 => DeliverPolicy::All,
        3 => DeliverPolicy::LastPerSubject,
        4 => DeliverPolicy::New,
        _ => DeliverPolicy::Last,
    };
    let filter_subjects = match pick(5) {
        0..2 => vec![],
        2 => vec!["s.1".to_owned()],
        3 => vec!["s.0".to_owned(), "s.2".to_owned()],
        _ => vec!["s.*".to_owned()],
    };
    let limit = |picked: u32| if picked == 0 { -1 } else { i64::from(picked) };
    let (max_ack_pending, max_deliver) = (limit(pick(6)), limit(pick(4)));
    let backoff = vec![2 * SECOND; pick(4) as usize];
    let (pushes, flow_control) = (pick(2) == 0, pick(2) == 0);
    Config {
        ack_policy,
        deliver_policy,
        filter_subjects,
        max_ack_pending,
        max_deliver,
        backoff,
        flow_control: pushes && flow_control,
        ..if pushes { push() } else { pull() }
    }
}

/// What must hold of a history.
struct Model {
    world: World,
    /// How often each message was sent, and to whom.
    sent: BTreeMap<Seq, u64>,
    /// Messages whose acknowledgement or termination was applied.
    settled: BTreeSet<Seq>,
    given_up: BTreeSet<Seq>,
    asked: BTreeMap<String, i64>,
    pulls: u32,
    last_consumer_seq: u64,
    floors: [u64; 4],
    sends_ahead: bool,
    /// What was sent ahead of the log may not have come into it.
    may_repeat: bool,
}

impl Model {
    fn new(config: Config, stored: &[u8], sends_ahead: bool) -> Model {
        let mut before = World::new(Config::default(), MemoryStore::new());
        for subject in stored {
            before.store(&subject_of(*subject), b"x");
        }
        Model {
            world: match sends_ahead {
                true => World::sending_ahead(config, before.store),
                false => World::new(config, before.store),
            },
            sent: BTreeMap::new(),
            settled: BTreeSet::new(),
            given_up: BTreeSet::new(),
            asked: BTreeMap::new(),
            pulls: 0,
            last_consumer_seq: 0,
            floors: [0; 4],
            sends_ahead,
            may_repeat: false,
        }
    }

    /// One of those sent, old or new.
    fn pick(&self, n: u8) -> Option<Seq> {
        let count = self.sent.len();
        self.sent.keys().nth(usize::from(n) % count.max(1)).copied()
    }

    fn play(&mut self, event: &Event) {
        match *event {
            Event::Store(n) => {
                self.world.store(&subject_of(n), b"0123456789");
            }
            Event::Remove(n) => {
                let stored = self.world.stored();
                if let Some(&(seq, _)) = stored.get(usize::from(n) % stored.len().max(1)) {
                    self.world.remove(seq);
                    self.settled.insert(seq);
                }
            }
            Event::Pull(kind, batch) => {
                let reply = format!("x{}", self.pulls);
                self.pulls += 1;
                let extra = match kind % 4 {
                    0 => ",\"no_wait\":true",
                    1 => ",\"expires\":3000000000",
                    2 => ",\"max_bytes\":150",
                    _ => "",
                };
                let body = format!("{{\"batch\":{batch}{extra}}}");
                self.asked.insert(reply.clone(), i64::from(batch.max(1)));
                let told = self.world.pull(&reply, &body);
                self.see(told);
                self.world.dispatcher.on_interest(self.world.now, true);
            }
            Event::Ack(n) => self.reply(n, "+ACK"),
            Event::Nak(n, None) => self.reply(n, "-NAK"),
            Event::Nak(n, Some(delay)) => self.reply(n, &format!("-NAK {delay}s")),
            Event::Progress(n) => self.reply(n, "+WPI"),
            Event::Terminate(n) => self.reply(n, "+TERM"),
            Event::Wait(ms) => {
                let now = self.world.now.unix_nanos() + i64::from(ms) * 1_000_000;
                self.world.now = at(now);
            }
            Event::Poll => {
                let told = self.world.poll();
                self.see(told);
            }
            Event::Commit => self.commit(),
            Event::Drop => {
                self.may_repeat |= self.sends_ahead;
                let told = self.world.drop_one();
                self.see(told);
            }
            Event::Settle => self.settle(),
            Event::Leader => {
                self.may_repeat |= self.sends_ahead;
                self.world.change_leader();
            }
            Event::LostClient => {
                let reply = format!("x{}", self.pulls.saturating_sub(1));
                let mut told = Vec::new();
                let dispatcher = &mut self.world.dispatcher;
                dispatcher.on_interest_lost(reply.as_bytes(), false, &mut told);
                assert_eq!(told, [], "a lost client is told nothing");
            }
            Event::Down => self.world.dispatcher.on_interest(self.world.now, false),
        }
        self.check();
    }

    fn reply(&mut self, n: u8, payload: &str) {
        if let Some(seq) = self.pick(n) {
            let (_, told) = self.world.ack(seq, payload, "r");
            self.see(told);
        }
    }

    fn commit(&mut self) {
        let pending_before: Vec<Seq> = self.pending();
        let Some((outcome, told)) = self.world.commit_one() else {
            return;
        };
        self.settled.extend(&outcome.released);
        for seq in pending_before {
            let still = self.world.consumer.state().pending().contains_key(&seq);
            let explained = outcome.released.contains(&seq)
                || self.world.consumer.state().exhausted().contains(&seq);
            assert!(still || explained, "{seq} left the pending ones silently");
        }
        self.see(told);
    }

    fn settle(&mut self) {
        loop {
            let told = self.world.poll();
            self.see(told);
            if self.world.log.is_empty() {
                return;
            }
            while !self.world.log.is_empty() {
                self.commit();
            }
        }
    }

    fn see(&mut self, told: Vec<Action>) {
        let config = self.world.consumer.config().clone();
        for action in told {
            match action {
                Action::Deliver(deliver) => {
                    let delivery = deliver.delivery;
                    let seq = delivery.stream_seq;
                    assert_eq!(deliver.message.seq, seq);
                    assert!(self.world.consumer.wants(&deliver.message.subject));
                    let released_by_delivery = config.ack_policy == AckPolicy::None;
                    if !released_by_delivery {
                        assert!(!self.settled.contains(&seq), "{seq} again after its ack");
                        assert!(!self.given_up.contains(&seq), "{seq} again, given up");
                    }
                    let sent = self.sent.entry(seq).or_default();
                    *sent += 1;
                    let is_counted = !self.may_repeat || config.max_deliver >= 0;
                    assert!(
                        !is_counted || delivery.count >= *sent,
                        "fewer counted than sent"
                    );
                    assert!(config.max_deliver < 0 || *sent <= config.max_deliver.unsigned_abs());
                    // Foreseen: what goes meanwhile leaves its number to the next one.
                    assert!(self.sends_ahead || delivery.consumer_seq > self.last_consumer_seq);
                    self.last_consumer_seq = delivery.consumer_seq;
                    if !config.is_push() {
                        let to = String::from_utf8_lossy(&deliver.to).into_owned();
                        let left = self.asked.get_mut(&to).expect("somebody asked");
                        *left -= 1;
                        assert!(*left >= 0, "{to} got more than it asked for");
                    }
                }
                Action::Status { to, .. } => {
                    // Nothing comes after the end of a request.
                    let to = String::from_utf8_lossy(&to).into_owned();
                    if let Some(left) = self.asked.get_mut(&to) {
                        *left = 0;
                    }
                }
                Action::Advisory(Advisory::MaxDeliver(delivery)) => {
                    assert!(self.given_up.insert(delivery.stream_seq), "told once");
                }
                _ => {}
            }
        }
    }

    fn pending(&self) -> Vec<Seq> {
        self.world
            .consumer
            .state()
            .pending()
            .keys()
            .copied()
            .collect()
    }

    fn check(&mut self) {
        let stored = self.world.stored();
        let consumer = &self.world.consumer;
        let state = consumer.state();
        let (delivered, floor) = (state.delivered(), state.ack_floor());
        let floors = [
            delivered.consumer,
            delivered.stream.0,
            floor.consumer,
            floor.stream.0,
        ];
        let monotone = floors.iter().zip(&self.floors).all(|(new, old)| new >= old);
        assert!(monotone, "{:?} went back to {floors:?}", self.floors);
        assert!(floor.consumer <= delivered.consumer && floor.stream <= delivered.stream);
        self.floors = floors;
        if let Some(max) = consumer.pending_max() {
            assert!(consumer.num_ack_pending() <= max);
        }
        let ahead = stored
            .iter()
            .filter(|(seq, subject)| consumer.wants(subject) && consumer.cursor().is_ahead(*seq));
        let ahead = ahead.count() as u64;
        assert_eq!(consumer.num_pending(), ahead, "num_pending is exact");
        let redelivered = state.pending().values().filter(|one| one.count > 1).count();
        let redelivered = (redelivered + state.exhausted().len()) as u64;
        assert_eq!(state.redelivered(), redelivered);
        if let Some((_, lowest)) = state.pending().first_key_value() {
            assert_eq!(
                lowest.first,
                floor.consumer + 1,
                "the floor is below the lowest"
            );
        }
        for (seq, subject) in stored {
            let needed = consumer.wants(&subject)
                && (consumer.cursor().is_ahead(seq)
                    || state.pending().contains_key(&seq)
                    || state.exhausted().contains(&seq));
            assert_eq!(consumer.is_done_with(seq, &subject), !needed, "{seq}");
        }
    }

    /// Everybody asks for everything and acknowledges it; then nothing may be left.
    fn finish(&mut self) {
        self.settle();
        for _ in 0..100 {
            let consumer = &self.world.consumer;
            if consumer.num_pending() == 0 && consumer.num_ack_pending() == 0 {
                break;
            }
            self.world.now = at(self.world.now.unix_nanos() + 31 * SECOND);
            self.play(&Event::Pull(3, 200));
            self.settle();
            for seq in self.pending() {
                self.world.ack(seq, "+ACK", "");
            }
            self.settle();
            self.check();
        }
        let stored = self.world.stored();
        let consumer = &self.world.consumer;
        assert_eq!(consumer.num_pending(), 0, "everything was delivered");
        assert_eq!(consumer.num_ack_pending(), 0, "everything was acknowledged");
        assert_eq!(
            consumer.state().delivered().consumer,
            consumer.state().ack_floor().consumer
        );
        for (seq, subject) in stored {
            let expected = consumer.wants(&subject) && !self.given_up.contains(&seq);
            if expected && !self.settled.contains(&seq) && !self.sent.contains_key(&seq) {
                let start = consumer.config().deliver_policy;
                assert_ne!(start, DeliverPolicy::All, "{seq} was never delivered");
            }
        }
    }
}

fn subject_of(n: u8) -> String {
    format!("s.{}", n % 4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn histories_keep_the_promises(
        config: u32,
        stored in proptest::collection::vec(any::<u8>(), 0..8),
        events in proptest::collection::vec(any::<u16>(), 0..50),
        sends_ahead: bool,
    ) {
        let mut model = Model::new(config_of(config), &stored, sends_ahead);
        model.check();
        for event in events {
            model.play(&Event::of(event));
        }
        model.finish();
    }
}

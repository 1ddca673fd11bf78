//! One stream at work: its machine and group, and everything the leader does beside.
//!
//! Separate from the machine because this is the shell: it waits (for messages, for the
//! log, for time), calls in and carries out what comes back. It decides nothing that the
//! machine or a dispatcher could decide.
//!
//! ```text
//!   mailbox ─► ingest / consumer_inbox / calls ─► batch of commands ─► group (synced, applied)
//!                                                                         │ outcomes
//!   account ◄─ outlet ◄─ acks, delivery, republish, advisories ◄──────────┘
//! ```
//!
//! Invariants: commands are proposed in the order they came, at most
//! [`PROPOSALS_MAX`] entries under way; every command has one waiter, which hears its
//! outcome or that there is none; all that one turn publishes is flushed at its end.
//! Nothing here awaits but [`Replica::run`]. When it does nothing, see [`super::rest`].

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::account::{AccountStreams, Room};
use super::advisories::Advisory;
use super::delivery::Deliveries;
use super::gather::{Batch, Haste, PROPOSALS_MAX};
use super::handle::StreamHandle;
use super::incoming::{Incoming, Purpose};
use super::mailbox::{Call, Event};
use super::origin::Origin;
use super::outlet::Outlet;
use super::rest::Rest;
use super::waiters::{Then, Told, Waiter, Waiters};
use super::{acks, consumer_inbox, direct_get, health, ingest, republish, rest, timers};
use crate::api_error::{ApiError, table};
use crate::clock::{self, Timestamp};
use crate::consumer;
use crate::entropy::Random;
use crate::nuid::{self, Nuid};
use crate::raft::error::ProposeError;
use crate::raft::group::Group;
use crate::state_machine::StateMachine as _;
use crate::store::damage::Damage;
use crate::stream::command::{Command, Publish};
use crate::stream::config::{Config, Storage};
use crate::stream::machine::Machine;
use crate::stream::outcome::{Effect, Outcome};
use crate::subject::transform::Transform;

/// How long commands wait after a refusal.
const REFUSED_WAIT_NS: i64 = 250_000_000;

/// The largest payload a client may send, if the stream has no limit of its own.
const PAYLOAD_BYTES: u64 = 1024 * 1024;

type Proposal = Pin<Box<dyn Future<Output = (Waiters, Result<Vec<Outcome>, ProposeError>)> + Send>>;

/// One stream at work.
pub struct Replica {
    /// The stream as others see it.
    pub handle: Arc<StreamHandle>,
    /// Machine and log.
    pub group: Group<Machine>,
    /// How it speaks.
    pub outlet: Outlet,
    /// Its consumers' leader-only halves.
    pub deliveries: Deliveries,
    /// What it copies from; none for a plain stream.
    pub origin: Option<Box<Origin>>,
    /// Ids of events.
    pub ids: Nuid,
    /// Text of an ack; used again.
    pub text: Vec<u8>,
    /// The account's streams.
    pub site: Arc<AccountStreams>,
    /// Whether it is used.
    pub rest: Rest,
    rules: Rules,
    random: Random,
    batch: Batch,
    /// Came one after the other, and wait for what comes next.
    acks: Vec<Incoming>,
    /// Commands that were ever submitted, and of these those with an outcome.
    submitted: u64,
    settled: u64,
    /// Waits until so many commands have an outcome; ascending.
    after: VecDeque<(u64, Call)>,
    /// In the order of the log, in which they are answered too.
    in_flight: VecDeque<Proposal>,
    /// The commands in them.
    under_way: usize,
    is_ticking: bool,
    /// What may still be stored; as of the last entry, less what is under way since.
    room: Room,
    /// Why the last proposal was refused.
    refused: Option<ProposeError>,
    /// Until when the next one waits.
    held: Option<Timestamp>,
    /// What the store said last of what it cannot read.
    damage: Damage,
    stopping: Option<End>,
}

/// Why a replica ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The stream is no more.
    Deleted,
    /// It goes on after the next start.
    Shutdown,
}

/// The configuration as the hot path wants it.
#[derive(Default)]
struct Rules {
    no_ack: bool,
    in_memory: bool,
    message_bytes_max: u64,
    transform: Option<Transform>,
    /// With `headers_only`.
    republish: Option<(Transform, bool)>,
}

impl Rules {
    fn of(config: &Config) -> Rules {
        let transform = |src: &str, dest: &str| {
            let src = if src.is_empty() { ">" } else { src };
            Transform::new(src, dest).ok()
        };
        let limit = u64::try_from(config.max_msg_size).unwrap_or(0);
        Rules {
            no_ack: config.no_ack,
            in_memory: config.storage == Storage::Memory,
            message_bytes_max: if limit > 0 { limit } else { PAYLOAD_BYTES },
            transform: config
                .subject_transform
                .as_ref()
                .and_then(|t| transform(&t.src, &t.dest)),
            republish: config.republish.as_ref().and_then(|republish| {
                let transform = transform(&republish.src, &republish.dest)?;
                Some((transform, republish.headers_only))
            }),
        }
    }
}

impl Replica {
    /// A replica that [`Replica::run`] brings to life.
    pub fn new(
        site: Arc<AccountStreams>,
        handle: Arc<StreamHandle>,
        group: Group<Machine>,
        mut random: Random,
    ) -> Replica {
        let account = Arc::clone(&site.account);
        let outlet = Outlet::new(account, Random::seeded(random.next_u64()));
        let ids = Nuid::new(Random::seeded(random.next_u64()));
        Replica {
            site,
            rules: Rules::of(&handle.config()),
            random,
            is_ticking: false,
            room: Room::default(),
            refused: None,
            held: None,
            damage: Damage::default(),
            handle,
            group,
            outlet,
            deliveries: Deliveries::default(),
            origin: None,
            ids,
            text: Vec::new(),
            batch: Batch::default(),
            acks: Vec::new(),
            submitted: 0,
            settled: 0,
            after: VecDeque::new(),
            in_flight: VecDeque::new(),
            under_way: 0,
            rest: Rest::default(),
            stopping: None,
        }
    }

    /// Adds a command to the next entry.
    pub fn submit(&mut self, command: Command, waiter: Waiter, haste: Haste) {
        self.submitted += 1;
        self.batch.push(command, waiter, haste);
    }

    /// Adds a publisher's message to the next entry, or what it was changed to.
    pub fn submit_publish(&mut self, incoming: &mut Incoming, changed: Option<Publish>) {
        self.submitted += 1;
        self.batch.push_publish(incoming, changed);
    }

    /// Adds a command, and what to do with its outcome.
    pub fn submit_with(&mut self, command: Command, then: Then) {
        self.submit(command, Waiter::Then(then), Haste::Now);
    }

    /// Calls `call` when all that was submitted has an outcome: at once if it has.
    pub fn after_log(&mut self, call: Call) {
        match self.settled == self.submitted {
            true => call(self),
            false => {
                self.batch.hurry();
                self.after.push_back((self.submitted, call));
            }
        }
    }

    /// A random number.
    pub fn random(&mut self) -> u64 {
        self.random.next_u64()
    }

    /// A name for a consumer that was given none.
    pub fn new_name(&mut self, len: usize) -> String {
        nuid::token(&mut self.random, len)
    }

    /// The configurations of all consumers.
    pub fn consumer_configs(&self) -> Vec<consumer::config::Config> {
        self.group.with(|machine| {
            let replicated = machine.consumers().iter();
            let all = replicated.chain(machine.local_consumers().iter());
            all.map(|member| member.consumer.config().clone()).collect()
        })
    }

    /// The largest message there may be.
    pub fn message_bytes_max(&self) -> u64 {
        self.rules.message_bytes_max
    }

    /// Publishers get no answers.
    pub fn is_silent(&self) -> bool {
        self.rules.no_ack
    }

    /// What a subject is stored under, if under another.
    pub fn transformed(&mut self, subject: &[u8]) -> Option<Vec<u8>> {
        let random = &mut self.random;
        let transform = self.rules.transform.as_ref()?;
        transform.apply(subject, &mut |below| random.below(below))
    }

    /// What a stored message is published under again, and whether without its payload.
    pub fn republished(&mut self, subject: &[u8]) -> Option<(Vec<u8>, bool)> {
        let random = &mut self.random;
        let (transform, headers_only) = self.rules.republish.as_ref()?;
        let subject = transform.apply(subject, &mut |below| random.below(below))?;
        Some((subject, *headers_only))
    }

    /// Takes room for a message with a subject, headers and a payload of these lengths. The
    /// limits of account and server are looked at after each entry, and again before
    /// something is refused: others may have made room.
    ///
    /// # Errors
    /// Why there is none.
    pub fn take_room(&mut self, [subject, headers, payload]: [usize; 3]) -> Result<(), ApiError> {
        if self.group.is_closed() {
            return Err(ApiError::of(&table::INSUFFICIENT_RESOURCES));
        }
        // Asked for every message.
        if self.room.is_boundless() {
            return Ok(());
        }
        let group = &self.group;
        let size = || group.with(|machine| machine.store().size_of(subject, headers, payload));
        let taken = self.room.take(size);
        // What is under way has taken room that the limits do not know of yet.
        if taken.is_ok() || self.is_busy() {
            return taken;
        }
        self.room = self.site.room(self.rules.in_memory);
        self.room.take(size)
    }

    /// Tells the account of something.
    pub fn tell(&mut self, advisory: Advisory) {
        let account = Arc::clone(&self.site.account);
        advisory.publish(&account, &mut self.ids, clock::now(), None);
    }

    /// When the machine wants a tick.
    pub fn machine_deadline(&self) -> Option<Timestamp> {
        self.group.with(|machine| machine.next_deadline())
    }

    /// Until when commands wait, if any do: the log refused the last ones, and whoever
    /// proposes by himself (consumers, time) would do so again at once, for ever.
    pub fn held_until(&self) -> Option<Timestamp> {
        self.held.filter(|_| !self.batch.is_empty())
    }

    /// Until when publishers are waited for.
    pub fn gathers_until(&self) -> Option<Timestamp> {
        self.batch.deadline()
    }

    /// A tick is under way.
    pub fn is_ticking(&self) -> bool {
        self.is_ticking
    }

    /// Notes whether a tick is under way.
    pub fn note_ticking(&mut self, is_ticking: bool) {
        self.is_ticking = is_ticking;
    }

    /// The machine has another configuration.
    pub fn on_configured(&mut self) {
        let config = self.group.with(|machine| Arc::clone(machine.config()));
        self.rules = Rules::of(&config);
        self.handle.set_config(config);
        super::origin::begin(self, clock::now());
    }

    /// Ends the task after this turn.
    pub fn stop(&mut self, why: End) {
        self.stopping = Some(why);
    }

    /// Lives until it is stopped. Boxed: a task has room for its arguments twice.
    pub async fn run(mut self: Box<Self>) {
        let handle = Arc::clone(&self.handle);
        // In memory nobody waits for the disk meanwhile: two threads do more than one.
        if !self.rules.in_memory {
            handle.mailbox.settle();
        }
        let mut events = Vec::new();
        let mut timer = timers::Timer::new();
        self.begin();
        loop {
            let deadline = timers::next_deadline(&self);
            let patience = self.batch.patience(self.under_way);
            let mut is_used = true;
            tokio::select! {
                biased;
                (waiters, result) = first(&mut self.in_flight) => {
                    self.in_flight.pop_front();
                    let answered = self.complete(waiters, result);
                    if self.in_flight.is_empty() && !self.rules.in_memory {
                        self.batch.expect(clock::now(), answered, handle.mailbox.len());
                    }
                    // Who hears of it may publish again, and be in the next entry.
                    self.outlet.flush();
                }
                () = handle.mailbox.arrived(patience) => {}
                () = timer.until(deadline) => is_used = false,
                // After whatever else is ready on this thread, too.
                () = tokio::task::yield_now(), if self.group.is_behind() => {
                    self.group.catch_up();
                    continue;
                }
            }
            self.group.before_work();
            handle.mailbox.drain(&mut events);
            let now = clock::now();
            if is_used || !events.is_empty() {
                self.rest.note_use(now);
            }
            // Where they are: messages are large to move.
            for event in &mut events {
                let is_ack = matches!(&event, Event::Message(one) if one.purpose == Purpose::Ack);
                if !is_ack {
                    self.take_acks(now);
                }
                match event {
                    Event::Message(incoming) => self.on_message(now, incoming),
                    Event::Call(call) => std::mem::replace(call, Box::new(|_| ()))(&mut self),
                }
            }
            events.clear();
            self.take_acks(now);
            timers::on_time(&mut self, now);
            self.turn(now);
            if self.stopping.is_some() {
                break;
            }
            if self.rest.is_at_rest() {
                events = Vec::new();
            }
        }
        let stay = (self.stopping == Some(End::Deleted)).then_some(&[][..]);
        super::origin::end(&mut self, stay);
        handle.mailbox.close();
        self.leave_little().await;
        self.group.clone().stop().await;
    }

    fn on_message(&mut self, now: Timestamp, incoming: &mut Incoming) {
        match incoming.purpose {
            Purpose::Publish => ingest::on_publish(self, incoming),
            Purpose::Ack => self.acks.push(incoming.take()),
            Purpose::Pull => consumer_inbox::on_pull(self, now, incoming),
            Purpose::FlowReply => consumer_inbox::on_flow_reply(self, now, incoming),
            Purpose::DirectGet => direct_get::answer(self, incoming),
            Purpose::Copy => super::origin::on_copy(self, now, incoming.take()),
        }
    }

    /// Hands the acknowledgements that came one after the other to their consumers.
    fn take_acks(&mut self, now: Timestamp) {
        if !self.acks.is_empty() {
            let mut acks = std::mem::take(&mut self.acks);
            consumer_inbox::on_acks(self, now, &mut acks);
            self.acks = acks;
        }
    }

    fn begin(&mut self) {
        let now = clock::now();
        self.rest.note_use(now);
        super::delivery::begin(self, now);
        super::origin::begin(self, now);
        self.refresh();
        self.turn(now);
    }

    /// What every turn ends with: consumers look at what is new, commands go to the log,
    /// and what was said is written out.
    fn turn(&mut self, now: Timestamp) {
        self.batch.on_time(now);
        super::delivery::turn(self, now);
        if self.group.with(|machine| machine.store().damage()) != self.damage {
            self.look_for_trouble();
        }
        self.held = self.held.filter(|until| now < *until);
        while self.held.is_none()
            && self.in_flight.len() < PROPOSALS_MAX
            && self.batch.is_due(now, self.under_way)
        {
            self.propose(now);
        }
        self.outlet.flush();
    }

    fn propose(&mut self, now: Timestamp) {
        let (commands, waiters) = self.batch.take_front(now, self.under_way);
        self.under_way += commands.len();
        // Called here: only the first one in flight is ever polled.
        let outcomes = self.group.propose(now, commands);
        self.in_flight
            .push_back(Box::pin(async move { (waiters, outcomes.await) }));
    }

    /// Tells everybody what became of an entry; how many publishers were answered.
    fn complete(&mut self, waiters: Waiters, result: Result<Vec<Outcome>, ProposeError>) -> usize {
        let answered = waiters.wanted();
        self.settled += waiters.len() as u64;
        self.under_way -= waiters.len();
        match result {
            Ok(outcomes) => {
                self.refused = None;
                debug_assert_eq!(outcomes.len(), waiters.len());
                let mut outcomes = outcomes.into_iter();
                waiters.tell(|waiter| {
                    if let Some(outcome) = outcomes.next() {
                        self.settle(waiter, Ok(outcome));
                    }
                });
            }
            Err(error) => {
                if self.refused != Some(error) {
                    tracing::warn!(stream = &*self.handle.name, err = %error, "not committed");
                }
                self.refused = Some(error);
                // What is too large says nothing of others.
                if error != ProposeError::TooLarge {
                    let until = clock::now().unix_nanos().saturating_add(REFUSED_WAIT_NS);
                    self.held = Some(Timestamp::from_unix_nanos(until));
                }
                waiters.tell(|waiter| self.settle(waiter, Err(error)));
                self.look_for_trouble();
            }
        }
        self.refresh();
        while self
            .after
            .front()
            .is_some_and(|(at, _)| *at <= self.settled)
        {
            if let Some((_, call)) = self.after.pop_front() {
                call(self);
            }
        }
        answered
    }

    fn settle(&mut self, waiter: Told<'_>, result: Result<Outcome, ProposeError>) {
        let result = result.map(|mut outcome| {
            for effect in std::mem::take(&mut outcome.effects) {
                self.carry_out(effect);
            }
            outcome
        });
        match waiter {
            Told::Publisher { reply } => acks::answer(self, reply, result),
            Told::Other(Waiter::Nobody) => {}
            Told::Other(Waiter::Consumer {
                name,
                reply,
                is_delivery,
            }) => super::delivery::on_outcome(self, &name, &reply, is_delivery, result),
            Told::Other(Waiter::Then(then)) => then(self, result),
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Republish(stored) => republish::publish(self, &stored),
            Effect::Terminated {
                consumer,
                delivery,
                cause,
            } => super::delivery::on_terminated(self, &consumer, &delivery, cause),
        }
    }

    /// The next start need not apply much, unless the stream ends for good.
    async fn leave_little(&mut self) {
        if self.stopping == Some(End::Deleted)
            || self.rules.in_memory
            || !rest::has_much(&self.group)
        {
            return;
        }
        if let Err(err) = self.group.checkpoint().await {
            tracing::warn!(stream = &*self.handle.name, %err, "no last checkpoint");
        }
    }

    /// Something is under way.
    pub fn is_busy(&self) -> bool {
        !self.in_flight.is_empty() || !self.batch.is_empty()
    }

    /// Gives back what only makes it faster.
    pub fn give_back(&mut self) {
        self.outlet.rest();
        self.deliveries.rest();
        self.handle.mailbox.rest();
        self.text = Vec::new();
        self.acks = Vec::new();
        self.batch = Batch::default();
        self.in_flight = VecDeque::new();
        self.group.rest();
        if let Err(err) = self.group.with(Machine::rest) {
            let cause = err.cause.to_string();
            tracing::warn!(stream = &*self.handle.name, %err, cause, "a stream does not rest");
        }
    }

    /// Says what is wrong with the stream, if anything is.
    pub fn look_for_trouble(&mut self) {
        self.damage = self.group.with(|machine| machine.store().damage());
        let mut wrong = Vec::new();
        if let Some(failure) = self.group.failure() {
            wrong.push(format!("it stopped: {failure}"));
        }
        if let Some(damage) = self.group.damage() {
            wrong.push(health::of_log(&damage));
        }
        if self.damage.lost > 0 {
            let Damage { lost, files } = self.damage;
            wrong.push(format!(
                "{lost} messages cannot be read: {files} block files are damaged"
            ));
        }
        let trouble = (!wrong.is_empty()).then(|| wrong.join("; "));
        self.handle.set_trouble(trouble);
    }

    /// Makes the figures that others read those of now.
    fn refresh(&mut self) {
        let handle = Arc::clone(&self.handle);
        let bytes = self.group.with(|machine| handle.refresh(machine));
        self.site.add_usage(self.rules.in_memory, bytes);
        self.room = self.site.room(self.rules.in_memory);
    }
}

/// What became of the first of them; waits for ever without any.
async fn first(in_flight: &mut VecDeque<Proposal>) -> <Proposal as Future>::Output {
    poll_fn(|cx| match in_flight.front_mut() {
        Some(proposal) => proposal.as_mut().poll(cx),
        None => Poll::Pending,
    })
    .await
}

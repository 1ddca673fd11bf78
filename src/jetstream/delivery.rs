//! Deliveries: dispatchers asked, and what they decide carried out.
//!
//! Separate from the dispatchers, which are pure. A dispatcher is asked when something may
//! have changed for it: a message it wants was stored, a client asked, an outcome came
//! back, its deadline has come. Nobody loops over all consumers.
//!
//! ```text
//!   woken, asked, due ─► dirty ─► poll ─► Propose ─► log (or at once, for the leader's own)
//!                                  └────► Deliver, Status ─► outlet
//! ```
//!
//! Invariants: every consumer of the machine has one runtime here; a consumer of the
//! leader's own goes the same way, without the log; one turn polls a dispatcher at most
//! `POLLS_MAX` times, so that one consumer does not hold up the others.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::advisories::{self, Advisory};
use super::consumer_inbox;
use super::gather::Haste;
use super::handle::{Known, Visibility};
use super::replica::Replica;
use crate::api_error::json::time::Time;
use crate::clock::Timestamp;
use crate::consumer::ack;
use crate::consumer::command::Command as ConsumerCommand;
use crate::consumer::config::{AckPolicy, Config};
use crate::consumer::dispatch::{self, Action, Closed, Deliver, Dispatcher};
use crate::consumer::outcome::{Delivery, Kind};
use crate::consumer::replica::Consumer;
use crate::deadline_queue::DeadlineQueue;
use crate::raft::error::ProposeError;
use crate::store::MsgStore;
use crate::stream::command::Command;
use crate::stream::outcome::{Answer, Cause, Outcome};

/// How often one dispatcher is polled in one turn.
const POLLS_MAX: usize = 8;

/// The leader's half of one consumer.
struct Runtime {
    name: Arc<str>,
    dispatcher: Dispatcher,
    /// The leader's own: not in the log.
    is_local: bool,
    dirty: bool,
    /// The deliver subject that is watched; none for pull.
    watched: Option<String>,
}

/// The leader's halves of all consumers of a stream.
#[derive(Default)]
pub struct Deliveries {
    runtimes: HashMap<Arc<str>, Box<Runtime>>,
    dirty: Vec<Arc<str>>,
    deadlines: DeadlineQueue<Arc<str>>,
    actions: Vec<Action>,
    reply: Vec<u8>,
}

impl Deliveries {
    /// When a dispatcher wants to be asked.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.next()
    }

    /// Something may have changed for that consumer.
    pub fn touch(&mut self, name: &str) {
        if let Some(runtime) = self.runtimes.get_mut(name)
            && !std::mem::replace(&mut runtime.dirty, true)
        {
            self.dirty.push(Arc::clone(&runtime.name));
        }
    }

    /// The dispatcher of a consumer, for its figures.
    pub fn dispatcher(&self, name: &str) -> Option<&Dispatcher> {
        self.runtimes.get(name).map(|runtime| &runtime.dispatcher)
    }

    /// Something of one of these consumers is on its way through the log.
    pub fn is_under_way<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        let is_under_way = |name| self.dispatcher(name).is_some_and(Dispatcher::is_under_way);
        names.into_iter().any(is_under_way)
    }

    /// Gives memory back that only makes things faster.
    pub fn rest(&mut self) {
        self.dirty.shrink_to_fit();
        self.actions = Vec::new();
        self.reply = Vec::new();
        self.runtimes.shrink_to_fit();
        for runtime in self.runtimes.values_mut() {
            runtime.dispatcher.rest();
        }
    }

    /// Whether a consumer is the leader's own.
    pub fn is_local(&self, name: &str) -> bool {
        self.runtimes
            .get(name)
            .is_some_and(|runtime| runtime.is_local)
    }
}

/// Says which consumers there are, before anybody can ask for one: whoever pulls from one
/// that is not known is told that nobody is there.
pub fn introduce(replica: &Replica) {
    replica.group.with(|machine| {
        for member in machine.consumers().iter() {
            let known = known(member.consumer.config());
            replica.handle.note_consumer(&member.name, Some(known));
        }
    });
}

/// What others see of a consumer.
fn known(config: &Config) -> Known {
    Known {
        seen: match config.direct {
            true => Visibility::Inner,
            false => Visibility::Public,
        },
        takes_acks: config.ack_policy != AckPolicy::None,
    }
}

/// Takes over all consumers that the machine has.
pub fn begin(replica: &mut Replica, now: Timestamp) {
    let names: Vec<String> = replica.group.with(|machine| {
        let replicated = machine.consumers().iter();
        replicated.map(|member| member.name.clone()).collect()
    });
    for name in names {
        add(replica, now, &name, false);
    }
}

/// A consumer is there now: its dispatcher begins.
pub fn add(replica: &mut Replica, now: Timestamp, name: &str, is_local: bool) {
    let stream = Arc::clone(&replica.handle.name);
    let seed = replica.random();
    let burst_bytes = replica.message_bytes_max();
    let made = replica.group.with(|machine| {
        let last = machine.state().last_seq;
        let (consumer, _) = machine.consumer_and_store(name)?;
        let options = dispatch::Options {
            stream: &stream,
            consumer: name,
            seed,
            burst_bytes,
            // Their state is written nowhere: nothing to be ahead of.
            sends_ahead: !is_local,
        };
        let dispatcher = Dispatcher::new(now, &options, consumer, last);
        let config = consumer.config();
        let deliver_subject = Some(config.deliver_subject.clone()).filter(|s| !s.is_empty());
        Some((dispatcher, deliver_subject, known(config)))
    });
    let Some((dispatcher, watched, known)) = made else {
        return;
    };
    let name: Arc<str> = name.into();
    let runtime = Runtime {
        name: Arc::clone(&name),
        dispatcher,
        is_local,
        dirty: false,
        watched,
    };
    if let Some(subject) = &runtime.watched {
        replica.site.watch(subject, &replica.handle, &name);
    }
    let is_push = runtime.watched.is_some();
    let deliveries = &mut replica.deliveries;
    deliveries
        .runtimes
        .insert(Arc::clone(&name), Box::new(runtime));
    replica.handle.note_consumer(&name, Some(known));
    if is_push {
        on_interest(replica, &name);
    }
    replica.deliveries.touch(&name);
}

/// A consumer has another configuration.
pub fn update(replica: &mut Replica, now: Timestamp, name: &str) {
    let mut deliver_subject = String::new();
    with_consumer(
        replica,
        now,
        name.as_bytes(),
        |dispatcher, consumer, _, _| {
            dispatcher.on_updated(consumer);
            deliver_subject.clone_from(&consumer.config().deliver_subject);
        },
    );
    let watched = Some(deliver_subject).filter(|subject| !subject.is_empty());
    let Some(runtime) = replica.deliveries.runtimes.get_mut(name) else {
        return;
    };
    let before = std::mem::replace(&mut runtime.watched, watched.clone());
    let name = Arc::clone(&runtime.name);
    if before != watched {
        if let Some(subject) = &before {
            replica.site.unwatch(subject, &replica.handle.name, &name);
        }
        if let Some(subject) = &watched {
            replica.site.watch(subject, &replica.handle, &name);
        }
    }
    on_interest(replica, &name);
}

/// A consumer is not there any more: those who wait are told.
pub fn remove(replica: &mut Replica, now: Timestamp, name: &str, why: Closed) {
    let Some(mut runtime) = replica.deliveries.runtimes.remove(name) else {
        return;
    };
    replica.deliveries.deadlines.cancel(&runtime.name);
    if let Some(subject) = &runtime.watched {
        replica.site.unwatch(subject, &replica.handle.name, name);
    }
    replica.handle.note_consumer(name, None);
    let mut actions = Vec::new();
    runtime.dispatcher.close(why, &mut actions);
    for action in actions {
        carry_out(replica, now, &mut runtime, action);
    }
}

/// Ends all consumers here, as the stream or the server ends.
pub fn close_all(replica: &mut Replica, now: Timestamp, why: Closed) {
    let names: Vec<Arc<str>> = replica.deliveries.runtimes.keys().cloned().collect();
    for name in names {
        remove(replica, now, &name, why);
    }
}

/// Interest in the deliver subject may have changed.
pub fn on_interest(replica: &mut Replica, name: &str) {
    let now = crate::clock::now();
    let group = replica.group.with(|machine| {
        let (consumer, _) = machine.consumer_and_store(name)?;
        Some(consumer.config().deliver_group.clone())
    });
    let Some(runtime) = replica.deliveries.runtimes.get_mut(name) else {
        return;
    };
    if let Some(subject) = &runtime.watched {
        let group = group.filter(|group| !group.is_empty());
        let is_active = match group {
            Some(group) => (replica.outlet).has_member(subject.as_bytes(), group.as_bytes()),
            None => replica.outlet.has_interest(subject.as_bytes()),
        };
        runtime.dispatcher.on_interest(now, is_active);
    }
    replica.deliveries.touch(name);
}

/// Gives a consumer's dispatcher something to think about, and has it asked this turn.
pub fn with_consumer(
    replica: &mut Replica,
    now: Timestamp,
    name: &[u8],
    think: impl FnOnce(&mut Dispatcher, &Consumer, &mut dyn MsgStore, &mut Vec<Action>),
) {
    let Ok(name) = std::str::from_utf8(name) else {
        return;
    };
    let Some(mut runtime) = replica.deliveries.runtimes.remove(name) else {
        return;
    };
    let mut actions = std::mem::take(&mut replica.deliveries.actions);
    replica.group.with(|machine| {
        if let Some((consumer, store)) = machine.consumer_and_store(name) {
            think(&mut runtime.dispatcher, consumer, store, &mut actions);
        }
    });
    for action in actions.drain(..) {
        carry_out(replica, now, &mut runtime, action);
    }
    replica.deliveries.actions = actions;
    put_back(replica, runtime);
    replica.deliveries.touch(name);
}

/// Has a consumer's command applied, through the log unless it is the leader's own.
pub fn propose(
    replica: &mut Replica,
    now: Timestamp,
    name: &[u8],
    command: ConsumerCommand,
    reply: Bytes,
) {
    let name = String::from_utf8_lossy(name);
    let Some(mut runtime) = replica.deliveries.runtimes.remove(&*name) else {
        return;
    };
    let haste = match (&command, reply.is_empty()) {
        (ConsumerCommand::Ack(_), true) => Haste::Soon,
        (ConsumerCommand::Ack(_), false) => Haste::Together,
        _ => Haste::Now,
    };
    submit(replica, now, &mut runtime, command, reply, haste);
    put_back(replica, runtime);
}

/// As [`propose`], for somebody who waits until it is applied.
pub fn command(
    replica: &mut Replica,
    now: Timestamp,
    name: &str,
    command: ConsumerCommand,
    then: Box<dyn FnOnce(&mut Replica) + Send>,
) {
    let is_local = replica.deliveries.is_local(name);
    if is_local {
        propose(replica, now, name.as_bytes(), command, Bytes::new());
        return then(replica);
    }
    let owned: Arc<str> = name.into();
    let command = Command::Consumer {
        name: name.to_owned(),
        command,
    };
    replica.submit_with(
        command,
        Box::new(move |replica, result| {
            on_outcome(replica, &owned, &Bytes::new(), false, result);
            then(replica);
        }),
    );
}

/// What a consumer's command came to.
pub fn on_outcome(
    replica: &mut Replica,
    name: &str,
    reply: &Bytes,
    is_delivery: bool,
    result: Result<Outcome, ProposeError>,
) {
    let now = crate::clock::now();
    let mut is_settled = result.is_ok();
    with_consumer(
        replica,
        now,
        name.as_bytes(),
        |dispatcher, consumer, _, actions| {
            match result.map(|outcome| outcome.answer) {
                Ok(Answer::Consumer(outcome)) => {
                    is_settled = !is_early(consumer, &outcome.kind);
                    dispatcher.on_applied(now, consumer, *outcome, actions);
                }
                // Outcomes come in the order of proposals, so it is known which it was.
                Ok(_) | Err(_) if is_delivery => dispatcher.on_dropped(now, consumer, actions),
                Ok(_) | Err(_) => dispatcher.on_ack_dropped(),
            }
        },
    );
    // Whoever hears nothing asks again; whoever is answered relies on it.
    if is_settled && !reply.is_empty() {
        replica.outlet.publish(reply, b"", b"", b"");
    }
}

/// An acknowledgement of what was sent ahead of the log, and never came into it: it will be
/// delivered again, so nobody is told that it is settled.
fn is_early(consumer: &Consumer, kind: &Kind) -> bool {
    match kind {
        Kind::Ack(seqs) => seqs.iter().any(|seq| consumer.cursor().is_ahead(*seq)),
        _ => false,
    }
}

/// A message that was delivered and not acknowledged has gone.
pub fn on_terminated(replica: &mut Replica, name: &str, delivery: &Delivery, cause: Cause) {
    let reason = match cause {
        Cause::Limits | Cause::Deleted => "Unacknowledged message was deleted",
        // Who purges a stream need not be told message by message.
        Cause::Purged | Cause::Consumed => return,
    };
    replica.tell(Advisory::Terminated {
        stream: replica.handle.name.to_string(),
        consumer: name.to_owned(),
        consumer_seq: delivery.consumer_seq,
        stream_seq: delivery.stream_seq.0,
        deliveries: delivery.count,
        reason: reason.to_owned(),
    });
}

/// Marks those whose deadline has come.
pub fn on_time(replica: &mut Replica, now: Timestamp) {
    while let Some((_, name)) = replica.deliveries.deadlines.pop_due(now) {
        replica.deliveries.touch(&name);
    }
}

/// Asks all dispatchers for which something may have changed.
pub fn turn(replica: &mut Replica, now: Timestamp) {
    let Replica {
        group, deliveries, ..
    } = replica;
    group.with(|machine| machine.drain_woken(|member| deliveries.touch(&member.name)));
    let mut dirty = std::mem::take(&mut replica.deliveries.dirty);
    for name in dirty.drain(..) {
        if let Some(mut runtime) = replica.deliveries.runtimes.remove(&name) {
            runtime.dirty = false;
            let more = poll(replica, now, &mut runtime);
            put_back(replica, runtime);
            if more {
                replica.deliveries.touch(&name);
            }
        }
    }
    let again = std::mem::replace(&mut replica.deliveries.dirty, dirty);
    replica.deliveries.dirty.extend(again);
    if !replica.deliveries.dirty.is_empty() {
        // There is more to do: come back without being woken from outside.
        replica.handle.mailbox.nudge();
    }
}

/// Asks one dispatcher until it has nothing more; true if it was cut short.
fn poll(replica: &mut Replica, now: Timestamp, runtime: &mut Box<Runtime>) -> bool {
    let mut actions = std::mem::take(&mut replica.deliveries.actions);
    let mut more = true;
    for _ in 0..POLLS_MAX {
        let polled = replica.group.with(|machine| {
            let (consumer, store) = machine.consumer_and_store(&runtime.name)?;
            let outlet = &replica.outlet;
            runtime.dispatcher.check_listeners(
                consumer,
                &mut |reply| outlet.has_interest(reply),
                &mut actions,
            );
            Some(runtime.dispatcher.poll(now, consumer, store, &mut actions))
        });
        more = match polled {
            Some(Ok(more)) => more,
            Some(Err(error)) => {
                tracing::error!(
                    stream = &*replica.handle.name, consumer = &*runtime.name, err = %error,
                    "a consumer cannot read its stream"
                );
                false
            }
            None => false,
        };
        for action in actions.drain(..) {
            carry_out(replica, now, runtime, action);
        }
        if !more {
            break;
        }
        // Whoever gets these may ask for more while the next are read.
        replica.outlet.flush();
    }
    replica.deliveries.actions = actions;
    more
}

fn put_back(replica: &mut Replica, runtime: Box<Runtime>) {
    let deliveries = &mut replica.deliveries;
    match runtime.dispatcher.next_deadline() {
        Some(at) => {
            deliveries.deadlines.set(Arc::clone(&runtime.name), at);
        }
        None => {
            deliveries.deadlines.cancel(&runtime.name);
        }
    }
    deliveries
        .runtimes
        .insert(Arc::clone(&runtime.name), runtime);
}

fn carry_out(replica: &mut Replica, now: Timestamp, runtime: &mut Box<Runtime>, action: Action) {
    match action {
        Action::Propose(command) => {
            submit(replica, now, runtime, command, Bytes::new(), Haste::Now);
        }
        Action::Record(command) => {
            submit(replica, now, runtime, command, Bytes::new(), Haste::Soon);
        }
        Action::Deliver(deliver) => send(replica, runtime, &deliver),
        Action::Status { to, headers, reply } => {
            replica.outlet.publish(&to, &reply, &headers, b"");
        }
        Action::Advisory(advisory) => tell(replica, &runtime.name, advisory),
        Action::Remove => {
            let name = runtime.name.to_string();
            super::consumers::delete_later(replica, name);
        }
    }
}

fn submit(
    replica: &mut Replica,
    now: Timestamp,
    runtime: &mut Box<Runtime>,
    command: ConsumerCommand,
    reply: Bytes,
    haste: Haste,
) {
    if !runtime.is_local {
        let waiter = consumer_inbox::waiter(&runtime.name, reply, &command);
        let name = runtime.name.to_string();
        return replica.submit(Command::Consumer { name, command }, waiter, haste);
    }
    let is_delivery = matches!(command, ConsumerCommand::Deliver(_));
    let mut actions = Vec::new();
    replica.group.with(|machine| {
        let applied = machine.apply_local(now, &runtime.name, command);
        let Some((consumer, _)) = machine.consumer_and_store(&runtime.name) else {
            return;
        };
        match applied {
            Ok(Some(outcome)) => {
                runtime
                    .dispatcher
                    .on_applied(now, consumer, outcome, &mut actions);
            }
            Ok(None) | Err(_) if is_delivery => {
                runtime.dispatcher.on_dropped(now, consumer, &mut actions);
            }
            Ok(None) | Err(_) => {}
        }
    });
    for action in actions {
        carry_out(replica, now, runtime, action);
    }
    if !reply.is_empty() {
        replica.outlet.publish(&reply, b"", b"", b"");
    }
}

fn send(replica: &mut Replica, runtime: &Runtime, deliver: &Deliver) {
    let reply = &mut replica.deliveries.reply;
    reply.clear();
    let message = &deliver.message;
    ack::write_subject(
        runtime.dispatcher.ack_prefix(),
        &deliver.delivery,
        message.time,
        reply,
    );
    replica.outlet.deliver(&deliver.to, reply, message);
}

fn tell(replica: &mut Replica, consumer: &str, advisory: dispatch::Advisory) {
    let stream = replica.handle.name.to_string();
    let consumer = consumer.to_owned();
    let event = match advisory {
        dispatch::Advisory::MaxDeliver(Delivery {
            stream_seq, count, ..
        }) => Advisory::MaxDeliver {
            stream,
            consumer,
            stream_seq: stream_seq.0,
            deliveries: count,
        },
        dispatch::Advisory::Naked(delivery) => Advisory::Naked {
            stream,
            consumer,
            consumer_seq: delivery.consumer_seq,
            stream_seq: delivery.stream_seq.0,
            deliveries: delivery.count,
        },
        dispatch::Advisory::Terminated(delivery, reason) => Advisory::Terminated {
            stream,
            consumer,
            consumer_seq: delivery.consumer_seq,
            stream_seq: delivery.stream_seq.0,
            deliveries: delivery.count,
            reason,
        },
        dispatch::Advisory::Pause { paused, until } => Advisory::ConsumerPause {
            stream,
            consumer,
            paused,
            pause_until: Time(until),
        },
        dispatch::Advisory::Acked {
            delivery,
            ack_time_ns,
        } => {
            let frequency = advisories::sample_percent(replica, &consumer);
            if replica.random() % 100 >= frequency {
                return;
            }
            Advisory::Acked {
                stream,
                consumer,
                consumer_seq: delivery.consumer_seq,
                stream_seq: delivery.stream_seq.0,
                ack_time: ack_time_ns,
                deliveries: delivery.count,
            }
        }
    };
    replica.tell(event);
}

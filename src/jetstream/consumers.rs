//! Consumers made, changed and ended.
//!
//! Separate from their deliveries because this is what the API asks for, and because it is
//! decided here which consumers the log knows.
//!
//! Invariants: a consumer is in the log unless it is ephemeral, on a stream whose retention
//! does not depend on consumers, and holds nothing worth keeping (in memory, or without
//! acknowledgements); whoever asked is told after it is there, and before it delivers.

use crate::api_error::{ApiError, table};
use crate::clock::{self, Timestamp};
use crate::consumer::config::{AckPolicy, Config};
use crate::consumer::dispatch::Closed;
use crate::raft::error::ProposeError;
use crate::stream::command::Command;
use crate::stream::config::Retention;
use crate::stream::outcome::{Answer, Outcome};

use super::advisories::{Action, Advisory};
use super::delivery;
use super::replica::Replica;

/// What happens when a consumer is there (true: it is new), or could not be made.
pub type Then = Box<dyn FnOnce(&mut Replica, Result<bool, ApiError>) + Send>;

/// Makes a consumer, or gives it another configuration; both are validated.
pub fn put(replica: &mut Replica, name: String, config: Config, then: Then) {
    let is_local = match replica.deliveries.dispatcher(&name) {
        Some(_) => replica.deliveries.is_local(&name),
        None => is_leader_only(&config, replica.handle.config().retention),
    };
    if is_local {
        let now = clock::now();
        let put = replica
            .group
            .with(|machine| machine.put_local(now, name.clone(), config));
        let put = put.map_err(|error| ApiError::of(&table::CONSUMER_CREATE).with("{err}", error));
        return finish(replica, &name, true, put, then);
    }
    let command = Command::PutConsumer {
        name: name.clone(),
        config: Box::new(config),
    };
    replica.submit_with(
        command,
        Box::new(move |replica, result| {
            let put = match answer(result) {
                Ok(Answer::ConsumerPut { created }) => Ok(created),
                Ok(_) => Err(ApiError::of(&table::CLUSTER_NOT_AVAIL)),
                Err(error) => Err(error),
            };
            finish(replica, &name, false, put, then);
        }),
    );
}

fn finish(
    replica: &mut Replica,
    name: &str,
    is_local: bool,
    put: Result<bool, ApiError>,
    then: Then,
) {
    let now = clock::now();
    match put {
        Ok(true) => {
            delivery::add(replica, now, name, is_local);
            tell(replica, name, Action::Create);
            tell_of_pause(replica, name, now);
        }
        Ok(false) => delivery::update(replica, now, name),
        Err(_) => {}
    }
    then(replica, put);
}

/// A consumer may begin with a pause.
fn tell_of_pause(replica: &mut Replica, name: &str, now: Timestamp) {
    let until = replica.group.with(|machine| {
        let (consumer, _) = machine.consumer_and_store(name)?;
        consumer.paused_until()
    });
    if let Some(until) = until.filter(|until| *until > now) {
        let stream = replica.handle.name.to_string();
        replica.tell(Advisory::ConsumerPause {
            stream,
            consumer: name.to_owned(),
            paused: true,
            pause_until: until.into(),
        });
    }
}

/// Ends a consumer; whether it was there.
pub fn delete(replica: &mut Replica, name: String, then: Then) {
    if replica.deliveries.is_local(&name) {
        let was_there = replica.group.with(|machine| machine.delete_local(&name));
        return finish_delete(replica, &name, Ok(was_there), then);
    }
    let command = Command::DeleteConsumer { name: name.clone() };
    replica.submit_with(
        command,
        Box::new(move |replica, result| {
            let deleted = answer(result).map(|answer| answer == Answer::ConsumerDeleted(true));
            finish_delete(replica, &name, deleted, then);
        }),
    );
}

/// Ends a consumer that nobody uses any more.
pub fn delete_later(replica: &mut Replica, name: String) {
    let call = Box::new(move |replica: &mut Replica| delete(replica, name, Box::new(|_, _| {})));
    replica.handle.mailbox.call(call);
}

fn finish_delete(replica: &mut Replica, name: &str, deleted: Result<bool, ApiError>, then: Then) {
    if deleted == Ok(true) {
        tell(replica, name, Action::Delete);
        delivery::remove(replica, clock::now(), name, Closed::Deleted);
    }
    then(replica, deleted);
}

/// Whether a new consumer is the leader's own.
fn is_leader_only(config: &Config, retention: Retention) -> bool {
    let forgets = config.mem_storage || config.ack_policy == AckPolicy::None;
    !config.is_durable() && retention == Retention::Limits && forgets
}

/// Tells the account, unless the consumer is the server's own.
fn tell(replica: &mut Replica, name: &str, action: Action) {
    if replica.handle.is_public(name) {
        replica.tell(Advisory::ConsumerAction {
            stream: replica.handle.name.to_string(),
            consumer: name.to_owned(),
            action,
        });
    }
}

/// What a proposal was answered with.
pub fn answer(result: Result<Outcome, ProposeError>) -> Result<Answer, ApiError> {
    match result {
        Ok(outcome) => Ok(outcome.answer),
        Err(ProposeError::NoSpace) => Err(ApiError::of(&table::INSUFFICIENT_RESOURCES)),
        Err(ProposeError::TooLarge) => Err(too_large()),
        Err(error @ ProposeError::Damaged) => {
            Err(ApiError::of(&table::STREAM_STORE_FAILED).with("{err}", error))
        }
        Err(_) => Err(ApiError::of(&table::CLUSTER_NOT_AVAIL)),
    }
}

/// What is asked for does not fit into the log.
pub fn too_large() -> ApiError {
    ApiError::of(&table::STREAM_STORE_FAILED).with("{err}", "message too large")
}

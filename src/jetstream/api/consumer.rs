//! Consumers made, changed, shown, listed and ended.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::oneshot;

use super::Context;
use super::answer::{Answer, Fields, success};
use super::stream::find;
use crate::api_error::{ApiError, table};
use crate::clock;
use crate::consumer::command::Command as ConsumerCommand;
use crate::consumer::config::{Config, CreateRequest};
use crate::consumer::info::{
    Info, PageRequest, PauseAnswer, PauseRequest, ResetRequest, UnpinRequest,
};
use crate::consumer::validate::facts::Consumers;
use crate::consumer::validate::{self, Put};
use crate::jetstream::handle::StreamHandle;
use crate::jetstream::replica::Replica;
use crate::jetstream::{consumers, delivery, info};
use crate::store::message::Seq;
use crate::stream::info::Cluster;
use crate::stream::machine::Machine;
use crate::stream::requests::{INFOS_PER_PAGE, NAMES_PER_PAGE, Page};

/// Letters of a name that the server makes up.
const NAME_LEN: usize = 8;

/// A page of names; none at all are an empty list.
#[derive(Serialize)]
struct Names<'a> {
    consumers: &'a [String],
}

/// A page of consumers.
#[derive(Serialize)]
struct List {
    consumers: Vec<Info<Cluster>>,
}

/// What only the answer to `CONSUMER.RESET` says.
#[derive(Serialize)]
struct Reset {
    reset_seq: u64,
}

fn no_consumer() -> ApiError {
    ApiError::of(&table::CONSUMER_NOT_FOUND)
}

/// `CONSUMER.CREATE`, with the tokens of its subject.
pub async fn create(
    context: &Context<'_>,
    stream: &str,
    name: Option<&str>,
    filter: Option<&str>,
) -> Answer {
    let mut request = CreateRequest::from_request(context.body(), context.strict())?;
    if request.stream_name != stream {
        return Err(ApiError::of(&table::STREAM_MISMATCH));
    }
    let config = &mut request.config;
    match name {
        None if !config.durable_name.is_empty() => {
            return Err(ApiError::of(&table::CONSUMER_EPHEMERAL_WITH_DURABLE_NAME));
        }
        None => {}
        Some(name) => {
            if !config.durable_name.is_empty() && config.durable_name != name {
                return Err(ApiError::of(
                    &table::CONSUMER_DURABLE_NAME_NOT_MATCH_SUBJECT,
                ));
            }
            name.clone_into(&mut config.name);
        }
    }
    if let Some(filter) = filter {
        if !config.filter_subjects.is_empty() {
            let row = &table::CONSUMER_MULTIPLE_FILTERS_NOT_ALLOWED;
            return Err(ApiError::of(row));
        }
        if config.filter_subject != filter {
            return Err(ApiError::of(
                &table::CONSUMER_CREATE_FILTER_SUBJECT_MISMATCH,
            ));
        }
    }
    put(context, stream, request).await
}

/// `CONSUMER.DURABLE.CREATE`
pub async fn create_durable(context: &Context<'_>, stream: &str, name: &str) -> Answer {
    let mut request = CreateRequest::from_request(context.body(), context.strict())?;
    if request.stream_name != stream {
        return Err(ApiError::of(&table::STREAM_MISMATCH));
    }
    if request.config.durable_name.is_empty() {
        return Err(ApiError::of(&table::CONSUMER_DURABLE_NAME_NOT_SET));
    }
    if request.config.durable_name != name {
        return Err(ApiError::of(
            &table::CONSUMER_DURABLE_NAME_NOT_MATCH_SUBJECT,
        ));
    }
    name.clone_into(&mut request.config.name);
    put(context, stream, request).await
}

async fn put(context: &Context<'_>, stream: &str, request: CreateRequest) -> Answer {
    let handle = find(context, stream)?;
    if request.config.name.contains(['/', '\\']) {
        return Err(ApiError::of(&table::CONSUMER_NAME_CONTAINS_PATH_SEPARATORS));
    }
    let limits = context.jetstream.consumer_limits(context.site);
    let version = context.jetstream.options.version;
    let (tell, told) = oneshot::channel();
    let call = Box::new(move |replica: &mut Replica| {
        let put = decide(replica, request, &limits);
        let (name, config) = match put {
            Err(error) => return drop(tell.send(Err(error))),
            Ok((name, Put::Same(_))) => {
                return drop(tell.send(shown(replica, &name, version)));
            }
            Ok((name, Put::Create(config) | Put::Update(config))) => (name, config),
        };
        let shown_name = name.clone();
        let then = move |replica: &mut Replica, put: Result<bool, ApiError>| {
            let _ = tell.send(put.and_then(|_| shown(replica, &shown_name, version)));
        };
        consumers::put(replica, name, config, Box::new(then));
    });
    wait(&handle, call, told).await
}

fn shown(replica: &mut Replica, name: &str, version: &str) -> Answer {
    let info = info::consumer_with_version(replica, name, version);
    Ok(Fields::of(&info.ok_or_else(no_consumer)?))
}

/// What is to be done, with the consumer's name.
fn decide(
    replica: &mut Replica,
    request: CreateRequest,
    limits: &validate::facts::Limits,
) -> Result<(String, Put), ApiError> {
    let stream = replica.handle.config();
    let asked = request.config.asked_name().to_owned();
    let name = match asked.as_str() {
        "" => replica.new_name(NAME_LEN),
        asked => asked.to_owned(),
    };
    let deliver_subject = request.config.deliver_subject.clone();
    let (put, listener) = replica.group.with(|machine| {
        let known = Known(machine);
        let put = validate::put(request, &stream.seen_by_consumers(), &known, limits)?;
        let current = known.consumer(&name).map(|config| &config.deliver_subject);
        let listener =
            current.filter(|subject| !subject.is_empty() && **subject != deliver_subject);
        Ok::<_, ApiError>((put, listener.cloned()))
    })?;
    if let (Put::Update(_), Some(subject)) = (&put, listener)
        && replica.outlet.has_interest(subject.as_bytes())
    {
        return Err(ApiError::of(&table::CONSUMER_NAME_EXIST));
    }
    Ok((name, put))
}

/// A stream's consumers, the leader's own too, as the rules see them.
struct Known<'a>(&'a Machine);

impl Consumers for Known<'_> {
    fn consumer(&self, name: &str) -> Option<&Config> {
        let local = self.0.local_consumers();
        let member = self.0.consumers().get(name).or_else(|| local.get(name))?;
        Some(member.consumer.config())
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &Config)) {
        let replicated = self.0.consumers().iter();
        let all = replicated.chain(self.0.local_consumers().iter());
        all.for_each(|member| visit(&member.name, member.consumer.config()));
    }

    fn counted(&self) -> u64 {
        (self.0.consumers().counted() + self.0.local_consumers().counted()) as u64
    }
}

async fn wait<R>(
    handle: &Arc<StreamHandle>,
    call: crate::jetstream::mailbox::Call,
    told: oneshot::Receiver<Result<R, ApiError>>,
) -> Result<R, ApiError> {
    let unavailable = || ApiError::of(&table::CLUSTER_NOT_AVAIL);
    match handle.mailbox.call(call) {
        true => told.await.unwrap_or_else(|_| Err(unavailable())),
        false => Err(unavailable()),
    }
}

/// `CONSUMER.NAMES`
pub fn names(context: &Context<'_>, stream: &str) -> Answer {
    let request = PageRequest::from_request(context.optional_body(), context.strict())?;
    let handle = find(context, stream)?;
    let names = handle.consumer_names();
    let page = Page::new(names.len(), request.offset, NAMES_PER_PAGE);
    let consumers = &names[page.range()];
    Ok(Fields::of(&page).and(&Names { consumers }))
}

/// `CONSUMER.LIST`
pub async fn list(context: &Context<'_>, stream: &str) -> Answer {
    let request = PageRequest::from_request(context.optional_body(), context.strict())?;
    let handle = find(context, stream)?;
    let names = handle.consumer_names();
    let page = Page::new(names.len(), request.offset, INFOS_PER_PAGE);
    let shown = names[page.range()].to_vec();
    let consumers = handle
        .read_consumers(shown, |replica, names| {
            let names = names.iter();
            let shown = names.filter_map(|name| info::consumer(replica, name));
            shown.collect()
        })
        .await?;
    Ok(Fields::of(&page).and(&List { consumers }))
}

/// `CONSUMER.INFO`
pub async fn info(context: &Context<'_>, stream: &str, name: &str) -> Answer {
    context.expect_no_body()?;
    let handle = find(context, stream)?;
    let version = context.jetstream.options.version;
    let shown = handle
        .read_consumers(vec![name.to_owned()], move |replica, names| {
            info::consumer_with_version(replica, names.first()?, version)
        })
        .await?;
    Ok(Fields::of(&shown.ok_or_else(no_consumer)?))
}

/// `CONSUMER.DELETE`
pub async fn delete(context: &Context<'_>, stream: &str, name: &str) -> Answer {
    context.expect_no_body()?;
    let handle = find(context, stream)?;
    let name = name.to_owned();
    let (tell, told) = oneshot::channel();
    let call = Box::new(move |replica: &mut Replica| {
        let then = move |_: &mut Replica, deleted: Result<bool, ApiError>| {
            let answer = match deleted {
                Ok(true) => Ok(success()),
                Ok(false) => Err(no_consumer()),
                Err(error) => Err(error),
            };
            let _ = tell.send(answer);
        };
        consumers::delete(replica, name, Box::new(then));
    });
    wait(&handle, call, told).await
}

/// `CONSUMER.PAUSE`
pub async fn pause(context: &Context<'_>, stream: &str, name: &str) -> Answer {
    let handle = find(context, stream)?;
    let request = PauseRequest::from_request(context.body(), context.strict())?;
    let until = request.pause_until.0;
    command(&handle, name, ConsumerCommand::Pause(until), |_| ()).await?;
    let now = clock::now();
    let paused = until.is_some_and(|until| until > now);
    let left = until.filter(|_| paused).map(|until| until.since(now));
    let left = left.and_then(|left| i64::try_from(left.as_nanos()).ok());
    Ok(Fields::of(&PauseAnswer {
        paused,
        pause_until: request.pause_until,
        pause_remaining: left.unwrap_or(0),
    }))
}

/// `CONSUMER.RESET`
pub async fn reset(context: &Context<'_>, stream: &str, name: &str) -> Answer {
    let handle = find(context, stream)?;
    let request = ResetRequest::from_request(context.body())?;
    let seq = (request.seq > 0).then_some(Seq(request.seq));
    if let Some(seq) = seq {
        may_reset(&handle, name, seq).await?;
    }
    let version = context.jetstream.options.version;
    let owned = name.to_owned();
    // What is shown is what the reset made, before anything is delivered.
    let look = move |replica: &mut Replica| {
        let next = replica.group.with(|machine| {
            let (consumer, _) = machine.consumer_and_store(&owned)?;
            Some(consumer.cursor().next().0)
        });
        let info = info::consumer_with_version(replica, &owned, version)?;
        Some((info, next?))
    };
    let shown = command(&handle, name, ConsumerCommand::Reset(seq), look).await?;
    let (info, reset_seq) = shown.ok_or_else(no_consumer)?;
    Ok(Fields::of(&info).and(&Reset { reset_seq }))
}

/// Whether a consumer may go to a sequence, by its deliver policy.
async fn may_reset(handle: &Arc<StreamHandle>, name: &str, seq: Seq) -> Result<(), ApiError> {
    use crate::consumer::config::DeliverPolicy;
    let owned = name.to_owned();
    let refusal = handle
        .read(move |replica| {
            replica.group.with(|machine| {
                let (consumer, store) = machine.consumer_and_store(&owned)?;
                let config = consumer.config();
                Some(match config.deliver_policy {
                    DeliverPolicy::All => None,
                    DeliverPolicy::ByStartSequence => {
                        (seq.0 < config.opt_start_seq).then_some("below start seq")
                    }
                    DeliverPolicy::ByStartTime => {
                        let start = config.start_time().and_then(|t| store.first_since(t).ok()?);
                        start
                            .is_none_or(|start| seq < start)
                            .then_some("below start time")
                    }
                    _ => Some("not allowed"),
                })
            })
        })
        .await?;
    match refusal.ok_or_else(no_consumer)? {
        None => Ok(()),
        Some(text) => Err(ApiError::of(&table::CONSUMER_INVALID_RESET).with("{err}", text)),
    }
}

/// `CONSUMER.UNPIN`: no consumer pins a client in this release, so nothing is to be done.
pub async fn unpin(context: &Context<'_>, stream: &str, name: &str) -> Answer {
    let handle = find(context, stream)?;
    let group = UnpinRequest::from_request(context.body())?.group;
    let owned = name.to_owned();
    let groups = handle.read(move |replica| {
        replica.group.with(|machine| {
            let (consumer, _) = machine.consumer_and_store(&owned)?;
            Some(consumer.config().priority_groups.clone())
        })
    });
    match groups.await?.ok_or_else(no_consumer)?.contains(&group) {
        true => Ok(Fields::default()),
        false => Err(ApiError::of(&table::CONSUMER_INVALID_PRIORITY_GROUP)),
    }
}

/// Has a command of a consumer applied, and looks at what came of it.
async fn command<R: Send + 'static>(
    handle: &Arc<StreamHandle>,
    name: &str,
    command: ConsumerCommand,
    look: impl FnOnce(&mut Replica) -> R + Send + 'static,
) -> Result<R, ApiError> {
    if !handle.has_consumer(name) {
        return Err(no_consumer());
    }
    let (tell, told) = oneshot::channel();
    let name = name.to_owned();
    let call = Box::new(move |replica: &mut Replica| {
        let then = move |replica: &mut Replica| drop(tell.send(Ok(look(replica))));
        delivery::command(replica, clock::now(), &name, command, Box::new(then));
    });
    wait(handle, call, told).await
}

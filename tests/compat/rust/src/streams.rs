//! Streams, consumers, key-value buckets and object stores as the library offers them.

use crate::check::*;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull, push};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, Source, Stream};
use async_nats::jetstream::{self, AckKind, Context, kv, object_store};
use futures_util::{StreamExt, TryStreamExt};
use std::fmt::Display;
use std::time::Duration;
use tokio::io::AsyncReadExt;

crate::scenarios! {
    "streams/life" => life,
    "streams/publish" => publish,
    "streams/messages" => messages,
    "streams/copies" => copies,
    "consumers/pull" => pulling,
    "consumers/acknowledge" => acknowledge,
    "consumers/push_and_ordered" => pushing,
    "keyvalue/intro" => key_value,
    "keyvalue/watch" => watching,
    "objects/intro" => objects,
    "persistence/killed" => killed,
    "persistence/asked_to_stop" => asked_to_stop,
}

async fn context(t: &Test, server: &str) -> Result<Context, async_nats::ConnectError> {
    Ok(jetstream::new(t.connect(server).await?))
}

fn named(name: &str, subject: &str) -> Config {
    Config {
        name: name.into(),
        subjects: vec![subject.into()],
        ..Config::default()
    }
}

/// Publishes in order and waits for each acknowledgement.
async fn store(js: &Context, subject: &str, payloads: &[&str]) -> Outcome {
    for payload in payloads {
        let payload = payload.to_string().into();
        js.publish(subject.to_string(), payload).await?.await?;
    }
    Ok(())
}

/// Asserts that an outcome is an error that says `part`.
fn refused<T, E: Display>(t: &Test, what: &str, outcome: Result<T, E>, part: &str) {
    match outcome {
        Ok(_) => t.is(what, false, "no error"),
        Err(error) => t.is(what, error.to_string().contains(part), error.to_string()),
    }
}

async fn life(t: &Test) -> Outcome {
    let js = context(t, "streams").await?;
    let config = Config {
        max_messages: 3,
        description: Some("of a stream".into()),
        ..named("RLIFE", "rlife.>")
    };
    let mut stream = js.create_stream(config.clone()).await?;
    let made = &stream.cached_info().config;
    t.equal(
        "create",
        (
            made.max_messages,
            made.num_replicas,
            made.description.clone(),
        ),
        (3, 1, config.description.clone()),
    );
    let other = js.create_stream(named("RLIFE", "other")).await;
    refused(t, "create_another", other, "10058");
    store(&js, "rlife.a", &["1", "2", "3", "4"]).await?;
    let state = &stream.info().await?.state;
    t.equal(
        "state",
        (state.messages, state.first_sequence, state.last_sequence),
        (3, 2, 4),
    );
    let mut subjects = stream.info_with_subjects(">").await?;
    t.equal(
        "subjects",
        subjects.try_next().await?,
        Some(("rlife.a".to_string(), 3)),
    );
    let updated = js
        .update_stream(Config {
            max_messages: 1,
            ..config
        })
        .await?;
    t.equal("update", updated.config.max_messages, 1);
    t.equal(
        "found_by_subject",
        js.stream_by_subject("rlife.x").await?,
        "RLIFE".into(),
    );
    let names: Vec<String> = js.stream_names().try_collect().await?;
    t.is("names", names.contains(&"RLIFE".to_string()), &names);
    t.equal("purge", stream.purge().await?.purged, 1);
    t.is("delete", js.delete_stream("RLIFE").await?.success, ());
    refused(t, "deleted", js.get_stream("RLIFE").await, "10059");
    let full = Config {
        max_messages: 1,
        discard: DiscardPolicy::New,
        ..named("RFULL", "rfull")
    };
    js.create_stream(full).await?;
    store(&js, "rfull", &["1"]).await?;
    let second = js.publish("rfull", "2".into()).await?.await;
    refused(t, "discard_new", second, "maximum messages exceeded");
    let account = js.query_account().await?;
    t.is(
        "account",
        account.requests.total > 0,
        account.requests.total,
    );
    Ok(())
}

async fn publish(t: &Test) -> Outcome {
    let js = context(t, "streams").await?;
    js.create_stream(named("RPUB", "rpub.*")).await?;
    let send = async |message: PublishMessage| match js
        .send_publish("rpub.a", message.payload("x".into()))
        .await
    {
        Ok(future) => future.await,
        Err(error) => Err(error),
    };
    let ack = send(PublishMessage::build().message_id("one")).await?;
    t.equal(
        "ack",
        (ack.stream.as_str(), ack.sequence, ack.duplicate),
        ("RPUB", 1, false),
    );
    let again = send(PublishMessage::build().message_id("one")).await?;
    t.equal("duplicate", (again.sequence, again.duplicate), (1, true));
    let expected = PublishMessage::build()
        .expected_stream("RPUB")
        .expected_last_sequence(1)
        .expected_last_subject_sequence(1)
        .expected_last_message_id("one");
    t.equal("expectations", send(expected).await?.sequence, 2);
    for (what, message, part) in [
        (
            "wrong_sequence",
            PublishMessage::build().expected_last_sequence(9),
            "wrong last sequence",
        ),
        (
            "wrong_subject_sequence",
            PublishMessage::build().expected_last_subject_sequence(9),
            "wrong last sequence",
        ),
        (
            "wrong_id",
            PublishMessage::build().expected_last_message_id("two"),
            "wrong last message id",
        ),
    ] {
        refused(t, what, send(message).await, part);
    }
    let mut acks = Vec::new();
    for _ in 0..100 {
        acks.push(js.publish("rpub.b", "x".into()).await?);
    }
    let mut last = 0;
    for ack in acks {
        last = ack.await?.sequence;
    }
    t.equal("many_at_once", last, 102);
    let nobody = js.publish("rpub_nobody", "".into()).await?.await;
    t.is("nobody_stores_this", nobody.is_err(), ());
    Ok(())
}

async fn messages(t: &Test) -> Outcome {
    let js = context(t, "streams").await?;
    let config = Config {
        allow_direct: true,
        ..named("RMSG", "rmsg.*")
    };
    let stream = js.create_stream(config).await?;
    store(&js, "rmsg.a", &["1", "2"]).await?;
    store(&js, "rmsg.b", &["3"]).await?;
    let message = stream.get_raw_message(3).await?;
    t.equal(
        "get",
        (
            message.subject.as_str(),
            message.sequence,
            &message.payload[..],
        ),
        ("rmsg.b", 3, &b"3"[..]),
    );
    let last = stream.get_last_raw_message_by_subject("rmsg.a").await?;
    t.equal("last", last.sequence, 2);
    let direct = stream.direct_get(2).await?;
    t.equal("direct", &direct.payload[..], b"2");
    let direct = stream.direct_get_last_for_subject("rmsg.b").await?;
    t.equal("direct_last", direct.sequence, 3);
    let next = stream
        .direct_get_next_for_subject("rmsg.b", Some(1))
        .await?;
    t.equal("direct_next", next.sequence, 3);
    t.is("direct_none", stream.direct_get(9).await.is_err(), ());
    t.is("delete", stream.delete_message(2).await?, ());
    t.is("deleted", stream.get_raw_message(2).await.is_err(), ());
    let purged = stream.purge().filter("rmsg.a").await?;
    t.equal("purge_of_a_subject", purged.purged, 1);
    Ok(())
}

/// Waits until a stream has so many messages.
async fn holds(stream: &mut Stream, count: u64) -> Outcome {
    tokio::time::timeout(2 * PATIENCE, async {
        while stream.info().await?.state.messages != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    })
    .await?
}

async fn copies(t: &Test) -> Outcome {
    let js = context(t, "streams").await?;
    js.create_stream(named("RORIGIN", "rorigin.*")).await?;
    store(&js, "rorigin.a", &["1", "2"]).await?;
    let origin = || Source {
        name: "RORIGIN".into(),
        ..Source::default()
    };
    let mut mirror = js
        .create_stream(Config {
            name: "RMIRROR".into(),
            mirror: Some(origin()),
            ..Config::default()
        })
        .await?;
    let mut gathered = js
        .create_stream(Config {
            name: "RSOURCED".into(),
            sources: Some(vec![origin()]),
            ..Config::default()
        })
        .await?;
    holds(&mut mirror, 2).await?;
    holds(&mut gathered, 2).await?;
    let info = mirror.info().await?;
    t.equal(
        "mirror",
        info.mirror.as_ref().map(|m| m.name.as_str()),
        Some("RORIGIN"),
    );
    let copied = gathered.get_raw_message(2).await?;
    let told = copied.headers.get("Nats-Stream-Source");
    t.is(
        "source_says_where_from",
        told.is_some_and(|v| v.as_str().starts_with("RORIGIN")),
        &copied.headers,
    );
    Ok(())
}

fn durable(name: &str) -> pull::Config {
    pull::Config {
        durable_name: Some(name.into()),
        ..pull::Config::default()
    }
}

async fn fetched(
    consumer: &PullConsumer,
    count: usize,
) -> Result<Vec<jetstream::Message>, async_nats::Error> {
    let batch = consumer.batch().max_messages(count).expires(PATIENCE);
    batch.messages().await?.try_collect().await
}

fn payloads(messages: &[jetstream::Message]) -> Vec<String> {
    messages.iter().map(|message| text(message)).collect()
}

async fn pulling(t: &Test) -> Outcome {
    let js = context(t, "streams").await?;
    let stream = js.create_stream(named("RPULL", "rpull.*")).await?;
    store(&js, "rpull.a", &["1", "2", "3"]).await?;
    let mut consumer = stream.create_consumer(durable("one")).await?;
    t.equal("pending", consumer.cached_info().num_pending, 3);
    let batch = fetched(&consumer, 2).await?;
    t.equal("batch", payloads(&batch), vec!["1".into(), "2".into()]);
    let info = batch[1].info()?;
    t.equal(
        "metadata",
        (info.stream_sequence, info.pending, info.delivered),
        (2, 1, 1),
    );
    for message in &batch {
        message.double_ack().await?;
    }
    t.equal(
        "ack_floor",
        consumer.info().await?.ack_floor.stream_sequence,
        2,
    );
    let rest: Vec<_> = consumer
        .fetch()
        .max_messages(5)
        .messages()
        .await?
        .try_collect()
        .await?;
    t.equal("no_wait", payloads(&rest), vec!["3".into()]);
    rest[0].double_ack().await?;
    let mut following = consumer.messages().await?;
    store(&js, "rpull.a", &["4"]).await?;
    let next = tokio::time::timeout(PATIENCE, following.try_next()).await??;
    t.equal("follows", next.as_ref().map(|m| text(m)), Some("4".into()));
    let filtered = stream
        .create_consumer(pull::Config {
            deliver_policy: DeliverPolicy::Last,
            ack_policy: AckPolicy::None,
            filter_subject: "rpull.a".into(),
            ..pull::Config::default()
        })
        .await?;
    t.equal(
        "last",
        payloads(&fetched(&filtered, 1).await?),
        vec!["4".into()],
    );
    let changed = pull::Config {
        description: Some("changed".into()),
        ..durable("one")
    };
    refused(
        t,
        "create_another",
        stream.create_consumer_strict(changed.clone()).await,
        "consumer already exists",
    );
    let updated = stream.update_consumer(changed).await?;
    t.equal(
        "update",
        updated.cached_info().config.description.as_deref(),
        Some("changed"),
    );
    t.is("delete", stream.delete_consumer("one").await?.success, ());
    t.is("deleted", stream.consumer_info("one").await.is_err(), ());
    let work = js
        .create_stream(Config {
            retention: RetentionPolicy::WorkQueue,
            ..named("RWORK", "rwork")
        })
        .await?;
    work.create_consumer(durable("one")).await?;
    refused(
        t,
        "workqueue",
        work.create_consumer(durable("two")).await,
        "10099",
    );
    Ok(())
}

async fn acknowledge(t: &Test) -> Outcome {
    let js = context(t, "streams").await?;
    let stream = js.create_stream(named("RACK", "rack")).await?;
    store(&js, "rack", &["1", "2"]).await?;
    let mut consumer = stream
        .create_consumer(pull::Config {
            ack_wait: Duration::from_secs(1),
            ..durable("one")
        })
        .await?;
    let batch = fetched(&consumer, 2).await?;
    batch[0].ack_with(AckKind::Nak(None)).await?;
    let again = fetched(&consumer, 1).await?;
    t.equal(
        "nak",
        (text(&again[0]), again[0].info()?.delivered),
        ("1".into(), 2),
    );
    again[0].double_ack_with(AckKind::Term).await?;
    let waited = fetched(&consumer, 1).await?;
    t.equal(
        "after_the_ack_wait",
        (text(&waited[0]), waited[0].info()?.delivered),
        ("2".into(), 2),
    );
    waited[0].ack_with(AckKind::Progress).await?;
    waited[0].double_ack().await?;
    let info = consumer.info().await?;
    t.equal(
        "all_done",
        (info.num_ack_pending, info.ack_floor.stream_sequence),
        (0, 2),
    );
    Ok(())
}

async fn pushing(t: &Test) -> Outcome {
    let js = context(t, "streams").await?;
    let stream = js.create_stream(named("RPUSH", "rpush.*")).await?;
    store(&js, "rpush.a", &["1", "2", "3"]).await?;
    let consumer = stream
        .create_consumer(push::Config {
            deliver_subject: js.client().new_inbox(),
            durable_name: Some("one".into()),
            idle_heartbeat: Duration::from_secs(1),
            flow_control: true,
            ..push::Config::default()
        })
        .await?;
    let got: Vec<_> = consumer.messages().await?.take(3).try_collect().await?;
    t.equal(
        "push",
        payloads(&got),
        vec!["1".into(), "2".into(), "3".into()],
    );
    let ordered = stream
        .create_consumer(push::OrderedConfig {
            deliver_subject: js.client().new_inbox(),
            filter_subject: "rpush.a".into(),
            ..push::OrderedConfig::default()
        })
        .await?;
    let got: Vec<_> = ordered.messages().await?.take(3).try_collect().await?;
    t.equal(
        "ordered_push",
        payloads(&got),
        vec!["1".into(), "2".into(), "3".into()],
    );
    let ordered = stream
        .create_consumer(pull::OrderedConfig::default())
        .await?;
    let got: Vec<_> = ordered.messages().await?.take(3).try_collect().await?;
    t.equal(
        "ordered_pull",
        payloads(&got),
        vec!["1".into(), "2".into(), "3".into()],
    );
    Ok(())
}

async fn key_value(t: &Test) -> Outcome {
    let js = context(t, "streams").await?;
    let config = kv::Config {
        bucket: "RKV".into(),
        history: 3,
        ..kv::Config::default()
    };
    let kv = js.create_key_value(config).await?;
    t.equal("put", kv.put("a", "1".into()).await?, 1);
    t.equal("get", kv.get("a").await?.as_deref(), Some(&b"1"[..]));
    t.equal("never_there", kv.get("nobody").await?, None);
    t.equal("update", kv.update("a", "2".into(), 1).await?, 2);
    t.is(
        "update_of_an_old_revision",
        kv.update("a", "3".into(), 1).await.is_err(),
        (),
    );
    t.is(
        "create_again",
        kv.create("a", "3".into()).await.is_err(),
        (),
    );
    t.equal("create", kv.create("b", "3".into()).await?, 3);
    kv.delete("b").await?;
    t.equal("deleted", kv.get("b").await?, None);
    t.equal("create_after_delete", kv.create("b", "4".into()).await?, 5);
    let entry = kv.entry_for_revision("a", 1).await?;
    t.equal("revision", entry.map(|e| e.value), Some("1".into()));
    let mut keys: Vec<String> = kv.keys().await?.try_collect().await?;
    keys.sort();
    t.equal("keys", keys, vec!["a".to_string(), "b".into()]);
    let history: Vec<_> = kv.history("b").await?.try_collect().await?;
    let operations: Vec<_> = history.iter().map(|e| e.operation).collect();
    t.equal(
        "history",
        operations,
        vec![
            kv::Operation::Put,
            kv::Operation::Delete,
            kv::Operation::Put,
        ],
    );
    kv.purge("b").await?;
    t.equal("purge", kv.history("b").await?.count().await, 1);
    let status = kv.status().await?;
    t.equal("status", (status.bucket(), status.history()), ("RKV", 3));
    js.delete_key_value("RKV").await?;
    t.is("delete_bucket", js.get_key_value("RKV").await.is_err(), ());
    Ok(())
}

async fn watching(t: &Test) -> Outcome {
    let js = context(t, "streams").await?;
    let config = kv::Config {
        bucket: "RWATCH".into(),
        history: 3,
        ..kv::Config::default()
    };
    let kv = js.create_key_value(config).await?;
    kv.put("a", "1".into()).await?;
    kv.put("a", "2".into()).await?;
    let mut all = kv.watch_with_history("a").await?;
    let mut updates = kv.watch("a").await?;
    kv.delete("a").await?;
    for (what, value) in [("last_value", "2"), ("deletion", "")] {
        let entry = tokio::time::timeout(PATIENCE, all.try_next()).await??;
        t.equal(what, entry.map(|e| e.value), Some(value.into()));
    }
    let entry = tokio::time::timeout(PATIENCE, updates.try_next()).await??;
    t.equal(
        "updates",
        entry.map(|e| e.operation),
        Some(kv::Operation::Delete),
    );
    Ok(())
}

async fn objects(t: &Test) -> Outcome {
    let js = context(t, "streams").await?;
    let config = object_store::Config {
        bucket: "ROBJ".into(),
        ..object_store::Config::default()
    };
    let store = js.create_object_store(config).await?;
    let data: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    let info = store.put("large", &mut data.as_slice()).await?;
    t.equal("put", (info.size, info.chunks), (1_000_000, 8));
    let mut back = Vec::new();
    store.get("large").await?.read_to_end(&mut back).await?;
    t.is("get", back == data, back.len());
    let read = store.info("large").await?;
    t.equal("digest", read.digest, info.digest.clone());
    store.put("small", &mut "x".as_bytes()).await?;
    let mut names: Vec<String> = store.list().await?.map_ok(|o| o.name).try_collect().await?;
    names.sort();
    t.equal("list", names, vec!["large".to_string(), "small".into()]);
    let small = store.info("small").await?;
    store.add_link("alias", &small).await?;
    let mut linked = Vec::new();
    store.get("alias").await?.read_to_end(&mut linked).await?;
    t.equal("link", linked, b"x".to_vec());
    store.delete("large").await?;
    t.is("deleted", store.get("large").await.is_err(), ());
    js.delete_object_store("ROBJ").await?;
    t.is(
        "delete_store",
        js.get_object_store("ROBJ").await.is_err(),
        (),
    );
    Ok(())
}

async fn over(t: &Test, how: &str, name: &str) -> Outcome {
    let js = context(t, "streams_restart").await?;
    let mut stream = js.create_stream(named(name, &format!("{name}.*"))).await?;
    let subject = format!("{name}.a");
    store(&js, &subject, &["1", "2", "3"]).await?;
    let consumer = stream.create_consumer(durable("one")).await?;
    fetched(&consumer, 1).await?[0].double_ack().await?;
    t.control(&format!("/{how}/streams_restart")).await?;
    let back = async { while stream.info().await.is_err() {} };
    tokio::time::timeout(3 * PATIENCE, back).await?;
    t.equal("messages_stay", stream.cached_info().state.messages, 3);
    let mut seen = Vec::new();
    while !(seen.contains(&"2".to_string()) && seen.contains(&"3".to_string())) {
        let batch = fetched(&consumer, 3 - seen.len().min(2)).await?;
        seen.extend(payloads(&batch));
    }
    t.is(
        "the_consumer_goes_on",
        how == "restart" || seen == ["2", "3"],
        &seen,
    );
    let ack = js.publish(subject, "4".into()).await?.await?;
    t.equal("the_next_sequence", ack.sequence, 4);
    Ok(())
}

async fn killed(t: &Test) -> Outcome {
    over(t, "restart", "RKILLED").await
}

async fn asked_to_stop(t: &Test) -> Outcome {
    over(t, "relaunch", "RASKED").await
}

//! Draining, losing and finding the server, limits of both sides, lame duck.

use crate::check::*;
use async_nats::connection::State;
use async_nats::{Event, RequestErrorKind};
use futures_util::StreamExt;
use std::sync::atomic::Ordering;
use std::time::Duration;

crate::scenarios! {
    "drain/connection" => drain,
    "limits/slow_subscriber" => slow_subscriber,
    "limits/server" => limits,
    "liveness/stale" => stale,
    "reconnect/restores" => reconnect,
    "reconnect/initial" => initial,
    "reconnect/gives_up" => gives_up,
    "lame_duck/notice" => lame_duck,
}

fn disconnected(event: &Event) -> bool {
    matches!(event, Event::Disconnected)
}

async fn drain(t: &Test) -> Outcome {
    let events = Events::default();
    let (client, sender) = (
        t.dial("plain", events.watch(options())).await?,
        t.connect("plain").await?,
    );
    let mut work = client.subscribe("r.drain.work").await?;
    let mut answers = sender.subscribe("r.drain.answers").await?;
    settle(&client).await?;
    for n in 0..3 {
        sender.publish("r.drain.work", n.to_string().into()).await?;
    }
    settle(&sender).await?;
    settle(&client).await?;
    client.drain().await?;
    let publisher = sender.clone();
    while let Some(message) = work.next().await {
        publisher
            .publish("r.drain.answers", message.payload)
            .await?;
    }
    sender.publish("r.drain.answers", "end".into()).await?;
    t.equal(
        "hands_out_what_had_arrived",
        texts(&mut answers).await?,
        vec!["0".into(), "1".into(), "2".into()],
    );
    t.eventually("closes_in_the_end", || {
        events.saw(|e| matches!(e, Event::Closed))
    })
    .await;
    t.is(
        "after_saying_so",
        events.saw(|e| matches!(e, Event::Draining)),
        events.count(),
    );
    let gone = sender
        .request("r.drain.work", "".into())
        .await
        .err()
        .map(|e| e.kind());
    t.equal(
        "the_interest_is_gone",
        gone,
        Some(RequestErrorKind::NoResponders),
    );
    Ok(())
}

async fn slow_subscriber(t: &Test) -> Outcome {
    let events = Events::default();
    let client = t
        .dial("plain", events.watch(options().subscription_capacity(4)))
        .await?;
    let mut slow = client.subscribe("r.slow").await?;
    let sender = t.connect("plain").await?;
    settle(&client).await?;
    for _ in 0..100 {
        sender.publish("r.slow", "x".into()).await?;
    }
    settle(&sender).await?;
    t.eventually("is_the_librarys_event", || {
        events.saw(|e| matches!(e, Event::SlowConsumer(_)))
    })
    .await;
    t.eventually("everything_was_sent_to_it", || {
        client.statistics().in_messages.load(Ordering::Relaxed) >= 101
    })
    .await;
    t.equal(
        "some_is_still_there",
        text(&next(&mut slow).await?),
        "x".into(),
    );
    t.is(
        "and_nobody_was_disconnected",
        !events.saw(disconnected),
        events.count(),
    );
    Ok(())
}

async fn limits(t: &Test) -> Outcome {
    let events = Events::default();
    let client = t.dial("limits", events.watch(options())).await?;
    let mut kept = Vec::new();
    for n in 0..6 {
        kept.push(client.subscribe(format!("r.limit.{n}")).await?);
    }
    t.eventually("a_subscription_too_many_is_reported", || {
        events.saw_error("maximum subscriptions exceeded")
    })
    .await;
    client.publish("r.limit.0", "x".into()).await?;
    t.equal(
        "those_before_go_on",
        text(&next(&mut kept[0]).await?),
        "x".into(),
    );

    let first = t.connect("full").await?;
    let second = t.connect("full").await?;
    let third = t.connect("full").await;
    t.is(
        "a_connection_too_many_is_refused",
        third.is_err(),
        "a connection",
    );
    drop(second);
    let mut again = t.connect("full").await;
    for _ in 0..500 {
        if again.is_ok() {
            break;
        }
        again = t.connect("full").await;
    }
    t.is("a_free_place_is_given_again", again.is_ok(), again.err());
    drop(first);
    Ok(())
}

async fn stale(t: &Test) -> Outcome {
    let events = Events::default();
    let client = t
        .dial(
            "restart",
            events.watch(options().ping_interval(Duration::from_millis(100))),
        )
        .await?;
    t.control("/signal/restart/pause").await?;
    t.eventually("unanswered_pings_end_the_connection", || {
        events.saw(disconnected)
    })
    .await;
    t.control("/signal/restart/resume").await?;
    t.eventually("and_it_comes_back", || {
        client.connection_state() == State::Connected
    })
    .await;
    t.is("usable", settle(&client).await.is_ok(), "an error");
    Ok(())
}

async fn reconnect(t: &Test) -> Outcome {
    let events = Events::default();
    let client = t.dial("restart", events.watch(options())).await?;
    let mut plain = client.subscribe("r.re").await?;
    let mut wild = client.subscribe("r.re.*").await?;
    let mut queue = client.queue_subscribe("r.re.queue.x", "g".into()).await?;
    settle(&client).await?;
    let old = client.server_info().server_id;
    t.control("/stop/restart").await?;
    t.eventually("notices_the_loss", || events.saw(disconnected))
        .await;
    for n in 0..3 {
        client.publish("r.re", n.to_string().into()).await?;
    }
    t.control("/start/restart").await?;
    client.publish("r.re", "end".into()).await?;
    t.equal(
        "pending_publishes_arrive_in_order",
        texts(&mut plain).await?,
        vec!["0".into(), "1".into(), "2".into()],
    );
    t.equal(
        "connected_twice",
        client.statistics().connects.load(Ordering::Relaxed),
        2,
    );
    t.is(
        "to_a_new_server",
        client.server_info().server_id != old,
        old,
    );
    let sender = t.connect("restart").await?;
    sender.publish("r.re.x", "w".into()).await?;
    sender.publish("r.re.queue.x", "q".into()).await?;
    t.equal(
        "wildcard_is_subscribed_again",
        next(&mut wild).await?.subject.as_str(),
        "r.re.x",
    );
    t.equal(
        "queue_is_subscribed_again",
        text(&next(&mut queue).await?),
        "q".into(),
    );
    t.is(
        "requests_work_again",
        settle(&client).await.is_ok(),
        "an error",
    );
    client.force_reconnect().await?;
    t.eventually("forced_connects_a_third_time", || {
        client.statistics().connects.load(Ordering::Relaxed) == 3
    })
    .await;
    sender.publish("r.re.y", "w".into()).await?;
    let _ = settle(&client).await;
    sender.publish("r.re.z", "w".into()).await?;
    let subject = next(&mut wild).await?.subject;
    t.is(
        "and_subscribes_again",
        ["r.re.y", "r.re.z"].contains(&subject.as_str()),
        subject,
    );
    Ok(())
}

async fn initial(t: &Test) -> Outcome {
    t.control("/stop/restart").await?;
    let client = t
        .dial("restart", options().retry_on_initial_connect())
        .await?;
    let mut early = client.subscribe("r.early").await?;
    client.publish("r.early", "early".into()).await?;
    t.control("/start/restart").await?;
    t.equal(
        "what_was_published_before_the_first_connect_arrives",
        text(&next(&mut early).await?),
        "early".into(),
    );
    let listed = options()
        .retain_servers_order()
        .connect(vec![
            "nats://127.0.0.1:1",
            t.contract.server("plain").url.as_str(),
        ])
        .await;
    t.is(
        "the_next_server_of_the_list_is_tried",
        listed.is_ok(),
        listed.err(),
    );
    Ok(())
}

async fn gives_up(t: &Test) -> Outcome {
    let events = Events::default();
    let client = t
        .dial("restart", events.watch(options().max_reconnects(2)))
        .await?;
    t.control("/stop/restart").await?;
    let gave_up = |e: &Event| {
        matches!(
            e,
            Event::ClientError(async_nats::ClientError::MaxReconnects)
        )
    };
    t.eventually("after_the_allowed_tries", || events.saw(gave_up))
        .await;
    let refused = t.connect("restart").await.err().map(|e| e.kind());
    t.equal(
        "a_new_connection_finds_nobody",
        refused,
        Some(async_nats::ConnectErrorKind::Io),
    );
    t.control("/start/restart").await?;
    drop(client);
    Ok(())
}

async fn lame_duck(t: &Test) -> Outcome {
    let events = Events::default();
    let client = t.dial("lame", events.watch(options())).await?;
    let mut still = client.subscribe("r.lame").await?;
    settle(&client).await?;
    t.control("/signal/lame/ldm").await?;
    t.eventually("is_the_librarys_event", || {
        events.saw(|e| matches!(e, Event::LameDuckMode))
    })
    .await;
    t.is(
        "nobody_new_is_let_in",
        t.connect("lame").await.is_err(),
        "a connection",
    );
    client.publish("r.lame", "still".into()).await?;
    t.equal(
        "those_inside_still_talk",
        text(&next(&mut still).await?),
        "still".into(),
    );
    t.eventually("then_they_are_sent_away", || events.saw(disconnected))
        .await;
    Ok(())
}

//! Accounts: isolation, imports and exports, mappings, the system account.

use crate::check::*;
use async_nats::{Client, ConnectError, RequestErrorKind};
use serde_json::Value;

crate::scenarios! {
    "accounts/streams" => streams,
    "accounts/services" => services,
    "mapping/subjects" => mappings,
    "system/account" => system,
}

async fn member(t: &Test, name: &str) -> Result<Client, ConnectError> {
    t.connect_as("accounts", name, name).await
}

async fn streams(t: &Test) -> Outcome {
    let (alpha, beta, gamma) = (
        member(t, "alpha").await?,
        member(t, "beta").await?,
        member(t, "gamma").await?,
    );
    let mut prefixed = beta.subscribe("from_alpha.events.>").await?;
    let mut renamed = beta.subscribe("hidden.*").await?;
    let mut outside = gamma.subscribe("events.>").await?;
    settle(&beta).await?;
    settle(&gamma).await?;
    alpha.publish("events.a.b", "one".into()).await?;
    let message = next(&mut prefixed).await?;
    t.equal(
        "arrives_under_the_prefix",
        (message.subject.as_str(), text(&message)),
        ("from_alpha.events.a.b", "one".into()),
    );
    alpha.publish("private.x", "two".into()).await?;
    t.equal(
        "arrives_under_another_name",
        next(&mut renamed).await?.subject.as_str(),
        "hidden.x",
    );
    gamma.publish("events.x", "end".into()).await?;
    t.equal(
        "a_third_account_hears_nothing",
        texts(&mut outside).await?,
        vec![],
    );
    Ok(())
}

async fn services(t: &Test) -> Outcome {
    let (alpha, beta, gamma) = (
        member(t, "alpha").await?,
        member(t, "beta").await?,
        member(t, "gamma").await?,
    );
    let kind = |outcome: Result<_, async_nats::RequestError>| outcome.err().map(|e| e.kind());
    t.equal(
        "nobody_there",
        kind(beta.request("remote.nobody", "".into()).await),
        Some(RequestErrorKind::NoResponders),
    );
    respond(&alpha, "svc.add", |m| {
        vec![format!("{}:{}", m.subject, text(m))]
    })
    .await?;
    respond(&alpha, "svc.many", |_| {
        vec!["1".into(), "2".into(), "end".into()]
    })
    .await?;
    settle(&alpha).await?;
    t.equal(
        "answers_across",
        text(&beta.request("remote.add", "1+1".into()).await?),
        "svc.add:1+1".into(),
    );
    t.equal(
        "is_not_for_others",
        kind(gamma.request("svc.add", "".into()).await),
        Some(RequestErrorKind::NoResponders),
    );
    let inbox = beta.new_inbox();
    let mut answers = beta.subscribe(inbox.clone()).await?;
    beta.publish_with_reply("svc.many", inbox, "".into())
        .await?;
    t.equal(
        "a_streamed_response_comes_whole",
        texts(&mut answers).await?,
        vec!["1".into(), "2".into()],
    );
    Ok(())
}

async fn mappings(t: &Test) -> Outcome {
    let client = member(t, "gamma").await?;
    for (what, filter, publish, arrives) in [
        ("by_dollar", "new.*", "old.x", "new.x"),
        (
            "by_wildcard_function",
            "swapped.>",
            "swap.a.b",
            "swapped.b.a",
        ),
        ("by_partition", "part.*.*", "part.key0", "part.key0.0"),
        (
            "by_another_partition",
            "part.*.*",
            "part.key1",
            "part.key1.3",
        ),
    ] {
        let mut subscriber = client.subscribe(filter).await?;
        client.publish(publish, "".into()).await?;
        t.equal(what, next(&mut subscriber).await?.subject.as_str(), arrives);
    }
    Ok(())
}

async fn system(t: &Test) -> Outcome {
    let sys = member(t, "sys").await?;
    let mut connects = sys.subscribe("$SYS.ACCOUNT.GAMMA.CONNECT").await?;
    let mut disconnects = sys.subscribe("$SYS.ACCOUNT.GAMMA.DISCONNECT").await?;
    settle(&sys).await?;
    let gamma = member(t, "gamma").await?;
    let id = gamma.server_info().client_id;
    let event = event_about(&mut connects, id).await?;
    t.equal(
        "hears_a_connect",
        event["type"].as_str(),
        Some("io.nats.server.advisory.v1.client_connect"),
    );
    t.equal(
        "of_this_library",
        event["client"]["lang"].as_str(),
        Some("rust"),
    );
    gamma.drain().await?;
    let event = event_about(&mut disconnects, id).await?;
    t.equal(
        "hears_a_disconnect",
        event["reason"].as_str(),
        Some("Client Closed"),
    );
    let pong: Value = serde_json::from_slice(
        &sys.request("$SYS.REQ.SERVER.PING", "".into())
            .await?
            .payload,
    )?;
    t.equal(
        "may_ask_the_server",
        pong["server"]["id"].as_str(),
        Some(sys.server_info().server_id.as_str()),
    );
    let alpha = member(t, "alpha").await?;
    let kind = alpha
        .request("$SYS.REQ.SERVER.PING", "".into())
        .await
        .err()
        .map(|e| e.kind());
    t.equal(
        "which_others_may_not",
        kind,
        Some(RequestErrorKind::NoResponders),
    );
    Ok(())
}

/// The next event about the client of that number.
async fn event_about(
    subscriber: &mut async_nats::Subscriber,
    id: u64,
) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    loop {
        let event: Value = serde_json::from_slice(&next(subscriber).await?.payload)?;
        if event["client"]["id"].as_u64() == Some(id) {
            return Ok(event);
        }
    }
}

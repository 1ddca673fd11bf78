//! What a user may publish, hear, join and answer.

use crate::check::*;
use async_nats::Client;

crate::scenarios! {
    "permissions/publish" => publish,
    "permissions/subscribe" => subscribe,
    "permissions/queue" => queue,
    "permissions/responses" => responses,
}

async fn restricted(t: &Test, user: &str) -> Result<(Client, Events), async_nats::ConnectError> {
    let events = Events::default();
    let options = events
        .watch(options())
        .user_and_password(user.into(), "pw".into());
    Ok((t.dial("permissions", options).await?, events))
}

async fn publish(t: &Test) -> Outcome {
    let ((admin, _), (client, events)) = (
        restricted(t, "admin").await?,
        restricted(t, "limited").await?,
    );
    let mut all = admin.subscribe("allowed.>").await?;
    let mut forbidden = admin.subscribe("forbidden").await?;
    settle(&admin).await?;
    for subject in ["allowed.a", "forbidden", "allowed.secret.b", "allowed.c"] {
        client.publish(subject, subject.into()).await?;
    }
    client.publish("allowed.end", "end".into()).await?;
    t.equal(
        "only_what_is_allowed_arrives",
        texts(&mut all).await?,
        vec!["allowed.a".into(), "allowed.c".into()],
    );
    admin.publish("forbidden", "end".into()).await?;
    t.equal("nothing_else_does", texts(&mut forbidden).await?, vec![]);
    t.eventually("not_allowed_is_reported", || {
        events.saw_error(r#"Permissions Violation for Publish to "forbidden""#)
    })
    .await;
    t.eventually("denied_is_reported", || {
        events.saw_error(r#"Permissions Violation for Publish to "allowed.secret.b""#)
    })
    .await;
    client.publish("allowed.again", "again".into()).await?;
    t.equal(
        "the_connection_stays",
        text(&next(&mut all).await?),
        "again".into(),
    );
    Ok(())
}

async fn subscribe(t: &Test) -> Outcome {
    let ((admin, _), (client, events)) = (
        restricted(t, "admin").await?,
        restricted(t, "limited").await?,
    );
    for filter in ["forbidden", "allowed.secret.>", ">"] {
        let _refused = client.subscribe(filter).await?;
        let text = format!("Permissions Violation for Subscription to \"{filter}\"");
        let what = format!("reported_for_{}", filter.replace('>', "tail"));
        t.eventually(&what, || events.saw_error(&text)).await;
    }
    let mut mixed = client.subscribe("mixed.*").await?;
    settle_by(&client, "allowed.nobody").await?;
    for subject in ["mixed.hidden", "mixed.open"] {
        admin.publish(subject, subject.into()).await?;
    }
    admin.publish("mixed.end", "end".into()).await?;
    t.equal(
        "a_wildcard_hides_denied_subjects",
        texts(&mut mixed).await?,
        vec!["mixed.open".into()],
    );
    Ok(())
}

async fn queue(t: &Test) -> Outcome {
    let ((admin, _), (client, events)) = (
        restricted(t, "admin").await?,
        restricted(t, "queuer").await?,
    );
    let mut member = client.queue_subscribe("work", "v1.rust".into()).await?;
    let _refused = client.queue_subscribe("work", "v2".into()).await?;
    t.eventually("another_group_is_reported", || {
        events.saw_error(r#"Subscription to "work" using queue "v2""#)
    })
    .await;
    admin.publish("work", "job".into()).await?;
    t.equal(
        "an_allowed_group_works",
        text(&next(&mut member).await?),
        "job".into(),
    );
    t.is(
        "and_is_not_reported",
        !events.saw_error("v1.rust"),
        "an error",
    );
    Ok(())
}

async fn responses(t: &Test) -> Outcome {
    let ((requester, _), (responder, events)) = (
        restricted(t, "requester").await?,
        restricted(t, "responder").await?,
    );
    respond(&responder, "service.rust", |_| {
        vec!["1".into(), "2".into(), "3".into()]
    })
    .await?;
    let mut inbox = requester.subscribe("_INBOX.compat.rust").await?;
    // The responder may publish nothing, so its subscription is awaited by asking.
    let mut first = None;
    for _ in 0..500 {
        requester
            .publish_with_reply("service.rust", "_INBOX.compat.rust", "".into())
            .await?;
        let message = next(&mut inbox).await?;
        if message.status.is_none() {
            first = Some(text(&message));
            break;
        }
    }
    t.equal("the_first_is_allowed", first, Some("1".into()));
    t.equal("the_second_too", text(&next(&mut inbox).await?), "2".into());
    t.eventually("more_than_max_are_reported", || {
        events.saw_error(r#"Publish to "_INBOX.compat.rust""#)
    })
    .await;
    responder.publish("service.rust", "unasked".into()).await?;
    t.eventually("so_is_anything_else", || {
        events.saw_error(r#"Publish to "service.rust""#)
    })
    .await;
    Ok(())
}

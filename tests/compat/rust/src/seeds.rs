//! The flows by which people get to know the product, each under the name of the flow.
//!
//! Subjects and numbers are those that introductions use. The other files look closer; this
//! one, which every language has, says that each of the flows works at all. It runs in the
//! account `GAMMA`, where nobody else speaks, for the sake of `>`.

use crate::check::*;
use async_nats::{Client, ConnectError};
use std::sync::atomic::Ordering;

crate::scenarios! {
    "seeds/publish_subscribe" => publish_subscribe,
    "seeds/at_most_once" => at_most_once,
    "seeds/fan_in" => fan_in,
    "seeds/fan_out" => fan_out,
    "seeds/request_reply" => request_reply,
    "seeds/one_to_many_request" => one_to_many_request,
    "seeds/queue_group" => queue_group,
    "seeds/wildcards" => wildcards,
}

async fn gamma(t: &Test) -> Result<Client, ConnectError> {
    t.connect_as("accounts", "gamma", "gamma").await
}

async fn publish_subscribe(t: &Test) -> Outcome {
    let (publisher, subscriber) = (gamma(t).await?, gamma(t).await?);
    let mut subscription = subscriber.subscribe("intros").await?;
    settle(&subscriber).await?;
    publisher.publish("intros", "Hello World!".into()).await?;
    let message = next(&mut subscription).await?;
    t.equal("arrives", text(&message), "Hello World!".into());
    Ok(())
}

async fn at_most_once(t: &Test) -> Outcome {
    let (publisher, subscriber) = (gamma(t).await?, gamma(t).await?);
    publisher
        .publish("intros", "before anybody listens".into())
        .await?;
    settle(&publisher).await?;
    let mut subscription = subscriber.subscribe("intros").await?;
    settle(&subscriber).await?;
    for text in ["now", "end"] {
        publisher.publish("intros", text.into()).await?;
    }
    t.equal(
        "nothing_is_kept_for_latecomers",
        texts(&mut subscription).await?,
        vec!["now".into()],
    );
    Ok(())
}

async fn fan_in(t: &Test) -> Outcome {
    let subscriber = gamma(t).await?;
    let mut subscription = subscriber.subscribe("hello.world").await?;
    settle(&subscriber).await?;
    for _ in 0..3 {
        let publisher = gamma(t).await?;
        for _ in 0..10 {
            publisher.publish("hello.world", "Johan".into()).await?;
        }
        settle(&publisher).await?;
    }
    subscriber.publish("hello.world", "end".into()).await?;
    t.equal(
        "one_hears_all_publishers",
        texts(&mut subscription).await?,
        vec!["Johan".to_owned(); 30],
    );
    Ok(())
}

async fn fan_out(t: &Test) -> Outcome {
    let publisher = gamma(t).await?;
    let mut subscriptions = Vec::new();
    for _ in 0..3 {
        let subscriber = gamma(t).await?;
        subscriptions.push(subscriber.subscribe("hello.world").await?);
        settle(&subscriber).await?;
    }
    for _ in 0..10 {
        publisher.publish("hello.world", "Johan".into()).await?;
    }
    publisher.publish("hello.world", "end".into()).await?;
    let mut heard = Vec::new();
    for subscription in &mut subscriptions {
        heard.push(texts(subscription).await?);
    }
    let all = vec!["Johan".to_owned(); 10];
    t.equal("all_subscribers_hear_all", heard, vec![all; 3]);
    Ok(())
}

async fn request_reply(t: &Test) -> Outcome {
    let (service, client) = (gamma(t).await?, gamma(t).await?);
    respond(&service, "hello.johan", |_| vec!["Hello Johan :)".into()]).await?;
    settle(&service).await?;
    let answer = client.request("hello.johan", "".into()).await?;
    t.equal("is_answered", text(&answer), "Hello Johan :)".into());
    Ok(())
}

async fn one_to_many_request(t: &Test) -> Outcome {
    let client = gamma(t).await?;
    for number in 0..3 {
        let service = gamma(t).await?;
        respond(&service, "hello.all", move |_| vec![number.to_string()]).await?;
        settle(&service).await?;
    }
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await?;
    client
        .publish_with_reply("hello.all", inbox, "".into())
        .await?;
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(text(&next(&mut answers).await?));
    }
    heard.sort();
    t.equal(
        "all_answer_into_the_inbox",
        heard,
        ["0", "1", "2"].map(String::from).into(),
    );
    Ok(())
}

async fn queue_group(t: &Test) -> Outcome {
    let publisher = gamma(t).await?;
    let mut members = Vec::new();
    for _ in 0..2 {
        let member = gamma(t).await?;
        let subscription = member
            .queue_subscribe("hello.world", "greeter".into())
            .await?;
        settle(&member).await?;
        let before = member.statistics().in_messages.load(Ordering::Relaxed);
        members.push((member, subscription, before));
    }
    for _ in 0..1000 {
        publisher.publish("hello.world", "Johan".into()).await?;
    }
    let share = |n: usize| {
        let (member, _, before) = &members[n];
        member.statistics().in_messages.load(Ordering::Relaxed) - before
    };
    t.eventually("nothing_is_lost", || share(0) + share(1) >= 1000)
        .await;
    settle(&publisher).await?;
    let shares = [share(0), share(1)];
    t.equal("each_message_once", shares.iter().sum(), 1000);
    // 500 expected each; six standard deviations of a fair draw are 95.
    t.is(
        "evenly",
        shares.iter().all(|share| (405..595).contains(share)),
        shares,
    );
    Ok(())
}

async fn wildcards(t: &Test) -> Outcome {
    const SUBJECTS: [&str; 8] = [
        "hello",
        "hello.world",
        "hello.johan",
        "hello.big.world",
        "first",
        "first.second",
        "first.second.third",
        "first.second.third.fourth",
    ];
    let client = gamma(t).await?;
    for (what, filter, want) in [
        ("one_token", "hello.*", &SUBJECTS[1..3]),
        ("token_in_the_middle", "first.*.third", &SUBJECTS[6..7]),
        ("all_that_follows", "first.>", &SUBJECTS[5..]),
        ("wiretap", ">", &SUBJECTS[..]),
    ] {
        let mut subscription = client.subscribe(filter).await?;
        for subject in SUBJECTS {
            client.publish(subject, subject.into()).await?;
        }
        client.publish(want[0], "end".into()).await?;
        let want: Vec<String> = want.iter().map(ToString::to_string).collect();
        t.equal(what, texts(&mut subscription).await?, want);
    }
    Ok(())
}

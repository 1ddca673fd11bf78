//! Publish, subscribe, wildcards, headers, queue groups, payload limits.

use crate::check::*;
use async_nats::{HeaderMap, PublishErrorKind, StatusCode};
use futures_util::{FutureExt, StreamExt};
use std::sync::atomic::Ordering;

crate::scenarios! {
    "connect/info" => info,
    "publish/delivery" => delivery,
    "publish/payloads" => payloads,
    "publish/headers" => headers,
    "publish/echo" => echo,
    "subscribe/wildcards" => wildcards,
    "subscribe/unsubscribe" => unsubscribe,
    "queue/distribution" => distribution,
}

async fn info(t: &Test) -> Outcome {
    let client = t.connect("plain").await?;
    let info = client.server_info();
    let server = t.contract.server("plain");
    t.equal(
        "server_name",
        info.server_name.as_str(),
        server.name.as_str(),
    );
    t.equal("port", info.port, server.port);
    t.is(
        "server_id_looks_like_an_nkey",
        info.server_id.len() == 56 && info.server_id.starts_with('N'),
        &info.server_id,
    );
    t.is(
        "version_is_2",
        info.version.starts_with("2."),
        &info.version,
    );
    t.equal("protocol", info.proto, 1);
    t.equal("max_payload", info.max_payload, 1 << 20);
    t.is("headers", info.headers, info.headers);
    t.equal("client_ip", info.client_ip.as_str(), "127.0.0.1");
    t.is("client_id", info.client_id > 0, info.client_id);
    t.is(
        "compatible_with_2_2",
        client.is_server_compatible(2, 2, 0),
        &info.version,
    );
    Ok(())
}

async fn delivery(t: &Test) -> Outcome {
    let (client, other) = (t.connect("plain").await?, t.connect("plain").await?);
    let (mut here, mut there) = (
        client.subscribe("r.pub").await?,
        other.subscribe("r.pub").await?,
    );
    settle(&other).await?;
    client
        .publish_with_reply("r.pub", "back.here", "hello".into())
        .await?;
    t.equal(
        "to_the_publisher",
        text(&next(&mut here).await?),
        "hello".into(),
    );
    let message = next(&mut there).await?;
    t.equal("to_another_connection", text(&message), "hello".into());
    t.equal("with_its_subject", message.subject.as_str(), "r.pub");
    t.equal(
        "with_its_reply_subject",
        message.reply.as_ref().map(|r| r.as_str()),
        Some("back.here"),
    );
    for n in 0..2000 {
        client.publish("r.pub", n.to_string().into()).await?;
    }
    client.publish("r.pub", "end".into()).await?;
    let want: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    t.is(
        "in_order",
        texts(&mut there).await? == want,
        "another order",
    );
    Ok(())
}

async fn payloads(t: &Test) -> Outcome {
    let client = t.connect("plain").await?;
    let mut subscriber = client.subscribe("r.payload").await?;
    let big: Vec<u8> = (0..client.max_payload()).map(|i| (i * 31) as u8).collect();
    for (what, data) in [
        ("empty", Vec::new()),
        ("protocol_text", b"\r\nPUB x 1\r\n-ERR 'no'\r\n".to_vec()),
        ("of_64_KiB", big[..1 << 16].to_vec()),
        ("of_exactly_max_payload", big.clone()),
    ] {
        client.publish("r.payload", data.clone().into()).await?;
        t.is(
            what,
            next(&mut subscriber).await?.payload == data,
            "other bytes",
        );
    }
    let refused = client
        .publish("r.payload", [&big[..], b"x"].concat().into())
        .await;
    t.equal(
        "one_byte_more_is_the_librarys_error",
        refused.err().map(|e| e.kind()),
        Some(PublishErrorKind::MaxPayloadExceeded),
    );

    let limited = t.connect("limits").await?;
    t.equal("a_smaller_limit_is_announced", limited.max_payload(), 1024);
    let refused = limited.publish("r.payload", vec![0; 1025].into()).await;
    t.equal(
        "and_refused_likewise",
        refused.err().map(|e| e.kind()),
        Some(PublishErrorKind::MaxPayloadExceeded),
    );
    Ok(())
}

async fn headers(t: &Test) -> Outcome {
    let client = t.connect("plain").await?;
    let mut subscriber = client.subscribe("r.headers").await?;
    let mut headers = HeaderMap::new();
    headers.insert("Alpha", "1");
    headers.append("Beta", "two");
    headers.append("Beta", "three");
    client
        .publish_with_headers("r.headers", headers.clone(), "body".into())
        .await?;
    let message = next(&mut subscriber).await?;
    t.equal(
        "arrive_with_all_values",
        message.headers.as_ref(),
        Some(&headers),
    );
    t.equal("leave_the_payload_alone", text(&message), "body".into());
    client
        .publish_with_headers("r.headers", headers, "".into())
        .await?;
    t.equal(
        "with_empty_payload",
        next(&mut subscriber).await?.payload.len(),
        0,
    );
    client.publish("r.headers", "bare".into()).await?;
    t.is(
        "absent_stay_absent",
        next(&mut subscriber).await?.headers.is_none(),
        "headers",
    );
    client
        .publish_with_reply("r.nobody.at.all", "r.headers", "".into())
        .await?;
    let status = next(&mut subscriber).await?;
    t.equal(
        "status_of_no_responders",
        status.status,
        Some(StatusCode::NO_RESPONDERS),
    );
    Ok(())
}

async fn echo(t: &Test) -> Outcome {
    let (silent, other) = (
        t.dial("plain", options().no_echo()).await?,
        t.connect("plain").await?,
    );
    let (mut own, mut foreign) = (
        silent.subscribe("r.echo").await?,
        other.subscribe("r.echo").await?,
    );
    settle(&other).await?;
    silent.publish("r.echo", "mine".into()).await?;
    settle(&silent).await?;
    other.publish("r.echo", "end".into()).await?;
    t.equal("off_hides_own_messages", texts(&mut own).await?, vec![]);
    t.equal(
        "off_does_not_hide_them_from_others",
        texts(&mut foreign).await?,
        vec!["mine".into()],
    );
    Ok(())
}

async fn wildcards(t: &Test) -> Outcome {
    const SUBJECTS: [&str; 11] = [
        "hello",
        "hello.a",
        "hello.b",
        "hello.a.b",
        "x.tail",
        "x.y.tail",
        "first",
        "first.a",
        "first.a.third",
        "first.a.b.c",
        "firsts.a",
    ];
    let client = t.connect("plain").await?;
    for (what, filter, want) in [
        ("literal", "hello", &["hello"][..]),
        ("star_last", "hello.*", &["hello.a", "hello.b"]),
        ("star_first", "*.tail", &["x.tail"]),
        ("star_middle", "first.*.third", &["first.a.third"]),
        (
            "tail",
            "first.>",
            &["first.a", "first.a.third", "first.a.b.c"],
        ),
        (
            "star_and_tail",
            "first.*.>",
            &["first.a.third", "first.a.b.c"],
        ),
    ] {
        let mut subscriber = client.subscribe(filter).await?;
        for subject in SUBJECTS {
            client.publish(subject, subject.into()).await?;
        }
        client.publish(want[0], "end".into()).await?;
        let want: Vec<String> = want.iter().map(ToString::to_string).collect();
        t.equal(what, texts(&mut subscriber).await?, want);
    }
    let gamma = t.connect_as("accounts", "gamma", "gamma").await?;
    let mut all = gamma.subscribe(">").await?;
    for subject in ["one", "one.two.three"] {
        gamma.publish(subject, subject.into()).await?;
    }
    gamma.publish("z", "end".into()).await?;
    t.equal(
        "everything",
        texts(&mut all).await?,
        vec!["one".into(), "one.two.three".into()],
    );
    Ok(())
}

async fn unsubscribe(t: &Test) -> Outcome {
    let client = t.connect("plain").await?;
    let mut limited = client.subscribe("r.un.limited").await?;
    let mut gone = client.subscribe("r.un.gone").await?;
    let mut drained = client.subscribe("r.un.drained").await?;
    let mut marker = client.subscribe("r.un.>").await?;
    limited.unsubscribe_after(2).await?;
    gone.unsubscribe().await?;
    client.publish("r.un.drained", "kept".into()).await?;
    settle(&client).await?;
    drained.drain().await?;
    settle(&client).await?;
    let before = client.statistics().in_messages.load(Ordering::Relaxed);
    for subject in [
        "r.un.limited",
        "r.un.limited",
        "r.un.limited",
        "r.un.gone",
        "r.un.drained",
    ] {
        client.publish(subject, "x".into()).await?;
    }
    client.publish("r.un.end", "end".into()).await?;
    t.equal("others_go_on", texts(&mut marker).await?.len(), 6);
    let received = client.statistics().in_messages.load(Ordering::Relaxed) - before;
    t.equal("the_server_sends_no_more_than_asked_for", received, 2 + 6);
    t.equal(
        "the_count_is_delivered_and_ends",
        limited
            .by_ref()
            .collect::<Vec<_>>()
            .now_or_never()
            .map(|all| all.len()),
        Some(2),
    );
    t.equal(
        "unsubscribe_ends",
        gone.next().now_or_never().map(|message| message.is_none()),
        Some(true),
    );
    let drained: Vec<String> = drained.map(|message| text(&message)).collect().await;
    t.equal("drain_keeps_what_had_arrived", drained, vec!["kept".into()]);
    Ok(())
}

async fn distribution(t: &Test) -> Outcome {
    const COUNT: usize = 3000;
    let sender = t.connect("plain").await?;
    let mut members = Vec::new();
    for _ in 0..3 {
        let member = t.connect("plain").await?;
        let subscriber = member.queue_subscribe("r.queue", "workers".into()).await?;
        settle(&member).await?;
        members.push((member, subscriber));
    }
    let mut other = sender.queue_subscribe("r.queue", "others".into()).await?;
    for _ in 0..COUNT {
        sender.publish("r.queue", "x".into()).await?;
    }
    sender.publish("r.queue", "end".into()).await?;
    t.equal(
        "another_group_gets_everything",
        texts(&mut other).await?.len(),
        COUNT,
    );
    let received = |n: usize| {
        members[n]
            .0
            .statistics()
            .in_messages
            .load(Ordering::Relaxed) as usize
            - 1
    };
    t.eventually("each_message_once", || {
        received(0) + received(1) + received(2) == COUNT + 1
    })
    .await;
    let shares = [received(0), received(1), received(2)];
    // 1000 expected each; six standard deviations of a fair draw are 155.
    t.is(
        "evenly",
        shares.iter().all(|share| (845..1155).contains(share)),
        shares,
    );
    Ok(())
}

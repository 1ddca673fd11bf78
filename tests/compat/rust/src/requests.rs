//! Request and reply, no responders, timeouts.

use crate::check::*;
use async_nats::{HeaderMap, Request, RequestErrorKind};
use futures_util::future::join_all;
use std::time::{Duration, Instant};

crate::scenarios! {
    "request/reply" => reply,
    "request/failures" => failures,
}

async fn reply(t: &Test) -> Outcome {
    let (client, server) = (t.connect("plain").await?, t.connect("plain").await?);
    respond(&server, "r.upper", |m| vec![text(m).to_uppercase()]).await?;
    settle(&server).await?;
    t.equal(
        "answers",
        text(&client.request("r.upper", "abc".into()).await?),
        "ABC".into(),
    );
    t.equal(
        "on_the_same_connection",
        text(&server.request("r.upper", "own".into()).await?),
        "OWN".into(),
    );
    let request = Request::new()
        .payload("inbox".into())
        .inbox(client.new_inbox());
    t.equal(
        "with_an_inbox_of_its_own",
        text(&client.send_request("r.upper", request).await?),
        "INBOX".into(),
    );
    let prefixed = t
        .dial("plain", options().custom_inbox_prefix("_MINE"))
        .await?;
    let mut seen = server.subscribe("r.upper").await?;
    settle(&server).await?;
    t.equal(
        "with_a_custom_inbox_prefix",
        text(&prefixed.request("r.upper", "p".into()).await?),
        "P".into(),
    );
    let reply = next(&mut seen).await?.reply;
    t.is(
        "the_reply_subject_has_the_prefix",
        reply.as_ref().is_some_and(|r| r.starts_with("_MINE.")),
        reply,
    );

    let mut headers = HeaderMap::new();
    headers.insert("Ask", "why");
    client
        .request_with_headers("r.upper", headers, "".into())
        .await?;
    let asked = next(&mut seen)
        .await?
        .headers
        .and_then(|h| h.get("Ask").map(|v| v.to_string()));
    t.equal("headers_travel", asked, Some("why".into()));

    let all = (0..200).map(|n| client.request("r.upper", format!("n{n}").into()));
    let wrong = join_all(all)
        .await
        .iter()
        .enumerate()
        .filter(|(n, got)| !got.as_ref().is_ok_and(|m| text(m) == format!("N{n}")))
        .count();
    t.equal("two_hundred_at_once_find_their_askers", wrong, 0);
    Ok(())
}

async fn failures(t: &Test) -> Outcome {
    let (client, server) = (t.connect("plain").await?, t.connect("plain").await?);
    let began = Instant::now();
    let nobody = client.request("r.nobody", "".into()).await;
    t.equal(
        "no_responders_is_the_librarys_error",
        nobody.err().map(|e| e.kind()),
        Some(RequestErrorKind::NoResponders),
    );
    t.is(
        "and_comes_at_once",
        began.elapsed() < PATIENCE / 2,
        began.elapsed(),
    );
    let silent = server.subscribe("r.silent").await?;
    settle(&server).await?;
    let request = Request::new().timeout(Some(Duration::from_millis(50)));
    let timed_out = client.send_request("r.silent", request).await;
    t.equal(
        "silence_is_a_timeout",
        timed_out.err().map(|e| e.kind()),
        Some(RequestErrorKind::TimedOut),
    );
    drop(silent);
    settle(&server).await?;
    settle(&client).await?;
    let gone = client.request("r.silent", "".into()).await;
    t.equal(
        "a_responder_that_left_is_none",
        gone.err().map(|e| e.kind()),
        Some(RequestErrorKind::NoResponders),
    );
    Ok(())
}

//! Services as the library's service feature makes them.

use crate::check::*;
use async_nats::service::{Info, PingResponse, ServiceExt, Stats, error};
use async_nats::{Client, Request, RequestErrorKind};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

crate::scenarios! {
    "service/endpoints" => endpoints,
    "service/instances" => instances,
}

async fn endpoints(t: &Test) -> Outcome {
    let (client, asker) = (t.connect("plain").await?, t.connect("plain").await?);
    let metadata = HashMap::from([("colour".to_string(), "green".to_string())]);
    let service = client
        .service_builder()
        .description("a test service")
        .metadata(metadata.clone())
        .start("rustsvc", "1.2.3")
        .await?;
    let mut math = service
        .group("rustsvc.v1")
        .group("math")
        .endpoint("half")
        .await?;
    settle(&client).await?;
    tokio::spawn(async move {
        while let Some(request) = math.next().await {
            let number = String::from_utf8_lossy(&request.message.payload).parse::<u32>();
            let answer = match number {
                Ok(number) => Ok((number / 2).to_string().into()),
                Err(_) => Err(error::Error {
                    status: "not a number".into(),
                    code: 400,
                }),
            };
            if request.respond(answer).await.is_err() {
                return;
            }
        }
    });
    t.equal(
        "grouped_endpoint_answers",
        text(&asker.request("rustsvc.v1.math.half", "42".into()).await?),
        "21".into(),
    );
    let failed = asker
        .request("rustsvc.v1.math.half", "x".into())
        .await?
        .headers
        .unwrap_or_default();
    t.equal(
        "an_error_has_its_code",
        failed.get("Nats-Service-Error-Code").map(|v| v.as_str()),
        Some("400"),
    );
    t.equal(
        "an_error_has_its_text",
        failed.get("Nats-Service-Error").map(|v| v.as_str()),
        Some("not a number"),
    );

    let ping: PingResponse =
        serde_json::from_slice(&asker.request("$SRV.PING.rustsvc", "".into()).await?.payload)?;
    t.equal(
        "ping",
        (ping.kind.as_str(), ping.version.as_str()),
        ("io.nats.micro.v1.ping_response", "1.2.3"),
    );
    let by_id = format!("$SRV.INFO.rustsvc.{}", ping.id);
    let info: Info = serde_json::from_slice(&asker.request(by_id, "".into()).await?.payload)?;
    t.equal(
        "info",
        (info.description.as_str(), info.metadata),
        ("a test service", metadata),
    );
    t.equal(
        "info_endpoint",
        info.endpoints.first().map(|e| e.subject.as_str()),
        Some("rustsvc.v1.math.half"),
    );
    let stats: Stats = serde_json::from_slice(
        &asker
            .request("$SRV.STATS.rustsvc", "".into())
            .await?
            .payload,
    )?;
    t.equal(
        "stats",
        stats.endpoints.first().map(|e| (e.requests, e.errors)),
        Some((2, 1)),
    );

    service.stop().await?;
    // The library says "stopped" before its unsubscribe has left.
    let mut gone = false;
    for _ in 0..50 {
        let request = Request::new().timeout(Some(PATIENCE / 50));
        let answer = asker.send_request("$SRV.PING.rustsvc", request).await;
        gone |= answer.is_err_and(|e| e.kind() == RequestErrorKind::NoResponders);
    }
    t.is("stop_ends_discovery", gone, "somebody");
    Ok(())
}

async fn instance(client: &Client, handled: Arc<AtomicUsize>) -> Outcome {
    let service = client.service_builder().start("rustmany", "0.0.1").await?;
    let mut endpoint = service.endpoint("rustmany.work").await?;
    settle(client).await?;
    tokio::spawn(async move {
        let _kept = service;
        while let Some(request) = endpoint.next().await {
            handled.fetch_add(1, Ordering::Relaxed);
            if request.respond(Ok("".into())).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

async fn instances(t: &Test) -> Outcome {
    let asker = t.connect("plain").await?;
    let handled = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    for counter in &handled {
        instance(&t.connect("plain").await?, counter.clone()).await?;
    }
    for _ in 0..200 {
        asker.request("rustmany.work", "".into()).await?;
    }
    let shares = [
        handled[0].load(Ordering::Relaxed),
        handled[1].load(Ordering::Relaxed),
    ];
    t.is(
        "share_the_requests",
        shares[0] + shares[1] == 200 && shares[0] > 50 && shares[1] > 50,
        shares,
    );
    let inbox = asker.new_inbox();
    let mut answers = asker.subscribe(inbox.clone()).await?;
    asker
        .publish_with_reply("$SRV.PING.rustmany", inbox, "".into())
        .await?;
    let ids = [next(&mut answers).await?, next(&mut answers).await?]
        .map(|m| serde_json::from_slice::<PingResponse>(&m.payload).map(|p| p.id));
    t.is(
        "all_are_discovered",
        matches!(&ids, [Ok(a), Ok(b)] if a != b),
        &ids,
    );
    Ok(())
}

//! Encrypted connections: who is trusted, who is mapped to whom, who speaks first.

use crate::check::*;
use async_nats::{ConnectErrorKind, ConnectOptions};
use std::time::Duration;

crate::scenarios! {
    "tls/trust" => trust,
    "tls/client_certificate" => client_certificate,
    "tls/modes" => modes,
}

fn trusted(t: &Test) -> ConnectOptions {
    options().add_root_certificates(t.tls("ca"))
}

fn certified(t: &Test, whose: &str) -> ConnectOptions {
    trusted(t).add_client_certificate(
        t.tls(&format!("{whose}_cert")),
        t.tls(&format!("{whose}_key")),
    )
}

async fn admitted(t: &Test, what: &str, server: &str, options: ConnectOptions) {
    let outcome = match t.dial(server, options).await {
        Ok(client) => settle(&client).await,
        Err(error) => Err(error.into()),
    };
    t.is(what, outcome.is_ok(), outcome);
}

async fn trust(t: &Test) -> Outcome {
    let client = t.dial("tls", trusted(t)).await?;
    t.is(
        "is_announced_as_required",
        client.server_info().tls_required,
        client.server_info(),
    );
    let mut subscriber = client.subscribe("r.tls").await?;
    client.publish("r.tls", vec![7; 1 << 20].into()).await?;
    t.equal(
        "big_messages_travel",
        next(&mut subscriber).await?.payload.len(),
        1 << 20,
    );
    let by_scheme = trusted(t)
        .connect(format!("tls://localhost:{}", t.contract.server("tls").port))
        .await;
    t.is(
        "by_scheme_and_host_name",
        by_scheme.is_ok(),
        by_scheme.err(),
    );
    for (what, untrusting) in [
        ("an_unknown_authority_is_refused", options()),
        (
            "another_authority_is_refused",
            options().add_root_certificates(t.tls("other_ca")),
        ),
    ] {
        let error = t.dial("tls", untrusting).await.err();
        let told = error.as_ref().is_some_and(|e| {
            e.to_string().contains("certificate") || e.kind() == ConnectErrorKind::Tls
        });
        t.is(what, told, error);
    }
    let plain = t.dial("plain", trusted(t).require_tls(true)).await;
    t.is(
        "a_server_without_it_is_refused",
        plain.is_err(),
        "a connection",
    );
    Ok(())
}

async fn client_certificate(t: &Test) -> Outcome {
    admitted(
        t,
        "known_to_the_authority",
        "tls_verify",
        certified(t, "client"),
    )
    .await;
    let none = t.dial("tls_verify", trusted(t)).await;
    t.is("none_is_refused", none.is_err(), "a connection");
    let foreign = t.dial("tls_verify", certified(t, "foreign")).await;
    t.is(
        "another_authoritys_is_refused",
        foreign.is_err(),
        "a connection",
    );
    let mapped = t.dial("tls_map", certified(t, "client")).await?;
    let info = text(&mapped.request("$SYS.REQ.USER.INFO", "".into()).await?);
    t.is(
        "is_mapped_to_a_user",
        info.contains("compat@example.com"),
        info,
    );
    let stranger = t
        .dial("tls_map", certified(t, "stranger"))
        .await
        .err()
        .map(|e| e.kind());
    t.equal(
        "unmapped_is_the_librarys_error",
        stranger,
        Some(ConnectErrorKind::AuthorizationViolation),
    );
    Ok(())
}

async fn modes(t: &Test) -> Outcome {
    admitted(t, "handshake_first", "tls_first", trusted(t).tls_first()).await;
    let waiting = t
        .dial(
            "tls_first",
            trusted(t).connection_timeout(Duration::from_millis(300)),
        )
        .await;
    t.is(
        "handshake_first_has_no_info_before",
        waiting.is_err(),
        "a connection",
    );
    let too_early = t
        .dial("tls", trusted(t).tls_first().connection_timeout(PATIENCE))
        .await;
    t.is(
        "not_with_a_server_that_speaks_first",
        too_early.is_err(),
        "a connection",
    );
    admitted(t, "optional_without", "tls_optional", options()).await;
    admitted(
        t,
        "optional_with",
        "tls_optional",
        trusted(t).require_tls(true),
    )
    .await;
    Ok(())
}

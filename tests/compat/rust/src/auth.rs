//! Tokens, users, keys and credentials, right and wrong.

use crate::check::*;
use async_nats::{ConnectErrorKind, ConnectOptions};

crate::scenarios! {
    "auth/tokens" => tokens,
    "auth/users" => users,
    "auth/keys" => keys,
    "auth/credentials" => credentials,
    "auth/no_auth_user" => no_auth_user,
    "auth/reload" => reload,
}

async fn admitted(t: &Test, what: &str, server: &str, options: ConnectOptions) {
    let outcome = match t.dial(server, options).await {
        Ok(client) => settle(&client).await,
        Err(error) => Err(error.into()),
    };
    t.is(what, outcome.is_ok(), outcome);
}

/// Asserts the library's own error value.
async fn refused(t: &Test, what: &str, server: &str, options: ConnectOptions) {
    let kind = t
        .dial(server, options)
        .await
        .err()
        .map(|error| error.kind());
    t.equal(what, kind, Some(ConnectErrorKind::AuthorizationViolation));
}

async fn tokens(t: &Test) -> Outcome {
    for server in ["token", "token_bcrypt"] {
        admitted(
            t,
            &format!("{server}_right"),
            server,
            options().token(t.auth("token")),
        )
        .await;
        refused(
            t,
            &format!("{server}_wrong"),
            server,
            options().token("not-it".into()),
        )
        .await;
        refused(t, &format!("{server}_missing"), server, options()).await;
    }
    Ok(())
}

async fn users(t: &Test) -> Outcome {
    let user =
        |name: &str, password: &str| options().user_and_password(name.into(), password.into());
    admitted(t, "plain_right", "users", user("alice", "wonderland")).await;
    admitted(t, "bcrypt_right", "users", user("bob", "builder")).await;
    refused(t, "plain_wrong", "users", user("alice", "builder")).await;
    refused(t, "bcrypt_wrong", "users", user("bob", "wonderland")).await;
    refused(t, "unknown", "users", user("carol", "wonderland")).await;
    refused(t, "missing", "users", options()).await;
    Ok(())
}

async fn keys(t: &Test) -> Outcome {
    admitted(t, "nkey", "nkey", options().nkey(t.auth("nkey_seed"))).await;
    refused(
        t,
        "unknown_nkey",
        "nkey",
        options().nkey(t.auth("nkey_seed_unknown")),
    )
    .await;
    refused(t, "no_nkey", "nkey", options()).await;
    Ok(())
}

async fn credentials(t: &Test) -> Outcome {
    let file = async |leaf| options().credentials_file(t.auth(leaf)).await;
    admitted(t, "right", "jwt", file("creds").await?).await;
    refused(
        t,
        "of_an_unknown_account",
        "jwt",
        file("creds_unknown").await?,
    )
    .await;
    refused(t, "expired", "jwt", file("creds_expired").await?).await;
    Ok(())
}

async fn no_auth_user(t: &Test) -> Outcome {
    let client = t.connect("accounts").await?;
    let info = text(&client.request("$SYS.REQ.USER.INFO", "".into()).await?);
    t.is(
        "nothing_lands_in_its_account",
        info.contains(r#""account":"GUEST""#),
        info,
    );
    refused(
        t,
        "a_wrong_password_is_still_wrong",
        "accounts",
        options().user_and_password("alpha".into(), "nope".into()),
    )
    .await;
    Ok(())
}

async fn reload(t: &Test) -> Outcome {
    let second = || options().user_and_password("second".into(), "second".into());
    refused(t, "unknown_before", "reload", second()).await;
    t.control("/config/reload/more").await?;
    let events = Events::default();
    let client = t.dial("reload", events.watch(second())).await;
    t.is("known_after", client.is_ok(), client.as_ref().err());
    t.control("/config/reload/base").await?;
    t.eventually("a_removed_user_is_disconnected", || {
        events.saw(|e| matches!(e, async_nats::Event::Disconnected))
    })
    .await;
    refused(t, "and_unknown_again", "reload", second()).await;
    Ok(())
}

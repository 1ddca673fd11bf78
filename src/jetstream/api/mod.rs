//! The JetStream API: requests in, JSON out.
//!
//! Separate from what streams do because it is a contract of subjects, fields and codes
//! (jetstream spec §1). One function per request; a table of subjects leads to it.
//!
//! ```text
//!   Request ─► route ─► level ─► handler ─► validate ─► meta, StreamHandle ─► Answer
//! ```
//!
//! Invariants: every request under `$JS.API.` that the table knows gets one answer; any
//! other gets none, for somebody else may answer it; success and error carry the same
//! `type`; what is validated here is committed after. Absent: pull requests and direct reads, which go past it.

pub mod account;
pub mod answer;
pub mod consumer;
pub mod message;
pub mod purge;
pub mod stream;

use std::sync::Arc;

use serde_json::{Map, Value};

use self::answer::Answer;
use super::JetStream;
use super::account::AccountStreams;
use super::subscriptions::Request;
use crate::api_error::{ApiError, table};
use crate::protocol::headers;

/// Demands a level of the API.
const REQUIRED_LEVEL: &[u8] = b"Nats-Required-Api-Level";

/// What a handler works with.
pub struct Context<'a> {
    /// All streams.
    pub jetstream: &'a Arc<JetStream>,
    /// The account that asks.
    pub site: &'a Arc<AccountStreams>,
    /// What it asks.
    pub request: &'a Request,
}

/// An answer as text, and whether it is an error.
pub struct Text {
    /// The JSON.
    pub json: String,
    /// It says why not.
    pub is_error: bool,
    /// The request is told to whoever audits.
    pub is_audited: bool,
}

impl Context<'_> {
    /// The body of the request.
    pub fn body(&self) -> &[u8] {
        &self.request.body
    }

    /// The body of a request that may have none: what does not begin like JSON is none.
    pub fn optional_body(&self) -> &[u8] {
        match self.request.body.trim_ascii_start() {
            body @ [b'{' | b'[', ..] => body,
            _ => b"",
        }
    }

    /// Unknown fields are errors.
    pub fn strict(&self) -> bool {
        self.jetstream.options.strict
    }

    /// The body must be empty.
    ///
    /// # Errors
    /// 10038.
    pub fn expect_no_body(&self) -> Result<(), ApiError> {
        match is_blank(self.body()) {
            true => Ok(()),
            false => Err(ApiError::of(&table::NOT_EMPTY_REQUEST)),
        }
    }
}

/// Answers one request; none if nobody here knows what it is.
pub async fn answer(context: &Context<'_>) -> Option<Text> {
    let rest = context.request.subject.strip_prefix("$JS.API.");
    let tokens: Vec<&str> = rest.unwrap_or_default().split('.').collect();
    let kind = kind_of(&tokens)?;
    let answer = match demand(context) {
        Ok(()) => route(context, &tokens).await,
        Err(error) => Err(error),
    };
    Some(Text {
        json: answer::text(kind, &answer),
        is_error: answer.is_err(),
        is_audited: kind != "consumer_reset_response",
    })
}

/// The answer to a request (what follows `$JS.API.`) that is not looked at; none if nobody
/// here knows what it is.
pub fn refusal(request: &str, error: ApiError) -> Option<String> {
    let tokens: Vec<&str> = request.split('.').collect();
    Some(answer::text(kind_of(&tokens)?, &Err(error)))
}

/// A level that is not there is refused.
fn demand(context: &Context<'_>) -> Result<(), ApiError> {
    let Some(level) = headers::find(&context.request.headers, REQUIRED_LEVEL) else {
        return Ok(());
    };
    let level = std::str::from_utf8(level)
        .ok()
        .and_then(|level| level.parse::<u32>().ok());
    match level {
        Some(level) if level <= crate::consumer::metadata::API_LEVEL => Ok(()),
        _ => Err(ApiError::of(&table::REQUIRED_API_LEVEL)),
    }
}

/// The answer to a request of a type that there is.
async fn route(context: &Context<'_>, tokens: &[&str]) -> Answer {
    match tokens {
        ["INFO"] => account::info(context),
        ["STREAM", "NAMES"] => stream::names(context),
        ["STREAM", "LIST"] => stream::list(context).await,
        ["STREAM", "CREATE", name] => stream::create(context, name).await,
        ["STREAM", "UPDATE", name] => stream::update(context, name).await,
        ["STREAM", "INFO", name] => stream::info(context, name).await,
        ["STREAM", "DELETE", name] => stream::delete(context, name).await,
        ["STREAM", "PURGE", name] => purge::purge(context, name).await,
        ["STREAM", "MSG", "GET", name] => message::get(context, name).await,
        ["STREAM", "MSG", "DELETE", name] => message::delete(context, name).await,
        ["STREAM", "LEADER", "STEPDOWN", _]
        | ["STREAM", "PEER", "REMOVE" | "EVACUATE", _]
        | ["STREAM", "CANCEL_MOVE", _]
        | ["CONSUMER", "LEADER", "STEPDOWN", _, _] => Err(ApiError::of(&table::CLUSTER_REQUIRED)),
        ["CONSUMER", "CREATE", stream] => consumer::create(context, stream, None, None).await,
        ["CONSUMER", "CREATE", stream, name] => {
            consumer::create(context, stream, Some(name), None).await
        }
        ["CONSUMER", "CREATE", stream, name, filter @ ..] => {
            let filter = filter.join(".");
            consumer::create(context, stream, Some(name), Some(&filter)).await
        }
        ["CONSUMER", "DURABLE", "CREATE", stream, name] => {
            consumer::create_durable(context, stream, name).await
        }
        ["CONSUMER", "NAMES", stream] => consumer::names(context, stream),
        ["CONSUMER", "LIST", stream] => consumer::list(context, stream).await,
        ["CONSUMER", "INFO", stream, name] => consumer::info(context, stream, name).await,
        ["CONSUMER", "DELETE", stream, name] => consumer::delete(context, stream, name).await,
        ["CONSUMER", "PAUSE", stream, name] => consumer::pause(context, stream, name).await,
        ["CONSUMER", "RESET", stream, name] => consumer::reset(context, stream, name).await,
        ["CONSUMER", "UNPIN", stream, name] => consumer::unpin(context, stream, name).await,
        ["STREAM", "SNAPSHOT" | "RESTORE", _] => Err(not_built("stream snapshots")),
        _ => Err(ApiError::of(&table::BAD_REQUEST)),
    }
}

/// The type of the answer to a request; none if it is not one.
fn kind_of(tokens: &[&str]) -> Option<&'static str> {
    Some(match tokens {
        ["INFO"] => "account_info_response",
        ["STREAM", "NAMES"] => "stream_names_response",
        ["STREAM", "LIST"] => "stream_list_response",
        ["STREAM", "CREATE", _] => "stream_create_response",
        ["STREAM", "UPDATE", _] => "stream_update_response",
        ["STREAM", "CANCEL_MOVE", _] => "stream_cancel_move_response",
        ["STREAM", "INFO", _] => "stream_info_response",
        ["STREAM", "DELETE", _] => "stream_delete_response",
        ["STREAM", "PURGE", _] => "stream_purge_response",
        ["STREAM", "MSG", "GET", _] => "stream_msg_get_response",
        ["STREAM", "MSG", "DELETE", _] => "stream_msg_delete_response",
        ["STREAM", "SNAPSHOT", _] => "stream_snapshot_response",
        ["STREAM", "RESTORE", _] => "stream_restore_response",
        ["STREAM", "LEADER", "STEPDOWN", _] => "stream_leader_stepdown_response",
        ["STREAM", "PEER", "EVACUATE", _] => "stream_evacuate_peer_response",
        ["STREAM", "PEER", "REMOVE", _] => "stream_remove_peer_response",
        ["CONSUMER", "CREATE", _, ..] | ["CONSUMER", "DURABLE", "CREATE", _, _] => {
            "consumer_create_response"
        }
        ["CONSUMER", "NAMES", _] => "consumer_names_response",
        ["CONSUMER", "LIST", _] => "consumer_list_response",
        ["CONSUMER", "INFO", _, _] => "consumer_info_response",
        ["CONSUMER", "DELETE", _, _] => "consumer_delete_response",
        ["CONSUMER", "PAUSE", _, _] => "consumer_pause_response",
        ["CONSUMER", "RESET", _, _] => "consumer_reset_response",
        ["CONSUMER", "UNPIN", _, _] => "consumer_unpin_response",
        ["CONSUMER", "LEADER", "STEPDOWN", _, _] => "consumer_leader_stepdown_response",
        _ => return None,
    })
}

/// The error of a request for what is not in this release.
pub fn not_built(what: &str) -> ApiError {
    let text = format!("{what} are not part of this release");
    ApiError {
        description: text,
        ..ApiError::of(&table::BAD_REQUEST)
    }
}

/// No body, or a JSON object without fields.
pub fn is_blank(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.is_empty()
        || serde_json::from_slice::<Map<String, Value>>(body).is_ok_and(|map| map.is_empty())
}

//! `STREAM.PURGE`.

use bytes::Bytes;
use serde::Serialize;

use super::Context;
use super::answer::{Answer, Fields};
use super::stream::find;
use crate::api_error::{ApiError, table};
use crate::store::message::Seq;
use crate::stream::command::Command;
use crate::stream::outcome::Answer as Outcome;
use crate::stream::requests::PurgeRequest;

/// The answer's own fields.
#[derive(Serialize)]
struct Purged {
    success: bool,
    purged: u64,
}

/// Removes messages; how many have gone.
pub async fn purge(context: &Context<'_>, name: &str) -> Answer {
    let handle = find(context, name)?;
    let request = PurgeRequest::from_request(context.optional_body(), context.strict())?;
    if request.seq > 0 && request.keep > 0 {
        return Err(ApiError::of(&table::BAD_REQUEST));
    }
    let config = handle.config();
    if config.sealed {
        return Err(ApiError::of(&table::STREAM_SEALED));
    }
    if config.deny_purge {
        let error = ApiError::of(&table::STREAM_PURGE_FAILED);
        return Err(error.with("{err}", "stream purge not permitted"));
    }
    let command = Command::Purge {
        filter: Bytes::from(request.filter),
        below: (request.seq > 0).then_some(Seq(request.seq)),
        keep: request.keep,
    };
    let purged = match handle.propose(command).await? {
        Outcome::Purged(purged) => purged,
        _ => 0,
    };
    Ok(Fields::of(&Purged {
        success: true,
        purged,
    }))
}

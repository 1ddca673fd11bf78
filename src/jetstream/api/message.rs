//! `STREAM.MSG.GET` and `STREAM.MSG.DELETE`.

use data_encoding::BASE64;
use serde::Serialize;

use super::Context;
use super::answer::{Answer, Fields, success};
use super::stream::find;
use crate::api_error::json::time::Time;
use crate::api_error::{ApiError, table};
use crate::store::MsgStore;
use crate::store::error::Error;
use crate::store::message::{Message, Seq};
use crate::stream::command::Command;
use crate::stream::outcome::Answer as Outcome;
use crate::stream::requests::{DeleteMessageRequest, GetMessageRequest, StoredMessage};
use crate::subject::filters::Filters;

/// The answer's own field.
#[derive(Serialize)]
struct Found {
    message: StoredMessage,
}

/// Reads one message.
pub async fn get(context: &Context<'_>, name: &str) -> Answer {
    let handle = find(context, name)?;
    let bad = || ApiError::of(&table::BAD_REQUEST);
    if super::is_blank(context.body()) {
        return Err(bad());
    }
    let request = GetMessageRequest::from_request(context.body(), context.strict())?;
    let last = !request.last_by_subj.is_empty();
    let next = !request.next_by_subj.is_empty();
    let starts = request.start_time.is_some();
    let contradicts = (last && (request.seq > 0 || next || starts))
        || (request.seq > 0 && starts)
        || !(last || next || starts || request.seq > 0);
    // The other fields that only direct reads have are no matter.
    let is_batch = request.batch > 0 || request.max_bytes > 0;
    if contradicts || is_batch {
        return Err(bad());
    }
    let no_hdr = request.no_hdr;
    let found = handle
        .read(move |replica| {
            replica
                .group
                .with(|machine| look_up(machine.store(), &request))
        })
        .await?;
    let message = match found {
        Ok(Some(message)) => message,
        Ok(None) => return Err(ApiError::of(&table::NO_MESSAGE_FOUND)),
        Err(error) => return Err(failed(&error)),
    };
    let message = show(&message, no_hdr);
    Ok(Fields::of(&Found { message }))
}

fn look_up(
    store: &mut dyn MsgStore,
    request: &GetMessageRequest,
) -> Result<Option<Message>, Error> {
    let seq = if !request.last_by_subj.is_empty() {
        store.last(Seq::MAX, &Filters::new([&request.last_by_subj]))?
    } else {
        let from = match request.start_time.and_then(|time| time.0) {
            Some(time) => store.first_since(time)?,
            None => Some(Seq(request.seq)),
        };
        match from {
            Some(from) if !request.next_by_subj.is_empty() => {
                store.next(from, &Filters::new([&request.next_by_subj]))?
            }
            Some(from) if request.start_time.is_some() => store.next(from, &Filters::all())?,
            from => from,
        }
    };
    match seq {
        Some(seq) => store.get(seq),
        None => Ok(None),
    }
}

/// A message as JSON.
fn show(message: &Message, no_hdr: bool) -> StoredMessage {
    let headers = match no_hdr {
        true => &b""[..],
        false => &message.headers,
    };
    StoredMessage {
        subject: String::from_utf8_lossy(&message.subject).into_owned(),
        seq: message.seq.0,
        hdrs: BASE64.encode(headers),
        data: BASE64.encode(&message.payload),
        time: Time(Some(message.time)),
    }
}

/// Removes one message.
pub async fn delete(context: &Context<'_>, name: &str) -> Answer {
    let handle = find(context, name)?;
    if super::is_blank(context.body()) {
        return Err(ApiError::of(&table::BAD_REQUEST));
    }
    let request = DeleteMessageRequest::from_request(context.body(), context.strict())?;
    let config = handle.config();
    if config.sealed {
        return Err(ApiError::of(&table::STREAM_SEALED));
    }
    if config.deny_delete {
        let error = ApiError::of(&table::STREAM_MSG_DELETE_FAILED);
        return Err(error.with("{err}", "message delete not permitted"));
    }
    let seq = Seq(request.seq);
    let command = Command::Delete {
        seq,
        erase: !request.no_erase,
    };
    match handle.propose(command).await? {
        Outcome::Deleted(true) => Ok(success()),
        _ => Err(ApiError::of(&table::SEQUENCE_NOT_FOUND).with("{seq}", seq)),
    }
}

fn failed(error: &Error) -> ApiError {
    ApiError::of(&table::STREAM_GENERAL).with("{err}", error)
}

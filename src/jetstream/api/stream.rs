//! Streams made, changed, shown, listed and ended.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::paging::{Paging, page};
use super::view::{self, Details, SUBJECTS_PAGE};
use super::{Answer, Context, success};
use crate::api_error::{ApiError, json, table};
use crate::jetstream::handle::StreamHandle;
use crate::stream::config::Config;
use crate::subject::wildcard;

/// Names on one page.
const NAMES_PAGE: usize = 1024;
/// Streams on one page.
const LIST_PAGE: usize = 256;

/// The stream, or the error that there is none.
///
/// # Errors
/// 10059.
pub fn find(context: &Context<'_>, name: &str) -> Result<Arc<StreamHandle>, ApiError> {
    let found = context.site.stream(name);
    found.ok_or_else(|| ApiError::of(&table::STREAM_NOT_FOUND))
}

fn read_config(context: &Context<'_>, name: &str) -> Result<(Config, bool), ApiError> {
    let (config, pedantic) = Config::from_request(context.body(), context.strict())?;
    if config.name != name {
        return Err(ApiError::of(&table::STREAM_MISMATCH));
    }
    Ok((config, pedantic))
}

/// `STREAM.CREATE`
pub async fn create(context: &Context<'_>, name: &str) -> Answer {
    let (config, pedantic) = read_config(context, name)?;
    let handle = context
        .jetstream
        .create_stream(context.site, config, pedantic)
        .await?;
    let mut shown = show(context, &handle, Details::default()).await?.0;
    shown.insert("did_create".to_owned(), true.into());
    Ok(shown)
}

/// `STREAM.UPDATE`
pub async fn update(context: &Context<'_>, name: &str) -> Answer {
    let (config, pedantic) = read_config(context, name)?;
    let handle = find(context, name)?;
    context
        .jetstream
        .update_stream(context.site, &handle, config, pedantic)
        .await?;
    Ok(show(context, &handle, Details::default()).await?.0)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InfoRequest {
    offset: i64,
    deleted_details: bool,
    subjects_filter: String,
}

/// `STREAM.INFO`
pub async fn info(context: &Context<'_>, name: &str) -> Answer {
    let handle = find(context, name)?;
    let body = context.body().trim_ascii();
    let request: InfoRequest = match body.first() {
        Some(b'{' | b'[') => json::parse(body, "JSApiStreamInfoRequest", context.strict())?,
        _ => InfoRequest::default(),
    };
    let offset = usize::try_from(request.offset).unwrap_or(0);
    let filter = Some(request.subjects_filter).filter(|filter| !filter.is_empty());
    let details = Details {
        deleted: request.deleted_details,
        subjects: filter.map(|filter| (filter, offset)),
        leader: Some(context.jetstream.options.server_name.clone()),
    };
    let (shown, total) = show(context, &handle, details).await?;
    let mut answer = match total {
        0 => page(0, 0, 0),
        total => page(total, offset, SUBJECTS_PAGE),
    };
    answer.extend(shown);
    Ok(answer)
}

async fn show(
    context: &Context<'_>,
    handle: &Arc<StreamHandle>,
    details: Details,
) -> Result<(Map<String, Value>, usize), ApiError> {
    let version = context.jetstream.options.version;
    handle
        .read(move |replica| view::stream(replica, version, &details))
        .await
}

/// `STREAM.DELETE`
pub async fn delete(context: &Context<'_>, name: &str) -> Answer {
    context.expect_no_body()?;
    let handle = find(context, name)?;
    context
        .jetstream
        .delete_stream(context.site, &handle)
        .await?;
    Ok(success())
}

fn matching(context: &Context<'_>, filter: &str) -> Vec<Arc<StreamHandle>> {
    let mut streams = context.site.streams();
    if !filter.is_empty() {
        streams.retain(|handle| {
            let config = handle.config();
            let overlaps =
                |subject: &String| wildcard::overlaps(subject.as_bytes(), filter.as_bytes());
            config.subjects.iter().any(overlaps)
        });
    }
    streams
}

/// `STREAM.NAMES`
pub fn names(context: &Context<'_>) -> Answer {
    let paging = Paging::read(context, "JSApiStreamNamesRequest")?;
    let streams = matching(context, &paging.subject);
    let offset = paging.offset(streams.len());
    let names = streams.iter().skip(offset).take(NAMES_PAGE);
    let names: Vec<Value> = names.map(|handle| (*handle.name).into()).collect();
    let mut answer = page(streams.len(), offset, NAMES_PAGE);
    let names = match streams.is_empty() {
        true => Value::Null,
        false => names.into(),
    };
    answer.insert("streams".to_owned(), names);
    Ok(answer)
}

/// `STREAM.LIST`
pub async fn list(context: &Context<'_>) -> Answer {
    let paging = Paging::read(context, "JSApiStreamListRequest")?;
    let streams = matching(context, &paging.subject);
    let offset = paging.offset(streams.len());
    let mut shown = Vec::new();
    for handle in streams.iter().skip(offset).take(LIST_PAGE) {
        // One that ends meanwhile is not there.
        if let Ok((stream, _)) = show(context, handle, Details::default()).await {
            shown.push(Value::Object(stream));
        }
    }
    let mut answer = page(streams.len(), offset, LIST_PAGE);
    answer.insert("streams".to_owned(), shown.into());
    Ok(answer)
}

//! Streams made, changed, shown, listed and ended.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::view::{self, Details};
use super::{Answer, Context, fields, success};
use crate::api_error::{ApiError, table};
use crate::jetstream::handle::StreamHandle;
use crate::stream::config::Config;
use crate::stream::requests::{
    INFOS_PER_PAGE, InfoRequest, ListRequest, NAMES_PER_PAGE, NamesRequest, Page, SUBJECTS_PER_PAGE,
};
use crate::subject::wildcard;

/// The stream, or the error that there is none.
///
/// # Errors
/// 10059; 10194 if there is one that does not run.
pub fn find(context: &Context<'_>, name: &str) -> Result<Arc<StreamHandle>, ApiError> {
    let found = context.site.stream(name);
    found.ok_or_else(|| {
        let account = &context.site.account.name;
        let down = context.jetstream.why_down(account, name);
        down.unwrap_or_else(|| ApiError::of(&table::STREAM_NOT_FOUND))
    })
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

/// `STREAM.INFO`
pub async fn info(context: &Context<'_>, name: &str) -> Answer {
    let handle = find(context, name)?;
    let request = InfoRequest::from_request(context.optional_body(), context.strict())?;
    let offset = usize::try_from(request.offset).unwrap_or(0);
    let filter = Some(request.subjects_filter).filter(|filter| !filter.is_empty());
    let details = Details {
        deleted: request.deleted_details,
        subjects: filter.map(|filter| (filter, offset)),
        leader: Some(context.jetstream.options.server_name.clone()),
    };
    let (shown, total) = show(context, &handle, details).await?;
    let mut answer = fields(&match total {
        0 => Page::default(),
        total => Page::new(total, request.offset, SUBJECTS_PER_PAGE),
    });
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
    let account = &context.site.account.name;
    if context.jetstream.why_down(account, name).is_some() {
        let jetstream = context.jetstream;
        jetstream.delete_failed_stream(context.site, name).await?;
        return Ok(success());
    }
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
    let request = NamesRequest::from_request(context.optional_body(), context.strict())?;
    let streams = matching(context, &request.subject);
    let page = Page::new(streams.len(), request.offset, NAMES_PER_PAGE);
    let names = streams[page.range()].iter();
    let names: Vec<Value> = names.map(|handle| (*handle.name).into()).collect();
    let mut answer = fields(&page);
    let names = match streams.is_empty() {
        true => Value::Null,
        false => names.into(),
    };
    answer.insert("streams".to_owned(), names);
    Ok(answer)
}

/// `STREAM.LIST`
pub async fn list(context: &Context<'_>) -> Answer {
    let request = ListRequest::from_request(context.optional_body(), context.strict())?;
    let streams = matching(context, &request.subject);
    let page = Page::new(streams.len(), request.offset, INFOS_PER_PAGE);
    let mut shown = Vec::new();
    for handle in &streams[page.range()] {
        // One that ends meanwhile is not there.
        if let Ok((stream, _)) = show(context, handle, Details::default()).await {
            shown.push(Value::Object(stream));
        }
    }
    let mut answer = fields(&page);
    answer.insert("streams".to_owned(), shown.into());
    Ok(answer)
}

//! Streams made, changed, shown, listed and ended.

use std::sync::Arc;

use serde::Serialize;

use super::Context;
use super::answer::{Answer, Fields, success};
use crate::api_error::{ApiError, table};
use crate::jetstream::handle::StreamHandle;
use crate::jetstream::info::{self, Details};
use crate::stream::config::Config;
use crate::stream::info::{Info, Origin, State};
use crate::stream::requests::{
    INFOS_PER_PAGE, InfoRequest, ListRequest, NAMES_PER_PAGE, NamesRequest, Page, SUBJECTS_PER_PAGE,
};
use crate::subject::wildcard;

/// What only the answer to `STREAM.CREATE` says.
#[derive(Serialize)]
struct Created {
    did_create: bool,
}

/// A page of names; none are `null`, as the peers say it.
#[derive(Serialize)]
struct Names {
    streams: Option<Vec<String>>,
}

/// A page of streams.
#[derive(Serialize)]
struct List {
    streams: Vec<Info>,
}

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

fn check_name(config: &Config, name: &str) -> Result<(), ApiError> {
    match config.name == name {
        true => Ok(()),
        false => Err(ApiError::of(&table::STREAM_MISMATCH)),
    }
}

/// `STREAM.CREATE`
pub async fn create(context: &Context<'_>, name: &str) -> Answer {
    let (config, pedantic) = Config::from_request(context.body(), context.strict())?;
    check_name(&config, name)?;
    let (handle, is_new) = context
        .jetstream
        .create_stream(context.site, config, pedantic)
        .await?;
    let mut info = show(context, &handle).await?;
    if is_new && (info.mirror.is_some() || !info.sources.is_empty()) {
        // As it was made: whatever its origins said and sent since is for later questions.
        info.state = State {
            first_seq: info.config.first_seq,
            last_seq: info.config.first_seq.saturating_sub(1),
            ..State::default()
        };
        info.sources = info.sources.into_iter().map(Origin::unheard).collect();
        // The peers tell a mirror's filter only once its origin was asked.
        info.mirror = info.mirror.map(|origin| Origin {
            filter_subject: String::new(),
            ..origin.unheard()
        });
    }
    Ok(Fields::of(&info).and(&Created { did_create: true }))
}

/// `STREAM.UPDATE`
pub async fn update(context: &Context<'_>, name: &str) -> Answer {
    let (config, pedantic) = Config::from_request(context.body(), context.strict())?;
    context
        .jetstream
        .check_stream(context.site, config.clone(), pedantic)?;
    check_name(&config, name)?;
    let handle = find(context, name)?;
    context
        .jetstream
        .update_stream(context.site, &handle, config, pedantic)
        .await?;
    Ok(Fields::of(&show(context, &handle).await?))
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
    };
    let read = handle.read(move |replica| info::stream(replica, &details));
    let (info, total) = read.await?;
    let info = Info {
        config: info::with_version(info.config, context.jetstream.options.version),
        cluster: Some(info::led_by(&context.jetstream.options.server_name)),
        ..info
    };
    let page = match total {
        0 => Page::default(),
        total => Page {
            total,
            offset,
            limit: SUBJECTS_PER_PAGE,
        },
    };
    Ok(Fields::of(&page).and(&info))
}

/// The stream after it was made or changed.
async fn show(context: &Context<'_>, handle: &Arc<StreamHandle>) -> Result<Info, ApiError> {
    let read = handle.read(|replica| info::stream(replica, &Details::default()));
    let (info, _) = read.await?;
    Ok(Info {
        config: info::with_version(info.config, context.jetstream.options.version),
        ..info
    })
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
    let names = names.map(|handle| handle.name.to_string()).collect();
    Ok(Fields::of(&page).and(&Names {
        streams: Some(names).filter(|names: &Vec<String>| !names.is_empty()),
    }))
}

/// `STREAM.LIST`
pub async fn list(context: &Context<'_>) -> Answer {
    let request = ListRequest::from_request(context.optional_body(), context.strict())?;
    let streams = matching(context, &request.subject);
    let page = Page::new(streams.len(), request.offset, INFOS_PER_PAGE);
    let mut shown = Vec::new();
    for handle in &streams[page.range()] {
        // One that ends meanwhile is not there.
        let read = handle.read(|replica| info::stream(replica, &Details::default()));
        if let Ok((info, _)) = read.await {
            shown.push(info);
        }
    }
    Ok(Fields::of(&page).and(&List { streams: shown }))
}

//! Path and query in, reply out: every endpoint of the monitoring port.
//!
//! Separate from `http`, which moves bytes, so that status codes, headers and texts are
//! tested without a socket. The method of a request does not matter.
//!
//! Invariants: JSON answers carry the CORS header, refusals do not; an unclean path is
//! redirected, an unknown one is 404; everything but that stands under the base path.

use serde::Serialize;

use super::Monitor;
use super::accountz::Accountz;
use super::accstatz::{AccountStatz, AccountStatzOptions};
use super::connz::{Connz, ConnzOptions};
use super::gatewayz::Gatewayz;
use super::go_format::{compact, indented};
use super::healthz::{Healthz, HealthzOptions};
use super::jsz::{Jsz, JszOptions};
use super::leafz::Leafz;
use super::prometheus;
use super::query::{BadParameter, Query};
use super::raftz::{IpQueuesz, NO_RAFT_NODES};
use super::routez::Routez;
use super::subsz::{Subsz, SubszOptions};

const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// What goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// Scripts of any site may read it.
    pub cors: bool,
    /// Browsers are told not to guess the content type.
    pub no_sniff: bool,
    /// Where to look instead.
    pub location: Option<String>,
    /// The content.
    pub body: String,
}

impl Reply {
    fn new(status: u16, content_type: &'static str, body: String) -> Self {
        Reply {
            status,
            content_type,
            cors: false,
            no_sniff: false,
            location: None,
            body,
        }
    }

    fn json_text(status: u16, body: String) -> Self {
        Reply {
            cors: true,
            ..Reply::new(status, JSON, body)
        }
    }

    fn json<T: Serialize>(answer: &T) -> Self {
        Self::json_text(200, indented(answer, "  "))
    }

    fn bad_request(error: impl std::fmt::Display) -> Self {
        Reply::new(400, PLAIN, error.to_string())
    }

    fn not_found() -> Self {
        Reply {
            no_sniff: true,
            ..Reply::new(404, PLAIN, "404 page not found\n".to_owned())
        }
    }

    fn redirect(location: String) -> Self {
        let shown = location
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&#34;");
        let body = format!("<a href=\"{shown}\">Temporary Redirect</a>.\n\n");
        Reply {
            location: Some(location),
            ..Reply::new(307, HTML, body)
        }
    }
}

impl From<BadParameter> for Reply {
    fn from(error: BadParameter) -> Self {
        Reply::bad_request(error)
    }
}

/// `http_base_path` as it stands before every endpoint: empty, or with a slash in front
/// and none behind.
pub fn base_path(configured: &str) -> String {
    let cleaned = clean(&format!("/{configured}"));
    cleaned.trim_end_matches('/').to_owned()
}

/// Answers a request for `path` with the parameters in `query` (what stands behind the
/// `?`); `base` comes from [`base_path`].
pub async fn respond(monitor: &Monitor, base: &str, path: &str, query: &str) -> Reply {
    let cleaned = clean(path);
    if cleaned != path {
        let separator = if query.is_empty() { "" } else { "?" };
        return Reply::redirect(format!("{cleaned}{separator}{query}"));
    }
    let root = if base.is_empty() { "/" } else { base };
    if path == root {
        monitor.count_request("/");
        return Reply::new(200, HTML, index(monitor, base));
    }
    let Some(endpoint) = path.strip_prefix(base) else {
        return Reply::not_found();
    };
    let query = Query::parse(query);
    let found = match endpoint {
        "/varz" => {
            monitor.count_request("/varz");
            Ok(Reply::json(&monitor.varz()))
        }
        "/connz" => connz(monitor, &query),
        "/routez" => query.subscriptions().map_err(Reply::from).map(|_| {
            monitor.count_request("/routez");
            Reply::json(&Routez::new(monitor.source()))
        }),
        "/gatewayz" => gatewayz(monitor, &query),
        "/leafz" => leafz(monitor, &query),
        "/subsz" | "/subscriptionsz" => subsz(monitor, &query),
        "/accountz" => accountz(monitor, &query),
        "/accstatz" => accstatz(monitor, &query),
        "/jsz" => jsz(monitor, &query).await,
        "/healthz" => healthz(monitor, &query),
        "/ipqueuesz" => ipqueuesz(&query),
        "/raftz" => Err(Reply::new(404, PLAIN, NO_RAFT_NODES.to_owned())),
        "/stacksz" => Ok(Reply::json_text(
            200,
            "stacks are not available\n".to_owned(),
        )),
        "/debug/vars" => Ok(Reply::new(
            200,
            "application/json; charset=utf-8",
            indented(&Variables::default(), ""),
        )),
        "/metrics" => Ok(Reply::new(
            200,
            prometheus::CONTENT_TYPE,
            prometheus::text(monitor.source()),
        )),
        _ => Err(Reply::not_found()),
    };
    found.unwrap_or_else(|refusal| refusal)
}

/// Runtime variables: none, under the two published keys.
#[derive(Default, Serialize)]
struct Variables {
    cmdline: [&'static str; 0],
    memstats: std::collections::BTreeMap<&'static str, u64>,
}

fn connz(monitor: &Monitor, query: &Query) -> Result<Reply, Reply> {
    let auth = query.boolean("auth")?;
    let (subscriptions, subscriptions_detail) = query.subscriptions()?;
    let options = ConnzOptions {
        sort: query.text("sort").to_owned(),
        auth,
        subscriptions,
        subscriptions_detail,
        offset: query.integer("offset")?,
        limit: query.integer("limit")?,
        cid: query.unsigned("cid")?,
        state: query.state()?,
        mqtt_client: query.text("mqtt_client").to_owned(),
        user: query.text("user").to_owned(),
        account: query.text("acc").to_owned(),
        filter_subject: String::new(),
    };
    monitor.count_request("/connz");
    let answer = Connz::new(monitor.source(), &options).map_err(Reply::bad_request)?;
    Ok(Reply::json(&answer))
}

fn gatewayz(monitor: &Monitor, query: &Query) -> Result<Reply, Reply> {
    monitor.count_request("/gatewayz");
    query.subscriptions()?;
    query.boolean("accs")?;
    Ok(Reply::json(&Gatewayz::new(monitor.source())))
}

fn leafz(monitor: &Monitor, query: &Query) -> Result<Reply, Reply> {
    monitor.count_request("/leafz");
    query.boolean("subs")?;
    Ok(Reply::json(&Leafz::new(monitor.source())))
}

fn subsz(monitor: &Monitor, query: &Query) -> Result<Reply, Reply> {
    monitor.count_request("/subsz");
    let options = SubszOptions {
        subscriptions: query.boolean("subs")?,
        offset: query.integer("offset")?,
        limit: query.integer("limit")?,
        account: query.text("acc").to_owned(),
        test: query.text("test").to_owned(),
    };
    let answer = Subsz::new(monitor.source(), &options).map_err(Reply::bad_request)?;
    Ok(Reply::json(&answer))
}

fn accountz(monitor: &Monitor, query: &Query) -> Result<Reply, Reply> {
    monitor.count_request("/accountz");
    let account = query.text("acc");
    let answer = Accountz::new(monitor.source(), account).map_err(Reply::bad_request)?;
    Ok(Reply::json(&answer))
}

fn accstatz(monitor: &Monitor, query: &Query) -> Result<Reply, Reply> {
    monitor.count_request("/accstatz");
    let options = AccountStatzOptions {
        accounts: Vec::new(),
        include_unused: query.boolean("unused")?,
    };
    Ok(Reply::json(&AccountStatz::new(monitor.source(), &options)))
}

async fn jsz(monitor: &Monitor, query: &Query) -> Result<Reply, Reply> {
    monitor.count_request("/jsz");
    let accounts = query.boolean("accounts")?;
    let streams = query.boolean("streams")?;
    let consumers = query.boolean("consumers")?;
    query.boolean("direct-consumers")?;
    let options = JszOptions {
        account: query.text("acc").to_owned(),
        accounts,
        streams,
        consumers,
        config: query.boolean("config")?,
        offset: query.integer("offset")?,
        limit: query.integer("limit")?,
        leader_only: query.boolean("leader-only")?,
        raft: query.boolean("raft")?,
    };
    // A lone server leads all its streams.
    query.boolean("stream-leader-only")?;
    let answer = Jsz::new(monitor.source(), &options).await;
    Ok(Reply::json(&answer.map_err(Reply::bad_request)?))
}

fn healthz(monitor: &Monitor, query: &Query) -> Result<Reply, Reply> {
    monitor.count_request("/healthz");
    let mut server_only = false;
    for name in [
        "js-enabled",
        "js-enabled-only",
        "js-server-only",
        "js-meta-only",
    ] {
        server_only |= query.boolean(name)?;
    }
    let options = HealthzOptions {
        details: query.boolean("details")?,
        account: query.text("account").to_owned(),
        stream: query.text("stream").to_owned(),
        consumer: query.text("consumer").to_owned(),
        server_only,
    };
    let health = Healthz::new(monitor.source(), &options);
    if let Some(problem) = health.problem() {
        tracing::warn!(problem, "health check failed");
    }
    let (status, body) = health.into_http();
    Ok(Reply::json_text(status, compact(&body)))
}

fn ipqueuesz(query: &Query) -> Result<Reply, Reply> {
    query.boolean("all")?;
    Ok(Reply::json_text(200, indented(&IpQueuesz {}, "   ")))
}

/// The page that leads to the endpoints.
fn index(monitor: &Monitor, base: &str) -> String {
    const LINKS: [(&str, &str); 13] = [
        ("/varz", "General"),
        ("/jsz", "JetStream"),
        ("/connz", "Connections"),
        ("/accountz", "Accounts"),
        ("/accstatz", "Account Stats"),
        ("/subsz", "Subscriptions"),
        ("/routez", "Routes"),
        ("/leafz", "LeafNodes"),
        ("/gatewayz", "Gateways"),
        ("/raftz", "Raft Groups"),
        ("/healthz", "Health Probe"),
        ("/debug/vars", "Expvar"),
        ("/metrics", "Metrics"),
    ];
    let facts = monitor.source().facts();
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>{title}</title>\n\
         <style>body {{ font-family: sans-serif; margin-left: 2em }} a {{ display: block; padding: 0.2em }}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n",
        title = format_args!("Natter {}", escaped(&facts.product_version)),
    );
    for (path, name) in LINKS {
        page.push_str(&format!("<a href=.{}{path}>{name}</a>\n", escaped(base)));
    }
    page.push_str("</body>\n</html>\n");
    page
}

/// Text that may stand in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A path without empty, `.` and `..` parts; a slash at the end stays.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut cleaned = String::with_capacity(path.len() + 1);
    for part in &parts {
        cleaned.push('/');
        cleaned.push_str(part);
    }
    if parts.is_empty() || path.ends_with('/') {
        cleaned.push('/');
    }
    cleaned
}

#[cfg(test)]
mod tests;

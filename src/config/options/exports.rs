//! `exports` and `imports` of an account.
//!
//! Separate from the other keys of an account because of their many rules between keys. Only
//! form is checked here; whether an import has its export is found when accounts are built.

use std::collections::HashMap;
use std::time::Duration;

use super::key::{Key, Reload::*, key};
use super::reader::{Item, Reader};
use super::users;
use crate::account::export::{ExportKind, ExportSpec, LatencySpec, ResponseKind};
use crate::account::import::{ImportKind, ImportSpec};
use crate::config::value::Value;

/// The keys of an export, before it is known what is exported.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ExportBlock {
    stream: Option<String>,
    service: Option<String>,
    accounts: Option<Vec<String>>,
    response: Option<ResponseKind>,
    threshold: Option<Duration>,
    latency: Option<LatencySpec>,
    account_token_position: usize,
    allow_trace: Option<bool>,
}

#[rustfmt::skip]
pub(super) const EXPORT_KEYS: &[Key<ExportBlock>] = &[
    key("stream", "subject", "none", Yes, "foo",
        "Messages under this subject are offered.",
        |e, v, r| r.text(v, &mut e.stream)),
    key("service", "subject", "none", Yes, "foo",
        "Requests under this subject are answered; not together with `stream`.",
        |e, v, r| r.text(v, &mut e.service)),
    key("accounts", "array of names", "every account", Yes, "[B]",
        "Accounts that may import it.",
        |e, v, r| accounts(v, r, &mut e.accounts)),
    key("response_type|response", "singleton, stream or chunked", "singleton", Yes, "stream",
        "How many messages a service answers with.",
        |e, v, r| response(v, r, &mut e.response)),
    key("response_threshold|threshold|response_max_time|response_time", "duration, text only", "2m", Yes,
        "5s",
        "How long a service may take to answer.",
        |e, v, r| threshold(v, r, &mut e.threshold)),
    key("latency", "subject or { sampling, subject }", "none", Yes, "lat",
        "Where measurements of latency are published. Not in this release.",
        |e, v, r| latency(v, r, &mut e.latency)),
    key("account_token_position", "integer", "0: none", Yes, "2",
        "The `*` of the subject, counted from 1, that must be the name of the importing account.",
        |e, v, r| {
            let mut position = 0_u64;
            r.number(v, &mut position);
            e.account_token_position = usize::try_from(position).unwrap_or(0);
        }),
    key("allow_trace", "boolean", "false", Yes, "true",
        "Tracing may cross into this account; services only. Not in this release.",
        |e, v, r| r.flag(v, &mut e.allow_trace)),
];

#[rustfmt::skip]
pub(super) const LATENCY_KEYS: &[Key<LatencySpec>] = &[
    key("sampling", "1 to 100, \"N%\" or headers", "100", Yes, "50",
        "Percent of requests that are measured; `headers`: those with tracing headers.",
        |l, v, r| sampling(v, r, &mut l.sampling)),
    key("subject", "subject", "needed", Yes, "lat",
        "Where measurements are published.",
        |l, v, r| r.text(v, &mut l.subject)),
];

/// The keys of an import, before it is known what is imported.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ImportBlock {
    stream: Option<Source>,
    service: Option<Source>,
    to: Option<String>,
    prefix: Option<String>,
    share: bool,
    allow_trace: Option<bool>,
}

/// The export an import is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Source {
    account: String,
    subject: String,
}

#[rustfmt::skip]
pub(super) const IMPORT_KEYS: &[Key<ImportBlock>] = &[
    key("stream", "{ account, subject }", "none", Yes, "{ account: B, subject: foo }",
        "The stream of another account.",
        |i, v, r| source(v, r, &mut i.stream, "Stream")),
    key("service", "{ account, subject }", "none", Yes, "{ account: B, subject: foo }",
        "The service of another account; not together with `stream`.",
        |i, v, r| source(v, r, &mut i.service, "Service")),
    key("to", "subject", "the same", Yes, "bar",
        "The subject it has here, with `$1` or `{{wildcard(1)}}`.",
        |i, v, r| r.text(v, &mut i.to)),
    key("prefix", "subject", "none", Yes, "pre",
        "Put before the subject; streams only; not together with `to`.",
        |i, v, r| r.text(v, &mut i.prefix)),
    key("share", "boolean", "false", Yes, "true",
        "Tell the service who asks.",
        |i, v, r| r.flag(v, &mut i.share)),
    key("allow_trace", "boolean", "false", Yes, "true",
        "Tracing may cross into this account; streams only. Not in this release.",
        |i, v, r| r.flag(v, &mut i.allow_trace)),
];

#[rustfmt::skip]
pub(super) const SOURCE_KEYS: &[Key<Source>] = &[
    key("account", "string", "needed", Yes, "B",
        "The exporting account.",
        |s, v, r| r.text(v, &mut s.account)),
    key("subject", "subject", "needed", Yes, "foo",
        "The exported subject, or a part of it.",
        |s, v, r| r.text(v, &mut s.subject)),
];

impl Reader {
    /// A list of exports.
    pub fn exports(&mut self, v: Item<'_>, into: &mut Vec<ExportSpec>) {
        let mut all = Vec::new();
        self.each_element(v, |r, element| {
            let mut block = ExportBlock::default();
            if r.block(element, &mut block, EXPORT_KEYS) {
                all.extend(export(element, r, block));
            }
        });
        *into = all;
    }

    /// A list of imports.
    pub fn imports(&mut self, v: Item<'_>, into: &mut Vec<ImportSpec>) {
        let mut all: Vec<ImportSpec> = Vec::new();
        let mut services = HashMap::new();
        self.each_element(v, |r, element| {
            let mut block = ImportBlock::default();
            if r.block(element, &mut block, IMPORT_KEYS) {
                let Some(import) = import(element, r, block) else {
                    return;
                };
                check_duplicate(element, r, &import, &mut services);
                all.push(import);
            }
        });
        *into = all;
    }
}

fn export(v: Item<'_>, r: &mut Reader, block: ExportBlock) -> Option<ExportSpec> {
    let (subject, is_service) = match (block.stream, block.service) {
        (Some(_), Some(service)) => {
            r.error(
                v,
                format!("Detected service {service:?} but already saw a stream"),
            );
            return None;
        }
        (Some(stream), None) => (stream, false),
        (None, Some(service)) => (service, true),
        (None, None) => {
            r.error(v, "an export needs a stream or a service");
            return None;
        }
    };
    check_subject(v, r, &subject);
    if !is_service {
        for (is_there, what) in [
            (
                block.response.is_some() || block.threshold.is_some(),
                "response",
            ),
            (block.latency.is_some(), "latency"),
            (block.allow_trace.is_some(), "allow_trace"),
        ] {
            if is_there {
                r.error(v, format!("Detected {what} directive on non-service"));
            }
        }
    }
    let position = block.account_token_position;
    if position > 0 && subject.split('.').nth(position - 1) != Some("*") {
        r.error(
            v,
            format!("account_token_position {position} of {subject:?} is no '*'"),
        );
    }
    let kind = if is_service {
        ExportKind::Service {
            response: block.response.unwrap_or_default(),
            response_threshold: block.threshold,
            latency: block.latency,
            allow_trace: block.allow_trace.unwrap_or(false),
        }
    } else {
        ExportKind::Stream
    };
    Some(ExportSpec {
        kind,
        subject,
        accounts: block.accounts,
        account_token_position: position,
    })
}

fn import(v: Item<'_>, r: &mut Reader, block: ImportBlock) -> Option<ImportSpec> {
    let (source, is_service) = match (block.stream, block.service) {
        (Some(_), Some(_)) => {
            r.error(v, "Detected stream but already saw a service");
            return None;
        }
        (Some(stream), None) => (stream, false),
        (None, Some(service)) => (service, true),
        (None, None) => {
            r.error(v, "an import needs a stream or a service");
            return None;
        }
    };
    check_subject(v, r, &source.subject);
    if let Some(prefix) = &block.prefix {
        check_subject(v, r, prefix);
    }
    if is_service && block.allow_trace.is_some() {
        r.error(v, "Detected allow_trace directive on a non-stream");
    }
    if is_service && block.prefix.is_some() {
        r.warn(v, "'prefix' has no effect on a service import; use 'to'");
    }
    if !is_service && block.share {
        r.warn(v, "'share' has no effect on a stream import");
    }
    if !is_service && block.prefix.is_some() && block.to.is_some() {
        r.error(
            v,
            "Stream import can not have a 'prefix' and a 'to' property",
        );
    }
    let kind = if is_service {
        ImportKind::Service { share: block.share }
    } else {
        ImportKind::Stream {
            prefix: block.prefix,
        }
    };
    Some(ImportSpec {
        kind,
        account: source.account,
        subject: source.subject,
        to: block.to,
        allow_trace: block.allow_trace.unwrap_or(false),
    })
}

/// Two services may not be reached under the same local subject; `seen` holds account and
/// subject of the services before by local subject.
fn check_duplicate(
    v: Item<'_>,
    r: &mut Reader,
    import: &ImportSpec,
    seen: &mut HashMap<String, (String, String)>,
) {
    if !matches!(import.kind, ImportKind::Service { .. }) {
        return;
    }
    let local = import.to.as_ref().unwrap_or(&import.subject);
    let exported = (import.account.clone(), import.subject.clone());
    if let Some((account, subject)) = seen.get(local) {
        let message = format!(
            "Duplicate service import subject {local:?}, previously used in import for account \
             {account:?}, subject {subject:?}"
        );
        r.error(v, message);
    } else {
        seen.insert(local.clone(), exported);
    }
}

fn source(v: Item<'_>, r: &mut Reader, into: &mut Option<Source>, what: &str) {
    if !matches!(v.node.value, Value::Map(_)) {
        return r.error(v, format!("{what} entry should be an account map"));
    }
    let mut source = Source::default();
    r.block(v, &mut source, SOURCE_KEYS);
    if source.account.is_empty() || source.subject.is_empty() {
        return r.error(v, "Expect an account name and a subject");
    }
    *into = Some(source);
}

fn check_subject(v: Item<'_>, r: &mut Reader, subject: &str) {
    if !users::is_filter(subject) {
        r.error(v, format!("subject {subject:?} is not a valid subject"));
    }
}

fn accounts(v: Item<'_>, r: &mut Reader, into: &mut Option<Vec<String>>) {
    let mut names = Vec::new();
    r.texts(v, &mut names);
    *into = Some(names);
}

fn response(v: Item<'_>, r: &mut Reader, into: &mut Option<ResponseKind>) {
    let words = [
        ("single", Some(ResponseKind::Singleton)),
        ("singleton", Some(ResponseKind::Singleton)),
        ("stream", Some(ResponseKind::Stream)),
        ("chunk", Some(ResponseKind::Chunked)),
        ("chunked", Some(ResponseKind::Chunked)),
    ];
    r.word(v, into, &words, "Unknown response type: \"{}\"");
}

fn threshold(v: Item<'_>, r: &mut Reader, into: &mut Option<Duration>) {
    let mut duration = Duration::ZERO;
    r.duration_text(v, &mut duration);
    *into = Some(duration);
}

fn latency(v: Item<'_>, r: &mut Reader, into: &mut Option<LatencySpec>) {
    let mut latency = LatencySpec {
        subject: String::new(),
        sampling: 100,
    };
    match &v.node.value {
        Value::String(text) => latency.subject.clone_from(text),
        Value::Map(map) => {
            r.map(map, &mut latency, LATENCY_KEYS);
            if latency.subject.is_empty() {
                return r.error(v, "Latency subject required, but missing");
            }
        }
        _ => return r.expected(v, "a subject or a map"),
    }
    if !users::is_literal(&latency.subject) {
        let message = format!(
            "latency subject {:?}: invalid publish subject",
            latency.subject
        );
        r.error(v, message);
    }
    *into = Some(latency);
}

fn sampling(v: Item<'_>, r: &mut Reader, into: &mut u8) {
    if matches!(&v.node.value, Value::String(text) if text.eq_ignore_ascii_case("headers")) {
        *into = 0;
        return;
    }
    match r.percent(v) {
        Some(percent @ 1..=100) => *into = u8::try_from(percent).unwrap_or(100),
        Some(_) => r.error(v, "bad sampling percentage, should be 1-100"),
        None => r.error(v, "Failed to parse latency sample"),
    }
}

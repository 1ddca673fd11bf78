//! Permissions: allow and deny lists over subjects, compiled for the hot path.
//!
//! Separate from `decision` because who somebody is gets decided once, and what he may do
//! with every message. [`PermissionsSpec`] is what was written; [`Permissions`] answers. A
//! link caches the answers per subject.
//!
//! Rules (spec core §2.2, each confirmed against a running server): allowed is what some
//! allow entry matches, or everything without an allow list, and no deny entry matches.
//! The wildcards of a SUB subject are ordinary tokens to an entry, so allow `foo.*` admits
//! SUB `foo.>`, which then receives `foo.a.b`: surprising, but long-standing and kept, for
//! clients rely on it. `allow_responses` closes publishing but for the allow list. An entry
//! `"subject queue"` speaks of queue subscriptions only: in an allow list it decides alone
//! as soon as one such entry matches the subject, in a deny list it forbids those queues.
//!
//! Invariants: nothing is delivered through [`Subscribe::AllowedFiltered`] that a deny entry
//! matches; more deny entries never allow more. Absent: no cache, no clock; the reply
//! subjects that `allow_responses` opens are a link's (`responses`).

use std::collections::HashSet;
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::subject::wildcard;

/// Permissions as configured (spec core §2.2, §4.3). Empty lists mean no restriction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionsSpec {
    /// What the user may publish; `None`: everything.
    pub publish: Option<SubjectPermission>,
    /// What the user may subscribe to; entries may carry a queue: `"subject queue"`.
    pub subscribe: Option<SubjectPermission>,
    /// Publish permission that arises with each delivered message that has a reply.
    pub allow_responses: Option<ResponsePermission>,
}

/// An allow list and a deny list of subject filters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectPermission {
    /// Empty: everything that is not denied.
    pub allow: Vec<String>,
    /// Wins over `allow`.
    pub deny: Vec<String>,
}

/// How often and how long a reply subject may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponsePermission {
    /// Messages per reply subject; negative: unlimited. Default 1.
    pub max_msgs: i64,
    /// Time from the delivery of the request; `None`: unlimited. Default 2 minutes.
    pub expires: Option<Duration>,
}

impl Default for ResponsePermission {
    fn default() -> Self {
        ResponsePermission {
            max_msgs: 1,
            expires: Some(Duration::from_secs(120)),
        }
    }
}

/// Permissions, compiled.
#[derive(Clone, Debug, Default)]
pub struct Permissions {
    publish: Rules,
    subscribe: Rules,
    responses: Option<ResponsePermission>,
}

/// The answer to a SUB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribe {
    /// Every message that matches may be delivered.
    Allowed,
    /// A deny entry overlaps: ask [`Permissions::may_deliver`] for each message.
    AllowedFiltered,
    /// A permissions violation.
    Denied,
}

impl Permissions {
    /// Permissions that restrict nothing.
    pub fn unrestricted() -> Self {
        Self::default()
    }

    /// Compiles what was configured. Entries were validated there; an entry that is no
    /// filter matches nothing.
    pub fn compile(spec: &PermissionsSpec) -> Self {
        let mut publish = Rules::compile(spec.publish.as_ref(), Entry::publish);
        if spec.allow_responses.is_some() && publish.allow.is_none() {
            publish.allow = Some(Entries::default());
        }
        Permissions {
            publish,
            subscribe: Rules::compile(spec.subscribe.as_ref(), Entry::subscribe),
            responses: spec.allow_responses,
        }
    }

    /// Nothing is restricted.
    pub fn is_unrestricted(&self) -> bool {
        self.publish.is_empty() && self.subscribe.is_empty()
    }

    /// How replies may be answered beyond the publish permission; `None`: not at all.
    pub fn responses(&self) -> Option<ResponsePermission> {
        self.responses
    }

    /// Whether `subject` may be published to. Wildcards in it are ordinary text.
    pub fn can_publish(&self, subject: &[u8]) -> bool {
        let rules = &self.publish;
        rules
            .allow
            .as_ref()
            .is_none_or(|allow| allow.plain.matches(subject))
            && !rules.deny.plain.matches(subject)
    }

    /// Whether the filter `subject` may be subscribed to, in a queue group or plainly.
    pub fn can_subscribe(&self, subject: &[u8], queue: Option<&[u8]>) -> Subscribe {
        let rules = &self.subscribe;
        let admitted = rules
            .allow
            .as_ref()
            .is_none_or(|allow| allow.admit(subject, queue));
        if !admitted || rules.deny.forbid(subject, queue) {
            return Subscribe::Denied;
        }
        if rules.deny.may_forbid_some(subject, queue) {
            Subscribe::AllowedFiltered
        } else {
            Subscribe::Allowed
        }
    }

    /// Whether a message with this subject may reach a subscription in that queue group
    /// that was [`Subscribe::AllowedFiltered`].
    pub fn may_deliver(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        !self.subscribe.deny.forbid(subject, queue)
    }
}

/// One direction: what is allowed and what is denied.
#[derive(Clone, Debug, Default)]
struct Rules {
    /// `None`: everything.
    allow: Option<Entries>,
    deny: Entries,
}

impl Rules {
    fn compile(spec: Option<&SubjectPermission>, entry: fn(&str) -> Entry<'_>) -> Self {
        let Some(spec) = spec else {
            return Rules::default();
        };
        let compile = |texts: &[String]| Entries::compile(texts.iter().map(|text| entry(text)));
        Rules {
            allow: (!spec.allow.is_empty()).then(|| compile(&spec.allow)),
            deny: compile(&spec.deny),
        }
    }

    fn is_empty(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }
}

/// A list entry as text: a filter and, for subscriptions, a queue.
struct Entry<'a> {
    filter: &'a str,
    queue: Option<&'a str>,
}

impl Entry<'_> {
    fn publish(text: &str) -> Entry<'_> {
        Entry {
            filter: text,
            queue: None,
        }
    }

    fn subscribe(text: &str) -> Entry<'_> {
        let mut words = text.split_ascii_whitespace();
        Entry {
            filter: words.next().unwrap_or_default(),
            queue: words.next(),
        }
    }
}

/// The entries of one list.
#[derive(Clone, Debug, Default)]
struct Entries {
    plain: Filters,
    queued: Vec<QueueEntry>,
}

#[derive(Clone, Debug)]
struct QueueEntry {
    filter: Box<[u8]>,
    queue: Box<[u8]>,
}

impl QueueEntry {
    /// The entry speaks of that queue: its own text or, with wildcards, a wider one.
    fn names(&self, queue: &[u8]) -> bool {
        *self.queue == *queue || wildcard::covers(&self.queue, queue)
    }
}

impl Entries {
    fn compile<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Self {
        let mut compiled = Entries::default();
        for entry in entries {
            match entry.queue {
                None => compiled.plain.insert(entry.filter.as_bytes()),
                Some(queue) => compiled.queued.push(QueueEntry {
                    filter: entry.filter.as_bytes().into(),
                    queue: queue.as_bytes().into(),
                }),
            }
        }
        compiled
    }

    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.queued.is_empty()
    }

    /// An allow list's answer.
    fn admit(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        let Some(queue) = queue else {
            return self.plain.matches(subject);
        };
        let mut speaking = self
            .queued
            .iter()
            .filter(|entry| wildcard::matches(&entry.filter, subject))
            .peekable();
        match speaking.peek() {
            Some(_) => speaking.any(|entry| entry.names(queue)),
            None => self.plain.matches(subject),
        }
    }

    /// A deny list's answer.
    fn forbid(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        self.plain.matches(subject)
            || queue.is_some_and(|queue| {
                self.queued
                    .iter()
                    .any(|entry| entry.names(queue) && wildcard::matches(&entry.filter, subject))
            })
    }

    /// A deny list's answer for some subject that the filter matches.
    fn may_forbid_some(&self, filter: &[u8], queue: Option<&[u8]>) -> bool {
        self.plain.overlap(filter)
            || queue.is_some_and(|queue| {
                self.queued
                    .iter()
                    .any(|entry| entry.names(queue) && wildcard::overlaps(&entry.filter, filter))
            })
    }
}

/// A set of filters, split so that long lists of literals stay cheap.
#[derive(Clone, Debug, Default)]
struct Filters {
    literals: HashSet<Box<[u8]>, RandomState>,
    wildcards: Vec<Box<[u8]>>,
}

impl Filters {
    fn insert(&mut self, filter: &[u8]) {
        let is_wildcard = |token: &[u8]| token == b"*" || token == b">";
        if filter.split(|byte| *byte == b'.').any(is_wildcard) {
            self.wildcards.push(filter.into());
        } else {
            self.literals.insert(filter.into());
        }
    }

    fn is_empty(&self) -> bool {
        self.literals.is_empty() && self.wildcards.is_empty()
    }

    fn matches(&self, subject: &[u8]) -> bool {
        self.literals.contains(subject)
            || self
                .wildcards
                .iter()
                .any(|filter| wildcard::matches(filter, subject))
    }

    fn overlap(&self, filter: &[u8]) -> bool {
        self.literals
            .iter()
            .chain(&self.wildcards)
            .any(|own| wildcard::overlaps(own, filter))
    }
}

#[cfg(test)]
mod tests;

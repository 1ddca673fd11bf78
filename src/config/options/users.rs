//! Users and permissions as they are written under `authorization` and under accounts.
//!
//! Separate because both places hold the same list. The result goes into the types that
//! `auth` compiles: nothing is decided here but form.

use std::collections::HashSet;
use std::time::Duration;

use super::key::{Key, Reload::*, key};
use super::public_key::KeyKind;
use super::reader::{Item, Reader};
use crate::auth::permissions::{PermissionsSpec, ResponsePermission, SubjectPermission};
use crate::auth::users::{ConnectionType, Login, UserSpec};
use crate::config::value::Value;

/// The keys of a user, before it is known how it logs in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct UserBlock {
    nkey: Option<String>,
    user: Option<String>,
    password: Option<super::secret::Secret>,
    permissions: Option<PermissionsSpec>,
    connection_types: Option<Vec<ConnectionType>>,
    proxy_required: bool,
}

#[rustfmt::skip]
pub(super) const USER_KEYS: &[Key<UserBlock>] = &[
    key("nkey", "public user key", "none", Yes,
        "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
        "The user signs the nonce; not together with `user`.",
        |u, v, r| nkey(v, r, &mut u.nkey)),
    key("user|username", "string", "none", Yes, "joe",
        "The user's name.",
        |u, v, r| r.text(v, &mut u.user)),
    key("password|pass", "string", "none", Yes, "s3cr3t",
        "The user's password, plain or bcrypt; without one the user logs in by certificate.",
        |u, v, r| r.secret(v, &mut u.password)),
    key("permissions|permission|authorization", "permissions", "the default permissions", Yes,
        "{ publish: foo }",
        "What the user may publish and subscribe to.",
        |u, v, r| r.permissions(v, &mut u.permissions)),
    key("allowed_connection_types|connection_types|clients", "name or array", "all", Yes,
        "[STANDARD, WEBSOCKET]",
        "Where the user may come from: STANDARD, WEBSOCKET, LEAFNODE, LEAFNODE_WS, MQTT, MQTT_WS, IN_PROCESS.",
        |u, v, r| connection_types(v, r, &mut u.connection_types)),
    key("proxy_required", "boolean", "false", Yes, "true",
        "Only through a trusted proxy. Not in this release.",
        |u, v, r| r.flag(v, &mut u.proxy_required)),
];

#[rustfmt::skip]
pub(super) const PERMISSION_KEYS: &[Key<PermissionsSpec>] = &[
    key("publish|pub|import", "subject, array or { allow, deny }", "everything", Yes, "foo",
        "What may be published.",
        |p, v, r| subject_permission(v, r, &mut p.publish, Queues::No)),
    key("subscribe|sub|export", "subject, array or { allow, deny }", "everything", Yes,
        "\"foo queue\"",
        "What may be subscribed to; `\"subject queue\"` is about one queue.",
        |p, v, r| subject_permission(v, r, &mut p.subscribe, Queues::Yes)),
    key("allow_responses|publish_allow_responses", "boolean or map", "false", Yes, "true",
        "Publishing to the reply subject of a delivered message is allowed.",
        |p, v, r| responses(v, r, &mut p.allow_responses)),
];

#[rustfmt::skip]
pub(super) const RESPONSE_KEYS: &[Key<ResponsePermission>] = &[
    key("max|max_msgs|max_messages|max_responses", "integer", "1", Yes, "5",
        "Messages per reply subject; negative: unlimited.",
        |p, v, r| r.number(v, &mut p.max_msgs)),
    key("expires|expiration|ttl", "duration", "2m", Yes, "\"1m\"",
        "Time from the delivery of the request; negative: unlimited.",
        |p, v, r| expires(v, r, &mut p.expires)),
];

/// Entries of a permission may carry the name of a queue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queues {
    Yes,
    No,
}

impl Reader {
    /// A list of users of an account.
    pub fn users(&mut self, v: Item<'_>, account: &str, into: &mut Vec<UserSpec>) {
        let mut all = Vec::new();
        self.each_element(v, |r, element| all.extend(user(element, r, account)));
        *into = all;
    }

    /// A block of permissions.
    pub fn permissions(&mut self, v: Item<'_>, into: &mut Option<PermissionsSpec>) {
        let mut permissions = PermissionsSpec::default();
        if !self.block(v, &mut permissions, PERMISSION_KEYS) {
            return;
        }
        *into = Some(permissions);
    }

    /// One or more subjects, each of which must be valid.
    pub fn subjects(&mut self, v: Item<'_>, into: &mut Vec<String>) {
        subjects(v, self, into, Queues::No);
    }
}

/// Names that occur more than once.
pub(super) fn duplicates(users: &[UserSpec]) -> Vec<&UserSpec> {
    let mut seen = HashSet::new();
    users.iter().filter(|u| !seen.insert(u.name())).collect()
}

/// What is said about a user that occurs more than once.
pub(super) fn duplicate_message(user: &UserSpec) -> String {
    match &user.login {
        Login::Password { user, .. } => format!("Duplicate user {user:?} detected"),
        Login::Nkey(key) => format!("Duplicate nkey {key:?} detected"),
    }
}

fn user(v: Item<'_>, r: &mut Reader, account: &str) -> Option<UserSpec> {
    let mut block = UserBlock::default();
    if !r.block(v, &mut block, USER_KEYS) {
        return None;
    }
    let login = match (block.nkey, block.user) {
        (Some(nkey), None) if block.password.is_none() => Login::Nkey(nkey),
        (Some(_), _) => {
            r.error(v, "Nkey users do not take usernames or passwords");
            return None;
        }
        (None, Some(user)) => Login::Password {
            user,
            password: block.password.unwrap_or_default().expose().to_owned(),
        },
        (None, None) => {
            r.error(v, "User entry requires a user");
            return None;
        }
    };
    Some(UserSpec {
        login,
        account: account.to_owned(),
        permissions: block.permissions,
        connection_types: block.connection_types,
        proxy_required: block.proxy_required,
    })
}

fn nkey(v: Item<'_>, r: &mut Reader, into: &mut Option<String>) {
    r.text(v, into);
    if KeyKind::of(into.as_deref().unwrap_or_default()) != Some(KeyKind::User) {
        r.error(v, "Not a valid public nkey for a user");
    }
}

fn connection_types(v: Item<'_>, r: &mut Reader, into: &mut Option<Vec<ConnectionType>>) {
    let mut names = Vec::new();
    r.texts(v, &mut names);
    let wrong: Vec<&String> = names
        .iter()
        .filter(|name| ConnectionType::parse(name).is_none())
        .collect();
    if !wrong.is_empty() {
        r.error(v, format!("invalid connection types {wrong:?}"));
    }
    let types: Vec<_> = names
        .iter()
        .filter_map(|n| ConnectionType::parse(n))
        .collect();
    *into = (!types.is_empty()).then_some(types);
}

fn subject_permission(
    v: Item<'_>,
    r: &mut Reader,
    into: &mut Option<SubjectPermission>,
    queues: Queues,
) {
    let mut permission = SubjectPermission::default();
    let Value::Map(map) = &v.node.value else {
        subjects(v, r, &mut permission.allow, queues);
        *into = Some(permission);
        return;
    };
    for entry in &map.entries {
        let item = Item::of(entry);
        match entry.key.to_ascii_lowercase().as_str() {
            "allow" => subjects(item, r, &mut permission.allow, queues),
            "deny" => subjects(item, r, &mut permission.deny, queues),
            _ if entry.used_as_variable => {}
            key => {
                let message = format!(
                    "Unknown field name {key:?} parsing subject permissions, only 'allow' or \
                     'deny' are permitted"
                );
                r.error(item, message);
            }
        }
    }
    *into = Some(permission);
}

fn subjects(v: Item<'_>, r: &mut Reader, into: &mut Vec<String>, queues: Queues) {
    let mut all = Vec::new();
    r.one_or_more(v, |r, element| {
        let Value::String(text) = &element.node.value else {
            return r.expected(element, "a subject or an array of subjects");
        };
        if is_valid(text, queues) {
            all.push(text.clone());
        } else {
            r.error(element, format!("subject {text:?} is not a valid subject"));
        }
    });
    *into = all;
}

/// A subject filter, and behind white space the name of a queue where there may be one.
fn is_valid(text: &str, queues: Queues) -> bool {
    let mut parts = text.split_ascii_whitespace();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(filter), None, None) => filter == text.trim() && is_filter(filter),
        (Some(filter), Some(queue), None) => {
            queues == Queues::Yes && is_filter(filter) && is_filter(queue)
        }
        _ => false,
    }
}

/// Tokens without white space between dots, none empty, `>` only at the end.
pub(super) fn is_filter(text: &str) -> bool {
    let mut tokens = text.split('.').peekable();
    while let Some(token) = tokens.next() {
        let is_last = tokens.peek().is_none();
        if token.is_empty()
            || token.bytes().any(|b| b.is_ascii_whitespace())
            || (token == ">" && !is_last)
        {
            return false;
        }
    }
    true
}

/// A filter without wildcards, which can be published to.
pub(super) fn is_literal(text: &str) -> bool {
    is_filter(text) && !text.split('.').any(|token| token == "*" || token == ">")
}

fn responses(v: Item<'_>, r: &mut Reader, into: &mut Option<ResponsePermission>) {
    match &v.node.value {
        Value::Bool(on) => *into = on.then(ResponsePermission::default),
        Value::Map(map) => {
            let mut permission = ResponsePermission::default();
            r.map(map, &mut permission, RESPONSE_KEYS);
            // As everywhere: zero is the default.
            if permission.max_msgs == 0 {
                permission.max_msgs = 1;
            }
            if permission.expires == Some(Duration::ZERO) {
                permission.expires = ResponsePermission::default().expires;
            }
            *into = Some(permission);
        }
        _ => r.error(
            v,
            "error parsing response permissions, expected a boolean or a map",
        ),
    }
}

fn expires(v: Item<'_>, r: &mut Reader, into: &mut Option<Duration>) {
    match &v.node.value {
        Value::String(text) if text.starts_with('-') => *into = None,
        Value::String(_) => r.duration(v, into),
        _ => {
            let key = v.key;
            r.error(v, format!("error parsing {key}, not a duration string"));
        }
    }
}

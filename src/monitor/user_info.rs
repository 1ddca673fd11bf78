//! The answer to `USER.INFO`: who the asking user is and what he may do.

use std::time::Duration;

use serde::Serialize;

use super::go_format::{Nanos, is_zero};
use crate::auth::permissions::{PermissionsSpec, ResponsePermission, SubjectPermission};

/// Who asks, as the server that holds his connection knows him.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requester {
    /// The user: name, key or `[REDACTED]` token.
    pub user: String,
    /// The name of the account.
    pub account: String,
    /// The label of the account: its name tag, else its name.
    pub account_name: String,
    /// The name tag of the user.
    pub user_name: String,
    /// What he may do; `None` for everything.
    pub permissions: Option<PermissionsSpec>,
    /// How long his token is still valid.
    pub expires: Option<Duration>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct UserInfo {
    user: String,
    account: String,
    #[serde(skip_serializing_if = "is_zero")]
    account_name: String,
    #[serde(skip_serializing_if = "is_zero")]
    user_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Permissions>,
    #[serde(skip_serializing_if = "is_zero")]
    expires: Nanos,
}

#[derive(Debug, Serialize)]
struct Permissions {
    publish: Subjects,
    subscribe: Subjects,
    #[serde(skip_serializing_if = "Option::is_none")]
    responses: Option<Responses>,
}

#[derive(Debug, Serialize)]
struct Subjects {
    #[serde(skip_serializing_if = "is_zero")]
    allow: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    deny: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Responses {
    max: i64,
    ttl: Nanos,
}

impl UserInfo {
    /// What `requester` is told about himself.
    pub fn new(requester: Requester) -> Self {
        UserInfo {
            user: requester.user,
            account: requester.account,
            account_name: requester.account_name,
            user_name: requester.user_name,
            permissions: requester.permissions.map(Permissions::new),
            expires: Nanos(requester.expires.unwrap_or_default()),
        }
    }
}

impl Permissions {
    fn new(spec: PermissionsSpec) -> Self {
        let subjects = |permission: Option<SubjectPermission>| {
            let SubjectPermission { allow, deny } = permission.unwrap_or_default();
            Subjects { allow, deny }
        };
        let responses = |permission: ResponsePermission| Responses {
            max: permission.max_msgs,
            ttl: Nanos(permission.expires.unwrap_or_default()),
        };
        Permissions {
            publish: subjects(spec.publish),
            subscribe: subjects(spec.subscribe),
            responses: spec.allow_responses.map(responses),
        }
    }
}

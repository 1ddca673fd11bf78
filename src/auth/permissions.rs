//! Permissions: allow and deny lists over subjects, compiled for the hot path.

use std::time::Duration;

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

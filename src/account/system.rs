//! The services every account takes from the system account without asking.
//!
//! They let an ordinary user see its own account and itself (spec core §3.6): requests are
//! carried to subjects that name the account, so that nobody can ask about another. The
//! system account's own users ask about accounts directly; only about themselves they ask
//! as everybody does. Separate because they are a list that grows, not a rule.

use super::export::{RESPONSE_THRESHOLD, ResponseKind};
use super::import::{ServiceImport, SubjectMap};

/// What the system account takes, too.
const USER_INFO: &str = "$SYS.REQ.USER.INFO";

/// The implicit imports of `account` from the system account `system`, which may be itself.
pub fn implicit_imports(account: &str, system: &str) -> Vec<ServiceImport> {
    let connections = format!("$SYS.REQ.ACCOUNT.{account}.CONNZ");
    let statistics = format!("$SYS.REQ.ACCOUNT.{account}.STATZ");
    let user = format!("$SYS.REQ.USER.{account}.INFO");
    let many = ResponseKind::Stream;
    let rows = [
        ("$SYS.REQ.ACCOUNT.PING.CONNZ", &connections, many, false),
        ("$SYS.REQ.SERVER.PING.CONNZ", &connections, many, false),
        ("$SYS.REQ.ACCOUNT.PING.STATZ", &statistics, many, false),
        // The answer is about whoever asks, so who asks has to be told.
        (USER_INFO, &user, ResponseKind::Singleton, true),
    ];
    let import =
        |(local, remote, response, share): (&str, &String, ResponseKind, bool)| ServiceImport {
            local: local.to_owned(),
            exporter: system.to_owned(),
            remote: remote.clone(),
            map: SubjectMap::Fixed(remote.clone()),
            share,
            response,
            response_threshold: RESPONSE_THRESHOLD,
            latency: None,
            allow_trace: false,
        };
    let taken = rows
        .into_iter()
        .filter(|(local, ..)| account != system || *local == USER_INFO);
    taken.map(import).collect()
}

//! Subjects of system requests: which exist, and what each asks for.
//!
//! Separate from the answers because the server subscribes to exactly these subjects: one
//! subject each, so that a request for anything else finds nobody and is told so.

/// What one server is asked, by `SERVER.<id>.<X>` or `SERVER.PING.<X>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerQuestion {
    /// Who are you?
    Idz,
    /// Figures, as in the regular event.
    Statsz,
    /// As `/varz`.
    Varz,
    /// As `/subsz`.
    Subsz,
    /// As `/connz`.
    Connz,
    /// As `/routez`.
    Routez,
    /// As `/gatewayz`.
    Gatewayz,
    /// As `/leafz`.
    Leafz,
    /// As `/accountz`.
    Accountz,
    /// As `/jsz`.
    Jsz,
    /// As `/healthz`.
    Healthz,
    /// A runtime profile; not available here.
    Profilez,
    /// Runtime variables; not available here.
    Expvarz,
    /// Internal queues; not available here.
    IpQueuesz,
    /// As `/raftz`.
    Raftz,
}

const SERVER_QUESTIONS: [(&str, ServerQuestion); 15] = [
    ("IDZ", ServerQuestion::Idz),
    ("STATSZ", ServerQuestion::Statsz),
    ("VARZ", ServerQuestion::Varz),
    ("SUBSZ", ServerQuestion::Subsz),
    ("CONNZ", ServerQuestion::Connz),
    ("ROUTEZ", ServerQuestion::Routez),
    ("GATEWAYZ", ServerQuestion::Gatewayz),
    ("LEAFZ", ServerQuestion::Leafz),
    ("ACCOUNTZ", ServerQuestion::Accountz),
    ("JSZ", ServerQuestion::Jsz),
    ("HEALTHZ", ServerQuestion::Healthz),
    ("PROFILEZ", ServerQuestion::Profilez),
    ("EXPVARZ", ServerQuestion::Expvarz),
    ("IPQUEUESZ", ServerQuestion::IpQueuesz),
    ("RAFTZ", ServerQuestion::Raftz),
];

/// What one server is told to do, by `SERVER.<id>.<X>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Read the configuration again.
    Reload,
    /// Close a connection.
    Kick,
    /// Ask a client to go elsewhere.
    LameDuck,
}

const ORDERS: [(&str, Order); 3] = [
    ("RELOAD", Order::Reload),
    ("KICK", Order::Kick),
    ("LDM", Order::LameDuck),
];

/// What is asked about one account, by `ACCOUNT.<account>.<X>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountQuestion {
    /// Its subscriptions.
    Subsz,
    /// Its connections.
    Connz,
    /// Its leafnodes.
    Leafz,
    /// Its JetStream.
    Jsz,
    /// Its tables.
    Info,
    /// Its figures.
    Statz,
    /// Its figures as an event, without an envelope.
    Conns,
}

const ACCOUNT_QUESTIONS: [(&str, AccountQuestion); 7] = [
    ("SUBSZ", AccountQuestion::Subsz),
    ("CONNZ", AccountQuestion::Connz),
    ("LEAFZ", AccountQuestion::Leafz),
    ("JSZ", AccountQuestion::Jsz),
    ("INFO", AccountQuestion::Info),
    ("STATZ", AccountQuestion::Statz),
    ("CONNS", AccountQuestion::Conns),
];

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// About this server.
    Server(ServerQuestion),
    /// To this server.
    Order(Order),
    /// About an account.
    Account(&'a str, AccountQuestion),
    /// Figures of all accounts.
    AccountsStatz,
    /// How many subscribers; asked by other servers.
    SubscriberCount,
    /// Who am I? From a user of that account.
    UserInfo(&'a str),
    /// How many subscribers; asked by a person.
    DebugSubscribers,
}

/// What a subject asks of the server `server_id`; `None` if it is no request to it.
pub fn classify<'a>(subject: &'a str, server_id: &str) -> Option<Request<'a>> {
    if subject == "$SYS.DEBUG.SUBSCRIBERS" {
        return Some(Request::DebugSubscribers);
    }
    let mut tokens = subject.strip_prefix("$SYS.REQ.")?.split('.');
    let tokens = [tokens.next(), tokens.next(), tokens.next(), tokens.next()];
    match tokens {
        [Some("SERVER"), Some("PING"), None, None] => Some(Request::Server(ServerQuestion::Statsz)),
        [Some("SERVER"), Some("PING"), Some(name), None] => {
            find(&SERVER_QUESTIONS, name).map(Request::Server)
        }
        [Some("SERVER"), Some(id), Some(name), None] if id == server_id => {
            let question = find(&SERVER_QUESTIONS, name).map(Request::Server);
            question.or_else(|| find(&ORDERS, name).map(Request::Order))
        }
        [Some("ACCOUNT"), Some("NSUBS"), None, None] => Some(Request::SubscriberCount),
        [Some("ACCOUNT"), Some("PING"), Some("STATZ"), None] => Some(Request::AccountsStatz),
        [Some("ACCOUNT"), Some(account), Some(name), None] => {
            find(&ACCOUNT_QUESTIONS, name).map(|question| Request::Account(account, question))
        }
        [Some("USER"), Some(account), Some("INFO"), None] => Some(Request::UserInfo(account)),
        _ => None,
    }
}

fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    let found = table.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

/// Filters to subscribe to in the system account, each with whether other servers may hear
/// of the subscription.
pub fn subscriptions(server_id: &str) -> Vec<(String, bool)> {
    let mut filters = vec!["$SYS.REQ.SERVER.PING".to_owned()];
    for (name, _) in SERVER_QUESTIONS {
        filters.push(format!("$SYS.REQ.SERVER.PING.{name}"));
        filters.push(format!("$SYS.REQ.SERVER.{server_id}.{name}"));
    }
    for (name, _) in ORDERS {
        filters.push(format!("$SYS.REQ.SERVER.{server_id}.{name}"));
    }
    for (name, _) in ACCOUNT_QUESTIONS {
        // `ACCOUNT.PING.STATZ` matches here too: one subscription answers once.
        filters.push(format!("$SYS.REQ.ACCOUNT.*.{name}"));
    }
    filters.push("$SYS.REQ.ACCOUNT.NSUBS".to_owned());
    let mut filters: Vec<_> = filters.into_iter().map(|filter| (filter, true)).collect();
    filters.push(("$SYS.REQ.USER.*.INFO".to_owned(), false));
    filters.push(("$SYS.DEBUG.SUBSCRIBERS".to_owned(), false));
    filters
}

/// A service that every account takes from the system account without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutomaticImport {
    /// The subject in the account.
    pub local: &'static str,
    /// The subject in the system account.
    pub system: String,
    /// Whether the answering side learns who asks.
    pub share: bool,
}

/// What `account` takes, so that users can ask about themselves. The system account itself
/// takes only the last one.
pub fn automatic_imports(account: &str) -> [AutomaticImport; 4] {
    let import = |local, system: String, share| AutomaticImport {
        local,
        system,
        share,
    };
    let connz = || format!("$SYS.REQ.ACCOUNT.{account}.CONNZ");
    [
        import("$SYS.REQ.ACCOUNT.PING.CONNZ", connz(), false),
        import("$SYS.REQ.SERVER.PING.CONNZ", connz(), false),
        import(
            "$SYS.REQ.ACCOUNT.PING.STATZ",
            format!("$SYS.REQ.ACCOUNT.{account}.STATZ"),
            false,
        ),
        import(
            "$SYS.REQ.USER.INFO",
            format!("$SYS.REQ.USER.{account}.INFO"),
            true,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::wildcard;

    #[test]
    fn subjects_say_what_is_asked() {
        use Request::*;
        let check = |subject, expected| assert_eq!(classify(subject, "ME"), expected, "{subject}");
        check("$SYS.REQ.SERVER.PING", Some(Server(ServerQuestion::Statsz)));
        check(
            "$SYS.REQ.SERVER.PING.VARZ",
            Some(Server(ServerQuestion::Varz)),
        );
        check(
            "$SYS.REQ.SERVER.ME.VARZ",
            Some(Server(ServerQuestion::Varz)),
        );
        check("$SYS.REQ.SERVER.ME.KICK", Some(Order(super::Order::Kick)));
        check("$SYS.REQ.SERVER.PING.KICK", None);
        check("$SYS.REQ.SERVER.YOU.VARZ", None);
        check("$SYS.REQ.SERVER.ME.VARZ.X", None);
        check("$SYS.REQ.SERVER.ME.NOTHING", None);
        check(
            "$SYS.REQ.ACCOUNT.A.INFO",
            Some(Account("A", AccountQuestion::Info)),
        );
        check("$SYS.REQ.ACCOUNT.PING.STATZ", Some(AccountsStatz));
        check(
            "$SYS.REQ.ACCOUNT.PING.CONNZ",
            Some(Account("PING", AccountQuestion::Connz)),
        );
        check("$SYS.REQ.ACCOUNT.NSUBS", Some(SubscriberCount));
        check("$SYS.REQ.USER.A.INFO", Some(UserInfo("A")));
        check("$SYS.REQ.USER.INFO", None);
        check("$SYS.DEBUG.SUBSCRIBERS", Some(DebugSubscribers));
        check("foo", None);
    }

    #[test]
    fn every_subscription_leads_to_a_request_and_no_two_overlap() {
        let filters = subscriptions("ME");
        for (filter, _) in &filters {
            let subject = filter.replace('*', "A");
            assert!(classify(&subject, "ME").is_some(), "{filter}");
            let hits = filters
                .iter()
                .filter(|(other, _)| wildcard::covers(other.as_bytes(), subject.as_bytes()));
            assert_eq!(hits.count(), 1, "{filter}");
        }
    }

    #[test]
    fn every_automatic_import_leads_to_a_request() {
        for import in automatic_imports("A") {
            assert!(classify(&import.system, "ME").is_some(), "{import:?}");
        }
    }
}

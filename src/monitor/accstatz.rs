//! `/accstatz`: figures of accounts.
//!
//! Invariants: without being asked for unused accounts only those with local connections
//! are shown; `sent` and `received` are from the server's point of view. The same figures
//! make the event `SERVER.CONNS`.

use serde::Serialize;

use super::go_format::Time;
use super::source::{AccountSnapshot, AccountTraffic, Source, Traffic};

/// What a caller may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountStatzOptions {
    /// Only these accounts; empty for all.
    pub accounts: Vec<String>,
    /// Also accounts without connections.
    pub include_unused: bool,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct AccountStatz {
    server_id: String,
    now: Time,
    account_statz: Vec<AccountStat>,
}

impl AccountStatz {
    /// Answers `options`.
    pub fn new(source: &dyn Source, options: &AccountStatzOptions) -> Self {
        let mut accounts = if options.accounts.is_empty() {
            source.accounts()
        } else {
            let names = options.accounts.iter();
            names.filter_map(|name| source.account(name)).collect()
        };
        if !options.include_unused {
            accounts.retain(|account| account.clients + account.leafnodes > 0);
        }
        AccountStatz {
            server_id: source.facts().server_id.clone(),
            now: Time(source.now()),
            account_statz: accounts.into_iter().map(AccountStat::new).collect(),
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.account_statz.is_empty()
    }
}

/// Figures of one account.
#[derive(Debug, Serialize)]
pub struct AccountStat {
    acc: String,
    name: String,
    conns: u64,
    leafnodes: u64,
    total_conns: u64,
    num_subscriptions: u64,
    sent: LinkTraffic,
    received: LinkTraffic,
    slow_consumers: u64,
}

impl AccountStat {
    /// The figures of `account`.
    pub fn new(account: AccountSnapshot) -> Self {
        AccountStat {
            acc: account.name,
            name: account.name_tag,
            conns: account.clients,
            leafnodes: account.leafnodes,
            total_conns: account.clients + account.leafnodes,
            num_subscriptions: account.sublist.subscriptions,
            sent: LinkTraffic::new(account.sent),
            received: LinkTraffic::new(account.received),
            slow_consumers: account.slow_consumers,
        }
    }
}

/// Traffic, in sum and by link.
#[derive(Debug, Serialize)]
struct LinkTraffic {
    msgs: u64,
    bytes: u64,
    gateways: Traffic,
    routes: Traffic,
    leafs: Traffic,
}

impl LinkTraffic {
    fn new(traffic: AccountTraffic) -> Self {
        LinkTraffic {
            msgs: traffic.all.msgs,
            bytes: traffic.all.bytes,
            gateways: traffic.gateways,
            routes: traffic.routes,
            leafs: traffic.leafs,
        }
    }
}

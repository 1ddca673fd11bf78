//! `accounts {}`, server-wide `mappings`, and which account is the server's own.

use crate::account::AccountSpec;
use crate::account::mapping::MappingSpec;

/// The accounts of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accounts {
    /// Configured accounts, in file order. Default: none; `$G` and `$SYS` exist anyway.
    pub accounts: Vec<AccountSpec>,
    /// Mappings of account `$G`, in file order. Default: none.
    pub mappings: Vec<MappingSpec>,
    /// The account of the server itself. Default: `None`, which is `$SYS`.
    pub system_account: Option<String>,
    /// Do without a system account. Default false.
    pub no_system_account: bool,
    /// JetStream domain of accounts that have none here. Default: none.
    pub default_js_domain: Vec<(String, String)>,
}

impl Accounts {
    /// The configured account of that name.
    pub fn get(&self, name: &str) -> Option<&AccountSpec> {
        self.accounts.iter().find(|account| account.name == name)
    }
}

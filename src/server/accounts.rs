//! From checked accounts to live ones, at the start and at each reload.
//!
//! Separate because a reload must not touch what has not changed: setting a policy makes
//! cached matches stale and takes imports down for a moment, in which messages are lost.
//!
//! Invariants: an account is set up anew only if its block has changed, or that of an
//! account it imports from; the global and the system account never go.

use std::collections::HashSet;
use std::sync::Arc;

use crate::account::{self, AccountSpec};
use crate::config::options::Options;
use crate::pubsub::accounts::{Account, Accounts, Policy};

/// Makes the live accounts what the checked ones say.
pub(super) fn apply(live: &Accounts, checked: &account::Accounts) {
    apply_some(live, checked, |_| true);
}

/// Carries over what differs between `old` and `new`, and takes removed accounts away.
/// Their clients are sent away by the new users.
pub(super) fn reapply(live: &Accounts, checked: &account::Accounts, old: &Options, new: &Options) {
    let changed = changed(old, new);
    let is_changed = |name: &str| changed.contains(name);
    apply_some(live, checked, |account| {
        let streams = account.stream_imports.iter().map(|i| &i.exporter);
        let services = account.service_imports.iter().map(|i| &i.exporter);
        is_changed(&account.name) || streams.chain(services).any(|name| is_changed(name))
    });
    for account in live.all() {
        let stays = checked.get(&account.name).is_some() || *account.name == *account::GLOBAL;
        if !stays {
            account.set_policy(Policy::default());
            account.wire(live);
            live.remove(&account.name);
        }
    }
}

fn apply_some(
    live: &Accounts,
    checked: &account::Accounts,
    is_wanted: impl Fn(&account::Account) -> bool,
) {
    let system = checked.system().map(|system| system.name.as_str());
    let wanted = checked.iter().filter(|spec| is_wanted(spec));
    let wanted: Vec<Arc<Account>> = wanted
        .map(|spec| {
            let account = live.get_or_create(&spec.name);
            account.set_policy(policy(spec, system == Some(&spec.name)));
            account
        })
        .collect();
    // Imports need the accounts they lead to.
    for account in wanted {
        account.wire(live);
    }
}

fn policy(spec: &account::Account, is_system: bool) -> Policy {
    Policy {
        limits: spec.limits,
        mappings: spec.mappings.clone(),
        stream_imports: spec.stream_imports.iter().cloned().map(Arc::new).collect(),
        service_imports: spec.service_imports.iter().cloned().map(Arc::new).collect(),
        exports: spec.exports.clone(),
        is_system,
    }
}

/// The names of accounts whose blocks differ in more than users.
fn changed<'a>(old: &'a Options, new: &'a Options) -> HashSet<&'a str> {
    let without_users = |spec: &AccountSpec| AccountSpec {
        users: Vec::new(),
        default_permissions: None,
        ..spec.clone()
    };
    let (old_specs, new_specs) = (&old.accounts.accounts, &new.accounts.accounts);
    let is_in = |spec: &AccountSpec, specs: &[AccountSpec]| {
        let spec = without_users(spec);
        specs.iter().any(|other| without_users(other) == spec)
    };
    let gone = old_specs.iter().filter(|spec| !is_in(spec, new_specs));
    let fresh = new_specs.iter().filter(|spec| !is_in(spec, old_specs));
    let mut names: HashSet<&str> = gone.chain(fresh).map(|spec| spec.name.as_str()).collect();
    if old.accounts.mappings != new.accounts.mappings {
        names.insert(account::GLOBAL);
    }
    names
}

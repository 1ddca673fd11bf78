//! The accounts of a running server.
//!
//! An [`Account`] joins what is configured ([`Policy`], replaced by a reload) with what is
//! alive: subscriptions and counters. Links hold their account by `Arc`, so an account that
//! a reload removed stays until its last link has gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::interest::Interest;
use super::subscription::Subscription;
use crate::account::limits::AccountLimits;

/// An account at work.
pub struct Account {
    /// Its name.
    pub name: Arc<str>,
    /// Its subscriptions.
    pub interest: Interest,
    /// Counters.
    pub counters: AccountCounters,
    policy: RwLock<Arc<Policy>>,
}

/// What is configured of an account and changes with a reload.
#[derive(Debug, Default)]
pub struct Policy {
    /// Limits of the whole account.
    pub limits: AccountLimits,
}

/// Counters of an account.
#[derive(Debug, Default)]
pub struct AccountCounters {
    /// Open clients.
    pub clients: AtomicU64,
    /// Subscriptions of clients.
    pub subscriptions: AtomicU64,
    /// Messages and bytes received from clients that are gone.
    pub received: (AtomicU64, AtomicU64),
    /// Messages and bytes sent to clients that are gone.
    pub sent: (AtomicU64, AtomicU64),
    /// Clients cut because they read too slowly.
    pub slow_consumers: AtomicU64,
}

impl Account {
    /// An account without subscriptions and limits.
    pub fn new(name: &str) -> Arc<Account> {
        Arc::new(Account {
            name: name.into(),
            interest: Interest::default(),
            counters: AccountCounters::default(),
            policy: RwLock::default(),
        })
    }

    /// What is configured now.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read())
    }

    /// Replaces what is configured; cached matches become stale.
    pub fn set_policy(&self, policy: Policy) {
        *self.policy.write() = Arc::new(policy);
        self.interest.bump_all();
    }

    /// The limits that hold now.
    pub fn limits(&self) -> AccountLimits {
        self.policy.read().limits
    }

    /// Adds a client's subscription.
    pub fn subscribe(&self, subscription: &Arc<Subscription>) {
        self.counters.subscriptions.fetch_add(1, Ordering::Relaxed);
        self.interest.insert(subscription);
    }

    /// Removes a client's subscription; nothing happens if it is gone.
    pub fn unsubscribe(&self, subscription: &Arc<Subscription>) {
        if self.interest.remove(subscription) {
            self.counters.subscriptions.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Subscriptions of clients.
    pub fn client_subscriptions(&self) -> u64 {
        self.counters.subscriptions.load(Ordering::Relaxed)
    }

    /// Counts one more client, unless the account is full.
    pub fn admit(&self) -> bool {
        let max = self.limits().connections_max.unwrap_or(u64::MAX);
        self.counters
            .clients
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                (now < max).then_some(now + 1)
            })
            .is_ok()
    }

    /// Counts one client less.
    pub fn leave(&self) {
        self.counters.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All accounts by name.
pub struct Accounts {
    by_name: RwLock<HashMap<Arc<str>, Arc<Account>>>,
}

impl Accounts {
    /// Accounts of these names.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let by_name = names
            .into_iter()
            .map(Account::new)
            .map(|a| (Arc::clone(&a.name), a));
        Accounts {
            by_name: RwLock::new(by_name.collect()),
        }
    }

    /// The account of that name.
    pub fn get(&self, name: &str) -> Option<Arc<Account>> {
        self.by_name.read().get(name).cloned()
    }

    /// The account of that name, made if it is new.
    pub fn get_or_create(&self, name: &str) -> Arc<Account> {
        let mut by_name = self.by_name.write();
        let account = by_name
            .entry(name.into())
            .or_insert_with(|| Account::new(name));
        Arc::clone(account)
    }

    /// Takes an account away; its links have to be closed by whoever asks.
    pub fn remove(&self, name: &str) {
        self.by_name.write().remove(name);
    }

    /// Every account, by name.
    pub fn all(&self) -> Vec<Arc<Account>> {
        let mut all: Vec<_> = self.by_name.read().values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

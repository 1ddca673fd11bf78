//! The accounts of a running server.
//!
//! An [`Account`] joins what is configured ([`Policy`], replaced by a reload) with what is
//! alive: subscriptions and counters. Links hold their account by `Arc`, so an account that
//! a reload removed stays until its last link has gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::cache_figures::Caches;
use super::interest::Interest;
use super::replies::Replies;
use super::service_import::{ReplySink, ServiceImportSink};
use super::stream_import::Shadow;
use super::subscription::Subscription;
use crate::account::export::ExportSpec;
use crate::account::import::{ServiceImport, StreamImport};
use crate::account::limits::AccountLimits;
use crate::account::mapping::Mappings;
use crate::clock::{self, Timestamp};
use crate::connection::id::ConnId;
use crate::entropy::Random;
use crate::nuid;
use crate::subject::reserved;
use crate::subject::sublist::Keyed;

/// An account at work.
pub struct Account {
    /// Its name.
    pub name: Arc<str>,
    /// Its subscriptions.
    pub interest: Interest,
    /// Counters.
    pub counters: AccountCounters,
    /// The match caches of its links.
    pub caches: Caches,
    /// Answers that other accounts wait for.
    pub replies: Replies,
    /// `_R_.<token>.`: what those answers are published to.
    reply_prefix: Vec<u8>,
    policy: RwLock<Arc<Policy>>,
    has_mappings: AtomicBool,
    /// Subscriptions made by the policy: imports, and where answers come back.
    wiring: Mutex<Vec<Arc<Subscription>>>,
    /// What subscriptions of this account have in exporting accounts.
    shadows: Mutex<HashMap<u64, Vec<Placed>>>,
    /// When the policy was set last.
    pub updated: Mutex<Timestamp>,
}

/// A shadow and the account it is in.
struct Placed {
    exporter: Arc<Account>,
    shadow: Arc<Subscription>,
}

/// What is configured of an account and changes with a reload.
#[derive(Debug, Default)]
pub struct Policy {
    /// Limits of the whole account.
    pub limits: AccountLimits,
    /// Subjects that go out as others.
    pub mappings: Mappings,
    /// Streams taken from others.
    pub stream_imports: Vec<Arc<StreamImport>>,
    /// Services taken from others.
    pub service_imports: Vec<Arc<ServiceImport>>,
    /// What is offered to others.
    pub exports: Vec<ExportSpec>,
    /// This is the account in which servers speak.
    pub is_system: bool,
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
            caches: Caches::default(),
            replies: Replies::default(),
            reply_prefix: reply_prefix(),
            policy: RwLock::default(),
            has_mappings: AtomicBool::new(false),
            wiring: Mutex::default(),
            shadows: Mutex::default(),
            updated: Mutex::new(clock::now()),
        })
    }

    /// What is configured now.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read())
    }

    /// Replaces what is configured; cached matches become stale. The wiring follows with
    /// [`Account::wire`], when all accounts have their new policies.
    pub fn set_policy(&self, policy: Policy) {
        self.has_mappings
            .store(!policy.mappings.is_empty(), Ordering::Release);
        *self.policy.write() = Arc::new(policy);
        *self.updated.lock() = clock::now();
        self.interest.bump_all();
    }

    /// Subjects published here may be mapped.
    pub fn has_mappings(&self) -> bool {
        self.has_mappings.load(Ordering::Acquire)
    }

    /// What answers to other accounts are published to.
    pub fn reply_prefix(&self) -> &[u8] {
        &self.reply_prefix
    }

    /// Makes imports work as the policy says: subscriptions that carry requests over, and
    /// shadows for subscriptions that are there already.
    pub fn wire(self: &Arc<Self>, accounts: &Accounts) {
        let policy = self.policy();
        let mut fresh: Vec<_> = ReplySink::subscription(self).into_iter().collect();
        for import in &policy.service_imports {
            let exporter = accounts.get(&import.exporter);
            fresh.extend(exporter.and_then(|e| ServiceImportSink::subscription(import, self, &e)));
        }
        for subscription in &fresh {
            self.interest.insert(subscription);
        }
        let old = std::mem::replace(&mut *self.wiring.lock(), fresh);
        for subscription in &old {
            self.interest.remove(subscription);
        }
        for placed in std::mem::take(&mut *self.shadows.lock())
            .into_values()
            .flatten()
        {
            placed.exporter.interest.remove(&placed.shadow);
        }
        if !policy.stream_imports.is_empty() {
            for subscription in self.interest.all() {
                self.place_shadows(&subscription, accounts);
            }
        }
    }

    fn place_shadows(&self, subscription: &Arc<Subscription>, accounts: &Accounts) {
        let policy = self.policy();
        if subscription.sink.owner() == ConnId::default() || subscription.shadow().is_some() {
            return;
        }
        for import in &policy.stream_imports {
            let placed = accounts
                .get(&import.exporter)
                .zip(Shadow::of(subscription, import));
            let Some((exporter, shadow)) = placed else {
                continue;
            };
            exporter.interest.insert(&shadow);
            let mut shadows = self.shadows.lock();
            shadows
                .entry(subscription.key())
                .or_default()
                .push(Placed { exporter, shadow });
        }
    }

    /// The limits that hold now.
    pub fn limits(&self) -> AccountLimits {
        self.policy.read().limits
    }

    /// Adds a client's subscription.
    pub fn subscribe(&self, subscription: &Arc<Subscription>, accounts: &Accounts) {
        self.counters.subscriptions.fetch_add(1, Ordering::Relaxed);
        self.interest.insert(subscription);
        if !self.policy.read().stream_imports.is_empty() {
            self.place_shadows(subscription, accounts);
        }
    }

    /// Removes a client's subscription; nothing happens if it is gone.
    pub fn unsubscribe(&self, subscription: &Arc<Subscription>) {
        if let Some(shadow) = subscription.shadow() {
            // The real one ends, and with it all its shadows, when its session hears of it.
            shadow.parent().close();
            return;
        }
        if self.interest.remove(subscription) {
            self.counters.subscriptions.fetch_sub(1, Ordering::Relaxed);
        }
        let placed = self.shadows.lock().remove(&subscription.key());
        for placed in placed.into_iter().flatten() {
            placed.exporter.interest.remove(&placed.shadow);
        }
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

/// A reply prefix nobody else has.
fn reply_prefix() -> Vec<u8> {
    const TOKEN_LEN: usize = 6;
    let token = nuid::token(&mut Random::from_system(), TOKEN_LEN);
    [reserved::SERVICE_REPLY, token.as_bytes(), b"."].concat()
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

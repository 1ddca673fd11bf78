//! What the system account hears: connects, disconnects, refusals, figures.
//!
//! Events are made only when somebody listens. They are published on the thread where
//! they happen; a subscriber that is slow pays for itself, as with any message.

use std::sync::Arc;

use parking_lot::Mutex;

use super::live::{self, Live};
use crate::account;
use crate::client::entry::Client;
use crate::client::observer::Observer;
use crate::clock;
use crate::connection::close::CloseReason;
use crate::entropy::Random;
use crate::monitor::Monitor;
use crate::monitor::source::{ConnectionSnapshot, Source};
use crate::monitor::system_events::{self, Event, Stamp};
use crate::nuid::Nuid;
use crate::pubsub::accounts::{Account, Accounts};
use crate::pubsub::internal;
use crate::pubsub::subscription::Subscription;

/// Publishes events, and remembers closed connections.
pub struct Events {
    /// The system account; `None`: nobody is told anything.
    system: Option<Arc<Account>>,
    accounts: Arc<Accounts>,
    live: Arc<Live>,
    monitor: Arc<Monitor>,
    ids: Mutex<Nuid>,
}

impl Events {
    /// Events of `live`, published into `system`.
    pub fn new(
        system: Option<Arc<Account>>,
        accounts: Arc<Accounts>,
        live: Arc<Live>,
        monitor: Arc<Monitor>,
    ) -> Self {
        Events {
            system,
            accounts,
            live,
            monitor,
            ids: Mutex::new(Nuid::new(Random::from_system())),
        }
    }

    /// The system account.
    pub fn system(&self) -> Option<&Arc<Account>> {
        self.system.as_ref()
    }

    /// A new unique id.
    pub fn next_id(&self) -> String {
        self.ids.lock().next_id()
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            server: self.monitor.speaker(),
            id: self.next_id(),
            time: clock::now(),
        }
    }

    /// Publishes in the system account what `make` makes, if somebody listens to `subject`.
    fn tell(&self, subject: &str, make: impl FnOnce() -> Event) {
        let Some(system) = &self.system else { return };
        if system.interest.has_interest(subject.as_bytes()) {
            let event = make();
            internal::publish(system, &event.subject, "", None, event.body.as_bytes());
        }
    }

    /// Regular figures.
    pub fn statsz(&self) {
        let subject = system_events::statsz_subject(&self.live.facts().server_id);
        self.tell(&subject, || {
            system_events::statsz(&*self.live, self.monitor.speaker())
        });
    }

    /// Figures of every account that has connections.
    pub fn all_account_figures(&self) {
        for account in self.live.accounts() {
            if account.clients > 0 {
                self.account_figures(&account.name);
            }
        }
    }

    fn account_figures(&self, name: &str) {
        let Some(system) = &self.system else { return };
        if name == account::GLOBAL {
            return;
        }
        let subjects = system_events::account_connections_subjects(name);
        let wanted = |subject: &String| system.interest.has_interest(subject.as_bytes());
        if !subjects.iter().any(wanted) {
            return;
        }
        let Some(snapshot) = self.live.account(name) else {
            return;
        };
        let mut stamp = self.stamp();
        for subject in subjects {
            let event = system_events::account_connections(&stamp, snapshot.clone(), subject);
            internal::publish(system, &event.subject, "", None, event.body.as_bytes());
            stamp.server = self.monitor.speaker();
        }
    }

    /// The server enters lame duck mode.
    pub fn lame_duck(&self) {
        let event = system_events::lame_duck(&self.monitor.speaker());
        self.tell(&event.subject.clone(), || event);
    }

    /// The server ends.
    pub fn shutdown(&self) {
        let event = system_events::shutdown(&self.monitor.speaker());
        self.tell(&event.subject.clone(), || event);
    }

    /// As [`Events::gone`]; who never got into an account counts as of the global one.
    fn refusal(client: &Arc<Client>, reason: CloseReason) -> ConnectionSnapshot {
        let mut connection = Self::gone(client, reason);
        if connection.account.is_empty() {
            account::GLOBAL.clone_into(&mut connection.account);
            account::GLOBAL.clone_into(&mut connection.name_tag);
        }
        connection
    }

    fn gone(client: &Arc<Client>, reason: CloseReason) -> ConnectionSnapshot {
        let mut connection = live::connection(client, false);
        connection.stop = Some(clock::now());
        reason.text().clone_into(&mut connection.reason);
        connection
    }
}

impl Observer for Events {
    fn connected(&self, client: &Arc<Client>) {
        let Some(account) = client.account() else {
            return;
        };
        self.tell(&format!("$SYS.ACCOUNT.{}.CONNECT", account.name), || {
            system_events::client_connect(&self.stamp(), &live::connection(client, false))
        });
    }

    fn disconnected(&self, client: &Arc<Client>, reason: CloseReason) {
        let Some(account) = client.account() else {
            return;
        };
        self.tell(&format!("$SYS.ACCOUNT.{}.DISCONNECT", account.name), || {
            system_events::client_disconnect(&self.stamp(), &Self::gone(client, reason))
        });
    }

    fn refused(&self, client: &Arc<Client>, reason: CloseReason) {
        let refusal = Self::refusal(client, reason);
        let id = self.live.facts().server_id.clone();
        self.tell(&format!("$SYS.SERVER.{id}.CLIENT.AUTH.ERR"), || {
            system_events::auth_error(&self.stamp(), &refusal)
        });
        if refusal.account == account::GLOBAL {
            self.tell(
                &format!("$SYS.ACCOUNT.{}.DISCONNECT", account::GLOBAL),
                || system_events::client_disconnect(&self.stamp(), &refusal),
            );
        }
        let account = client
            .account()
            .and_then(|account| self.accounts.get(&account.name));
        if let Some(account) = account {
            let event = system_events::account_auth_error(
                &self.stamp(),
                &Self::gone(client, reason),
                &account.name,
            );
            internal::publish(&account, &event.subject, "", None, event.body.as_bytes());
        }
    }

    fn closed(
        &self,
        client: &Arc<Client>,
        reason: CloseReason,
        subscriptions: &[Arc<Subscription>],
    ) {
        self.live.remember(client, reason, subscriptions);
    }

    fn account_changed(&self, account: &str) {
        self.account_figures(account);
    }
}

//! `CONNECT`: from what a client says to who it is, and its leave.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::by_sid::BySid;
use super::entry::Details;
use super::session::{ClientSession, Phase};
use crate::account;
use crate::auth::credentials::Credentials;
use crate::auth::decision::RefuseReason;
use crate::auth::tls_map::CertificateNames;
use crate::auth::users::{ConnectionType, User};
use crate::clock;
use crate::connection::close::CloseReason;
use crate::login::{Decided, Outcome};
use crate::protocol::connect::Connect;
use crate::protocol::error::ClientError;
use crate::telemetry::protocol_trace::quoted;

/// Subscriptions that are remembered of a client that is gone.
const LAST_SUBSCRIPTIONS_MAX: usize = 256;

impl ClientSession {
    /// Somebody says who he is.
    pub(super) fn on_connect(&mut self, json: &[u8]) {
        // What a later CONNECT does not say stays as it was.
        let mut connect = self.connect.clone();
        if let Err(error) = connect.update(json) {
            // Its text might show a password.
            let column = error.column();
            tracing::error!(
                link = self.client.label(),
                "CONNECT: wrong JSON at column {column}"
            );
            return self.close(CloseReason::ProtocolViolation);
        }
        self.client.answered(clock::now());
        self.client.update(|details| {
            details.name.clone_from(&connect.name);
            details.lang.clone_from(&connect.lang);
            details.version.clone_from(&connect.version);
            details.async_info = connect.protocol >= 1;
        });
        // A second CONNECT begins anew.
        self.unsubscribe_all();
        let credentials = self.credentials(&connect);
        self.client
            .update(|details| credentials.shown_name().clone_into(&mut details.shown_user));
        self.connect = connect;
        match self.front.login.decide(&credentials) {
            Outcome::Accepted(user) => self.on_decided(Ok(user)),
            Outcome::Refused(reason) => self.on_decided(Err(reason)),
            Outcome::Later(decided) => {
                self.phase = Phase::Verifying {
                    decided,
                    again: false,
                };
            }
        }
    }

    fn credentials(&self, connect: &Connect) -> Credentials {
        let tls = self.client.tls.as_ref().filter(|tls| tls.is_verified);
        let leaf = tls.and_then(|tls| tls.certificates.first());
        Credentials {
            user: connect.user.clone(),
            password: connect.pass.clone(),
            token: connect.auth_token.clone(),
            nkey: connect.nkey.clone(),
            signature: connect.sig.clone(),
            jwt: connect.jwt.clone(),
            nonce: self.client.nonce.clone(),
            names_account: !connect.account.is_empty() || connect.new_account,
            certificate: leaf.and_then(|der| CertificateNames::from_der(der).ok()),
            connection_type: ConnectionType::Standard,
            is_proxied: false,
        }
    }

    /// It is known who the client is, or that it is nobody.
    pub(super) fn on_decided(&mut self, decided: Decided) {
        match decided {
            Ok(user) => self.accept(&user),
            Err(reason) => self.refuse(reason),
        }
    }

    fn refuse(&mut self, reason: RefuseReason) {
        let connect = &self.connect;
        let who = match (
            connect.nkey.as_str(),
            connect.auth_token.as_str(),
            connect.user.as_str(),
        ) {
            ("", "", "") => String::new(),
            ("", "", user) => format!("User {}", quoted(user.as_bytes())),
            ("", ..) => "Token \"[REDACTED]\"".to_owned(),
            (nkey, ..) => format!("Nkey {}", quoted(nkey.as_bytes())),
        };
        self.log_refused(&who);
        tracing::debug!(link = self.client.label(), "refused: {reason}");
        let close = match reason {
            RefuseReason::ProxyRequired => CloseReason::ProxyRequired,
            _ => CloseReason::AuthenticationFailure,
        };
        self.front.observer().refused(&self.client, close);
        self.fail(ClientError::AuthorizationViolation, close);
    }

    fn accept(&mut self, user: &Arc<User>) {
        self.connect.headers &= self.options.headers;
        if !self.enter(user) {
            return;
        }
        self.show(user);
        if !(0..=1).contains(&self.connect.protocol) {
            return self.fail(
                ClientError::InvalidClientProtocol,
                CloseReason::BadClientProtocolVersion,
            );
        }
        if self.connect.no_responders && !self.connect.headers {
            return self.fail(
                ClientError::NoRespondersRequiresHeaders,
                CloseReason::NoRespondersRequiresHeaders,
            );
        }
        let first = !self.client.details().is_connected;
        self.client.update(|details| details.is_connected = true);
        if first {
            self.front.observer().connected(&self.client);
        }
        self.reply_ok();
    }

    /// From now on log lines say who the client is.
    fn show(&self, user: &User) {
        let connect = &self.connect;
        let who = if !connect.nkey.is_empty() {
            format!("nkey:{}", connect.nkey)
        } else if !connect.user.is_empty() {
            format!("user:{}", connect.user)
        } else if !user.name.is_empty() {
            format!("user:{}", user.name)
        } else if !connect.auth_token.is_empty() {
            "token".to_owned()
        } else {
            String::new()
        };
        self.client.update(|details| details.show(&who));
    }

    /// Binds the client to the user's account, if there is room in it.
    fn enter(&mut self, user: &Arc<User>) -> bool {
        let Some(account) = self.front.accounts.get(&user.account) else {
            self.fail(
                ClientError::AuthorizationViolation,
                CloseReason::MissingAccount,
            );
            return false;
        };
        let previous = self.client.account();
        let same = previous.as_ref().is_some_and(|p| Arc::ptr_eq(p, &account));
        if !same {
            if !account.admit() {
                self.fail(
                    ClientError::MaximumAccountConnections,
                    CloseReason::MaximumAccountConnectionsExceeded,
                );
                return false;
            }
            if let Some(previous) = previous {
                previous.leave();
                self.front.observer().account_changed(&previous.name);
            }
            self.front.observer().account_changed(&account.name);
        }
        self.client.update(|details: &mut Details| {
            // Who said nothing, or came with a certificate, is shown as who he turned out to be.
            if !user.name.is_empty() {
                details.shown_user.clone_from(&user.name);
            }
            details.user = Some(Arc::clone(user));
            details.account = Some(Arc::clone(&account));
        });
        self.bind(user, &account);
        true
    }

    /// No credentials are needed: the client is in the global account from the start.
    pub(super) fn enter_without_login(&mut self) {
        let user = Arc::new(User::unrestricted("", account::GLOBAL));
        self.enter(&user);
    }

    /// An operation came before any CONNECT: fine where `no_auth_user` is configured.
    pub(super) fn enter_as_no_auth_user(&mut self) -> bool {
        if !matches!(self.phase, Phase::Expecting) || self.front.login.directory().announces_auth()
        {
            return false;
        }
        match self.front.login.decide(&self.credentials(&self.connect)) {
            Outcome::Accepted(user) => {
                let entered = self.enter(&user);
                if entered {
                    self.show(&user);
                }
                entered
            }
            Outcome::Refused(_) | Outcome::Later(_) => false,
        }
    }

    /// Users have changed: is the client still somebody, and the same? While somebody waits
    /// for the decision on his first credentials, the question is asked again after it.
    pub(super) fn reauthorize(&mut self) {
        match self.phase {
            Phase::Active => {}
            Phase::Expecting => return,
            Phase::Verifying { .. } => {
                self.is_stale = true;
                return;
            }
        }
        match self.front.login.decide(&self.credentials(&self.connect)) {
            Outcome::Accepted(user) => self.rebind(&user),
            Outcome::Refused(reason) => self.expel(reason),
            // A right password stays right unless it was changed; it is asked again.
            Outcome::Later(decided) => {
                self.phase = Phase::Verifying {
                    decided,
                    again: true,
                }
            }
        }
    }

    /// The client is no longer who it was. A user that is gone hears nothing and may come
    /// back as somebody else; one whose credentials have changed hears that.
    fn expel(&mut self, reason: RefuseReason) {
        let user = self.client.details().user;
        let directory = self.front.login.directory();
        match user {
            Some(user) if !user.name.is_empty() && !directory.knows(&user.name) => {
                self.close(CloseReason::ClientClosed);
            }
            _ => self.refuse(reason),
        }
    }

    /// Takes up what has changed of the user and the account. Nothing changes on the way of
    /// messages if neither has.
    #[allow(
        clippy::mutable_key_type,
        reason = "the key is the sid, which never changes"
    )]
    pub(super) fn rebind(&mut self, user: &Arc<User>) {
        let account = self.front.accounts.get(&user.account);
        let Some(account) = account.filter(|account| Arc::ptr_eq(account, self.account())) else {
            return self.close(CloseReason::ClientClosed);
        };
        let previous = self.client.details().user;
        self.client
            .update(|details| details.user = Some(Arc::clone(user)));
        self.phase = Phase::Active;
        self.set_limits(&account);
        if previous.is_some_and(|previous| previous.permissions_spec == user.permissions_spec) {
            return;
        }
        let old = std::mem::take(&mut *self.client.subscriptions.lock());
        self.bind(user, &account);
        // Every subscription is made anew under the new permissions, or taken away.
        for BySid(subscription) in old {
            self.renew(&subscription, &account);
        }
    }

    /// The client is gone: nothing of it stays but counters.
    pub(super) fn leave(&mut self, reason: CloseReason) {
        let last: Vec<_> = {
            let subscriptions = self.client.subscriptions.lock();
            subscriptions
                .iter()
                .take(LAST_SUBSCRIPTIONS_MAX)
                .map(|s| Arc::clone(&s.0))
                .collect()
        };
        self.unsubscribe_all();
        self.front.clients.remove(self.client.link.id);
        let counters = &self.front.counters;
        let add = |to: &(std::sync::atomic::AtomicU64, std::sync::atomic::AtomicU64),
                   (msgs, bytes)| {
            to.0.fetch_add(msgs, Ordering::Relaxed);
            to.1.fetch_add(bytes, Ordering::Relaxed);
        };
        let (received, sent) = (
            self.client.link.received.get(),
            self.client.link.delivered(),
        );
        add(&counters.received, received);
        add(&counters.sent, sent);
        let slow = matches!(
            reason,
            CloseReason::SlowConsumerPendingBytes | CloseReason::SlowConsumerWriteDeadline
        );
        if slow {
            counters.slow_consumers.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                link = self.client.label(),
                "{} - connection closed",
                reason.text()
            );
        } else {
            tracing::debug!(
                link = self.client.label(),
                "Client connection closed: {}",
                reason.text()
            );
        }
        if reason == CloseReason::StaleConnection {
            counters.stale_connections.fetch_add(1, Ordering::Relaxed);
        }
        let details = self.client.details();
        if let Some(account) = &details.account {
            add(&account.counters.received, received);
            add(&account.counters.sent, sent);
            if slow {
                account
                    .counters
                    .slow_consumers
                    .fetch_add(1, Ordering::Relaxed);
            }
            account.leave();
            self.front.observer().account_changed(&account.name);
        }
        self.front.observer().closed(&self.client, reason, &last);
        if details.is_connected {
            self.front.observer().disconnected(&self.client, reason);
        }
    }
}

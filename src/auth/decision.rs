//! The decision: credentials in; accept as user X of account Y, or refuse.
//!
//! Separate from the fronts so that all of them decide alike and the whole matrix is a table
//! test. A [`Directory`] is built once per listener from what is configured; it never waits:
//! a bcrypt comparison is handed back as [`Decision::VerifyPassword`] for a thread that may
//! be slow, and [`Directory::resume`] ends it.
//!
//! The order (spec core §2.1): nkey → certificate, if this listener maps them → user and
//! password → token → single user. Each step is taken only if something of its kind is
//! configured, so an nkey sent to a server without nkeys is ignored. Nothing configured:
//! everybody is accepted into the global account, whatever he sends. `no_auth_user` is for
//! clients without user, password and token; its own password is never asked for.
//! A custom hook, operator JWTs and the callout will stand before and after this order, in
//! [`Directory::decide`].
//!
//! Invariants: nobody is accepted through a connection type or without a proxy that his user
//! asks for; a refusal does not tell an unknown name from a wrong password, in time either:
//! plain texts are compared against a stand-in, and if any password here is bcrypt, every
//! wrong password costs one bcrypt comparison. Public nkeys are no secret and get no such
//! care. Absent: no socket, no clock, no thread.

mod known;

use std::fmt;
use std::sync::Arc;

use super::credentials::Credentials;
use super::password;
use super::permissions::PermissionsSpec;
use super::users::{User, UserSpec};
use known::{Known, costliest};

/// A plain text of usual length, compared with when there is nothing to compare with.
const STAND_IN: &str = "a-password-that-nobody-has";

/// Everything a listener may decide by.
#[derive(Clone, Debug, Default)]
pub struct DirectorySpec {
    /// The account of clients that belong to no other.
    pub global_account: String,
    /// The users of the authorization block and of each account.
    pub groups: Vec<UserGroup>,
    /// What is configured without users.
    pub access: AccessSpec,
    /// Clients that present nothing are accepted into the global account although there are
    /// users: set when all of them belong to the system account and nothing else was said.
    pub open_beside_system: bool,
    /// Some listener, this one or another, maps certificates: users without a password then
    /// log in by certificate only.
    pub has_certificate_users: bool,
}

/// Users that were configured together.
#[derive(Clone, Debug, Default)]
pub struct UserGroup {
    /// The users.
    pub users: Vec<UserSpec>,
    /// Permissions of those that have none of their own.
    pub default_permissions: Option<PermissionsSpec>,
}

/// The part that WebSocket, MQTT and other listeners may override.
#[derive(Clone, Default)]
pub struct AccessSpec {
    /// The one token, plain or bcrypt.
    pub token: Option<String>,
    /// The one user and its password, plain or bcrypt.
    pub single_user: Option<(String, String)>,
    /// The user of clients that present nothing.
    pub no_auth_user: Option<String>,
    /// Users are recognised by their verified certificate (`verify_and_map`).
    pub maps_certificates: bool,
    /// The token and the single user are for connections through a trusted proxy.
    pub proxy_required: bool,
}

/// Hides every secret.
impl fmt::Debug for AccessSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessSpec")
            .field("has_token", &self.token.is_some())
            .field(
                "single_user",
                &self.single_user.as_ref().map(|(name, _)| name),
            )
            .field("no_auth_user", &self.no_auth_user)
            .field("maps_certificates", &self.maps_certificates)
            .field("proxy_required", &self.proxy_required)
            .finish()
    }
}

/// Why a directory cannot be built. The texts are shown to whoever wrote the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// Two users have the same name.
    #[error("Duplicate user {0:?} detected")]
    DuplicateUser(String),
    /// Two users have the same nkey.
    #[error("Duplicate nkey {0:?} detected")]
    DuplicateNkey(String),
    /// `no_auth_user` names nobody.
    #[error(
        "no_auth_user: {0:?} not present as user or nkey in authorization block or account configuration"
    )]
    UnknownNoAuthUser(String),
    /// `no_auth_user` without any users.
    #[error("no_auth_user: {0:?} present, but users/nkeys are not defined")]
    NoAuthUserWithoutUsers(String),
}

/// The answer to credentials.
#[derive(Debug)]
pub enum Decision {
    /// The peer is this user.
    Accept(Arc<User>),
    /// The peer is nobody; it hears `Authorization Violation` whatever the reason.
    Refuse(RefuseReason),
    /// Compare off-thread with `password::verify_bcrypt`, then call [`Directory::resume`].
    VerifyPassword(PasswordCheck),
}

/// Why a peer was refused. For logs, events and the closed reason, never for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefuseReason {
    /// CONNECT names an account.
    #[error("account in connect options not allowed")]
    NamesAccount,
    /// Nothing that is asked for here was presented.
    #[error("no credentials")]
    Missing,
    /// Unknown name, wrong password, wrong token, or not from this connection type.
    #[error("invalid credentials")]
    Invalid,
    /// The signature over the nonce is missing or wrong.
    #[error("invalid signature")]
    Signature,
    /// The certificate names no user.
    #[error("no user for the certificate")]
    Certificate,
    /// The user is for connections through a trusted proxy.
    #[error("proxy required")]
    ProxyRequired,
}

/// A bcrypt comparison to be made, and what follows from it.
pub struct PasswordCheck {
    /// The configured hash.
    pub hash: String,
    /// What the peer presented.
    pub password: String,
    /// To be handed to [`Directory::resume`].
    pub then: Pending,
}

/// Hides hash and password.
impl fmt::Debug for PasswordCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordCheck")
            .field("then", &self.then)
            .finish_non_exhaustive()
    }
}

/// Who a peer is if its password turns out to be right; nobody in the case of a comparison
/// that is made for its duration only.
#[derive(Debug)]
pub struct Pending {
    user: Option<Arc<User>>,
    is_proxied: bool,
}

/// Decides for one listener.
#[derive(Clone, Debug)]
pub struct Directory {
    known: Arc<Known>,
    access: AccessSpec,
    /// The user behind token and single user.
    shared: Arc<User>,
    open_beside_system: bool,
    has_certificate_users: bool,
    /// A hash to compare wrong passwords with, if there is any bcrypt hash.
    decoy: Option<String>,
}

impl Directory {
    /// The directory of the client listener.
    pub fn new(spec: &DirectorySpec) -> Result<Self, DirectoryError> {
        let known = Known::new(&spec.groups)?;
        let global = User::unrestricted("", &spec.global_account);
        let directory = Directory {
            known: Arc::new(known),
            access: AccessSpec::default(),
            shared: Arc::new(global),
            open_beside_system: spec.open_beside_system,
            has_certificate_users: spec.has_certificate_users,
            decoy: None,
        };
        directory.with_access(spec.access.clone())
    }

    /// The directory of a listener that knows the same users but overrides the rest.
    pub fn with_access(&self, access: AccessSpec) -> Result<Self, DirectoryError> {
        self.known
            .check_no_auth_user(access.no_auth_user.as_deref())?;
        let name = access.single_user.as_ref().map_or("", |(name, _)| name);
        let shared = User {
            name: name.to_owned(),
            proxy_required: access.proxy_required,
            ..User::clone(&self.shared)
        };
        let single_password = access.single_user.as_ref().map(|(_, password)| password);
        let hashes = self.known.costliest_hash.iter();
        let hashes = hashes.chain(access.token.iter()).chain(single_password);
        Ok(Directory {
            known: Arc::clone(&self.known),
            decoy: costliest(hashes).cloned(),
            shared: Arc::new(shared),
            open_beside_system: self.open_beside_system,
            has_certificate_users: self.has_certificate_users,
            access,
        })
    }

    /// Credentials are needed here at all.
    pub fn is_auth_configured(&self) -> bool {
        self.known.has_any() || self.access.token.is_some() || self.access.single_user.is_some()
    }

    /// What INFO says as `auth_required`: clients without credentials are refused, or
    /// accepted only for the sake of the system account's users.
    pub fn announces_auth(&self) -> bool {
        self.is_auth_configured() && self.access.no_auth_user.is_none()
    }

    /// A user of that name or with that public key is configured, one of several.
    pub fn knows(&self, name: &str) -> bool {
        self.known.users.contains_key(name) || self.known.nkeys.contains_key(name)
    }

    /// INFO must carry a nonce, for somebody may sign it.
    pub fn needs_nonce(&self) -> bool {
        !self.known.nkeys.is_empty()
    }

    /// Decides who a peer is.
    pub fn decide(&self, credentials: &Credentials) -> Decision {
        if credentials.names_account {
            return Decision::Refuse(RefuseReason::NamesAccount);
        }
        if !self.is_auth_configured() {
            return Decision::Accept(Arc::clone(&self.shared));
        }
        self.by_nkey(credentials)
            .or_else(|| self.by_user(credentials))
            .unwrap_or_else(|| self.by_shared_secret(credentials))
    }

    /// Ends a decision that waited for a password comparison.
    pub fn resume(pending: Pending, is_right: bool) -> Decision {
        match pending.user {
            Some(user) if is_right => admit(&user, pending.is_proxied),
            _ => Decision::Refuse(RefuseReason::Invalid),
        }
    }

    /// Nkeys, if there are any and one is presented or nothing is.
    fn by_nkey(&self, credentials: &Credentials) -> Option<Decision> {
        let known = &self.known.nkeys;
        let no_auth_user = self.access.no_auth_user.as_deref();
        if known.is_empty() {
            return None;
        }
        if credentials.nkey.is_empty() {
            let user = known.get(no_auth_user?)?;
            return credentials
                .is_anonymous()
                .then(|| admit_from(user, credentials));
        }
        let Some(user) = known.get(&credentials.nkey) else {
            return Some(Decision::Refuse(RefuseReason::Invalid));
        };
        // Whoever presents nothing is this user anyway, so nothing has to be proved.
        let is_open = no_auth_user == Some(credentials.nkey.as_str());
        if !is_open && !credentials.signature_is_valid() {
            return Some(Decision::Refuse(RefuseReason::Signature));
        }
        Some(admit_from(user, credentials))
    }

    /// Users with names, by certificate or by password.
    fn by_user(&self, credentials: &Credentials) -> Option<Decision> {
        if self.known.users.is_empty() && !self.open_beside_system {
            return None;
        }
        if self.access.maps_certificates {
            return Some(self.by_certificate(credentials));
        }
        if credentials.is_anonymous() {
            if self.open_beside_system {
                return Some(admit_from(&self.shared, credentials));
            }
            let no_auth_user = self.access.no_auth_user.as_ref()?;
            let known = self.known.users.get(no_auth_user)?;
            return Some(admit_from(&known.user, credentials));
        }
        if credentials.user.is_empty() {
            return None;
        }
        let known = self.known.users.get(&credentials.user);
        let known = known.filter(|known| {
            let has_password = !known.password.is_empty() || !self.has_certificate_users;
            has_password && known.user.may_come_from(credentials.connection_type)
        });
        let expected = known.map(|known| (known.password.as_str(), &known.user));
        Some(self.check_password(expected, &credentials.password, credentials))
    }

    /// The certificate tells the name. A password that is configured is asked for all the
    /// same, so a user for certificates has none.
    fn by_certificate(&self, credentials: &Credentials) -> Decision {
        let names = credentials.certificate.as_ref();
        match names.and_then(|names| self.known.find_by_certificate(names, credentials)) {
            Some(known) if known.user.may_come_from(credentials.connection_type) => {
                let expected = Some((known.password.as_str(), &known.user));
                self.check_password(expected, &credentials.password, credentials)
            }
            _ => Decision::Refuse(RefuseReason::Certificate),
        }
    }

    /// The token, else the single user.
    fn by_shared_secret(&self, credentials: &Credentials) -> Decision {
        let access = &self.access;
        if let Some(token) = &access.token {
            let expected = Some((token.as_str(), &self.shared));
            return self.check_password(expected, &credentials.token, credentials);
        }
        if let Some((name, password)) = &access.single_user {
            let is_named = password::equal(name, &credentials.user);
            let expected = is_named.then_some((password.as_str(), &self.shared));
            return self.check_password(expected, &credentials.password, credentials);
        }
        Decision::Refuse(if credentials.is_anonymous() {
            RefuseReason::Missing
        } else {
            RefuseReason::Invalid
        })
    }

    /// Compares a password with the expected one, if there is any, at equal cost.
    fn check_password(
        &self,
        expected: Option<(&str, &Arc<User>)>,
        presented: &str,
        credentials: &Credentials,
    ) -> Decision {
        let verify = |hash: &str, user: Option<&Arc<User>>| {
            Decision::VerifyPassword(PasswordCheck {
                hash: hash.to_owned(),
                password: presented.to_owned(),
                then: Pending {
                    user: user.cloned(),
                    is_proxied: credentials.is_proxied,
                },
            })
        };
        match expected {
            Some((hash, user)) if password::is_bcrypt(hash) => return verify(hash, Some(user)),
            Some((text, user)) if password::equal(text, presented) => {
                return admit_from(user, credentials);
            }
            Some(_) => {}
            None => {
                password::equal(STAND_IN, presented);
            }
        }
        match &self.decoy {
            Some(hash) => verify(hash, None),
            None => Decision::Refuse(RefuseReason::Invalid),
        }
    }
}

/// Accepts the user if it may come from there.
fn admit_from(user: &Arc<User>, credentials: &Credentials) -> Decision {
    if !user.may_come_from(credentials.connection_type) {
        return Decision::Refuse(RefuseReason::Invalid);
    }
    admit(user, credentials.is_proxied)
}

fn admit(user: &Arc<User>, is_proxied: bool) -> Decision {
    if user.proxy_required && !is_proxied {
        return Decision::Refuse(RefuseReason::ProxyRequired);
    }
    Decision::Accept(Arc::clone(user))
}

#[cfg(test)]
mod tests;

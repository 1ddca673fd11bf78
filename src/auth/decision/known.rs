//! The users a directory knows, found by nkey, by name and by certificate.
//!
//! Separate from the order of the decision, and shared by the directories of all listeners.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{DirectoryError, UserGroup};
use crate::auth::credentials::Credentials;
use crate::auth::dn::DistinguishedName;
use crate::auth::password;
use crate::auth::tls_map::CertificateNames;
use crate::auth::users::{Login, User};

/// The configured users, shared by the directories of all listeners.
#[derive(Default)]
pub(super) struct Known {
    pub(super) nkeys: HashMap<String, Arc<User>>,
    pub(super) users: HashMap<String, KnownUser>,
    /// Users whose name is a distinguished name, in order of configuration.
    names: Vec<(DistinguishedName, String)>,
    pub(super) costliest_hash: Option<String>,
}

pub(super) struct KnownUser {
    pub(super) user: Arc<User>,
    pub(super) password: String,
}

/// Hides every password.
impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known")
            .field("nkeys", &self.nkeys.len())
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}

impl Known {
    pub(super) fn new(groups: &[UserGroup]) -> Result<Self, DirectoryError> {
        let mut known = Known::default();
        for group in groups {
            for spec in &group.users {
                let user = Arc::new(User::compile(spec, group.default_permissions.as_ref()));
                known.insert(&spec.login, user)?;
            }
        }
        let hashes = known.users.values().map(|known| &known.password);
        known.costliest_hash = costliest(hashes).cloned();
        Ok(known)
    }

    fn insert(&mut self, login: &Login, user: Arc<User>) -> Result<(), DirectoryError> {
        match login {
            Login::Nkey(key) => {
                if self.nkeys.insert(key.clone(), user).is_some() {
                    return Err(DirectoryError::DuplicateNkey(key.clone()));
                }
            }
            Login::Password {
                user: name,
                password,
            } => {
                if let Some(dn) = DistinguishedName::parse(name) {
                    self.names.push((dn, name.clone()));
                }
                let password = password.clone();
                let known = KnownUser { user, password };
                if self.users.insert(name.clone(), known).is_some() {
                    return Err(DirectoryError::DuplicateUser(name.clone()));
                }
            }
        }
        Ok(())
    }

    pub(super) fn has_any(&self) -> bool {
        !self.users.is_empty() || !self.nkeys.is_empty()
    }

    pub(super) fn check_no_auth_user(&self, name: Option<&str>) -> Result<(), DirectoryError> {
        let Some(name) = name else { return Ok(()) };
        if !self.has_any() {
            return Err(DirectoryError::NoAuthUserWithoutUsers(name.to_owned()));
        }
        if !self.users.contains_key(name) && !self.nkeys.contains_key(name) {
            return Err(DirectoryError::UnknownNoAuthUser(name.to_owned()));
        }
        Ok(())
    }

    /// The first name of the certificate that is a user's decides, even if that user may
    /// not come from here.
    pub(super) fn find_by_certificate(
        &self,
        names: &CertificateNames,
        credentials: &Credentials,
    ) -> Option<&KnownUser> {
        let by_text = |texts: &[String]| texts.iter().find_map(|text| self.users.get(text));
        let by_subject = || {
            let candidates = || {
                self.names.iter().filter_map(|(dn, name)| {
                    let known = self.users.get(name)?;
                    let may_come = known.user.may_come_from(credentials.connection_type);
                    may_come.then_some((dn, known))
                })
            };
            let subject = &names.subject;
            candidates()
                .find(|(dn, _)| *dn == subject)
                .or_else(|| candidates().find(|(dn, _)| dn.has_same_rdns(subject)))
                .map(|(_, known)| known)
        };
        by_text(&names.alternative)
            .or_else(by_subject)
            .or_else(|| by_text(&names.written))
    }
}

/// The bcrypt hash with the highest cost; the two digits after the version are the cost.
pub(super) fn costliest<'a>(passwords: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    passwords
        .filter(|password| password::is_bcrypt(password))
        .max_by_key(|hash| hash.get(4..6))
}

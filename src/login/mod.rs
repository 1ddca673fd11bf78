//! The waiting half of authentication: from credentials to a user, however long it takes.
//!
//! `auth::decision` decides and never waits; a bcrypt comparison takes long and is made on
//! threads of its own, a few at a time, so that a flood of logins does not starve messages.
//!
//! Invariant: what waits is bounded by the number of connections, each waits for one.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::oneshot;

use crate::auth::credentials::Credentials;
use crate::auth::decision::{Decision, Directory, RefuseReason};
use crate::auth::password;
use crate::auth::users::User;
use crate::tasks;

/// Decides who peers are, by the directory of now.
pub struct Login {
    directory: RwLock<Arc<Directory>>,
}

/// What became of credentials.
#[derive(Debug)]
pub enum Outcome {
    /// The peer is this user.
    Accepted(Arc<User>),
    /// The peer is nobody.
    Refused(RefuseReason),
    /// The answer comes later.
    Later(oneshot::Receiver<Decided>),
}

/// A decision that was waited for.
pub type Decided = Result<Arc<User>, RefuseReason>;

impl Login {
    /// Decides by `directory`.
    pub fn new(directory: Directory) -> Self {
        Login {
            directory: RwLock::new(Arc::new(directory)),
        }
    }

    /// The directory of now.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read())
    }

    /// Decides by another directory from now on.
    pub fn set_directory(&self, directory: Directory) {
        *self.directory.write() = Arc::new(directory);
    }

    /// Decides who presented these credentials.
    pub fn decide(&self, credentials: &Credentials) -> Outcome {
        match self.directory().decide(credentials) {
            Decision::Accept(user) => Outcome::Accepted(user),
            Decision::Refuse(reason) => Outcome::Refused(reason),
            Decision::VerifyPassword(check) => {
                let (tell, decided) = oneshot::channel();
                tasks::run_slowly(move || {
                    let is_right = password::verify_bcrypt(&check.hash, &check.password);
                    let decision = match Directory::resume(check.then, is_right) {
                        Decision::Accept(user) => Ok(user),
                        Decision::Refuse(reason) => Err(reason),
                        Decision::VerifyPassword(_) => Err(RefuseReason::Invalid),
                    };
                    // The peer may have gone.
                    let _ = tell.send(decision);
                });
                Outcome::Later(decided)
            }
        }
    }
}

//! The accounts of a running server.

use std::sync::Arc;

use super::interest::Interest;

/// An account at work.
pub struct Account {
    /// Its name.
    pub name: Arc<str>,
    /// Its subscriptions.
    pub interest: Interest,
}

impl Account {
    /// An account without subscriptions.
    pub fn new(name: &str) -> Arc<Account> {
        Arc::new(Account {
            name: name.into(),
            interest: Interest::default(),
        })
    }
}

//! Which streams there are: the meta group (draft: in memory).

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::streams::Assigned;
use crate::api_error::ApiError;
use crate::clock::Timestamp;
use crate::stream::config::Config;
use crate::wal::GroupId;

/// Which streams there are.
#[derive(Default)]
pub struct Meta {
    known: Mutex<(u64, BTreeMap<(String, String), Assigned>)>,
}

impl Meta {
    /// Notes a new stream.
    pub async fn put(
        &self,
        account: &str,
        config: Config,
        created: Timestamp,
    ) -> Result<Assigned, ApiError> {
        let mut known = self.known.lock();
        known.0 += 1;
        let assigned = Assigned {
            group: GroupId(known.0),
            config,
            created,
        };
        let key = (account.to_owned(), assigned.config.name.clone());
        known.1.insert(key, assigned.clone());
        Ok(assigned)
    }

    /// Notes another configuration.
    pub async fn update(&self, account: &str, config: Config) -> Result<(), ApiError> {
        let key = (account.to_owned(), config.name.clone());
        if let Some(assigned) = self.known.lock().1.get_mut(&key) {
            assigned.config = config;
        }
        Ok(())
    }

    /// Forgets a stream.
    pub async fn remove(&self, account: &str, name: &str) -> Result<(), ApiError> {
        self.known
            .lock()
            .1
            .remove(&(account.to_owned(), name.to_owned()));
        Ok(())
    }
}

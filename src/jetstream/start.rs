//! From what is to be to what is: at the start, over whatever a crash or a disk left.
//!
//! Separate from the requests that change streams, because nobody asked for anything here:
//! what does not fit is told and kept.
//!
//! Invariants: only of a group whose stream the meta group knows to be deleted anything is
//! removed; a stream that does not start stays as it is, and its name taken.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::JetStream;
use super::account::AccountStreams;
use super::handle::StreamHandle;
use crate::meta::assignment::GroupId as MetaGroupId;
use crate::stream::config::Config;
use crate::wal::GroupId;

/// A stream that did not start.
pub(super) struct Failed {
    /// Its group.
    pub(super) group: GroupId,
    /// Why not.
    pub(super) reason: String,
}

impl JetStream {
    /// Starts every stream that the meta group knows. A stream that cannot be started is
    /// told and left as it is; how many those are.
    pub async fn start_streams(&self) -> usize {
        self.settle_leftovers().await;
        for (account, assigned) in self.meta.assigned() {
            let name = assigned.config.name.clone();
            let Some(site) = self.streams.account(&account) else {
                tracing::warn!(
                    account,
                    stream = name,
                    "the account of a stream is not configured"
                );
                continue;
            };
            let group = assigned.group;
            let config = assigned.config.clone();
            match self.streams.start(&site, assigned).await {
                Ok(handle) => self.reconcile(&site, &handle, config).await,
                Err(error) => {
                    let reason = in_full(&error);
                    tracing::error!(
                        account,
                        stream = name,
                        group = group.0,
                        err = reason,
                        "a stream does not start"
                    );
                    let failed = Failed { group, reason };
                    self.failed.lock().insert((account, name), failed);
                }
            }
        }
        self.failed.lock().len()
    }

    /// Looks after groups that are no stream's. One whose stream was deleted, but for a
    /// crash in between, goes now. Of any other nobody can say what it is: it is kept aside,
    /// and its number is not used again.
    async fn settle_leftovers(&self) {
        let found = match self.streams.groups_found() {
            Ok(found) => found,
            Err(error) => return self.raise(format!("look for groups: {error}")),
        };
        let assigned = self.meta.assigned().into_iter();
        let known: BTreeSet<GroupId> = assigned.map(|(_, assigned)| assigned.group).collect();
        let others = found.into_iter().filter(|id| !known.contains(id));
        let others: Vec<GroupId> = others.filter(|id| id.0 > MetaGroupId::META.0).collect();
        let (deleted, unknown): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|id| self.meta.is_deleted(*id));
        for id in deleted {
            tracing::info!(
                group = id.0,
                "the stream was deleted: what is left of it goes"
            );
            self.streams.forget(id).await;
        }
        if self.meta.damage().is_some() {
            // Its stream may be in what the list of streams lost.
            for id in &unknown {
                self.raise(format!(
                    "group {id} is in no list of streams, it is left alone"
                ));
            }
            return;
        }
        for id in &unknown {
            let aside = match self.streams.set_aside(*id) {
                Ok(aside) => aside.display().to_string(),
                Err(error) => error.to_string(),
            };
            self.raise(format!(
                "group {id} belongs to no stream, it is kept: {aside}"
            ));
        }
        if let Some(last) = unknown.last()
            && let Err(error) = self.meta.skip_to_behind(*last).await
        {
            self.raise(format!("keep the numbers of unknown groups: {error}"));
        }
    }

    /// A crash may have come between the meta group and the stream's own log.
    async fn reconcile(
        &self,
        site: &Arc<AccountStreams>,
        handle: &Arc<StreamHandle>,
        config: Config,
    ) {
        if *handle.config() == config {
            return;
        }
        let stream = &*handle.name;
        tracing::info!(
            stream,
            "the stream takes over the configuration that it is to have"
        );
        if let Err(error) = self.configure(site, handle, config).await {
            tracing::error!(stream, err = %error, "the stream keeps an older configuration");
        }
    }
}

/// An error with all its causes.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

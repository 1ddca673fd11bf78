//! From what is to be to what is: at the start, over whatever a crash or a disk left.
//!
//! Separate from the requests that change streams, because nobody asked for anything here:
//! what does not fit is told and kept.
//!
//! Invariants: only of a group whose stream the meta group knows to be deleted anything is
//! removed; a stream that does not start stays as it is, and its name taken.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::JetStream;
use super::account::AccountStreams;
use super::handle::StreamHandle;
use super::streams::Assigned;
use crate::meta::assignment::GroupId as MetaGroupId;
use crate::stream::config::Config;
use crate::tasks;
use crate::wal::GroupId;

/// Streams that start at the same time; more threads than this wait for one disk.
const STARTING_MAX: usize = 4;

/// A stream that did not start.
pub(super) struct Failed {
    /// Its group.
    pub(super) group: GroupId,
    /// Why not.
    pub(super) reason: String,
}

/// A stream whose own log does not know yet how it is to be.
struct Older {
    site: Arc<AccountStreams>,
    handle: Arc<StreamHandle>,
    config: Arc<Config>,
}

impl JetStream {
    /// Starts every stream that the meta group knows, a few at a time. A stream that cannot
    /// be started is told and left as it is; how many those are.
    pub async fn start_streams(self: &Arc<Self>) -> usize {
        self.settle_leftovers().await;
        let waiting = Arc::new(Mutex::new(self.meta.assigned().into_iter()));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut workers = Vec::new();
        for _ in 0..cores.min(STARTING_MAX) {
            let (jetstream, waiting) = (Arc::clone(self), Arc::clone(&waiting));
            let (tell, told) = oneshot::channel();
            tasks::run_slowly(move || {
                let next = || waiting.lock().next();
                let older = std::iter::from_fn(next)
                    .filter_map(|(account, assigned)| jetstream.start_stream(account, assigned));
                // Nobody listens only if the server ends meanwhile.
                let _ = tell.send(older.collect::<Vec<Older>>());
            });
            workers.push(told);
        }
        let mut ended = 0;
        for worker in workers {
            match worker.await {
                Ok(older) => {
                    for stream in older {
                        self.reconcile(stream).await;
                    }
                }
                Err(_) => ended += 1,
            }
        }
        self.failed.lock().len() + ended
    }

    /// Starts one stream; it comes back if it is not configured as it is to be.
    fn start_stream(&self, account: String, assigned: Assigned) -> Option<Older> {
        let (group, config) = (assigned.group, Arc::clone(&assigned.config));
        let stream = &config.name;
        let Some(site) = self.streams.account(&account) else {
            tracing::warn!(account, stream, "the account of a stream is not configured");
            return None;
        };
        match self.streams.start(&site, assigned) {
            Ok(handle) => (handle.config() != config).then_some(Older {
                site,
                handle,
                config,
            }),
            Err(error) => {
                let reason = in_full(&error);
                tracing::error!(
                    account,
                    stream,
                    group = group.0,
                    err = reason,
                    "a stream does not start"
                );
                let failed = Failed { group, reason };
                self.failed.lock().insert((account, stream.clone()), failed);
                None
            }
        }
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
    async fn reconcile(&self, older: Older) {
        let Older {
            site,
            handle,
            config,
        } = older;
        let stream = &*handle.name;
        tracing::info!(
            stream,
            "the stream takes over the configuration that it is to have"
        );
        let config = Config::clone(&config);
        if let Err(error) = self.configure(&site, &handle, config).await {
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

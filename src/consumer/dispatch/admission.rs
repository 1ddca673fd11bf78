//! Which pull requests may wait.
//!
//! Separate because refusals are the wire's words, in the order in which they are checked.

use bytes::Bytes;

use super::{Action, Dispatcher};
use crate::clock::Timestamp;
use crate::consumer::pull::{PullRequest, go_duration, status};
use crate::consumer::replica::Consumer;

impl Dispatcher {
    /// A pull request came.
    pub fn on_pull(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        reply: Bytes,
        body: &[u8],
        actions: &mut Vec<Action>,
    ) {
        self.active_at = now;
        match self.admit(now, consumer, body, actions) {
            Ok(request) => self.pulls.add(now, reply, request),
            Err(Some(line)) => actions.push(Action::status(reply, status(&line))),
            Err(None) => {}
        }
    }

    /// Whether a request may wait, or the status it gets at once.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        consumer: &Consumer,
        body: &[u8],
        actions: &mut Vec<Action>,
    ) -> Result<PullRequest, Option<String>> {
        let config = consumer.config();
        if config.is_push() {
            return Err(Some("409 Consumer is push based".to_owned()));
        }
        let request =
            PullRequest::parse(body).map_err(|error| Some(format!("400 Bad Request - {error}")))?;
        let exceeds = |limit: i64, asked: i64| limit > 0 && asked > limit;
        let exceeded = if exceeds(config.max_batch, request.batch) {
            Some(format!("MaxRequestBatch of {}", config.max_batch))
        } else if exceeds(config.max_expires, request.expires) {
            let limit = go_duration(config.max_expires);
            Some(format!("MaxRequestExpires of {limit}"))
        } else if exceeds(config.max_bytes, request.max_bytes) {
            Some(format!("MaxRequestMaxBytes of {}", config.max_bytes))
        } else {
            None
        };
        if let Some(what) = exceeded {
            return Err(Some(format!("409 Exceeded {what}")));
        }
        if let Some(priority) = &request.priority
            && let Some(refusal) = priority.refusal(config)
        {
            return Err(Some(format!("400 Bad Request - {refusal}")));
        }
        if request.no_wait {
            let available = self.unread(consumer) + self.redeliver.len() as u64;
            if available == 0 && request.expires == 0 {
                return Err(Some("404 No Messages".to_owned()));
            }
            if available > 0 && available < self.pulls.demand() {
                return Err(Some("408 Requests Pending".to_owned()));
            }
        }
        let waiting_max = usize::try_from(config.max_waiting).unwrap_or(0);
        if waiting_max > 0 && self.pulls.len() >= waiting_max {
            self.sweep(now, consumer, false, actions);
            if self.pulls.len() >= waiting_max {
                // A client with heartbeats notices by itself, and would ask in a hot loop.
                let told = request.heartbeat == 0;
                return Err(told.then(|| "409 Exceeded MaxWaiting".to_owned()));
            }
        }
        Ok(request)
    }
}

//! What lives on each thread that has links, beside the links.
//!
//! Separate from its parts because they know nothing of each other: one writes out what
//! small batches have left, one gives memory back when there is little to do, one keeps the
//! thread awake where that is worth it.
//!
//! Invariant: there is one on each such thread, for as long as the thread runs.

use std::sync::Arc;
use std::time::Duration;

use super::{due, lookout, pool};
use crate::clock;

/// How often unused memory is given back.
const REST_EVERY: Duration = Duration::from_secs(1);

/// Never ends.
pub async fn live() {
    tokio::join!(due::attend(), rest());
}

/// The same on a thread that may watch for more before it sleeps.
pub async fn live_on_lookout(turn: Arc<lookout::Turn>) {
    tokio::join!(live(), lookout::keep(turn));
}

async fn rest() {
    loop {
        tokio::time::sleep(REST_EVERY).await;
        pool::rest();
        lookout::rest(clock::monotonic());
    }
}

//! What lives on each thread that has links, beside the links.
//!
//! Separate from both halves because they know nothing of each other: one writes out what
//! small batches have left, the other gives memory back when there is little to do.
//!
//! Invariant: there is one on each such thread, for as long as the thread runs.

use std::time::Duration;

use super::{due, pool};

/// How often unused memory is given back.
const REST_EVERY: Duration = Duration::from_secs(1);

/// Never ends.
pub async fn live() {
    tokio::join!(due::attend(), rest());
}

async fn rest() {
    loop {
        tokio::time::sleep(REST_EVERY).await;
        pool::rest();
    }
}

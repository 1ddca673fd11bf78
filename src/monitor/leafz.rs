//! `/leafz`: leafnodes.
//!
//! The list is empty: this server accepts no leafnodes yet. A server without leafnodes
//! answers the same.

use serde::Serialize;

use super::go_format::Time;
use super::source::Source;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Leafz {
    server_id: String,
    now: Time,
    leafnodes: usize,
    leafs: [(); 0],
}

impl Leafz {
    /// The answer as of now.
    pub fn new(source: &dyn Source) -> Self {
        Leafz {
            server_id: source.facts().server_id.clone(),
            now: Time(source.now()),
            leafnodes: 0,
            leafs: [],
        }
    }
}

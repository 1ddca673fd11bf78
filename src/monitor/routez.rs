//! `/routez`: links to servers of the same cluster.
//!
//! The list is empty: this server has no routes yet. A server without routes answers the
//! same.

use serde::Serialize;

use super::go_format::Time;
use super::source::Source;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Routez {
    server_id: String,
    server_name: String,
    now: Time,
    num_routes: usize,
    routes: [(); 0],
}

impl Routez {
    /// The answer as of now.
    pub fn new(source: &dyn Source) -> Self {
        let facts = source.facts();
        Routez {
            server_id: facts.server_id.clone(),
            server_name: facts.server_name.clone(),
            now: Time(source.now()),
            num_routes: 0,
            routes: [],
        }
    }
}

//! `/gatewayz`: links to other clusters.
//!
//! The maps are empty: this server has no gateways yet. A server without gateways answers
//! the same.

use serde::Serialize;

use super::go_format::Time;
use super::source::Source;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Gatewayz {
    server_id: String,
    now: Time,
    outbound_gateways: Empty,
    inbound_gateways: Empty,
}

/// A map without entries.
#[derive(Debug, Serialize)]
struct Empty {}

impl Gatewayz {
    /// The answer as of now.
    pub fn new(source: &dyn Source) -> Self {
        Gatewayz {
            server_id: source.facts().server_id.clone(),
            now: Time(source.now()),
            outbound_gateways: Empty {},
            inbound_gateways: Empty {},
        }
    }
}

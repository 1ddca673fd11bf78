//! Read-only windows: what the server says about itself over HTTP and in `$SYS`.
//!
//! Separate from the rooms it looks into so that the published formats stand in one place
//! and can be tested without a server: everything is computed from the snapshots of
//! [`source::Source`].
//!
//! ```text
//! http ────────────┐
//! system_requests ─┼─► varz connz subsz … ─► source::Source (implemented by `server`)
//! system_events ───┘        │
//! prometheus ───────────────┘ go_format, paging, query, request_options
//! ```
//!
//! Invariants: nothing here changes the server, the requests that act go through
//! [`system_requests::Control`]; names, order and omission of JSON fields are those of the
//! published formats and a golden test fails when one changes. Absent: no socket is opened
//! here, no task is started here.

pub mod closed_ring;
pub mod source;

pub mod accountz;
pub mod accstatz;
pub mod connz;
pub mod gatewayz;
pub mod healthz;
pub mod jsz;
pub mod leafz;
pub mod raftz;
pub mod routez;
pub mod streams;
pub mod subsz;
pub mod varz;
pub mod varz_sections;

pub mod go_format;
pub mod paging;
pub mod query;

pub mod prometheus;

pub mod request_options;
pub mod request_subjects;
pub mod server_info;
pub mod statsz;
pub mod statsz_schedule;
pub mod system_events;
pub mod system_requests;
pub mod user_info;

pub mod http;
pub mod routes;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod golden;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use server_info::ServerInfo;
use source::Source;

/// The state that monitoring itself has: what was asked for, and how often it spoke.
pub struct Monitor {
    source: Arc<dyn Source>,
    http_requests: Mutex<BTreeMap<&'static str, u64>>,
    said: AtomicU64,
}

impl Monitor {
    /// Windows into `source`.
    pub fn new(source: Arc<dyn Source>) -> Self {
        Monitor {
            source,
            http_requests: Mutex::new(BTreeMap::new()),
            said: AtomicU64::new(0),
        }
    }

    /// What the windows look at.
    pub fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// `/varz` as of now.
    pub fn varz(&self) -> varz::Varz {
        varz::Varz::new(
            &self.source.facts(),
            self.source.counters(),
            self.source.usage(),
            self.http_requests.lock().clone(),
            self.source.jetstream().as_ref(),
            self.source.now(),
        )
    }

    /// Who speaks, numbered: one number for each event or answer.
    pub fn speaker(&self) -> ServerInfo {
        let seq = self.said.fetch_add(1, Ordering::Relaxed) + 1;
        ServerInfo::new(&self.source.facts(), seq, self.source.now())
    }

    /// Counts a request for an endpoint. The paths are the fixed set of endpoints.
    fn count_request(&self, path: &'static str) {
        *self.http_requests.lock().entry(path).or_default() += 1;
    }
}

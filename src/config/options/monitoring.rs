//! The monitoring and profiling listeners.

use super::endpoint::{Endpoint, Port};

/// The monitoring and profiling listeners; all off by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Monitoring {
    /// Where monitoring is served over HTTP; off without a port. Default host: the client
    /// listener's.
    pub http: Endpoint,
    /// Where monitoring is served over HTTPS; off without a port. Not together with `http`.
    pub https: Endpoint,
    /// Path before every monitoring path. Default: none.
    pub http_base_path: String,
    /// Port of the profiler. Default: off.
    pub prof_port: Option<Port>,
    /// Rate of blocking profiles. Default 0.
    pub prof_block_rate: i64,
}

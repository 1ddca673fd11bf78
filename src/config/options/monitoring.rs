//! The monitoring and profiling listeners.

use super::endpoint::{Endpoint, Port};
use super::key::{Key, Reload::*, key};

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

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Monitoring>] = &[
    key("http", "host:port", "off", No, "127.0.0.1:8222",
        "Where monitoring is served over HTTP.",
        |m, v, r| r.listen(v, &mut m.http)),
    key("http_port|monitor_port", "integer", "off", No, "8222",
        "The port of it; the address is the client listener's.",
        |m, v, r| r.port(v, &mut m.http.port)),
    key("https", "host:port", "off", No, "127.0.0.1:8443",
        "Where monitoring is served over HTTPS, with the certificate of `tls`.",
        |m, v, r| r.listen(v, &mut m.https)),
    key("https_port", "integer", "off", No, "8443",
        "The port of it; the address is the client listener's.",
        |m, v, r| r.port(v, &mut m.https.port)),
    key("http_base_path", "path", "none", No, "/nats",
        "Path before every monitoring path.",
        |m, v, r| r.text(v, &mut m.http_base_path)),
    key("prof_port", "integer", "off", No, "6060",
        "Port of the profiler. Not in this release.",
        |m, v, r| r.port(v, &mut m.prof_port)),
    key("prof_block_rate", "integer", "0", Yes, "1",
        "Rate of blocking profiles. Not in this release.",
        |m, v, r| r.number(v, &mut m.prof_block_rate)),
];

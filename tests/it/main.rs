//! Integration tests: in-process servers on ports of their own, one binary.
#![allow(
    clippy::disallowed_methods,
    reason = "tests stand outside of the seams"
)]

mod arrows;
mod authorization;
mod jetstream;
mod limits_churn;
mod limits_flood;
mod limits_kit;
mod limits_slow;
mod monitor_http;
mod monitor_live;
mod monitor_prometheus;
mod monitor_streams;
mod monitor_system;
mod monitor_world;
mod process;
mod secrets;
mod streams_api;
mod tls;
mod wire;

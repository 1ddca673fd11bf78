//! Integration tests: in-process servers on ports of their own, one binary.
#![allow(
    clippy::disallowed_methods,
    reason = "tests stand outside of the seams"
)]

mod arrows;
mod authorization;
mod limits_churn;
mod limits_flood;
mod limits_kit;
mod limits_slow;
mod process;
mod secrets;
mod tls;
mod wire;

//! Integration tests: in-process servers on ports of their own, one binary.
#![allow(
    clippy::disallowed_methods,
    reason = "tests stand outside of the seams"
)]

mod arrows;
mod authorization;
mod process;
mod secrets;
mod tls;
mod wire;

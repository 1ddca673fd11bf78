//! What the server says about itself: metrics, the process, the log.
//!
//! Separate from `monitor`, which answers questions over the network: here stand the
//! table of metrics and the figures that need no server.

pub mod metrics;
pub mod process;

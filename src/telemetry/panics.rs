//! Panics become log lines.
//!
//! A panicking task ends alone; without this its last words would go to standard error
//! in a form that no log pipeline parses. The backtrace follows, a line per frame, where
//! the environment asks for one (`RUST_BACKTRACE=1`).

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::thread;

use crate::telemetry::FATAL;

/// Logs every panic of the process from now on.
pub fn log_panics() {
    panic::set_hook(Box::new(log_panic));
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("of a value that is no text");
    let thread = thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    match info.location() {
        Some(at) => tracing::error!(target: FATAL, at = %at, thread, "panic: {message}"),
        None => tracing::error!(target: FATAL, thread, "panic: {message}"),
    }
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        for line in backtrace.to_string().lines() {
            tracing::error!(target: FATAL, "{line}");
        }
    }
}

//! Compatibility scenarios for the Rust client (async-nats and its service feature).
//!
//! The program connects to servers that somebody else started, drives them only
//! through the library's public surface, and prints one result line per
//! assertion; `../README.md` is the contract. It is a package of its own, so that
//! the client never becomes a dependency of the broker it judges.
//!
//! How it works: each theme module lists its scenarios; they run one after
//! another, each as a task of its own, so that a panic or a hang is one failed
//! assertion. Everything a scenario is written with is in `check`.
//!
//! Invariants: a scenario leaves no connection behind; it waits on conditions
//! with a deadline, never on time passing.

mod accounts;
mod auth;
mod check;
mod contract;
mod lifecycle;
mod messages;
mod permissions;
mod requests;
mod seeds;
mod service;
mod streams;
mod tls;

use check::Scenario;
use contract::Contract;
use std::process::ExitCode;
use std::sync::Arc;

#[tokio::main]
async fn main() -> ExitCode {
    let contract = match Contract::load() {
        Ok(contract) => Arc::new(contract),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let filter = std::env::var("NATTER_COMPAT_FILTER").unwrap_or_default();
    let mut ok = true;
    for (name, run) in scenarios() {
        if name.contains(&filter) {
            ok &= check::run(contract.clone(), name, run).await;
        }
    }
    if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Everything, in the order in which a reader would ask.
fn scenarios() -> Vec<Scenario> {
    [
        seeds::SCENARIOS,
        messages::SCENARIOS,
        requests::SCENARIOS,
        auth::SCENARIOS,
        tls::SCENARIOS,
        permissions::SCENARIOS,
        accounts::SCENARIOS,
        service::SCENARIOS,
        lifecycle::SCENARIOS,
        streams::SCENARIOS,
    ]
    .concat()
}

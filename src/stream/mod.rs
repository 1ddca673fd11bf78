//! The replicated log of messages and its consumers (skeleton).

pub mod command;
pub mod config;
pub mod info;
pub mod requests;
pub mod validate;

//! A cursor with promises: what a consumer of a stream has delivered and what is acknowledged.
//!
//! (skeleton: to be written)

pub mod command;
pub mod config;
pub mod info;
pub mod metadata;
pub mod outcome;
pub mod replica;
pub mod validate;

//! Configuration: text to tokens to a value tree to typed, validated options.
//!
//! Components never look configuration up: `server` hands each its section.
//! Every error says `file:line:column` and the key.

pub mod error;
pub mod options;
pub mod value;

//! Configuration: text to tokens to a value tree to typed, validated options.
//!
//! Components never look configuration up: `server` hands each its section.
//! Every error says `file:line:column` and the key.

pub mod digest;
pub mod error;
pub mod flags;
pub mod include;
pub mod lexer;
pub mod options;
pub mod parser;
pub mod reload;
pub mod render;
pub mod units;
pub mod value;

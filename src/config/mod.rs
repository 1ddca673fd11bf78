//! Configuration: text to tokens to a value tree to typed, validated options.
//!
//! ```text
//! text ─lexer─► tokens ─parser, include─► value tree ─options─► Options ◄─flags
//!                                           │    ▲                 │
//!                                         digest render        reload: old × new
//! ```
//!
//! Separate because the operator reads and writes configuration with the same code
//! and has no server. Components never look configuration up: `server` hands each
//! its section. Every error says `file:line:column` and the key.
//!
//! Absent: no file, environment or clock; they come in as arguments.

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

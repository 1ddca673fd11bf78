//! Subjects: the name space that messages are published to.
//!
//! Everything the broker knows about subject text is here and nowhere else; the room
//! imports nothing of the crate, so every other room may ask it.
//!
//! A subject is a byte slice of tokens between dots; any byte is legal. A *filter* is
//! a subject that may contain wildcards: `*` for one token, a final `>` for one or
//! more. A *literal* has none. The files: `tokens` takes subjects apart, `wildcard`
//! relates one filter to one subject, `filters` a few filters to one subject, `sublist`
//! holds many filters and finds those that match, `tree` holds many subjects and finds
//! those that match, `transform` makes one subject out of another, `reserved` knows the
//! prefixes that belong to the broker.
//!
//! Invariants: nothing here panics or overflows the stack on any bytes; a subject with
//! an empty token matches no filter. Absent: permissions, accounts, and any limit that
//! a configuration sets.

pub mod filters;
pub mod reserved;
pub mod sublist;
pub mod tokens;
pub mod transform;
pub mod tree;
pub mod wildcard;

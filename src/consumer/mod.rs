//! A cursor with promises: what a consumer of a stream has delivered and what is acknowledged.
//!
//! Separate from the stream because its promises are its own: at least once, in order, as
//! often as allowed, not before it is due. Two halves that must not be mixed up:
//!
//! ```text
//!                 replicated, in the stream's log             leader only, forgotten at a change
//!   Command ──► replica::Consumer::apply ──► Outcome ──► dispatch::Dispatcher ──► Action
//!                  (state, cursor)                            (pull, push, redelivery, priority)
//!        ▲                                                        │   ▲
//!        └──────────────── Action::Propose ◄──────────────────────┘   └── pulls, acks, interest, time
//! ```
//!
//! The dispatcher proposes deliveries and sends them once they are applied, so that no
//! message is sent whose delivery could be forgotten.
//!
//! Invariants: an acknowledged message is not delivered again; a message that matches and
//! is neither acknowledged nor given up is pending or ahead of the cursor; floors never go
//! back but by a reset; the same commands give the same bytes on every replica.
//! Absent: no clock, no subscription, no Raft, no file; stream and shell bring them.

pub mod command;
pub mod config;
pub mod info;
pub mod metadata;
pub mod outcome;

pub mod codec;
pub mod cursor;
pub mod replica;
pub mod state;

pub mod ack;
pub mod dispatch;
pub mod priority;
pub mod pull;
mod push;
mod redelivery;
pub mod validate;

#[cfg(test)]
mod tests;

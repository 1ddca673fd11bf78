//! Whole consumers: scripts, a naive model under generated histories, replay.

mod ahead;
mod history;
mod replay;
mod script;
mod script_pull;
mod script_push;
mod script_redelivery;
mod script_start;
mod speed;
mod world;

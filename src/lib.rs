//! Natter: a message broker that speaks the NATS protocol, for services on Kubernetes.
//!
//! The crate is one house with five floors; arrows point down only, and
//! `tests/it/arrows.rs` holds the code against the table in `ARCHITECTURE.md`.
//! The ground floor and the first floor are pure: no sockets, files, clock or
//! randomness outside of the seams `clock`, `entropy`, `net`, `vfs` and `tasks`.

// Ground floor: seams and small data structures.
pub mod api_error;
pub mod clock;
pub mod deadline_queue;
pub mod entropy;
pub mod net;
pub mod nuid;
pub mod pb;
pub mod sequence_set;
pub mod state_machine;
pub mod tasks;
pub mod telemetry;
pub mod vfs;

// First floor: the pure core.
pub mod account;
pub mod auth;
pub mod config;
pub mod consumer;
pub mod meta;
pub mod protocol;
pub mod store;
pub mod stream;
pub mod subject;

// Second floor: services.
pub mod connection;
pub mod filestore;
pub mod pubsub;
pub mod raft;
pub mod wal;

// Third floor: fronts and subsystems.
pub mod client;
pub mod jetstream;
pub mod login;
pub mod monitor;

// Fourth floor and roof.
pub mod cli;
pub mod server;

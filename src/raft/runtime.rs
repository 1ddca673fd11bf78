//! What openraft runs on: tokio, on the threads of `tasks` that streams live on.
//!
//! openraft spawns on the runtime it is started in; so an instance is only ever started
//! inside of [`crate::tasks::Place::enter`], and all tasks of a group share one thread.
//!
//! Absent: no simulated runtime yet; it would take the place of [`Runtime`].

/// The runtime that openraft's tasks, timers and channels belong to.
pub type Runtime = openraft::TokioRuntime;

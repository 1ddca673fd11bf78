//! Why a store cannot do what it is asked.

use super::message::Seq;

/// Why a store cannot do what it is asked. A message that is not there is no error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused; the replica stops.
    #[error("{what}")]
    Disk {
        /// What was being done.
        what: &'static str,
        /// What the disk said.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What lies on the disk is not what was written. The replica serves what is intact and
    /// says so; it deletes nothing.
    #[error("damaged: messages {first} to {last} cannot be read")]
    Damaged {
        /// The first message concerned.
        first: Seq,
        /// The last message concerned.
        last: Seq,
    },
}

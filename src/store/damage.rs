//! What is not as it was written, and looking for it.
//!
//! Separate because it is no part of what a stream decides: only people want to know, and
//! whoever looks before the messages are needed.
//!
//! Reading a piece takes long and is done beside the store, on any thread; what came of it
//! is told to the store, which has changed meanwhile.

use super::error::Error;
use super::message::Seq;

/// What is not as it was written, as far as anybody looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Messages that should be there but cannot be read.
    pub lost: u64,
    /// Files in which something was found.
    pub files: u64,
}

/// A piece of a store that is to be read.
pub trait Check: Send {
    /// Reads it.
    ///
    /// # Errors
    /// When the disk refuses. Damage is no error here.
    fn run(self: Box<Self>) -> Result<Checked, Error>;
}

/// What a piece was found like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The first sequence ever in it.
    pub base: Seq,
    /// How often it was written anew.
    pub generation: u64,
    /// The hash of it, if it is complete and nothing is added any more.
    pub hash: Option<[u8; 16]>,
    /// It is as it was written.
    pub is_intact: bool,
}

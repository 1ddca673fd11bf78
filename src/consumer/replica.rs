//! The replicated half of a consumer (skeleton).

use super::command::Command;
use super::config::Config;
use super::outcome::Outcome;
use crate::clock::Timestamp;
use crate::state_machine::DecodeError;
use crate::store::MsgStore;
use crate::store::error::Error;
use crate::store::message::Seq;

/// One consumer as every replica of its stream has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    config: Config,
}

impl Consumer {
    /// Starts a consumer where its deliver policy says, with a validated configuration.
    pub fn create(
        _now: Timestamp,
        config: Config,
        _store: &mut dyn MsgStore,
    ) -> Result<Consumer, Error> {
        Ok(Consumer { config })
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes a validated new configuration over.
    pub fn update(
        &mut self,
        _now: Timestamp,
        config: Config,
        _store: &mut dyn MsgStore,
    ) -> Result<(), Error> {
        self.config = config;
        Ok(())
    }

    /// Applies one command.
    pub fn apply(
        &mut self,
        _now: Timestamp,
        _command: Command,
        _store: &mut dyn MsgStore,
    ) -> Result<Outcome, Error> {
        unimplemented!()
    }

    /// A message was stored.
    pub fn on_stored(&mut self, _seq: Seq, _subject: &[u8]) {}

    /// A message has gone from the stream, for whatever reason; it was there before.
    /// True if it was pending here: delivered and not acknowledged.
    pub fn on_removed(&mut self, _seq: Seq, _subject: &[u8]) -> bool {
        false
    }

    /// Whether its filters match the subject.
    pub fn wants(&self, _subject: &[u8]) -> bool {
        true
    }

    /// Whether it needs the message no more: acknowledged, terminated, delivered without
    /// need of an ack, or not matching. The stream may drop a message with which all are done.
    pub fn is_done_with(&self, _seq: Seq, _subject: &[u8]) -> bool {
        true
    }

    /// Appends its state as bytes for a snapshot; the same on every replica.
    pub fn encode(&self, _out: &mut Vec<u8>) {}

    /// The inverse of [`Consumer::encode`].
    pub fn decode(_bytes: &[u8]) -> Result<Consumer, DecodeError> {
        unimplemented!()
    }
}

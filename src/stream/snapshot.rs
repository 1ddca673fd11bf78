//! The machine's state beside the messages, as bytes.
//!
//! Separate from the machine because what is replicated, and in which order it is written,
//! is decided here: replicas that applied the same log write the same bytes.
//!
//! Invariants: what `restore` makes of the bytes behaves as the machine that wrote them,
//! over the same messages; no map's order reaches the bytes unsorted. Absent: messages, the
//! leader's own consumers, deadlines.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::codec::{from_json, no_message, to_json};
use super::config::Config;
use super::consumers::Consumers;
use super::dedup::Dedup;
use super::machine::{Followers, Machine, Rules, Timing};
use super::origin::Origins;
use super::sweep::Sweeps;
use super::ttl::Lifetimes;
use crate::clock::Timestamp;
use crate::consumer::replica::Consumer;
use crate::pb::stream as pb;
use crate::state_machine::DecodeError;
use crate::store::BoxedStore;

impl Machine {
    /// The state after the entry that `position` names.
    pub fn encode_state(&self, position: Bytes) -> Vec<u8> {
        let consumers = self.followers.consumers.iter().map(|member| {
            let mut state = Vec::new();
            member.consumer.encode(&mut state);
            pb::Consumer {
                name: member.name.clone(),
                state: state.into(),
                former_filters: member.former().map(Bytes::copy_from_slice).collect(),
            }
        });
        pb::State {
            position,
            config: to_json(&*self.config),
            created: self.created.unix_nanos(),
            now: self.now.unix_nanos(),
            last_msg_id: self.last_msg_id.clone(),
            message_ids: Some(self.dedup.to_pb()),
            lifetimes: Some(self.followers.lifetimes.to_pb()),
            origins: self.origins.to_pb(),
            sweeps: self.sweeps.to_pb(),
            origins_generation: self.origins.generation(),
            consumers: consumers.collect(),
        }
        .encode_to_vec()
    }

    /// The position of the checkpoint that kept this state.
    ///
    /// # Errors
    /// When the bytes are no such state.
    pub fn position_in(state: &[u8]) -> Result<Bytes, DecodeError> {
        let state = pb::State::decode(state).map_err(no_message)?;
        Ok(Bytes::copy_from_slice(&state.position))
    }

    /// A machine in the state that a checkpoint kept, over the messages of that checkpoint;
    /// and the position of the checkpoint.
    ///
    /// # Errors
    /// When the bytes are no such state.
    pub fn restore(state: &Bytes, store: BoxedStore) -> Result<(Machine, Bytes), DecodeError> {
        let state = pb::State::decode(state.clone()).map_err(no_message)?;
        let config: Config = from_json(&state.config)?;
        let mut consumers = Consumers::new();
        for consumer in state.consumers {
            if consumers.get(&consumer.name).is_some() {
                return Err(DecodeError("a consumer occurs twice".to_owned()));
            }
            let restored = Consumer::decode(&consumer.state)?;
            let former = consumer
                .former_filters
                .iter()
                .map(|filter| filter[..].into());
            consumers.insert(consumer.name, restored, former.collect());
        }
        let machine = Machine {
            rules: Rules::of(&config),
            store,
            created: Timestamp::from_unix_nanos(state.created),
            now: Timestamp::from_unix_nanos(state.now),
            last_msg_id: Bytes::copy_from_slice(&state.last_msg_id),
            dedup: Dedup::from_pb(
                config.duplicate_window,
                &state.message_ids.unwrap_or_default(),
            )?,
            origins: Origins::from_pb(&config, state.origins_generation, state.origins)?,
            followers: Followers {
                consumers,
                lifetimes: Lifetimes::from_pb(&state.lifetimes.unwrap_or_default())?,
                ..Followers::default()
            },
            sweeps: Sweeps::from_pb(&state.sweeps),
            timing: Timing::default(),
            config: Arc::new(config),
        };
        Ok((machine, Bytes::copy_from_slice(&state.position)))
    }
}

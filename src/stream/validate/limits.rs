//! What a stream may ask for, as it is at this moment.
//!
//! Separate because the shell fills it from the server's options, the account and the
//! bookkeeping of `meta`, and the rules only read it.

use std::time::Duration;

use crate::api_error::{ApiError, table};
use crate::stream::config::{Config, Storage};

/// What is left of one kind of storage. `None` means unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes that one stream of the account may hold.
    pub stream_bytes_max: Option<u64>,
    /// Bytes of the account (or of its tier).
    pub account_bytes_max: Option<u64>,
    /// Bytes that the account's streams have reserved by `max_bytes`, of those above.
    pub account_bytes_reserved: u64,
    /// Bytes of the server.
    pub server_bytes_max: Option<u64>,
    /// Bytes that all streams have reserved, of those above.
    pub server_bytes_reserved: u64,
}

/// The limits of server and account, and what of them is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// There are other servers to place replicas on.
    pub clustered: bool,
    /// How long message ids may be remembered at most.
    pub dedup_window_max: Option<Duration>,
    /// Streams of the account (or its tier).
    pub streams_max: Option<u64>,
    /// How many there are.
    pub streams: u64,
    /// Consumers of the account (or its tier).
    pub consumers_max: Option<u64>,
    /// Streams must say how many bytes they may hold.
    pub bytes_max_required: bool,
    /// Streams in memory.
    pub memory: Space,
    /// Streams on disk.
    pub file: Space,
}

impl Limits {
    /// Checks a normalised configuration; `current` is what it replaces.
    pub(super) fn check(&self, config: &Config, current: Option<&Config>) -> Result<(), ApiError> {
        let refuse = |row| Err(ApiError::of(row));
        if current.is_none() && self.streams_max.is_some_and(|max| self.streams >= max) {
            return refuse(&table::MAXIMUM_STREAMS_LIMIT);
        }
        let (space, row) = match config.storage {
            Storage::File => (&self.file, &table::STORAGE_RESOURCES_EXCEEDED),
            Storage::Memory => (&self.memory, &table::MEMORY_RESOURCES_EXCEEDED),
        };
        let bytes = config.bytes_max();
        if self.bytes_max_required && bytes.is_none() {
            return refuse(&table::STREAM_MAX_BYTES_REQUIRED);
        }
        let asked = bytes.unwrap_or(0);
        if space.stream_bytes_max.is_some_and(|max| asked > max) {
            return refuse(&table::STREAM_MAX_STREAM_BYTES_EXCEEDED);
        }
        let consumers = config.consumers_max().unwrap_or(0);
        if self.consumers_max.is_some_and(|max| consumers > max) {
            return refuse(&table::MAXIMUM_CONSUMERS_LIMIT);
        }
        if !self.clustered && config.num_replicas > 1 {
            return refuse(&table::STREAM_REPLICAS_NOT_SUPPORTED);
        }
        let held = current.and_then(Config::bytes_max).unwrap_or(0);
        let exceeds = |reserved: u64, max: Option<u64>| {
            let others = reserved.saturating_sub(held);
            max.is_some_and(|max| asked > 0 && others.saturating_add(asked) > max)
        };
        if asked > held
            && (exceeds(space.account_bytes_reserved, space.account_bytes_max)
                || exceeds(space.server_bytes_reserved, space.server_bytes_max))
        {
            return refuse(row);
        }
        Ok(())
    }
}

//! What the streams of an account have reserved.
//!
//! Separate from the machine because validation wants sums and must not add up all streams
//! of a server each time. Reserved is what `max_bytes` says, once per replica; a stream
//! without it reserves nothing.
//!
//! Invariant: the sums are those of the assignments there are.

use std::collections::BTreeMap;

use crate::stream::config::{Config, Storage};

/// Sums over streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// How many.
    pub streams: u64,
    /// Bytes of those in memory.
    pub memory: u64,
    /// Bytes of those on disk.
    pub file: u64,
}

impl Reserved {
    fn of(config: &Config) -> Self {
        let replicas = u64::try_from(config.num_replicas).unwrap_or(1).max(1);
        let bytes = config.bytes_max().unwrap_or(0).saturating_mul(replicas);
        let (memory, file) = match config.storage {
            Storage::Memory => (bytes, 0),
            Storage::File => (0, bytes),
        };
        Reserved {
            streams: 1,
            memory,
            file,
        }
    }
}

/// Sums of each account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    accounts: BTreeMap<String, Reserved>,
}

impl Usage {
    /// The sums of one account.
    pub fn of_account(&self, account: &str) -> Reserved {
        self.accounts.get(account).copied().unwrap_or_default()
    }

    /// The sums of all accounts.
    pub fn of_all(&self) -> Reserved {
        let mut sum = Reserved::default();
        for reserved in self.accounts.values() {
            sum.streams = sum.streams.saturating_add(reserved.streams);
            sum.memory = sum.memory.saturating_add(reserved.memory);
            sum.file = sum.file.saturating_add(reserved.file);
        }
        sum
    }

    /// There is a stream.
    pub(super) fn add(&mut self, account: &str, config: &Config) {
        let of_stream = Reserved::of(config);
        let sum = self.accounts.entry(account.to_owned()).or_default();
        sum.streams = sum.streams.saturating_add(of_stream.streams);
        sum.memory = sum.memory.saturating_add(of_stream.memory);
        sum.file = sum.file.saturating_add(of_stream.file);
    }

    /// A stream is no more; its configuration is the one that was added.
    pub(super) fn remove(&mut self, account: &str, config: &Config) {
        let of_stream = Reserved::of(config);
        let Some(sum) = self.accounts.get_mut(account) else {
            return;
        };
        sum.streams = sum.streams.saturating_sub(of_stream.streams);
        sum.memory = sum.memory.saturating_sub(of_stream.memory);
        sum.file = sum.file.saturating_sub(of_stream.file);
        if sum.streams == 0 {
            self.accounts.remove(account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_follow_the_streams() {
        let stream = |storage, max_bytes, num_replicas| Config {
            storage,
            max_bytes,
            num_replicas,
            ..Config::default()
        };
        let a = stream(Storage::File, 100, 3);
        let b = stream(Storage::Memory, 10, 1);
        let c = stream(Storage::File, -1, 1);
        let mut usage = Usage::default();
        for config in [&a, &b, &c] {
            usage.add("x", config);
        }
        usage.add("y", &a);
        let sums = |streams, memory, file| Reserved {
            streams,
            memory,
            file,
        };
        assert_eq!(usage.of_account("x"), sums(3, 10, 300));
        assert_eq!(usage.of_all(), sums(4, 10, 600));
        usage.remove("x", &a);
        assert_eq!(usage.of_account("x"), sums(2, 10, 0));
        usage.remove("y", &a);
        assert_eq!(usage.of_account("y"), Reserved::default());
        assert_eq!(usage.of_account("nobody"), Reserved::default());
    }
}

//! How openraft is set up here.
//!
//! Separate so that every figure stands beside its reason.

use openraft::{Config, ConfigError, SnapshotPolicy};

/// The configuration of a group whose only voter is this server.
///
/// # Errors
/// When openraft finds two figures that do not go together: never, a test says.
pub fn of_a_sole_voter() -> Result<Config, ConfigError> {
    let config = Config {
        cluster_name: "natter".to_owned(),
        heartbeat_interval: 250,
        heartbeat_min_interval: Some(125),
        election_timeout_min: 1_000,
        election_timeout_max: 2_000,
        enable_pre_vote: Some(true),
        // A sole voter leads on where it led before: in the same term and without a write.
        // Nobody else ever saw an entry of this term that a crash took from it. With other
        // voters or learners this must be off: they may have seen one.
        enable_leader_restore: Some(true),
        allow_log_reversion: None,
        quorum_loss_probe_interval: Some(4_000),
        // Checkpoints are made when the log has grown by so many bytes, not entries.
        snapshot_policy: SnapshotPolicy::Never,
        // A snapshot only for who needs entries that are purged.
        replication_lag_threshold: u64::MAX / 2,
        // Nobody needs what a checkpoint contains.
        max_in_snapshot_log_to_keep: 0,
        purge_batch_size: 1,
        api_batch_linger_ms: 0,
        // Figures of openraft's own that nobody looks at.
        log_stage_capacity: Some(1),
        backoff: "50ms 100ms 200ms ...2s".to_owned(),
        // Nobody to send heartbeats to, or to miss them from: no timer.
        enable_tick: false,
        ..Config::default()
    };
    config.validate()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_figures_go_together() {
        super::of_a_sole_voter().expect("a valid configuration");
    }
}

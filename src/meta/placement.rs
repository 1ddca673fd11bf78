//! Where a stream goes.
//!
//! Separate because it will weigh tags, capacity and what must not meet; the proposer asks,
//! and the answer stands in the command. For now a server runs alone: the only one there is
//! carries everything, whatever cluster or tags a stream prefers.

use super::assignment::NodeId;
use super::registry::Registry;
use crate::api_error::{ApiError, table};
use crate::stream::config::Config;

/// The servers that are to carry a new stream.
///
/// # Errors
/// [`table::STREAM_REPLICAS_NOT_SUPPORTED`] for more than one replica on a server alone;
/// [`table::CLUSTER_NOT_AVAIL`] before any server has registered.
pub fn place(config: &Config, registry: &Registry) -> Result<Vec<NodeId>, ApiError> {
    if config.num_replicas > 1 {
        return Err(ApiError::of(&table::STREAM_REPLICAS_NOT_SUPPORTED));
    }
    match registry.nodes().next() {
        Some((node, _)) => Ok(vec![node]),
        None => Err(ApiError::of(&table::CLUSTER_NOT_AVAIL)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_alone_carries_one_replica_of_everything() {
        let check = |num_replicas, nodes: &[u64], expected: Result<Vec<NodeId>, u16>| {
            let mut registry = Registry::default();
            for node in nodes {
                assert!(registry.register(NodeId(*node), "n".to_owned()));
            }
            let config = Config {
                num_replicas,
                ..Config::default()
            };
            assert_eq!(
                place(&config, &registry).map_err(|error| error.err_code),
                expected
            );
        };
        check(1, &[7], Ok(vec![NodeId(7)]));
        check(3, &[7], Err(10074));
        check(1, &[], Err(10008));
    }
}

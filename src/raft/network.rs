//! The network of a group of one: nobody is there.
//!
//! Separate so that a real one can take its place. openraft never calls it while this
//! server is the only member; if it ever does, every peer is unreachable: no call is
//! answered with a grant that nobody gave.

use std::future::Future;

use openraft::error::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::SnapshotOf;
use openraft::{EmptyNode, RaftNetworkFactory, RaftNetworkV2};

use crate::raft::apply::OnDisk;
use crate::raft::types::{TypeConfig, Vote};

/// Nobody else is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl RaftNetworkFactory<TypeConfig> for Alone {
    type Network = Alone;

    async fn new_client(&mut self, _target: u64, _node: &EmptyNode) -> Alone {
        Alone
    }
}

fn unreachable() -> Unreachable<TypeConfig> {
    Unreachable::from_string("a group of one has no peers")
}

impl RaftNetworkV2<TypeConfig> for Alone {
    type SnapshotData = OnDisk;

    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(unreachable().into())
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(unreachable().into())
    }

    async fn pre_vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: SnapshotOf<TypeConfig, OnDisk>,
        _cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(unreachable().into())
    }
}

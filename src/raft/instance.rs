//! Starting openraft for a group of one, so that it leads at once.
//!
//! Separate from when that is done ([`crate::raft::hibernate`]).
//!
//! A fresh group gets its first vote and its first entry, the membership, written here and
//! not by openraft: both are in the log before the first proposal, in one batch with it,
//! and cost no sync of their own. An instance whose stored vote is committed and names
//! this server leads on in the same term, and writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openraft::{EmptyNode, EntryPayload, Raft, ServerState};

use crate::raft::apply::Apply;
use crate::raft::error::ProposeError;
use crate::raft::group::Inner;
use crate::raft::network::Alone;
use crate::raft::types::{Entry, LeaderId, LogId, Membership, TypeConfig, Vote};
use crate::state_machine::StateMachine;
use crate::wal::error::Error;

/// How long the election of a sole voter may take: two writes.
const ELECTION_MAX: Duration = Duration::from_secs(10);

impl<M: StateMachine> Inner<M> {
    /// A running instance that leads.
    pub(super) async fn start_openraft(&self) -> Result<Raft<TypeConfig, Apply<M>>, ProposeError> {
        if self.replica.lock().failure.is_some() {
            return Err(ProposeError::Stopped);
        }
        let state = self.log.state();
        if state.damage.is_some() {
            return Err(ProposeError::Damaged);
        }
        if state.last.is_none() {
            self.found()?;
        }
        let node = self.options.node;
        let vote = self.log.vote().map_err(|err| self.stopped_by(err))?;
        let leads_on = vote.is_some_and(|vote| vote.committed && vote.leader_id.node_id == node);

        let apply = Apply::new(Arc::clone(&self.replica), self.log.is_in_memory());
        let config = Arc::clone(&self.config);
        let built = Raft::build(node, config, Alone, self.log.clone(), apply).await;
        let raft = built.map_err(|err| self.stopped_by(err))?;
        self.place.enter(|| raft.run());
        if !leads_on {
            let asked = raft.trigger().elect(false).await;
            asked.map_err(|err| self.stopped_by(err))?;
            let leads = raft.wait(Some(ELECTION_MAX));
            let leads = leads.state(ServerState::Leader, "a sole voter elects itself");
            leads.await.map_err(|_| ProposeError::NotLeader)?;
        }
        Ok(raft)
    }

    /// Writes what makes this server the leader of a group that has nothing yet.
    fn found(&self) -> Result<(), ProposeError> {
        let node = self.options.node;
        let vote = self.log.vote().map_err(|err| self.stopped_by(err))?;
        let vote = vote.unwrap_or_else(|| Vote::new_committed(1, node));
        let leader = LeaderId {
            term: vote.leader_id.term,
            node_id: node,
        };
        let voters = vec![BTreeSet::from([node])];
        let nodes = BTreeMap::from([(node, EmptyNode::new())]);
        let membership = Membership::new(voters, nodes).expect("a voter that is a node");
        let first = Entry {
            log_id: LogId::new(leader, 0),
            payload: EntryPayload::Membership(membership),
        };
        self.log.found(&vote, &first).map_err(|err| match err {
            Error::NoSpace => ProposeError::NoSpace,
            err => self.stopped_by(err),
        })
    }

    fn stopped_by(&self, err: impl std::error::Error + Send + Sync + 'static) -> ProposeError {
        self.give_up(err);
        ProposeError::Stopped
    }
}

//! Sleep: a group that nobody proposes to has no instance of openraft.
//!
//! Separate because an instance costs more than 100 KiB and half a dozen tasks, most
//! streams are idle most of the time, and everything but a proposal is answered without
//! one: the machine and the log stay where they are.
//!
//! ```text
//!   Asleep ──(propose, checkpoint: build, lead on in the same term)──► Awake
//!      ▲                                                                 │
//!      └───────── nothing begun for `idle`, nothing in flight ───────────┘
//! ```
//!
//! Waking writes nothing: the vote of a sole voter is committed and names it, so openraft
//! leads on at once. Only a fresh group, or one whose last vote is another's, writes.
//!
//! Invariants: at most one instance at a time ([`Inner::switching`] is held from before
//! the old one ends until the new one runs); a group goes to sleep only with nothing in
//! flight, and whoever comes then waits for the end and wakes it again; asleep, a group
//! has no task and no timer; a group that failed or was stopped is not woken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
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

/// Whether openraft runs.
pub(super) enum Power<M: StateMachine> {
    /// No instance.
    Asleep,
    /// This one.
    Awake(Raft<TypeConfig, Apply<M>>),
    /// None, and none any more.
    Stopped,
}

impl<M: StateMachine> Inner<M> {
    /// The running instance; starts one if there is none.
    pub(super) async fn awake(
        self: &Arc<Self>,
    ) -> Result<Raft<TypeConfig, Apply<M>>, ProposeError> {
        if let Some(raft) = self.running()? {
            return Ok(raft);
        }
        let _switching = self.switching.lock().await;
        if let Some(raft) = self.running()? {
            return Ok(raft);
        }
        let raft = self.start_openraft().await?;
        *self.power.lock() = Power::Awake(raft.clone());
        let weak = Arc::downgrade(self);
        let idle = self.options.idle;
        let begun = self.begun.load(Ordering::Relaxed);
        self.place.spawn(async move {
            let mut seen = begun;
            loop {
                tokio::time::sleep(idle).await;
                let Some(inner) = weak.upgrade() else { return };
                let begun = inner.begun.load(Ordering::Relaxed);
                if begun == seen && inner.fall_asleep().await {
                    return;
                }
                seen = begun;
            }
        });
        Ok(raft)
    }

    fn running(&self) -> Result<Option<Raft<TypeConfig, Apply<M>>>, ProposeError> {
        match &*self.power.lock() {
            Power::Awake(raft) => Ok(Some(raft.clone())),
            Power::Asleep => Ok(None),
            Power::Stopped => Err(ProposeError::Stopped),
        }
    }

    async fn start_openraft(&self) -> Result<Raft<TypeConfig, Apply<M>>, ProposeError> {
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
        let leads_on = match self.log.vote() {
            Ok(vote) => vote.is_some_and(|vote| vote.committed && vote.leader_id.node_id == node),
            Err(err) => {
                self.give_up(err);
                return Err(ProposeError::Stopped);
            }
        };

        let apply = Apply::new(Arc::clone(&self.replica), self.log.is_in_memory());
        let config = Arc::clone(&self.config);
        let built = Raft::build(node, config, Alone, self.log.clone(), apply).await;
        let raft = built.map_err(|err| {
            self.give_up(err);
            ProposeError::Stopped
        })?;
        self.place.enter(|| raft.run());
        if !leads_on {
            let asked = raft.trigger().elect(false).await;
            asked.map_err(|_| ProposeError::Stopped)?;
            let leads = raft.wait(Some(ELECTION_MAX));
            let leads = leads.state(ServerState::Leader, "a sole voter elects itself");
            leads.await.map_err(|_| ProposeError::NotLeader)?;
        }
        Ok(raft)
    }

    /// Writes what makes this server the leader of a group that has nothing yet.
    fn found(&self) -> Result<(), ProposeError> {
        let node = self.options.node;
        let vote = match self.log.vote() {
            Ok(vote) => vote.unwrap_or_else(|| Vote::new_committed(1, node)),
            Err(err) => {
                self.give_up(err);
                return Err(ProposeError::Stopped);
            }
        };
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
            err => {
                self.give_up(err);
                ProposeError::Stopped
            }
        })
    }

    /// Ends openraft if nothing needs it. Whether the group is not awake any more.
    async fn fall_asleep(&self) -> bool {
        let _switching = self.switching.lock().await;
        let raft = {
            let mut power = self.power.lock();
            match &*power {
                Power::Awake(_) if self.in_flight.load(Ordering::SeqCst) > 0 => return false,
                Power::Awake(raft) => {
                    let raft = raft.clone();
                    *power = Power::Asleep;
                    raft
                }
                Power::Asleep | Power::Stopped => return true,
            }
        };
        end(raft).await;
        true
    }

    /// Ends openraft for good.
    pub(super) async fn stop(&self) {
        self.stopped.send_replace(true);
        self.log.close();
        let before = std::mem::replace(&mut *self.power.lock(), Power::Stopped);
        // An instance that is being started finds `Stopped` below and is ended there.
        let _switching = self.switching.lock().await;
        let between = std::mem::replace(&mut *self.power.lock(), Power::Stopped);
        for power in [before, between] {
            if let Power::Awake(raft) = power {
                end(raft).await;
            }
        }
        let mut replica = self.replica.lock();
        replica.instance += 1;
        replica.forget_all();
    }
}

async fn end<M: StateMachine>(raft: Raft<TypeConfig, Apply<M>>) {
    if let Err(err) = raft.shutdown().await {
        tracing::warn!(%err, "openraft ended badly");
    }
}

#[cfg(test)]
mod tests;

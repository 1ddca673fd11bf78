//! Who is told when clients come and go.
//!
//! A seam: the system account's events are made elsewhere, by whoever registers here.

use std::sync::Arc;

use super::entry::Client;
use crate::connection::close::CloseReason;
use crate::pubsub::subscription::Subscription;

/// Told of connects and disconnects. Calls come from the links' own tasks and must be quick.
pub trait Observer: Send + Sync {
    /// A client has logged in.
    fn connected(&self, client: &Arc<Client>);
    /// A client that had logged in is gone.
    fn disconnected(&self, client: &Arc<Client>, reason: CloseReason);
    /// Somebody was refused.
    fn refused(&self, client: &Arc<Client>, reason: CloseReason);
    /// A connection ended, whoever it was; for the list of closed connections. Its last
    /// subscriptions are a sample if there were many.
    fn closed(
        &self,
        client: &Arc<Client>,
        reason: CloseReason,
        subscriptions: &[Arc<Subscription>],
    );
    /// An account has gained or lost a connection.
    fn account_changed(&self, account: &str);
}

/// Nobody wants to know.
pub struct Nobody;

impl Observer for Nobody {
    fn connected(&self, _: &Arc<Client>) {}
    fn disconnected(&self, _: &Arc<Client>, _: CloseReason) {}
    fn refused(&self, _: &Arc<Client>, _: CloseReason) {}
    fn closed(&self, _: &Arc<Client>, _: CloseReason, _: &[Arc<Subscription>]) {}
    fn account_changed(&self, _: &str) {}
}

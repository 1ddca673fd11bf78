//! Names of links.

use std::fmt;

/// A link's number on this server, from 1, never used twice (`client_id`, `cid`); 0 is the
/// server itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A client of the NATS protocol.
    Client,
    /// Another server of the cluster.
    Route,
    /// A server that brings one account.
    Leafnode,
    /// The server itself.
    System,
}

impl Kind {
    /// The prefix of the id in log lines.
    pub const fn log_prefix(self) -> &'static str {
        match self {
            Kind::Client => "cid",
            Kind::Route => "rid",
            Kind::Leafnode => "lid",
            Kind::System => "sid",
        }
    }
}

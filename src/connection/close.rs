//! Why a connection ended: every reason, with the text monitoring shows (spec core §1.6).

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a connection ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CloseReason { $($(#[$doc])* $name,)* }

        impl CloseReason {
            /// Every reason.
            pub const ALL: &[CloseReason] = &[$(CloseReason::$name,)*];

            /// The text in `/connz` and in disconnect events.
            pub const fn text(self) -> &'static str {
                match self { $(CloseReason::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// The peer hung up.
    ClientClosed = "Client Closed",
    /// No `CONNECT` in time.
    AuthenticationTimeout = "Authentication Timeout",
    /// Bad credentials.
    AuthenticationFailure = "Authentication Failure",
    /// The TLS handshake failed.
    TlsHandshakeFailure = "TLS Handshake Failure",
    /// More bytes pending than allowed.
    SlowConsumerPendingBytes = "Slow Consumer (Pending Bytes)",
    /// Pending bytes were not written in time.
    SlowConsumerWriteDeadline = "Slow Consumer (Write Deadline)",
    /// The socket refused a write.
    WriteError = "Write Error",
    /// The socket refused a read.
    ReadError = "Read Error",
    /// The peer sent `-ERR`.
    ParseError = "Parse Error",
    /// Pings were not answered.
    StaleConnection = "Stale Connection",
    /// Bytes that are no protocol.
    ProtocolViolation = "Protocol Violation",
    /// `CONNECT` with an unknown `protocol`.
    BadClientProtocolVersion = "Bad Client Protocol Version",
    /// A client on a port for servers.
    IncorrectPort = "Incorrect Port",
    /// The account is full.
    MaximumAccountConnectionsExceeded = "Maximum Account Connections Exceeded",
    /// The server is full.
    MaximumConnectionsExceeded = "Maximum Connections Exceeded",
    /// A message over the limit.
    MaximumPayloadExceeded = "Maximum Message Payload Exceeded",
    /// A control line over the limit.
    MaximumControlLineExceeded = "Maximum Control Line Exceeded",
    /// Too many subscriptions.
    MaximumSubscriptionsExceeded = "Maximum Subscriptions Exceeded",
    /// A second route to the same server.
    DuplicateRoute = "Duplicate Route",
    /// A reload dropped the route.
    RouteRemoved = "Route Removed",
    /// The server stops.
    ServerShutdown = "Server Shutdown",
    /// Claims ended.
    AuthenticationExpired = "Authentication Expired",
    /// A gateway of another name.
    WrongGateway = "Wrong Gateway",
    /// The account is not known.
    MissingAccount = "Missing Account",
    /// The user was revoked.
    CredentialsRevoked = "Credentials Revoked",
    /// A client of the server itself.
    InternalClient = "Internal Client",
    /// Headers from a link without headers.
    MessageHeaderViolation = "Message Header Violation",
    /// `no_responders` without headers.
    NoRespondersRequiresHeaders = "No Responders Requires Headers",
    /// A server of another cluster.
    ClusterNameConflict = "Cluster Name Conflict",
    /// A second leafnode of the same server and account.
    DuplicateRemoteLeafnode = "Duplicate Remote LeafNode Connection",
    /// A second session of one MQTT client.
    DuplicateClientId = "Duplicate Client ID",
    /// A second server of that name.
    DuplicateServerName = "Duplicate Server Name",
    /// A server too old.
    MinimumVersionRequired = "Minimum Version Required",
    /// Leaf and hub have one cluster name.
    ClusterNamesIdentical = "Cluster Names Identical",
    /// Asked to leave by an operator.
    Kicked = "Kicked",
    /// A proxy whose signature does not hold.
    ProxyNotTrusted = "Proxy Not Trusted",
    /// The user may only come through a proxy.
    ProxyRequired = "Proxy Required",
    /// The link's task has failed: a fault of the server.
    InternalError = "Unknown State",
}

impl CloseReason {
    /// The socket is of no more use: what is still pending is dropped, not flushed.
    pub const fn drops_pending(self) -> bool {
        matches!(
            self,
            CloseReason::SlowConsumerPendingBytes
                | CloseReason::SlowConsumerWriteDeadline
                | CloseReason::WriteError
                | CloseReason::ReadError
                | CloseReason::InternalError
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_distinct() {
        let mut texts: Vec<_> = CloseReason::ALL.iter().map(|r| r.text()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), CloseReason::ALL.len());
    }
}

//! `-ERR`: every text a client can hear and whether the connection ends with it.
//!
//! Libraries match these texts by prefix, so they are a contract (spec core §1.5). Names
//! that clients chose are quoted as Go does, so that a text is one line whatever they hold.

use crate::telemetry::protocol_trace::quoted;

/// What a client is told went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientError<'a> {
    /// Bad or missing credentials.
    AuthorizationViolation,
    /// No `CONNECT` in time.
    AuthenticationTimeout,
    /// The user's claims ended.
    UserAuthenticationExpired,
    /// The account's claims ended.
    AccountAuthenticationExpired,
    /// The user was revoked.
    UserAuthenticationRevoked,
    /// The server is full.
    MaximumConnections,
    /// The account is full.
    MaximumAccountConnections,
    /// The connection or account has too many subscriptions.
    MaximumSubscriptions,
    /// A message over the limit.
    MaximumPayload,
    /// A control line over the limit.
    MaximumControlLine,
    /// Pings were not answered.
    StaleConnection,
    /// Not a verb.
    UnknownOperation,
    /// `CONNECT` with another `protocol` than 0 or 1.
    InvalidClientProtocol,
    /// `no_responders` without `headers`.
    NoRespondersRequiresHeaders,
    /// Too many TLS handshakes at once.
    Throttled,
    /// The TLS handshake took too long.
    TlsRequired,
    /// The account would not take the connection.
    FailedAccountRegistration,
    /// SUB of something that is no subject.
    InvalidSubject,
    /// Pedantic only: the message went out all the same.
    InvalidPublishSubject,
    /// PUB without permission.
    PublishPermission(&'a [u8]),
    /// PUB with a reply subject that clients may not use.
    ReplyPermission(&'a [u8]),
    /// SUB without permission.
    SubscribePermission(&'a [u8]),
    /// SUB of a queue without permission: subject, queue.
    QueuePermission(&'a [u8], &'a [u8]),
    /// SUB with more tokens than `max_sub_tokens`.
    TooManyTokens(&'a [u8]),
    /// A reload took the permission away: subject, queue group, sid.
    PermissionRemoved(&'a [u8], Option<&'a [u8]>, &'a [u8]),
}

impl ClientError<'_> {
    /// The text between the quotes.
    pub fn text(&self) -> String {
        let violation = |verb: &str, subject: &[u8]| {
            let mut text = format!("Permissions Violation for {verb} ");
            text.push_str(&quoted(subject));
            text
        };
        let fixed = match self {
            Self::AuthorizationViolation => "Authorization Violation",
            Self::AuthenticationTimeout => "Authentication Timeout",
            Self::UserAuthenticationExpired => "User Authentication Expired",
            Self::AccountAuthenticationExpired => "Account Authentication Expired",
            Self::UserAuthenticationRevoked => "User Authentication Revoked",
            Self::MaximumConnections => "maximum connections exceeded",
            Self::MaximumAccountConnections => "maximum account active connections exceeded",
            Self::MaximumSubscriptions => "maximum subscriptions exceeded",
            Self::MaximumPayload => "Maximum Payload Violation",
            Self::MaximumControlLine => "maximum control line exceeded",
            Self::StaleConnection => "Stale Connection",
            Self::UnknownOperation => "Unknown Protocol Operation",
            Self::InvalidClientProtocol => "invalid client protocol",
            Self::NoRespondersRequiresHeaders => "no responders requires headers support",
            Self::Throttled => "Connection throttling is active. Please try again later.",
            Self::TlsRequired => "Secure Connection - TLS Required",
            Self::FailedAccountRegistration => "Failed Account Registration",
            Self::InvalidSubject => "Invalid Subject",
            Self::InvalidPublishSubject => "Invalid Publish Subject",
            Self::PublishPermission(subject) => return violation("Publish to", subject),
            Self::ReplyPermission(reply) => return violation("Publish with Reply of", reply),
            Self::SubscribePermission(subject) => return violation("Subscription to", subject),
            Self::QueuePermission(subject, queue) => {
                let mut text = violation("Subscription to", subject);
                text.push_str(" using queue ");
                text.push_str(&quoted(queue));
                return text;
            }
            Self::TooManyTokens(subject) => {
                return violation("Subscription to", subject) + ", too many tokens";
            }
            Self::PermissionRemoved(subject, queue, sid) => {
                let mut text = violation("Subscription to", subject);
                if let Some(queue) = queue {
                    text.push_str(" using queue ");
                    text.push_str(&quoted(queue));
                }
                text.push_str(" (sid ");
                text.push_str(&quoted(sid));
                text.push(')');
                return text;
            }
        };
        fixed.to_owned()
    }

    /// What was violated, in the words of the incumbent's log; `None` where there is nothing
    /// but the text.
    pub fn violation(&self) -> Option<String> {
        let (start, subject) = match self {
            Self::PublishPermission(subject) => ("Publish Violation - Subject ", subject),
            Self::ReplyPermission(reply) => ("Publish Violation - Reply ", reply),
            Self::SubscribePermission(subject) | Self::QueuePermission(subject, _) => {
                ("Subscription Violation - Subject ", subject)
            }
            Self::TooManyTokens(subject) => {
                ("Subscription Violation Too Many Tokens - Subject ", subject)
            }
            _ => return None,
        };
        let mut text = start.to_owned();
        text.push_str(&quoted(subject));
        if let Self::QueuePermission(_, queue) = self {
            text.push_str(", Queue: ");
            text.push_str(&quoted(queue));
        }
        Some(text)
    }

    /// The whole line.
    pub fn line(&self) -> Vec<u8> {
        let mut line = Vec::new();
        super::encode::error(&mut line, &self.text());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_byte_exact() {
        let check = |error: ClientError<'_>, text: &str| {
            assert_eq!(error.line(), format!("-ERR '{text}'\r\n").into_bytes());
        };
        use ClientError as E;
        check(E::AuthorizationViolation, "Authorization Violation");
        check(E::AuthenticationTimeout, "Authentication Timeout");
        check(E::UserAuthenticationExpired, "User Authentication Expired");
        check(
            E::AccountAuthenticationExpired,
            "Account Authentication Expired",
        );
        check(E::UserAuthenticationRevoked, "User Authentication Revoked");
        check(E::MaximumConnections, "maximum connections exceeded");
        check(
            E::MaximumAccountConnections,
            "maximum account active connections exceeded",
        );
        check(E::MaximumSubscriptions, "maximum subscriptions exceeded");
        check(E::MaximumPayload, "Maximum Payload Violation");
        check(E::MaximumControlLine, "maximum control line exceeded");
        check(E::StaleConnection, "Stale Connection");
        check(E::UnknownOperation, "Unknown Protocol Operation");
        check(E::InvalidClientProtocol, "invalid client protocol");
        check(
            E::NoRespondersRequiresHeaders,
            "no responders requires headers support",
        );
        check(
            E::Throttled,
            "Connection throttling is active. Please try again later.",
        );
        check(E::TlsRequired, "Secure Connection - TLS Required");
        check(E::FailedAccountRegistration, "Failed Account Registration");
        check(E::InvalidSubject, "Invalid Subject");
        check(E::InvalidPublishSubject, "Invalid Publish Subject");
        check(
            E::PublishPermission(b"s"),
            "Permissions Violation for Publish to \"s\"",
        );
        check(
            E::ReplyPermission(b"r"),
            "Permissions Violation for Publish with Reply of \"r\"",
        );
        check(
            E::SubscribePermission(b"s"),
            "Permissions Violation for Subscription to \"s\"",
        );
        check(
            E::QueuePermission(b"s", b"q"),
            "Permissions Violation for Subscription to \"s\" using queue \"q\"",
        );
        check(
            E::TooManyTokens(b"a.b"),
            "Permissions Violation for Subscription to \"a.b\", too many tokens",
        );
        check(
            E::PermissionRemoved(b"s", None, b"7"),
            "Permissions Violation for Subscription to \"s\" (sid \"7\")",
        );
        check(
            E::PermissionRemoved(b"s", Some(b"q"), b"7"),
            "Permissions Violation for Subscription to \"s\" using queue \"q\" (sid \"7\")",
        );
    }
    #[test]
    fn violations_have_the_words_of_logs() {
        let check = |error: ClientError<'_>, expected: Option<&str>| {
            assert_eq!(error.violation().as_deref(), expected);
        };
        use ClientError as E;
        check(
            E::PublishPermission(b"s"),
            Some("Publish Violation - Subject \"s\""),
        );
        check(
            E::ReplyPermission(b"r"),
            Some("Publish Violation - Reply \"r\""),
        );
        check(
            E::SubscribePermission(b"s"),
            Some("Subscription Violation - Subject \"s\""),
        );
        check(
            E::QueuePermission(b"s", b"q"),
            Some("Subscription Violation - Subject \"s\", Queue: \"q\""),
        );
        check(
            E::TooManyTokens(b"s"),
            Some("Subscription Violation Too Many Tokens - Subject \"s\""),
        );
        check(E::StaleConnection, None);
    }

    #[test]
    fn names_are_quoted() {
        let error = ClientError::QueuePermission(b"a\"b\r\n", b"\xff'\\");
        let expected =
            r#"Permissions Violation for Subscription to "a\"b\r\n" using queue "\xff'\\""#;
        assert_eq!(error.text(), expected);
    }
}

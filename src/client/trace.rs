//! The protocol trace of one client: what came in, what went out (`-V`, `-V -V`).
//!
//! Separate so that the session's handlers stay readable. Texts are made by
//! `telemetry::protocol_trace`; here is decided whose lines are shown and cut out of the
//! wire's bytes.
//!
//! Invariant: with the switch off nothing here costs more than one relaxed load per batch
//! and per delivery.

use crate::client::entry::Client;
use crate::client::session::ClientSession;
use crate::protocol::op::Publish;
use crate::telemetry::protocol_trace::{self, Direction};

impl ClientSession {
    /// Whether this client's lines are logged now.
    pub(super) fn is_traced(&self) -> bool {
        protocol_trace::trace_enabled()
            && (!self.is_system || protocol_trace::trace_system_enabled())
    }

    /// An operation came in, as it stood on the wire.
    pub(super) fn trace_in(&self, raw: &[u8], publish: Option<&Publish<'_>>) {
        let link = self.client.label();
        let (verb, arguments) = split(raw);
        let line = protocol_trace::operation(Direction::In, &verb, arguments);
        tracing::trace!(link, "{line}");
        if let Some(publish) = publish {
            let line = payload(Direction::In, publish.body, publish.header_len);
            if let Some(line) = line {
                tracing::trace!(link, "{line}");
            }
        }
    }

    /// An operation goes out.
    pub(super) fn trace_out(&self, verb: &str, arguments: &str) {
        self.trace(Direction::Out, verb, arguments.as_bytes());
    }

    /// A subscription has ended.
    pub(super) fn trace_ended(&self, sid: &[u8]) {
        self.trace(Direction::Within, "DELSUB", sid);
    }

    fn trace(&self, direction: Direction, verb: &str, arguments: &[u8]) {
        if self.is_traced() {
            let line = protocol_trace::operation(direction, verb, arguments);
            tracing::trace!(link = self.client.label(), "{line}");
        }
    }
}

/// A message goes out to `client`; `line` is the one before the body.
pub(super) fn delivered(client: &Client, line: &[u8], body: &[u8], header_len: Option<usize>) {
    let is_system = client
        .account()
        .is_some_and(|account| account.policy().is_system);
    if is_system && !protocol_trace::trace_system_enabled() {
        return;
    }
    let link = client.label();
    let (verb, arguments) = split(line);
    let line = protocol_trace::operation(Direction::Out, &verb, arguments);
    tracing::trace!(link, "{line}");
    if let Some(line) = payload(Direction::Out, body, header_len) {
        tracing::trace!(link, "{line}");
    }
}

/// A subscription of `client` had its last message, the one of number `max`.
pub(super) fn ended(client: &Client, sid: &[u8], max: u64) {
    // Old-style requests end a subscription each.
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let link = client.label();
    let shown = String::from_utf8_lossy(sid);
    tracing::debug!(
        link,
        "Auto-unsubscribe limit of {max} reached for sid '{shown}'"
    );
    if protocol_trace::trace_enabled() {
        let line = protocol_trace::operation(Direction::Within, "DELSUB", sid);
        tracing::trace!(link, "{line}");
    }
}

fn payload(direction: Direction, body: &[u8], header_len: Option<usize>) -> Option<String> {
    if body.is_empty() {
        return None;
    }
    let limit = protocol_trace::limit();
    protocol_trace::payload(direction, body, header_len.unwrap_or(0), limit)
}

/// Verb and arguments of the first line.
pub(super) fn split(raw: &[u8]) -> (String, &[u8]) {
    let line = raw.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let is_verb = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'+' | b'-');
    let len = line.iter().take_while(|byte| is_verb(byte)).count();
    let verb = String::from_utf8_lossy(&line[..len]).to_uppercase();
    let arguments = match verb.as_str() {
        "PING" | "PONG" | "+OK" => &[],
        _ => line[len..].trim_ascii_start(),
    };
    (verb, arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_cut_into_verb_and_arguments() {
        let check = |raw: &str, verb: &str, arguments: &str| {
            assert_eq!(
                split(raw.as_bytes()),
                (verb.to_owned(), arguments.as_bytes())
            );
        };
        check("PUB foo 5\r\nhello\r\n", "PUB", "foo 5");
        check("sub\tfoo 1\n", "SUB", "foo 1");
        check("CONNECT{\"a\":1}\r\n", "CONNECT", "{\"a\":1}");
        check("PING and more\r\n", "PING", "");
        check("-ERR 'x'\r\n", "-ERR", "'x'");
        check("", "", "");
    }
}

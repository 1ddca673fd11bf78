//! Reserved prefixes: the parts of the name space that belong to the broker.
//!
//! Separate because the publish path asks for every message and must stay cheap: each
//! predicate compares a prefix or two and nothing else.
//!
//! The prefixes keep their final dot, so `_R_x` and a bare `_R_` are ordinary
//! subjects, as they are for the peers. Subscribing to a reserved subject is always
//! allowed. Absent: permissions; an account that may not touch `$SYS.` is told so there.

/// Replies that are on their way through another cluster.
pub const GATEWAY_REPLY: &[u8] = b"_GR_.";
/// Consensus traffic between servers.
pub const RAFT: &[u8] = b"$NRG.";
/// Replies to a service import.
pub const SERVICE_REPLY: &[u8] = b"_R_.";
/// Acknowledgements of consumed messages.
pub const JETSTREAM_ACK: &[u8] = b"$JS.ACK.";
/// Everything of the stream API.
pub const JETSTREAM: &[u8] = b"$JS.";
/// Events and requests of the system account.
pub const SYSTEM: &[u8] = b"$SYS.";
/// Where clients of the common libraries receive replies.
pub const INBOX: &[u8] = b"_INBOX.";
/// MQTT sessions, retained messages and acknowledgements.
pub const MQTT: &[u8] = b"$MQTT.";
/// Subjects of the earlier streaming server; some have no dot after this.
pub const STAN: &[u8] = b"_STAN";
/// A queue name that only servers may use.
pub const SYSTEM_QUEUE: &[u8] = b"_sys_";

/// Whether a publish to `subject` by a client is refused (a permissions violation).
pub fn refuses_publish(subject: &[u8], in_system_account: bool) -> bool {
    subject.starts_with(GATEWAY_REPLY) || (!in_system_account && subject.starts_with(RAFT))
}

/// Whether a publish by a client is refused because of its reply subject.
pub fn refuses_reply(reply: &[u8]) -> bool {
    [SERVICE_REPLY, JETSTREAM_ACK, GATEWAY_REPLY]
        .iter()
        .any(|prefix| reply.starts_with(prefix))
}

/// Whether a client may not subscribe in this queue.
pub fn refuses_queue(queue: &[u8]) -> bool {
    queue == SYSTEM_QUEUE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_refused_what_belongs_to_servers() {
        // subject, as publish, as publish in the system account, as reply
        let table = [
            ("_GR_.x", true, true, true),
            ("_GR_", false, false, false),
            ("$NRG.x", true, false, false),
            ("_R_.x", false, false, true),
            ("_R_", false, false, false),
            ("_R_x", false, false, false),
            ("$JS.ACK.x", false, false, true),
            ("$JS.ACK", false, false, false),
            ("$JS.API.INFO", false, false, false),
            ("$SYS.x", false, false, false),
            ("$MQTT.x", false, false, false),
            ("_INBOX.x", false, false, false),
            ("foo", false, false, false),
            ("", false, false, false),
        ];
        for (subject, publish, in_system, reply) in table {
            let bytes = subject.as_bytes();
            assert_eq!(refuses_publish(bytes, false), publish, "publish {subject}");
            assert_eq!(refuses_publish(bytes, true), in_system, "system {subject}");
            assert_eq!(refuses_reply(bytes), reply, "reply {subject}");
        }
        assert!(refuses_queue(b"_sys_") && !refuses_queue(b"_sys_x"));
    }
}

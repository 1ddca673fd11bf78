//! `mqtt {}`: clients that speak MQTT 3.1.1.

use std::time::Duration;

use super::authorization::LinkAuthorization;
use super::endpoint::Endpoint;
use super::key::{Key, Reload::*, key};
use super::reader::{Item, Reader};
use super::tls::{Tls, TlsUse};
use crate::config::value::Value;

/// The MQTT listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Mqtt {
    /// Where clients connect; off without a port. Default host `0.0.0.0`.
    pub endpoint: Endpoint,
    /// TLS. Default: none.
    pub tls: Option<Tls>,
    /// What clients have to present. Default: as on the client listener.
    pub authorization: Option<LinkAuthorization>,
    /// The user of clients that present nothing. Default: that of the client listener.
    pub no_auth_user: Option<String>,
    /// Time until an unacknowledged message is sent again. Default 30 seconds.
    pub ack_wait: Duration,
    /// Time a JetStream request may take. Default 5 seconds.
    pub js_api_timeout: Duration,
    /// Messages awaiting an ack per subscription, at most 65535. Default 1024.
    pub max_ack_pending: u16,
    /// JetStream domain of sessions. Default: none.
    pub js_domain: Option<String>,
    /// Replicas of the streams of sessions. Default 0: by the size of the cluster.
    pub stream_replicas: u32,
    /// Without effect: consumers have the replicas of their stream. Default 0.
    pub consumer_replicas: u32,
    /// Consumers in memory. Default false.
    pub consumer_memory_storage: bool,
    /// Time after which an unused consumer goes. Default: never.
    pub consumer_inactive_threshold: Option<Duration>,
    /// Refuse messages of QoS 2. Default false.
    pub reject_qos2_publish: bool,
    /// Grant QoS 1 for subscriptions of QoS 2. Default false.
    pub downgrade_qos2_subscribe: bool,
}

impl Default for Mqtt {
    fn default() -> Self {
        Mqtt {
            endpoint: Endpoint::default(),
            tls: None,
            authorization: None,
            no_auth_user: None,
            ack_wait: Duration::from_secs(30),
            js_api_timeout: Duration::from_secs(5),
            max_ack_pending: 1024,
            js_domain: None,
            stream_replicas: 0,
            consumer_replicas: 0,
            consumer_memory_storage: false,
            consumer_inactive_threshold: None,
            reject_qos2_publish: false,
            downgrade_qos2_subscribe: false,
        }
    }
}

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Mqtt>] = &[
    key("listen", "host:port", "off", No, "127.0.0.1:1883",
        "Where clients connect.",
        |m, v, r| r.listen(v, &mut m.endpoint)),
    key("host|net", "string", "0.0.0.0", No, "127.0.0.1",
        "The address of it.",
        |m, v, r| r.text(v, &mut m.endpoint.host)),
    key("port", "integer", "off", No, "1883",
        "The port of it; -1 is any free one.",
        |m, v, r| r.port(v, &mut m.endpoint.port)),
    key("tls", "tls", "none", Yes, "{ cert_file: /tls/tls.crt, key_file: /tls/tls.key }",
        "TLS of the listener.",
        |m, v, r| r.tls(v, &mut m.tls, TlsUse::Plain)),
    key("authorization|authentication", "map", "as for clients", No, "{ token: s3cr3t }",
        "What clients have to present.",
        |m, v, r| r.listener_authorization(v, &mut m.authorization)),
    key("no_auth_user", "string", "that of clients", No, "guest",
        "The user of clients that present nothing.",
        |m, v, r| r.text(v, &mut m.no_auth_user)),
    key("ack_wait|ackwait", "duration", "30s", Yes, "10s",
        "Time until an unacknowledged message is sent again.",
        |m, v, r| r.duration_or_default(v, &mut m.ack_wait)),
    key("js_api_timeout|api_timeout", "duration", "5s", No, "10s",
        "Time a JetStream request may take.",
        |m, v, r| r.duration_or_default(v, &mut m.js_api_timeout)),
    key("max_ack_pending|max_pending|max_inflight", "0 to 65535", "1024", Yes, "100",
        "Messages awaiting an ack per subscription.",
        |m, v, r| max_ack_pending(v, r, &mut m.max_ack_pending)),
    key("js_domain", "string", "none", No, "hub",
        "JetStream domain of sessions.",
        |m, v, r| r.text(v, &mut m.js_domain)),
    key("stream_replicas", "integer", "by the size of the cluster", Yes, "3",
        "Replicas of the streams of sessions.",
        |m, v, r| r.number_or_none(v, &mut m.stream_replicas)),
    key("consumer_replicas", "integer", "0", Yes, "3",
        "Without effect: consumers have the replicas of their stream.",
        |m, v, r| consumer_replicas(v, r, &mut m.consumer_replicas)),
    key("consumer_memory_storage", "boolean", "false", Yes, "true",
        "Consumers in memory.",
        |m, v, r| r.flag(v, &mut m.consumer_memory_storage)),
    key("consumer_inactive_threshold|consumer_auto_cleanup", "duration", "never", Yes, "1h",
        "Time after which an unused consumer goes.",
        |m, v, r| r.duration(v, &mut m.consumer_inactive_threshold)),
    key("reject_qos2_publish", "boolean", "false", No, "true",
        "Refuse messages of QoS 2.",
        |m, v, r| r.flag(v, &mut m.reject_qos2_publish)),
    key("downgrade_qos2_subscribe", "boolean", "false", No, "true",
        "Grant QoS 1 for subscriptions of QoS 2.",
        |m, v, r| r.flag(v, &mut m.downgrade_qos2_subscribe)),
];

fn max_ack_pending(v: Item<'_>, r: &mut Reader, into: &mut u16) {
    match v.node.value {
        Value::Integer(0) => {}
        Value::Integer(number) => match u16::try_from(number) {
            Ok(number) => *into = number,
            Err(_) => r.error(
                v,
                format!("invalid value {number}, should in [0..65535] range"),
            ),
        },
        _ => r.expected(v, "an integer"),
    }
}

fn consumer_replicas(v: Item<'_>, r: &mut Reader, into: &mut u32) {
    r.number(v, into);
    r.warn(
        v,
        "invalid use of field \"consumer_replicas\": consumer replicas setting ignored in this \
         server version",
    );
}

//! `mqtt {}`: clients that speak MQTT 3.1.1.

use std::time::Duration;

use super::authorization::LinkAuthorization;
use super::endpoint::Endpoint;
use super::tls::Tls;

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

//! Where a listener listens: host and port, each of which may be left to a default.
//!
//! Separate because eight blocks have the same three keys `listen`, `host|net`, `port`.
//!
//! Absent: no default of any one listener; the block that owns the endpoint knows it.

use super::reader::{Item, Reader};
use crate::config::value::Value;

/// The host and port of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The address to bind; `None`: the default of the listener (mostly `0.0.0.0`).
    pub host: Option<String>,
    /// The port to bind; `None`: the default of the listener, or no listener if it has none.
    pub port: Option<Port>,
}

/// A port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Any free port (`-1`).
    Random,
    /// This port, 1 to 65535.
    Fixed(u16),
}

impl Port {
    /// What to pass to `bind`: 0 asks for a free port.
    pub fn to_bind(self) -> u16 {
        match self {
            Port::Random => 0,
            Port::Fixed(port) => port,
        }
    }

    /// The number as configured: `-1` for a random port.
    pub fn configured(self) -> i32 {
        match self {
            Port::Random => -1,
            Port::Fixed(port) => i32::from(port),
        }
    }
}

impl Endpoint {
    /// The address to bind, given the listener's default.
    pub fn host_or<'a>(&'a self, default: &'a str) -> &'a str {
        self.host
            .as_deref()
            .filter(|h| !h.is_empty())
            .unwrap_or(default)
    }

    /// The port to bind, given the listener's default.
    pub fn port_or(&self, default: u16) -> Port {
        self.port.unwrap_or(Port::Fixed(default))
    }
}

impl Reader {
    /// `listen`: a port, or `host:port`.
    pub fn listen(&mut self, v: Item<'_>, into: &mut Endpoint) {
        match &v.node.value {
            Value::Integer(_) => self.port(v, &mut into.port),
            Value::String(text) => match split_host_port(text) {
                None => self.error(v, format!("could not parse address string {text:?}")),
                Some((host, port)) => match port.parse::<i64>().ok().and_then(port_of) {
                    None => self.error(v, format!("could not parse port {port:?}")),
                    Some(port) => {
                        into.host = Some(host.to_owned());
                        into.port = port;
                    }
                },
            },
            _ => self.expected(v, "host:port or a port"),
        }
    }

    /// `port`: -1 is any free port, 0 the default.
    pub fn port(&mut self, v: Item<'_>, into: &mut Option<Port>) {
        match v.node.value {
            Value::Integer(number) => match port_of(number) {
                Some(port) => *into = port,
                None => self.error(v, format!("{} must be from -1 to 65535", v.key)),
            },
            _ => self.expected(v, "an integer"),
        }
    }
}

fn port_of(number: i64) -> Option<Option<Port>> {
    match number {
        -1 => Some(Some(Port::Random)),
        0 => Some(None),
        _ => u16::try_from(number).ok().map(|p| Some(Port::Fixed(p))),
    }
}

/// `host:port` or `[v6]:port` apart; the host may be empty.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(inner) => Some((inner.strip_suffix(']')?, port)),
        None => (!host.contains(':')).then_some((host, port)),
    }
}

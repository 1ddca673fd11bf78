//! Where a listener listens: host and port, each of which may be left to a default.
//!
//! Separate because eight blocks have the same three keys `listen`, `host|net`, `port`.
//!
//! Absent: no default of any one listener; the block that owns the endpoint knows it.

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

//! The lines a server logs about itself when it starts and ends.
//!
//! Separate, and as text, because tools read them: test harnesses wait for
//! `Server is ready` and take the port from `Listening for client connections on`.

use crate::config::reload::shown::friendly_bytes;

/// What the first lines say.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The name this process goes by: `natter` or `nats-server`.
    pub program: &'a str,
    /// The version that goes with it.
    pub version: &'a str,
    /// The server's name.
    pub name: &'a str,
    /// The server's id.
    pub id: &'a str,
    /// The configuration file and its digest (`sha256:…`).
    pub config: Option<(&'a str, &'a str)>,
}

/// The last line of a start.
pub const READY: &str = "Server is ready";
/// The line after that of the client listener where it demands TLS.
pub const TLS_REQUIRED: &str = "TLS required for client connections";
/// The first line of an end.
pub const SHUTDOWN: &str = "Initiating Shutdown...";
/// The last line of all.
pub const EXIT: &str = "Server Exiting..";
/// The first line of lame duck mode.
pub const LAME_DUCK: &str = "Entering lame duck mode, stop accepting new clients";

/// Lame duck mode after its grace period.
pub const CLOSING: &str = "Closing existing clients";

/// The first line of JetStream.
pub const JETSTREAM: &str = "Starting JetStream";
/// Before streams end.
pub const JETSTREAM_SHUTDOWN: &str = "Initiating JetStream Shutdown...";
/// After they have.
pub const JETSTREAM_STOPPED: &str = "JetStream Shutdown";

/// What is said of JetStream.
#[derive(Clone, Copy, Debug)]
pub struct JetStream<'a> {
    /// Unknown fields of requests are errors.
    pub strict: bool,
    /// Bytes of streams in memory.
    pub memory_bytes_max: u64,
    /// Bytes of streams on disk.
    pub storage_bytes_max: u64,
    /// Where they are.
    pub store_dir: &'a str,
    /// Which requests the API understands.
    pub api_level: u32,
}

/// The lines of JetStream, between its first and the restored streams.
pub fn jetstream_lines(facts: JetStream<'_>) -> Vec<String> {
    vec![
        "---------------- JETSTREAM ----------------".to_owned(),
        format!("  Strict:          {}", facts.strict),
        format!("  Max Memory:      {}", bytes(facts.memory_bytes_max)),
        format!("  Max Storage:     {}", bytes(facts.storage_bytes_max)),
        format!("  Store Directory: {:?}", facts.store_dir),
        format!("  API Level:       {}", facts.api_level),
        "-------------------------------------------".to_owned(),
    ]
}

fn bytes(bytes: u64) -> String {
    friendly_bytes(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// The first lines.
pub fn start_lines(facts: Facts<'_>) -> Vec<String> {
    let mut lines = vec![
        format!("Starting {}", facts.program),
        format!("  Version:  {}", facts.version),
        format!("  Name:     {}", facts.name),
        format!("  ID:       {}", facts.id),
    ];
    if let Some((path, digest)) = facts.config {
        lines.push(format!("Using configuration file: {path} ({digest})"));
    }
    lines
}

/// Who a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Clients.
    Clients,
    /// Monitoring.
    Http,
    /// Monitoring over TLS.
    Https,
}

/// The line of one listener; monitoring's comes before that of the clients.
pub fn listener_line(listener: Listener, host: &str, port: u16) -> String {
    let text = match listener {
        Listener::Clients => "Listening for client connections on",
        Listener::Http => "Starting http monitor on",
        Listener::Https => "Starting https monitor on",
    };
    match host.contains(':') && !host.starts_with('[') {
        true => format!("{text} [{host}]:{port}"),
        false => format!("{text} {host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The lines of nats-server 2.15.1, but for `Git:`.
    #[test]
    fn the_first_lines_are_those_tools_read() {
        let facts = Facts {
            program: "nats-server",
            version: "2.10.29",
            name: "nm",
            id: "NCPY",
            config: None,
        };
        let expected = [
            "Starting nats-server",
            "  Version:  2.10.29",
            "  Name:     nm",
            "  ID:       NCPY",
        ];
        assert_eq!(start_lines(facts), expected);
        let facts = Facts {
            config: Some(("c.conf", "sha256:76b1")),
            ..facts
        };
        let last = start_lines(facts).pop();
        let expected = "Using configuration file: c.conf (sha256:76b1)";
        assert_eq!(last.as_deref(), Some(expected));
    }

    #[test]
    fn jetstream_names_its_limits_and_directory() {
        let facts = JetStream {
            strict: true,
            memory_bytes_max: 1 << 30,
            storage_bytes_max: 1536,
            store_dir: "/data",
            api_level: 1,
        };
        let lines = jetstream_lines(facts);
        for line in [
            "  Strict:          true",
            "  Max Memory:      1.00 GB",
            "  Max Storage:     1.50 KB",
            "  Store Directory: \"/data\"",
        ] {
            assert!(lines.iter().any(|said| said == line), "{line}: {lines:#?}");
        }
    }

    #[test]
    fn listeners_name_host_and_port() {
        for (listener, host, expected) in [
            (
                Listener::Clients,
                "0.0.0.0",
                "Listening for client connections on 0.0.0.0:7",
            ),
            (
                Listener::Http,
                "127.0.0.1",
                "Starting http monitor on 127.0.0.1:7",
            ),
            (Listener::Https, "::1", "Starting https monitor on [::1]:7"),
        ] {
            assert_eq!(listener_line(listener, host, 7), expected);
        }
    }
}

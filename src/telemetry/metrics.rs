//! The table of metrics: every name, unit, label and meaning in one place.
//!
//! Separate so that a name is written once: the code that fills a metric refers to its
//! row, and `docs/metrics.md` is printed from the table.
//!
//! Invariants: names are unique and never change their meaning; a counter ends in
//! `_total`; labels are bounded: an account and a stream at most, never a subject.

/// Whether a figure can go down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up while the server runs.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Kind {
    /// The word for documents.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        }
    }
}

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// The published name.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// What one is.
    pub unit: &'static str,
    /// Names of the labels, in the order of their values.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

/// Declares the rows and the list of all of them.
macro_rules! table {
    ($($row:ident = $kind:ident $name:literal [$unit:literal] ($($label:literal),*) $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $row: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: $unit,
                labels: &[$($label),*],
                help: $help,
            };
        )*
        /// Every row, in the order in which they are shown.
        pub const ALL: &[&Metric] = &[$(&$row),*];
    };
}

table! {
    INFO = Gauge "natter_info" ["-"] ("server_id", "server_name", "version", "cluster")
        "Always 1; the labels say which server this is.";
    UPTIME = Gauge "natter_uptime_seconds" ["seconds"] ()
        "Time since the server started.";
    CONFIG_LOAD_TIME = Gauge "natter_config_load_time_seconds" ["Unix time"] ()
        "When the configuration was read last.";
    CONNECTIONS = Gauge "natter_connections" ["connections"] ()
        "Open client connections.";
    CONNECTIONS_TOTAL = Counter "natter_connections_total" ["connections"] ()
        "Client connections accepted since the start.";
    CONNECTIONS_MAX = Gauge "natter_connections_max" ["connections"] ()
        "Client connections at most, as configured.";
    SUBSCRIPTIONS = Gauge "natter_subscriptions" ["subscriptions"] ()
        "Subscriptions of all accounts, internal ones included.";
    RECEIVED_MESSAGES = Counter "natter_received_messages_total" ["messages"] ()
        "Messages received from clients and other servers.";
    RECEIVED_BYTES = Counter "natter_received_bytes_total" ["bytes"] ()
        "Bytes of messages received from clients and other servers.";
    SENT_MESSAGES = Counter "natter_sent_messages_total" ["messages"] ()
        "Messages sent to clients and other servers.";
    SENT_BYTES = Counter "natter_sent_bytes_total" ["bytes"] ()
        "Bytes of messages sent to clients and other servers.";
    PENDING_BYTES = Gauge "natter_pending_bytes" ["bytes"] ()
        "Bytes waiting to be written to all connections.";
    SLOW_CONSUMERS = Counter "natter_slow_consumers_total" ["connections"] ("kind")
        "Connections closed because they read too slowly.";
    STALE_CONNECTIONS = Counter "natter_stale_connections_total" ["connections"] ("kind")
        "Connections closed because they did not answer pings.";
    STALLED_CLIENTS = Counter "natter_stalled_clients_total" ["stalls"] ()
        "How often a publisher had to wait for a slow reader.";
    ACCOUNTS_ACTIVE = Gauge "natter_accounts_active" ["accounts"] ()
        "Accounts with connections.";
    ACCOUNT_CONNECTIONS = Gauge "natter_account_connections" ["connections"] ("account")
        "Open client connections of the account.";
    ACCOUNT_LEAFNODES = Gauge "natter_account_leafnodes" ["connections"] ("account")
        "Open leafnode connections of the account.";
    ACCOUNT_SUBSCRIPTIONS = Gauge "natter_account_subscriptions" ["subscriptions"] ("account")
        "Subscriptions of the account.";
    ACCOUNT_RECEIVED_MESSAGES = Counter "natter_account_received_messages_total" ["messages"] ("account")
        "Messages received from connections of the account.";
    ACCOUNT_RECEIVED_BYTES = Counter "natter_account_received_bytes_total" ["bytes"] ("account")
        "Bytes of messages received from connections of the account.";
    ACCOUNT_SENT_MESSAGES = Counter "natter_account_sent_messages_total" ["messages"] ("account")
        "Messages sent to connections of the account.";
    ACCOUNT_SENT_BYTES = Counter "natter_account_sent_bytes_total" ["bytes"] ("account")
        "Bytes of messages sent to connections of the account.";
    ACCOUNT_SLOW_CONSUMERS = Counter "natter_account_slow_consumers_total" ["connections"] ("account")
        "Connections of the account closed because they read too slowly.";
    ACCOUNTS_LEFT_OUT = Gauge "natter_accounts_left_out" ["accounts"] ()
        "Accounts without metrics of their own because there are too many accounts.";
    JETSTREAM_MEMORY_MAX = Gauge "natter_jetstream_memory_bytes_max" ["bytes"] ()
        "Bytes of all streams in memory at most; 0 without JetStream.";
    JETSTREAM_STORAGE_MAX = Gauge "natter_jetstream_storage_bytes_max" ["bytes"] ()
        "Bytes of all streams on disk at most; 0 without JetStream.";
    JETSTREAM_FAILED = Gauge "natter_jetstream_streams_failed" ["streams"] ()
        "Streams that should run and do not.";
    JETSTREAM_DISK_LEVEL = Gauge "natter_jetstream_disk_level" ["level"] ()
        "How full the disk of streams is: 0 ok, 1 warn, 2 soft (file streams take no messages), 3 hard.";
    JETSTREAM_DISK_TOTAL = Gauge "natter_jetstream_disk_bytes" ["bytes"] ()
        "Size of the disk of streams; 0 without JetStream.";
    JETSTREAM_DISK_AVAILABLE = Gauge "natter_jetstream_disk_available_bytes" ["bytes"] ()
        "What may still be written to the disk of streams.";
    JETSTREAM_LOG_SEGMENTS = Gauge "natter_jetstream_log_segments" ["segments"] ()
        "Segments of the write-ahead log that hold something.";
    JETSTREAM_DAMAGED = Gauge "natter_jetstream_damaged" ["problems"] ()
        "Streams that run and of which something is damaged, and damage that no stream is known to have.";
    JETSTREAM_STREAMS = Gauge "natter_jetstream_streams" ["streams"] ("account")
        "Streams of the account.";
    JETSTREAM_CONSUMERS = Gauge "natter_jetstream_consumers" ["consumers"] ("account")
        "Consumers of all streams of the account.";
    JETSTREAM_MEMORY = Gauge "natter_jetstream_memory_bytes" ["bytes"] ("account")
        "Bytes of the account's streams in memory.";
    JETSTREAM_STORAGE = Gauge "natter_jetstream_storage_bytes" ["bytes"] ("account")
        "Bytes of the account's streams on disk.";
    JETSTREAM_REQUESTS = Counter "natter_jetstream_api_requests_total" ["requests"] ("account")
        "Requests of the account to the JetStream API.";
    JETSTREAM_ERRORS = Counter "natter_jetstream_api_errors_total" ["requests"] ("account")
        "Requests of the account to the JetStream API that were answered with an error.";
    STREAM_MESSAGES = Gauge "natter_stream_messages" ["messages"] ("account", "stream")
        "Messages of the stream.";
    STREAM_BYTES = Gauge "natter_stream_bytes" ["bytes"] ("account", "stream")
        "Bytes of the stream.";
    STREAM_CONSUMERS = Gauge "natter_stream_consumers" ["consumers"] ("account", "stream")
        "Consumers of the stream.";
    STREAMS_LEFT_OUT = Gauge "natter_streams_left_out" ["streams"] ()
        "Streams without metrics of their own because there are too many streams.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" ["seconds"] ()
        "Processor time used by the process.";
    PROCESS_MEMORY = Gauge "process_resident_memory_bytes" ["bytes"] ()
        "Resident memory of the process.";
    PROCESS_START = Gauge "process_start_time_seconds" ["Unix time"] ()
        "When the server started.";
}

/// The table as a document.
pub fn document() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         Printed from `src/telemetry/metrics.rs`; do not edit. \
         `GET /metrics` on the monitoring port answers in the text format of Prometheus.\n\n\
         | Name | Kind | Unit | Labels | Meaning |\n|---|---|---|---|---|\n",
    );
    for metric in ALL {
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            metric.name,
            metric.kind.name(),
            metric.unit,
            labels.join(", "),
            metric.help
        ));
    }
    text.push_str(
        "\n`kind` is one of `clients`, `routes`, `gateways`, `leafs`. \
         `account` is the name of an account; figures are shown for a bounded number of accounts.\n",
    );
    text
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the test reads the document")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_well_formed() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            let is_counter = metric.kind == Kind::Counter;
            assert_eq!(
                metric.name.ends_with("_total"),
                is_counter,
                "{}",
                metric.name
            );
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            let allowed = [
                "account",
                "stream",
                "kind",
                "server_id",
                "server_name",
                "version",
                "cluster",
            ];
            assert!(metric.labels.iter().all(|label| allowed.contains(label)));
        }
    }

    /// Write the document anew with `NATTER_WRITE_DOCS=1 cargo test --lib telemetry::metrics`.
    #[test]
    fn document_is_not_stale() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        if std::env::var_os("NATTER_WRITE_DOCS").is_some() {
            std::fs::write(path, document()).expect("docs can be written");
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == document(),
            "docs/metrics.md is stale: run this test with NATTER_WRITE_DOCS=1"
        );
    }
}

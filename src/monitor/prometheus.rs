//! `/metrics`: the figures in the text format of Prometheus.
//!
//! Separate because names and labels are a contract of their own: the table in
//! `telemetry::metrics`. Every row of the table is shown, also when its figure is zero;
//! a family without a single figure (no account) is left out.
//!
//! Invariant: at most [`ACCOUNTS_MAX`] accounts have figures, the ones with most
//! connections, and at most [`STREAMS_MAX`] streams, the largest; how many are left out is a
//! figure too.

use std::cmp::Reverse;

use prometheus::proto;
use prometheus::{Encoder as _, TextEncoder};

use super::source::{AccountSnapshot, ByKind, Source};
use super::streams::{AccountStreams, StreamSnapshot};
use crate::clock::Timestamp;
use crate::telemetry::metrics::{self, Kind, Metric};

/// The content type of the answer.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Accounts with figures of their own.
pub const ACCOUNTS_MAX: usize = 1000;

/// Streams with figures of their own: those with most bytes.
pub const STREAMS_MAX: usize = 1000;

/// The whole answer.
pub fn text(source: &dyn Source) -> String {
    let mut bytes = Vec::with_capacity(16 * 1024);
    // Writing to memory does not fail, and no family is empty or without a name.
    TextEncoder::new()
        .encode(&families(source), &mut bytes)
        .expect("metric families encode to memory");
    String::from_utf8(bytes).expect("the encoder writes UTF-8")
}

/// Every family in the order of the table.
fn families(source: &dyn Source) -> Vec<proto::MetricFamily> {
    let (facts, counters, usage) = (source.facts(), source.counters(), source.usage());
    let now = source.now();
    let mut accounts = source.accounts();
    accounts.sort_by(|a, b| {
        let rank = |account: &AccountSnapshot| Reverse(account.clients + account.leafnodes);
        rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name))
    });
    let left_out = accounts.len().saturating_sub(ACCOUNTS_MAX);
    accounts.truncate(ACCOUNTS_MAX);
    let per_account = |metric: &Metric, figure: fn(&AccountSnapshot) -> u64| {
        let samples = accounts
            .iter()
            .map(|account| (vec![account.name.as_str()], figure(account) as f64));
        family(metric, samples.collect())
    };
    let jetstream = source.jetstream().unwrap_or_default();
    let problems = |is_down: bool| {
        let problems = jetstream.problems.iter();
        problems
            .filter(|problem| problem.is_down == is_down)
            .count() as f64
    };
    let mut sites: Vec<&AccountStreams> = jetstream.accounts.iter().collect();
    sites.sort_by_key(|site| Reverse(site.streams.len()));
    sites.truncate(ACCOUNTS_MAX);
    let per_site = |metric: &Metric, figure: fn(&AccountStreams) -> u64| {
        let samples = sites
            .iter()
            .map(|site| (vec![site.name.as_str()], figure(site) as f64));
        family(metric, samples.collect())
    };
    let mut streams: Vec<(&String, &StreamSnapshot)> =
        jetstream.accounts.iter().flat_map(named).collect();
    streams.sort_by_key(|(_, stream)| Reverse(stream.bytes));
    let streams_left_out = streams.len().saturating_sub(STREAMS_MAX);
    streams.truncate(STREAMS_MAX);
    let per_stream = |metric: &Metric, figure: fn(&StreamSnapshot) -> u64| {
        let samples = streams.iter().map(|(account, stream)| {
            let labels = vec![account.as_str(), stream.name.as_str()];
            (labels, figure(stream) as f64)
        });
        family(metric, samples.collect())
    };
    let identity = vec![
        facts.server_id.as_str(),
        facts.server_name.as_str(),
        facts.product_version.as_str(),
        facts.cluster_name.as_str(),
    ];
    let mut families = vec![
        family(&metrics::INFO, vec![(identity, 1.0)]),
        single(&metrics::UPTIME, now.since(facts.start).as_secs_f64()),
        single(
            &metrics::CONFIG_LOAD_TIME,
            unix_seconds(facts.config_load_time),
        ),
        single(&metrics::CONNECTIONS, counters.connections as f64),
        single(
            &metrics::CONNECTIONS_TOTAL,
            counters.total_connections as f64,
        ),
        single(&metrics::CONNECTIONS_MAX, facts.max_connections as f64),
        single(&metrics::SUBSCRIPTIONS, counters.subscriptions as f64),
        single(&metrics::RECEIVED_MESSAGES, counters.received.msgs as f64),
        single(&metrics::RECEIVED_BYTES, counters.received.bytes as f64),
        single(&metrics::SENT_MESSAGES, counters.sent.msgs as f64),
        single(&metrics::SENT_BYTES, counters.sent.bytes as f64),
        single(&metrics::PENDING_BYTES, counters.pending_bytes as f64),
        by_kind(&metrics::SLOW_CONSUMERS, counters.slow_consumers),
        by_kind(&metrics::STALE_CONNECTIONS, counters.stale_connections),
        single(&metrics::STALLED_CLIENTS, counters.stalled_clients as f64),
        single(&metrics::ACCOUNTS_ACTIVE, counters.active_accounts as f64),
        per_account(&metrics::ACCOUNT_CONNECTIONS, |a| a.clients),
        per_account(&metrics::ACCOUNT_LEAFNODES, |a| a.leafnodes),
        per_account(&metrics::ACCOUNT_SUBSCRIPTIONS, |a| a.sublist.subscriptions),
        per_account(&metrics::ACCOUNT_RECEIVED_MESSAGES, |a| a.received.all.msgs),
        per_account(&metrics::ACCOUNT_RECEIVED_BYTES, |a| a.received.all.bytes),
        per_account(&metrics::ACCOUNT_SENT_MESSAGES, |a| a.sent.all.msgs),
        per_account(&metrics::ACCOUNT_SENT_BYTES, |a| a.sent.all.bytes),
        per_account(&metrics::ACCOUNT_SLOW_CONSUMERS, |a| a.slow_consumers),
        single(&metrics::ACCOUNTS_LEFT_OUT, left_out as f64),
        single(
            &metrics::JETSTREAM_MEMORY_MAX,
            jetstream.config.max_memory as f64,
        ),
        single(
            &metrics::JETSTREAM_STORAGE_MAX,
            jetstream.config.max_storage as f64,
        ),
        single(&metrics::JETSTREAM_FAILED, problems(true)),
        single(&metrics::JETSTREAM_DAMAGED, problems(false)),
        single(
            &metrics::JETSTREAM_DISK_LEVEL,
            f64::from(jetstream.disk.level as u8),
        ),
        single(&metrics::JETSTREAM_DISK_TOTAL, jetstream.disk.total as f64),
        single(
            &metrics::JETSTREAM_DISK_AVAILABLE,
            jetstream.disk.available as f64,
        ),
        single(
            &metrics::JETSTREAM_LOG_SEGMENTS,
            jetstream.log_segments as f64,
        ),
        per_site(&metrics::JETSTREAM_STREAMS, |site| {
            site.streams.len() as u64
        }),
        per_site(&metrics::JETSTREAM_CONSUMERS, |site| {
            site.streams.iter().map(|stream| stream.consumers).sum()
        }),
        per_site(&metrics::JETSTREAM_MEMORY, |site| site.memory),
        per_site(&metrics::JETSTREAM_STORAGE, |site| site.storage),
        per_site(&metrics::JETSTREAM_REQUESTS, |site| site.api_total),
        per_site(&metrics::JETSTREAM_ERRORS, |site| site.api_errors),
        per_stream(&metrics::STREAM_MESSAGES, |stream| stream.messages),
        per_stream(&metrics::STREAM_BYTES, |stream| stream.bytes),
        per_stream(&metrics::STREAM_CONSUMERS, |stream| stream.consumers),
        single(&metrics::STREAMS_LEFT_OUT, streams_left_out as f64),
        single(&metrics::PROCESS_CPU, usage.cpu_time.as_secs_f64()),
        single(&metrics::PROCESS_MEMORY, usage.memory_bytes as f64),
        single(&metrics::PROCESS_START, unix_seconds(facts.start)),
    ];
    families.retain(|family| !family.get_metric().is_empty());
    families
}

/// The streams of an account, with its name.
fn named(account: &AccountStreams) -> impl Iterator<Item = (&String, &StreamSnapshot)> {
    let streams = account.streams.iter();
    streams.map(|stream| (&account.name, stream))
}

fn unix_seconds(time: Timestamp) -> f64 {
    time.unix_nanos() as f64 / 1e9
}

/// A family of one figure without labels.
fn single(metric: &Metric, figure: f64) -> proto::MetricFamily {
    family(metric, vec![(Vec::new(), figure)])
}

/// A family with one figure for each kind of connection.
fn by_kind(metric: &Metric, figures: ByKind) -> proto::MetricFamily {
    let samples = vec![
        (vec!["clients"], figures.clients as f64),
        (vec!["routes"], figures.routes as f64),
        (vec!["gateways"], figures.gateways as f64),
        (vec!["leafs"], figures.leafs as f64),
    ];
    family(metric, samples)
}

/// A family: each sample has a value for every label of the row.
fn family(metric: &Metric, samples: Vec<(Vec<&str>, f64)>) -> proto::MetricFamily {
    let mut family = proto::MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.kind {
        Kind::Counter => proto::MetricType::COUNTER,
        Kind::Gauge => proto::MetricType::GAUGE,
    });
    let samples = samples.into_iter().map(|(values, figure)| {
        debug_assert_eq!(values.len(), metric.labels.len());
        let labels = metric.labels.iter().zip(values).map(|(name, value)| {
            let mut label = proto::LabelPair::default();
            label.set_name((*name).to_owned());
            label.set_value(value.to_owned());
            label
        });
        let mut sample = proto::Metric::from_label(labels.collect());
        match metric.kind {
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(figure);
                sample.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(figure);
                sample.set_gauge(gauge);
            }
        }
        sample
    });
    family.set_metric(samples.collect());
    family
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::fake::FakeSource;
    use super::*;

    fn everything() -> FakeSource {
        let jetstream = FakeSource::streams().jetstream;
        FakeSource {
            jetstream,
            ..FakeSource::busy()
        }
    }

    #[test]
    fn every_row_of_the_table_is_shown() {
        let text = text(&everything());
        let shown: BTreeSet<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        let rows: BTreeSet<_> = metrics::ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(shown, rows);
    }

    #[test]
    fn figures_carry_their_labels() {
        let text = text(&everything());
        for line in [
            "natter_jetstream_storage_bytes{account=\"A\"} 117",
            "natter_stream_messages{account=\"A\",stream=\"S1\"} 3",
            "natter_connections 3",
            "natter_connections_total 5",
            "natter_received_messages_total 2",
            "natter_slow_consumers_total{kind=\"leafs\"} 4",
            "natter_account_connections{account=\"A\"} 1",
            "natter_account_received_bytes_total{account=\"B\"} 2",
            "process_resident_memory_bytes 16474112",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }

    #[test]
    fn accounts_are_bounded() {
        let mut source = FakeSource::plain();
        source.accounts = (0..ACCOUNTS_MAX + 5)
            .map(|n| AccountSnapshot {
                name: format!("a{n:05}"),
                clients: n as u64,
                ..AccountSnapshot::default()
            })
            .collect();
        let text = text(&source);
        let shown = text
            .lines()
            .filter(|line| line.starts_with("natter_account_connections{"));
        assert_eq!(shown.count(), ACCOUNTS_MAX);
        assert!(text.contains("natter_accounts_left_out 5\n"));
        assert!(!text.contains("account=\"a00004\""));
    }

    /// `promtool` agrees with the names and the format, where it is installed.
    #[test]
    fn promtool_accepts_the_text() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let spawned = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut promtool) = spawned else { return };
        let mut input = promtool.stdin.take().expect("stdin is piped");
        input
            .write_all(text(&everything()).as_bytes())
            .expect("promtool reads");
        drop(input);
        let output = promtool.wait_with_output().expect("promtool ends");
        assert!(output.status.success(), "{output:?}");
    }
}
